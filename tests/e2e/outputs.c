// Requests for some of what a model gives: they are answered as if all had been asked for, and the rest is not computed.
#include "groups.h"
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IMAGE "image"
#define TWO "two"
#define WIDTH 96
#define HEIGHT 64
#define TWO_POINTS 128

static const char *const image_outputs[] = {"semseg", "depth", "normals",
                                            "edges",  "boxes", "scores"};
static const char *const graph_outputs[] = {"semseg", "depth", "normals", "edges",
                                            "heat",   "size",  "offset"};
#define COUNT(array) ((uint32_t)(sizeof(array) / sizeof *(array)))

static uint8_t picture[HEIGHT][WIDTH][3];

static void make_picture(void) {
    uint8_t *bytes = &picture[0][0][0];
    for (size_t i = 0; i < sizeof picture; i++) bytes[i] = (uint8_t)((i * 37 % 251) ^ (i / WIDTH));
}

static xnord_status infer(xnord_client *client, const char *model, const xnord_tensor *input,
                          uint32_t count, const char *const *names, uint32_t top_k,
                          xnord_result **out) {
    const xnord_infer_request request = {.model = model,
                                         .input_count = 1,
                                         .inputs = input,
                                         .output_count = count,
                                         .outputs = names,
                                         .top_k = top_k};
    return xnord_infer(client, &request, out);
}

static void expect_same(const xnord_result *all, const xnord_result *some, uint32_t count,
                        const char *const *names) {
    check(xnord_result_tensor_count(some) == count, "%u answers to %u names",
          xnord_result_tensor_count(some), count);
    for (uint32_t i = 0; i < count; i++) {
        const xnord_tensor *want = xnord_result_find(all, names[i]);
        const xnord_tensor *found = xnord_result_find(some, names[i]);
        if (!check(want && found, "%s: no answer", names[i])) continue;
        check(want->datatype == found->datatype && want->rank == found->rank &&
                  want->size == found->size &&
                  memcmp(want->shape, found->shape, want->rank * sizeof *want->shape) == 0,
              "%s: another tensor", names[i]);
        check(want->size == found->size && memcmp(want->data, found->data, want->size) == 0,
              "%s: another value", names[i]);
    }
}

// Every choice of `names` but none.
static void expect_choices(xnord_client *client, const char *model, const xnord_tensor *input,
                           const char *const *names, uint32_t count) {
    xnord_result *all = NULL, *some = NULL;
    if (!check(infer(client, model, input, count, names, 0, &all) == XNORD_OK, "%s",
               xnord_last_error()))
        return;
    for (uint32_t choice = 1; choice < 1u << count; choice++) {
        const char *chosen[16];
        uint32_t number = 0;
        for (uint32_t i = 0; i < count; i++)
            if (choice >> i & 1) chosen[number++] = names[i];
        if (!check(infer(client, model, input, number, chosen, 0, &some) == XNORD_OK, "%u: %s",
                   choice, xnord_last_error()))
            continue;
        expect_same(all, some, number, chosen);
        xnord_result_free(&some);
    }
    xnord_result_free(&all);
}

static void test_choices(const struct daemon *daemon) {
    begin_test("some answers are those that all together are");
    static float values[3 * 16 * 24];
    xnord_client *client = client_open(daemon);
    const xnord_tensor pixels = xnord_image_tensor("image", picture[0][0], WIDTH, HEIGHT, 3, 0);
    expect_choices(client, IMAGE, &pixels, image_outputs, COUNT(image_outputs));
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        values[i] = (float)(i * 29 % 97) / 32 - 1.5f;
    const xnord_tensor raw = {"image", XNORD_FP32, 4, {1, 3, 16, 24}, values, sizeof values, 0};
    expect_choices(client, IMAGE, &raw, graph_outputs, COUNT(graph_outputs));
    xnord_client_close(&client);
}

static void test_names(const struct daemon *daemon) {
    begin_test("a name that the model does not have is refused among names that it has");
    static const char *const names[] = {"depth", "nothing", "semseg"};
    static float values[3 * 8 * 8];
    xnord_client *client = client_open(daemon);
    xnord_result *result = NULL;
    const xnord_tensor pixels = xnord_image_tensor("image", picture[0][0], WIDTH, HEIGHT, 3, 0);
    const xnord_tensor raw = {"image", XNORD_FP32, 4, {1, 3, 8, 8}, values, sizeof values, 0};
    check(infer(client, IMAGE, &pixels, 3, names, 0, &result) == XNORD_INVALID && result == NULL &&
              strstr(xnord_last_error(), "'nothing'"),
          "%s", xnord_last_error());
    check(infer(client, IMAGE, &raw, 3, names, 0, &result) == XNORD_INVALID && result == NULL &&
              strstr(xnord_last_error(), "outputs[1]: the model has no output 'nothing'"),
          "%s", xnord_last_error());
    xnord_client_close(&client);
}

static void test_labels(const struct daemon *daemon) {
    begin_test("labels are given beside any outputs, and without");
    static const char *const names[] = {"log_probs", "code"};
    static float xyz[TWO_POINTS * 3];
    xnord_client *client = client_open(daemon);
    make_cloud(xyz, TWO_POINTS, 5);
    const xnord_tensor raw = {"points", XNORD_FP32, 3, {1, TWO_POINTS, 3}, xyz, sizeof xyz, 0};
    xnord_result *all = NULL, *some = NULL;
    if (!check(infer(client, TWO, &raw, 2, names, 3, &all) == XNORD_OK, "%s", xnord_last_error()))
        return;
    for (uint32_t first = 0; first < 3; first++) { // one, the other, none
        if (!check(infer(client, TWO, &raw, first < 2, names + first % 2, 3, &some) == XNORD_OK,
                   "%u: %s", first, xnord_last_error()))
            continue;
        expect_same(all, some, first < 2, names + first % 2);
        check(xnord_result_label_count(some) == 3, "%u labels", xnord_result_label_count(some));
        for (uint32_t i = 0; i < xnord_result_label_count(some); i++) {
            const xnord_label *want = xnord_result_label(all, i);
            const xnord_label *found = xnord_result_label(some, i);
            check(want && found->class_id == want->class_id &&
                      found->confidence == want->confidence,
                  "label %u", i);
        }
        xnord_result_free(&some);
    }
    xnord_result_free(&all);
    xnord_client_close(&client);
}

// The memory of a run is that of the layers it needs, and a worker keeps one session for all requests of equal names.
static void test_memory(void) {
    begin_test("what is not asked for takes no memory");
    enum { SIDE = 256 };
    static const char *const depth = "depth";
    static float values[3 * SIDE * SIDE];
    struct daemon daemon = {0};
    daemon_prepare(&daemon);
    models_put_made(&daemon, IMAGE);
    daemon_start(&daemon, "workers: {count: 1, max_batch: 1, max_memory_bytes: 3145728}\n");
    xnord_client *client = client_open(&daemon);
    const xnord_tensor raw = {"image", XNORD_FP32, 4, {1, 3, SIDE, SIDE}, values, sizeof values, 0};
    for (int i = 0; i < 3; i++) {
        xnord_result *result = NULL;
        xnord_status status = infer(client, IMAGE, &raw, 1, &depth, 0, &result);
        check(status == XNORD_OK, "%s: %s", xnord_status_name(status), xnord_last_error());
        xnord_result_free(&result);
        status = infer(client, IMAGE, &raw, COUNT(graph_outputs), graph_outputs, 0, &result);
        check(status == XNORD_RESOURCE, "%s: %s", xnord_status_name(status), xnord_last_error());
        xnord_result_free(&result);
    }
    xnord_client_close(&client);
    daemon_finish(&daemon);
}

void test_outputs(void) {
    struct daemon daemon = {0};
    make_picture();
    daemon_prepare(&daemon);
    if (models_put_made(&daemon, IMAGE) && models_put_made(&daemon, TWO)) {
        daemon_start(&daemon, "workers: {count: 2, session_cache: 3}\n");
        test_choices(&daemon);
        test_names(&daemon);
        test_labels(&daemon);
        daemon_finish(&daemon);
        test_memory();
    } else {
        daemon_remove(&daemon);
    }
}
