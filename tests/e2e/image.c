// Images through the daemon. What the test networks give can be told from the picture: see
// make_image.py. `expect` does that, in double and without the engine.
#include "groups.h"
#include "harness.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IMAGE "image"
#define FIXED "fixed"
#define WIDTH 96
#define HEIGHT 64
#define MAP_W (WIDTH / 2)
#define MAP_H (HEIGHT / 2)
#define LARGE 1000 // pixels a side

enum { RED, GREEN, BLUE, OTHER };

static uint8_t picture[HEIGHT][WIDTH][3];
static uint8_t large[LARGE][LARGE][3];

static void fill(size_t left, size_t top, size_t width, size_t height, uint8_t r, uint8_t g,
                 uint8_t b) {
    for (size_t y = top; y < top + height; y++)
        for (size_t x = left; x < left + width; x++) memcpy(picture[y][x], (uint8_t[]){r, g, b}, 3);
}

static void make_pictures(void) {
    fill(0, 0, WIDTH, HEIGHT, 90, 90, 90);
    fill(0, 0, 32, 32, 230, 20, 10);
    fill(41, 5, 24, 20, 10, 200, 20); // not on even pixels
    fill(70, 36, 16, 16, 0, 0, 255);
    fill(10, 50, 20, 10, 255, 255, 255);
    for (size_t y = 0; y < LARGE; y++)
        for (size_t x = 0; x < LARGE; x++)
            memcpy(large[y][x], picture[y * HEIGHT / LARGE][x * WIDTH / LARGE], 3);
}

// What the network sees at (x, y) of its map: the mean of four pixels, 0 to 1.
static void colour_at(size_t x, size_t y, double out[3]) {
    for (size_t c = 0; c < 3; c++)
        out[c] = (picture[2 * y][2 * x][c] + picture[2 * y][2 * x + 1][c] +
                  picture[2 * y + 1][2 * x][c] + picture[2 * y + 1][2 * x + 1][c]) /
                 4.0 / 255;
}

static uint8_t class_at(size_t x, size_t y) {
    double v[3];
    colour_at(x, y, v);
    const double scores[4] = {8 * v[0] - 4 * v[1] - 4 * v[2], 8 * v[1] - 4 * v[0] - 4 * v[2],
                              8 * v[2] - 4 * v[0] - 4 * v[1], 2};
    uint8_t best = 0;
    for (uint8_t c = 1; c < 4; c++)
        if (scores[c] > scores[best]) best = c;
    return best;
}

static xnord_status infer(xnord_client *client, const char *model, const xnord_tensor *input,
                          uint32_t count, const char *const *names, bool at_network,
                          xnord_result **out) {
    const xnord_infer_request request = {.model = model,
                                         .input_count = 1,
                                         .inputs = input,
                                         .output_count = count,
                                         .outputs = names,
                                         .at_network = at_network};
    return xnord_infer(client, &request, out);
}

static xnord_tensor whole(void) {
    return xnord_image_tensor("image", picture[0][0], WIDTH, HEIGHT, 3, 0);
}

// ---- answers ------------------------------------------------------------------------------------

static void test_metadata(const struct daemon *daemon) {
    begin_test("metadata says what is made of images");
    xnord_client *client = client_open(daemon);
    xnord_model_info *info = NULL;
    if (check(xnord_model_metadata(client, IMAGE, NULL, &info) == XNORD_OK, "%s",
              xnord_last_error())) {
        check(strcmp(info->task, "image") == 0 && strcmp(info->image_input, "image") == 0, "%s, %s",
              info->task, info->image_input);
        check(*info->cloud_input == '\0' && info->class_count == 0, "clouds: '%s'",
              info->cloud_input);
        check(info->image_width == WIDTH && info->image_height == HEIGHT &&
                  info->image_multiple_of == 8,
              "%lu x %lu", (unsigned long)info->image_width, (unsigned long)info->image_height);
        check(info->image_output_count == 6, "%u outputs", info->image_output_count);
        const xnord_image_output *o = info->image_outputs;
        check(strcmp(o[0].name, "semseg") == 0 && strcmp(o[0].kind, "segmentation") == 0 &&
                  o[0].class_count == 4 && strcmp(o[0].classes[BLUE], "blue") == 0 &&
                  o[0].palette && o[0].palette[BLUE] == 0x0000ff,
              "%s: %s", o[0].name, o[0].kind);
        check(strcmp(o[1].kind, "depth") == 0 && o[1].low_m == 0.6f && o[1].high_m == 4 &&
                  o[1].palette == NULL,
              "%s: %s", o[1].name, o[1].kind);
        xnord_free(info);
    }
    xnord_client_close(&client);
}

static void check_network_maps(const xnord_result *result) {
    size_t w = 0, h = 0, wrong = 0;
    const uint8_t *labels = xnord_result_label_map(result, "semseg", &w, &h);
    if (!check(labels && w == MAP_W && h == MAP_H, "labels %zu x %zu", w, h)) return;
    for (size_t i = 0; i < w * h; i++) wrong += labels[i] != class_at(i % w, i / w);
    check(wrong == 0, "%zu labels", wrong);
    const float *depth = xnord_result_value_map(result, "depth", &w, &h);
    const uint16_t *small = xnord_result_millimetre_map(result, "depth.millimetres", &w, &h);
    const float *normals = xnord_result_normal_map(result, "normals", &w, &h);
    if (!check(depth && small && normals && w == MAP_W && h == MAP_H, "other maps")) return;
    double worst = 0, worst_normal = 0;
    for (size_t i = 0; i < w * h; i++) {
        double v[3], length = 0;
        colour_at(i % w, i / w, v);
        const double metres = 0.5 + 4 * (v[0] + v[1] + v[2]) / 3;
        const double seen = metres > 4 ? 0 : metres; // beyond the range
        worst = fmax(worst, fabs(depth[i] - seen));
        worst = fmax(worst, fabs(small[i] / 1000.0 - seen) - 0.0005);
        for (size_t k = 0; k < 3; k++) length += (2 * v[k] - 1) * (2 * v[k] - 1);
        for (size_t k = 0; k < 3; k++)
            worst_normal = fmax(worst_normal,
                                fabs((double)normals[3 * i + k] - (2 * v[k] - 1) / sqrt(length)));
    }
    check(worst < 1e-5, "metres differ by %g", worst);
    check(worst_normal < 1e-5, "normals differ by %g", worst_normal);
}

static void test_at_network(const struct daemon *daemon) {
    begin_test("answers at the network's resolution are what the picture shows");
    static const char *const names[] = {"semseg", "depth", "depth.millimetres", "normals"};
    xnord_client *client = client_open(daemon);
    xnord_result *result = NULL;
    const xnord_tensor input = whole();
    if (check(infer(client, IMAGE, &input, 4, names, true, &result) == XNORD_OK, "%s",
              xnord_last_error())) {
        check(xnord_result_tensor_count(result) == 4, "%u tensors",
              xnord_result_tensor_count(result));
        check_network_maps(result);
        xnord_result_free(&result);
    }
    xnord_client_close(&client);
}

static void test_all(const struct daemon *daemon) {
    begin_test("without names every output is answered, at the size of the image");
    xnord_client *client = client_open(daemon);
    xnord_result *result = NULL;
    const xnord_tensor input = whole();
    if (!check(infer(client, IMAGE, &input, 0, NULL, false, &result) == XNORD_OK, "%s",
               xnord_last_error()))
        return;
    size_t w = 0, h = 0, count = 0;
    check(xnord_result_tensor_count(result) == 6, "%u tensors", xnord_result_tensor_count(result));
    const uint8_t *labels = xnord_result_label_map(result, "semseg", &w, &h);
    if (check(labels && w == WIDTH && h == HEIGHT, "labels %zu x %zu", w, h)) {
        check(labels[5 * WIDTH + 5] == RED && labels[12 * WIDTH + 50] == GREEN &&
                  labels[44 * WIDTH + 78] == BLUE && labels[54 * WIDTH + 20] == OTHER,
              "%d %d %d %d", labels[5 * WIDTH + 5], labels[12 * WIDTH + 50],
              labels[44 * WIDTH + 78], labels[54 * WIDTH + 20]);
    }
    const float *edges = xnord_result_value_map(result, "edges", &w, &h);
    if (check(edges && w == WIDTH && h == HEIGHT, "edges"))
        // Grey to white is a change of 0.65, in the middle of the white there is none.
        check(edges[55 * WIDTH + 10] > 0.5f && edges[55 * WIDTH + 20] < 0.1f, "%g %g",
              (double)edges[55 * WIDTH + 10], (double)edges[55 * WIDTH + 20]);
    const xnord_box *boxes = xnord_result_boxes(result, "boxes", &count);
    if (check(boxes && count == 1, "%zu boxes", count))
        // The blue square has its middle at (78, 44); boxes are 12 x 8 pixels of the image.
        check(fabs(boxes->right - boxes->left - 12) < 1e-4 &&
                  fabs(boxes->bottom - boxes->top - 8) < 1e-4 &&
                  fabs((boxes->left + boxes->right) / 2 - 78) <= 2 &&
                  fabs((boxes->top + boxes->bottom) / 2 - 44) <= 2 && boxes->class_id == 0,
              "%g %g %g %g", (double)boxes->left, (double)boxes->top, (double)boxes->right,
              (double)boxes->bottom);
    const xnord_tensor *raw = xnord_result_find(result, "scores");
    check(raw && raw->rank == 4 && raw->shape[1] == 4 && raw->shape[2] == MAP_H, "raw scores");
    check(xnord_result_label_map(result, "depth", NULL, NULL) == NULL, "depth as labels");
    check(xnord_result_label_map(result, "normals", NULL, NULL) == NULL, "normals as labels");
    xnord_result_free(&result);
    xnord_client_close(&client);
}

// The same labels as for the picture itself.
static void expect_same(xnord_client *client, const char *what, const xnord_tensor *input) {
    static const char *const name = "semseg.labels";
    xnord_result *result = NULL;
    size_t w = 0, h = 0, wrong = 0;
    if (!check(infer(client, IMAGE, input, 1, &name, true, &result) == XNORD_OK, "%s: %s", what,
               xnord_last_error()))
        return;
    const uint8_t *labels = xnord_result_label_map(result, name, &w, &h);
    check(labels && w == MAP_W && h == MAP_H, "%s: %zu x %zu", what, w, h);
    for (size_t i = 0; labels && i < w * h; i++) wrong += labels[i] != class_at(i % w, i / w);
    check(wrong == 0, "%s: %zu labels", what, wrong);
    check(xnord_result_tensor_count(result) == 1, "%s: more than was asked for", what);
    xnord_result_free(&result);
}

static void test_forms(const struct daemon *daemon) {
    begin_test("rows that are apart and floats are the same image");
    enum { STRIDE = WIDTH * 3 + 5 };
    static uint8_t apart[HEIGHT * STRIDE];
    static float numbers[HEIGHT][WIDTH][3];
    xnord_client *client = client_open(daemon);
    memset(apart, 0xee, sizeof apart);
    for (size_t y = 0; y < HEIGHT; y++) {
        memcpy(apart + y * STRIDE, picture[y], WIDTH * 3);
        for (size_t i = 0; i < WIDTH * 3; i++)
            numbers[y][i / 3][i % 3] = (float)picture[y][i / 3][i % 3] / 255;
    }
    const xnord_tensor rows = xnord_image_tensor("image", apart, WIDTH, HEIGHT, 3, STRIDE);
    const xnord_tensor floats = {"image", XNORD_FP32,     3, {HEIGHT, WIDTH, 3},
                                 numbers, sizeof numbers, 0};
    expect_same(client, "rows apart", &rows);
    expect_same(client, "floats", &floats);
    xnord_client_close(&client);
}

static void test_sizes(const struct daemon *daemon) {
    begin_test("images of any size are answered at their own, more sizes than are kept");
    static const size_t sizes[][2] = {{1, 1},    {7, 3},    {96, 64},  {95, 63},    {97, 65},
                                      {16, 200}, {200, 16}, {640, 48}, {1000, 900}, {8, 8}};
    xnord_client *client = client_open(daemon);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int fixed = 0; fixed < 2; fixed++) {
            const size_t w = sizes[i][0], h = sizes[i][1];
            const xnord_tensor input =
                xnord_image_tensor("image", large[0][0], w, h, 3, sizeof large[0]);
            xnord_result *result = NULL;
            size_t width = 0, height = 0;
            if (!check(infer(client, fixed ? FIXED : IMAGE, &input, 0, NULL, false, &result) ==
                           XNORD_OK,
                       "%zu x %zu: %s", w, h, xnord_last_error()))
                continue;
            const uint8_t *labels = xnord_result_label_map(result, "semseg", &width, &height);
            check(labels && width == w && height == h, "%zu x %zu: %zu x %zu", w, h, width, height);
            // The left upper corner of all of them is red.
            check(labels && labels[0] == RED, "%zu x %zu: %d", w, h, labels ? labels[0] : -1);
            xnord_result_free(&result);
        }
    xnord_client_close(&client);
}

static void test_grey(const struct daemon *daemon) {
    begin_test("a grey image is one without colours");
    static const char *const names[] = {"semseg", "depth"};
    static uint8_t grey[16 * 16];
    xnord_client *client = client_open(daemon);
    xnord_result *result = NULL;
    memset(grey, 51, sizeof grey);
    const xnord_tensor input = xnord_image_tensor("image", grey, 16, 16, 1, 0);
    if (check(infer(client, IMAGE, &input, 2, names, true, &result) == XNORD_OK, "%s",
              xnord_last_error())) {
        const uint8_t *labels = xnord_result_label_map(result, "semseg", NULL, NULL);
        const float *depth = xnord_result_value_map(result, "depth", NULL, NULL);
        check(labels && labels[27] == OTHER, "label");
        check(depth && fabs((double)depth[27] - (0.5 + 4 * 0.2)) < 1e-5, "depth");
        xnord_result_free(&result);
    }
    xnord_client_close(&client);
}

static void test_raw(const struct daemon *daemon) {
    begin_test("the graph's own input and outputs can be used too");
    static const char *const names[] = {"heat", "semseg"};
    static float values[3 * 8 * 8];
    xnord_client *client = client_open(daemon);
    xnord_result *result = NULL;
    const xnord_tensor input = {"image", XNORD_FP32, 4, {1, 3, 8, 8}, values, sizeof values, 0};
    if (check(infer(client, IMAGE, &input, 2, names, false, &result) == XNORD_OK, "%s",
              xnord_last_error())) {
        const xnord_tensor *heat = xnord_result_find(result, "heat");
        check(heat && heat->rank == 4 && heat->shape[3] == 4, "heat");
        xnord_result_free(&result);
    }
    xnord_client_close(&client);
}

// ---- refusals -----------------------------------------------------------------------------------

static const char *wanted_name;
static float numbers[48];

static void no_rows(xnord_proto_request *r) {
    r->inputs[0].shape[0] = 0;
    r->inputs[0].size = 0;
}
static void no_columns(xnord_proto_request *r) {
    r->inputs[0].shape[1] = 0;
    r->inputs[0].size = 0;
}
static void two_channels(xnord_proto_request *r) {
    r->inputs[0].shape[1] = 6;
    r->inputs[0].shape[2] = 2;
}
static void too_wide(xnord_proto_request *r) {
    memcpy(r->inputs[0].shape, (int64_t[]){1, 16385, 1}, 3 * sizeof(int64_t));
    r->inputs[0].size = 16385;
}
static void integers(xnord_proto_request *r) {
    r->inputs[0].datatype = XNORD_INT8;
}
static void two_axes(xnord_proto_request *r) {
    r->inputs[0].rank = 2;
    r->inputs[0].shape[1] = 12;
}
static void not_a_number(xnord_proto_request *r) {
    r->inputs[0].datatype = XNORD_FP32;
    r->inputs[0].data = numbers;
    r->inputs[0].size = sizeof numbers; // 4 x 4 x 3
    numbers[5] = NAN;
}
static void another_input(xnord_proto_request *r) {
    r->inputs[0].name = xnord_proto_str_from("picture");
}
static void another_output(xnord_proto_request *r) {
    (void)r;
    wanted_name = "heat"; // of the graph, but not described
}
static void another_form(xnord_proto_request *r) {
    (void)r;
    wanted_name = "semseg.metres";
}
static void best_classes(xnord_proto_request *r) {
    r->params.top_k = 1;
}

static const struct {
    const char *name;
    void (*spoil)(xnord_proto_request *request);
    xnord_status status;
    const char *detail;
} cases[] = {
    {"no rows", no_rows, XNORD_INVALID, "no pixels: 4 x 0"},
    {"no columns", no_columns, XNORD_INVALID, "no pixels: 0 x 4"},
    {"two channels", two_channels, XNORD_INVALID, "[height, width, 1 or 3], found [4, 6, 2]"},
    {"too wide", too_wide, XNORD_TOO_LARGE, "16385 x 1"},
    {"signed bytes", integers, XNORD_INVALID, "expected UINT8 or FP32, found INT8"},
    {"two axes", two_axes, XNORD_INVALID, "expected FP32, found UINT8"},
    {"NaN", not_a_number, XNORD_INVALID, "pixel at (1, 0) is not finite"},
    {"another input", another_input, XNORD_INVALID, "no input 'picture'"},
    {"an output of the graph", another_output, XNORD_INVALID, "not 'heat'"},
    {"a form of another kind", another_form, XNORD_INVALID, "not 'semseg.metres'"},
    {"top_k", best_classes, XNORD_INVALID, "top_k"},
};

static void test_refusals(const struct daemon *daemon) {
    begin_test("bad images are refused with status and reason");
    static unsigned char buffer[32768];
    static const uint8_t pixels[16385];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        xnord_proto_request request = {.op = XNORD_OP_INFER,
                                       .id = i + 1,
                                       .model = xnord_proto_str_from(IMAGE),
                                       .input_count = 1,
                                       .output_count = 1};
        request.inputs[0] = (xnord_proto_tensor){.name = xnord_proto_str_from("image"),
                                                 .datatype = XNORD_UINT8,
                                                 .rank = 3,
                                                 .shape = {4, 4, 3},
                                                 .data = pixels,
                                                 .size = 48};
        memset(numbers, 0, sizeof numbers);
        wanted_name = "semseg";
        cases[i].spoil(&request);
        request.outputs[0].name = xnord_proto_str_from(wanted_name);
        struct answer answer =
            exchange(daemon, buffer, request_encode(&request, buffer, sizeof buffer));
        check(answer.error == 0 && answer.status == cases[i].status, "%s: %s (%s)", cases[i].name,
              xnord_status_name(answer.status), answer.detail);
        check(strstr(answer.detail, cases[i].detail) != NULL, "%s: '%s'", cases[i].name,
              answer.detail);
        check_serves(daemon, cases[i].name);
    }
}

static void test_not_an_image(const struct daemon *daemon) {
    begin_test("what is for images is refused by models of clouds");
    static unsigned char buffer[65536];
    static float xyz[64 * 3];
    xnord_proto_request request;
    make_cloud(xyz, 64, 1);
    request_cloud(&request, xyz, 64);
    request.params.at_network = true;
    struct answer answer =
        exchange(daemon, buffer, request_encode(&request, buffer, sizeof buffer));
    check(answer.status == XNORD_INVALID && strstr(answer.detail, "at_network"), "%s",
          answer.detail);
    request_cloud(&request, xyz, 64);
    request.inputs[0].stride = 12;
    answer = exchange(daemon, buffer, request_encode(&request, buffer, sizeof buffer));
    check(answer.status == XNORD_INVALID && strstr(answer.detail, "stride"), "%s", answer.detail);
}

// ---- time and memory ----------------------------------------------------------------------------

static void test_late(const struct daemon *daemon) {
    begin_test("an image ends when its deadline passes");
    static const char *const names[] = {"semseg.probabilities", "semseg.confidence"};
    xnord_client *client = client_open(daemon);
    const xnord_tensor input = xnord_image_tensor("image", large[0][0], LARGE, LARGE, 3, 0);
    xnord_infer_request request = {.model = IMAGE,
                                   .input_count = 1,
                                   .inputs = &input,
                                   .output_count = 2,
                                   .outputs = names,
                                   .deadline_ms = 5};
    xnord_result *result = NULL;
    bool ended = false;
    for (int i = 0; i < 20 && !ended; i++) { // a loaded machine may be late before it begins
        const xnord_status status = xnord_infer(client, &request, &result);
        check(status == XNORD_ABORTED || status == XNORD_EXPIRED, "%s", xnord_status_name(status));
        ended = status == XNORD_ABORTED;
        xnord_result_free(&result);
    }
    check(ended, "no image was ended: %s", xnord_last_error());
    xnord_client_close(&client);
    check_serves(daemon, "late images");
}

typedef struct outcome {
    atomic_int status; // -1: none yet
    xnord_result *result;
} outcome;

static void on_answer(void *user, xnord_status status, xnord_result *result) {
    outcome *o = user;
    o->result = result;
    atomic_store(&o->status, (int)status);
}

static void test_crowd(const struct daemon *daemon) {
    begin_test("images of several sizes at the same time do not touch each other");
    enum { COUNT = 24 };
    outcome outcomes[COUNT];
    xnord_request *handles[COUNT] = {NULL};
    xnord_client *client = client_open(daemon);
    for (size_t i = 0; i < COUNT; i++) {
        const size_t side = 10 + 37 * (i % 5);
        const xnord_tensor input =
            xnord_image_tensor("image", large[0][0], side, side, 3, sizeof large[0]);
        const xnord_infer_request request = {
            .model = i % 3 ? IMAGE : FIXED, .input_count = 1, .inputs = &input};
        outcomes[i].result = NULL;
        atomic_store(&outcomes[i].status, -1);
        check(xnord_infer_async(client, &request, on_answer, &outcomes[i], &handles[i]) == XNORD_OK,
              "%s", xnord_last_error());
    }
    for (size_t i = 0; i < COUNT; i++) {
        size_t w = 0, h = 0;
        const size_t side = 10 + 37 * (i % 5);
        xnord_request_wait(handles[i]);
        xnord_request_free(&handles[i]);
        if (!check(atomic_load(&outcomes[i].status) == XNORD_OK, "%zu: %s", i,
                   xnord_status_name((xnord_status)atomic_load(&outcomes[i].status))))
            continue;
        const uint8_t *labels = xnord_result_label_map(outcomes[i].result, "semseg", &w, &h);
        size_t red = 0;
        for (size_t k = 0; labels && k < w * h; k++) red += labels[k] == RED;
        check(labels && w == side && h == side && red == side * side, "%zu: %zu x %zu, %zu red", i,
              w, h, red);
        xnord_result_free(&outcomes[i].result);
    }
    xnord_client_close(&client);
}

static void put_models(const struct daemon *daemon) {
    models_put_made(daemon, IMAGE);
    models_put_made(daemon, FIXED);
}

static void test_memory(void) {
    begin_test("an image whose answers find no memory is refused, a smaller one is not");
    static const char *const name = "semseg.probabilities"; // 16 bytes a pixel
    struct daemon daemon = {0};
    daemon_prepare(&daemon);
    put_models(&daemon);
    daemon_start(&daemon, "workers: {count: 1, max_batch: 1, max_memory_bytes: 4194304}\n");
    xnord_client *client = client_open(&daemon);
    for (int i = 0; i < 3; i++) {
        xnord_result *result = NULL;
        xnord_tensor input = xnord_image_tensor("image", large[0][0], LARGE, LARGE, 3, 0);
        xnord_status status = infer(client, IMAGE, &input, 1, &name, false, &result);
        check(status == XNORD_RESOURCE, "%s", xnord_status_name(status));
        input = xnord_image_tensor("image", large[0][0], 100, 100, 3, sizeof large[0]);
        status = infer(client, IMAGE, &input, 1, &name, false, &result);
        check(status == XNORD_OK, "%s: %s", xnord_status_name(status), xnord_last_error());
        xnord_result_free(&result);
    }
    xnord_client_close(&client);
    daemon_finish(&daemon);
}

void test_image(void) {
    struct daemon daemon = {0};
    if (getenv("XNORD_TEST_SEGMENT") == NULL) {
        check(false, "XNORD_TEST_SEGMENT is not set");
        return;
    }
    make_pictures();
    daemon_prepare(&daemon);
    put_models(&daemon);
    daemon_start(&daemon, "workers: {count: 2, session_cache: 2}\n");
    test_metadata(&daemon);
    test_at_network(&daemon);
    test_all(&daemon);
    test_forms(&daemon);
    test_sizes(&daemon);
    test_grey(&daemon);
    test_raw(&daemon);
    test_refusals(&daemon);
    test_not_an_image(&daemon);
    test_late(&daemon);
    test_crowd(&daemon);
    daemon_finish(&daemon);
    test_memory();
}
