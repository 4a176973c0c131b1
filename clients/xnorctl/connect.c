#include "clients/xnorctl/connect.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "clients/xnorctl/commands.h"

int daemon_exit_code(xnord_status status) {
    switch (status) {
    case XNORD_E_CONNECT:
    case XNORD_E_DISCONNECTED:
    case XNORD_E_TIMEOUT:
    case XNORD_E_PROTOCOL:
    case XNORD_E_TRANSPORT:
        return XNORCTL_NO_DAEMON;
    default:
        return XNORCTL_FAILED;
    }
}

int daemon_report(const char *what, xnord_status status) {
    fprintf(stderr, "%s: %s\n", what, xnord_last_error());
    return daemon_exit_code(status);
}

int daemon_connect(const char *url, uint32_t timeout_ms, xnord_client **out) {
    const xnord_options options = {.client_name = "xnorctl", .timeout_ms = timeout_ms};
    const xnord_status status = xnord_client_open(url, &options, out);
    if (status == XNORD_OK) return XNORCTL_OK;
    fprintf(stderr, "xnorctl: cannot reach the daemon: %s\n", xnord_last_error());
    return status == XNORD_E_ARGUMENT ? XNORCTL_USAGE : XNORCTL_NO_DAEMON;
}

bool daemon_is_there(const char *url) {
    xnord_client *client = NULL;
    const bool there = xnord_client_open(url, NULL, &client) == XNORD_OK;
    xnord_client_close(&client);
    return there;
}

uint64_t daemon_age_s(uint64_t since_ns) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    const uint64_t now_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    return now_ns > since_ns ? (now_ns - since_ns) / 1000000000u : 0;
}

age_text daemon_format_age(uint64_t age_s) {
    age_text age;
    const uint64_t days = age_s / 86400, rest = age_s % 86400;
    int used = 0;
    if (days) used = snprintf(age.text, sizeof age.text, "%" PRIu64 " d ", days);
    snprintf(age.text + used, sizeof age.text - (size_t)used, "%02u:%02u:%02u",
             (unsigned)(rest / 3600), (unsigned)(rest / 60 % 60), (unsigned)(rest % 60));
    return age;
}
