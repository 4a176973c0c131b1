// Grouped binary convolutions over the whole length of their input.
#include <criterion/criterion.h>

#include "exec/pool.h"
#include "graph_builder.h"
#include "kernels/kernels.h"

enum { ROWS = 9 };

typedef struct conv_case {
    int64_t channels, group, taps, each;
    bool bias, factor; // factor: mean |x| over the taps, as in XNOR-Net
    bool sum_first;    // the input is a sum of integers without offset: zeros
} conv_case;

static xnor_value_id random_floats(builder *b, xnor_shape shape, int64_t count, bool signs) {
    static double values[4096];
    cr_assert_leq(count, 4096);
    for (int64_t i = 0; i < count; i++)
        values[i] =
            signs ? (builder_random(b, 2) ? 0.5 : -0.5) : (double)builder_random(b, 9) / 4 - 1;
    return builder_floats(b, shape, values, (size_t)count);
}

static void write_conv(builder *b, const conv_case *c) {
    xnor_value_id x = builder_input(b, "x", XNOR_F32, SHAPE(-1, c->channels, c->taps));
    xnor_value_id y = NODE(b, XNOR_OP_SIGN, x);
    if (c->factor) {
        xnor_value_id mean = NODE(b, XNOR_OP_REDUCE_MEAN, NODE(b, XNOR_OP_ABS, x));
        builder_attr(b, XNOR_ATTR_AXES, I(2));
        y = NODE(b, XNOR_OP_MUL, y, mean);
    }
    const int64_t out = c->group * c->each, inner = c->channels / c->group;
    xnor_value_id w = random_floats(b, SHAPE(out, inner, c->taps), out * inner * c->taps, true);
    xnor_value_id bias = random_floats(b, SHAPE(out), out, false);
    y = c->bias ? NODE(b, XNOR_OP_CONV, y, w, bias) : NODE(b, XNOR_OP_CONV, y, w);
    builder_attr(b, XNOR_ATTR_GROUP, &c->group, 1);
    y = NODE(b, XNOR_OP_RESHAPE, y, builder_ints(b, I(-1, out)));
    builder_output(b, y, "sums");
    y = NODE(b, XNOR_OP_MATMUL, NODE(b, XNOR_OP_SIGN, y),
             random_floats(b, SHAPE(out, 5), out * 5, true));
    builder_output(b, y, "y");
}

static void expect_bits(const conv_case *c) {
    builder b;
    tensors inputs = {0}, expected = {0};
    builder_init(&b, (uint64_t)(c->channels * 100 + c->taps));
    write_conv(&b, c);
    const xnor_shape shape = SHAPE(ROWS, c->channels, c->taps);
    float *x = tensors_add(&inputs, XNOR_F32, shape)->data;
    for (int64_t i = 0; i < ROWS * c->channels * c->taps; i++)
        x[i] = ((float)builder_random(&b, 9) - 4) / 4; // 0 often
    builder_reference(&b.graph, &inputs, &expected);
    for (const char *const *isa = xnor_kernels_available(); *isa; isa++)
        for (uint32_t threads = 1; threads <= 2; threads++) {
            xnor_graph compiled;
            tensors found = {0};
            xnor_pool *pool;
            cr_assert_eq(xnor_pool_create(threads, &pool), XNOR_OK);
            xnor_model *model = builder_compile(&b, *isa, &compiled);
            cr_expect_eq(graph_count(&compiled, XNOR_OP_GROUPED), 1);
            cr_expect_eq(graph_count(&compiled, XNOR_OP_CONV), 0);
            builder_run(model, pool, &inputs, &found);
            for (uint32_t i = 0; i < 2; i++)
                cr_expect_lt(tensors_distance(&expected.items[i], &found.items[i]), 1e-6, "%s",
                             *isa);
            tensors_free(&found);
            xnor_pool_free(&pool);
            xnor_graph_free(&compiled);
            xnor_model_unref(&model);
        }
    tensors_free(&inputs);
    tensors_free(&expected);
    builder_free(&b);
}

Test(grouped, depthwise) {
    expect_bits(&(conv_case){.channels = 32, .group = 32, .taps = 8, .each = 2});
}
Test(grouped, as_many_outputs_as_taps) {
    expect_bits(&(conv_case){.channels = 12, .group = 12, .taps = 12, .each = 12, .bias = true});
}
Test(grouped, groups_of_several_channels) {
    expect_bits(&(conv_case){.channels = 12, .group = 3, .taps = 30, .each = 4, .bias = true});
}
Test(grouped, one_group) {
    expect_bits(&(conv_case){.channels = 6, .group = 1, .taps = 5, .each = 7});
}
Test(grouped, a_factor_for_each_group) {
    expect_bits(&(conv_case){.channels = 16, .group = 16, .taps = 8, .each = 3, .factor = true});
    expect_bits(&(conv_case){
        .channels = 16, .group = 16, .taps = 8, .each = 1, .bias = true, .factor = true});
}

// A kernel that is shorter than its input stays a convolution.
Test(grouped, other_convolutions_are_left_alone) {
    builder b;
    xnor_graph compiled;
    builder_init(&b, 1);
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(1, 4, 6));
    xnor_value_id w = random_floats(&b, SHAPE(4, 1, 5), 20, true);
    xnor_value_id y = NODE(&b, XNOR_OP_CONV, NODE(&b, XNOR_OP_SIGN, x), w);
    builder_attr(&b, XNOR_ATTR_GROUP, I(4));
    builder_output(&b, y, "y");
    xnor_model *model = builder_compile(&b, NULL, &compiled);
    cr_expect_eq(graph_count(&compiled, XNOR_OP_CONV), 1);
    xnor_graph_free(&compiled);
    xnor_model_unref(&model);
    builder_free(&b);
}

Test(grouped, weights_of_other_sizes_are_refused) {
    builder b;
    builder_init(&b, 1);
    xnor_value_id x = builder_tensor(&b, XNOR_BITS, SHAPE(1, 2, 3), D(1, 1, 1, -1, 1, -1));
    xnor_value_id w = builder_tensor(&b, XNOR_BITS, SHAPE(2, 1, 4), D(1, 1, 1, 1, 1, 1, 1, 1));
    builder_expect_error(&b, NODE(&b, XNOR_OP_GROUPED, x, w), XNOR_E_SHAPE,
                         "expected signs [.., G, K] and bits [G, O, K], found bits[1, 2, 3]");
    builder_free(&b);
}
