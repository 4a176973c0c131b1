#include <criterion/criterion.h>
#include <math.h>

#include "graph_builder.h"
#include "passes/passes.h"

static builder b;

static void begin(void) {
    builder_init(&b, 1);
}

static void end(void) {
    builder_free(&b);
}

TestSuite(canonicalise, .init = begin, .fini = end);

static void canonicalise(xnor_value_id y) {
    builder_output(&b, y, "y");
    tensors inputs;
    builder_inputs(&b, 4, &inputs);
    builder_pass(&b, xnor_pass_canonicalise, &inputs);
    tensors_free(&inputs);
}

static void expect_affine(const xnor_node *node, const double *scale, const double *shift,
                          size_t channels) {
    for (size_t c = 0; c < channels; c++) {
        cr_assert_float_eq(graph_constant(&b.graph, node, 1, c), scale[c], 1e-12, "scale %zu", c);
        cr_assert_float_eq(graph_constant(&b.graph, node, 2, c), shift[c], 1e-12, "shift %zu", c);
    }
}

Test(canonicalise, matmul_by_a_constant_is_linear) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(-1, 4, 3));
    xnor_value_id w = builder_floats(&b, SHAPE(3, 2), D(1, 2, 3, 4, 5, 6));
    canonicalise(NODE(&b, XNOR_OP_MATMUL, x, w));
    const xnor_node *linear = graph_find(&b.graph, XNOR_OP_LINEAR);
    cr_assert_eq(b.graph.node_count, 1);
    static const double rows[] = {1, 3, 5, 2, 4, 6};
    for (size_t i = 0; i < 6; i++) cr_assert_eq(graph_constant(&b.graph, linear, 1, i), rows[i]);
}

// points[..., :3] of three coordinates, and of four.
Test(canonicalise, a_slice_of_whole_axes_goes) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(-1, 4, 3));
    xnor_value_id start = builder_ints(&b, I(0)), end = builder_ints(&b, I(3));
    xnor_value_id y = NODE(&b, XNOR_OP_SLICE, x, start, end, builder_ints(&b, I(-1)));
    y = NODE(&b, XNOR_OP_SLICE, y, start, end, builder_ints(&b, I(1)), builder_ints(&b, I(1)));
    canonicalise(NODE(&b, XNOR_OP_EXP, y));
    cr_assert_eq(graph_count(&b.graph, XNOR_OP_SLICE), 1);
}

// Squares have a step of their own, short rows and broadcasts on both sides too.
Test(canonicalise, squares_of_differences_of_all_pairs) {
    xnor_value_id x = builder_floats(&b, SHAPE(2, 1, 2), D(1, 2, 4, 6));
    xnor_value_id z = builder_floats(&b, SHAPE(1, 3, 2), D(0, 0, 1, 2, 5, 9));
    xnor_value_id d = NODE(&b, XNOR_OP_SUB, x, z);
    builder_expect(&b, NODE(&b, XNOR_OP_POW, d, builder_floats(&b, SCALAR, D(2))), SHAPE(2, 3, 2),
                   D(1, 4, 0, 0, 16, 49, 16, 36, 9, 16, 1, 9));
}

Test(canonicalise, matmul_of_two_values_stays) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(2, 4, 3));
    xnor_value_id t = builder_input(&b, "t", XNOR_F32, SHAPE(2, 3, 3));
    canonicalise(NODE(&b, XNOR_OP_MATMUL, x, t));
    cr_assert_eq(graph_count(&b.graph, XNOR_OP_MATMUL), 1);
}

Test(canonicalise, gemm_takes_its_factors_into_the_weights) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(-1, 2));
    xnor_value_id w = builder_floats(&b, SHAPE(3, 2), D(1, 2, 3, 4, 5, 6));
    xnor_value_id c = builder_floats(&b, SHAPE(1), D(8));
    xnor_value_id y = NODE(&b, XNOR_OP_GEMM, x, w, c);
    builder_attr(&b, XNOR_ATTR_TRANS_B, I(1));
    builder_attr_float(&b, XNOR_ATTR_ALPHA, 0.5);
    builder_attr_float(&b, XNOR_ATTR_BETA, 0.25);
    canonicalise(y);
    const xnor_node *linear = graph_find(&b.graph, XNOR_OP_LINEAR);
    cr_assert_eq(graph_constant(&b.graph, linear, 1, 5), 3);
    cr_assert_eq(graph_constant(&b.graph, linear, 2, 2), 2, "the scalar bias is for every channel");
}

Test(canonicalise, convolutions_of_kernel_one_work_on_the_last_axis) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(-1, 2, -1));
    xnor_value_id w = builder_floats(&b, SHAPE(3, 2, 1), D(1, 2, 3, 4, 5, 6));
    xnor_value_id v = builder_floats(&b, SHAPE(1, 3, 1), D(1, -1, 1));
    xnor_value_id hidden = NODE(&b, XNOR_OP_RELU, NODE(&b, XNOR_OP_CONV, x, w));
    canonicalise(NODE(&b, XNOR_OP_CONV, hidden, v));
    cr_assert_eq(graph_count(&b.graph, XNOR_OP_CONV), 0);
    cr_assert_eq(graph_count(&b.graph, XNOR_OP_LINEAR), 2);
    cr_assert_eq(graph_count(&b.graph, XNOR_OP_TRANSPOSE), 2, "one at each end");
}

Test(canonicalise, wide_strided_and_grouped_convolutions_stay) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(1, 2, 4));
    xnor_value_id wide =
        builder_floats(&b, SHAPE(2, 2, 3), D(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12));
    xnor_value_id one = builder_floats(&b, SHAPE(2, 2, 1), D(1, 2, 3, 4));
    xnor_value_id half = builder_floats(&b, SHAPE(2, 1, 1), D(1, 2));
    xnor_value_id strided = NODE(&b, XNOR_OP_CONV, x, one);
    builder_attr(&b, XNOR_ATTR_STRIDES, I(2));
    xnor_value_id grouped = NODE(&b, XNOR_OP_CONV, strided, half);
    builder_attr(&b, XNOR_ATTR_GROUP, I(2));
    xnor_value_id padded = NODE(&b, XNOR_OP_CONV, grouped, one);
    builder_attr(&b, XNOR_ATTR_PADS, I(1, 0));
    canonicalise(NODE(&b, XNOR_OP_CONV, padded, wide));
    cr_assert_eq(graph_count(&b.graph, XNOR_OP_CONV), 4);
}

// Strides, dilations, groups, uneven padding and a bias stay; layouts change inside only.
Test(canonicalise, convolutions_of_pictures_have_channels_last) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(2, 4, 9, 11));
    double weights[6 * 2 * 3 * 2], bias[6];
    for (size_t i = 0; i < 72; i++) weights[i] = (double)((int)builder_random(&b, 19) - 9);
    for (size_t i = 0; i < 6; i++) bias[i] = (double)i;
    xnor_value_id w = builder_floats(&b, SHAPE(6, 2, 3, 2), weights, 72);
    xnor_value_id first = NODE(&b, XNOR_OP_CONV, x, w, builder_floats(&b, SHAPE(6), bias, 6));
    builder_attr(&b, XNOR_ATTR_GROUP, I(2));
    builder_attr(&b, XNOR_ATTR_STRIDES, I(2, 1));
    builder_attr(&b, XNOR_ATTR_DILATIONS, I(1, 3));
    builder_attr(&b, XNOR_ATTR_PADS, I(1, 0, 2, 3));
    xnor_value_id v = builder_floats(&b, SHAPE(1, 6, 2, 2), weights, 24);
    canonicalise(NODE(&b, XNOR_OP_CONV, NODE(&b, XNOR_OP_RELU, first), v));
    cr_expect_eq(graph_count(&b.graph, XNOR_OP_CONV), 0);
    cr_expect_eq(graph_count(&b.graph, XNOR_OP_CONV2D), 2);
    cr_expect_eq(graph_count(&b.graph, XNOR_OP_TRANSPOSE), 1); // one channel leaves as it is
}

Test(canonicalise, batch_normalization_is_affine) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(-1, 2));
    xnor_value_id scale = builder_floats(&b, SHAPE(2), D(2, -3)),
                  bias = builder_floats(&b, SHAPE(2), D(1, 0));
    xnor_value_id mean = builder_floats(&b, SHAPE(2), D(0.5, -1)),
                  var = builder_floats(&b, SHAPE(2), D(3, 0.75));
    xnor_value_id y = NODE(&b, XNOR_OP_BATCH_NORMALIZATION, x, scale, bias, mean, var);
    builder_attr_float(&b, XNOR_ATTR_EPSILON, 0.25);
    canonicalise(y);
    const double a[] = {2 / sqrt(3.25), -3}, c[] = {1 - 0.5 * 2 / sqrt(3.25), -3};
    expect_affine(graph_find(&b.graph, XNOR_OP_AFFINE), a, c, 2);
}

// y = operation of x and the constants, with x on the left or on the right.
static void expect_arithmetic(xnor_op op, bool right, const double *scale, const double *shift) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(-1, 2));
    xnor_value_id c = builder_floats(&b, SHAPE(2), D(4, -0.5));
    canonicalise(right ? NODE(&b, op, c, x) : NODE(&b, op, x, c));
    expect_affine(graph_find(&b.graph, XNOR_OP_AFFINE), scale, shift, 2);
}

Test(canonicalise, addition_shifts) {
    expect_arithmetic(XNOR_OP_ADD, true, (double[]){1, 1}, (double[]){4, -0.5});
}

Test(canonicalise, subtraction_shifts_back) {
    expect_arithmetic(XNOR_OP_SUB, false, (double[]){1, 1}, (double[]){-4, 0.5});
}

Test(canonicalise, subtraction_from_a_constant_negates) {
    expect_arithmetic(XNOR_OP_SUB, true, (double[]){-1, -1}, (double[]){4, -0.5});
}

Test(canonicalise, multiplication_scales) {
    expect_arithmetic(XNOR_OP_MUL, true, (double[]){4, -0.5}, (double[]){0, 0});
}

Test(canonicalise, division_scales_by_the_inverse) {
    expect_arithmetic(XNOR_OP_DIV, false, (double[]){0.25, -2}, (double[]){0, 0});
}

Test(canonicalise, negation_is_a_factor) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(-1, 2));
    canonicalise(NODE(&b, XNOR_OP_NEG, x));
    expect_affine(graph_find(&b.graph, XNOR_OP_AFFINE), (double[]){-1, -1}, (double[]){0, 0}, 2);
}

Test(canonicalise, a_reciprocal_is_not_affine) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(1, 3));
    canonicalise(NODE(&b, XNOR_OP_DIV, builder_floats(&b, SHAPE(3), D(1, 2, 3)), x));
    cr_assert_eq(graph_count(&b.graph, XNOR_OP_AFFINE), 0);
}

Test(canonicalise, a_constant_that_widens_the_result_stays) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(3, 1));
    canonicalise(NODE(&b, XNOR_OP_ADD, x, builder_floats(&b, SHAPE(2), D(1, 2))));
    cr_assert_eq(graph_count(&b.graph, XNOR_OP_ADD), 1);
}

Test(canonicalise, a_scalar_does_not_pin_channels_to_axis_one) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(2, 2, 3));
    xnor_value_id w = builder_floats(&b, SHAPE(2, 2, 1), D(1, 2, 3, 4));
    xnor_value_id half =
        NODE(&b, XNOR_OP_MUL, NODE(&b, XNOR_OP_CONV, x, w), builder_floats(&b, SCALAR, D(0.5)));
    canonicalise(NODE(&b, XNOR_OP_CONV, half, w));
    cr_assert_eq(graph_count(&b.graph, XNOR_OP_TRANSPOSE), 2, "one at each end");
    expect_affine(graph_find(&b.graph, XNOR_OP_AFFINE), (double[]){0.5, 0.5}, (double[]){0, 0}, 2);
}

Test(canonicalise, global_pools_are_reductions_of_named_axes) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(2, 3, 2, 2));
    canonicalise(NODE(&b, XNOR_OP_GLOBAL_MAX_POOL, x));
    const xnor_attr *axes =
        xnor_node_attr(graph_find(&b.graph, XNOR_OP_REDUCE_MAX), XNOR_ATTR_AXES);
    cr_assert(axes && axes->count == 2 && axes->ints[0] == 2 && axes->ints[1] == 3);
}

Test(canonicalise, negative_axes_and_axes_inputs_are_normalised) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(2, 3, 4));
    canonicalise(NODE(&b, XNOR_OP_REDUCE_MEAN, x, builder_ints(&b, I(-2))));
    const xnor_node *mean = graph_find(&b.graph, XNOR_OP_REDUCE_MEAN);
    const xnor_attr *axes = xnor_node_attr(mean, XNOR_ATTR_AXES);
    cr_assert(axes && axes->count == 1 && axes->ints[0] == 1);
    cr_assert_eq(mean->input_count, 1);
}

Test(canonicalise, straight_through_leftovers_vanish) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(3));
    xnor_value_id sign = NODE(&b, XNOR_OP_SIGN, x), soft = NODE(&b, XNOR_OP_TANH, x);
    xnor_value_id y = NODE(&b, XNOR_OP_ADD, soft, NODE(&b, XNOR_OP_SUB, sign, soft));
    canonicalise(NODE(&b, XNOR_OP_SUB, NODE(&b, XNOR_OP_ADD, soft, y), soft));
    cr_assert_eq(b.graph.node_count, 1);
    graph_find(&b.graph, XNOR_OP_SIGN);
}

Test(canonicalise, a_value_minus_itself_vanishes_from_a_sum) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(-1, 3));
    xnor_value_id soft = NODE(&b, XNOR_OP_TANH, x);
    canonicalise(
        NODE(&b, XNOR_OP_ADD, NODE(&b, XNOR_OP_SUB, soft, soft), NODE(&b, XNOR_OP_SIGN, x)));
    cr_assert_eq(b.graph.node_count, 1);
    graph_find(&b.graph, XNOR_OP_SIGN);
}

Test(canonicalise, multiples_of_a_value_cancel) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(-1, 3));
    xnor_value_id two = builder_floats(&b, SCALAR, D(2)), soft = NODE(&b, XNOR_OP_TANH, x);
    xnor_value_id y =
        NODE(&b, XNOR_OP_ADD, NODE(&b, XNOR_OP_SIGN, x), NODE(&b, XNOR_OP_MUL, two, soft));
    canonicalise(NODE(&b, XNOR_OP_SUB, NODE(&b, XNOR_OP_SUB, y, soft), soft));
    cr_assert_eq(b.graph.node_count, 1);
    graph_find(&b.graph, XNOR_OP_SIGN);
}

Test(canonicalise, what_is_left_of_a_sum_keeps_its_factors) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(-1, 3));
    xnor_value_id soft = NODE(&b, XNOR_OP_TANH, x), sign = NODE(&b, XNOR_OP_SIGN, x);
    xnor_value_id y = NODE(&b, XNOR_OP_SUB, soft, NODE(&b, XNOR_OP_ADD, sign, x));
    canonicalise(NODE(&b, XNOR_OP_ADD, y, x));
    cr_assert_eq(graph_count(&b.graph, XNOR_OP_SIGN) + graph_count(&b.graph, XNOR_OP_TANH), 2);
}

// A difference of two values of unknown size may broadcast.
Test(canonicalise, values_of_other_shapes_do_not_cancel) {
    xnor_value_id row = builder_input(&b, "x", XNOR_F32, SHAPE(1, 3));
    xnor_value_id whole = builder_input(&b, "y", XNOR_F32, SHAPE(4, 3));
    xnor_value_id y = NODE(&b, XNOR_OP_SUB, row, whole);
    canonicalise(NODE(&b, XNOR_OP_ADD, y, whole));
    cr_assert_eq(b.graph.node_count, 2);
}

Test(canonicalise, equal_nodes_become_one) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(3));
    xnor_value_id leaky = NODE(&b, XNOR_OP_LEAKY_RELU, x), same = NODE(&b, XNOR_OP_LEAKY_RELU, x);
    xnor_value_id other = NODE(&b, XNOR_OP_LEAKY_RELU, x);
    builder_attr_float(&b, XNOR_ATTR_ALPHA, 0.5);
    canonicalise(NODE(&b, XNOR_OP_ADD, NODE(&b, XNOR_OP_MUL, leaky, same), other));
    cr_assert_eq(graph_count(&b.graph, XNOR_OP_LEAKY_RELU), 2, "one of them has another slope");
}

Test(canonicalise, an_output_keeps_its_name_when_its_node_is_dropped) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(3));
    xnor_value_id y = NODE(&b, XNOR_OP_IDENTITY, NODE(&b, XNOR_OP_RELU, x));
    canonicalise(y);
    cr_assert_eq(b.graph.node_count, 1);
    cr_assert_str_eq(b.graph.values[b.graph.outputs[0]].name, "y");
}

Test(canonicalise, an_output_that_is_an_input_is_copied) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(3));
    canonicalise(NODE(&b, XNOR_OP_IDENTITY, x));
    cr_assert_eq(graph_count(&b.graph, XNOR_OP_IDENTITY), 1);
}

Test(canonicalise, an_operand_that_broadcasts_is_not_expanded) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(2, 3, -1));
    xnor_value_id norm = NODE(&b, XNOR_OP_REDUCE_L2, x);
    builder_attr(&b, XNOR_ATTR_AXES, I(1));
    xnor_value_id wide = NODE(&b, XNOR_OP_EXPAND, norm, NODE(&b, XNOR_OP_SHAPE, x));
    canonicalise(NODE(&b, XNOR_OP_DIV, x, wide));
    cr_assert_eq(graph_count(&b.graph, XNOR_OP_EXPAND), 0);
}

Test(canonicalise, an_operand_that_widens_the_other_is_expanded) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(2, 1));
    xnor_value_id z = builder_input(&b, "z", XNOR_F32, SHAPE(1, 3));
    xnor_value_id wide = NODE(&b, XNOR_OP_EXPAND, x, builder_ints(&b, I(4, 2, 3)));
    canonicalise(NODE(&b, XNOR_OP_ADD, wide, z));
    cr_assert_eq(graph_count(&b.graph, XNOR_OP_EXPAND), 1);
}
