// Pools of pictures with channels last: the step against the reference.
#include <criterion/criterion.h>

#include "core/tensor.h"
#include "graph_builder.h"

typedef struct pool_case {
    int64_t kernel[2], stride[2], dilation[2], pads[4], ceil, counts_padding;
} pool_case;

static const pool_case cases[] = {
    {{3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1}, 0, 0},  {{2, 2}, {2, 2}, {1, 1}, {0, 0, 0, 0}, 1, 0},
    {{3, 2}, {1, 3}, {2, 1}, {2, 0, 2, 1}, 0, 1},  {{2, 3}, {3, 2}, {1, 2}, {0, 2, 1, 1}, 1, 1},
    {{9, 11}, {1, 1}, {1, 1}, {0, 0, 0, 0}, 0, 0}, {{2, 2}, {1, 1}, {1, 1}, {6, 6, 6, 6}, 0, 0},
};

static void build(builder *b, xnor_op op, const pool_case *p, int64_t axis, xnor_shape shape) {
    xnor_value_id y = NODE(b, op, builder_input(b, "x", XNOR_F32, shape));
    builder_attr(b, XNOR_ATTR_KERNEL_SHAPE, p->kernel, 2);
    builder_attr(b, XNOR_ATTR_STRIDES, p->stride, 2);
    builder_attr(b, XNOR_ATTR_DILATIONS, p->dilation, 2);
    builder_attr(b, XNOR_ATTR_PADS, p->pads, 4);
    builder_attr(b, XNOR_ATTR_CEIL_MODE, &p->ceil, 1);
    builder_attr(b, XNOR_ATTR_COUNT_INCLUDE_PAD, &p->counts_padding, 1);
    builder_attr(b, XNOR_ATTR_AXIS, &axis, 1);
    builder_output(b, y, "y");
}

Test(pooling, agrees_with_the_reference) {
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        builder b;
        builder_init(&b, 1);
        build(&b, i % 2 ? XNOR_OP_MAX_POOL : XNOR_OP_AVERAGE_POOL, &cases[i / 2], 3,
              SHAPE(2, 9, 11, 5));
        tensors inputs, reference = {0}, outputs = {0};
        builder_inputs(&b, 3, &inputs);
        builder_reference(&b.graph, &inputs, &reference);
        xnor_model *model = builder_model(&b.graph, NULL);
        builder_run(model, NULL, &inputs, &outputs);
        if (i % 2) // a window in the padding only is -infinity
            cr_expect_arr_eq(outputs.items[0].data, reference.items[0].data,
                             xnor_tensor_count(&outputs.items[0]) * sizeof(float), "case %zu", i);
        else
            cr_expect_lt(tensors_distance(&outputs.items[0], &reference.items[0]), 1e-6, "case %zu",
                         i);
        tensors_free(&inputs);
        tensors_free(&reference);
        tensors_free(&outputs);
        xnor_model_unref(&model);
        builder_free(&b);
    }
}

// ONNX has channels on axis 1; a convolution in front brings them to the end.
Test(pooling, follows_the_layout) {
    builder b;
    xnor_graph compiled;
    builder_init(&b, 1);
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(1, 1, 9, 11));
    double weights[2 * 9];
    for (size_t i = 0; i < 18; i++) weights[i] = (double)i;
    xnor_value_id w = builder_floats(&b, SHAPE(2, 1, 3, 3), weights, 18);
    xnor_value_id y = NODE(&b, XNOR_OP_MAX_POOL, NODE(&b, XNOR_OP_CONV, x, w));
    builder_attr(&b, XNOR_ATTR_KERNEL_SHAPE, I(2, 2));
    builder_output(&b, y, "y");
    xnor_model *model = builder_compile(&b, NULL, &compiled);
    const xnor_node *pool = graph_find(&compiled, XNOR_OP_MAX_POOL);
    cr_expect_eq(xnor_node_int(pool, XNOR_ATTR_AXIS, 1), 3);
    cr_expect_eq(graph_count(&compiled, XNOR_OP_TRANSPOSE), 1);
    xnor_graph_free(&compiled);
    xnor_model_unref(&model);
    builder_free(&b);
}

Test(pooling, refuses_windows_that_do_not_fit) {
    static const pool_case bad[] = {
        {{10, 1}, {1, 1}, {1, 1}, {0, 0, 0, 0}, 0, 0},
        {{2, 2}, {0, 1}, {1, 1}, {0, 0, 0, 0}, 0, 0},
        {{2, 2}, {1, 1}, {1, INT64_MAX / 2}, {0, 0, 0, 0}, 0, 0},
        {{2, 2}, {1, 1}, {1, 1}, {0, -1, 0, 0}, 0, 0},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        builder b;
        builder_init(&b, 1);
        build(&b, XNOR_OP_MAX_POOL, &bad[i], 3, SHAPE(2, 9, 11, 5));
        cr_expect_eq(xnor_graph_verify(&b.graph), XNOR_E_SHAPE, "case %zu", i);
        builder_free(&b);
    }
}

// ---- signs --------------------------------------------------------------------------------------

// By hand: the largest of two neighbours in the first channel, the smallest in the second.
Test(pooling, the_smallest_sign_of_some_channels) {
    builder b;
    builder_init(&b, 1);
    xnor_value_id x =
        NODE(&b, XNOR_OP_BINARIZE, builder_floats(&b, SHAPE(1, 1, 3, 2), D(1, 1, -1, 0, -1, -1)));
    builder_attr_float(&b, XNOR_ATTR_ALPHA, 0);
    xnor_value_id direction = builder_tensor(&b, XNOR_BITS, SHAPE(2), D(1, -1));
    xnor_value_id y = NODE(&b, XNOR_OP_POOL_SIGNS, x, direction);
    builder_attr(&b, XNOR_ATTR_KERNEL_SHAPE, I(1, 2));
    builder_attr(&b, XNOR_ATTR_AXIS, I(3));
    builder_expect(&b, NODE(&b, XNOR_OP_NEG, y), SHAPE(1, 1, 2, 2), D(-1, 0, 1, 1));
    builder_free(&b);
}

Test(pooling, signs_agree_with_the_reference) {
    static const int64_t channel_counts[] = {5, 64, 70, 130};
    for (size_t i = 0; i < 96; i++) {
        const pool_case *p = &cases[i % 6];
        const int64_t channels = channel_counts[i / 6 % 4];
        builder b;
        builder_init(&b, i);
        double directions[130];
        for (int64_t c = 0; c < channels; c++) directions[c] = builder_random(&b, 2) ? 1 : -1;
        xnor_value_id x =
            NODE(&b, XNOR_OP_BINARIZE, builder_input(&b, "x", XNOR_F32, SHAPE(2, 9, 11, channels)));
        builder_attr_float(&b, XNOR_ATTR_ALPHA, i / 24 % 2 ? 1 : 0);
        xnor_value_id y = i / 48 ? NODE(&b, XNOR_OP_POOL_SIGNS, x)
                                 : NODE(&b, XNOR_OP_POOL_SIGNS, x,
                                        builder_tensor(&b, XNOR_BITS, SHAPE(channels), directions,
                                                       (size_t)channels));
        builder_attr(&b, XNOR_ATTR_KERNEL_SHAPE, p->kernel, 2);
        builder_attr(&b, XNOR_ATTR_STRIDES, p->stride, 2);
        builder_attr(&b, XNOR_ATTR_DILATIONS, p->dilation, 2);
        builder_attr(&b, XNOR_ATTR_PADS, p->pads, 4);
        builder_attr(&b, XNOR_ATTR_CEIL_MODE, &p->ceil, 1);
        builder_attr(&b, XNOR_ATTR_AXIS, I(3));
        builder_output(&b, NODE(&b, XNOR_OP_NEG, y), "y");
        tensors inputs, reference = {0}, outputs = {0};
        builder_inputs(&b, 3, &inputs);
        builder_reference(&b.graph, &inputs, &reference);
        xnor_model *model = builder_model(&b.graph, NULL);
        builder_run(model, NULL, &inputs, &outputs);
        cr_expect_eq(tensors_distance(&outputs.items[0], &reference.items[0]), 0, "case %zu", i);
        tensors_free(&inputs);
        tensors_free(&reference);
        tensors_free(&outputs);
        xnor_model_unref(&model);
        builder_free(&b);
    }
}

typedef enum form { POOL_NORMALISE, NORMALISE_POOL, SIGN_POOL, WHERE_POOL, OUTSIDE, FORMS } form;

static xnor_value_id per_channel(builder *b, double least) {
    double values[20];
    for (size_t c = 0; c < 20; c++) values[c] = least + (double)builder_random(b, 40) / 16;
    return builder_floats(b, SHAPE(20), values, 20);
}

// Half of the normalisations fall.
static xnor_value_id normalise(builder *b, xnor_value_id x) {
    return NODE(b, XNOR_OP_BATCH_NORMALIZATION, x, per_channel(b, -1.25), per_channel(b, -1),
                per_channel(b, -1), per_channel(b, 0.25));
}

static xnor_value_id pooled(builder *b, xnor_value_id x, bool outside) {
    xnor_value_id y = NODE(b, XNOR_OP_MAX_POOL, x);
    builder_attr(b, XNOR_ATTR_KERNEL_SHAPE, I(3, 2));
    builder_attr(b, XNOR_ATTR_STRIDES, I(2, 1));
    builder_attr(b, XNOR_ATTR_PADS,
                 outside ? (const int64_t[4]){3, 1, 1, 0} : (const int64_t[4]){1, 1, 1, 0}, 4);
    return y;
}

static xnor_value_id form_of(builder *b, form f, xnor_value_id x) {
    xnor_value_id zero = builder_floats(b, SCALAR, D(0));
    switch (f) {
    case POOL_NORMALISE:
        return NODE(b, XNOR_OP_SIGN, normalise(b, pooled(b, x, false)));
    case NORMALISE_POOL:
        return NODE(b, XNOR_OP_SIGN, NODE(b, XNOR_OP_TANH, pooled(b, normalise(b, x), false)));
    case SIGN_POOL:
        return pooled(b, NODE(b, XNOR_OP_SIGN, normalise(b, x)), false);
    case WHERE_POOL: // -1 where it is not below 0
        return pooled(b,
                      NODE(b, XNOR_OP_WHERE,
                           NODE(b, XNOR_OP_GREATER_OR_EQUAL, normalise(b, x), zero),
                           builder_floats(b, SCALAR, D(-1)), builder_floats(b, SCALAR, D(1))),
                      false);
    default: // windows that lie in the padding only are -infinity
        return NODE(b, XNOR_OP_SIGN, normalise(b, NODE(b, XNOR_OP_RELU, pooled(b, x, true))));
    }
}

Test(pooling, signs_of_maxima_are_maxima_of_signs) {
    for (size_t i = 0; i < 2 * FORMS; i++) {
        builder b;
        xnor_graph compiled;
        builder_init(&b, 7 + i);
        xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(2, 20, 9, 7));
        // Behind sums, and behind reals.
        if (i % 2) x = builder_binary_conv(&b, NODE(&b, XNOR_OP_SIGN, x), 20, 20);
        builder_output(&b, builder_binary_conv(&b, form_of(&b, (form)(i / 2), x), 20, 3), "y");
        tensors inputs, reference = {0}, outputs = {0};
        builder_inputs(&b, 3, &inputs);
        builder_reference(&b.graph, &inputs, &reference);
        xnor_model *model = builder_compile(&b, NULL, &compiled);
        const bool covered = i / 2 != OUTSIDE;
        cr_expect_eq(graph_count(&compiled, XNOR_OP_POOL_SIGNS), covered, "case %zu", i);
        cr_expect_eq(graph_count(&compiled, XNOR_OP_MAX_POOL), !covered, "case %zu", i);
        cr_expect_eq(graph_count(&compiled, XNOR_OP_CONV2D), 0, "case %zu", i);
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

// The maxima themselves are wanted, too: nothing would be saved.
Test(pooling, maxima_that_others_want_stay_reals) {
    builder b;
    xnor_graph compiled;
    builder_init(&b, 1);
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(1, 20, 9, 7));
    xnor_value_id max = pooled(&b, x, false);
    builder_output(&b, max, "max");
    builder_output(&b, builder_binary_conv(&b, NODE(&b, XNOR_OP_SIGN, max), 20, 3), "y");
    xnor_model *model = builder_compile(&b, NULL, &compiled);
    cr_expect_eq(graph_count(&compiled, XNOR_OP_POOL_SIGNS), 0);
    xnor_graph_free(&compiled);
    xnor_model_unref(&model);
    builder_free(&b);
}
