// What one step stored for another's tail is made by the other: fewer steps, the reference's results.
#include <criterion/criterion.h>
#include <string.h>

#include "core/tensor.h"
#include "exec/plan.h"
#include "graph_builder.h"

static builder b;

static void begin(void) {
    builder_init(&b, 5);
}

static void end(void) {
    builder_free(&b);
}

TestSuite(merge_tails, .init = begin, .fini = end);

static uint32_t steps_of(const xnor_plan *plan, const char *kind) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < xnor_plan_step_count(plan); i++)
        count += strcmp(xnor_plan_step_kind(plan, i), kind) == 0;
    return count;
}

typedef struct steps {
    const char *kind;
    uint32_t count;
} steps;

// Up to three kinds of steps, and how many of each there are: on every instruction set, with and without threads.
static void expect(xnor_value_id y, steps first, steps second, steps third) {
    const steps all[] = {first, second, third};
    tensors inputs, want;
    xnor_pool *pool;
    builder_output(&b, y, "y");
    builder_inputs(&b, 7, &inputs);
    builder_reference(&b.graph, &inputs, &want);
    cr_assert_eq(xnor_pool_create(3, &pool), XNOR_OK);
    for (const char *const *isa = xnor_kernels_available(); *isa; isa++) {
        xnor_model *model = builder_compile(&b, *isa, NULL);
        xnor_plan *plan = builder_plan(model, &inputs);
        for (size_t i = 0; i < 3; i++)
            if (all[i].kind)
                cr_assert_eq(steps_of(plan, all[i].kind), all[i].count, "%u steps of kind %s",
                             steps_of(plan, all[i].kind), all[i].kind);
        for (int threads = 0; threads < 2; threads++) {
            tensors found;
            builder_run(model, threads ? pool : NULL, &inputs, &found);
            cr_assert_leq(tensors_distance(&want.items[0], &found.items[0]), 1e-5, "%s", *isa);
            tensors_free(&found);
        }
        xnor_plan_unref(&plan);
        xnor_model_unref(&model);
    }
    xnor_pool_free(&pool);
    tensors_free(&want);
    tensors_free(&inputs);
}
#define EXPECT(y, ...) expect(y, __VA_ARGS__)
#define NONE ((steps){NULL, 0})
#define STEPS(kind, count) ((steps){kind, count})

// ---- what networks are made of ------------------------------------------------------------------

enum { MOST = 300 };

static xnor_value_id sign(xnor_value_id x) {
    return NODE(&b, XNOR_OP_SIGN, x);
}

static xnor_value_id channels(int64_t count, double low) {
    double values[MOST];
    for (int64_t i = 0; i < count; i++) values[i] = low + (double)builder_random(&b, 16) / 16;
    return builder_floats(&b, SHAPE(count, 1, 1), values, (size_t)count);
}

static xnor_value_id normalised(xnor_value_id x, int64_t count) {
    x = NODE(&b, XNOR_OP_MUL, x, channels(count, 0.0625));
    return NODE(&b, XNOR_OP_ADD, x, channels(count, -0.53125));
}

static xnor_value_id picture(int64_t count, int64_t height, int64_t width) {
    return builder_input(&b, "x", XNOR_F32, SHAPE(2, count, height, width));
}

// A convolution of signs, or, where `real`, of anything.
static xnor_value_id convolution(xnor_value_id x, int64_t from, int64_t to, int64_t size,
                                 int64_t stride, bool real) {
    static double weights[MOST * MOST];
    const int64_t strides[] = {stride, stride}, pads[] = {size / 2, size / 2, size / 2, size / 2};
    const size_t count = (size_t)(from * to * size * size);
    for (size_t i = 0; i < count; i++) {
        weights[i] = builder_random(&b, 2) ? 0.25 : -0.25;
        if (real) weights[i] = ((double)builder_random(&b, 64) - 31.5) / 64;
    }
    x = NODE(&b, XNOR_OP_CONV, x, builder_floats(&b, SHAPE(to, from, size, size), weights, count));
    builder_attr(&b, XNOR_ATTR_STRIDES, strides, 2);
    builder_attr(&b, XNOR_ATTR_PADS, pads, 4);
    return x;
}

static xnor_value_id layer(xnor_value_id x, int64_t from, int64_t to, int64_t size,
                           int64_t stride) {
    return normalised(convolution(x, from, to, size, stride, false), to);
}

// ---- layers ------------------------------------------------------------------------------------

Test(merge_tails, two_layers_are_added_in_one_tile) {
    xnor_value_id x = sign(picture(20, 5, 6));
    xnor_value_id y = NODE(&b, XNOR_OP_ADD, layer(x, 20, 70, 1, 1), layer(x, 20, 70, 1, 1));
    EXPECT(y, STEPS("gemm_tail", 1), STEPS("pointwise", 0), NONE);
}

Test(merge_tails, a_layer_is_added_to_a_convolution) {
    xnor_value_id x = sign(picture(20, 9, 6));
    xnor_value_id y = NODE(&b, XNOR_OP_ADD, layer(x, 20, 70, 3, 1), layer(x, 20, 70, 1, 1));
    EXPECT(y, STEPS("conv_tail", 1), STEPS("gemm_tail", 0), NONE);
}

Test(merge_tails, a_layer_of_every_other_pixel_is_added_to_a_convolution) {
    xnor_value_id x = sign(picture(20, 9, 8));
    xnor_value_id y = layer(sign(layer(x, 20, 18, 3, 2)), 18, 33, 3, 1);
    y = NODE(&b, XNOR_OP_ADD, y, layer(x, 20, 33, 1, 2));
    EXPECT(convolution(sign(y), 33, 3, 1, 1, true), STEPS("conv_tail", 1), STEPS("gemm_tail", 0),
           NONE);
}

// Two convolutions by larger windows have a map between them.
Test(merge_tails, a_convolution_is_not_part_of_another) {
    xnor_value_id x = sign(picture(20, 9, 6));
    xnor_value_id y = NODE(&b, XNOR_OP_ADD, layer(x, 20, 7, 3, 1), layer(x, 20, 7, 3, 1));
    EXPECT(y, STEPS("conv_tail", 2), NONE, NONE);
}

// The sum is a skip and has signs: its layers are computed for both, as the map would be 2 MB.
Test(merge_tails, cheap_layers_of_large_maps_are_computed_twice) {
    xnor_value_id x = sign(picture(20, 40, 41));
    xnor_value_id sum = NODE(&b, XNOR_OP_ADD, layer(x, 20, 150, 1, 1), layer(x, 20, 150, 1, 1));
    xnor_value_id y = layer(sign(sum), 150, 150, 1, 1);
    y = NODE(&b, XNOR_OP_ADD, y, sum);
    EXPECT(convolution(sign(y), 150, 3, 1, 1, true), STEPS("gemm_tail", 2), NONE, NONE);
}

// Small ones stay: a step stores the sum and its signs.
Test(merge_tails, layers_of_small_maps_are_computed_once) {
    xnor_value_id x = sign(picture(20, 4, 5));
    xnor_value_id sum = NODE(&b, XNOR_OP_ADD, layer(x, 20, 33, 1, 1), layer(x, 20, 33, 1, 1));
    xnor_value_id y = NODE(&b, XNOR_OP_ADD, layer(sign(sum), 33, 33, 1, 1), sum);
    EXPECT(NODE(&b, XNOR_OP_ADD, y, sum), STEPS("gemm_tail", 2), NONE, NONE);
}

// ---- steps on a map ----------------------------------------------------------------------------

// What is added is there only when the convolution is long done.
Test(merge_tails, a_step_waits_for_what_is_added_to_it) {
    xnor_value_id x = picture(20, 6, 5), early = layer(sign(x), 20, 20, 3, 1);
    xnor_value_id late = NODE(&b, XNOR_OP_SIGMOID, convolution(x, 20, 20, 1, 1, true));
    EXPECT(NODE(&b, XNOR_OP_ADD, early, late), STEPS("conv_tail", 1), STEPS("pointwise", 0), NONE);
}

Test(merge_tails, a_float_layer_takes_what_is_in_the_tile) {
    xnor_value_id x = sign(picture(20, 6, 5));
    xnor_value_id y = NODE(&b, XNOR_OP_RELU, layer(x, 20, 70, 1, 1));
    EXPECT(convolution(y, 70, 9, 1, 1, true), STEPS("gemm_tail", 1), STEPS("linear", 0), NONE);
}

Test(merge_tails, a_float_layer_of_a_map_that_others_read_stays) {
    xnor_value_id x = sign(picture(20, 6, 5));
    xnor_value_id y = NODE(&b, XNOR_OP_RELU, layer(x, 20, 9, 1, 1));
    xnor_value_id z = NODE(&b, XNOR_OP_SIGMOID, y);
    EXPECT(NODE(&b, XNOR_OP_ADD, convolution(y, 9, 9, 1, 1, true), z), STEPS("gemm_tail", 1),
           STEPS("linear", 1), NONE);
}

// ---- memory ------------------------------------------------------------------------------------

// A chain of convolutions with skips needs one map and two planes of signs.
Test(merge_tails, what_is_stored_takes_the_place_of_the_skip) {
    enum { C = 64, SIDE = 24, ROWS = 2 * SIDE * SIDE };
    xnor_value_id x = picture(C, SIDE, SIDE);
    xnor_value_id y = NODE(&b, XNOR_OP_MUL, x, channels(C, 0.5));
    for (int i = 0; i < 4; i++) y = NODE(&b, XNOR_OP_ADD, layer(sign(y), C, C, 3, 1), y);
    builder_output(&b, y, "y");
    tensors inputs;
    builder_inputs(&b, 7, &inputs);
    xnor_model *model = builder_compile(&b, NULL, NULL);
    xnor_plan *plan = builder_plan(model, &inputs);
    // Channels first at both ends: the input's and the output's transposes.
    cr_assert_leq(xnor_plan_arena_bytes(plan), 2 * ROWS * C * sizeof(float) + 8 * ROWS * C / 8);
    xnor_plan_unref(&plan);
    xnor_model_unref(&model);
    tensors_free(&inputs);
}
