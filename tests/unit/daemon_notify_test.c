// Notification of the service manager, and the log lines an operator reads.
#include "daemon/clock.h"
#include "daemon/log.h"
#include "daemon/notify.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int listen_at(const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(name);
    memcpy(address.sun_path, name, length);
    if (name[0] == '@') address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, size), 0);
    return fd;
}

static void assert_received(int fd, const char *expected) {
    char text[256] = "";
    cr_assert_geq(recv(fd, text, sizeof text - 1, MSG_DONTWAIT), 0);
    cr_assert_str_eq(text, expected);
}

Test(notify, without_a_manager_nothing_is_sent) {
    unsetenv("NOTIFY_SOCKET");
    cr_assert(notify_send("READY=1"));
}

Test(notify, sends_one_datagram_to_a_path) {
    char name[64];
    snprintf(name, sizeof name, "/tmp/xnord-notify-%d", (int)getpid());
    int fd = listen_at(name);
    setenv("NOTIFY_SOCKET", name, 1);
    cr_assert(notify_send("READY=1\nSTATUS=fine"));
    assert_received(fd, "READY=1\nSTATUS=fine");
    unlink(name);
}

Test(notify, sends_to_an_abstract_name) {
    char name[64];
    snprintf(name, sizeof name, "@xnord-notify-%d", (int)getpid());
    int fd = listen_at(name);
    setenv("NOTIFY_SOCKET", name, 1);
    cr_assert(notify_send("WATCHDOG=1"));
    assert_received(fd, "WATCHDOG=1");
}

Test(notify, says_when_the_manager_cannot_be_told) {
    setenv("NOTIFY_SOCKET", "/nonexistent/socket", 1);
    cr_assert_not(notify_send("READY=1"));
    setenv("NOTIFY_SOCKET", "relative", 1);
    cr_assert_not(notify_send("READY=1"));
}

Test(notify, watchdog_period_is_for_this_process_only) {
    char own[16];
    snprintf(own, sizeof own, "%d", (int)getpid());
    unsetenv("WATCHDOG_PID");
    unsetenv("WATCHDOG_USEC");
    cr_assert_eq(notify_watchdog_ns(), 0);
    setenv("WATCHDOG_USEC", "2000000", 1);
    cr_assert_eq(notify_watchdog_ns(), 2 * NS_PER_S);
    setenv("WATCHDOG_PID", "1", 1);
    cr_assert_eq(notify_watchdog_ns(), 0);
    setenv("WATCHDOG_PID", own, 1);
    cr_assert_eq(notify_watchdog_ns(), 2 * NS_PER_S);
    setenv("WATCHDOG_USEC", "2s", 1);
    cr_assert_eq(notify_watchdog_ns(), 0);
}

// Sends stderr into a pipe and returns the line that `write_log` wrote.
static void captured(void (*write_log)(void), char *line, size_t size) {
    int ends[2], saved = dup(STDERR_FILENO);
    cr_assert_eq(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    write_log();
    dup2(saved, STDERR_FILENO);
    close(ends[1]);
    ssize_t got = read(ends[0], line, size - 1);
    line[got > 0 ? got : 0] = '\0';
    close(ends[0]);
}

static void log_hostile(void) {
    log_warning("request refused", LOG_STRING("detail", "a=\"b\"\nlevel=error \xff"),
                LOG_INT("n", -3), LOG_UINT("u", UINT64_MAX));
}

static void log_quiet(void) {
    log_debug("nobody sees this", LOG_UINT("n", 1));
    log_info("end", LOG_STRING("empty", ""));
}

static void log_long(void) {
    static char text[5000];
    memset(text, 'x', sizeof text - 1);
    log_error("long", LOG_STRING("text", text));
}

Test(log, hostile_text_cannot_forge_a_line) {
    char line[2048];
    unsetenv("JOURNAL_STREAM");
    log_init(LOG_LEVEL_INFO);
    captured(log_hostile, line, sizeof line);
    cr_assert_eq(strncmp(line, "ts=", 3), 0);
    cr_assert_str_eq(
        strstr(line, " level="),
        " level=warning event=\"request refused\" detail=\"a=\\\"b\\\"\\x0alevel=error "
        "\\xff\" n=-3 u=18446744073709551615\n");
}

Test(log, less_important_events_are_left_out) {
    char line[2048];
    log_init(LOG_LEVEL_INFO);
    captured(log_quiet, line, sizeof line);
    cr_assert_str_eq(strstr(line, " level="), " level=info event=end empty=\"\"\n");
}

Test(log, long_lines_are_cut_and_end_properly) {
    char line[8192];
    log_init(LOG_LEVEL_INFO);
    captured(log_long, line, sizeof line);
    cr_assert_eq(strlen(line), 1024);
    cr_assert_eq(line[1023], '\n');
}

Test(log, limit_lets_a_burst_pass_and_tells_what_it_swallowed) {
    struct log_limit limit = {.burst = 2};
    uint64_t suppressed = 99;
    cr_assert(log_limit_pass(&limit, NS_PER_S, &suppressed));
    cr_assert_eq(suppressed, 0);
    cr_assert(log_limit_pass(&limit, NS_PER_S + 1, &suppressed));
    cr_assert_not(log_limit_pass(&limit, NS_PER_S + 2, &suppressed));
    cr_assert_not(log_limit_pass(&limit, 2 * NS_PER_S - 1, &suppressed));
    cr_assert(log_limit_pass(&limit, 2 * NS_PER_S, &suppressed));
    cr_assert_eq(suppressed, 2);
}
