#include "paths.h"

#include "endpoint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

xnor_status paths_default_url(char *url, size_t size, struct reason *why) {
    const char *service = getenv("RUNTIME_DIRECTORY");
    const char *session = getenv("XDG_RUNTIME_DIR");
    int length;
    if (service != NULL && service[0] == '/') // several are separated by colons, ours is first
        length = snprintf(url, size, "ipc://%.*s/infer.sock", (int)strcspn(service, ":"), service);
    else if (geteuid() == 0)
        length = snprintf(url, size, "ipc:///run/xnord/infer.sock");
    else if (session != NULL && session[0] == '/')
        length = snprintf(url, size, "ipc://%s/xnord/infer.sock", session);
    else
        return reason_set(why, XNOR_E_NOT_FOUND,
                          "no place for the socket: XDG_RUNTIME_DIR is not set; name one with "
                          "--socket ipc:///PATH or 'listen' in the configuration");
    if (length < 0 || (size_t)length >= size)
        return reason_set(why, XNOR_E_LIMIT,
                          "the default socket path has %d bytes, at most %zu fit", length,
                          size - 1);
    return XNOR_OK;
}

xnor_status paths_prepare(const char *url, struct reason *why) {
    static const char scheme[] = "ipc://";
    char directory[ENDPOINT_PATH_BYTES - ENDPOINT_SUFFIX_BYTES];
    if (strncmp(url, scheme, sizeof scheme - 1) != 0) return XNOR_OK;
    const char *path = url + sizeof scheme - 1;
    if (strlen(path) >= sizeof directory)
        return reason_set(why, XNOR_E_LIMIT, "%s: a socket path has at most %zu bytes, found %zu",
                          url, sizeof directory - 1, strlen(path));
    strcpy(directory, path);
    char *slash = strrchr(directory, '/');
    if (slash == NULL || slash == directory) return XNOR_OK;
    *slash = '\0';
    if (mkdir(directory, 0750) == 0 || errno == EEXIST) return XNOR_OK;
    return reason_set(why, XNOR_E_IO, "%s: cannot make the socket's directory: %s", directory,
                      strerror(errno));
}
