#include "notify.h"

#include "clock.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

bool notify_send(const char *state) {
    const char *path = getenv("NOTIFY_SOCKET");
    if (path == NULL || path[0] == '\0') return true;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if ((path[0] != '/' && path[0] != '@') || length >= sizeof address.sun_path) return false;
    memcpy(address.sun_path, path, length);
    if (path[0] == '@') address.sun_path[0] = '\0'; // abstract names start with a zero byte

    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return false;
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    ssize_t sent =
        sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address, size);
    close(fd);
    return sent == (ssize_t)strlen(state);
}

uint64_t notify_watchdog_ns(void) {
    const char *period = getenv("WATCHDOG_USEC");
    const char *owner = getenv("WATCHDOG_PID");
    if (period == NULL) return 0;
    if (owner != NULL && strtoull(owner, NULL, 10) != (unsigned long long)getpid()) return 0;
    char *end = NULL;
    errno = 0;
    unsigned long long us = strtoull(period, &end, 10);
    if (errno != 0 || end == period || *end != '\0' || us > UINT64_MAX / NS_PER_US) return 0;
    return us * NS_PER_US;
}
