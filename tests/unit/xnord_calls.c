// What the calls of libxnord give back.
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xnord_fake.h"

static fake *server;
static xnord_client *client;

static void begin(void) {
    server = fake_start((fake_options){0});
    xnord_options options = {.timeout_ms = 3000};
    xnord_status status = xnord_client_open(fake_url(), &options, &client);
    cr_assert_eq(status, XNORD_OK, "%s", xnord_last_error());
}

static void end(void) {
    xnord_client_close(&client);
    fake_stop(server);
}

TestSuite(xnord_calls, .init = begin, .fini = end, .timeout = 60);

static xnord_status infer(const char *model, const xnord_tensor *tensor, uint32_t top_k,
                          xnord_result **out) {
    xnord_infer_request request = {
        .model = model, .input_count = 1, .inputs = tensor, .top_k = top_k};
    return xnord_infer(client, &request, out);
}

static xnord_tensor bytes(const void *data, size_t size) {
    return (xnord_tensor){"x", XNORD_UINT8, 1, {(int64_t)size}, data, size, 0};
}

Test(xnord_calls, live_and_ready) {
    xnord_readiness *ready;
    cr_assert_eq(xnord_live(client), XNORD_OK);
    cr_assert_eq(xnord_ready(client, NULL, NULL, &ready), XNORD_OK);
    cr_assert(ready->ready);
    cr_assert_str_eq(ready->state, "READY");
    cr_assert_str_eq(ready->reason, "");
    cr_assert_eq(ready->since_ns, 99);
    xnord_free(ready);
    cr_assert_eq(xnord_ready(client, "echo", NULL, &ready), XNORD_OK);
    cr_assert_not(ready->ready);
    cr_assert_str_eq(ready->reason, "warming");
    xnord_free(ready);
}

Test(xnord_calls, server_metadata) {
    xnord_server_info *info;
    cr_assert_eq(xnord_server_metadata(client, &info), XNORD_OK);
    cr_assert_str_eq(info->name, "fake");
    cr_assert_str_eq(info->build, "");
    cr_assert_eq(info->cores, 4);
    cr_assert_eq(info->workers, 2);
    cr_assert_eq(info->extension_count, 1);
    cr_assert_str_eq(info->extensions[0], "x.y1");
    xnord_free(info);
}

Test(xnord_calls, model_index) {
    xnord_model_list *list;
    cr_assert_eq(xnord_model_index(client, false, &list), XNORD_OK);
    cr_assert_eq(list->model_count, 2);
    cr_assert_str_eq(list->models[0].name, "echo");
    cr_assert_eq(list->models[0].file_bytes, 530000);
    cr_assert_str_eq(list->models[1].version, "");
    cr_assert_str_eq(list->models[1].reason, "section 3");
    xnord_free(list);
    cr_assert_eq(xnord_model_index(client, true, &list), XNORD_OK);
    cr_assert_eq(list->model_count, 1);
    xnord_free(list);
}

Test(xnord_calls, model_metadata) {
    xnord_model_info *model;
    cr_assert_eq(xnord_model_metadata(client, "echo", NULL, &model), XNORD_OK);
    cr_assert_str_eq(model->version, "7");
    cr_assert_str_eq(model->versions[1], "6");
    cr_assert_str_eq(model->inputs[0].name, "points");
    cr_assert_eq(model->inputs[0].shape[1], -1);
    cr_assert_str_eq(model->outputs[0].name, "scores");
    cr_assert_str_eq(model->cloud_input, "points");
    cr_assert_eq(model->cloud_points, 1024);
    cr_assert_eq(model->class_count, 3);
    cr_assert_str_eq(model->classes[2], "table");
    xnord_free(model);
    model = NULL;
    cr_assert_eq(xnord_model_metadata(client, "other", NULL, &model), XNORD_NOT_FOUND);
    cr_assert_null(model);
    cr_assert_str_eq(xnord_last_error(),
                     "model_metadata: no such model or version: no model of that name");
}

Test(xnord_calls, model_stats_and_percentiles) {
    xnord_stats *stats;
    cr_assert_eq(xnord_model_stats(client, NULL, false, &stats), XNORD_OK);
    cr_assert_eq(stats->model_count, 1);
    const xnord_model_counters *m = &stats->models[0];
    cr_assert_eq(m->statuses[XNORD_OK], 10);
    cr_assert_eq(m->statuses[XNORD_BUSY], 3);
    cr_assert_eq(m->statuses[XNORD_INTERNAL], 0);
    cr_assert_eq(m->queue.count, 0);
    cr_assert_eq(xnord_stage_percentile_us(stats, &m->queue, 0.5), 0);
    cr_assert_eq(m->total.count, 10);
    // 5 below 100 µs, 4 below 1000 µs, 1 beyond; the largest is 2500 µs.
    cr_assert_eq(xnord_stage_percentile_us(stats, &m->total, 0.5), 100);
    cr_assert_eq(xnord_stage_percentile_us(stats, &m->total, 0.9), 1000);
    cr_assert_eq(xnord_stage_percentile_us(stats, &m->total, 0.99), 2500);
    cr_assert_eq(xnord_stage_percentile_us(stats, &m->total, 0), 100);
    xnord_free(stats);
    cr_assert_eq(xnord_model_stats(client, "echo", true, &stats), XNORD_OK);
    cr_assert_eq(stats->models[0].statuses[XNORD_OK], 1);
    xnord_free(stats);
}

Test(xnord_calls, infer_gives_labels) {
    float cloud[2][3] = {{0, 0, 1}, {0, 1, 0}};
    xnord_tensor tensor = xnord_cloud_tensor("points", *cloud, 2);
    xnord_result *result;
    cr_assert_eq(infer("echo", &tensor, 2, &result), XNORD_OK, "%s", xnord_last_error());
    cr_assert_str_eq(xnord_result_model(result), "echo");
    cr_assert_str_eq(xnord_result_version(result), "7");
    cr_assert_eq(xnord_result_label_count(result), 2);
    cr_assert_str_eq(xnord_result_label(result, 1)->name, "sofa");
    cr_assert_eq(xnord_result_label(result, 1)->class_id, 1);
    cr_assert_eq(xnord_result_label(result, 1)->confidence, 0.25f);
    cr_assert_null(xnord_result_label(result, 2));
    cr_assert_eq(xnord_result_tensor_count(result), 0);
    cr_assert_eq(xnord_result_timing(result)->compute_us, 22);
    cr_assert_eq(xnord_result_timing(result)->total_us, 44);
    cr_assert_gt(xnord_result_timing(result)->round_trip_us, 0);
    xnord_result_free(&result);
    cr_assert_null(result);
}

Test(xnord_calls, infer_gives_aligned_tensors_that_outlive_the_client) {
    float cloud[3][3] = {{1, 2, 3}, {4, 5, 6}, {7, 8, 9}};
    xnord_tensor inputs[] = {bytes("abc", 3), xnord_cloud_tensor("points", *cloud, 3)};
    xnord_infer_request request = {.model = "echo", .input_count = 2, .inputs = inputs};
    xnord_result *result;
    cr_assert_eq(xnord_infer(client, &request, &result), XNORD_OK);
    xnord_client_close(&client);
    cr_assert_eq(xnord_result_tensor_count(result), 2);
    cr_assert_arr_eq(xnord_result_tensor(result, 0)->data, "abc", 3);
    const xnord_tensor *points = xnord_result_find(result, "points");
    cr_assert_eq(points, xnord_result_tensor(result, 1));
    cr_assert_eq((uintptr_t)points->data % 64, 0);
    cr_assert_eq(points->datatype, XNORD_FP32);
    cr_assert_eq(points->rank, 2);
    cr_assert_eq(points->shape[0], 3);
    cr_assert_eq(((const float *)points->data)[8], 9.0f);
    cr_assert_null(xnord_result_find(result, "y"));
    cr_assert_null(xnord_result_tensor(result, 2));
    xnord_result_free(&result);
}

// The echo gives back what it gets, so tensors of any shape can be looked at.
Test(xnord_calls, maps_are_found_by_name_type_and_shape) {
    static const uint8_t labels[6] = {1, 2, 3, 4, 5, 6};
    static const float values[6] = {0.5f}, normals[2 * 1 * 3] = {0, 1},
                       boxes[2][6] = {{1, 2, 3, 4, 5, 6}};
    static const uint16_t depth[6] = {7};
    const xnord_tensor inputs[] = {
        {"l", XNORD_UINT8, 2, {2, 3}, labels, 6, 0},
        {"v.confidence", XNORD_FP32, 2, {3, 2}, values, 24, 0},
        {"d.millimetres", XNORD_UINT16, 2, {1, 6}, depth, 12, 0},
        {"n", XNORD_FP32, 3, {2, 1, 3}, normals, 24, 0},
        {"b", XNORD_FP32, 2, {2, 6}, boxes, sizeof boxes, 0},
        {"none", XNORD_FP32, 2, {0, 6}, NULL, 0, 0},
    };
    const xnord_infer_request request = {.model = "echo", .input_count = 6, .inputs = inputs};
    xnord_result *result;
    size_t w = 0, h = 0, count = 9;
    cr_assert_eq(xnord_infer(client, &request, &result), XNORD_OK, "%s", xnord_last_error());
    cr_assert_eq(xnord_result_label_map(result, "l", &w, &h)[5], 6);
    cr_assert(w == 3 && h == 2);
    cr_assert_eq(*xnord_result_value_map(result, "v.confidence", &w, &h), 0.5f);
    cr_assert(w == 2 && h == 3);
    cr_assert_eq(*xnord_result_millimetre_map(result, "d.millimetres", &w, &h), 7);
    cr_assert_eq(xnord_result_normal_map(result, "n", NULL, NULL)[1], 1);
    const xnord_box *found = xnord_result_boxes(result, "b", &count);
    cr_assert(found && count == 2 && found[0].left == 1 && found[0].bottom == 4 &&
              found[0].score == 5 && found[0].class_id == 6);
    cr_assert(xnord_result_boxes(result, "none", &count) && count == 0);
    cr_assert_null(xnord_result_label_map(result, "v.confidence", NULL, NULL));
    cr_assert_null(xnord_result_value_map(result, "n", NULL, NULL));
    cr_assert_null(xnord_result_normal_map(result, "b", NULL, NULL));
    cr_assert_null(xnord_result_boxes(result, "v.confidence", &count));
    cr_assert_null(xnord_result_label_map(result, "x", NULL, NULL));
    xnord_result_free(&result);
}

Test(xnord_calls, an_image_has_rows_that_may_be_apart) {
    static const uint8_t pixels[64];
    xnord_tensor t = xnord_image_tensor("i", pixels, 3, 2, 3, 0);
    cr_assert(t.rank == 3 && t.shape[0] == 2 && t.shape[1] == 3 && t.shape[2] == 3);
    cr_assert(t.size == 18 && t.stride == 0);
    t = xnord_image_tensor("i", pixels, 3, 2, 1, 10);
    cr_assert(t.size == 13 && t.stride == 10);
    xnord_result *result;
    cr_assert_eq(infer("echo", &t, 2, &result), XNORD_OK, "%s", xnord_last_error());
    xnord_result_free(&result);
    t.size = 12;
    cr_assert_eq(infer("echo", &t, 2, &result), XNORD_E_ARGUMENT);
    t = xnord_image_tensor("i", pixels, 3, 2, 3, 8);
    cr_assert_eq(infer("echo", &t, 2, &result), XNORD_E_ARGUMENT, "rows overlap");
}

Test(xnord_calls, refusal_carries_the_servers_words) {
    xnord_tensor tensor = bytes("a", 1);
    xnord_result *result = NULL;
    cr_assert_eq(infer("busy", &tensor, 0, &result), XNORD_BUSY);
    cr_assert_str_eq(xnord_last_error(), "infer: queue full: queue of 8 is full");
    cr_assert_eq(xnord_last_retry_ms(), 20);
    cr_assert_null(result);
    cr_assert_eq(infer(NULL, &tensor, 0, &result), XNORD_E_ARGUMENT);
    cr_assert_eq(xnord_last_retry_ms(), 0);
    cr_assert_eq(fake_count(server, XNORD_OP_INFER), 1);
}

Test(xnord_calls, bad_answers_are_reported) {
    xnord_tensor tensor = bytes("a", 1);
    xnord_result *result = NULL;
    cr_assert_eq(infer("garbage", &tensor, 0, &result), XNORD_E_PROTOCOL);
    cr_assert(strstr(xnord_last_error(), "malformed reply to infer"), "%s", xnord_last_error());
    cr_assert_eq(infer("stranger", &tensor, 0, &result), XNORD_E_PROTOCOL);
    cr_assert(strstr(xnord_last_error(), "reply to request"), "%s", xnord_last_error());
    cr_assert_null(result);
}

Test(xnord_calls, silence_ends_after_deadline_and_grace) {
    xnord_tensor tensor = bytes("a", 1);
    xnord_infer_request request = {
        .model = "silent", .input_count = 1, .inputs = &tensor, .deadline_ms = 50};
    xnord_result *result = NULL;
    cr_assert_eq(xnord_infer(client, &request, &result), XNORD_E_TIMEOUT, "%s", xnord_last_error());
    cr_assert_eq(infer("echo", &tensor, 0, &result), XNORD_OK);
    xnord_result_free(&result);
    cr_assert_eq(fake_count(server, XNORD_OP_INFER), 2);
}

// The largest request that the limit allows arrives; one byte more is not sent.
Test(xnord_calls, size_limit_is_exact) {
    size_t limit = xnord_client_max_message(client), size = limit - 200;
    unsigned char *data = calloc(1, limit);
    xnord_result *result;
    xnord_tensor tensor = bytes(data, size);
    while (infer("echo", &tensor, 1, &result) == XNORD_OK) {
        xnord_result_free(&result);
        tensor = bytes(data, ++size);
        cr_assert_lt(size, limit);
    }
    unsigned sent = fake_count(server, XNORD_OP_INFER);
    cr_assert_eq(infer("echo", &tensor, 1, &result), XNORD_TOO_LARGE, "%s", xnord_last_error());
    cr_assert_eq(fake_count(server, XNORD_OP_INFER), sent);
    cr_assert_eq(fake_count(server, XNORD_OP_HELLO), 1);
    char expected[80];
    snprintf(expected, sizeof expected, "the request takes %zu bytes, the server accepts %zu",
             limit + 1, limit);
    cr_assert_str_eq(xnord_last_error(), expected);
    free(data);
}

Test(xnord_calls, bad_arguments_are_named) {
    xnord_tensor tensor = bytes("abc", 3);
    xnord_infer_request request = {.model = "echo"};
    xnord_result *result;
    cr_assert_eq(xnord_infer(client, &request, &result), XNORD_E_ARGUMENT);
    cr_assert(strstr(xnord_last_error(), "input_count"));
    cr_assert_eq(infer("echo", &tensor, 65, &result), XNORD_E_ARGUMENT);
    cr_assert(strstr(xnord_last_error(), "top_k"));
    tensor.size = 2;
    cr_assert_eq(infer("echo", &tensor, 0, &result), XNORD_E_ARGUMENT);
    cr_assert(strstr(xnord_last_error(), "inputs[0] (x)"), "%s", xnord_last_error());
    tensor = bytes(NULL, 3);
    cr_assert_eq(infer("echo", &tensor, 0, &result), XNORD_E_ARGUMENT);
    tensor = bytes("abc", 3);
    tensor.name = NULL;
    cr_assert_eq(infer("echo", &tensor, 0, &result), XNORD_E_ARGUMENT);
    tensor = bytes("abc", 3);
    tensor.rank = 9;
    cr_assert_eq(infer("echo", &tensor, 0, &result), XNORD_E_ARGUMENT);
    tensor = bytes("abc", 3);
    cr_assert_eq(infer("line\nbreak", &tensor, 0, &result), XNORD_E_ARGUMENT);
    cr_assert_eq(fake_count(server, XNORD_OP_INFER), 0);
}

// ---- threads ------------------------------------------------------------------------------------

static void *infer_often(void *argument) {
    uint32_t mark = (uint32_t)(uintptr_t)argument;
    for (uint32_t i = 0; i < 200; i++) {
        uint32_t data[2] = {mark, i};
        xnord_tensor tensor = {"x", XNORD_UINT32, 1, {2}, data, sizeof data, 0};
        xnord_result *result;
        if (infer("echo", &tensor, 0, &result) != XNORD_OK) return "failed";
        bool same = memcmp(xnord_result_tensor(result, 0)->data, data, sizeof data) == 0;
        xnord_result_free(&result);
        if (!same) return "another thread's answer";
    }
    return NULL;
}

Test(xnord_calls, threads_share_a_client) {
    pthread_t threads[8];
    for (uintptr_t i = 0; i < 8; i++) {
        pthread_create(&threads[i], NULL, infer_often, (void *)(i + 1));
    }
    for (int i = 0; i < 8; i++) {
        void *failure;
        pthread_join(threads[i], &failure);
        cr_assert_null(failure, "%s", (const char *)failure);
    }
}
