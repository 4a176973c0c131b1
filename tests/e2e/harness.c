#include "harness.h"

#include <pthread.h>
#include <errno.h>
#include <fcntl.h>
#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static atomic_uint passed, failed;
static char port_names[2][64];

// ---- checks -------------------------------------------------------------------------------------

bool check_(bool good, const char *file, int line, const char *format, ...) {
    if (good) {
        atomic_fetch_add(&passed, 1);
        return true;
    }
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    atomic_fetch_add(&failed, 1);
    printf("FAIL %s:%d: %s\n", file, line, text);
    fflush(stdout);
    return false;
}

void begin_test(const char *name) {
    printf("-- %s\n", name);
    fflush(stdout);
}

int finish_tests(void) {
    printf("%u passed, %u failed\n", atomic_load(&passed), atomic_load(&failed));
    fflush(stdout);
    // Without nng's own clean-up, which waits for the sockets that close_later could not close.
    _exit(atomic_load(&failed) == 0 && atomic_load(&passed) > 0 ? 0 : 1);
}

__attribute__((noreturn, format(printf, 1, 2))) static void give_up(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n%u passed, %u failed\n", atomic_load(&passed), atomic_load(&failed) + 1);
    exit(1);
}

void sleep_ms(unsigned ms) {
    struct timespec time = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
    nanosleep(&time, NULL);
}

// ---- files --------------------------------------------------------------------------------------

static void *read_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    struct stat status;
    if (file == NULL || fstat(fileno(file), &status) != 0) give_up("%s: %s", path, strerror(errno));
    char *data = malloc((size_t)status.st_size + 1);
    *size = fread(data, 1, (size_t)status.st_size, file);
    data[*size] = '\0';
    fclose(file);
    return data;
}

static void write_file(const char *path, const void *data, size_t size) {
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(data, 1, size, file) != size) give_up("cannot write %s", path);
    fclose(file);
}

void *models_read(size_t *size) {
    char path[512];
    const char *models = getenv("XNORD_TEST_MODELS");
    if (models == NULL) give_up("XNORD_TEST_MODELS is not set");
    snprintf(path, sizeof path, "%s/" MODEL "/" MODEL ".xnor", models);
    return read_file(path, size);
}

void models_put(const struct daemon *daemon, const char *name, const void *data, size_t size) {
    char path[256], temporary[256];
    snprintf(path, sizeof path, "%s/%s", daemon->models, name);
    snprintf(temporary, sizeof temporary, "%s/.new", daemon->models);
    write_file(temporary, data, size);
    if (rename(temporary, path) != 0) give_up("cannot rename to %s", path);
}

bool models_put_made(const struct daemon *daemon, const char *name) {
    static char data[1 << 20];
    char path[1024], file_name[64];
    const char *folder = getenv("XNORD_TEST_SEGMENT");
    snprintf(path, sizeof path, "%s/%s.xnor", folder != NULL ? folder : "", name);
    FILE *file = fopen(path, "rb");
    if (!check(file != NULL, "XNORD_TEST_SEGMENT: no %s.xnor", name)) return false;
    snprintf(file_name, sizeof file_name, "%s.xnor", name);
    models_put(daemon, file_name, data, fread(data, 1, sizeof data, file));
    fclose(file);
    return true;
}

void models_remove(const struct daemon *daemon, const char *name) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", daemon->models, name);
    if (unlink(path) != 0) give_up("cannot remove %s", path);
}

void log_clear(const struct daemon *daemon) {
    write_file(daemon->log, "", 0);
}

bool log_has(const struct daemon *daemon, const char *text) {
    size_t size = 0;
    char *data = read_file(daemon->log, &size);
    bool found = strstr(data, text) != NULL;
    free(data);
    return found;
}

bool log_wait(const struct daemon *daemon, const char *text) {
    for (int i = 0; i < 1000; i++) {
        if (log_has(daemon, text)) return true;
        sleep_ms(10);
    }
    return false;
}

long long log_number(const struct daemon *daemon, const char *key) {
    size_t size = 0;
    char *data = read_file(daemon->log, &size), pattern[64];
    long long number = -1;
    snprintf(pattern, sizeof pattern, " %s=", key);
    for (char *at = data; (at = strstr(at, pattern)) != NULL; at++)
        number = strtoll(at + strlen(pattern), NULL, 10);
    free(data);
    return number;
}

// ---- the daemon ---------------------------------------------------------------------------------

void daemon_prepare(struct daemon *daemon) {
    size_t size = 0;
    void *model = models_read(&size);
    *daemon = (struct daemon){0};
    strcpy(daemon->directory, "/tmp/xnord-e2e-XXXXXX");
    if (mkdtemp(daemon->directory) == NULL) give_up("mkdtemp: %s", strerror(errno));
    snprintf(daemon->models, sizeof daemon->models, "%s/models", daemon->directory);
    snprintf(daemon->socket, sizeof daemon->socket, "%s/run/infer.sock", daemon->directory);
    snprintf(daemon->url, sizeof daemon->url, "ipc://%.80s", daemon->socket);
    snprintf(daemon->config, sizeof daemon->config, "%s/xnord.yaml", daemon->directory);
    snprintf(daemon->log, sizeof daemon->log, "%s/log", daemon->directory);
    mkdir(daemon->models, 0700);
    write_file(daemon->log, "", 0);
    models_put(daemon, MODEL ".xnor", model, size);
    free(model);
}

// posix_spawn, because a forked child of a process that uses nng may not run its code.
void daemon_launch(struct daemon *daemon, const char *yaml, const char *const *environment) {
    const char *binary = getenv("XNORD_BIN");
    if (binary == NULL) give_up("XNORD_BIN is not set");
    write_file(daemon->config, yaml, strlen(yaml));
    char *arguments[] = {(char *)(uintptr_t)binary,
                         "--config",
                         daemon->config,
                         "--socket",
                         daemon->url,
                         "--models",
                         daemon->models,
                         NULL};
    char *variables[256];
    size_t count = 0;
    for (; environment != NULL && *environment != NULL; environment++)
        variables[count++] = (char *)(uintptr_t)*environment;
    for (char **variable = environ; *variable != NULL && count < 255; variable++)
        variables[count++] = *variable;
    variables[count] = NULL;

    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, daemon->log,
                                     O_WRONLY | O_APPEND | O_CREAT, 0600);
    int error = posix_spawn(&daemon->pid, binary, &actions, NULL, arguments, variables);
    posix_spawn_file_actions_destroy(&actions);
    if (error != 0) give_up("%s: %s", binary, strerror(error));
}

static void print_log(const struct daemon *daemon) {
    size_t size = 0;
    char *data = read_file(daemon->log, &size);
    printf("%s", data);
    free(data);
}

static void learn_ports(const struct daemon *daemon) {
    xnord_client *client = client_open(daemon);
    xnord_model_info *info = NULL;
    if (port_names[0][0] == '\0') {
        if (xnord_model_metadata(client, MODEL, NULL, &info) != XNORD_OK)
            give_up("metadata of the test model: %s", xnord_last_error());
        snprintf(port_names[0], sizeof port_names[0], "%s", info->cloud_input);
        snprintf(port_names[1], sizeof port_names[1], "%s", info->outputs[0].name);
        xnord_free(info);
    }
    xnord_client_close(&client);
}

void daemon_start(struct daemon *daemon, const char *yaml) {
    if (daemon->directory[0] == '\0') daemon_prepare(daemon);
    daemon_launch(daemon, yaml, NULL);
    if (!log_wait(daemon, "event=ready ")) {
        print_log(daemon);
        give_up("the daemon does not become ready");
    }
    learn_ports(daemon);
}

int daemon_wait(struct daemon *daemon) {
    int status = 0;
    for (int i = 0; i < 1000; i++) {
        pid_t ended = waitpid(daemon->pid, &status, WNOHANG);
        if (ended == daemon->pid) {
            daemon->pid = 0;
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
        sleep_ms(10);
    }
    kill(daemon->pid, SIGKILL);
    waitpid(daemon->pid, &status, 0);
    daemon->pid = 0;
    return -1;
}

int daemon_stop(struct daemon *daemon, int signal) {
    kill(daemon->pid, signal);
    return daemon_wait(daemon);
}

void daemon_end(struct daemon *daemon) {
    int code = daemon_stop(daemon, SIGTERM);
    bool good = check(code == 0, "exit code %d after SIGTERM", code);
    good &= check(log_number(daemon, "admitted") == log_number(daemon, "answered"),
                  "admitted %lld, answered %lld", log_number(daemon, "admitted"),
                  log_number(daemon, "answered"));
    good &= check(log_number(daemon, "received") == log_number(daemon, "replied"),
                  "received %lld, replied %lld", log_number(daemon, "received"),
                  log_number(daemon, "replied"));
    good &= check(!log_has(daemon, "Sanitizer"), "a sanitizer complains");
    if (!good) print_log(daemon);
}

void daemon_finish(struct daemon *daemon) {
    daemon_end(daemon);
    daemon_remove(daemon);
}

void daemon_remove(struct daemon *daemon) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", daemon->directory);
    if (system(command) != 0) give_up("cannot remove %s", daemon->directory);
    *daemon = (struct daemon){0};
}

// ---- requests -----------------------------------------------------------------------------------

// Numerical Recipes' generator; a box whose height grows with the seed.
void make_cloud(float *xyz, size_t points, unsigned seed) {
    uint32_t state = seed;
    for (size_t i = 0; i < points * 3; i++) {
        state = state * 1664525u + 1013904223u;
        float scale = i % 3 == 2 ? 1.0f + 0.2f * (float)seed : 1.0f;
        xyz[i] = scale * ((float)(state >> 8) / 8388608.0f - 1.0f);
    }
}

const char *input_name(void) {
    return port_names[0];
}

const char *output_name(void) {
    return port_names[1];
}

xnord_client *client_open(const struct daemon *daemon) {
    xnord_client *client = NULL;
    xnord_options options = {.timeout_ms = 20000, .connect_timeout_ms = 5000};
    if (xnord_client_open(daemon->url, &options, &client) != XNORD_OK) {
        print_log(daemon);
        give_up("cannot connect: %s", xnord_last_error());
    }
    return client;
}

void request_cloud(xnord_proto_request *request, const float *xyz, size_t points) {
    *request = (xnord_proto_request){.ver = XNORD_PROTO_VERSION,
                                     .op = XNORD_OP_INFER,
                                     .id = 7,
                                     .model = xnord_proto_str_from(MODEL),
                                     .input_count = 1,
                                     .params.top_k = 1};
    request->inputs[0] = (xnord_proto_tensor){.name = xnord_proto_str_from(input_name()),
                                              .datatype = XNORD_FP32,
                                              .rank = 2,
                                              .shape = {(int64_t)points, 3},
                                              .data = xyz,
                                              .size = points * 3 * sizeof(float)};
}

size_t request_encode(const xnord_proto_request *request, void *buffer, size_t capacity) {
    size_t size = xnord_proto_encode_request(request, buffer, capacity);
    if (size == 0 || size > capacity) give_up("cannot encode a request of %zu bytes", size);
    return size;
}

static void decode_answer(nng_msg *message, struct answer *answer) {
    xnord_proto_reply reply;
    xnord_proto_error error;
    if (xnord_proto_decode_reply(nng_msg_body(message), nng_msg_len(message), &reply, &error) !=
        XNORD_OK) {
        answer->error = NNG_EPROTO;
        snprintf(answer->detail, sizeof answer->detail, "%s", error.text);
        return;
    }
    answer->status = reply.status;
    answer->id = reply.id;
    answer->retry_ms = reply.retry_ms;
    snprintf(answer->detail, sizeof answer->detail, "%.*s", (int)reply.detail.size,
             reply.detail.data != NULL ? reply.detail.data : "");
}

static void *close_socket(void *argument) {
    nng_socket socket = {.id = (uint32_t)(uintptr_t)argument};
    nng_close(socket);
    return NULL;
}

// nng_close of 1.5.2 may never return when the peer hangs up at the same moment: somebody else waits.
static void close_later(nng_socket socket) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, close_socket, (void *)(uintptr_t)socket.id) == 0)
        pthread_detach(thread);
}

struct answer exchange(const struct daemon *daemon, const void *message, size_t size) {
    struct answer answer = {0};
    nng_socket socket;
    nng_msg *out = NULL, *in = NULL;
    if (nng_req0_open(&socket) != 0 || nng_msg_alloc(&out, 0) != 0) give_up("nng is out of order");
    nng_socket_set_ms(socket, NNG_OPT_REQ_RESENDTIME, NNG_DURATION_INFINITE);
    nng_socket_set_ms(socket, NNG_OPT_SENDTIMEO, 10000);
    nng_socket_set_ms(socket, NNG_OPT_RECVTIMEO, 10000);
    nng_msg_append(out, message, size);
    answer.error = nng_dial(socket, daemon->url, NULL, 0);
    if (answer.error == 0) answer.error = nng_sendmsg(socket, out, 0);
    if (answer.error != 0) nng_msg_free(out);
    if (answer.error == 0) answer.error = nng_recvmsg(socket, &in, 0);
    if (answer.error == 0) {
        decode_answer(in, &answer);
        nng_msg_free(in);
    }
    if (answer.error == 0)
        nng_close(socket);
    else
        close_later(socket);
    return answer;
}

static struct answer ask_good(const struct daemon *daemon) {
    float xyz[POINTS * 3];
    static unsigned char message[POINTS * 12 + 4096];
    xnord_proto_request request;
    make_cloud(xyz, POINTS, 1);
    request_cloud(&request, xyz, POINTS);
    return exchange(daemon, message, request_encode(&request, message, sizeof message));
}

static bool is_served(const struct answer *answer) {
    return answer->error == 0 && answer->status == XNORD_OK;
}

void check_serves(const struct daemon *daemon, const char *after) {
    struct answer answer = ask_good(daemon);
    check(is_served(&answer), "not served after %s: %s %s %s", after, nng_strerror(answer.error),
          xnord_status_name(answer.status), answer.detail);
}

void check_serves_again(const struct daemon *daemon, const char *after) {
    struct answer answer = ask_good(daemon);
    for (int i = 0; i < 10 && !is_served(&answer); i++) {
        sleep_ms(200);
        answer = ask_good(daemon);
    }
    check(is_served(&answer), "not served again after %s: %s %s %s", after,
          nng_strerror(answer.error), xnord_status_name(answer.status), answer.detail);
}
