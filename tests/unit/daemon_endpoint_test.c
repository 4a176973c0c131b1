// Ownership of a socket address, apart from the transport that serves there.
#include "daemon/endpoint.h"
#include "daemon/paths.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[64];
static char url[128];
static struct reason why;

static void make_directory(void) {
    strcpy(directory, "/tmp/xnord-endpoint-XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
    snprintf(url, sizeof url, "ipc://%s/s.sock", directory);
}

static void remove_directory(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    cr_assert_eq(system(command), 0);
}

static int listen_at(const char *private_url) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, private_url + strlen("ipc://"), sizeof address.sun_path - 1);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(listen(fd, 4), 0);
    return fd;
}

TestSuite(endpoint, .init = make_directory, .fini = remove_directory);

Test(endpoint, only_one_owner_at_a_time) {
    struct endpoint first, second;
    cr_assert_eq(endpoint_claim(&first, url, &why), XNOR_OK, "%s", why.text);
    cr_assert_eq(endpoint_claim(&second, url, &why), XNOR_E_IO);
    cr_assert_not_null(strstr(why.text, "in use by another xnord"));
    endpoint_release(&first);
    cr_assert_eq(endpoint_claim(&second, url, &why), XNOR_OK, "%s", why.text);
    endpoint_release(&second);
}

Test(endpoint, what_is_no_socket_is_left_alone) {
    struct endpoint endpoint;
    FILE *file = fopen(url + strlen("ipc://"), "w");
    fclose(file);
    cr_assert_eq(endpoint_claim(&endpoint, url, &why), XNOR_E_IO);
    cr_assert_eq(access(url + strlen("ipc://"), F_OK), 0);
}

Test(endpoint, a_new_listener_takes_the_public_path_over) {
    struct endpoint endpoint;
    char first[160], second[160];
    cr_assert_eq(endpoint_claim(&endpoint, url, &why), XNOR_OK);
    cr_assert_not(endpoint_greet(&endpoint), "nobody listens yet");
    endpoint_private_url(&endpoint, first, sizeof first);
    int old = listen_at(first);
    cr_assert_eq(endpoint_publish(&endpoint, &why), XNOR_OK, "%s", why.text);
    cr_assert(endpoint_greet(&endpoint));
    cr_assert_geq(accept(old, NULL, NULL), 0);

    endpoint_private_url(&endpoint, second, sizeof second);
    cr_assert_str_neq(first, second);
    int new = listen_at(second);
    cr_assert_eq(endpoint_publish(&endpoint, &why), XNOR_OK, "%s", why.text);
    cr_assert(endpoint_greet(&endpoint));
    unsigned char greeting[8];
    int connection = accept(new, NULL, NULL);
    cr_assert_eq(recv(connection, greeting, sizeof greeting, 0), 8);
    cr_assert_arr_eq(greeting, "\0SP\0\0\x30\0\0", 8);
    endpoint_release(&endpoint);
    cr_assert_neq(access(url + strlen("ipc://"), F_OK), 0, "the socket is removed");
    close(old);
    close(new);
}

Test(paths, makes_the_directory_of_a_socket) {
    char deep[160];
    struct stat status;
    make_directory();
    snprintf(deep, sizeof deep, "ipc://%s/run/s.sock", directory);
    cr_assert_eq(paths_prepare(deep, &why), XNOR_OK, "%s", why.text);
    snprintf(deep, sizeof deep, "%s/run", directory);
    cr_assert_eq(stat(deep, &status), 0);
    cr_assert_eq(status.st_mode & 0777, 0750);
    cr_assert_eq(paths_prepare("tcp://127.0.0.1:1", &why), XNOR_OK);
    remove_directory();
}

Test(paths, too_long_a_path_is_an_error_with_the_limit) {
    char path[200] = "ipc:///";
    memset(path + 7, 'x', 150);
    cr_assert_eq(paths_prepare(path, &why), XNOR_E_LIMIT);
    cr_assert_not_null(strstr(why.text, "at most 101 bytes, found 151"), "%s", why.text);
}

Test(paths, default_socket_follows_the_environment) {
    char found[128];
    setenv("RUNTIME_DIRECTORY", "/run/xnord:/run/other", 1);
    cr_assert_eq(paths_default_url(found, sizeof found, &why), XNOR_OK);
    cr_assert_str_eq(found, "ipc:///run/xnord/infer.sock");
    unsetenv("RUNTIME_DIRECTORY");
    setenv("XDG_RUNTIME_DIR", "/run/user/1000", 1);
    cr_assert_eq(paths_default_url(found, sizeof found, &why), XNOR_OK);
    cr_assert_str_eq(found, geteuid() == 0 ? "ipc:///run/xnord/infer.sock"
                                           : "ipc:///run/user/1000/xnord/infer.sock");
}
