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

TestSuite(fold, .init = begin, .fini = end);

static void fold(int64_t unknown) {
    tensors inputs;
    builder_inputs(&b, unknown, &inputs);
    builder_pass(&b, xnor_pass_fold, &inputs);
    tensors_free(&inputs);
}

Test(fold, binarized_weights_become_one_constant) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(-1, 2));
    xnor_value_id w = builder_floats(&b, SHAPE(2, 2), D(1, 2, 3, -2));
    xnor_value_id mean = NODE(&b, XNOR_OP_REDUCE_MEAN, w); // 1
    xnor_value_id sign = NODE(&b, XNOR_OP_SIGN, NODE(&b, XNOR_OP_SUB, w, mean));
    xnor_value_id scaled = NODE(&b, XNOR_OP_MUL, sign, builder_floats(&b, SCALAR, D(0.25)));
    xnor_value_id turned = NODE(&b, XNOR_OP_TRANSPOSE, scaled);
    builder_output(&b, NODE(&b, XNOR_OP_MATMUL, x, turned), "y");
    fold(3);
    cr_assert_eq(b.graph.node_count, 1);
    const xnor_node *product = graph_find(&b.graph, XNOR_OP_MATMUL);
    static const double expected[] = {0, 0.25, 0.25, -0.25};
    for (size_t i = 0; i < 4; i++)
        cr_assert_eq(graph_constant(&b.graph, product, 1, i), expected[i], "element %zu", i);
    cr_assert_eq(b.graph.values[product->inputs[1]].dtype, XNOR_F32, "doubles do not stay");
}

// In float32, 2^24 + 1 + 1 - 2^24 is 0 when summed in order; it is 2.
Test(fold, means_are_taken_in_double) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(6));
    xnor_value_id w = builder_floats(&b, SHAPE(6), D(16777216, 1, 1, -16777216, 0, 0.25));
    xnor_value_id mean = NODE(&b, XNOR_OP_REDUCE_MEAN, w); // 2.25 / 6 = 0.375
    xnor_value_id sign = NODE(&b, XNOR_OP_SIGN, NODE(&b, XNOR_OP_SUB, w, mean));
    builder_output(&b, NODE(&b, XNOR_OP_MUL, x, sign), "y");
    fold(0);
    const xnor_node *product = graph_find(&b.graph, XNOR_OP_MUL);
    static const double expected[] = {1, 1, 1, -1, -1, -1};
    for (size_t i = 0; i < 6; i++)
        cr_assert_eq(graph_constant(&b.graph, product, 1, i), expected[i], "element %zu", i);
}

Test(fold, known_axes_of_a_partly_known_shape_become_constants) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(-1, 3, 4));
    xnor_value_id shape = NODE(&b, XNOR_OP_SHAPE, x);
    xnor_value_id last = NODE(&b, XNOR_OP_GATHER, shape, builder_ints(&b, I(2)));
    xnor_value_id vector = NODE(&b, XNOR_OP_CONCAT, builder_ints(&b, I(-1)), last);
    builder_output(&b, NODE(&b, XNOR_OP_RESHAPE, x, vector), "y");
    fold(2);
    cr_assert_eq(b.graph.node_count, 1);
    const xnor_node *reshape = graph_find(&b.graph, XNOR_OP_RESHAPE);
    cr_assert_eq(graph_constant(&b.graph, reshape, 1, 1), 4);
}

Test(fold, unknown_axes_stay_and_known_neighbours_are_seen) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(-1, 3, 4));
    xnor_value_id shape = NODE(&b, XNOR_OP_SHAPE, x);
    xnor_value_id batch = NODE(&b, XNOR_OP_GATHER, shape, builder_ints(&b, I(0)));
    xnor_value_id twice = NODE(&b, XNOR_OP_MUL, batch, builder_ints(&b, I(2)));
    xnor_value_id vector = NODE(&b, XNOR_OP_CONCAT, twice, builder_ints(&b, I(6)));
    xnor_value_id y = NODE(&b, XNOR_OP_RESHAPE, x, vector);
    builder_output(&b, y, "y");
    fold(2);
    cr_assert_eq(graph_count(&b.graph, XNOR_OP_MUL), 1, "its value is not known yet");
    cr_assert_eq(b.graph.values[y].shape.rank, 2);
    cr_assert_eq(b.graph.values[y].shape.dims[0], -1);
    cr_assert_eq(b.graph.values[y].shape.dims[1], 6);
}

Test(fold, size_and_shape_of_a_known_shape_need_no_data) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(2, 3));
    builder_output(&b, NODE(&b, XNOR_OP_SIZE, x), "size");
    builder_output(&b, NODE(&b, XNOR_OP_SHAPE, x), "shape");
    fold(0);
    cr_assert_eq(b.graph.node_count, 0);
    cr_assert_eq(*(const int64_t *)b.graph.values[b.graph.outputs[0]].data, 6);
    cr_assert_eq(((const int64_t *)b.graph.values[b.graph.outputs[1]].data)[1], 3);
}

Test(fold, large_integers_stay_exact) {
    const int64_t large = (INT64_C(1) << 53) + 1;
    xnor_value_id pair = builder_ints(&b, (const int64_t[]){large, -large}, 2);
    xnor_value_id first = NODE(&b, XNOR_OP_GATHER, pair, builder_ints(&b, I(0)));
    builder_output(&b, first, "y");
    cr_assert_eq(xnor_pass_fold(&b.graph), XNOR_OK);
    cr_assert_eq(*(const int64_t *)b.graph.values[first].data, large);
}

Test(fold, an_error_in_a_constant_names_the_node) {
    xnor_value_id y = NODE(&b, XNOR_OP_GATHER, builder_ints(&b, I(1, 2)), builder_ints(&b, I(5)));
    builder_output(&b, y, "y");
    cr_assert_eq(xnor_pass_fold(&b.graph), XNOR_E_ARGUMENT);
    cr_assert_str_eq(xnor_last_error(), "node '/Gather_0' (Gather): index 5 of 2 elements");
}
