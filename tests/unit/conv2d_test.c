// Float convolutions of pictures: the step against the reference, and against itself on other machines.
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "core/tensor.h"
#include "graph_builder.h"
#include "kernels/kernels.h"

typedef struct convolution {
    int64_t batch, height, width, channels, outputs, group;
    int64_t kernel[2], stride[2], dilation[2], pads[4];
    bool bias;
} convolution;

static const convolution cases[] = {
    {1, 9, 11, 3, 8, 1, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, true},
    {2, 10, 7, 6, 9, 3, {3, 2}, {2, 1}, {1, 3}, {1, 0, 2, 3}, false},
    {3, 5, 5, 4, 4, 4, {5, 5}, {1, 1}, {1, 1}, {2, 2, 2, 2}, true}, // depthwise
    {1, 8, 8, 16, 5, 1, {1, 1}, {2, 2}, {1, 1}, {0, 0, 0, 0}, true},
    {1, 1, 1, 2, 3, 1, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, false},
    {1, 12, 90, 40, 3, 1, {7, 7}, {3, 2}, {1, 1}, {3, 3, 3, 3}, true},  // several blocks a row
    {1, 3, 4, 900, 2, 1, {5, 5}, {1, 1}, {1, 1}, {2, 2, 2, 2}, true},   // wider than a block
    {2, 4, 4, 3, 2, 1, {2, 2}, {1, 1}, {1, 1}, {9, 9, 9, 9}, true},     // windows wholly outside
    {1, 9, 23, 36, 36, 36, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, true}, // depthwise
    {2, 11, 18, 65, 65, 65, {5, 3}, {2, 2}, {1, 2}, {2, 0, 1, 3}, false},
    {1, 4, 3, 20, 20, 20, {3, 3}, {1, 1}, {2, 2}, {2, 2, 2, 2}, true},  // no window inside
    {1, 3, 4, 8, 16, 8, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, true},    // two outputs a channel
    {1, 20, 20, 3, 3, 3, {17, 17}, {1, 1}, {1, 1}, {8, 8, 8, 8}, true}, // many taps
    // Large, with odd sizes and borders.
    {1, 41, 39, 32, 34, 1, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, true},
    {2, 30, 45, 18, 18, 1, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, false},
    {1, 65, 63, 3, 40, 1, {7, 7}, {2, 2}, {1, 1}, {3, 3, 3, 3}, true},
};

static void build(builder *b, const convolution *c) {
    const xnor_shape shape = SHAPE(c->outputs, c->kernel[0], c->kernel[1], c->channels / c->group);
    xnor_value_id x =
        builder_input(b, "x", XNOR_F32, SHAPE(c->batch, c->height, c->width, c->channels));
    xnor_value_id w = builder_numbers(b, shape), y;
    if (c->bias)
        y = NODE(b, XNOR_OP_CONV2D, x, w, builder_numbers(b, SHAPE(c->outputs)));
    else
        y = NODE(b, XNOR_OP_CONV2D, x, w);
    builder_attr(b, XNOR_ATTR_GROUP, &c->group, 1);
    builder_attr(b, XNOR_ATTR_STRIDES, c->stride, 2);
    builder_attr(b, XNOR_ATTR_DILATIONS, c->dilation, 2);
    builder_attr(b, XNOR_ATTR_PADS, c->pads, 4);
    builder_output(b, y, "y");
}

Test(conv2d, agrees_with_the_reference_and_among_machines) {
    xnor_pool *pool;
    cr_assert_eq(xnor_pool_create(2, &pool), XNOR_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        builder b;
        builder_init(&b, 1 + i);
        build(&b, &cases[i]);
        builder_expect_everywhere(&b, pool, 1e-4, i);
        builder_free(&b);
    }
    xnor_pool_free(&pool);
}

// What follows becomes part of the step.
Test(conv2d, depthwise_with_a_normalisation_and_a_skip) {
    builder b;
    builder_init(&b, 5);
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(2, 19, 9, 70));
    x = NODE(&b, XNOR_OP_CONV, x, builder_numbers(&b, SHAPE(19, 19, 1, 1)));
    xnor_value_id y = NODE(&b, XNOR_OP_CONV, x, builder_numbers(&b, SHAPE(19, 1, 3, 3)));
    builder_attr(&b, XNOR_ATTR_GROUP, I(19));
    builder_attr(&b, XNOR_ATTR_PADS, I(1, 1, 1, 1));
    xnor_value_id ones = builder_tensor(&b, XNOR_F32, SHAPE(19), (const double[19]){1, 2, 3}, 19);
    xnor_value_id variance = NODE(&b, XNOR_OP_EXP, builder_numbers(&b, SHAPE(19)));
    y = NODE(&b, XNOR_OP_BATCH_NORMALIZATION, y, builder_numbers(&b, SHAPE(19)), ones,
             builder_numbers(&b, SHAPE(19)), variance);
    y = NODE(&b, XNOR_OP_ADD, NODE(&b, XNOR_OP_RELU, y), x);
    builder_output(&b, y, "y");
    tensors inputs, reference = {0}, outputs = {0};
    builder_inputs(&b, 3, &inputs);
    builder_reference(&b.graph, &inputs, &reference);
    xnor_model *model = builder_compile(&b, NULL, NULL);
    xnor_plan *plan = builder_plan(model, &inputs);
    uint32_t depthwise = 0;
    for (uint32_t i = 0; i < xnor_plan_step_count(plan); i++)
        depthwise += strcmp(xnor_plan_step_kind(plan, i), "depthwise") == 0;
    cr_expect_eq(depthwise, 1);
    cr_expect_leq(xnor_plan_step_count(plan), 4, "a linear layer and two transposes");
    builder_run(model, NULL, &inputs, &outputs);
    cr_expect_lt(tensors_distance(&outputs.items[0], &reference.items[0]), 1e-4);
    xnor_plan_unref(&plan);
    xnor_model_unref(&model);
    tensors_free(&inputs);
    tensors_free(&reference);
    tensors_free(&outputs);
    builder_free(&b);
}

// Pictures with channels first: {batch, height, width, channels, outputs, kernel, stride}.
Test(conv2d, large_ones_go_through_polynomial_points) {
    static const int64_t large[][7] = {{1, 41, 39, 32, 34, 3, 1},
                                       {2, 30, 45, 18, 18, 3, 1},
                                       {1, 65, 63, 3, 40, 7, 2},
                                       {2, 130, 97, 3, 6, 7, 2}};
    xnor_pool *pool;
    cr_assert_eq(xnor_pool_create(2, &pool), XNOR_OK);
    for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
        const int64_t *c = large[i], strides[2] = {c[6], c[6]}, half = c[5] / 2;
        builder b;
        tensors inputs, reference = {0};
        builder_init(&b, 20 + i);
        xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(c[0], c[3], c[1], c[2]));
        xnor_value_id y =
            NODE(&b, XNOR_OP_CONV, x, builder_numbers(&b, SHAPE(c[4], c[3], c[5], c[5])),
                 builder_numbers(&b, SHAPE(c[4])));
        builder_attr(&b, XNOR_ATTR_STRIDES, strides, 2);
        builder_attr(&b, XNOR_ATTR_PADS, I(half, half, half, half));
        builder_output(&b, NODE(&b, XNOR_OP_RELU, y), "y");
        builder_inputs(&b, 3, &inputs);
        builder_reference(&b.graph, &inputs, &reference);
        for (const char *const *isa = xnor_kernels_available(); *isa; isa++) {
            tensors outputs = {0};
            xnor_model *model = builder_compile(&b, *isa, NULL);
            xnor_plan *plan = builder_plan(model, &inputs);
            uint32_t steps = 0;
            for (uint32_t k = 0; k < xnor_plan_step_count(plan); k++)
                steps += strcmp(xnor_plan_step_kind(plan, k), "winograd") == 0;
            cr_expect_eq(steps, 1, "case %zu", i);
            builder_run(model, isa[1] ? NULL : pool, &inputs, &outputs);
            cr_expect_lt(tensors_distance(&outputs.items[0], &reference.items[0]), 1e-4,
                         "case %zu, %s", i, *isa);
            xnor_plan_unref(&plan);
            xnor_model_unref(&model);
            tensors_free(&outputs);
        }
        tensors_free(&inputs);
        tensors_free(&reference);
        builder_free(&b);
    }
    xnor_pool_free(&pool);
}

Test(conv2d, refuses_windows_that_do_not_fit) {
    static const struct {
        convolution c;
        const char *reason;
    } bad[] = {
        {{1, 4, 4, 2, 2, 1, {5, 5}, {1, 1}, {1, 1}, {0, 0, 0, 0}, false}, "larger than the input"},
        {{1, 4, 4, 2, 2, 1, {3, 3}, {0, 1}, {1, 1}, {0, 0, 0, 0}, false}, "out of range"},
        {{1, 4, 4, 2, 2, 1, {3, 3}, {1, 1}, {1, INT64_MAX / 2}, {0, 0, 0, 0}, false},
         "out of range"},
        {{1, 4, 4, 2, 2, 1, {3, 3}, {1, 1}, {1, 1}, {0, INT64_MAX, 0, 0}, false}, "out of range"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        builder b;
        builder_init(&b, 1);
        build(&b, &bad[i].c);
        cr_expect_eq(xnor_graph_verify(&b.graph), XNOR_E_SHAPE, "case %zu", i);
        cr_expect(strstr(xnor_last_error(), bad[i].reason), "%s", xnor_last_error());
        builder_free(&b);
    }
}
