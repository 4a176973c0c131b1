#include "address.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "failure.h"

static const char scheme[] = "ipc://";
static const char system_url[] = "ipc:///run/xnord/infer.sock";

static xnord_status write_url(char *url, size_t size, const char *address) {
    const char *prefix = address[0] == '/' ? scheme : "";
    int length = snprintf(url, size, "%s%s", prefix, address);
    if (length > 0 && (size_t)length < size) return XNORD_OK;
    return xnord_fail(XNORD_E_ARGUMENT, "url: expected 1 to %zu bytes, found %d", size - 1, length);
}

xnord_status xnord_default_url(char *url, size_t size) {
    const char *configured = getenv("XNORD_SOCKET");
    if (configured && configured[0]) return write_url(url, size, configured);
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    if (geteuid() != 0 && runtime && runtime[0] == '/') {
        char path[XNORD_URL_BYTES];
        int length = snprintf(path, sizeof path, "%s/xnord/infer.sock", runtime);
        if ((size_t)length < sizeof path && access(path, F_OK) == 0) {
            return write_url(url, size, path);
        }
    }
    return write_url(url, size, system_url);
}

xnord_status xnord_address_resolve(const char *address, char *url) {
    if (!address) return xnord_default_url(url, XNORD_URL_BYTES);
    return write_url(url, XNORD_URL_BYTES, address);
}

const char *xnord_address_path(const char *url) {
    size_t prefix = sizeof scheme - 1;
    return strncmp(url, scheme, prefix) == 0 ? url + prefix : NULL;
}

static xnord_status fail_connect(const char *url, int reason) {
    const char *hint = "";
    if (reason == ENOENT) hint = "; is xnord running?";
    if (reason == ECONNREFUSED) hint = "; nobody listens on the socket any more";
    if (reason == EACCES) hint = "; is this user in the socket's group?";
    return xnord_fail(XNORD_E_CONNECT, "%s: %s%s", url, strerror(reason), hint);
}

xnord_status xnord_address_check(const char *url) {
    const char *path = xnord_address_path(url);
    if (!path) return XNORD_OK;
    struct stat info;
    if (stat(path, &info) != 0) return fail_connect(url, errno);
    if (!S_ISSOCK(info.st_mode)) {
        return xnord_fail(XNORD_E_CONNECT, "%s: not a socket", url);
    }
    // Connecting needs the right to write. The effective user counts, as in connect.
    if (faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) != 0) return fail_connect(url, errno);
    return XNORD_OK;
}

// The opening of nng's protocol, with REQ's number. A visitor who hangs up before the server has
// sent its own opening makes nng 1.5.2 stop accepting for ever (EPIPE is taken for the listener's
// own end), so we stay until it has.
static void visit(int fd, int timeout_ms) {
    static const char opening[8] = {0, 'S', 'P', 0, 0, 0x30, 0, 0};
    char answer[sizeof opening];
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    if (send(fd, opening, sizeof opening, MSG_NOSIGNAL) != sizeof opening) return;
    if (poll(&readable, 1, timeout_ms) != 1) return;
    if (recv(fd, answer, sizeof answer, 0) < 0) return;
}

xnord_status xnord_address_probe(const char *url, uint32_t timeout_ms) {
    XNORD_TRY(xnord_address_check(url));
    const char *path = xnord_address_path(url);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!path || strlen(path) >= sizeof address.sun_path) return XNORD_OK;
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return XNORD_OK;
    int failure = connect(fd, (struct sockaddr *)&address, sizeof address) == 0 ? 0 : errno;
    if (failure == 0) visit(fd, timeout_ms < INT32_MAX ? (int)timeout_ms : INT32_MAX);
    close(fd);
    // EAGAIN: somebody listens, but accepts too slowly.
    return failure == 0 || failure == EAGAIN ? XNORD_OK : fail_connect(url, failure);
}
