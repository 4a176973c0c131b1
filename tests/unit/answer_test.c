// Answers about images: against direct double computations and by hand.
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "xnor.h"

static const char *const classes[] = {"a", "b", "c", "d", "e"};

// One output of `kind`, on port 0 (boxes: 0 to 2), of a network of width x height whose map is a
// `shrink`-th of that. Images are shown in its upper left.
typedef struct net {
    xnor_image_output output;
    xnor_description d;
    xnor_image_frame frame;
    xnor_tensor outputs[3];
} net;

static net make(xnor_image_kind kind, uint32_t class_count, xnor_output_kind scores) {
    return (net){.output = {.name = "out",
                            .kind = kind,
                            .port_count = kind == XNOR_IMAGE_BOXES ? 3 : 1,
                            .scores = scores,
                            .class_count = class_count,
                            .classes = class_count ? classes : NULL,
                            .ports = {0, 1, 2},
                            .channels_first = true}};
}

static void set_map(net *n, uint32_t port, int64_t channels, int64_t height, int64_t width,
                    float *data) {
    n->d = (xnor_description){
        .task = XNOR_TASK_IMAGE, .image_output_count = 1, .image_outputs = &n->output};
    const xnor_shape first = {4, {1, channels, height, width}};
    const xnor_shape last = {4, {1, height, width, channels}};
    n->outputs[port] = (xnor_tensor){XNOR_F32, n->output.channels_first ? first : last, data};
}

typedef struct made {
    void *data;
    xnor_answer_type type;
    xnor_shape shape;
    size_t count;
} made;

static made answer(const net *n, xnor_answer_form form, bool at_network, size_t rows_at_a_time) {
    const xnor_answer asked = {0, form, at_network};
    made m;
    size_t bytes = 0;
    cr_assert_eq(xnor_answer_shape(&n->d, &asked, &n->frame, n->outputs, &m.type, &m.shape, &bytes),
                 XNOR_OK, "%s", xnor_last_error());
    m.data = malloc(bytes);
    void *workspace = malloc(xnor_answer_workspace_bytes(&n->d, &asked, &n->frame, n->outputs) + 1);
    for (size_t row = 0; row < (size_t)m.shape.dims[0]; row += rows_at_a_time) {
        cr_assert_eq(xnor_answer_make(&n->d, &asked, &n->frame, n->outputs, row, rows_at_a_time,
                                      workspace, m.data, &m.count),
                     XNOR_OK, "%s", xnor_last_error());
        if (rows_at_a_time > (size_t)m.shape.dims[0]) break;
    }
    free(workspace);
    return m;
}

static float *noise(size_t count, uint32_t seed) {
    float *data = malloc(count * sizeof *data);
    for (size_t i = 0; i < count; i++) {
        seed = seed * 1664525u + 1013904223u;
        data[i] = (float)(seed >> 8) / 8388608 - 1;
    }
    return data;
}

// ---- interpolation ------------------------------------------------------------------------------

// Value of a plane at image pixel (x, y): half-pixel centres, the edge goes on outside.
static double direct(const net *n, const float *plane, int64_t map_h, int64_t map_w, size_t x,
                     size_t y) {
    const xnor_image_frame *f = &n->frame;
    const double columns = (double)f->shown_width * (double)map_w / (double)f->width;
    const double rows = (double)f->shown_height * (double)map_h / (double)f->height;
    const double most_x = ceil(columns) - 1, most_y = ceil(rows) - 1;
    const double u =
        fmin(fmax(((double)x + 0.5) / (double)f->image_width * columns - 0.5, 0), most_x);
    const double v =
        fmin(fmax(((double)y + 0.5) / (double)f->image_height * rows - 0.5, 0), most_y);
    double sum = 0;
    for (int64_t j = 0; j < map_h; j++)
        for (int64_t i = 0; i < map_w; i++) {
            const double wx = fmax(0, 1 - fabs((double)i - u)),
                         wy = fmax(0, 1 - fabs((double)j - v));
            sum += wx * wy * (double)plane[j * map_w + i];
        }
    return sum;
}

static const xnor_image_frame frames[] = {
    {12, 9, 12, 9, 12, 9},  // map as large as the image, or a third of it
    {31, 17, 12, 9, 12, 9}, // a larger image
    {5, 4, 12, 9, 12, 9},   // a smaller one
    {30, 10, 12, 9, 11, 4}, // padded
    {7, 29, 12, 9, 2, 9},   // padded
    {1, 1, 12, 9, 1, 1},    // one pixel
};
enum { FRAMES = sizeof frames / sizeof *frames };

Test(answer, metres_are_interpolated_between_the_pixels_that_show_the_image) {
    for (size_t i = 0; i < 2 * FRAMES; i++) {
        const int64_t w = i % 2 ? 12 : 4, h = i % 2 ? 9 : 3;
        float *data = noise((size_t)(w * h), (uint32_t)i);
        for (int64_t k = 0; k < w * h; k++) data[k] += 2; // 1 to 3 m
        net n = make(XNOR_IMAGE_DEPTH, 0, XNOR_OUTPUT_RAW);
        n.output.low = 0.5f;
        n.output.high = 10;
        n.frame = frames[i / 2];
        set_map(&n, 0, 1, h, w, data);
        const made m = answer(&n, XNOR_ANSWER_METRES, false, SIZE_MAX);
        cr_assert_eq(m.type, XNOR_ANSWER_OF_F32);
        cr_assert(m.shape.rank == 2 && m.shape.dims[0] == (int64_t)n.frame.image_height &&
                  m.shape.dims[1] == (int64_t)n.frame.image_width);
        for (size_t y = 0; y < n.frame.image_height; y++)
            for (size_t x = 0; x < n.frame.image_width; x++)
                cr_assert_float_eq((double)((float *)m.data)[y * n.frame.image_width + x],
                                   direct(&n, data, h, w, x, y), 2e-6, "%zu: %zu, %zu", i, x, y);
        free(m.data);
        free(data);
    }
}

Test(answer, at_the_network_values_are_its_own_without_the_padding) {
    float *data = noise(12 * 9, 4);
    net n = make(XNOR_IMAGE_EDGES, 0, XNOR_OUTPUT_PROBABILITIES);
    for (size_t k = 0; k < 12 * 9; k++) data[k] = fabsf(data[k]);
    n.frame = (xnor_image_frame){30, 10, 24, 18, 21, 8}; // 10.5 x 4 of the map
    set_map(&n, 0, 1, 9, 12, data);
    const made m = answer(&n, XNOR_ANSWER_EDGES, true, SIZE_MAX);
    cr_assert(m.shape.dims[0] == 4 && m.shape.dims[1] == 11);
    for (size_t y = 0; y < 4; y++)
        for (size_t x = 0; x < 11; x++)
            cr_assert_eq(((float *)m.data)[y * 11 + x], data[y * 12 + x]);
    free(m.data);
    free(data);
}

Test(answer, rows_made_in_parts_are_those_made_at_once) {
    float *data = noise(5 * 9 * 12, 6);
    net n = make(XNOR_IMAGE_SEGMENTATION, 5, XNOR_OUTPUT_LOGITS);
    n.frame = frames[1];
    set_map(&n, 0, 5, 9, 12, data);
    const made whole = answer(&n, XNOR_ANSWER_CONFIDENCE, false, SIZE_MAX);
    const made parts = answer(&n, XNOR_ANSWER_CONFIDENCE, false, 5);
    cr_assert_eq(memcmp(whole.data, parts.data, 31 * 17 * sizeof(float)), 0);
    free(whole.data);
    free(parts.data);
    free(data);
}

// ---- segmentation -------------------------------------------------------------------------------

static void check_labels(bool channels_first, const xnor_image_frame *frame, uint32_t seed) {
    enum { C = 5, H = 9, W = 12 };
    float *planes = noise(C * H * W, seed), *data = malloc(C * H * W * sizeof *data);
    for (size_t i = 0; i < C * H * W; i++)
        data[channels_first ? i : i % (H * W) * C + i / (H * W)] = planes[i];
    net n = make(XNOR_IMAGE_SEGMENTATION, C, XNOR_OUTPUT_LOGITS);
    n.output.channels_first = channels_first;
    n.frame = *frame;
    set_map(&n, 0, C, H, W, data);
    const made labels = answer(&n, XNOR_ANSWER_LABELS, false, SIZE_MAX);
    const made confidence = answer(&n, XNOR_ANSWER_CONFIDENCE, false, SIZE_MAX);
    const made all = answer(&n, XNOR_ANSWER_PROBABILITIES, false, SIZE_MAX);
    cr_assert(all.shape.rank == 3 && all.shape.dims[2] == C);
    cr_assert_eq(labels.type, XNOR_ANSWER_OF_U8);
    for (size_t y = 0; y < frame->image_height; y++)
        for (size_t x = 0; x < frame->image_width; x++) {
            const size_t at = y * frame->image_width + x;
            double scores[C], sum = 0;
            size_t best = 0;
            for (size_t c = 0; c < C; c++) {
                scores[c] = direct(&n, planes + c * H * W, H, W, x, y);
                if (scores[c] > scores[best]) best = c;
                sum += exp(scores[c]);
            }
            const uint8_t found = ((uint8_t *)labels.data)[at];
            cr_assert_lt(found, C);
            // Two classes that are equal but for rounding may change places.
            cr_assert(found == best || scores[best] - scores[found] < 1e-6, "%zu, %zu", x, y);
            cr_assert_float_eq((double)((float *)confidence.data)[at], exp(scores[best]) / sum,
                               1e-6);
            for (size_t c = 0; c < C; c++)
                cr_assert_float_eq((double)((float *)all.data)[at * C + c], exp(scores[c]) / sum,
                                   1e-6);
        }
    free(labels.data);
    free(confidence.data);
    free(all.data);
    free(planes);
    free(data);
}

Test(answer, the_best_class_is_that_of_the_interpolated_scores) {
    for (uint32_t i = 0; i < 2 * FRAMES; i++) check_labels(i % 2, &frames[i / 2], i);
}

Test(answer, ties_go_to_the_lower_class_and_NaN_to_nobody) {
    // [classes 3, 1, 5]
    float data[] = {1, NAN, NAN, 0, -INFINITY, 1, 0, NAN, NAN, -1, 0, -1, NAN, 0, -2};
    static const uint8_t expected[] = {0, 1, 0, 0, 1};
    net n = make(XNOR_IMAGE_SEGMENTATION, 3, XNOR_OUTPUT_LOGITS);
    n.frame = (xnor_image_frame){5, 1, 5, 1, 5, 1};
    set_map(&n, 0, 3, 1, 5, data);
    const made labels = answer(&n, XNOR_ANSWER_LABELS, false, SIZE_MAX);
    cr_assert_arr_eq(labels.data, expected, 5);
    const made confidence = answer(&n, XNOR_ANSWER_CONFIDENCE, false, SIZE_MAX);
    const float *c = confidence.data;
    cr_expect_float_eq((double)c[0], exp(1) / (2 * exp(1) + 1), 1e-6);
    cr_expect_float_eq((double)c[1], exp(0) / (exp(0) + exp(-1)), 1e-6);
    cr_expect_eq(c[2], 0);
    free(labels.data);
    free(confidence.data);
}

Test(answer, an_infinite_score_takes_all_the_confidence) {
    float data[] = {INFINITY, INFINITY, -INFINITY, 2, INFINITY, 1}; // [classes 3, 1, 2]
    net n = make(XNOR_IMAGE_SEGMENTATION, 3, XNOR_OUTPUT_LOGITS);
    n.frame = (xnor_image_frame){2, 1, 2, 1, 2, 1};
    set_map(&n, 0, 3, 1, 2, data);
    const made confidence = answer(&n, XNOR_ANSWER_CONFIDENCE, false, SIZE_MAX);
    const float *c = confidence.data;
    cr_expect_eq(c[0], 0.5f, "shared with the other infinite one");
    cr_expect_eq(c[1], 1);
    free(confidence.data);
}

Test(answer, probabilities_are_not_exponentiated) {
    float data[] = {0.2f, 0.7f, 0.1f};
    net n = make(XNOR_IMAGE_SEGMENTATION, 3, XNOR_OUTPUT_PROBABILITIES);
    n.frame = (xnor_image_frame){1, 1, 1, 1, 1, 1};
    set_map(&n, 0, 3, 1, 1, data);
    const made confidence = answer(&n, XNOR_ANSWER_CONFIDENCE, false, SIZE_MAX);
    const made all = answer(&n, XNOR_ANSWER_PROBABILITIES, false, SIZE_MAX);
    cr_expect_eq(*(float *)confidence.data, 0.7f);
    cr_expect_arr_eq(all.data, data, sizeof data);
    free(confidence.data);
    free(all.data);
}

// ---- depth, normals, edges ----------------------------------------------------------------------

Test(answer, depths_outside_the_range_are_none) {
    float data[] = {0.5f, 0.49f, 1.2345f, 100, 100.1f, NAN, INFINITY, -1};
    static const uint16_t millimetres[] = {500, 0, 1235, 65535, 0, 0, 0, 0};
    net n = make(XNOR_IMAGE_DEPTH, 0, XNOR_OUTPUT_RAW);
    n.output.low = 0.5f;
    n.output.high = 100;
    n.frame = (xnor_image_frame){8, 1, 8, 1, 8, 1};
    set_map(&n, 0, 1, 1, 8, data);
    const made metres = answer(&n, XNOR_ANSWER_METRES, false, SIZE_MAX);
    const made small = answer(&n, XNOR_ANSWER_MILLIMETRES, false, SIZE_MAX);
    cr_assert_eq(small.type, XNOR_ANSWER_OF_U16);
    for (size_t i = 0; i < 8; i++) {
        const float want = millimetres[i] ? data[i] : 0;
        cr_expect_eq(((float *)metres.data)[i], want);
        cr_expect_eq(((uint16_t *)small.data)[i], millimetres[i], "%zu: %u", i,
                     ((uint16_t *)small.data)[i]);
    }
    free(metres.data);
    free(small.data);
}

Test(answer, normals_have_length_1_or_0) {
    // [3, 1, 4]
    float data[] = {3, 0, NAN, 1e20f, 0, 0, 1, 1e20f, 4, 0, 1, 0};
    static const float expected[] = {0.6f, 0, 0.8f, 0, 0, 0, 0, 0, 0, 0.70710678f, 0.70710678f, 0};
    net n = make(XNOR_IMAGE_NORMALS, 0, XNOR_OUTPUT_RAW);
    n.frame = (xnor_image_frame){4, 1, 4, 1, 4, 1};
    set_map(&n, 0, 3, 1, 4, data);
    const made m = answer(&n, XNOR_ANSWER_NORMALS, false, SIZE_MAX);
    cr_assert(m.shape.rank == 3 && m.shape.dims[2] == 3);
    for (size_t i = 0; i < 12; i++)
        cr_expect_float_eq(((float *)m.data)[i], expected[i], 1e-6f, "%zu", i);
    free(m.data);
}

Test(answer, edges_are_probabilities) {
    float data[] = {0, 2, -100, 1000, NAN};
    static const double logistic[] = {0.5, 0.880797, 0, 1, 0};
    static const double clamped[] = {0, 1, 0, 1, 0};
    for (int k = 0; k < 2; k++) {
        net n = make(XNOR_IMAGE_EDGES, 0, k ? XNOR_OUTPUT_PROBABILITIES : XNOR_OUTPUT_LOGITS);
        n.frame = (xnor_image_frame){5, 1, 5, 1, 5, 1};
        set_map(&n, 0, 1, 1, 5, data);
        const made m = answer(&n, XNOR_ANSWER_EDGES, false, SIZE_MAX);
        for (size_t i = 0; i < 5; i++)
            cr_expect_float_eq((double)((float *)m.data)[i], (k ? clamped : logistic)[i], 1e-6);
        free(m.data);
    }
}

// ---- boxes --------------------------------------------------------------------------------------

enum { MAP_W = 8, MAP_H = 6 };

static float heat[2 * MAP_H * MAP_W], size[2 * MAP_H * MAP_W], offset[2 * MAP_H * MAP_W];

// A network of 32 x 24, four pixels for each of the map.
static void boxes_net(net *n) {
    memset(heat, 0, sizeof heat);
    memset(offset, 0, sizeof offset);
    for (size_t i = 0; i < MAP_H * MAP_W; i++) size[i] = 2, size[MAP_H * MAP_W + i] = 1;
    *n = make(XNOR_IMAGE_BOXES, 2, XNOR_OUTPUT_PROBABILITIES);
    n->output.min_score = 0.25f;
    n->frame = (xnor_image_frame){64, 48, 32, 24, 32, 24};
    set_map(n, 0, 2, MAP_H, MAP_W, heat);
    set_map(n, 1, 2, MAP_H, MAP_W, size);
    set_map(n, 2, 2, MAP_H, MAP_W, offset);
}

static float *heat_at(size_t c, size_t y, size_t x) {
    return &heat[(c * MAP_H + y) * MAP_W + x];
}

static void expect_box(const made *m, size_t i, const float want[6]) {
    const float *box = (const float *)m->data + 6 * i;
    cr_assert_lt(i, m->count);
    for (size_t k = 0; k < 6; k++)
        cr_expect_float_eq(box[k], want[k], 1e-5f, "box %zu: %g %g %g %g %g %g", i, (double)box[0],
                           (double)box[1], (double)box[2], (double)box[3], (double)box[4],
                           (double)box[5]);
}

Test(answer, peaks_become_boxes_in_pixels_of_the_image) {
    net n;
    boxes_net(&n);
    *heat_at(1, 2, 3) = 0.75f;
    *heat_at(1, 2, 4) = 0.5f; // beside the peak
    *heat_at(0, 4, 6) = 0.875f;
    *heat_at(0, 0, 0) = 0.2f; // too low
    offset[2 * MAP_W + 3] = 0.5f;
    offset[MAP_H * MAP_W + 2 * MAP_W + 3] = 0.25f;
    const made m = answer(&n, XNOR_ANSWER_BOXES, false, SIZE_MAX);
    cr_assert_eq(m.count, 2);
    // Centre (6, 4), 2 x 1, eight pixels of the image for one of the map.
    expect_box(&m, 0, (float[]){40, 28, 56, 36, 0.875f, 0});
    expect_box(&m, 1, (float[]){20, 14, 36, 22, 0.75f, 1});
    free(m.data);
    const made small = answer(&n, XNOR_ANSWER_BOXES, true, SIZE_MAX);
    expect_box(&small, 0, (float[]){5, 3.5f, 7, 4.5f, 0.875f, 0});
    free(small.data);
}

Test(answer, boxes_end_with_the_image) {
    net n;
    boxes_net(&n);
    *heat_at(0, 0, 0) = 0.5f;
    *heat_at(0, 5, 7) = 0.375f;
    n.frame = (xnor_image_frame){62, 46, 32, 24, 31, 23}; // padded by one pixel of the network
    const made m = answer(&n, XNOR_ANSWER_BOXES, false, SIZE_MAX);
    cr_assert_eq(m.count, 2);
    expect_box(&m, 0, (float[]){0, 0, 8, 4, 0.5f, 0});
    expect_box(&m, 1, (float[]){48, 36, 62, 44, 0.375f, 0});
    free(m.data);
}

Test(answer, of_equal_neighbours_one_is_the_peak) {
    net n;
    boxes_net(&n);
    for (size_t y = 1; y < 4; y++)
        for (size_t x = 2; x < 5; x++) *heat_at(0, y, x) = 0.5f;
    const made m = answer(&n, XNOR_ANSWER_BOXES, true, SIZE_MAX);
    cr_assert_eq(m.count, 1);
    expect_box(&m, 0, (float[]){1, 0.5f, 3, 1.5f, 0.5f, 0});
    free(m.data);
}

Test(answer, the_padding_has_no_boxes) {
    net n;
    boxes_net(&n);
    *heat_at(0, 2, 5) = 0.5f;
    n.frame = (xnor_image_frame){20, 24, 32, 24, 20, 24}; // five of eight columns
    const made m = answer(&n, XNOR_ANSWER_BOXES, false, SIZE_MAX);
    cr_assert_eq(m.count, 0);
    free(m.data);
}

Test(answer, what_is_no_number_is_no_box) {
    net n;
    boxes_net(&n);
    for (size_t x = 0; x < 8; x += 2) *heat_at(0, 2, x) = 0.5f;
    *heat_at(1, 2, 1) = NAN;
    size[2 * MAP_W] = NAN;
    size[2 * MAP_W + 2] = -1;
    offset[2 * MAP_W + 4] = NAN;
    offset[2 * MAP_W + 6] = INFINITY;
    const made m = answer(&n, XNOR_ANSWER_BOXES, false, SIZE_MAX);
    cr_assert_eq(m.count, 0);
    free(m.data);
}

Test(answer, the_best_128_boxes_are_given) {
    enum { SIDE = 40 };
    static float many[SIDE * SIDE], wide[2 * SIDE * SIDE], none[2 * SIDE * SIDE];
    net n = make(XNOR_IMAGE_BOXES, 1, XNOR_OUTPUT_LOGITS);
    n.frame = (xnor_image_frame){SIDE, SIDE, SIDE, SIDE, SIDE, SIDE};
    for (size_t i = 0; i < SIDE * SIDE; i++) {
        wide[i] = wide[SIDE * SIDE + i] = 1;
        many[i] = -100;
    }
    size_t peaks = 0;
    for (size_t y = 0; y < SIDE; y += 2)
        for (size_t x = 0; x < SIDE; x += 2) many[y * SIDE + x] = (float)(peaks++ * 7 % 400) / 100;
    cr_assert_eq(peaks, 400);
    n.output.min_score = 0.5f;
    set_map(&n, 0, 1, SIDE, SIDE, many);
    set_map(&n, 1, 2, SIDE, SIDE, wide);
    set_map(&n, 2, 2, SIDE, SIDE, none);
    const made m = answer(&n, XNOR_ANSWER_BOXES, false, SIZE_MAX);
    cr_assert_eq(m.count, XNOR_MAX_BOXES);
    for (size_t i = 0; i < m.count; i++)
        cr_assert_float_eq((double)((float *)m.data)[6 * i + 4],
                           1 / (1 + exp(-(399.0 - (double)i) / 100)), 1e-6);
    free(m.data);
}

// ---- names and shapes ---------------------------------------------------------------------------

Test(answer, names_choose_an_output_and_a_form) {
    xnor_image_output outputs[] = {{.name = "seg", .kind = XNOR_IMAGE_SEGMENTATION},
                                   {.name = "seg2", .kind = XNOR_IMAGE_DEPTH},
                                   {.name = "x", .kind = XNOR_IMAGE_RAW}};
    const xnor_description d = {
        .task = XNOR_TASK_IMAGE, .image_output_count = 3, .image_outputs = outputs};
    static const struct {
        const char *name;
        uint32_t output;
        xnor_answer_form form;
    } good[] = {{"seg", 0, XNOR_ANSWER_LABELS},
                {"seg.labels", 0, XNOR_ANSWER_LABELS},
                {"seg.confidence", 0, XNOR_ANSWER_CONFIDENCE},
                {"seg.probabilities", 0, XNOR_ANSWER_PROBABILITIES},
                {"seg2", 1, XNOR_ANSWER_METRES},
                {"seg2.millimetres", 1, XNOR_ANSWER_MILLIMETRES},
                {"x", 2, XNOR_ANSWER_RAW}};
    static const char *const bad[] = {"",     "se",          "seg.",    "seg.label",   "seg.metres",
                                      "seg3", "seg2.labels", ".labels", "seg.labels.", "segx"};
    xnor_answer a;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        cr_expect(xnor_answer_find(&d, good[i].name, strlen(good[i].name), &a), "%s", good[i].name);
        cr_expect(a.output == good[i].output && a.form == good[i].form, "%s", good[i].name);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_not(xnor_answer_find(&d, bad[i], strlen(bad[i]), &a), "%s", bad[i]);
}

Test(answer, outputs_of_another_shape_are_refused) {
    float data[64] = {0};
    net n = make(XNOR_IMAGE_NORMALS, 0, XNOR_OUTPUT_RAW);
    n.frame = (xnor_image_frame){4, 4, 4, 4, 4, 4};
    set_map(&n, 0, 2, 4, 4, data);
    const xnor_answer asked = {0, XNOR_ANSWER_NORMALS, false};
    xnor_answer_type type;
    xnor_shape shape;
    size_t bytes;
    cr_expect_eq(xnor_answer_shape(&n.d, &asked, &n.frame, n.outputs, &type, &shape, &bytes),
                 XNOR_E_SHAPE);
    cr_expect_str_eq(xnor_last_error(),
                     "expected a map with 3 channels, the network gives [1, 2, 4, 4]");
}

Test(answer, raw_is_what_the_network_gives) {
    float data[] = {1, 2, 3, NAN, 5, 6};
    net n = make(XNOR_IMAGE_RAW, 0, XNOR_OUTPUT_RAW);
    n.frame = frames[0];
    set_map(&n, 0, 1, 2, 3, data);
    n.outputs[0].shape = (xnor_shape){2, {2, 3}};
    const made m = answer(&n, XNOR_ANSWER_RAW, false, SIZE_MAX);
    cr_assert(m.shape.rank == 2 && m.shape.dims[0] == 2 && m.shape.dims[1] == 3);
    cr_assert_arr_eq(m.data, data, sizeof data);
    free(m.data);
}
