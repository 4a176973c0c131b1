// What the commands that talk to the daemon share.
#ifndef XNORCTL_CONNECT_H
#define XNORCTL_CONNECT_H

#include "clients/xnorctl/options.h"
#include "xnord.h"

#define SOCKET_OPTION(target_)                                                                     \
    {                                                                                              \
        .name = "socket", .kind = OPTION_TEXT, .target = (target_), .argument = "URL",             \
        .help = "where the daemon listens: ipc:///PATH or /PATH (see xnorctl(1))"                  \
    }
#define JSON_OPTION(target_)                                                                       \
    {                                                                                              \
        .name = "json", .kind = OPTION_FLAG, .target = (target_),                                  \
        .help = "print one JSON object per result"                                                 \
    }

// url NULL: the default. timeout_ms: longest wait for an answer, 0: 5 s. Returns XNORCTL_OK or, after saying why on stderr, XNORCTL_NO_DAEMON.
int daemon_connect(const char *url, uint32_t timeout_ms, xnord_client **out);
// Whether a new connection succeeds. Unlike a call on a client that has lost its connection, this
// tells at once that the daemon is gone.
bool daemon_is_there(const char *url);
// XNORCTL_NO_DAEMON if the status means that the daemon cannot be reached, else XNORCTL_FAILED.
int daemon_exit_code(xnord_status status);
// Prints the last error of libxnord after "what: " to stderr; returns daemon_exit_code(status).
int daemon_report(const char *what, xnord_status status);
// Seconds since a CLOCK_MONOTONIC time of this machine.
uint64_t daemon_age_s(uint64_t since_ns);

// "3 d 04:05:06", without the days if there are none.
typedef struct age_text {
    char text[32];
} age_text;
age_text daemon_format_age(uint64_t age_s);

#endif
