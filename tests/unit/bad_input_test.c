// Input that no sensor should send has defined results: the same for every kernel set and any number of
// threads.
#include <criterion/criterion.h>
#include <math.h>

#include "core/tensor.h"
#include "exec/plan.h"
#include "network_builder.h"

static const uint32_t widths[5] = {64, 70, 128, 64, 33};
static builder b;
static tensors inputs;

static void begin(void) {
    builder_init(&b, 11);
    network_pointnet(&b, -1, -1, widths, 5);
}

static void end(void) {
    tensors_free(&inputs);
    builder_free(&b);
}

TestSuite(bad_input, .init = begin, .fini = end);

static void points(int64_t batch, int64_t count) {
    network_points(&b, CHANNELS_LAST, batch, count, &inputs);
}

// Scores that are numbers, and the same for every kernel set, with and without threads.
static void expect_defined(tensors *scores) {
    xnor_pool *pool;
    cr_assert_eq(xnor_pool_create(3, &pool), XNOR_OK);
    scores->count = 0;
    for (const char *const *isa = xnor_kernels_available(); *isa; isa++) {
        xnor_model *model = builder_compile(&b, *isa, NULL);
        for (int threads = 0; threads < 2; threads++) {
            tensors found;
            builder_run(model, threads ? pool : NULL, &inputs, &found);
            if (scores->count == 0) builder_run(model, NULL, &inputs, scores);
            cr_assert_eq(tensors_distance(&scores->items[0], &found.items[0]), 0, "%s", *isa);
            tensors_free(&found);
        }
        xnor_model_unref(&model);
    }
    xnor_pool_free(&pool);
    for (size_t i = 0; i < xnor_tensor_count(&scores->items[0]); i++)
        cr_assert(isfinite(xnor_tensor_get(&scores->items[0], i)), "score %zu", i);
}

static void expect_reference(const tensors *scores) {
    tensors want;
    builder_reference(&b.graph, &inputs, &want);
    double distance = tensors_distance(&want.items[0], &scores->items[0]);
    cr_assert(distance <= 1e-5, "%g", distance);
    tensors_free(&want);
}

// What is no number has the sign -1 (ONNX leaves it open).
Test(bad_input, coordinates_that_are_no_numbers) {
    points(1, 300);
    for (size_t i = 0; i < 30; i++) xnor_tensor_set(&inputs.items[0], i * 29, NAN);
    tensors want;
    expect_defined(&want);
    tensors_free(&want);
}

Test(bad_input, infinite_coordinates) {
    points(1, 300);
    for (size_t i = 0; i < 30; i++)
        xnor_tensor_set(&inputs.items[0], i * 29, i % 2 ? INFINITY : -INFINITY);
    tensors want;
    expect_defined(&want);
    tensors_free(&want);
}

Test(bad_input, coordinates_beyond_the_range_of_float_products) {
    points(1, 16);
    for (size_t i = 0; i < 16; i++) xnor_tensor_set(&inputs.items[0], i * 3, i % 2 ? 3e38 : -3e38);
    tensors want;
    expect_defined(&want);
    tensors_free(&want);
}

Test(bad_input, one_point) {
    points(1, 1);
    tensors want;
    expect_defined(&want);
    expect_reference(&want);
    tensors_free(&want);
}

// However often a point is repeated, its cloud has the same maximum.
Test(bad_input, all_points_equal) {
    tensors one, many;
    points(1, 1);
    double xyz[3];
    for (size_t i = 0; i < 3; i++) xyz[i] = xnor_tensor_get(&inputs.items[0], i);
    expect_defined(&one);
    tensors_free(&inputs);
    points(1, 500);
    for (size_t i = 0; i < 1500; i++) xnor_tensor_set(&inputs.items[0], i, xyz[i % 3]);
    expect_defined(&many);
    expect_reference(&many);
    cr_assert_eq(tensors_distance(&one.items[0], &many.items[0]), 0);
    tensors_free(&one);
    tensors_free(&many);
}

Test(bad_input, all_points_zero) {
    points(2, 300);
    for (size_t i = 0; i < 1800; i++) xnor_tensor_set(&inputs.items[0], i, 0);
    tensors want;
    expect_defined(&want);
    expect_reference(&want);
    tensors_free(&want);
}
