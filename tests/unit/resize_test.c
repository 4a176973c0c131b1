// Resize of pictures with channels last, and of signs: the steps against the reference, in every mode; and binary
// convolutions behind it.
#include <criterion/criterion.h>
#include <string.h>

#include "core/tensor.h"
#include "graph_builder.h"
#include "ops/resize.h"

static double difference(int64_t mode, int64_t coordinates, int64_t nearest, const double *scales,
                         const int64_t *sizes) {
    builder b;
    builder_init(&b, 4);
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(2, 5, 7, 3));
    xnor_value_id by_scale = XNOR_NO_VALUE, by_size = XNOR_NO_VALUE;
    if (scales) by_scale = builder_floats(&b, SHAPE(4), scales, 4);
    if (sizes) by_size = builder_ints(&b, sizes, 4);
    xnor_value_id y = NODE(&b, XNOR_OP_RESIZE, x, XNOR_NO_VALUE, by_scale, by_size);
    builder_attr(&b, XNOR_ATTR_MODE, &mode, 1);
    builder_attr(&b, XNOR_ATTR_COORDINATES, &coordinates, 1);
    builder_attr(&b, XNOR_ATTR_NEAREST_MODE, &nearest, 1);
    builder_output(&b, y, "y");
    tensors inputs, reference = {0}, outputs = {0};
    builder_inputs(&b, 3, &inputs);
    builder_reference(&b.graph, &inputs, &reference);
    xnor_model *model = builder_model(&b.graph, NULL);
    builder_run(model, NULL, &inputs, &outputs);
    double found = tensors_distance(&outputs.items[0], &reference.items[0]);
    tensors_free(&inputs);
    tensors_free(&reference);
    tensors_free(&outputs);
    xnor_model_unref(&model);
    builder_free(&b);
    return found;
}

Test(resize, every_mode_agrees_with_the_reference) {
    static const double scales[][4] = {{1, 2, 2, 1}, {1, 0.6, 1.7, 1}, {1, 1, 3, 1}, {2, 1, 1, 2}};
    static const int64_t sizes[][4] = {{2, 9, 4, 3}, {2, 1, 1, 3}, {2, 5, 7, 3}};
    for (int64_t mode = 0; mode <= XNOR_RESIZE_LINEAR; mode++)
        for (int64_t c = 0; c <= XNOR_RESIZE_TF_HALF_PIXEL_FOR_NN; c++)
            for (int64_t nearest = 0; nearest <= XNOR_RESIZE_CEIL; nearest++) {
                for (size_t i = 0; i < 4; i++)
                    cr_expect_lt(difference(mode, c, nearest, scales[i], NULL), 1e-6);
                for (size_t i = 0; i < 3; i++)
                    cr_expect_lt(difference(mode, c, nearest, NULL, sizes[i]), 1e-6);
            }
}

// What leaves a network has its channels first.
static void check_channels_first(xnor_shape shape, const int64_t *sizes) {
    builder b;
    builder_init(&b, 4);
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, shape);
    xnor_value_id y =
        NODE(&b, XNOR_OP_RESIZE, x, XNOR_NO_VALUE, XNOR_NO_VALUE, builder_ints(&b, sizes, 4));
    builder_attr(&b, XNOR_ATTR_MODE, I(XNOR_RESIZE_LINEAR));
    y = NODE(&b, XNOR_OP_TRANSPOSE, y);
    builder_attr(&b, XNOR_ATTR_PERM, (int64_t[]){0, 3, 1, 2}, 4);
    builder_output(&b, y, "y");
    tensors inputs, reference = {0}, outputs = {0};
    builder_inputs(&b, 3, &inputs);
    builder_reference(&b.graph, &inputs, &reference);
    xnor_model *model = builder_model(&b.graph, NULL);
    xnor_plan *plan = builder_plan(model, &inputs);
    cr_expect_eq(xnor_plan_step_count(plan), 1);
    builder_run(model, NULL, &inputs, &outputs);
    cr_expect_lt(tensors_distance(&outputs.items[0], &reference.items[0]), 1e-6);
    xnor_plan_unref(&plan);
    xnor_model_unref(&model);
    tensors_free(&inputs);
    tensors_free(&reference);
    tensors_free(&outputs);
    builder_free(&b);
}

Test(resize, channels_first) {
    static const int64_t sizes[][4] = {{3, 20, 28, 5}, {3, 3, 91, 5}, {3, 11, 2, 5}};
    for (size_t i = 0; i < 3; i++) check_channels_first(SHAPE(3, 5, 7, 5), sizes[i]);
    check_channels_first(SHAPE(2, 9, 130, 3), (int64_t[]){2, 30, 1350, 3});
}

// By hand: halves of pixels, clamped at the border.
Test(resize, linear_doubling_mixes_quarters) {
    static const float expected[] = {0, 1, 3, 4};
    builder b;
    builder_init(&b, 1);
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(1, 1, 2, 1));
    builder_output(
        &b, NODE(&b, XNOR_OP_RESIZE, x, XNOR_NO_VALUE, builder_floats(&b, SHAPE(4), D(1, 1, 2, 1))),
        "y");
    builder_attr(&b, XNOR_ATTR_MODE, I(XNOR_RESIZE_LINEAR));
    tensors inputs = {0}, outputs = {0};
    float *pixels = tensors_add(&inputs, XNOR_F32, SHAPE(1, 1, 2, 1))->data;
    pixels[1] = 4;
    xnor_model *model = builder_model(&b.graph, NULL);
    builder_run(model, NULL, &inputs, &outputs);
    cr_expect_arr_eq(outputs.items[0].data, expected, sizeof expected);
    tensors_free(&inputs);
    tensors_free(&outputs);
    xnor_model_unref(&model);
    builder_free(&b);
}

Test(resize, refuses_scales_and_sizes_out_of_range) {
    static const double bad[] = {0, -1, 1e9, 1e-9};
    for (size_t i = 0; i < 4; i++) {
        builder b;
        builder_init(&b, 1);
        xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(1, 4, 4, 2));
        const double scales[4] = {1, bad[i], 1, 1};
        builder_output(
            &b, NODE(&b, XNOR_OP_RESIZE, x, XNOR_NO_VALUE, builder_floats(&b, SHAPE(4), scales, 4)),
            "y");
        bool empty = bad[i] > 0 && bad[i] < 1; // a result of no elements is for the plan to refuse
        cr_expect_eq(xnor_graph_verify(&b.graph), empty ? XNOR_OK : XNOR_E_SHAPE, "%g", bad[i]);
        builder_free(&b);
    }
}

// ---- signs --------------------------------------------------------------------------------------

static const double scales[][4] = {{1, 2, 2, 1}, {1, 0.6, 1.7, 1}, {1, 1, 3, 1}, {2, 1, 1, 1}};

Test(resize, signs_agree_with_the_reference) {
    static const int64_t channel_counts[] = {5, 64, 70, 130};
    xnor_pool *pool;
    cr_assert_eq(xnor_pool_create(2, &pool), XNOR_OK);
    for (size_t i = 0; i < 32; i++)
        for (int64_t c = 0; c <= XNOR_RESIZE_TF_HALF_PIXEL_FOR_NN; c++)
            for (int64_t nearest = 0; nearest <= XNOR_RESIZE_CEIL; nearest++) {
                builder b;
                builder_init(&b, i);
                xnor_value_id x =
                    NODE(&b, XNOR_OP_BINARIZE,
                         builder_input(&b, "x", XNOR_F32, SHAPE(2, 5, 7, channel_counts[i / 8])));
                builder_attr_float(&b, XNOR_ATTR_ALPHA, i / 4 % 2 ? 1 : 0);
                xnor_value_id y = NODE(&b, XNOR_OP_RESIZE, x, XNOR_NO_VALUE,
                                       builder_floats(&b, SHAPE(4), scales[i % 4], 4));
                builder_attr(&b, XNOR_ATTR_COORDINATES, &c, 1);
                builder_attr(&b, XNOR_ATTR_NEAREST_MODE, &nearest, 1);
                builder_output(&b, NODE(&b, XNOR_OP_NEG, y), "y");
                tensors inputs, reference = {0}, outputs = {0};
                builder_inputs(&b, 3, &inputs);
                builder_reference(&b.graph, &inputs, &reference);
                xnor_model *model = builder_model(&b.graph, NULL);
                xnor_plan *plan = builder_plan(model, &inputs);
                // The batch is not for the step.
                cr_expect_str_eq(xnor_plan_step_kind(plan, 1),
                                 i % 4 == 3 ? "reference" : "resize_signs");
                xnor_plan_unref(&plan);
                builder_run(model, pool, &inputs, &outputs);
                cr_expect_eq(tensors_distance(&outputs.items[0], &reference.items[0]), 0,
                             "case %zu", i);
                tensors_free(&inputs);
                tensors_free(&reference);
                tensors_free(&outputs);
                xnor_model_unref(&model);
                builder_free(&b);
            }
    xnor_pool_free(&pool);
}

Test(resize, signs_are_not_interpolated) {
    builder b;
    builder_init(&b, 1);
    xnor_value_id x =
        NODE(&b, XNOR_OP_BINARIZE, builder_input(&b, "x", XNOR_F32, SHAPE(1, 4, 4, 2)));
    xnor_value_id y =
        NODE(&b, XNOR_OP_RESIZE, x, XNOR_NO_VALUE, builder_floats(&b, SHAPE(4), scales[0], 4));
    builder_attr(&b, XNOR_ATTR_MODE, I(XNOR_RESIZE_LINEAR));
    builder_output(&b, NODE(&b, XNOR_OP_NEG, y), "y");
    cr_expect_eq(xnor_graph_verify(&b.graph), XNOR_E_SHAPE);
    cr_expect(strstr(xnor_last_error(), "interpolated") != NULL, "%s", xnor_last_error());
    builder_free(&b);
}

typedef enum form { SIGN_FIRST, SIGN_LAST, ZERO_ONE, SHRUNK_BEFORE_SIGN, LINEAR, FORMS } form;

static xnor_value_id resized(builder *b, xnor_value_id x, double scale, int64_t mode) {
    const double by[4] = {1, 1, scale, scale};
    xnor_value_id y = NODE(b, XNOR_OP_RESIZE, x, XNOR_NO_VALUE, builder_floats(b, SHAPE(4), by, 4));
    builder_attr(b, XNOR_ATTR_MODE, &mode, 1);
    builder_attr(b, XNOR_ATTR_COORDINATES, I(XNOR_RESIZE_ASYMMETRIC));
    builder_attr(b, XNOR_ATTR_NEAREST_MODE, I(XNOR_RESIZE_FLOOR));
    return y;
}

// Brings channels to the end, as the first layer of a network does.
static xnor_value_id real_conv(builder *b, xnor_value_id x) {
    double weights[20 * 20];
    for (size_t i = 0; i < 400; i++) weights[i] = i % 21 ? 0.25 * (double)(i % 3) : 1;
    return NODE(b, XNOR_OP_CONV, x, builder_floats(b, SHAPE(20, 20, 1, 1), weights, 400));
}

// x is a multiple of 1/16: never 0 with 1/32.
static xnor_value_id form_of(builder *b, form f, xnor_value_id x) {
    x = NODE(b, XNOR_OP_ADD, x, builder_floats(b, SCALAR, D(1.0 / 32)));
    switch (f) {
    case SIGN_FIRST:
        return resized(b, NODE(b, XNOR_OP_SIGN, x), 2, XNOR_RESIZE_NEAREST);
    case SIGN_LAST:
        return NODE(b, XNOR_OP_SIGN, NODE(b, XNOR_OP_TANH, resized(b, x, 3, XNOR_RESIZE_NEAREST)));
    case ZERO_ONE:
        return resized(b, NODE(b, XNOR_OP_SIGN, NODE(b, XNOR_OP_RELU, x)), 2, XNOR_RESIZE_NEAREST);
    case SHRUNK_BEFORE_SIGN:
        return NODE(b, XNOR_OP_SIGN, resized(b, x, 0.5, XNOR_RESIZE_NEAREST));
    default:
        return NODE(b, XNOR_OP_SIGN, resized(b, x, 2, XNOR_RESIZE_LINEAR));
    }
}

Test(resize, convolutions_behind_copied_signs_are_binary) {
    for (size_t i = 0; i < 2 * FORMS; i++) {
        const form f = (form)(i / 2);
        builder b;
        xnor_graph compiled;
        builder_init(&b, 7 + i);
        xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(2, 20, -1, 6));
        // Behind sums, and behind reals.
        x = i % 2 ? builder_binary_conv(&b, NODE(&b, XNOR_OP_SIGN, x), 20, 20) : real_conv(&b, x);
        builder_output(&b, builder_binary_conv(&b, form_of(&b, f, x), 20, 3), "y");
        tensors inputs, reference = {0}, outputs = {0};
        builder_inputs(&b, 8, &inputs);
        builder_reference(&b.graph, &inputs, &reference);
        xnor_model *model = builder_compile(&b, NULL, &compiled);
        cr_expect_eq(graph_count(&compiled, XNOR_OP_CONV2D), 0, "case %zu", i);
        const xnor_node *resize = graph_find(&compiled, XNOR_OP_RESIZE);
        const bool early = f != SHRUNK_BEFORE_SIGN && f != LINEAR;
        cr_expect_eq(compiled.values[resize->inputs[0]].dtype != XNOR_F32, early, "case %zu", i);
        builder_run(model, NULL, &inputs, &outputs);
        cr_expect_eq(tensors_distance(&outputs.items[0], &reference.items[0]), 0, "case %zu", i);
        xnor_graph_free(&compiled);
        tensors_free(&inputs);
        tensors_free(&reference);
        tensors_free(&outputs);
        xnor_model_unref(&model);
        builder_free(&b);
    }
}
