#include "groups.h"
#include "harness.h"

#include <math.h>
#include <nng/nng.h>
#include <stdlib.h>
#include <string.h>

#define MAX_MESSAGE 65536
#define BUFFER_BYTES (4 * MAX_MESSAGE)

static float values[POINTS * 4];
static unsigned char buffer[BUFFER_BYTES];

// Each changes one thing of a good request.
static void no_points(xnord_proto_request *request) {
    request->inputs[0].shape[0] = 0;
    request->inputs[0].size = 0;
}
static void not_a_number(xnord_proto_request *request) {
    (void)request;
    values[3 * 17 + 1] = NAN;
}
static void infinite(xnord_proto_request *request) {
    (void)request;
    values[3 * (POINTS - 1) + 2] = -INFINITY;
}
static void rank_one(xnord_proto_request *request) {
    request->inputs[0].rank = 1;
    request->inputs[0].shape[0] = POINTS * 3;
}
static void rank_four(xnord_proto_request *request) {
    const int64_t shape[] = {1, 1, POINTS, 3};
    request->inputs[0].rank = 4;
    memcpy(request->inputs[0].shape, shape, sizeof shape);
}
static void four_columns(xnord_proto_request *request) {
    request->inputs[0].shape[1] = 4;
    request->inputs[0].size = POINTS * 4 * sizeof(float);
}
static void wrong_datatype(xnord_proto_request *request) {
    request->inputs[0].datatype = XNORD_INT32;
}
static void unknown_to_the_engine(xnord_proto_request *request) {
    request->inputs[0].datatype = XNORD_FP16;
    request->inputs[0].size = POINTS * 3 * 2;
}
static void wrong_input_name(xnord_proto_request *request) {
    request->inputs[0].name = xnord_proto_str_from("image");
}
static void wrong_output_name(xnord_proto_request *request) {
    request->outputs[0].name = xnord_proto_str_from("depth");
    request->output_count = 1;
}
static void two_inputs(xnord_proto_request *request) {
    request->inputs[1] = request->inputs[0];
    request->inputs[1].name = xnord_proto_str_from("more");
    request->input_count = 2;
}
static void unknown_model(xnord_proto_request *request) {
    request->model = xnord_proto_str_from("yolo");
}
static void unknown_version(xnord_proto_request *request) {
    request->version = xnord_proto_str_from("2027.1");
}
static void raw_columns(xnord_proto_request *request) {
    const int64_t shape[] = {1, POINTS, 4};
    request->inputs[0].rank = 3;
    memcpy(request->inputs[0].shape, shape, sizeof shape);
    request->inputs[0].size = POINTS * 4 * sizeof(float);
}
static void raw_empty(xnord_proto_request *request) {
    const int64_t shape[] = {1, 0, 3};
    request->inputs[0].rank = 3;
    memcpy(request->inputs[0].shape, shape, sizeof shape);
    request->inputs[0].size = 0;
}
static void raw_not_a_number(xnord_proto_request *request) {
    const int64_t shape[] = {1, POINTS, 3};
    request->inputs[0].rank = 3;
    memcpy(request->inputs[0].shape, shape, sizeof shape);
    values[100] = NAN;
}
static void labels_of_two_rows(xnord_proto_request *request) {
    const int64_t shape[] = {2, POINTS / 2, 3};
    request->inputs[0].rank = 3;
    memcpy(request->inputs[0].shape, shape, sizeof shape);
}
static void unknown_operation(xnord_proto_request *request) {
    request->op = XNORD_OP_MODEL_METADATA;
    request->model = xnord_proto_str_from("yolo");
}

static const struct {
    const char *name;
    void (*spoil)(xnord_proto_request *request);
    xnord_status status;
    const char *detail; // part of it
} cases[] = {
    {"no points", no_points, XNORD_INVALID, "no points"},
    {"NaN", not_a_number, XNORD_INVALID, "17"},
    {"infinity", infinite, XNORD_INVALID, "1023"},
    {"rank 1", rank_one, XNORD_INVALID, "shape"},
    {"rank 4", rank_four, XNORD_INVALID, "[1, 1, 1024, 3]"},
    {"four columns", four_columns, XNORD_INVALID, "[points, 3]"},
    {"wrong datatype", wrong_datatype, XNORD_INVALID, "expected FP32, found INT32"},
    {"FP16", unknown_to_the_engine, XNORD_INVALID, "expected FP32, found FP16"},
    {"wrong input name", wrong_input_name, XNORD_INVALID, "'image'"},
    {"wrong output name", wrong_output_name, XNORD_INVALID, "'depth'"},
    {"two inputs", two_inputs, XNORD_INVALID, "expected 1 inputs, found 2"},
    {"unknown model", unknown_model, XNORD_NOT_FOUND, "'yolo'"},
    {"unknown version", unknown_version, XNORD_NOT_FOUND, "2027.1"},
    {"raw tensor with four columns", raw_columns, XNORD_INVALID, "[1, 1024, 4]"},
    {"empty raw tensor", raw_empty, XNORD_INVALID, "empty"},
    {"NaN in a raw tensor", raw_not_a_number, XNORD_INVALID, "100"},
    {"labels of two rows", labels_of_two_rows, XNORD_INVALID, "row"},
    {"metadata of an unknown model", unknown_operation, XNORD_NOT_FOUND, "'yolo'"},
};

static void expect(const struct daemon *daemon, const char *name, size_t size, xnord_status status,
                   const char *detail) {
    struct answer answer = exchange(daemon, buffer, size);
    if (!check(answer.error == 0, "%s: %s", name, nng_strerror(answer.error))) return;
    check(answer.status == status, "%s: expected %s, found %s (%s)", name,
          xnord_status_name(status), xnord_status_name(answer.status), answer.detail);
    check(strstr(answer.detail, detail) != NULL, "%s: '%s' does not say '%s'", name, answer.detail,
          detail);
    check(answer.id == 7, "%s: id %lu", name, (unsigned long)answer.id);
    check_serves(daemon, name);
}

static void test_table(const struct daemon *daemon) {
    begin_test("bad requests are refused with status and reason, the next one is served");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        xnord_proto_request request;
        make_cloud(values, POINTS, 1);
        request_cloud(&request, values, POINTS);
        cases[i].spoil(&request);
        expect(daemon, cases[i].name, request_encode(&request, buffer, sizeof buffer),
               cases[i].status, cases[i].detail);
    }
}

static void test_too_many_points(const struct daemon *daemon) {
    begin_test("a cloud over the model's limit is TOO_LARGE");
    xnord_client *client = client_open(daemon);
    xnord_model_info *info = NULL;
    xnord_proto_request request;
    if (check(xnord_model_metadata(client, MODEL, NULL, &info) == XNORD_OK, "%s",
              xnord_last_error())) {
        size_t points = (size_t)info->cloud_max_points + 1;
        if (info->cloud_max_points > 0 && points < 4000000) {
            float *xyz = calloc(points * 3, sizeof(float));
            unsigned char *message = malloc(points * 12 + 4096);
            request_cloud(&request, xyz, points);
            size_t size = request_encode(&request, message, points * 12 + 4096);
            struct answer answer = exchange(daemon, message, size);
            check(answer.error == 0 && answer.status == XNORD_TOO_LARGE, "%zu points: %s %s",
                  points, xnord_status_name(answer.status), answer.detail);
            free(xyz);
            free(message);
        }
        xnord_free(info);
    }
    xnord_client_close(&client);
    check_serves(daemon, "too many points");
}

static void test_too_long(const struct daemon *daemon) {
    begin_test("a message over the limit is refused, a huge one is cut off");
    static float xyz[3 * MAX_MESSAGE / 12 * 2];
    xnord_proto_request request;
    request_cloud(&request, xyz, MAX_MESSAGE / 12);
    expect(daemon, "over the limit", request_encode(&request, buffer, sizeof buffer),
           XNORD_TOO_LARGE, "expected at most 65536 bytes");
    memset(buffer, 0, sizeof buffer);
    struct answer answer = exchange(daemon, buffer, sizeof buffer);
    check(answer.error != 0, "a message of %zu bytes is answered", sizeof buffer);
    check_serves(daemon, "a huge message");
}

void test_bad_input(void) {
    struct daemon daemon = {0};
    daemon_start(&daemon, "");
    test_table(&daemon);
    test_too_many_points(&daemon);
    daemon_finish(&daemon);
    daemon_start(&daemon, "limits: {max_message_bytes: 65536}\n");
    test_too_long(&daemon);
    daemon_finish(&daemon);
}
