// Transposed convolutions of pictures: the step against the reference, and against itself on other machines.
#include <criterion/criterion.h>
#include <string.h>

#include "core/tensor.h"
#include "graph_builder.h"
#include "kernels/kernels.h"

typedef struct convolution {
    int64_t batch, height, width, channels, outputs, group;
    int64_t kernel[2], stride[2], dilation[2], pads[4], extra[2];
    bool bias;
} convolution;

static const convolution cases[] = {
    {1, 4, 5, 3, 8, 1, {2, 2}, {2, 2}, {1, 1}, {0, 0, 0, 0}, {0, 0}, true},
    {2, 3, 4, 6, 9, 3, {3, 4}, {2, 3}, {1, 2}, {1, 0, 2, 3}, {1, 2}, false},
    {2, 5, 9, 35, 35, 35, {4, 4}, {2, 2}, {1, 1}, {1, 1, 1, 1}, {0, 0}, false},
    {1, 3, 7, 5, 5, 5, {3, 2}, {2, 4}, {1, 1}, {0, 0, 0, 0}, {1, 3}, true}, // no taps for some
    {1, 4, 3, 6, 6, 6, {3, 5}, {1, 3}, {2, 2}, {2, 4, 1, 3}, {0, 1}, true},
    {1, 5, 5, 4, 4, 4, {4, 4}, {2, 2}, {1, 1}, {1, 1, 1, 1}, {0, 0}, true}, // one channel a group
    {3,
     2,
     2,
     5,
     2,
     1,
     {1, 1},
     {3, 2},
     {1, 1},
     {0, 0, 0, 0},
     {2, 1},
     true}, // pixels nobody gives to
    {1,
     6,
     700,
     2,
     40,
     1,
     {3, 3},
     {1, 1},
     {1, 1},
     {1, 1, 1, 1},
     {0, 0},
     false}, // several blocks a row
    {1, 2, 2, 2, 9000, 1, {1, 2}, {1, 1}, {1, 1}, {0, 0, 0, 0}, {0, 0}, true}, // wider than a block
};

static void build(builder *b, const convolution *c) {
    const xnor_shape shape = SHAPE(c->channels, c->kernel[0], c->kernel[1], c->outputs / c->group);
    xnor_value_id x =
        builder_input(b, "x", XNOR_F32, SHAPE(c->batch, c->height, c->width, c->channels));
    xnor_value_id w = builder_numbers(b, shape);
    xnor_value_id bias = c->bias ? builder_numbers(b, SHAPE(c->outputs)) : XNOR_NO_VALUE;
    xnor_value_id y = NODE(b, XNOR_OP_CONV_TRANSPOSE2D, x, w, bias);
    builder_attr(b, XNOR_ATTR_GROUP, &c->group, 1);
    builder_attr(b, XNOR_ATTR_STRIDES, c->stride, 2);
    builder_attr(b, XNOR_ATTR_DILATIONS, c->dilation, 2);
    builder_attr(b, XNOR_ATTR_PADS, c->pads, 4);
    builder_attr(b, XNOR_ATTR_OUTPUT_PADDING, c->extra, 2);
    builder_output(b, y, "y");
}

Test(conv_transpose, agrees_with_the_reference_and_among_machines) {
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

// A network that ends where it began: channels are last in between.
Test(conv_transpose, follows_the_layout) {
    builder b;
    xnor_graph compiled;
    builder_init(&b, 1);
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(1, 2, 4, 6));
    xnor_value_id y = NODE(&b, XNOR_OP_CONV, x, builder_numbers(&b, SHAPE(4, 2, 2, 2)));
    builder_attr(&b, XNOR_ATTR_STRIDES, I(2, 2));
    y = NODE(&b, XNOR_OP_CONV_TRANSPOSE, y, builder_numbers(&b, SHAPE(4, 3, 2, 2)));
    builder_attr(&b, XNOR_ATTR_STRIDES, I(2, 2));
    builder_output(&b, y, "y");
    tensors inputs, reference = {0}, outputs = {0};
    builder_inputs(&b, 3, &inputs);
    builder_reference(&b.graph, &inputs, &reference);
    xnor_model *model = builder_compile(&b, NULL, &compiled);
    builder_run(model, NULL, &inputs, &outputs);
    cr_expect_lt(tensors_distance(&outputs.items[0], &reference.items[0]), 1e-5);
    cr_expect_eq(graph_count(&compiled, XNOR_OP_CONV_TRANSPOSE2D), 1);
    cr_expect_eq(graph_count(&compiled, XNOR_OP_TRANSPOSE), 2);
    xnor_graph_free(&compiled);
    tensors_free(&inputs);
    tensors_free(&reference);
    tensors_free(&outputs);
    xnor_model_unref(&model);
    builder_free(&b);
}

Test(conv_transpose, refuses_what_does_not_fit) {
    static const struct {
        convolution c;
        const char *reason;
    } bad[] = {
        {{1, 2, 2, 2, 2, 1, {2, 2}, {1, 1}, {1, 1}, {2, 0, 1, 0}, {0, 0}, false},
         "nothing is left"},
        {{1, 2, 2, 2, 2, 1, {2, 2}, {1, 1}, {1, 1}, {0, 0, 0, 0}, {0, -1}, false},
         "output_padding"},
        {{1, 2, 2, 2, 2, 1, {2, 2}, {1, INT64_MAX}, {1, 1}, {0, 0, 0, 0}, {0, 0}, false},
         "out of range"},
        {{1, 2, 2, 2, 6, 3, {2, 2}, {1, 1}, {1, 1}, {0, 0, 0, 0}, {0, 0}, false}, "3 groups"},
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
