#include "groups.h"
#include "harness.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define THREADS 12
#define REQUESTS_PER_THREAD 40
#define FLOOD 32

static float cloud[POINTS * 3];

static xnord_infer_request infer_of(const xnord_tensor *input, uint32_t top_k) {
    return (xnord_infer_request){.model = MODEL, .input_count = 1, .inputs = input, .top_k = top_k};
}

static void test_questions(const struct daemon *daemon) {
    begin_test("questions about the server and its models are answered");
    xnord_client *client = client_open(daemon);
    xnord_readiness *ready = NULL;
    xnord_server_info *server = NULL;
    xnord_model_list *list = NULL;
    xnord_model_info *info = NULL;

    check(xnord_live(client) == XNORD_OK, "live: %s", xnord_last_error());
    if (check(xnord_ready(client, NULL, NULL, &ready) == XNORD_OK, "%s", xnord_last_error())) {
        check(ready->ready && strcmp(ready->state, "READY") == 0, "state %s", ready->state);
        xnord_free(ready);
    }
    if (check(xnord_ready(client, MODEL, NULL, &ready) == XNORD_OK, "%s", xnord_last_error())) {
        check(ready->ready && ready->since_ns > 0, "model state %s", ready->state);
        xnord_free(ready);
    }
    check(xnord_ready(client, "nobody", NULL, &ready) == XNORD_NOT_FOUND,
          "unknown model is ready?");
    check(xnord_ready(client, MODEL, "77", &ready) == XNORD_NOT_FOUND, "unknown version is ready?");
    if (check(xnord_server_metadata(client, &server) == XNORD_OK, "%s", xnord_last_error())) {
        check(strcmp(server->name, "xnord") == 0 && server->cores > 0 && server->workers == 2,
              "%s, %u cores, %u workers", server->name, server->cores, server->workers);
        xnord_free(server);
    }
    if (check(xnord_model_index(client, false, &list) == XNORD_OK, "%s", xnord_last_error())) {
        check(list->model_count == 1 && strcmp(list->models[0].name, MODEL) == 0, "%u models",
              list->model_count);
        check(list->models[0].file_bytes > 0, "no file size");
        xnord_free(list);
    }
    if (check(xnord_model_metadata(client, MODEL, NULL, &info) == XNORD_OK, "%s",
              xnord_last_error())) {
        check(strcmp(info->task, "classification") == 0 && info->class_count == 10,
              "task %s, %u classes", info->task, info->class_count);
        check(info->input_count == 1 && info->inputs[0].rank == 3, "%u inputs", info->input_count);
        xnord_free(info);
    }
    check(xnord_model_metadata(client, "nobody", NULL, &info) == XNORD_NOT_FOUND, "nobody?");
    xnord_client_close(&client);
}

static void test_cloud(const struct daemon *daemon) {
    begin_test("a cloud gives labels and scores that belong together");
    xnord_client *client = client_open(daemon);
    xnord_tensor input = xnord_cloud_tensor(input_name(), cloud, POINTS);
    xnord_infer_request request = infer_of(&input, 10);
    const char *outputs[] = {output_name()};
    xnord_result *result = NULL;
    request.outputs = outputs;
    request.output_count = 1;
    if (!check(xnord_infer(client, &request, &result) == XNORD_OK, "%s", xnord_last_error()))
        return;

    float sum = 0;
    check(xnord_result_label_count(result) == 10, "%u labels", xnord_result_label_count(result));
    for (uint32_t i = 0; i < xnord_result_label_count(result); i++) {
        const xnord_label *label = xnord_result_label(result, i);
        sum += label->confidence;
        if (i > 0)
            check(label->confidence <= xnord_result_label(result, i - 1)->confidence,
                  "label %u is better than the one before", i);
        check(label->name[0] != '\0', "label %u has no name", i);
    }
    check(fabsf(sum - 1.0f) < 1e-3f, "confidences sum to %g", (double)sum);
    const xnord_tensor *scores = xnord_result_find(result, output_name());
    if (check(scores != NULL && scores->size == 10 * sizeof(float), "no scores")) {
        const float *values = scores->data;
        uint32_t best = 0;
        for (uint32_t i = 1; i < 10; i++)
            if (values[i] > values[best]) best = i;
        check(best == xnord_result_label(result, 0)->class_id, "best score %u, best label %u", best,
              xnord_result_label(result, 0)->class_id);
    }
    const xnord_timing *timing = xnord_result_timing(result);
    check(timing->queue_us + timing->compute_us <= timing->total_us + 1 &&
              timing->total_us <= timing->round_trip_us + 1,
          "queue %lu, compute %lu, total %lu, round trip %lu", (unsigned long)timing->queue_us,
          (unsigned long)timing->compute_us, (unsigned long)timing->total_us,
          (unsigned long)timing->round_trip_us);
    xnord_result_free(&result);

    request.output_count = 0;
    request.top_k = 3;
    if (check(xnord_infer(client, &request, &result) == XNORD_OK, "%s", xnord_last_error())) {
        check(xnord_result_label_count(result) == 3 && xnord_result_tensor_count(result) == 0,
              "%u labels, %u tensors", xnord_result_label_count(result),
              xnord_result_tensor_count(result));
        xnord_result_free(&result);
    }
    request.top_k = 0;
    if (check(xnord_infer(client, &request, &result) == XNORD_OK, "%s", xnord_last_error())) {
        check(xnord_result_label_count(result) == 0 && xnord_result_tensor_count(result) >= 1,
              "all outputs, no labels");
        xnord_result_free(&result);
    }
    xnord_client_close(&client);
}

static void test_sizes(const struct daemon *daemon) {
    begin_test("clouds of any size are served, and the same one gives the same answer");
    xnord_client *client = client_open(daemon);
    static float large[5000 * 3];
    const size_t sizes[] = {1, 2, 3, 100, 1023, 1024, 1025, 5000};
    make_cloud(large, 5000, 3);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        xnord_tensor input = xnord_cloud_tensor(input_name(), large, sizes[i]);
        xnord_infer_request request = infer_of(&input, 0);
        xnord_result *first = NULL, *second = NULL;
        bool good = check(xnord_infer(client, &request, &first) == XNORD_OK, "%zu points: %s",
                          sizes[i], xnord_last_error());
        good = good && check(xnord_infer(client, &request, &second) == XNORD_OK, "%zu points: %s",
                             sizes[i], xnord_last_error());
        if (good)
            check(memcmp(xnord_result_tensor(first, 0)->data, xnord_result_tensor(second, 0)->data,
                         xnord_result_tensor(first, 0)->size) == 0,
                  "%zu points: two answers", sizes[i]);
        xnord_result_free(&first);
        xnord_result_free(&second);
    }
    xnord_client_close(&client);
}

static void test_raw(const struct daemon *daemon) {
    begin_test("raw tensors of several shapes go straight in");
    xnord_client *client = client_open(daemon);
    static float rows[3 * 600 * 3];
    for (unsigned i = 0; i < 3; i++) make_cloud(rows + i * 600 * 3, 600, i);
    for (int64_t batch = 1; batch <= 3; batch++) {
        for (int64_t points = 500; points <= 600; points += 20) { // more shapes than are kept
            xnord_tensor input = {input_name(),
                                  XNORD_FP32,
                                  3,
                                  {batch, points, 3},
                                  rows,
                                  (size_t)(batch * points * 3) * sizeof(float),
                                  0};
            xnord_infer_request request = infer_of(&input, 0);
            xnord_result *result = NULL;
            if (!check(xnord_infer(client, &request, &result) == XNORD_OK, "[%ld, %ld, 3]: %s",
                       (long)batch, (long)points, xnord_last_error()))
                continue;
            const xnord_tensor *scores = xnord_result_find(result, output_name());
            check(scores != NULL && scores->shape[0] == batch && scores->shape[1] == 10,
                  "[%ld, %ld, 3] gives another shape", (long)batch, (long)points);
            xnord_result_free(&result);
        }
    }
    xnord_client_close(&client);
}

struct crowd {
    const struct daemon *daemon;
    unsigned seed;
    atomic_uint *ok, *busy;
};

// Every answer must be the one that the same cloud gets when it comes alone.
static void *crowd_member(void *argument) {
    struct crowd *member = argument;
    xnord_client *client = client_open(member->daemon);
    float xyz[POINTS * 3];
    float alone[10];
    make_cloud(xyz, POINTS, member->seed);
    xnord_tensor input = xnord_cloud_tensor(input_name(), xyz, POINTS);
    xnord_infer_request request = infer_of(&input, 0);
    for (int i = 0; i < REQUESTS_PER_THREAD; i++) {
        xnord_result *result = NULL;
        xnord_status status = xnord_infer(client, &request, &result);
        if (status == XNORD_BUSY) {
            atomic_fetch_add(member->busy, 1);
            continue;
        }
        if (!check(status == XNORD_OK, "%s", xnord_last_error())) continue;
        const float *scores = xnord_result_tensor(result, 0)->data;
        if (atomic_fetch_add(member->ok, 1), i == 0) memcpy(alone, scores, sizeof alone);
        for (int k = 0; k < 10; k++)
            check(fabsf(scores[k] - alone[k]) <= 1e-4f, "answer %d differs: %g, %g", i,
                  (double)scores[k], (double)alone[k]);
        xnord_result_free(&result);
    }
    xnord_client_close(&client);
    return NULL;
}

static uint64_t served(const struct daemon *daemon, xnord_status status) {
    xnord_client *client = client_open(daemon);
    xnord_stats *stats = NULL;
    uint64_t count = 0;
    if (check(xnord_model_stats(client, MODEL, false, &stats) == XNORD_OK, "%s",
              xnord_last_error())) {
        count = stats->models[0].statuses[status];
        check(stats->models[0].total.count >= count || status != XNORD_OK, "histogram is short");
        xnord_free(stats);
    }
    xnord_client_close(&client);
    return count;
}

static void test_crowd(const struct daemon *daemon) {
    begin_test("many clients at once get one answer each");
    pthread_t threads[THREADS];
    struct crowd members[THREADS];
    atomic_uint ok = 0, busy = 0;
    uint64_t before = served(daemon, XNORD_OK);
    for (unsigned i = 0; i < THREADS; i++) {
        members[i] = (struct crowd){daemon, i, &ok, &busy};
        pthread_create(&threads[i], NULL, crowd_member, &members[i]);
    }
    for (unsigned i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    check(atomic_load(&ok) + atomic_load(&busy) == THREADS * REQUESTS_PER_THREAD, "%u ok, %u busy",
          atomic_load(&ok), atomic_load(&busy));
    uint64_t counted = served(daemon, XNORD_OK) - before;
    check(counted == atomic_load(&ok), "clients got %u, the daemon counted %lu", atomic_load(&ok),
          (unsigned long)counted);
}

static void test_stats_reset(const struct daemon *daemon) {
    begin_test("statistics start again after a reset");
    xnord_client *client = client_open(daemon);
    xnord_stats *stats = NULL;
    if (check(xnord_model_stats(client, NULL, true, &stats) == XNORD_OK, "%s", xnord_last_error()))
        xnord_free(stats);
    check(served(daemon, XNORD_OK) == 0, "something is left");
    xnord_client_close(&client);
}

struct flood {
    atomic_uint statuses[XNORD_STATUS_COUNT];
    atomic_uint others, calls;
};

static void on_flood(void *user, xnord_status status, xnord_result *result) {
    struct flood *flood = user;
    if (status < XNORD_STATUS_COUNT)
        atomic_fetch_add(&flood->statuses[status], 1);
    else
        atomic_fetch_add(&flood->others, 1);
    xnord_result_free(&result);
    atomic_fetch_add(&flood->calls, 1);
}

static void run_flood(const struct daemon *daemon, uint32_t deadline_ms, struct flood *flood) {
    xnord_client *client = client_open(daemon);
    xnord_tensor input = xnord_cloud_tensor(input_name(), cloud, POINTS);
    xnord_infer_request request = infer_of(&input, 1);
    xnord_request *handles[FLOOD];
    request.deadline_ms = deadline_ms;
    for (int i = 0; i < FLOOD; i++)
        check(xnord_infer_async(client, &request, on_flood, flood, &handles[i]) == XNORD_OK, "%s",
              xnord_last_error());
    for (int i = 0; i < FLOOD; i++) {
        xnord_request_wait(handles[i]);
        xnord_request_free(&handles[i]);
    }
    xnord_client_close(&client);
    check(atomic_load(&flood->calls) == FLOOD, "%u answers to %d requests",
          atomic_load(&flood->calls), FLOOD);
}

static void test_busy(void) {
    begin_test("a full queue says BUSY at once");
    struct daemon daemon = {0};
    struct flood flood = {0};
    daemon_start(&daemon, "queue: {capacity: 1}\nworkers: {count: 1}\n");
    run_flood(&daemon, 0, &flood);
    unsigned ok = atomic_load(&flood.statuses[XNORD_OK]);
    unsigned busy = atomic_load(&flood.statuses[XNORD_BUSY]);
    check(ok >= 1 && busy >= 1 && ok + busy == FLOOD, "%u ok, %u busy, %u others", ok, busy,
          atomic_load(&flood.others));
    check(served(&daemon, XNORD_BUSY) == busy, "BUSY is not counted");
    check_serves(&daemon, "a flood");
    daemon_finish(&daemon);
}

static void test_deadline(void) {
    begin_test("what waits past its deadline is EXPIRED, not run");
    struct daemon daemon = {0};
    struct flood flood = {0};
    daemon_start(&daemon, "workers: {count: 1, max_batch: 1}\n");
    run_flood(&daemon, 1, &flood);
    unsigned ok = atomic_load(&flood.statuses[XNORD_OK]);
    unsigned expired = atomic_load(&flood.statuses[XNORD_EXPIRED]);
    unsigned aborted = atomic_load(&flood.statuses[XNORD_ABORTED]);
    check(expired >= 1 && ok + expired + aborted == FLOOD,
          "%u ok, %u expired, %u aborted, %u others", ok, expired, aborted,
          atomic_load(&flood.others));
    check_serves(&daemon, "expired requests");
    daemon_finish(&daemon);
}

static void test_share(void) {
    begin_test("one client does not take every place of the queue");
    struct daemon daemon = {0};
    struct flood flood = {0};
    daemon_start(&daemon, "workers: {count: 1}\nqueue: {capacity: 8, client_capacity: 2}\n");
    run_flood(&daemon, 0, &flood);
    check(atomic_load(&flood.statuses[XNORD_OK]) >= 2 &&
              atomic_load(&flood.statuses[XNORD_BUSY]) >= 1,
          "%u ok, %u busy", atomic_load(&flood.statuses[XNORD_OK]),
          atomic_load(&flood.statuses[XNORD_BUSY]));
    check_serves(&daemon, "a flood");
    daemon_finish(&daemon);
}

void test_service(void) {
    struct daemon daemon = {0};
    make_cloud(cloud, POINTS, 0);
    daemon_start(&daemon, "workers: {count: 2}\n");
    test_questions(&daemon);
    test_cloud(&daemon);
    test_sizes(&daemon);
    test_raw(&daemon);
    test_crowd(&daemon);
    test_stats_reset(&daemon);
    daemon_finish(&daemon);
    test_busy();
    test_deadline();
    test_share();
}
