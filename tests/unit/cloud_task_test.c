// From clouds as sensors send them to what networks take.
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "xnor.h"

static xnor_description describe(int64_t points, bool unit_sphere) {
    return (xnor_description){.points = points,
                              .max_points = 1000,
                              .normalise =
                                  unit_sphere ? XNOR_NORMALISE_UNIT_SPHERE : XNOR_NORMALISE_NONE};
}

// Points (0, 0, 0), (1, 10, 100), (2, 20, 200), ...
static void ramp(float *points, size_t count) {
    for (size_t i = 0; i < count; i++) {
        points[i * 3] = (float)i;
        points[i * 3 + 1] = (float)i * 10;
        points[i * 3 + 2] = (float)i * 100;
    }
}

static void expect_sources(int64_t want, size_t have, const size_t *sources) {
    float points[64 * 3], out[64 * 3];
    ramp(points, have);
    xnor_description d = describe(want, false);
    const xnor_cloud cloud = {points, have, 12};
    size_t n = xnor_cloud_prepared_count(&d, have);
    cr_assert_eq(n, want ? (size_t)want : have);
    cr_assert_eq(xnor_cloud_prepare(&d, &cloud, NULL, out), XNOR_OK, "%s", xnor_last_error());
    for (size_t i = 0; i < n; i++)
        cr_assert_eq(memcmp(&out[i * 3], &points[sources[i] * 3], 12), 0,
                     "point %zu is number %g, expected %zu", i, (double)out[i * 3], sources[i]);
}

Test(cloud_task, as_many_points_as_wanted_are_taken_as_they_are) {
    expect_sources(4, 4, (const size_t[]){0, 1, 2, 3});
}

Test(cloud_task, zero_wanted_points_take_all) {
    expect_sources(0, 3, (const size_t[]){0, 1, 2});
}

Test(cloud_task, more_points_are_sampled_evenly) {
    expect_sources(4, 8, (const size_t[]){0, 2, 4, 6});
    expect_sources(4, 10, (const size_t[]){0, 2, 5, 7}); // ⌊i · 10 / 4⌋
    expect_sources(3, 4, (const size_t[]){0, 1, 2});
}

Test(cloud_task, fewer_points_are_repeated_in_turn) {
    expect_sources(7, 3, (const size_t[]){0, 1, 2, 0, 1, 2, 0});
    expect_sources(4, 1, (const size_t[]){0, 0, 0, 0});
}

Test(cloud_task, points_lie_stride_bytes_apart_at_any_alignment) {
    unsigned char data[3 * 17 + 1];
    memset(data, 0xff, sizeof data); // NaN wherever it is read by mistake
    static const float points[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    for (size_t i = 0; i < 3; i++) memcpy(data + 1 + i * 17, &points[i * 3], 12);
    float out[9];
    xnor_description d = describe(3, false);
    const xnor_cloud cloud = {data + 1, 3, 17};
    cr_assert_eq(xnor_cloud_prepare(&d, &cloud, NULL, out), XNOR_OK, "%s", xnor_last_error());
    cr_assert_eq(memcmp(out, points, sizeof out), 0);
}

Test(cloud_task, the_unit_sphere_is_around_the_mean) {
    static const float points[12] = {10, 0, 5, 14, 0, 5, 12, 3, 5, 12, -3, 5};
    // Mean (12, 0, 5); the farthest points are 3 away.
    static const double expected[12] = {-2.0 / 3, 0, 0, 2.0 / 3, 0, 0, 0, 1, 0, 0, -1, 0};
    float out[12];
    xnor_description d = describe(0, true);
    const xnor_cloud cloud = {points, 4, 12};
    cr_assert_eq(xnor_cloud_prepare(&d, &cloud, NULL, out), XNOR_OK);
    for (int i = 0; i < 12; i++)
        cr_assert_float_eq((double)out[i], expected[i], 1e-7, "element %d", i);
}

Test(cloud_task, the_unit_sphere_is_that_of_the_points_taken) {
    static const float points[12] = {1, 0, 0, 500, 0, 0, -1, 0, 0, -500, 0, 0};
    static const float expected[6] = {1, 0, 0, -1, 0, 0};
    float out[6];
    xnor_description d = describe(2, true);
    const xnor_cloud cloud = {points, 4, 12};
    cr_assert_eq(xnor_cloud_prepare(&d, &cloud, NULL, out), XNOR_OK);
    for (int i = 0; i < 6; i++) cr_assert_eq(out[i], expected[i]);
}

Test(cloud_task, far_and_large_clouds_keep_their_shape) {
    static const float points[6] = {1e30f, 0, 0, 3e30f, 0, 0};
    float out[6];
    xnor_description d = describe(0, true);
    const xnor_cloud cloud = {points, 2, 12};
    cr_assert_eq(xnor_cloud_prepare(&d, &cloud, NULL, out), XNOR_OK);
    cr_assert_float_eq((double)out[0], -1, 1e-6);
    cr_assert_float_eq((double)out[3], 1, 1e-6);
}

Test(cloud_task, equal_points_become_the_origin) {
    static const float points[6] = {7, 8, 9, 7, 8, 9};
    float out[6];
    xnor_description d = describe(0, true);
    const xnor_cloud cloud = {points, 2, 12};
    cr_assert_eq(xnor_cloud_prepare(&d, &cloud, NULL, out), XNOR_OK);
    for (int i = 0; i < 6; i++) cr_assert_eq(out[i], 0);
}

static void expect_refusal(const xnor_cloud *cloud, xnor_status status, const char *text) {
    float out[3 * 4];
    xnor_description d = describe(4, true);
    d.max_points = 10;
    cr_assert_eq(xnor_cloud_prepare(&d, cloud, NULL, out), status, "%s", xnor_last_error());
    cr_assert_not_null(strstr(xnor_last_error(), text), "%s", xnor_last_error());
}

Test(cloud_task, coordinates_must_be_finite_even_of_points_that_are_not_taken) {
    float points[8 * 3];
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    const xnor_cloud cloud = {points, 8, 12};
    for (int i = 0; i < 3; i++) {
        ramp(points, 8);
        points[5 * 3 + i] = bad[i]; // of every second point, number 5 is left out
        expect_refusal(&cloud, XNOR_E_ARGUMENT, "point 5 is not finite");
    }
}

Test(cloud_task, empty_and_oversized_clouds_are_refused) {
    float points[11 * 3];
    ramp(points, 11);
    expect_refusal(&(xnor_cloud){points, 0, 12}, XNOR_E_ARGUMENT, "the cloud has no points");
    expect_refusal(&(xnor_cloud){NULL, 0, 12}, XNOR_E_ARGUMENT, "the cloud has no points");
    expect_refusal(&(xnor_cloud){points, 11, 12}, XNOR_E_LIMIT,
                   "the cloud has 11 points, at most 10");
}

Test(cloud_task, points_need_twelve_bytes) {
    float points[12] = {0};
    expect_refusal(&(xnor_cloud){points, 3, 11}, XNOR_E_ARGUMENT, "points are 11 bytes apart");
    expect_refusal(&(xnor_cloud){points, 3, 0}, XNOR_E_ARGUMENT, "points are 0 bytes apart");
}

// ---- farthest point sampling --------------------------------------------------------------------

static void expect_farthest(const float *points, size_t count, int64_t want,
                            const size_t *expected) {
    xnor_description d = {.points = want, .max_points = 1000, .resample = XNOR_RESAMPLE_FARTHEST};
    float out[16 * 3];
    const xnor_cloud cloud = {points, count, 12};
    void *workspace = malloc(xnor_cloud_workspace_bytes(&d, count) + 1);
    cr_assert_eq(xnor_cloud_prepare(&d, &cloud, workspace, out), XNOR_OK, "%s", xnor_last_error());
    for (size_t i = 0; i < (size_t)want; i++)
        cr_expect_eq(memcmp(&out[i * 3], &points[expected[i] * 3], 12), 0, "point %zu is %g", i,
                     (double)out[i * 3]);
    free(workspace);
}

Test(cloud_task, farthest_points_start_with_the_first) {
    // On a line at 0, 1, 2, 3, 10: from 0 to 10, then 3 (3 from 0), then 1 (1 from 0, before 2).
    static const float line[15] = {0, 5, 5, 1, 5, 5, 2, 5, 5, 3, 5, 5, 10, 5, 5};
    expect_farthest(line, 5, 4, (const size_t[]){0, 4, 3, 1});
}

Test(cloud_task, farthest_points_take_the_first_of_equally_far_ones) {
    static const float square[12] = {0, 0, 0, 0, 2, 0, 2, 0, 0, 2, 2, 0};
    expect_farthest(square, 4, 3, (const size_t[]){0, 3, 1});
    static const float equal[12] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    expect_farthest(equal, 4, 3, (const size_t[]){0, 0, 0});
}

Test(cloud_task, farthest_points_of_few_points_are_all_of_them_in_turn) {
    static const float two[6] = {1, 1, 1, 2, 2, 2};
    expect_farthest(two, 2, 5, (const size_t[]){0, 1, 0, 1, 0});
    expect_farthest(two, 2, 2, (const size_t[]){0, 1});
}

// Brute force: every candidate against all chosen ones, in double.
Test(cloud_task, farthest_points_of_a_random_cloud) {
    float points[300 * 3], out[40 * 3], workspace[300 * 4];
    uint32_t state = 7;
    for (size_t i = 0; i < 900; i++) {
        state = state * 1664525u + 1013904223u;
        points[i] = (float)(state >> 12) / 1048576.0f;
    }
    xnor_description d = {.points = 40, .max_points = 1000, .resample = XNOR_RESAMPLE_FARTHEST};
    const xnor_cloud cloud = {points, 300, 12};
    cr_assert_eq(xnor_cloud_workspace_bytes(&d, 300), sizeof workspace);
    cr_assert_eq(xnor_cloud_prepare(&d, &cloud, workspace, out), XNOR_OK);
    cr_assert_eq(memcmp(out, points, 12), 0);
    for (size_t n = 1; n < 40; n++) {
        double farthest = -1;
        size_t best = 0;
        for (size_t i = 0; i < 300; i++) {
            double nearest = INFINITY;
            for (size_t k = 0; k < n; k++) {
                double d2 = 0;
                for (size_t a = 0; a < 3; a++)
                    d2 += pow((double)points[i * 3 + a] - (double)out[k * 3 + a], 2);
                nearest = fmin(nearest, d2);
            }
            if (nearest > farthest) farthest = nearest, best = i;
        }
        cr_assert_eq(memcmp(&out[n * 3], &points[best * 3], 12), 0, "choice %zu", n);
    }
}

Test(cloud_task, stride_needs_no_memory) {
    xnor_description d = describe(4, true);
    cr_assert_eq(xnor_cloud_workspace_bytes(&d, 1000), 0);
    d.resample = XNOR_RESAMPLE_FARTHEST;
    cr_assert_eq(xnor_cloud_workspace_bytes(&d, 4), 0);
}
