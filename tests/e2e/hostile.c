#include "groups.h"
#include "harness.h"

#include <errno.h>
#include <nng/nng.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define MESSAGE_BYTES (POINTS * 12 + 4096)
#define RANDOM_MESSAGES 400
#define VANISHING_CLIENTS 40
#define MUTE_CLIENTS 2

static float cloud[POINTS * 3];
static unsigned char good[MESSAGE_BYTES];
static size_t good_size;

// Reproducible bytes (xorshift).
static unsigned next_random(void) {
    static unsigned state = 2463534242u;
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

#define BYTES(...)                                                                                 \
    (const unsigned char[]){__VA_ARGS__}, sizeof((const unsigned char[]){__VA_ARGS__})

static const struct {
    const char *name;
    const unsigned char *bytes;
    size_t size;
    xnord_status status;
} malformed[] = {
    {"a lone nil", BYTES(0xc0), XNORD_INVALID},
    {"text", BYTES('G', 'E', 'T', ' ', '/'), XNORD_INVALID},
    {"an array of three", BYTES(0x93, 0xcd, 1, 0, 1, 2), XNORD_INVALID},
    {"trailing bytes", BYTES(0x94, 0xcd, 1, 0, 1, 2, 0x80, 0xc0), XNORD_INVALID},
    {"a key twice", BYTES(0x94, 0xcd, 1, 0, 2, 2, 0x82, 0xa1, 'a', 1, 0xa1, 'a', 1), XNORD_INVALID},
    {"the same known key twice",
     BYTES(0x94, 0xcd, 1, 0, 8, 2, 0x82, 0xa5, 'r', 'e', 'a', 'd', 'y', 0xc3, 0xa5, 'r', 'e', 'a',
           'd', 'y', 0xc3),
     XNORD_INVALID},
    {"a bomb of 2^32 - 1 objects", BYTES(0x94, 0xcd, 1, 0, 1, 2, 0xdd, 255, 255, 255, 255),
     XNORD_INVALID},
    {"a map bomb", BYTES(0x94, 0xcd, 1, 0, 1, 2, 0xdf, 255, 255, 255, 255), XNORD_INVALID},
    {"a bin of 4 GiB", BYTES(0x94, 0xcd, 1, 0, 1, 2, 0x81, 0xa1, 'a', 0xc6, 255, 255, 255, 255),
     XNORD_INVALID},
    {"an ext type", BYTES(0x94, 0xcd, 1, 0, 1, 2, 0x81, 0xa1, 'a', 0xd4, 1, 1), XNORD_INVALID},
    {"the byte c1", BYTES(0x94, 0xcd, 1, 0, 1, 2, 0xc1), XNORD_INVALID},
    {"a negative id", BYTES(0x94, 0xcd, 1, 0, 1, 0xff, 0x80), XNORD_INVALID},
    {"another major version", BYTES(0x94, 0xcd, 2, 0, 1, 2, 0x80), XNORD_UNSUPPORTED},
    {"operation 17", BYTES(0x94, 0xcd, 1, 0, 17, 2, 0x80), XNORD_UNSUPPORTED},
    {"operation 2^64 - 1",
     BYTES(0x94, 0xcd, 1, 0, 0xcf, 255, 255, 255, 255, 255, 255, 255, 255, 2, 0x80), XNORD_INVALID},
};

static void test_table(const struct daemon *daemon) {
    begin_test("malformed messages are answered with a reason");
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
        struct answer answer = exchange(daemon, malformed[i].bytes, malformed[i].size);
        check(answer.error == 0 && answer.status == malformed[i].status && answer.detail[0] != '\0',
              "%s: %s %s %s", malformed[i].name, nng_strerror(answer.error),
              xnord_status_name(answer.status), answer.detail);
    }
    struct answer answer = exchange(daemon, "", 0);
    check(answer.error == 0 && answer.status == XNORD_INVALID, "an empty message: %s %s",
          nng_strerror(answer.error), xnord_status_name(answer.status));
    unsigned char nested[300];
    memset(nested, 0x91, sizeof nested);
    answer = exchange(daemon, nested, sizeof nested);
    check(answer.error == 0 && answer.status == XNORD_INVALID, "nested arrays: %s %s",
          nng_strerror(answer.error), xnord_status_name(answer.status));
    check_serves(daemon, "malformed messages");
}

static void test_truncated(const struct daemon *daemon) {
    begin_test("every truncation of a good request is refused");
    for (size_t size = 0; size < good_size; size += size < 200 ? 1 : 997) {
        struct answer answer = exchange(daemon, good, size);
        if (!check(answer.error == 0 && answer.status == XNORD_INVALID, "%zu bytes: %s %s", size,
                   nng_strerror(answer.error), xnord_status_name(answer.status)))
            return;
    }
    check_serves(daemon, "truncated messages");
}

// A changed byte may give another good request; all that counts is one answer and no crash.
static void test_random(const struct daemon *daemon) {
    begin_test("random bytes and damaged requests get one answer each");
    static unsigned char message[MESSAGE_BYTES];
    for (int i = 0; i < RANDOM_MESSAGES; i++) {
        size_t size = good_size;
        if (i % 2 == 0) {
            size = 1 + next_random() % 200;
            for (size_t k = 0; k < size; k++) message[k] = (unsigned char)next_random();
        } else {
            memcpy(message, good, good_size);
            for (int k = 0; k < 3; k++) message[next_random() % 120] = (unsigned char)next_random();
        }
        struct answer answer = exchange(daemon, message, size);
        if (!check(answer.error == 0, "message %d: %s %s", i, nng_strerror(answer.error),
                   answer.detail))
            return;
    }
    check_serves(daemon, "random messages");
}

static int connect_raw(const struct daemon *daemon) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%.100s", daemon->socket);
    check(connect(fd, (struct sockaddr *)&address, sizeof address) == 0, "cannot connect");
    return fd;
}

static void send_raw(int fd, const void *data, size_t size) {
    ssize_t sent = send(fd, data, size, MSG_NOSIGNAL); // the daemon may have hung up already
    (void)sent;
}

// Greeting of a REQ socket in the scalability protocols.
static const unsigned char greeting[8] = {0, 'S', 'P', 0, 0, 0x30, 0, 0};

static void send_frame(int fd, uint64_t announced, const void *data, size_t size) {
    unsigned char head[13] = {1};
    for (int i = 0; i < 8; i++) head[1 + i] = (unsigned char)(announced >> (56 - 8 * i));
    head[9] = 0x80; // request id
    send_raw(fd, head, sizeof head);
    send_raw(fd, data, size);
}

static uint64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void test_socket_garbage(const struct daemon *daemon) {
    begin_test("bytes that are not even the transport's protocol are dropped");
    for (int i = 0; i < 30; i++) {
        unsigned char noise[512];
        for (size_t k = 0; k < sizeof noise; k++) noise[k] = (unsigned char)next_random();
        int fd = connect_raw(daemon);
        send_raw(fd, noise, 1 + next_random() % sizeof noise);
        close(fd);
    }
    int silent = connect_raw(daemon), half = connect_raw(daemon), liar = connect_raw(daemon);
    int wrong = connect_raw(daemon);
    send_raw(half, greeting, 3);
    send_raw(liar, greeting, sizeof greeting);
    send_frame(liar, UINT64_MAX, "x", 1);
    unsigned char other[8];
    memcpy(other, greeting, sizeof other);
    other[5] = 0x20; // a PUB socket
    send_raw(wrong, other, sizeof other);
    check_serves_again(daemon, "garbage on the socket, while bad connections stay open");
    close(silent);
    close(half);
    close(liar);
    close(wrong);
    check_serves(daemon, "garbage on the socket");
}

// nng up to 1.5.2 stops accepting then; the daemon must notice.
static void test_hang_up(const struct daemon *daemon) {
    begin_test("clients that hang up before the greeting do not lock the others out");
    for (int i = 0; i < 20; i++) close(connect_raw(daemon));
    check_serves_again(daemon, "clients that hung up");
    sleep_ms(2500);
    check_serves(daemon, "the daemon recovered");
}

static void test_vanishing(const struct daemon *daemon) {
    begin_test("clients that vanish in the middle of a request leave nothing behind");
    for (int i = 0; i < VANISHING_CLIENTS; i++) {
        int fd = connect_raw(daemon);
        unsigned char reply[8];
        send_raw(fd, greeting, sizeof greeting);
        ssize_t got = recv(fd, reply, sizeof reply, MSG_WAITALL); // the daemon's greeting
        check(got == (ssize_t)sizeof reply, "no greeting");
        size_t part = i % 2 == 0 ? good_size : good_size / 2;
        send_frame(fd, 4 + good_size, good, part);
        if (i % 4 == 0) sleep_ms(2);
        close(fd);
    }
    check_serves(daemon, "clients that vanished");
}

struct mute {
    const struct daemon *daemon;
    atomic_bool stop;
};

// Asks without end and never reads an answer.
static void *ask_and_never_read(void *argument) {
    struct mute *mute = argument;
    unsigned char frame[256] = {1, [9] = 0x80};
    xnord_proto_request request = {
        .ver = XNORD_PROTO_VERSION, .op = XNORD_OP_SERVER_METADATA, .id = 1};
    size_t size = request_encode(&request, frame + 13, sizeof frame - 13);
    frame[8] = (unsigned char)(4 + size);
    int fd = connect_raw(mute->daemon);
    struct timeval timeout = {.tv_usec = 100000};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    send_raw(fd, greeting, sizeof greeting);
    bool up = true;
    while (up && !atomic_load(&mute->stop))
        up = send(fd, frame, 13 + size, MSG_NOSIGNAL) >= 0 || errno == EAGAIN;
    close(fd);
    return NULL;
}

static void test_mute(const struct daemon *daemon) {
    begin_test("clients that never read their answers do not keep the others waiting");
    struct mute mute = {.daemon = daemon};
    pthread_t threads[MUTE_CLIENTS];
    xnord_client *client = client_open(daemon);
    xnord_tensor input = xnord_cloud_tensor(input_name(), cloud, POINTS);
    xnord_infer_request request = {.model = MODEL, .input_count = 1, .inputs = &input, .top_k = 1};
    for (int i = 0; i < MUTE_CLIENTS; i++)
        pthread_create(&threads[i], NULL, ask_and_never_read, &mute);
    uint64_t longest_ms = 0, end_ms = now_ms() + 3000;
    unsigned served = 0;
    while (now_ms() < end_ms) {
        xnord_result *result = NULL;
        uint64_t before_ms = now_ms();
        xnord_status status = xnord_infer(client, &request, &result);
        uint64_t took_ms = now_ms() - before_ms;
        if (took_ms > longest_ms) longest_ms = took_ms;
        if (!check(status == XNORD_OK, "%s", xnord_last_error())) break;
        xnord_result_free(&result);
        served++;
    }
    atomic_store(&mute.stop, true);
    for (int i = 0; i < MUTE_CLIENTS; i++) pthread_join(threads[i], NULL);
    xnord_client_close(&client);
    printf("   %u served, the longest took %u ms\n", served, (unsigned)longest_ms);
    check(served > 0 && longest_ms < 4000, "one answer took %u ms", (unsigned)longest_ms);
    check_serves(daemon, "clients that never read");
}

// nng loses the memory of connections and listeners that broke during the greeting.
static void ignore_leaks_of_nng(const struct daemon *daemon) {
    char path[128], option[200];
    snprintf(path, sizeof path, "%s/suppressions", daemon->directory);
    FILE *file = fopen(path, "w");
    if (!check(file != NULL, "cannot write %s", path)) return;
    fputs("leak:libnng.so\n", file);
    fclose(file);
    snprintf(option, sizeof option, "suppressions=%s:print_suppressions=0", path);
    setenv("LSAN_OPTIONS", option, 1);
}

void test_hostile(void) {
    struct daemon daemon = {0};
    xnord_proto_request request;
    daemon_prepare(&daemon);
    ignore_leaks_of_nng(&daemon);
    daemon_start(&daemon, "");
    unsetenv("LSAN_OPTIONS");
    make_cloud(cloud, POINTS, 2);
    request_cloud(&request, cloud, POINTS);
    good_size = request_encode(&request, good, sizeof good);
    test_table(&daemon);
    test_truncated(&daemon);
    test_random(&daemon);
    test_socket_garbage(&daemon);
    test_hang_up(&daemon);
    test_vanishing(&daemon);
    test_mute(&daemon);
    check(log_has(&daemon, "event=\"request refused\""), "malformed messages are not in the log");
    daemon_end(&daemon);
    check(log_number(&daemon, "malformed") >= 200, "%lld malformed messages counted",
          log_number(&daemon, "malformed"));
    check(log_number(&daemon, "undeliverable") > 100, "%lld replies were dropped",
          log_number(&daemon, "undeliverable"));
    daemon_remove(&daemon);
}
