// Connecting: every way in which a daemon can be absent ends quickly with a reason.
#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "xnord_fake.h"

static double now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

// Opens, expects `status`, and returns the milliseconds it took.
static double open_fails(const char *url, const xnord_options *options, xnord_status status) {
    xnord_client *client = NULL;
    double start = now_ms();
    xnord_status found = xnord_client_open(url, options, &client);
    double took = now_ms() - start;
    cr_assert_eq(found, status, "%s: %s", xnord_status_name(found), xnord_last_error());
    cr_assert_null(client);
    cr_assert_str_neq(xnord_last_error(), "");
    return took;
}

static int listen_raw(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, fake_path(), sizeof address.sun_path - 1);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(listen(fd, 1), 0);
    return fd;
}

Test(xnord_connect, missing_daemon_is_reported_at_once) {
    cr_assert_lt(open_fails(fake_url(), NULL, XNORD_E_CONNECT), 300);
    cr_assert(strstr(xnord_last_error(), fake_path()), "%s", xnord_last_error());
    cr_assert(strstr(xnord_last_error(), "is xnord running?"), "%s", xnord_last_error());
}

Test(xnord_connect, socket_of_a_dead_daemon_is_reported_quickly) {
    close(listen_raw());
    cr_assert_lt(open_fails(fake_url(), NULL, XNORD_E_CONNECT), 500);
    cr_assert(strstr(xnord_last_error(), "nobody listens"), "%s", xnord_last_error());
}

Test(xnord_connect, file_that_is_no_socket_is_reported) {
    close(open(fake_path(), O_CREAT | O_RDWR, 0600));
    open_fails(fake_url(), NULL, XNORD_E_CONNECT);
    cr_assert(strstr(xnord_last_error(), "not a socket"), "%s", xnord_last_error());
}

Test(xnord_connect, lack_of_permission_is_reported) {
    int fd = listen_raw();
    chmod(fake_path(), 0400);
    char *directory = strdup(fake_path());
    *strrchr(directory, '/') = '\0';
    chmod(directory, 0755);
    free(directory);
    uid_t self = geteuid();
    if (self == 0) cr_assert_eq(seteuid(65534), 0); // root may connect to everything
    cr_assert_lt(open_fails(fake_url(), NULL, XNORD_E_CONNECT), 300);
    cr_assert(strstr(xnord_last_error(), "group"), "%s", xnord_last_error());
    cr_assert_eq(seteuid(self), 0);
    close(fd);
}

Test(xnord_connect, listener_that_does_not_accept_times_out) {
    int fd = listen_raw();
    double took =
        open_fails(fake_url(), &(xnord_options){.connect_timeout_ms = 150}, XNORD_E_CONNECT);
    cr_assert(took > 100 && took < 2000, "%f ms", took);
    close(fd);
}

Test(xnord_connect, server_that_does_not_greet_times_out) {
    fake *server = fake_start((fake_options){.deaf = true});
    double took = open_fails(fake_url(), &(xnord_options){.timeout_ms = 150}, XNORD_E_TIMEOUT);
    cr_assert(took > 100 && took < 2000, "%f ms", took);
    fake_stop(server);
}

Test(xnord_connect, other_major_version_is_refused) {
    fake *server = fake_start((fake_options){.major = 2});
    open_fails(fake_url(), NULL, XNORD_E_PROTOCOL);
    cr_assert(strstr(xnord_last_error(), "2.0"), "%s", xnord_last_error());
    fake_stop(server);
}

Test(xnord_connect, path_and_environment_are_urls_too) {
    fake *server = fake_start((fake_options){.max_message = 12345});
    xnord_client *client;
    cr_assert_eq(xnord_client_open(fake_path(), NULL, &client), XNORD_OK);
    cr_assert_str_eq(xnord_client_url(client), fake_url());
    cr_assert_eq(xnord_client_max_message(client), 12345);
    xnord_client_close(&client);
    cr_assert_null(client);
    setenv("XNORD_SOCKET", fake_path(), 1);
    cr_assert_eq(xnord_client_open(NULL, NULL, &client), XNORD_OK);
    cr_assert_str_eq(xnord_client_url(client), fake_url());
    xnord_client_close(&client);
    fake_stop(server);
}

Test(xnord_connect, default_url_follows_the_environment) {
    char url[256];
    unsetenv("XNORD_SOCKET");
    unsetenv("XDG_RUNTIME_DIR");
    cr_assert_eq(xnord_default_url(url, sizeof url), XNORD_OK);
    cr_assert_str_eq(url, "ipc:///run/xnord/infer.sock");
    setenv("XDG_RUNTIME_DIR", "/nonexistent", 1);
    cr_assert_eq(xnord_default_url(url, sizeof url), XNORD_OK);
    cr_assert_str_eq(url, "ipc:///run/xnord/infer.sock");
    setenv("XNORD_SOCKET", "ipc:///a/b", 1);
    cr_assert_eq(xnord_default_url(url, sizeof url), XNORD_OK);
    cr_assert_str_eq(url, "ipc:///a/b");
    cr_assert_eq(xnord_default_url(url, 5), XNORD_E_ARGUMENT);
}

static xnord_tensor one_byte(void) {
    return (xnord_tensor){"x", XNORD_UINT8, 1, {1}, "a", 1, 0};
}

static void *stop_after_100_ms(void *server) {
    usleep(100000);
    fake_stop(server);
    return NULL;
}

// A vanished daemon ends what is under way, the next call fails quickly, and a new daemon is
// greeted anew. The request that was lost is not sent again.
Test(xnord_connect, daemon_may_vanish_and_come_back, .timeout = 30) {
    fake *server = fake_start((fake_options){0});
    xnord_client *client;
    cr_assert_eq(xnord_client_open(fake_url(), NULL, &client), XNORD_OK);
    pthread_t stopper;
    pthread_create(&stopper, NULL, stop_after_100_ms, server);
    xnord_tensor tensor = one_byte();
    xnord_infer_request request = {.model = "silent", .input_count = 1, .inputs = &tensor};
    xnord_result *result = NULL;
    double start = now_ms();
    xnord_status status = xnord_infer(client, &request, &result);
    cr_assert_eq(status, XNORD_E_DISCONNECTED, "%s", xnord_last_error());
    cr_assert_lt(now_ms() - start, 2000);
    pthread_join(stopper, NULL);

    start = now_ms();
    status = xnord_infer(client, &request, &result);
    cr_assert_eq(status, XNORD_E_CONNECT, "%s", xnord_last_error());
    cr_assert_lt(now_ms() - start, 500);

    server = fake_start((fake_options){.max_message = 4321});
    cr_assert_eq(xnord_live(client), XNORD_OK, "%s", xnord_last_error());
    cr_assert_eq(xnord_client_max_message(client), 4321);
    usleep(200000);
    cr_assert_eq(fake_count(server, XNORD_OP_INFER), 0);
    cr_assert_eq(fake_count(server, XNORD_OP_HELLO), 1);
    xnord_client_close(&client);
    fake_stop(server);
}
