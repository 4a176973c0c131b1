#include "xnord_fake.h"

#include <criterion/criterion.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto.h"

#define THREADS 4

// Shared with the process of the server.
struct fake {
    fake_options options;
    pid_t parent;
    pid_t process;
    char url[80];
    nng_socket socket;
    atomic_bool listening;
    atomic_uint counts[64];
};

static char directory[] = "/tmp/xnord-test-XXXXXX";
static char path[64];
static char url[80];

static void remove_directory(void) {
    unlink(path);
    rmdir(directory);
}

const char *fake_url(void) {
    if (url[0]) return url;
    cr_assert(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/infer.sock", directory);
    snprintf(url, sizeof url, "ipc://%s", path);
    atexit(remove_directory);
    return url;
}

const char *fake_path(void) {
    fake_url();
    return path;
}

static xnord_proto_str str(const char *text) {
    return xnord_proto_str_from(text);
}

static size_t refuse(uint64_t id, xnord_status status, const char *detail, uint64_t retry_ms,
                     void *buffer, size_t capacity) {
    xnord_proto_reply reply = {
        .status = status, .id = id, .detail = str(detail), .retry_ms = retry_ms};
    return xnord_proto_encode_error_reply(&reply, buffer, capacity);
}

static size_t answer_infer(const xnord_proto_request *in, void *buffer, size_t capacity) {
    static const char *const names[] = {"chair", "sofa", "table"};
    if (xnord_proto_str_equal(in->model, "silent")) return 0;
    if (xnord_proto_str_equal(in->model, "late")) usleep(200000);
    if (xnord_proto_str_equal(in->model, "garbage")) {
        memset(buffer, 0xc1, 10);
        return 10;
    }
    if (xnord_proto_str_equal(in->model, "busy")) {
        return refuse(in->id, XNORD_BUSY, "queue of 8 is full", 20, buffer, capacity);
    }
    xnord_proto_infer_reply reply = {.model = in->model, .version = str("7"), .t = {11, 22, 44}};
    if (in->params.top_k == 0) {
        reply.output_count = in->input_count;
        memcpy(reply.outputs, in->inputs, sizeof reply.outputs);
    }
    reply.label_count = in->params.top_k < 3 ? in->params.top_k : 3;
    for (uint32_t i = 0; i < reply.label_count; i++) {
        reply.labels[i] = (xnord_proto_label){i, str(names[i]), 0.5f / (float)(i + 1)};
    }
    uint64_t id = in->id + xnord_proto_str_equal(in->model, "stranger");
    return xnord_proto_encode_infer_reply(id, &reply, buffer, capacity);
}

static size_t answer_metadata(const xnord_proto_request *in, void *buffer, size_t capacity) {
    static xnord_proto_model_metadata reply = {
        .input_count = 1,
        .inputs = {{.datatype = XNORD_FP32, .rank = 3, .shape = {1, -1, 3}}},
        .output_count = 1,
        .outputs = {{.datatype = XNORD_FP32, .rank = 2, .shape = {1, 3}}},
        .file_bytes = 530000,
        .version_count = 2,
        .has_cloud = true,
        .class_count = 3,
    };
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    if (!xnord_proto_str_equal(in->model, "echo")) {
        return refuse(in->id, XNORD_NOT_FOUND, "no model of that name", 0, buffer, capacity);
    }
    pthread_mutex_lock(&lock);
    reply.name = str("echo");
    reply.version = str("7");
    reply.versions[0] = str("7"), reply.versions[1] = str("6");
    reply.platform = str("xnor");
    reply.isa = str("c");
    reply.task = str("classification");
    reply.inputs[0].name = reply.cloud.input = str("points");
    reply.outputs[0].name = str("scores");
    reply.cloud.points = 1024;
    reply.cloud.max_points = 100000;
    reply.classes[0] = str("chair"), reply.classes[1] = str("sofa"),
    reply.classes[2] = str("table");
    size_t size = xnord_proto_encode_model_metadata_reply(in->id, &reply, buffer, capacity);
    pthread_mutex_unlock(&lock);
    return size;
}

static size_t answer_stats(const xnord_proto_request *in, void *buffer, size_t capacity) {
    xnord_proto_model_stats *reply = calloc(1, sizeof *reply);
    reply->edge_count = 2;
    reply->edges_us[0] = 100, reply->edges_us[1] = 1000;
    reply->model_count = 1;
    xnord_proto_model_counters *m = &reply->models[0];
    m->name = str("echo");
    m->status_count = 5;
    m->statuses[XNORD_OK] = in->reset ? 1 : 10;
    m->statuses[XNORD_BUSY] = 3;
    m->total = (xnord_proto_stage){.sum_us = 5000, .max_us = 2500, .bucket_count = 3};
    m->total.counts[0] = 5, m->total.counts[1] = 4, m->total.counts[2] = 1;
    size_t size = xnord_proto_encode_model_stats_reply(in->id, reply, buffer, capacity);
    free(reply);
    return size;
}

static size_t answer_index(const xnord_proto_request *in, void *buffer, size_t capacity) {
    xnord_proto_model_index *reply = calloc(1, sizeof *reply);
    reply->model_count = in->ready ? 1 : 2;
    reply->models[0] = (xnord_proto_model_entry){str("echo"), str("7"), str("READY"), .since_ns = 5,
                                                 .file_bytes = 530000};
    reply->models[1] =
        (xnord_proto_model_entry){str("broken"), {0}, str("FAILED"), .reason = str("section 3")};
    size_t size = xnord_proto_encode_model_index_reply(in->id, reply, buffer, capacity);
    free(reply);
    return size;
}

static size_t answer_hello(const fake *server, const xnord_proto_request *in, void *buffer,
                           size_t capacity) {
    if (server->options.deaf) return 0;
    xnord_proto_hello reply = {
        .server = str("fake"),
        .version = str("1"),
        .proto = {server->options.major * 256, server->options.major * 256},
        .proto_count = 2,
        .limits = {server->options.max_message, 16, 8, 1024, 64},
    };
    return xnord_proto_encode_hello_reply(in->id, &reply, buffer, capacity);
}

// 0: no answer.
static size_t answer(const fake *server, const xnord_proto_request *in, void *buffer,
                     size_t capacity) {
    xnord_proto_live live = {true};
    xnord_proto_ready ready = {.ready = in->model.size == 0,
                               .state = str(in->model.size ? "LOADING" : "READY"),
                               .reason = str(in->model.size ? "warming" : NULL),
                               .since_ns = 99};
    xnord_proto_server_metadata metadata = {.name = str("fake"),
                                            .version = str("1"),
                                            .extension_count = 1,
                                            .extensions = {str("x.y1")},
                                            .isa = str("c"),
                                            .cores = 4,
                                            .workers = 2,
                                            .since_ns = 77};
    switch (in->op) {
    case XNORD_OP_HELLO:
        return answer_hello(server, in, buffer, capacity);
    case XNORD_OP_LIVE:
        return xnord_proto_encode_live_reply(in->id, &live, buffer, capacity);
    case XNORD_OP_READY:
        return xnord_proto_encode_ready_reply(in->id, &ready, buffer, capacity);
    case XNORD_OP_SERVER_METADATA:
        return xnord_proto_encode_server_metadata_reply(in->id, &metadata, buffer, capacity);
    case XNORD_OP_MODEL_INDEX:
        return answer_index(in, buffer, capacity);
    case XNORD_OP_MODEL_METADATA:
        return answer_metadata(in, buffer, capacity);
    case XNORD_OP_MODEL_STATS:
        return answer_stats(in, buffer, capacity);
    default:
        return answer_infer(in, buffer, capacity);
    }
}

static void serve_one(fake *server, nng_ctx context, nng_aio *aio, nng_msg *message) {
    xnord_proto_request request;
    xnord_proto_error error;
    xnord_status status =
        xnord_proto_decode_request(nng_msg_body(message), nng_msg_len(message), &request, &error);
    size_t capacity = nng_msg_len(message) + XNORD_PROTO_INFER_OVERHEAD, size;
    nng_msg *reply;
    nng_msg_alloc(&reply, capacity);
    if (request.op < 64) atomic_fetch_add(&server->counts[request.op], 1);
    size = status == XNORD_OK
               ? answer(server, &request, nng_msg_body(reply), capacity)
               : refuse(request.id, status, error.text, 0, nng_msg_body(reply), capacity);
    if (size == 0) {
        nng_msg_free(reply);
        return;
    }
    nng_msg_chop(reply, capacity - size);
    nng_aio_set_msg(aio, reply);
    nng_ctx_send(context, aio);
    nng_aio_wait(aio);
    if (nng_aio_result(aio) != 0) nng_msg_free(reply);
}

static void *serve(void *argument) {
    fake *server = argument;
    nng_ctx context;
    nng_aio *aio;
    if (nng_ctx_open(&context, server->socket) != 0) return NULL;
    nng_aio_alloc(&aio, NULL, NULL);
    for (;;) {
        nng_ctx_recv(context, aio);
        nng_aio_wait(aio);
        if (nng_aio_result(aio) != 0) break;
        nng_msg *message = nng_aio_get_msg(aio);
        serve_one(server, context, aio, message);
        nng_msg_free(message);
    }
    nng_ctx_close(context);
    nng_aio_free(aio);
    return NULL;
}

static void run(fake *server) {
    pthread_t threads[THREADS];
    bool ok = nng_rep0_open(&server->socket) == 0;
    // nng counts its request id of 4 bytes.
    size_t max = server->options.max_message + 4;
    ok = ok && nng_socket_set_size(server->socket, NNG_OPT_RECVMAXSZ, max) == 0;
    ok = ok && nng_listen(server->socket, server->url, NULL, 0) == 0;
    if (!ok) _exit(1);
    for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, serve, server);
    atomic_store(&server->listening, true);
    for (;;) pause();
}

static fake *map(int fd) {
    fake *server = mmap(NULL, sizeof *server, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return server == MAP_FAILED ? NULL : server;
}

// The test program started again as the server: Criterion uses nng itself, and nng does not survive
// a fork without exec.
__attribute__((constructor)) static void become_server(void) {
    const char *fd = getenv("XNORD_FAKE_FD");
    if (!fd) return;
    fake *server = map(atoi(fd));
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (!server || getppid() != server->parent) _exit(1);
    run(server);
}

fake *fake_start(fake_options options) {
    char fd_text[32];
    int fd = memfd_create("xnord-fake", 0);
    cr_assert(fd >= 0 && ftruncate(fd, sizeof(fake)) == 0);
    fake *server = map(fd);
    cr_assert(server);
    server->options = options;
    if (!options.max_message) server->options.max_message = 1 << 20;
    if (!options.major) server->options.major = 1;
    server->parent = getpid();
    snprintf(server->url, sizeof server->url, "%s", fake_url());
    snprintf(fd_text, sizeof fd_text, "XNORD_FAKE_FD=%d", fd);
    char name[] = "xnord-fake";
    char *arguments[] = {name, NULL}, *environment[] = {fd_text, NULL};
    pid_t process;
    cr_assert_eq(posix_spawn(&process, "/proc/self/exe", NULL, NULL, arguments, environment), 0);
    server->process = process;
    close(fd);
    while (!atomic_load(&server->listening)) {
        usleep(1000);
        cr_assert_eq(waitpid(process, NULL, WNOHANG), 0, "the server has ended");
    }
    return server;
}

void fake_stop(fake *server) {
    kill(server->process, SIGKILL);
    waitpid(server->process, NULL, 0);
    munmap(server, sizeof *server);
}

unsigned fake_count(const fake *server, xnord_op op) {
    return atomic_load(&server->counts[op]);
}
