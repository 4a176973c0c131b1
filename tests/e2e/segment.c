// Segmentation: labels of points through the daemon against runs in this process.
#include "groups.h"
#include "harness.h"

#include "xnor.h"

#include <math.h>
#include <nng/nng.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEGMENT "segment"
#define ANY_SIZE "any_size"
#define SCENE 20000
#define LARGE 300000 // points: fits the default message
#define CLASSES 3

static float scene[LARGE * 3];
static uint8_t expected[SCENE];
static float expected_confidence[SCENE];

#define ROWS 600 // of raw tensors: a run of many milliseconds

// A bumpy floor of 60 m, with poles.
static void make_scene(void) {
    uint32_t state = 5;
    for (size_t i = 0; i < LARGE; i++) {
        float unit[3];
        for (int k = 0; k < 3; k++) {
            state = state * 1664525u + 1013904223u;
            unit[k] = (float)(state >> 8) / 16777216.0f;
        }
        float *p = &scene[i * 3];
        p[0] = unit[0] * 60 - 31;
        p[1] = unit[1] * 60 - 7;
        p[2] = sinf(p[0]) * 0.3f + (unit[2] < 0.3f ? unit[2] * 12 : unit[2] * 0.1f);
    }
}

// Of a model that make built, see Makefile.
static const char *model_path(const char *name) {
    static char path[1024];
    snprintf(path, sizeof path, "%s/%s.xnor", getenv("XNORD_TEST_SEGMENT"), name);
    return path;
}

// Runs every block by itself with one row.
static void label_here(xnor_model *model, size_t points, uint8_t *labels, float *confidences) {
    const xnor_description *d = xnor_model_description(model);
    const xnor_cloud cloud = {scene, points, 12};
    xnor_scene *cut = NULL;
    bool good = check(xnor_scene_create(d, &cloud, &cut) == XNOR_OK, "%s", xnor_last_error());
    for (size_t run = 0; good && run < xnor_scene_run_count(cut); run++) {
        const size_t slots = xnor_scene_run_points(cut, run);
        const xnor_shape shape = xnor_cloud_shape(d, slots, 1);
        float *input = malloc(slots * d->channel_count * sizeof(float));
        float *scores = malloc(slots * CLASSES * sizeof(float));
        const xnor_tensor in = {XNOR_F32, shape, input};
        xnor_tensor out = {XNOR_F32, {3, {1, (int64_t)slots, CLASSES}}, scores};
        xnor_plan *plan = NULL;
        xnor_session *session = NULL;
        xnor_scene_prepare(cut, run, input);
        good = xnor_plan_create(model, &shape, &plan) == XNOR_OK &&
               xnor_session_create(plan, NULL, &session) == XNOR_OK &&
               xnor_session_run(session, &in, &out, NULL) == XNOR_OK;
        check(good, "%s", xnor_last_error());
        if (good) xnor_scene_label(cut, run, scores, labels, confidences);
        if (session) xnor_session_free(&session);
        if (plan) xnor_plan_unref(&plan);
        free(input);
        free(scores);
    }
    xnor_scene_free(&cut);
}

static void expect_labels(void) {
    xnor_model *model = NULL;
    if (!check(xnor_model_open(model_path(SEGMENT), NULL, &model) == XNOR_OK, "%s",
               xnor_last_error()))
        return;
    label_here(model, SCENE, expected, expected_confidence);
    size_t counts[CLASSES] = {0};
    for (size_t i = 0; i < SCENE; i++) counts[expected[i]]++;
    for (size_t c = 0; c < CLASSES; c++)
        check(counts[c] > SCENE / 100, "class %zu has %zu points, too few to test with", c,
              counts[c]);
    xnor_model_unref(&model);
}

static xnord_status segment(xnord_client *client, const float *xyz, size_t points, bool confidence,
                            uint32_t deadline_ms, xnord_result **result) {
    static const char *const names[] = {"labels", "confidence"};
    const xnord_tensor input = xnord_cloud_tensor("points", xyz, points);
    const xnord_infer_request request = {.model = SEGMENT,
                                         .input_count = 1,
                                         .inputs = &input,
                                         .output_count = confidence ? 2 : 0,
                                         .outputs = names,
                                         .deadline_ms = deadline_ms};
    return xnord_infer(client, &request, result);
}

static void test_metadata(const struct daemon *daemon) {
    begin_test("metadata says that points are labelled, and in which blocks");
    xnord_client *client = client_open(daemon);
    xnord_model_info *info = NULL;
    if (check(xnord_model_metadata(client, SEGMENT, NULL, &info) == XNORD_OK, "%s",
              xnord_last_error())) {
        check(strcmp(info->task, "segmentation") == 0, "task %s", info->task);
        check(info->cloud_block == 3.0f && info->cloud_points == 128, "block %g, %lu points",
              (double)info->cloud_block, (unsigned long)info->cloud_points);
        check(info->class_count == CLASSES, "%u classes", info->class_count);
        xnord_free(info);
    }
    xnord_client_close(&client);
}

static void test_equal(const struct daemon *daemon) {
    begin_test("labels and confidences are those of runs in process, in the order of the cloud");
    xnord_client *client = client_open(daemon);
    for (int confidence = 0; confidence < 2; confidence++) {
        xnord_result *result = NULL;
        size_t count = 0;
        if (!check(segment(client, scene, SCENE, confidence, 0, &result) == XNORD_OK, "%s",
                   xnord_last_error()))
            continue;
        const uint8_t *labels = xnord_result_point_labels(result, &count);
        check(labels != NULL && count == SCENE && memcmp(labels, expected, SCENE) == 0,
              "%zu labels differ", count);
        const float *confidences = xnord_result_point_confidences(result, &count);
        if (!confidence)
            check(confidences == NULL, "confidences that nobody asked for");
        else
            check(confidences != NULL && count == SCENE &&
                      memcmp(confidences, expected_confidence, sizeof expected_confidence) == 0,
                  "%zu confidences differ", count);
        check(xnord_result_label_count(result) == 0, "labels of the cloud");
        xnord_result_free(&result);
    }
    xnord_client_close(&client);
}

static void test_parts(const struct daemon *daemon) {
    begin_test("a scene sent in parts that divide no block gets the same labels");
    static float part[SCENE * 3];
    static size_t source[SCENE];
    xnord_client *client = client_open(daemon);
    for (int side = 0; side < 2; side++) {
        size_t n = 0, differ = 0;
        for (size_t i = 0; i < SCENE; i++) {
            if ((floorf(scene[i * 3] / 3) < -2) != (side == 0)) continue;
            memcpy(&part[n * 3], &scene[i * 3], 12);
            source[n++] = i;
        }
        xnord_result *result = NULL;
        if (!check(n > 0 && segment(client, part, n, false, 0, &result) == XNORD_OK, "%s",
                   xnord_last_error()))
            continue;
        const uint8_t *labels = xnord_result_point_labels(result, NULL);
        for (size_t i = 0; i < n; i++) differ += labels[i] != expected[source[i]];
        check(differ == 0, "%zu of %zu labels differ", differ, n);
        xnord_result_free(&result);
    }
    xnord_client_close(&client);
}

static void test_odd(const struct daemon *daemon) {
    begin_test("one point, and points that are all equal, are labelled");
    xnord_client *client = client_open(daemon);
    static float equal[1000 * 3];
    for (size_t i = 0; i < 3000; i++) equal[i] = -4.5f;
    for (size_t points = 1; points <= 1000; points += 999) {
        xnord_result *result = NULL;
        size_t count = 0;
        if (check(segment(client, equal, points, true, 0, &result) == XNORD_OK, "%s",
                  xnord_last_error()))
            check(xnord_result_point_labels(result, &count) != NULL && count == points,
                  "%zu labels of %zu points", count, points);
        xnord_result_free(&result);
    }
    xnord_client_close(&client);
}

// ---- refusals -----------------------------------------------------------------------------------

static float few[64 * 3];

static void no_points(xnord_proto_request *request) {
    request->inputs[0].shape[0] = 0;
    request->inputs[0].size = 0;
}
static void not_a_number(xnord_proto_request *request) {
    (void)request;
    few[3 * 17 + 1] = NAN;
}
static void too_far(xnord_proto_request *request) {
    (void)request;
    few[3 * 21] = 1e20f;
}
static void four_columns(xnord_proto_request *request) {
    request->inputs[0].shape[0] = 48;
    request->inputs[0].shape[1] = 4;
}
static void cloud_labels(xnord_proto_request *request) {
    request->params.top_k = 1;
}
static void graph_output(xnord_proto_request *request) {
    request->outputs[0].name = xnord_proto_str_from("log_probs");
    request->output_count = 1;
}

static const struct {
    const char *name;
    void (*spoil)(xnord_proto_request *request);
    xnord_status status;
    const char *detail;
} cases[] = {
    {"no points", no_points, XNORD_INVALID, "no points"},
    {"NaN", not_a_number, XNORD_INVALID, "point 17 is not finite"},
    {"far away", too_far, XNORD_TOO_LARGE, "point 21"},
    {"four columns", four_columns, XNORD_INVALID, "[points, 3]"},
    {"top_k", cloud_labels, XNORD_INVALID, "top_k"},
    {"an output of the graph", graph_output, XNORD_INVALID, "'labels' and 'confidence'"},
};

static void test_refusals(const struct daemon *daemon) {
    begin_test("bad scenes are refused with status and reason");
    unsigned char buffer[4096];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        xnord_proto_request request;
        make_cloud(few, 64, 1);
        request_cloud(&request, few, 64);
        request.model = xnord_proto_str_from(SEGMENT);
        request.inputs[0].name = xnord_proto_str_from("points");
        request.params.top_k = 0;
        cases[i].spoil(&request);
        struct answer answer =
            exchange(daemon, buffer, request_encode(&request, buffer, sizeof buffer));
        check(answer.error == 0 && answer.status == cases[i].status, "%s: %s (%s)", cases[i].name,
              xnord_status_name(answer.status), answer.detail);
        check(strstr(answer.detail, cases[i].detail) != NULL, "%s: '%s'", cases[i].name,
              answer.detail);
        check_serves(daemon, cases[i].name);
    }
}

// ---- beside others ------------------------------------------------------------------------------

static void on_scene(void *user, xnord_status status, xnord_result *result) {
    atomic_store((atomic_int *)user, (int)status);
    xnord_result_free(&result);
}

static void test_beside(const struct daemon *daemon) {
    begin_test("clouds are answered while a large scene runs on the only worker");
    xnord_client *client = client_open(daemon);
    const xnord_tensor large = xnord_cloud_tensor("points", scene, LARGE);
    const xnord_tensor small = xnord_cloud_tensor(input_name(), scene, 1000);
    const xnord_infer_request slow = {.model = SEGMENT, .input_count = 1, .inputs = &large};
    const xnord_infer_request fast = {
        .model = MODEL, .input_count = 1, .inputs = &small, .top_k = 1};
    atomic_int status = -1;
    xnord_request *handle = NULL;
    unsigned served = 0;
    check(xnord_infer_async(client, &slow, on_scene, &status, &handle) == XNORD_OK, "%s",
          xnord_last_error());
    while (atomic_load(&status) == -1) {
        xnord_result *result = NULL;
        check(xnord_infer(client, &fast, &result) == XNORD_OK, "%s", xnord_last_error());
        xnord_result_free(&result);
        served += atomic_load(&status) == -1;
    }
    xnord_request_wait(handle);
    xnord_request_free(&handle);
    check(atomic_load(&status) == XNORD_OK, "the scene: %s",
          xnord_status_name((xnord_status)atomic_load(&status)));
    check(served >= 10, "%u clouds were answered during the scene", served);
    xnord_client_close(&client);
}

static void test_late(const struct daemon *daemon) {
    begin_test("a scene ends when its deadline passes");
    xnord_client *client = client_open(daemon);
    xnord_result *result = NULL;
    xnord_status status = segment(client, scene, LARGE / 4, true, 10, &result);
    check(status == XNORD_ABORTED && strstr(xnord_last_error(), " runs") != NULL, "%s: %s",
          xnord_status_name(status), xnord_last_error());
    xnord_result_free(&result);
    xnord_client_close(&client);
    check_serves(daemon, "a late scene");
}

static void test_any_size(void) {
    begin_test(
        "a model for any number of points takes blocks as they are, more sizes than are kept");
    struct daemon daemon = {0};
    xnor_model *model = NULL;
    daemon_prepare(&daemon);
    models_put_made(&daemon, ANY_SIZE);
    daemon_start(&daemon, "workers: {count: 1, session_cache: 2}\n");
    xnord_client *client = client_open(&daemon);
    const bool opened = xnor_model_open(model_path(ANY_SIZE), NULL, &model) == XNOR_OK;
    check(opened, "%s", xnor_last_error());
    for (size_t points = 100; opened && points <= SCENE; points = points * 3 + 1) {
        const xnord_tensor input = xnord_cloud_tensor("points", scene, points);
        const xnord_infer_request request = {.model = ANY_SIZE, .input_count = 1, .inputs = &input};
        xnord_result *result = NULL;
        if (!check(xnord_infer(client, &request, &result) == XNORD_OK, "%zu points: %s", points,
                   xnord_last_error()))
            continue;
        label_here(model, points, expected, NULL);
        const uint8_t *labels = xnord_result_point_labels(result, NULL);
        check(labels && memcmp(labels, expected, points) == 0, "%zu points: labels differ", points);
        xnord_result_free(&result);
    }
    if (model) xnor_model_unref(&model);
    xnord_client_close(&client);
    daemon_finish(&daemon);
}

static void test_late_run(const struct daemon *daemon) {
    begin_test("a run that is late is ended");
    xnord_client *client = client_open(daemon);
    const xnord_tensor input = {
        "points", XNORD_FP32, 3, {ROWS, 128, 5}, scene, (size_t)ROWS * 128 * 5 * sizeof(float), 0};
    xnord_infer_request request = {.model = SEGMENT, .input_count = 1, .inputs = &input};
    xnord_result *result = NULL;
    bool ended = false;
    if (check(xnord_infer(client, &request, &result) == XNORD_OK, "%s", xnord_last_error())) {
        const uint64_t compute_ms = xnord_result_timing(result)->compute_us / 1000;
        request.deadline_ms = compute_ms > 8 ? (uint32_t)(compute_ms / 4) : 2;
        xnord_result_free(&result);
    }
    for (int i = 0; i < 20 && !ended; i++) { // a loaded machine may be late before it begins
        xnord_status status = xnord_infer(client, &request, &result);
        if (status == XNORD_OK) xnord_result_free(&result);
        ended = status == XNORD_ABORTED && strstr(xnord_last_error(), "was ended") != NULL;
    }
    check(ended, "no run was ended within %u ms: %s", request.deadline_ms, xnord_last_error());
    xnord_client_close(&client);
    check_serves(daemon, "late runs");
}

static void test_memory(void) {
    begin_test("a scene for which no memory is left is refused, a smaller one is not");
    struct daemon daemon = {0};
    daemon_prepare(&daemon);
    models_put_made(&daemon, SEGMENT);
    daemon_start(&daemon, "workers: {count: 1, max_batch: 1, max_memory_bytes: 4194304}\n");
    xnord_client *client = client_open(&daemon);
    xnord_result *result = NULL;
    xnord_status status = segment(client, scene, LARGE, false, 0, &result);
    check(status == XNORD_RESOURCE, "%s", xnord_status_name(status));
    status = segment(client, scene, SCENE, false, 0, &result);
    check(status == XNORD_OK, "%s: %s", xnord_status_name(status), xnord_last_error());
    xnord_result_free(&result);
    xnord_client_close(&client);
    daemon_finish(&daemon);
}

void test_segment(void) {
    struct daemon daemon = {0};
    if (getenv("XNORD_TEST_SEGMENT") == NULL) {
        check(false, "XNORD_TEST_SEGMENT is not set");
        return;
    }
    make_scene();
    expect_labels();
    daemon_prepare(&daemon);
    models_put_made(&daemon, SEGMENT);
    daemon_start(&daemon, "workers: {count: 1}\n");
    test_metadata(&daemon);
    test_equal(&daemon);
    test_parts(&daemon);
    test_odd(&daemon);
    test_refusals(&daemon);
    test_beside(&daemon);
    test_late(&daemon);
    test_late_run(&daemon);
    daemon_finish(&daemon);
    test_memory();
    test_any_size();
}
