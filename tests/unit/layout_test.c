// Transposes move towards the outputs until they cancel; what is left moves towards the inputs.
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

TestSuite(layout, .init = begin, .fini = end);

static void canonicalise(xnor_value_id y) {
    builder_output(&b, y, "y");
    tensors inputs;
    builder_inputs(&b, 3, &inputs);
    builder_pass(&b, xnor_pass_canonicalise, &inputs);
    tensors_free(&inputs);
}

static xnor_value_id swap(xnor_value_id x) {
    xnor_value_id y = NODE(&b, XNOR_OP_TRANSPOSE, x);
    builder_attr(&b, XNOR_ATTR_PERM, I(0, 2, 1));
    return y;
}

static uint32_t transposes(void) {
    return graph_count(&b.graph, XNOR_OP_TRANSPOSE);
}

Test(layout, a_transpose_of_its_inverse_cancels) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(2, 3, 4));
    xnor_value_id there = NODE(&b, XNOR_OP_TRANSPOSE, x);
    builder_attr(&b, XNOR_ATTR_PERM, I(1, 2, 0));
    xnor_value_id back = NODE(&b, XNOR_OP_TRANSPOSE, there);
    builder_attr(&b, XNOR_ATTR_PERM, I(2, 0, 1));
    canonicalise(NODE(&b, XNOR_OP_RELU, back));
    cr_assert_eq(transposes(), 0);
}

Test(layout, two_transposes_become_one) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(2, 3, 4));
    xnor_value_id y = NODE(&b, XNOR_OP_TRANSPOSE, swap(x));
    canonicalise(y);
    cr_assert_eq(transposes(), 1);
}

Test(layout, transposes_pass_functions_and_their_constants) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(2, 3, 4));
    xnor_value_id slope = builder_floats(&b, SHAPE(4, 1), D(0.5, -1, 2, 0.25));
    xnor_value_id limits =
        builder_floats(&b, SHAPE(4, 3), D(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12));
    xnor_value_id y = NODE(&b, XNOR_OP_PRELU, swap(x), slope);
    y = NODE(&b, XNOR_OP_MIN, y, limits);
    canonicalise(swap(y));
    cr_assert_eq(transposes(), 0);
}

Test(layout, transposes_pass_operators_with_equal_transposes_on_all_inputs) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(2, 3, 4));
    xnor_value_id z = builder_input(&b, "z", XNOR_F32, SHAPE(2, 3, 4));
    canonicalise(swap(NODE(&b, XNOR_OP_ADD, swap(x), swap(z))));
    cr_assert_eq(transposes(), 0);
}

Test(layout, different_transposes_do_not_pass) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(2, 3, 3));
    xnor_value_id z = builder_input(&b, "z", XNOR_F32, SHAPE(2, 3, 3));
    canonicalise(NODE(&b, XNOR_OP_ADD, swap(x), z));
    cr_assert_eq(transposes(), 1);
}

Test(layout, reductions_are_renamed) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(2, 3, 4));
    xnor_value_id max = NODE(&b, XNOR_OP_REDUCE_MAX, swap(x));
    builder_attr(&b, XNOR_ATTR_AXES, I(-1));
    builder_attr(&b, XNOR_ATTR_KEEPDIMS, I(0));
    canonicalise(max);
    cr_assert_eq(transposes(), 0);
    cr_assert_eq(xnor_node_int(graph_find(&b.graph, XNOR_OP_REDUCE_MAX), XNOR_ATTR_AXES, 9), 1);
}

Test(layout, a_reduction_that_drops_axes_permutes_the_rest) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(2, 3, 4));
    xnor_value_id turned = NODE(&b, XNOR_OP_TRANSPOSE, x); // [4, 3, 2]
    xnor_value_id sum = NODE(&b, XNOR_OP_REDUCE_SUM, turned);
    builder_attr(&b, XNOR_ATTR_AXES, I(1));
    builder_attr(&b, XNOR_ATTR_KEEPDIMS, I(0));
    canonicalise(sum);
    cr_assert_eq(transposes(), 1, "[2, 4] -> [4, 2]");
}

Test(layout, concat_and_softmax_are_renamed) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(2, 3, 4));
    xnor_value_id z = builder_input(&b, "z", XNOR_F32, SHAPE(2, 1, 4));
    xnor_value_id both = NODE(&b, XNOR_OP_CONCAT, swap(x), swap(z));
    builder_attr(&b, XNOR_ATTR_AXIS, I(2));
    xnor_value_id y = NODE(&b, XNOR_OP_SOFTMAX, both);
    canonicalise(swap(y));
    cr_assert_eq(transposes(), 0);
    cr_assert_eq(xnor_node_int(graph_find(&b.graph, XNOR_OP_CONCAT), XNOR_ATTR_AXIS, 9), 1);
    cr_assert_eq(xnor_node_int(graph_find(&b.graph, XNOR_OP_SOFTMAX), XNOR_ATTR_AXIS, 9), 1);
}

Test(layout, what_cannot_sink_rises_to_its_producer) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(2, 3, 4));
    xnor_value_id y = swap(NODE(&b, XNOR_OP_RELU, x));
    canonicalise(NODE(&b, XNOR_OP_RESHAPE, y, builder_ints(&b, I(2, 12))));
    cr_assert_eq(b.graph.nodes[0].op, XNOR_OP_TRANSPOSE);
    cr_assert_eq(b.graph.nodes[1].op, XNOR_OP_RELU);
}

Test(layout, a_shared_producer_is_not_computed_twice) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(2, 3, 4));
    xnor_value_id f = NODE(&b, XNOR_OP_TANH, x);
    builder_output(&b, f, "f");
    canonicalise(NODE(&b, XNOR_OP_RESHAPE, swap(f), builder_ints(&b, I(24))));
    cr_assert_eq(graph_count(&b.graph, XNOR_OP_TANH), 1);
}

Test(layout, moving_axes_of_one_element_is_a_reshape) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(-1, 1, 4));
    canonicalise(swap(x));
    cr_assert_eq(transposes(), 0);
    cr_assert_eq(graph_count(&b.graph, XNOR_OP_RESHAPE), 1);
}

Test(layout, views_of_views_are_one_reshape) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(-1, 1, 4));
    xnor_value_id y = NODE(&b, XNOR_OP_FLATTEN, swap(x));
    canonicalise(NODE(&b, XNOR_OP_UNSQUEEZE, y, builder_ints(&b, I(0))));
    cr_assert_eq(b.graph.node_count, 1);
    graph_find(&b.graph, XNOR_OP_RESHAPE);
}

Test(layout, views_that_cancel_leave_nothing) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(2, 3));
    xnor_value_id y = NODE(&b, XNOR_OP_UNSQUEEZE, x, builder_ints(&b, I(1)));
    canonicalise(NODE(&b, XNOR_OP_RELU, NODE(&b, XNOR_OP_SQUEEZE, y, builder_ints(&b, I(1)))));
    cr_assert_eq(b.graph.node_count, 1);
    graph_find(&b.graph, XNOR_OP_RELU);
}

// Conv2d on [B, C, N, 1], whose last axis goes before the maximum over points.
static xnor_value_id convolved(void) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(-1, 3, -1));
    xnor_value_id w = builder_floats(&b, SHAPE(2, 3, 1, 1), D(1, 2, 3, 4, 5, 6));
    return NODE(&b, XNOR_OP_CONV, NODE(&b, XNOR_OP_UNSQUEEZE, x, builder_ints(&b, I(3))), w);
}

static void maximum(xnor_value_id features) {
    xnor_value_id y = NODE(&b, XNOR_OP_REDUCE_MAX, features);
    builder_attr(&b, XNOR_ATTR_AXES, I(2));
    builder_attr(&b, XNOR_ATTR_KEEPDIMS, I(0));
    builder_output(&b, y, "y");
    tensors inputs;
    builder_inputs(&b, 3, &inputs);
    builder_pass(&b, xnor_pass_fold, &inputs); // what is known of shapes
    builder_pass(&b, xnor_pass_canonicalise, &inputs);
    tensors_free(&inputs);
    cr_assert_eq(transposes(), 1, "at the input only");
}

Test(layout, transposes_move_through_squeezed_axes) {
    maximum(NODE(&b, XNOR_OP_SQUEEZE, convolved(), builder_ints(&b, I(3))));
}

Test(layout, transposes_move_through_axes_that_are_flattened) {
    xnor_value_id y = convolved(), shape = NODE(&b, XNOR_OP_SHAPE, y);
    xnor_value_id first = NODE(&b, XNOR_OP_SLICE, shape, builder_ints(&b, I(0)),
                               builder_ints(&b, I(2)), builder_ints(&b, I(0)));
    xnor_value_id flat = NODE(&b, XNOR_OP_CONCAT, first, builder_ints(&b, I(-1)));
    builder_attr(&b, XNOR_ATTR_AXIS, I(0));
    maximum(NODE(&b, XNOR_OP_RESHAPE, y, flat));
}

// The head of a segmentation network with channels first: global features are repeated beside those
// of points, and the transpose of the layer behind meets the one that the points bring.
Test(layout, transposes_rise_through_concatenated_and_repeated_features) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(2, 3, 5));
    xnor_value_id w = builder_floats(&b, SHAPE(4, 3, 1), D(1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3));
    xnor_value_id local = NODE(&b, XNOR_OP_CONV, x, w), all = NODE(&b, XNOR_OP_REDUCE_MAX, local);
    builder_attr(&b, XNOR_ATTR_AXES, I(2));
    xnor_value_id repeated = NODE(&b, XNOR_OP_TILE, all, builder_ints(&b, I(1, 1, 5)));
    xnor_value_id both = NODE(&b, XNOR_OP_CONCAT, repeated, local);
    builder_attr(&b, XNOR_ATTR_AXIS, I(1));
    xnor_value_id v = builder_floats(&b, SHAPE(1, 8, 1), D(1, 2, 3, 4, 5, 6, 7, 8));
    canonicalise(NODE(&b, XNOR_OP_CONV, NODE(&b, XNOR_OP_SIGN, both), v));
    cr_assert_eq(transposes(), 1, "at the input only");
}

Test(layout, transposes_rise_through_expanded_features) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(2, 4));
    xnor_value_id local = builder_input(&b, "p", XNOR_F32, SHAPE(2, 5, 3));
    xnor_value_id all = NODE(&b, XNOR_OP_UNSQUEEZE, x, builder_ints(&b, I(2)));
    xnor_value_id wide = NODE(&b, XNOR_OP_EXPAND, all, builder_ints(&b, I(2, 4, 5)));
    xnor_value_id both = NODE(&b, XNOR_OP_CONCAT, wide, swap(local));
    builder_attr(&b, XNOR_ATTR_AXIS, I(1));
    xnor_value_id v = builder_floats(&b, SHAPE(7, 2), D(1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 4, 5));
    canonicalise(NODE(&b, XNOR_OP_MATMUL, swap(NODE(&b, XNOR_OP_SIGN, both)), v));
    cr_assert_eq(transposes(), 0);
}

// (x_i - x_j)² of DGCNN is looked for on the transposed points.
Test(layout, new_axes_stay_behind_a_transpose) {
    xnor_value_id x = swap(builder_input(&b, "x", XNOR_F32, SHAPE(2, 3, 4)));
    xnor_value_id rows = NODE(&b, XNOR_OP_UNSQUEEZE, x, builder_ints(&b, I(2)));
    xnor_value_id columns = NODE(&b, XNOR_OP_UNSQUEEZE, x, builder_ints(&b, I(1)));
    canonicalise(NODE(&b, XNOR_OP_SUB, rows, columns));
    const xnor_node *transpose = graph_find(&b.graph, XNOR_OP_TRANSPOSE);
    cr_assert_eq(transpose->inputs[0], b.graph.inputs[0]);
}

// What leaves the graph is turned last.
Test(layout, what_leaves_the_graph_is_turned_last) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(2, 3, 4));
    canonicalise(NODE(&b, XNOR_OP_RELU, NODE(&b, XNOR_OP_EXP, swap(x))));
    cr_assert_eq(b.graph.nodes[0].op, XNOR_OP_EXP);
    cr_assert_eq(b.graph.nodes[2].op, XNOR_OP_TRANSPOSE);
}

// ---- pictures -----------------------------------------------------------------------------------

static xnor_value_id channels_last(xnor_value_id x) {
    xnor_value_id y = NODE(&b, XNOR_OP_TRANSPOSE, x);
    builder_attr(&b, XNOR_ATTR_PERM, I(0, 2, 3, 1));
    return y;
}

static xnor_value_id channels_first(xnor_value_id x) {
    xnor_value_id y = NODE(&b, XNOR_OP_TRANSPOSE, x);
    builder_attr(&b, XNOR_ATTR_PERM, I(0, 3, 1, 2));
    return y;
}

static xnor_value_id picture(void) {
    return channels_first(builder_input(&b, "x", XNOR_F32, SHAPE(2, 4, 5, 6)));
}

Test(layout, the_place_of_a_maximum_is_renamed) {
    xnor_value_id y = NODE(&b, XNOR_OP_ARG_MAX, picture());
    builder_attr(&b, XNOR_ATTR_AXIS, I(1));
    builder_attr(&b, XNOR_ATTR_KEEPDIMS, I(0));
    canonicalise(y);
    cr_assert_eq(transposes(), 0);
    cr_assert_eq(xnor_node_int(graph_find(&b.graph, XNOR_OP_ARG_MAX), XNOR_ATTR_AXIS, 9), 3);
}

Test(layout, slices_are_renamed) {
    xnor_value_id part =
        NODE(&b, XNOR_OP_SLICE, picture(), builder_ints(&b, I(0, 1)), builder_ints(&b, I(2, 4)));
    part = NODE(&b, XNOR_OP_SLICE, part, builder_ints(&b, I(4)), builder_ints(&b, I(-9)),
                builder_ints(&b, I(-1)), builder_ints(&b, I(-2)));
    canonicalise(channels_last(part));
    cr_assert_eq(transposes(), 0);
}

Test(layout, parts_of_a_split_are_slices) {
    xnor_value_id part = NODE_OUTPUTS(&b, XNOR_OP_SPLIT, 2, picture());
    builder_attr(&b, XNOR_ATTR_AXIS, I(1));
    builder_attr(&b, XNOR_ATTR_SPLIT, I(2, 4));
    xnor_value_id wide = NODE(&b, XNOR_OP_REDUCE_SUM, part + 1);
    builder_attr(&b, XNOR_ATTR_AXES, I(1));
    canonicalise(channels_last(NODE(&b, XNOR_OP_SUB, part, wide)));
    cr_assert_eq(graph_count(&b.graph, XNOR_OP_SLICE), 2);
    cr_assert_eq(transposes(), 0);
}

Test(layout, a_factor_per_channel_does_not_hold_a_transpose_up) {
    xnor_value_id factor = builder_input(&b, "factor", XNOR_F32, SHAPE(2, 6, 1, 1));
    canonicalise(channels_last(NODE(&b, XNOR_OP_MUL, factor, picture())));
    cr_assert_eq(transposes(), 0);
}

// A factor per pixel moves.
Test(layout, a_factor_per_pixel_and_channel_does) {
    xnor_value_id factor = builder_input(&b, "factor", XNOR_F32, SHAPE(2, 6, 4, 5));
    canonicalise(NODE(&b, XNOR_OP_MUL, factor, picture()));
    cr_assert_eq(transposes(), 1);
}

Test(layout, groups_of_channels_are_split_and_joined_in_place) {
    xnor_value_id groups =
        NODE(&b, XNOR_OP_RESHAPE, picture(), builder_ints(&b, I(-1, 3, 2, 4, 5)));
    xnor_value_id share = NODE(&b, XNOR_OP_SOFTMAX, groups);
    builder_attr(&b, XNOR_ATTR_AXIS, I(2));
    xnor_value_id y = NODE(&b, XNOR_OP_RESHAPE, share, builder_ints(&b, I(2, 6, 4, 5)));
    canonicalise(channels_last(y));
    cr_assert_eq(transposes(), 0);
    cr_assert_eq(xnor_node_int(graph_find(&b.graph, XNOR_OP_SOFTMAX), XNOR_ATTR_AXIS, 9), 4);
}

// Channels of two groups change places: the transpose that does it is one of channels alone.
Test(layout, channels_are_shuffled_in_place) {
    xnor_value_id groups = NODE(&b, XNOR_OP_RESHAPE, picture(), builder_ints(&b, I(2, 2, 3, 4, 5)));
    xnor_value_id turned = NODE(&b, XNOR_OP_TRANSPOSE, groups);
    builder_attr(&b, XNOR_ATTR_PERM, I(0, 2, 1, 3, 4));
    xnor_value_id y = NODE(&b, XNOR_OP_RESHAPE, turned, builder_ints(&b, I(2, 6, 4, 5)));
    canonicalise(channels_last(y));
    const xnor_attr *perm = xnor_node_attr(graph_find(&b.graph, XNOR_OP_TRANSPOSE), XNOR_ATTR_PERM);
    static const int64_t expected[] = {0, 1, 2, 4, 3};
    cr_assert_arr_eq(perm->ints, expected, sizeof expected);
}

// Channels and rows of pixels are not side by side when channels are last.
Test(layout, what_is_not_side_by_side_is_not_joined) {
    xnor_value_id y = NODE(&b, XNOR_OP_RESHAPE, picture(), builder_ints(&b, I(2, 24, 5)));
    canonicalise(NODE(&b, XNOR_OP_EXP, y));
    cr_assert_eq(transposes(), 1);
}

Test(layout, what_makes_channels_last_rises_through_pools) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(2, 6, 4, 5));
    xnor_value_id y = NODE(&b, XNOR_OP_MAX_POOL, x);
    builder_attr(&b, XNOR_ATTR_KERNEL_SHAPE, I(2, 2));
    y = NODE(&b, XNOR_OP_SPACE_TO_DEPTH, y);
    builder_attr(&b, XNOR_ATTR_BLOCKSIZE, I(1));
    xnor_value_id w = builder_floats(&b, SHAPE(6, 1), D(1, 2, 3, 4, 5, 6));
    canonicalise(NODE(&b, XNOR_OP_MATMUL, channels_last(y), w));
    cr_assert_eq(b.graph.nodes[0].op, XNOR_OP_TRANSPOSE);
    cr_assert_eq(xnor_node_int(graph_find(&b.graph, XNOR_OP_MAX_POOL), XNOR_ATTR_AXIS, 1), 3);
}
