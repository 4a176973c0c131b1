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
