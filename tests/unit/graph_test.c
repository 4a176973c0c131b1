#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/print.h"
#include "graph_builder.h"

static builder b;

static void begin(void) {
    builder_init(&b, 1);
}

static void end(void) {
    builder_free(&b);
}

TestSuite(graph, .init = begin, .fini = end);

static void expect_malformed(const char *text) {
    cr_assert_eq(xnor_graph_verify(&b.graph), XNOR_E_FORMAT, "%s", xnor_last_error());
    cr_assert_str_eq(xnor_last_error(), text);
}

static xnor_value_id input(void) {
    return builder_input(&b, "x", XNOR_F32, SHAPE(-1, 2));
}

Test(graph, shapes_are_inferred_with_unknown_axes) {
    xnor_value_id y = NODE(&b, XNOR_OP_CONCAT, input(), builder_floats(&b, SHAPE(1, 2), D(1, 2)));
    builder_attr(&b, XNOR_ATTR_AXIS, I(0));
    xnor_value_id z = NODE(&b, XNOR_OP_ADD, y, builder_floats(&b, SHAPE(3, 1, 1), D(1, 2, 3)));
    cr_assert_eq(xnor_graph_verify(&b.graph), XNOR_OK, "%s", xnor_last_error());
    const xnor_shape *shape = &b.graph.values[z].shape;
    cr_assert(shape->rank == 3 && shape->dims[0] == 3 && shape->dims[1] == -1 &&
              shape->dims[2] == 2);
}

Test(graph, a_value_used_before_it_is_made_is_refused) {
    xnor_value_id y = NODE(&b, XNOR_OP_RELU, input());
    NODE(&b, XNOR_OP_NEG, y);
    xnor_node first = b.graph.nodes[0];
    b.graph.nodes[0] = b.graph.nodes[1];
    b.graph.nodes[1] = first;
    expect_malformed("node '/Neg_1': input 0 is used before it is made");
}

Test(graph, a_value_made_twice_is_refused) {
    xnor_value_id x = input(), y = NODE(&b, XNOR_OP_RELU, x);
    cr_assert_eq(xnor_graph_add_node(&b.graph, XNOR_OP_NEG, "again", &x, 1, &y, 1, NULL), XNOR_OK);
    expect_malformed("node 'again': output 0 is made twice");
}

Test(graph, making_an_input_or_a_constant_is_refused) {
    xnor_value_id x = input(), c = builder_floats(&b, SHAPE(1), D(1));
    cr_assert_eq(xnor_graph_add_node(&b.graph, XNOR_OP_NEG, "over", &x, 1, &c, 1, NULL), XNOR_OK);
    expect_malformed("node 'over': output 0 is made twice");
}

Test(graph, an_output_that_nothing_makes_is_refused) {
    xnor_value_id orphan;
    cr_assert_eq(xnor_graph_add_value(&b.graph, "orphan", XNOR_F32, NULL, &orphan), XNOR_OK);
    builder_output(&b, orphan, "orphan");
    expect_malformed("graph output 0 is never made");
}

Test(graph, ids_outside_are_refused) {
    xnor_value_id far = 1000, x = input();
    (void)x;
    NODE(&b, XNOR_OP_NEG, far);
    expect_malformed("node '/Neg_0': input 0 is used before it is made");
}

Test(graph, omitted_inputs_are_allowed_where_they_are_optional) {
    xnor_value_id x = input(), high = builder_floats(&b, SCALAR, D(1));
    NODE(&b, XNOR_OP_CLIP, x, XNOR_NO_VALUE, high);
    cr_assert_eq(xnor_graph_verify(&b.graph), XNOR_OK, "%s", xnor_last_error());
    NODE(&b, XNOR_OP_ADD, XNOR_NO_VALUE, x);
    expect_malformed("node '/Add_1' (Add): input 0 is missing");
}

Test(graph, too_many_inputs_or_outputs_are_refused) {
    xnor_value_id x = input();
    NODE_OUTPUTS(&b, XNOR_OP_RELU, 2, x);
    expect_malformed("node '/Relu_0' (Relu): expected 1 to 1 outputs, found 2");
}

Test(graph, uses_count_nodes_and_outputs) {
    xnor_value_id x = input(), y = NODE(&b, XNOR_OP_ADD, x, x), z = NODE(&b, XNOR_OP_MUL, x, y);
    builder_output(&b, y, "y");
    uint32_t only = 9;
    cr_assert_eq(xnor_graph_uses(&b.graph, x, NULL), 3);
    cr_assert_eq(xnor_graph_uses(&b.graph, y, &only), 2);
    cr_assert_eq(only, 1);
    cr_assert_eq(xnor_graph_uses(&b.graph, z, NULL), 0);
    cr_assert(xnor_graph_is_output(&b.graph, y) && !xnor_graph_is_output(&b.graph, z));
    cr_assert_eq(xnor_graph_producer(&b.graph, z), 1);
    cr_assert_eq(xnor_graph_producer(&b.graph, x), UINT32_MAX);
}

Test(graph, replacing_a_value_moves_nodes_and_outputs) {
    xnor_value_id x = input(), y = NODE(&b, XNOR_OP_RELU, x), z = NODE(&b, XNOR_OP_NEG, y);
    (void)z;
    builder_output(&b, y, "y");
    xnor_graph_replace(&b.graph, y, x);
    cr_assert_eq(b.graph.nodes[1].inputs[0], x);
    cr_assert_eq(b.graph.outputs[0], x);
}

Test(graph, compacting_drops_what_nothing_uses) {
    xnor_value_id x = input(), used = NODE(&b, XNOR_OP_RELU, x);
    NODE(&b, XNOR_OP_EXP, NODE(&b, XNOR_OP_NEG, used));
    xnor_value_id removed = NODE(&b, XNOR_OP_ABS, x);
    builder_output(&b, NODE(&b, XNOR_OP_TANH, used), "y");
    (void)removed;
    xnor_graph_remove_node(&b.graph.nodes[3]);
    xnor_graph_compact(&b.graph);
    cr_assert_eq(b.graph.node_count, 2);
    cr_assert_eq(b.graph.nodes[0].op, XNOR_OP_RELU);
    cr_assert_eq(b.graph.nodes[1].op, XNOR_OP_TANH);
}

Test(graph, a_node_can_be_inserted_before_others) {
    xnor_value_id x = input(), y = NODE(&b, XNOR_OP_RELU, x), z;
    (void)y;
    cr_assert_eq(xnor_graph_add_value(&b.graph, "z", XNOR_F32, NULL, &z), XNOR_OK);
    xnor_node *node;
    cr_assert_eq(xnor_graph_insert_node(&b.graph, 0, XNOR_OP_NEG, "first", &x, 1, &z, 1, &node),
                 XNOR_OK);
    cr_assert_eq(node, &b.graph.nodes[0]);
    cr_assert_str_eq(b.graph.nodes[0].name, "first");
    cr_assert_eq(b.graph.nodes[1].op, XNOR_OP_RELU);
}

Test(graph, attributes_are_replaced_and_have_types) {
    NODE(&b, XNOR_OP_CLIP, input());
    xnor_node *node = &b.graph.nodes[0];
    builder_attr(&b, XNOR_ATTR_AXES, I(1, 2));
    builder_attr(&b, XNOR_ATTR_AXES, I(-3));
    builder_attr_float(&b, XNOR_ATTR_MIN, 0.25);
    cr_assert_eq(node->attr_count, 2);
    cr_assert_eq(xnor_node_attr(node, XNOR_ATTR_AXES)->count, 1);
    cr_assert_eq(xnor_node_int(node, XNOR_ATTR_AXES, 7), -3);
    cr_assert_eq(xnor_node_float(node, XNOR_ATTR_MIN, 7), 0.25);
    cr_assert_eq(xnor_node_int(node, XNOR_ATTR_MIN, 7), 7, "a float is no int");
    cr_assert_eq(xnor_node_float(node, XNOR_ATTR_MAX, 7), 7);
    cr_assert_null(xnor_node_attr(node, XNOR_ATTR_MAX));
    cr_assert_str_eq(xnor_attr_name(XNOR_ATTR_TRANS_B), "transB");
}

Test(graph, attributes_with_many_values_are_refused) {
    NODE(&b, XNOR_OP_RELU, input());
    const int64_t many[XNOR_ATTR_VALUES + 1] = {0};
    cr_assert_eq(
        xnor_node_set_ints(&b.graph, &b.graph.nodes[0], XNOR_ATTR_PADS, many, XNOR_ATTR_VALUES + 1),
        XNOR_E_LIMIT);
    cr_assert_str_eq(xnor_last_error(),
                     "/Relu_0: attribute 'pads' has 17 values, at most 16 are supported");
}

Test(graph, a_clone_can_change_without_the_original) {
    xnor_value_id x = input(), y = NODE(&b, XNOR_OP_LEAKY_RELU, x);
    builder_attr_float(&b, XNOR_ATTR_ALPHA, 0.5);
    builder_output(&b, y, "y");
    xnor_graph clone;
    cr_assert_eq(xnor_graph_clone(&b.graph, &clone), XNOR_OK);
    clone.nodes[0].inputs[0] = y;
    cr_assert_eq(xnor_node_set_float(&clone, &clone.nodes[0], XNOR_ATTR_ALPHA, 9), XNOR_OK);
    clone.values[x].shape.rank = 0;
    cr_assert_eq(b.graph.nodes[0].inputs[0], x);
    cr_assert_eq(xnor_node_float(&b.graph.nodes[0], XNOR_ATTR_ALPHA, 0), 0.5);
    cr_assert_eq(b.graph.values[x].shape.rank, 2);
    xnor_graph_free(&clone);
}

Test(graph, prints_one_node_a_line) {
    xnor_value_id w = builder_floats(&b, SHAPE(2, 2), D(1, 2, 3, 4));
    xnor_value_id y = NODE(&b, XNOR_OP_TRANSPOSE, NODE(&b, XNOR_OP_MATMUL, input(), w));
    builder_attr(&b, XNOR_ATTR_PERM, I(1, 0));
    builder_output(&b, y, "y");
    cr_assert_eq(xnor_graph_verify(&b.graph), XNOR_OK);
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    xnor_graph_print(&b.graph, file);
    fclose(file);
    cr_assert_str_eq(text,
                     "%1 = input 'x' f32[?, 2]\n"
                     "%2 = MatMul(%1, f32[2, 2])   # f32[?, 2]  /MatMul_0\n"
                     "%3 = Transpose(%2) perm=1,0   # f32[2, ?]  /Transpose_1\n"
                     "output 'y' = %3\n",
                     "%s", text);
    free(text);
}
