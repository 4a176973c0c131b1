// Convolutions of signs: compiled to windows and a layer on bits, against the graph as it was.
#include <criterion/criterion.h>
#include <math.h>

#include "core/tensor.h"
#include "graph_builder.h"
#include "kernels/kernels.h"

typedef enum signs { TERNARY, BITS, ZERO_ONE } signs;
typedef enum behind { SUMS, NORMALISED, THRESHOLD, RELU_THRESHOLD } behind;

typedef struct convolution {
    signs signs;
    behind behind;
    int64_t batch, channels, height, width, outputs;
    int64_t kernel[2], stride[2], dilation[2], pads[4];
    int64_t groups;
} convolution;

static const convolution cases[] = {
    {TERNARY, SUMS, 1, 18, 7, 9, 18, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, 1},
    {BITS, SUMS, 2, 64, 6, 5, 64, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, 1},
    {BITS, THRESHOLD, 1, 64, 9, 8, 40, {3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1}, 1},
    {BITS, THRESHOLD, 3, 36, 5, 70, 70, {3, 3}, {1, 1}, {2, 2}, {2, 2, 2, 2}, 1},
    {BITS, NORMALISED, 1, 5, 8, 8, 3, {7, 7}, {2, 1}, {1, 1}, {3, 3, 3, 3}, 1},
    {TERNARY, THRESHOLD, 1, 72, 4, 4, 72, {1, 1}, {2, 2}, {1, 1}, {0, 0, 0, 0}, 1},
    {BITS, RELU_THRESHOLD, 2, 18, 6, 6, 18, {3, 2}, {1, 1}, {1, 1}, {0, 1, 2, 0}, 1},
    {ZERO_ONE, THRESHOLD, 1, 20, 6, 6, 9, {3, 3}, {1, 1}, {1, 1}, {0, 0, 0, 0}, 1},
    {ZERO_ONE, THRESHOLD, 2, 18, 6, 7, 18, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, 1},
    {ZERO_ONE, SUMS, 1, 70, 5, 5, 9, {3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1}, 1},
    {BITS, SUMS, 1, 130, 1, 2, 7, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, 1},
    {TERNARY, NORMALISED, 1, 3, 3, 3, 2, {2, 2}, {1, 1}, {1, 1}, {4, 4, 4, 4}, 1},
    {TERNARY, SUMS, 1, 36, 6, 7, 18, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, 2},
    {BITS, THRESHOLD, 2, 128, 5, 6, 128, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, 4},
    {BITS, NORMALISED, 1, 12, 9, 5, 24, {3, 1}, {2, 1}, {1, 2}, {1, 0, 1, 0}, 3},
    {BITS, RELU_THRESHOLD, 1, 70, 6, 6, 70, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, 70}, // depthwise
    {TERNARY, THRESHOLD, 1, 24, 4, 5, 24, {1, 1}, {1, 1}, {1, 1}, {0, 0, 0, 0}, 6},
    {ZERO_ONE, THRESHOLD, 1, 20, 6, 6, 10, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, 5},
    // Maps wide enough for bits without sums.
    {BITS, THRESHOLD, 1, 18, 49, 50, 18, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, 1},
    {BITS, THRESHOLD, 2, 64, 48, 48, 64, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, 1},
    {BITS, THRESHOLD, 1, 8, 50, 52, 8, {3, 3}, {1, 1}, {1, 1}, {0, 0, 0, 0}, 1},
    // More kinds of border than a table is made for, or than it has room for.
    {BITS, SUMS, 1, 3, 17, 18, 5, {9, 9}, {1, 1}, {1, 1}, {8, 8, 8, 8}, 1},
    {BITS, SUMS, 1, 2, 25, 24, 100, {7, 7}, {1, 1}, {1, 1}, {6, 6, 6, 6}, 1},
    {BITS, NORMALISED, 1, 128, 5, 9, 128, {3, 3}, {1, 1}, {2, 2}, {2, 2, 2, 2}, 1},
    {BITS, NORMALISED, 1, 130, 9, 11, 36, {3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1}, 1},
};

static xnor_value_id per_channel(builder *b, int64_t count, bool positive) {
    double values[130];
    for (int64_t i = 0; i < count; i++) {
        values[i] = (double)builder_random(b, 40) / 16 + (positive ? 0.25 : -1);
        if (!positive && i % 3 == 0) values[i] = -values[i] - 0.125;
    }
    return builder_floats(b, SHAPE(count), values, (size_t)count);
}

static void build(builder *b, const convolution *c) {
    static double weights[130 * 130 * 49];
    const int64_t groups = c->groups, each = c->channels / groups;
    const size_t count = (size_t)(c->outputs * each * c->kernel[0] * c->kernel[1]),
                 row = count / (size_t)c->outputs;
    for (size_t i = 0; i < count; i++)
        weights[i] = (builder_random(b, 2) ? 0.25 : -0.25) * (double)(1 + i / row % 3);
    xnor_value_id x =
        builder_input(b, "x", XNOR_F32, SHAPE(c->batch, c->channels, c->height, c->width));
    xnor_value_id zero = builder_floats(b, SCALAR, D(0.1)), one = builder_floats(b, SCALAR, D(1));
    xnor_value_id w =
        builder_floats(b, SHAPE(c->outputs, each, c->kernel[0], c->kernel[1]), weights, count);
    xnor_value_id y = NODE(b, XNOR_OP_SIGN, x);
    if (c->signs != TERNARY)
        y = NODE(b, XNOR_OP_WHERE, NODE(b, XNOR_OP_GREATER_OR_EQUAL, x, zero), one,
                 builder_floats(b, SCALAR,
                                c->signs == BITS ? (const double[]){-1} : (const double[]){0}, 1));
    y = NODE(b, XNOR_OP_CONV, y, w);
    builder_attr(b, XNOR_ATTR_STRIDES, c->stride, 2);
    builder_attr(b, XNOR_ATTR_DILATIONS, c->dilation, 2);
    builder_attr(b, XNOR_ATTR_PADS, c->pads, 4);
    builder_attr(b, XNOR_ATTR_GROUP, &groups, 1);
    if (c->behind == RELU_THRESHOLD) y = NODE(b, XNOR_OP_RELU, y);
    if (c->behind != SUMS)
        y = NODE(b, XNOR_OP_BATCH_NORMALIZATION, y, per_channel(b, c->outputs, false),
                 per_channel(b, c->outputs, false), per_channel(b, c->outputs, false),
                 per_channel(b, c->outputs, true));
    if (c->behind == THRESHOLD || c->behind == RELU_THRESHOLD) {
        // A layer on the signs, so that they are bits in the plan.
        y = NODE(b, XNOR_OP_SIGN, y);
        double ones[130];
        for (int i = 0; i < 130; i++) ones[i] = i % 2 ? 1 : -1;
        y = NODE(b, XNOR_OP_CONV, y,
                 builder_floats(b, SHAPE(1, c->outputs, 1, 1), ones, (size_t)c->outputs));
    }
    builder_output(b, y, "y");
}

Test(binary_conv, agrees_with_the_graph_on_every_machine) {
    xnor_pool *pool;
    cr_assert_eq(xnor_pool_create(2, &pool), XNOR_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        builder b;
        xnor_graph compiled;
        builder_init(&b, 11 + i);
        build(&b, &cases[i]);
        tensors inputs, reference = {0};
        builder_inputs(&b, 3, &inputs);
        builder_reference(&b.graph, &inputs, &reference);
        for (const char *const *isa = xnor_kernels_available(); *isa; isa++) {
            xnor_model *model = builder_compile(&b, *isa, &compiled);
            cr_expect_eq(graph_count(&compiled, XNOR_OP_CONV2D), 0, "case %zu", i);
            xnor_graph_free(&compiled);
            for (int threads = 1; threads <= 2; threads++) {
                tensors outputs = {0};
                builder_run(model, threads == 2 ? pool : NULL, &inputs, &outputs);
                cr_expect_lt(tensors_distance(&outputs.items[0], &reference.items[0]), 1e-4,
                             "case %zu, %s, %d threads", i, *isa, threads);
                tensors_free(&outputs);
            }
            xnor_model_unref(&model);
        }
        tensors_free(&inputs);
        tensors_free(&reference);
        builder_free(&b);
    }
    xnor_pool_free(&pool);
}
