// Resize of pictures with channels last: the step against the reference, in every mode.
#include <criterion/criterion.h>

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
