#include <criterion/criterion.h>

#include "graph_builder.h"
#include "passes/passes.h"

static builder b;

static void begin(void) {
    builder_init(&b, 1);
}

static void end(void) {
    builder_free(&b);
}

TestSuite(merge, .init = begin, .fini = end);

static void merge(xnor_value_id y) {
    builder_output(&b, y, "y");
    tensors inputs;
    builder_inputs(&b, 3, &inputs);
    builder_pass(&b, xnor_pass_merge, &inputs);
    tensors_free(&inputs);
}

static xnor_value_id affine(xnor_value_id x, double s0, double s1, double t0, double t1) {
    xnor_value_id scale = builder_tensor(&b, XNOR_F64, SHAPE(2), D(s0, s1));
    return NODE(&b, XNOR_OP_AFFINE, x, scale, builder_tensor(&b, XNOR_F64, SHAPE(2), D(t0, t1)));
}

static xnor_value_id input(void) {
    return builder_input(&b, "x", XNOR_F32, SHAPE(-1, 2));
}

static xnor_value_id linear(xnor_value_id x) {
    xnor_value_id w = builder_floats(&b, SHAPE(2, 2), D(1, 2, 3, 4));
    return NODE(&b, XNOR_OP_LINEAR, x, w, builder_floats(&b, SHAPE(2), D(10, 20)));
}

Test(merge, affine_after_affine_is_one) {
    merge(affine(affine(input(), 2, 3, 1, 1), -1, 0.5, 5, 6));
    const xnor_node *node = graph_find(&b.graph, XNOR_OP_AFFINE);
    static const double scale[] = {-2, 1.5}, shift[] = {4, 6.5};
    for (size_t c = 0; c < 2; c++) {
        cr_assert_eq(graph_constant(&b.graph, node, 1, c), scale[c]);
        cr_assert_eq(graph_constant(&b.graph, node, 2, c), shift[c]);
    }
}

Test(merge, affine_after_a_float_layer_goes_into_its_weights) {
    merge(affine(linear(input()), 2, -1, 0.5, 0));
    const xnor_node *node = graph_find(&b.graph, XNOR_OP_LINEAR);
    cr_assert_eq(b.graph.node_count, 1);
    static const double weights[] = {2, 4, -3, -4}, bias[] = {20.5, -20};
    for (size_t i = 0; i < 4; i++) cr_assert_eq(graph_constant(&b.graph, node, 1, i), weights[i]);
    for (size_t c = 0; c < 2; c++) cr_assert_eq(graph_constant(&b.graph, node, 2, c), bias[c]);
}

Test(merge, a_value_with_other_users_is_left_alone) {
    xnor_value_id inner = affine(linear(input()), 2, -1, 0.5, 0);
    xnor_value_id x = NODE(&b, XNOR_OP_ADD, inner, NODE(&b, XNOR_OP_RELU, inner));
    xnor_value_id shared = linear(x);
    builder_output(&b, shared, "shared");
    merge(affine(shared, 2, 2, 0, 0));
    cr_assert_eq(graph_count(&b.graph, XNOR_OP_AFFINE), 1);
}

Test(merge, doubles_are_rounded_to_float_once) {
    merge(affine(affine(input(), 0.1, 0.3, 0, 0), 10, 3, 0, 0));
    const xnor_node *node = graph_find(&b.graph, XNOR_OP_AFFINE);
    cr_assert_eq(b.graph.values[node->inputs[1]].dtype, XNOR_F32);
    cr_assert_eq(graph_constant(&b.graph, node, 1, 1), (double)(float)(3 * 0.3));
    cr_assert_neq((float)(3 * 0.3), (float)(3 * (double)0.3f), "rounding twice is seen here");
}
