#include "endpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCHEME "ipc://"
#define GENERATIONS 10000 // private names have at most four digits

static void private_path(const struct endpoint *endpoint, char *path, size_t size) {
    snprintf(path, size, "%.101s.%" PRIu32, endpoint->path, endpoint->generation % GENERATIONS);
}

xnor_status endpoint_claim(struct endpoint *endpoint, const char *url, struct reason *why) {
    char lock[ENDPOINT_PATH_BYTES + ENDPOINT_SUFFIX_BYTES];
    struct stat status;
    *endpoint = (struct endpoint){.lock_fd = -1, .greeting_fd = -1};
    snprintf(endpoint->path, sizeof endpoint->path, "%s", url + strlen(SCHEME));
    snprintf(lock, sizeof lock, "%s.lock", endpoint->path);
    int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return reason_set(why, XNOR_E_IO, "%s: %s", lock, strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        close(fd);
        return reason_set(why, XNOR_E_IO, "%s: the socket is in use by another xnord", url);
    }
    if (lstat(endpoint->path, &status) == 0 && !S_ISSOCK(status.st_mode)) {
        close(fd);
        return reason_set(why, XNOR_E_IO, "%s: there is something that is not a socket", url);
    }
    endpoint->lock_fd = fd;
    return XNOR_OK;
}

void endpoint_private_url(struct endpoint *endpoint, char *url, size_t size) {
    char path[ENDPOINT_PATH_BYTES + ENDPOINT_SUFFIX_BYTES];
    endpoint->generation++;
    private_path(endpoint, path, sizeof path);
    unlink(path); // left by a daemon that was killed
    snprintf(url, size, SCHEME "%s", path);
}

xnor_status endpoint_publish(struct endpoint *endpoint, struct reason *why) {
    char path[ENDPOINT_PATH_BYTES + ENDPOINT_SUFFIX_BYTES];
    private_path(endpoint, path, sizeof path);
    if (rename(path, endpoint->path) == 0) return XNOR_OK;
    return reason_set(why, XNOR_E_IO, "%s: %s", endpoint->path, strerror(errno));
}

// Connects as a REQ socket would. Sends the whole greeting at once and hangs up only later, so it
// cannot do the harm that it looks for.
static int greet(const char *path) {
    static const unsigned char greeting[8] = {0, 'S', 'P', 0, 0, 0x30, 0, 0};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -1;
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 &&
        send(fd, greeting, sizeof greeting, MSG_NOSIGNAL) == (ssize_t)sizeof greeting)
        return fd;
    close(fd);
    return -1;
}

bool endpoint_greet(struct endpoint *endpoint) {
    endpoint_hang_up(endpoint);
    endpoint->greeting_fd = greet(endpoint->path);
    return endpoint->greeting_fd >= 0;
}

void endpoint_hang_up(struct endpoint *endpoint) {
    if (endpoint->greeting_fd >= 0) close(endpoint->greeting_fd);
    endpoint->greeting_fd = -1;
}

void endpoint_release(struct endpoint *endpoint) {
    endpoint_hang_up(endpoint);
    if (endpoint->lock_fd < 0) return;
    if (endpoint->generation > 0) unlink(endpoint->path);
    close(endpoint->lock_fd);
    endpoint->lock_fd = -1;
}
