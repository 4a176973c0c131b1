// Scenes cut into blocks, against a slow evaluation of the rules in xnor.h.
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "xnor.h"

#define COUNT 4000
#define CHANNELS 8

static const char *const classes[] = {"ground", "tree", "clutter"};

static xnor_description recipe(int64_t points) {
    return (xnor_description){.task = XNOR_TASK_SEGMENTATION,
                              .points = points,
                              .max_points = 1 << 20,
                              .normalise = XNOR_NORMALISE_BLOCK,
                              .block = 3.7f,
                              .cells = 5,
                              .scale = 2.5f,
                              .channel_count = CHANNELS,
                              .channels = {XNOR_CHANNEL_CELL_TOP, XNOR_CHANNEL_X, XNOR_CHANNEL_Y,
                                           XNOR_CHANNEL_Z, XNOR_CHANNEL_HEIGHT,
                                           XNOR_CHANNEL_CELL_HEIGHT, XNOR_CHANNEL_CELL_LOW,
                                           XNOR_CHANNEL_CELL_STOREY},
                              .output_kind = XNOR_OUTPUT_LOGITS,
                              .class_count = 3,
                              .classes = classes};
}

static float points[COUNT * 3];

// A slope with things on it, around the origin; some points exactly on borders of blocks.
static void make_points(void) {
    uint32_t state = 3;
    for (size_t i = 0; i < COUNT * 3; i++) {
        state = state * 1664525u + 1013904223u;
        const float unit = (float)(state >> 8) / 16777216.0f;
        points[i] = i % 3 == 2 ? unit * unit * 9 - 2 : unit * 40 - 23;
        if (i % 3 == 0 && i % 7 == 0) points[i] = 3.7f * floorf(points[i] / 3.7f);
    }
}

TestSuite(scene, .init = make_points);

static void square(const xnor_description *d, size_t i, int64_t out[2]) {
    for (size_t a = 0; a < 2; a++)
        out[a] = (int64_t)floor((double)points[i * 3 + a] / (double)d->block);
}

static void cell(const xnor_description *d, size_t i, int64_t out[2]) {
    int64_t s[2];
    square(d, i, s);
    for (size_t a = 0; a < 2; a++) {
        double at = (double)points[i * 3 + a] - (double)s[a] * (double)d->block;
        at = floor(at / ((double)d->block / d->cells));
        out[a] = (int64_t)fmin(fmax(at, 0), d->cells - 1);
    }
}

static bool together(const xnor_description *d, size_t i, size_t k, bool cells) {
    int64_t a[2], b[2];
    square(d, i, a);
    square(d, k, b);
    if (memcmp(a, b, sizeof a) != 0) return false;
    cell(d, i, a);
    cell(d, k, b);
    return !cells || memcmp(a, b, sizeof a) == 0;
}

// Channels of a point by looking at all others.
static void slow_channels(const xnor_description *d, size_t i, float out[CHANNELS]) {
    double low = INFINITY, cell_low = INFINITY, cell_high = -INFINITY;
    const double x = (double)points[i * 3], y = (double)points[i * 3 + 1],
                 z = (double)points[i * 3 + 2];
    const double side = (double)d->block, scale = (double)d->scale;
    int64_t s[2];
    square(d, i, s);
    for (size_t k = 0; k < COUNT; k++) {
        const double other = (double)points[k * 3 + 2];
        if (together(d, i, k, false)) low = fmin(low, other);
        if (!together(d, i, k, true)) continue;
        cell_low = fmin(cell_low, other);
        cell_high = fmax(cell_high, other);
    }
    out[0] = (float)((cell_high - cell_low) / scale);
    out[1] = (float)((x - (double)s[0] * side) / (side / 2) - 1);
    out[2] = (float)((y - (double)s[1] * side) / (side / 2) - 1);
    out[3] = (float)((z - low) / (side / 2));
    out[4] = (float)((z - low) / scale);
    out[5] = (float)((z - cell_low) / scale);
    out[6] = (float)(z - cell_low < 1 ? 2 * (z - cell_low) - 1 : 1);
    double storey = 0;
    for (size_t k = 0; k < COUNT; k++) {
        const double own = (double)points[k * 3 + 2] - cell_low;
        if (together(d, i, k, true) && own < scale) storey = fmax(storey, own);
    }
    out[7] = (float)(storey / scale);
}

static xnor_scene *create(const xnor_description *d, const float *xyz, size_t count) {
    xnor_scene *scene = NULL;
    const xnor_cloud cloud = {xyz, count, 12};
    cr_assert_eq(xnor_scene_create(d, &cloud, &scene), XNOR_OK, "%s", xnor_last_error());
    return scene;
}

// Points of the block of `i` in scene order, and the place of `i` among them.
static size_t block_of(const xnor_description *d, size_t i, size_t *place) {
    size_t n = 0;
    for (size_t k = 0; k < COUNT; k++) {
        if (!together(d, i, k, false)) continue;
        if (k == i) *place = n;
        n++;
    }
    return n;
}

Test(scene, every_point_is_in_one_run_and_seen_as_the_rules_say) {
    const xnor_description d = recipe(16);
    xnor_scene *scene = create(&d, points, COUNT);
    static unsigned seen[COUNT];
    for (size_t run = 0; run < xnor_scene_run_count(scene); run++) {
        uint32_t members[16];
        float input[16 * CHANNELS], expected[CHANNELS];
        cr_assert_eq(xnor_scene_run_points(scene, run), 16);
        const size_t own = xnor_scene_members(scene, run, members);
        cr_assert(own >= 1 && own <= 16);
        xnor_scene_prepare(scene, run, input);
        size_t place = 0, first = 0;
        const size_t n = block_of(&d, members[0], &first), runs = (n + 15) / 16;
        for (size_t s = 0; s < own; s++) {
            seen[members[s]]++;
            cr_assert_eq(block_of(&d, members[s], &place), n);
            cr_assert_eq(place, first % runs + s * runs);
            slow_channels(&d, members[s], expected);
            cr_assert_arr_eq(&input[s * CHANNELS], expected, sizeof expected, "run %zu slot %zu",
                             run, s);
        }
        for (size_t s = own; s < 16; s++)
            cr_assert_arr_eq(&input[s * CHANNELS], &input[s % own * CHANNELS], sizeof expected);
    }
    for (size_t i = 0; i < COUNT; i++) cr_assert_eq(seen[i], 1, "point %zu", i);
    xnor_scene_free(&scene);
    cr_assert_null(scene);
}

Test(scene, channels_first_is_the_same_turned) {
    xnor_description d = recipe(16);
    float last[16 * CHANNELS], first[16 * CHANNELS];
    xnor_scene *scene = create(&d, points, COUNT);
    xnor_scene_prepare(scene, 7, last);
    d.channels_first = true;
    xnor_scene_prepare(scene, 7, first);
    for (size_t s = 0; s < 16; s++)
        for (size_t c = 0; c < CHANNELS; c++)
            cr_assert_eq(first[c * 16 + s], last[s * CHANNELS + c]);
    xnor_scene_free(&scene);
}

Test(scene, any_number_of_points_makes_one_run_of_each_block) {
    const xnor_description d = recipe(0);
    xnor_scene *scene = create(&d, points, COUNT);
    size_t total = 0;
    for (size_t run = 0; run < xnor_scene_run_count(scene); run++)
        total += xnor_scene_run_points(scene, run);
    cr_assert_eq(total, COUNT);
    xnor_scene_free(&scene);
}

// What a network would say depends on what it sees: a hash of the input.
static void fake_scores(const float *input, size_t slots, size_t channels, float *scores) {
    for (size_t s = 0; s < slots; s++)
        for (size_t c = 0; c < 3; c++) {
            float sum = 0;
            for (size_t k = 0; k < channels; k++) sum += input[s * channels + k] * (float)(c + k);
            scores[s * 3 + c] = sinf(sum * 100);
        }
}

static void label(const xnor_description *d, const float *xyz, size_t count, uint8_t *labels,
                  float *confidences) {
    float input[16 * CHANNELS], scores[16 * 3];
    xnor_scene *scene = create(d, xyz, count);
    memset(labels, 0xff, count);
    for (size_t run = 0; run < xnor_scene_run_count(scene); run++) {
        xnor_scene_prepare(scene, run, input);
        fake_scores(input, 16, d->channel_count, scores);
        xnor_scene_label(scene, run, scores, labels, confidences);
    }
    xnor_scene_free(&scene);
}

Test(scene, a_scene_may_be_sent_in_parts_that_divide_no_block) {
    const xnor_description d = recipe(16);
    static uint8_t whole[COUNT], part[COUNT];
    static float confidences[COUNT], part_confidences[COUNT], some[COUNT * 3];
    static size_t source[COUNT];
    label(&d, points, COUNT, whole, confidences);
    for (int64_t half = 0; half < 2; half++) {
        size_t n = 0;
        for (size_t i = 0; i < COUNT; i++) {
            int64_t s[2];
            square(&d, i, s);
            if (((s[0] + s[1]) & 1) != half) continue;
            memcpy(&some[n * 3], &points[i * 3], 12);
            source[n++] = i;
        }
        label(&d, some, n, part, part_confidences);
        for (size_t i = 0; i < n; i++) {
            cr_assert_eq(part[i], whole[source[i]], "point %zu", source[i]);
            cr_assert_eq(part_confidences[i], confidences[source[i]]);
        }
    }
}

Test(scene, labels_are_the_best_class_with_its_softmax) {
    xnor_description d = {.task = XNOR_TASK_SEGMENTATION,
                          .output_kind = XNOR_OUTPUT_LOGITS,
                          .class_count = 3,
                          .classes = classes};
    static const float xyz[4 * 3] = {0};
    static const float scores[4 * 3] = {0, 0.69314718f, 1.60943791f, 5,   5,   5,
                                        1, NAN,         2,           NAN, NAN, NAN};
    uint8_t labels[4];
    float confidences[4];
    xnor_scene *scene = create(&d, xyz, 4);
    cr_assert_eq(xnor_scene_run_count(scene), 1);
    cr_assert_eq(xnor_scene_run_points(scene, 0), 4);
    xnor_scene_label(scene, 0, scores, labels, confidences);
    cr_expect_eq(labels[0], 2);
    cr_expect_float_eq(confidences[0], 0.625, 1e-6);
    cr_expect_eq(labels[1], 0, "ties go to the lower class");
    cr_expect_float_eq(confidences[1], 1.0 / 3, 1e-6);
    cr_expect_eq(labels[2], 2, "not a number is no score");
    cr_expect_eq(labels[3], 0);
    cr_expect_eq(confidences[3], 0);
    memset(labels, 9, sizeof labels);
    xnor_scene_label(scene, 0, scores, labels, NULL);
    cr_expect_eq(labels[0], 2);
    xnor_scene_free(&scene);
}

Test(scene, without_blocks_the_cloud_is_one) {
    xnor_description d = {.task = XNOR_TASK_SEGMENTATION,
                          .points = 4,
                          .normalise = XNOR_NORMALISE_UNIT_SPHERE,
                          .class_count = 3};
    static const float xyz[6 * 3] = {10, 0, 5, 9e9f, 0, 0, 14, 0, 5, 9e9f, 0, 1, 12, 3, 5, 9e9f};
    float input[4 * 3];
    xnor_scene *scene = create(&d, xyz, 6);
    cr_assert_eq(xnor_scene_run_count(scene), 2);
    uint32_t members[4];
    cr_assert_eq(xnor_scene_members(scene, 0, members), 3);
    cr_assert_arr_eq(members, ((const uint32_t[]){0, 2, 4}), 12);
    xnor_scene_prepare(scene, 0, input); // points 0, 2, 4 and 0 again: mean (11.5, 0.75, 5)
    cr_assert_float_eq(input[0], -1.5 / sqrt(6.25 + 0.5625), 1e-6);
    cr_assert_arr_eq(&input[9], &input[0], 12);
    xnor_scene_free(&scene);
}

Test(scene, single_and_equal_points) {
    const xnor_description d = recipe(16);
    static float equal[100 * 3];
    for (size_t i = 0; i < 300; i++) equal[i] = 7.25f;
    for (size_t count = 1; count <= 100; count += 99) {
        xnor_scene *scene = create(&d, equal, count);
        cr_assert_eq(xnor_scene_run_count(scene), (count + 15) / 16);
        float input[16 * CHANNELS];
        xnor_scene_prepare(scene, 0, input);
        for (size_t s = 0; s < 16; s++) cr_assert_eq(input[s * CHANNELS + 4], 0);
        xnor_scene_free(&scene);
    }
}

static void refused(const xnor_cloud *cloud, xnor_status status, const char *text) {
    const xnor_description d = recipe(16);
    xnor_scene *scene = NULL;
    cr_assert_eq(xnor_scene_create(&d, cloud, &scene), status, "%s", xnor_last_error());
    cr_assert_not_null(strstr(xnor_last_error(), text), "%s", xnor_last_error());
    cr_assert_null(scene);
}

Test(scene, hostile_clouds_are_refused) {
    refused(&(xnor_cloud){points, 0, 12}, XNOR_E_ARGUMENT, "no points");
    refused(&(xnor_cloud){points, 10, 8}, XNOR_E_ARGUMENT, "8 bytes apart");
    refused(&(xnor_cloud){points, (1 << 20) + 1, 12}, XNOR_E_LIMIT, "at most 1048576");
    points[100] = NAN;
    refused(&(xnor_cloud){points, COUNT, 12}, XNOR_E_ARGUMENT, "point 33 is not finite");
    points[100] = -INFINITY;
    refused(&(xnor_cloud){points, COUNT, 12}, XNOR_E_ARGUMENT, "point 33 is not finite");
    points[100] = 1e30f;
    refused(&(xnor_cloud){points, COUNT, 12}, XNOR_E_LIMIT, "point 33 at");
    points[100] = -4e9f;
    refused(&(xnor_cloud){points, COUNT, 12}, XNOR_E_LIMIT, "too far from the origin");
    points[100] = 0;
    points[101] = 3e38f; // heights may be anything
    xnor_description d = recipe(16);
    xnor_scene *scene = create(&d, points, COUNT);
    xnor_scene_free(&scene);
}

Test(scene, a_cloud_spread_over_too_many_blocks_is_refused) {
    static float wide[(XNOR_SCENE_MAX_RUNS + 1) * 3];
    for (size_t i = 0; i <= XNOR_SCENE_MAX_RUNS; i++) wide[i * 3] = (float)i * 4;
    refused(&(xnor_cloud){wide, XNOR_SCENE_MAX_RUNS + 1, 12}, XNOR_E_LIMIT, "65537 blocks");
    const xnor_description d = recipe(16);
    xnor_scene *scene = create(&d, wide, 40000);
    cr_assert_eq(xnor_scene_run_count(scene), 40000);
    xnor_scene_free(&scene);
}

Test(scene, more_runs_than_a_network_should_be_kept_busy_with_are_refused) {
    static float flat[(XNOR_SCENE_MAX_RUNS + 1) * 3];
    xnor_description d = recipe(1);
    xnor_scene *scene = NULL;
    const xnor_cloud cloud = {flat, XNOR_SCENE_MAX_RUNS + 1, 12};
    cr_assert_eq(xnor_scene_create(&d, &cloud, &scene), XNOR_E_LIMIT);
    cr_assert_not_null(strstr(xnor_last_error(), "65537 runs"), "%s", xnor_last_error());
}
