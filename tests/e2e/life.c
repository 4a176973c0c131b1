#include "groups.h"
#include "harness.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define CLIENTS 4
#define RELOADS 6
#define IN_FLIGHT 16
#define RENAMES 70

static float cloud[POINTS * 3];

// ---- starting -----------------------------------------------------------------------------------

static void expect_start_error(const char *name, const char *yaml, int code, const char *text) {
    struct daemon daemon = {0};
    daemon_prepare(&daemon);
    daemon_launch(&daemon, yaml, NULL);
    int found = daemon_wait(&daemon);
    check(found == code, "%s: exit code %d, expected %d", name, found, code);
    check(log_has(&daemon, text), "%s: '%s' is not said", name, text);
    daemon_remove(&daemon);
}

static void test_bad_configuration(void) {
    begin_test("a wrong configuration is an error with its place");
    expect_start_error("unknown key", "log:\n  level: info\n  colour: red\n", 2,
                       "xnord.yaml:3:3: unknown key 'log.colour'");
    expect_start_error("bad value", "queue:\n  capacity: many\n", 2,
                       "xnord.yaml:2:13: queue.capacity: expected an integer from 1 to 4096");
    expect_start_error("key twice", "socket_mode: 0660\nsocket_mode: 0660\n", 2,
                       "xnord.yaml:2:1: this key appeared before");
    expect_start_error("anchor", "log: &x {level: info}\n", 2, ":1:6: anchors are not allowed");
    expect_start_error("unknown kernel set", "models: {isa: mmx}\n", 2,
                       "models.isa: kernel set 'mmx': unknown or not offered by this CPU (c");
    expect_start_error("not YAML", "log: {level: [\n", 2, "xnord.yaml:");
}

static void test_socket_in_use(void) {
    begin_test("a socket in use is a clear error, a stale one is taken over");
    struct daemon first = {0}, second;
    daemon_start(&first, "");
    second = first;
    daemon_launch(&second, "", NULL);
    check(daemon_wait(&second) == 1, "the second daemon does not fail");
    check(log_has(&first, "the socket is in use by another xnord"), "it does not say why");
    check_serves(&first, "a second daemon tried the socket");

    struct stat status;
    check(stat(first.socket, &status) == 0 && (status.st_mode & 0777) == 0660, "socket mode %o",
          status.st_mode & 0777);
    char directory[96];
    snprintf(directory, sizeof directory, "%s/run", first.directory);
    check(stat(directory, &status) == 0 && (status.st_mode & 0777) == 0750, "directory mode %o",
          status.st_mode & 0777);

    check(daemon_stop(&first, SIGKILL) == 128 + SIGKILL, "not killed");
    log_clear(&first);
    daemon_start(&first, "");
    check_serves(&first, "a restart over a stale socket");
    daemon_finish(&first);
}

static xnord_model_list *list_models(xnord_client *client) {
    xnord_model_list *list = NULL;
    check(xnord_model_index(client, false, &list) == XNORD_OK, "%s", xnord_last_error());
    return list;
}

static const xnord_model_entry *find_model(const xnord_model_list *list, const char *name) {
    for (uint32_t i = 0; list != NULL && i < list->model_count; i++)
        if (strcmp(list->models[i].name, name) == 0) return &list->models[i];
    return NULL;
}

static void expect_failed(const xnord_model_list *list, const char *name) {
    const xnord_model_entry *entry = find_model(list, name);
    if (check(entry != NULL, "%s is not listed", name))
        check(strcmp(entry->state, "FAILED") == 0 && entry->reason[0] != '\0', "%s: %s, '%s'", name,
              entry->state, entry->reason);
}

static void test_damaged_models(void) {
    begin_test("damaged models are FAILED with a reason, the others are served");
    struct daemon daemon = {0};
    size_t size = 0;
    unsigned char *model = models_read(&size);
    daemon_prepare(&daemon);
    models_put(&daemon, "cut.xnor", model, size / 2);
    models_put(&daemon, "empty.xnor", model, 0);
    model[0] ^= 0xff;
    models_put(&daemon, "damaged.xnor", model, size);
    models_put(&daemon, "notes.txt", model, size);
    daemon_start(&daemon, "");
    xnord_client *client = client_open(&daemon);
    xnord_model_list *list = list_models(client);
    check(list != NULL && list->model_count == 4, "%u models",
          list != NULL ? list->model_count : 0);
    expect_failed(list, "empty");
    expect_failed(list, "damaged");
    xnord_free(list);

    xnord_tensor input = xnord_cloud_tensor(input_name(), cloud, POINTS);
    xnord_infer_request request = {
        .model = "damaged", .input_count = 1, .inputs = &input, .top_k = 1};
    xnord_result *result = NULL;
    check(xnord_infer(client, &request, &result) == XNORD_NOT_READY, "a damaged model runs");
    check(strstr(xnord_last_error(), "FAILED") != NULL, "'%s' does not say why",
          xnord_last_error());
    xnord_readiness *ready = NULL;
    if (check(xnord_ready(client, NULL, NULL, &ready) == XNORD_OK, "%s", xnord_last_error())) {
        check(ready->ready && strstr(ready->reason, "failed") != NULL, "reason '%s'",
              ready->reason);
        xnord_free(ready);
    }
    xnord_client_close(&client);
    check_serves(&daemon, "damaged models");
    free(model);
    daemon_finish(&daemon);
}

static void test_no_models(void) {
    begin_test("without models the daemon runs and says why it is not ready");
    struct daemon daemon = {0};
    daemon_prepare(&daemon);
    models_remove(&daemon, MODEL ".xnor");
    daemon_launch(&daemon, "", NULL);
    check(log_wait(&daemon, "event=ready "), "it does not start");
    xnord_client *client = client_open(&daemon);
    xnord_server_info *info = NULL;
    if (check(xnord_server_metadata(client, &info) == XNORD_OK, "%s", xnord_last_error())) {
        check(strcmp(info->isa, "unknown") != 0 && info->isa[0] != '\0', "isa '%s'", info->isa);
        xnord_free(info);
    }
    xnord_readiness *ready = NULL;
    if (check(xnord_ready(client, NULL, NULL, &ready) == XNORD_OK, "%s", xnord_last_error())) {
        check(!ready->ready && strstr(ready->reason, "no models in") != NULL, "reason '%s'",
              ready->reason);
        xnord_free(ready);
    }
    xnord_client_close(&client);
    daemon_finish(&daemon);
}

// ---- reloading ----------------------------------------------------------------------------------

struct load {
    const struct daemon *daemon;
    atomic_bool stop;
    atomic_uint served;
};

static void *keep_asking(void *argument) {
    struct load *load = argument;
    xnord_client *client = client_open(load->daemon);
    xnord_tensor input = xnord_cloud_tensor(input_name(), cloud, POINTS);
    xnord_infer_request request = {.model = MODEL, .input_count = 1, .inputs = &input, .top_k = 1};
    while (!atomic_load(&load->stop)) {
        xnord_result *result = NULL;
        if (!check(xnord_infer(client, &request, &result) == XNORD_OK, "during a reload: %s",
                   xnord_last_error()))
            break;
        xnord_result_free(&result);
        atomic_fetch_add(&load->served, 1);
    }
    xnord_client_close(&client);
    return NULL;
}

static unsigned reloads(const struct daemon *daemon) {
    char command[160];
    unsigned count = 0;
    snprintf(command, sizeof command, "grep -c event=reloaded %s", daemon->log);
    FILE *pipe = popen(command, "r");
    if (pipe == NULL || fscanf(pipe, "%u", &count) != 1) count = 0;
    if (pipe != NULL) pclose(pipe);
    return count;
}

static void reload(const struct daemon *daemon) {
    unsigned before = reloads(daemon);
    kill(daemon->pid, SIGHUP);
    for (int i = 0; i < 1000 && reloads(daemon) == before; i++) sleep_ms(10);
    check(reloads(daemon) > before, "SIGHUP does nothing");
}

static const char *state_of(const struct daemon *daemon, const char *name, char *reason,
                            size_t size) {
    static const char *const known[] = {"READY", "FAILED", "LOADING", "ABSENT"};
    const char *state = "not listed";
    xnord_client *client = client_open(daemon);
    xnord_model_list *list = list_models(client);
    const xnord_model_entry *entry = find_model(list, name);
    if (entry != NULL) {
        snprintf(reason, size, "%s", entry->reason);
        for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
            if (strcmp(known[i], entry->state) == 0) state = known[i];
    }
    xnord_free(list);
    xnord_client_close(&client);
    return state;
}

static void test_reload_under_load(void) {
    begin_test("SIGHUP swaps models under load without a lost request");
    struct daemon daemon = {0};
    size_t size = 0;
    unsigned char *model = models_read(&size);
    daemon_start(&daemon, "workers: {count: 2}\n");
    struct load load = {.daemon = &daemon};
    pthread_t threads[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) pthread_create(&threads[i], NULL, keep_asking, &load);
    for (int i = 0; i < RELOADS; i++) {
        models_put(&daemon, MODEL ".xnor", model, size);
        reload(&daemon);
        sleep_ms(20);
    }
    unsigned before = atomic_load(&load.served);
    model[0] ^= 0xff;
    models_put(&daemon, MODEL ".xnor", model, size);
    reload(&daemon);
    sleep_ms(50);
    atomic_store(&load.stop, true);
    for (int i = 0; i < CLIENTS; i++) pthread_join(threads[i], NULL);
    check(atomic_load(&load.served) > before, "nothing was served after the last reload");

    char reason[256] = "";
    const char *state = state_of(&daemon, MODEL, reason, sizeof reason);
    check(strcmp(state, "READY") == 0 && reason[0] != '\0',
          "after a damaged update: %s, reason '%s'", state, reason);
    check_serves(&daemon, "a damaged update");
    model[0] ^= 0xff;
    models_put(&daemon, MODEL ".xnor", model, size);
    models_put(&daemon, "second.xnor", model, size);
    reload(&daemon);
    state = state_of(&daemon, MODEL, reason, sizeof reason);
    check(strcmp(state, "READY") == 0 && reason[0] == '\0', "after the repair: %s, '%s'", state,
          reason);
    check(strcmp(state_of(&daemon, "second", reason, sizeof reason), "READY") == 0,
          "no second model");
    models_remove(&daemon, "second.xnor");
    reload(&daemon);
    check(strcmp(state_of(&daemon, "second", reason, sizeof reason), "not listed") == 0,
          "the removed model is listed");
    free(model);
    daemon_finish(&daemon);
}

// The table of models has 64 places; names that went must not take them for ever.
static void test_renames(void) {
    begin_test("a model that is renamed over and over is served under each name");
    struct daemon daemon = {0};
    char before[32] = MODEL ".xnor", after[32], reason[256] = "";
    daemon_start(&daemon, "");
    for (int i = 0; i < RENAMES; i++) {
        char from[160], to[160];
        snprintf(after, sizeof after, "name%d.xnor", i);
        snprintf(from, sizeof from, "%s/%s", daemon.models, before);
        snprintf(to, sizeof to, "%s/%s", daemon.models, after);
        check(rename(from, to) == 0, "cannot rename %s", from);
        reload(&daemon);
        strcpy(before, after);
        after[strlen(after) - strlen(".xnor")] = '\0';
        const char *state = state_of(&daemon, after, reason, sizeof reason);
        if (!check(strcmp(state, "READY") == 0, "%s: %s %s", after, state, reason)) break;
    }
    daemon_finish(&daemon);
}

// Files that are being loaded are looked at again afterwards, once per load.
static void test_reload_while_loading(void) {
    begin_test("SIGHUP while models load ends with every model served");
    struct daemon daemon = {0};
    char name[32];
    size_t size = 0;
    void *model = models_read(&size);
    daemon_prepare(&daemon);
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof name, "copy%d.xnor", i);
        models_put(&daemon, name, model, size);
    }
    free(model);
    daemon_launch(&daemon, "", NULL);
    check(log_wait(&daemon, "event=listening"), "it does not start");
    for (int i = 0; i < 20; i++) kill(daemon.pid, SIGHUP);
    check(log_wait(&daemon, "event=ready "), "it does not become ready");
    reload(&daemon);
    check_serves(&daemon, "SIGHUP while loading");
    daemon_finish(&daemon);
}

// ---- health -------------------------------------------------------------------------------------

static bool receive_text(int fd, const char *text) {
    for (int i = 0; i < 50; i++) {
        char datagram[512] = "";
        if (recv(fd, datagram, sizeof datagram - 1, 0) > 0 && strstr(datagram, text) != NULL)
            return true;
    }
    return false;
}

static void test_service_manager(void) {
    begin_test("the service manager hears READY, WATCHDOG, RELOADING and STOPPING");
    struct daemon daemon = {0};
    char path[128], variable[160];
    daemon_prepare(&daemon);
    snprintf(path, sizeof path, "%s/notify", daemon.directory);
    snprintf(variable, sizeof variable, "NOTIFY_SOCKET=%s", path);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%.100s", path);
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    struct timeval timeout = {.tv_sec = 10};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    check(bind(fd, (struct sockaddr *)&address, sizeof address) == 0, "cannot bind");
    const char *const environment[] = {variable, "WATCHDOG_USEC=200000", NULL};
    daemon_launch(&daemon, "", environment);
    check(receive_text(fd, "READY=1"), "no READY");
    check(receive_text(fd, "WATCHDOG=1"), "no WATCHDOG");
    kill(daemon.pid, SIGHUP);
    check(receive_text(fd, "RELOADING=1"), "no RELOADING");
    check(receive_text(fd, "READY=1"), "no READY after the reload");
    kill(daemon.pid, SIGTERM);
    check(receive_text(fd, "STOPPING=1"), "no STOPPING");
    check(daemon_wait(&daemon) == 0, "exit code");
    close(fd);
    daemon_remove(&daemon);
}

// ---- stopping -----------------------------------------------------------------------------------

struct answers {
    atomic_uint calls, ok, not_ready, cut;
};

static void on_answer(void *user, xnord_status status, xnord_result *result) {
    struct answers *answers = user;
    if (status == XNORD_OK) atomic_fetch_add(&answers->ok, 1);
    if (status == XNORD_NOT_READY) atomic_fetch_add(&answers->not_ready, 1);
    if (status == XNORD_E_DISCONNECTED) atomic_fetch_add(&answers->cut, 1);
    xnord_result_free(&result);
    atomic_fetch_add(&answers->calls, 1);
}

// Stops while requests run and wait: each gets one answer, and the daemon ends with 0.
static void stop_with_requests(const char *yaml) {
    struct daemon daemon = {0};
    struct answers answers = {0};
    xnord_request *handles[IN_FLIGHT];
    daemon_start(&daemon, yaml);
    xnord_client *client = client_open(&daemon);
    xnord_tensor input = xnord_cloud_tensor(input_name(), cloud, POINTS);
    xnord_infer_request request = {.model = MODEL, .input_count = 1, .inputs = &input, .top_k = 1};
    for (int i = 0; i < IN_FLIGHT; i++)
        check(xnord_infer_async(client, &request, on_answer, &answers, &handles[i]) == XNORD_OK,
              "%s", xnord_last_error());
    while (atomic_load(&answers.calls) == 0) sleep_ms(1);
    kill(daemon.pid, SIGTERM);
    for (int i = 0; i < IN_FLIGHT; i++) {
        xnord_request_wait(handles[i]);
        xnord_request_free(&handles[i]);
    }
    check(daemon_wait(&daemon) == 0, "exit code");
    check(atomic_load(&answers.calls) == IN_FLIGHT &&
              atomic_load(&answers.ok) + atomic_load(&answers.not_ready) == IN_FLIGHT,
          "%u answers: %u ok, %u not ready, %u cut off", atomic_load(&answers.calls),
          atomic_load(&answers.ok), atomic_load(&answers.not_ready), atomic_load(&answers.cut));
    check(log_number(&daemon, "admitted") == log_number(&daemon, "answered"), "requests were lost");
    check(!log_has(&daemon, "Sanitizer"), "a sanitizer complains");
    xnord_client_close(&client);
    daemon_remove(&daemon);
}

static void test_stop(void) {
    begin_test("SIGTERM answers what is in flight");
    stop_with_requests("workers: {count: 1, max_batch: 1}\n");
    begin_test("SIGTERM without grace cuts what is in flight short, and says so");
    stop_with_requests("workers: {count: 1, max_batch: 1}\nshutdown: {grace_ms: 0}\n");
    begin_test("SIGTERM while models are loading ends the daemon");
    struct daemon daemon = {0};
    daemon_prepare(&daemon);
    daemon_launch(&daemon, "", NULL);
    check(log_wait(&daemon, "event=listening"), "it does not start");
    int code = daemon_stop(&daemon, SIGINT);
    check(code == 0, "exit code %d", code);
    daemon_remove(&daemon);
}

void test_life(void) {
    make_cloud(cloud, POINTS, 4);
    test_bad_configuration();
    test_socket_in_use();
    test_damaged_models();
    test_no_models();
    test_reload_under_load();
    test_renames();
    test_reload_while_loading();
    test_service_manager();
    test_stop();
}
