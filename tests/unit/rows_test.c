// Steps for real functions of integer sums: each network runs by the step that is meant for it, on
// every instruction set and with several threads, and gives what the reference of the graph gives.
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "core/tensor.h"
#include "exec/plan.h"
#include "graph_builder.h"

static builder b;
static tensors inputs;

static void begin(void) {
    builder_init(&b, 3);
}

static void end(void) {
    tensors_free(&inputs);
    builder_free(&b);
}

TestSuite(rows, .init = begin, .fini = end);

static uint32_t count_steps(const xnor_plan *plan, const char *kind) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < xnor_plan_step_count(plan); i++)
        count += strcmp(xnor_plan_step_kind(plan, i), kind) == 0;
    return count;
}

static void check_output(xnor_model *model, xnor_pool *pool, const tensors *want, const char *isa) {
    tensors found;
    builder_run(model, pool, &inputs, &found);
    double distance = tensors_distance(&want->items[0], &found.items[0]);
    cr_assert(distance <= 1e-5, "%s: differs by %g", isa, distance);
    tensors_free(&found);
}

// Compiles the graph and expects one step of the kind, none by reference, and the reference's result.
static void expect_step(xnor_value_id y, int64_t points, const char *kind) {
    tensors want;
    xnor_pool *pool;
    builder_output(&b, y, "y");
    builder_inputs(&b, points, &inputs);
    builder_reference(&b.graph, &inputs, &want);
    cr_assert_eq(xnor_pool_create(3, &pool), XNOR_OK);
    for (const char *const *isa = xnor_kernels_available(); *isa; isa++) {
        xnor_model *model = builder_compile(&b, *isa, NULL);
        xnor_plan *plan = builder_plan(model, &inputs);
        cr_assert_eq(count_steps(plan, kind), 1, "%u steps of kind %s", count_steps(plan, kind),
                     kind);
        cr_assert_eq(count_steps(plan, "reference"), 0);
        check_output(model, NULL, &want, *isa);
        check_output(model, pool, &want, *isa);
        xnor_plan_unref(&plan);
        xnor_model_unref(&model);
    }
    xnor_pool_free(&pool);
    tensors_free(&want);
}

// ---- what networks are made of ------------------------------------------------------------------

enum { K = 70, N = 130 };

static xnor_value_id points(void) {
    return builder_input(&b, "x", XNOR_F32, SHAPE(-1, -1, K));
}

// Values between `low` and `high` quarters.
static xnor_value_id vector(uint32_t count, int low, int high) {
    double values[N];
    for (uint32_t i = 0; i < count; i++)
        values[i] = (double)(low + (int)builder_random(&b, (uint32_t)(high - low + 1))) / 4;
    return builder_floats(&b, SHAPE(count), values, count);
}

// x away from 0, so that signs have two values.
static xnor_value_id sign(xnor_value_id x) {
    xnor_value_id offset = builder_floats(&b, SCALAR, D(0.125));
    return NODE(&b, XNOR_OP_SIGN, NODE(&b, XNOR_OP_ADD, x, offset));
}

static xnor_value_id layer(xnor_value_id x, uint32_t in, uint32_t out) {
    static double w[N * N];
    for (uint32_t i = 0; i < in * out; i++) w[i] = builder_random(&b, 2) ? 0.25 : -0.25;
    return NODE(&b, XNOR_OP_MATMUL, x, builder_floats(&b, SHAPE(in, out), w, in * out));
}

static xnor_value_id scaled(xnor_value_id x) {
    return NODE(&b, XNOR_OP_ADD, NODE(&b, XNOR_OP_MUL, x, vector(N, -8, 8)), vector(N, -5, 5));
}

static xnor_value_id clip(xnor_value_id x) {
    return NODE(&b, XNOR_OP_CLIP, x, builder_floats(&b, SCALAR, D(-1)),
                builder_floats(&b, SCALAR, D(1)));
}

static xnor_value_id reduce(xnor_op op, xnor_value_id x, int64_t axis, int64_t keep) {
    xnor_value_id y = NODE(&b, op, x);
    builder_attr(&b, XNOR_ATTR_AXES, I(axis));
    builder_attr(&b, XNOR_ATTR_KEEPDIMS, I(keep));
    return y;
}

// sign(x)·mean|x| times ±1 weights (XNOR-Net).
static xnor_value_id xnor_layer(xnor_value_id x) {
    xnor_value_id mean = reduce(XNOR_OP_REDUCE_MEAN, NODE(&b, XNOR_OP_ABS, x), -1, 1);
    return layer(NODE(&b, XNOR_OP_MUL, sign(x), mean), K, N);
}

// ---- factors per row ----------------------------------------------------------------------------

Test(rows, a_layer_with_a_factor_per_row_and_what_is_affine_behind_it) {
    expect_step(scaled(xnor_layer(points())), 9, "gemm_rows");
}

Test(rows, a_layer_with_a_factor_per_row_alone) {
    expect_step(NODE(&b, XNOR_OP_TANH, xnor_layer(points())), 9, "gemm_rows");
}

Test(rows, ternary_activations_with_a_factor_per_row) {
    xnor_value_id x = points();
    xnor_value_id mean = reduce(XNOR_OP_REDUCE_MEAN, NODE(&b, XNOR_OP_ABS, x), -1, 1);
    expect_step(layer(NODE(&b, XNOR_OP_MUL, NODE(&b, XNOR_OP_SIGN, x), mean), K, N), 9,
                "gemm_rows");
}

Test(rows, the_mean_magnitude_of_clipped_rows_is_one_step) {
    expect_step(scaled(xnor_layer(clip(points()))), 9, "row_magnitude");
}

Test(rows, the_maximum_of_sums_with_factors_is_taken_before_functions) {
    expect_step(reduce(XNOR_OP_REDUCE_MAX, clip(scaled(xnor_layer(points()))), 1, 0), 301,
                "gemm_rows_max");
}

Test(rows, the_minimum_is_a_maximum_of_negated_sums) {
    expect_step(reduce(XNOR_OP_REDUCE_MIN, scaled(xnor_layer(points())), 1, 0), 20,
                "gemm_rows_max");
}

Test(rows, a_function_that_turns_back_stays_before_the_maximum) {
    xnor_value_id y = NODE(&b, XNOR_OP_ABS, scaled(xnor_layer(points())));
    expect_step(reduce(XNOR_OP_REDUCE_MAX, y, 1, 0), 20, "extreme");
}

Test(rows, a_factor_that_is_no_number_makes_the_maximum_none) {
    builder_output(&b, reduce(XNOR_OP_REDUCE_MAX, xnor_layer(points()), 1, 0), "y");
    builder_inputs(&b, 5, &inputs);
    xnor_tensor_set(&inputs.items[0], 3, NAN);
    xnor_model *model = builder_compile(&b, NULL, NULL);
    tensors found;
    builder_run(model, NULL, &inputs, &found);
    for (size_t c = 0; c < N; c++) cr_assert(isnan(xnor_tensor_get(&found.items[0], c)));
    tensors_free(&found);
    xnor_model_unref(&model);
}

// ---- means over points --------------------------------------------------------------------------

static void expect_mean(int64_t count) {
    xnor_value_id y = scaled(layer(sign(points()), K, N));
    expect_step(reduce(XNOR_OP_REDUCE_MEAN, y, 1, 0), count, "gemm_mean");
}

Test(rows, the_mean_of_one_point) {
    expect_mean(1);
}

Test(rows, the_mean_of_points_whose_number_is_all_ones) {
    expect_mean(127);
}

Test(rows, the_mean_of_many_points) {
    expect_mean(300);
}

// Exact: the sum of all sums over the number of points, for every instruction set.
Test(rows, means_of_sums_are_exact) {
    enum { POINTS = 77 };
    builder_output(&b, reduce(XNOR_OP_REDUCE_MEAN, layer(sign(points()), K, N), 1, 0), "y");
    builder_inputs(&b, POINTS, &inputs);
    tensors want, found;
    builder_reference(&b.graph, &inputs, &want);
    xnor_model *model = builder_compile(&b, NULL, NULL);
    builder_run(model, NULL, &inputs, &found);
    for (size_t c = 0; c < N; c++) {
        double mean = xnor_tensor_get(&want.items[0], c);
        double exact = nearbyint(mean * 4 * POINTS) / (4 * POINTS);
        cr_assert_float_eq(xnor_tensor_get(&found.items[0], c), exact, 1e-7 * fabs(exact));
    }
    tensors_free(&want);
    tensors_free(&found);
    xnor_model_unref(&model);
}

Test(rows, the_mean_of_clipped_values_needs_them_all) {
    xnor_value_id y = clip(scaled(layer(sign(points()), K, N)));
    expect_step(reduce(XNOR_OP_REDUCE_MEAN, y, 1, 0), 300, "reduce");
}

Test(rows, the_mean_of_real_rows) {
    expect_step(reduce(XNOR_OP_REDUCE_MEAN, points(), -1, 0), 9, "reduce");
}

Test(rows, the_sum_over_points) {
    expect_step(reduce(XNOR_OP_REDUCE_SUM, points(), 1, 1), 9, "reduce");
}

// ---- tables and element-wise functions ----------------------------------------------------------

Test(rows, several_crossings_are_looked_up) {
    xnor_value_id y = NODE(&b, XNOR_OP_ABS, layer(sign(points()), K, N));
    y = NODE(&b, XNOR_OP_SUB, y, vector(N, 1, 15));
    expect_step(layer(NODE(&b, XNOR_OP_SIGN, y), N, 3), 9, "table");
}

Test(rows, several_crossings_without_zeros_are_bits) {
    xnor_value_id y = NODE(&b, XNOR_OP_ABS, layer(sign(points()), K, N));
    y = NODE(&b, XNOR_OP_SUB, y, builder_floats(&b, SCALAR, D(2.125)));
    expect_step(layer(NODE(&b, XNOR_OP_SIGN, y), N, 3), 9, "table");
}

Test(rows, ternary_weights_add_two_layers) {
    double w[K * 3];
    for (uint32_t i = 0; i < K * 3; i++) w[i] = (int)builder_random(&b, 3) - 1;
    xnor_value_id y = builder_floats(&b, SHAPE(K, 3), w, K * 3);
    expect_step(NODE(&b, XNOR_OP_MATMUL, sign(points()), y), 9, "gemm_tail");
}

Test(rows, a_slope_for_each_channel) {
    xnor_value_id slopes = vector(K, -2, 4);
    expect_step(NODE(&b, XNOR_OP_PRELU, points(), slopes), 9, "prelu");
}

Test(rows, one_slope_for_all_channels) {
    expect_step(NODE(&b, XNOR_OP_PRELU, points(), builder_floats(&b, SHAPE(1), D(0.25))), 9,
                "prelu");
}

Test(rows, functions_of_one_value) {
    expect_step(NODE(&b, XNOR_OP_SIGMOID, points()), 9, "unary");
}

// Ternary weights: the sums of two layers with one factor per row.
Test(rows, sums_of_two_layers_with_a_factor_per_row) {
    double w[K * 3];
    for (uint32_t i = 0; i < K * 3; i++) w[i] = (int)builder_random(&b, 3) - 1;
    xnor_value_id x = points(), weights = builder_floats(&b, SHAPE(K, 3), w, K * 3);
    xnor_value_id mean = reduce(XNOR_OP_REDUCE_MEAN, NODE(&b, XNOR_OP_ABS, x), -1, 1);
    xnor_value_id y = NODE(&b, XNOR_OP_MATMUL, NODE(&b, XNOR_OP_MUL, sign(x), mean), weights);
    expect_step(y, 9, "acc_rows");
}

Test(rows, features_repeated_for_every_point) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(3, 1, K));
    expect_step(NODE(&b, XNOR_OP_TILE, x, builder_ints(&b, I(1, 7, 1))), 7, "repeat");
}

Test(rows, features_expanded_along_the_last_axis) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(3, K, 1));
    expect_step(NODE(&b, XNOR_OP_EXPAND, x, builder_ints(&b, I(3, K, 5))), 7, "repeat");
}
