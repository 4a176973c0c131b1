#include <criterion/criterion.h>

#include "core/tensor.h"
#include "graph_builder.h"
#include "passes/passes.h"

static builder b;
static tensors inputs;

static void begin(void) {
    builder_init(&b, 1);
}

static void end(void) {
    tensors_free(&inputs);
    builder_free(&b);
}

TestSuite(binarize, .init = begin, .fini = end);

static void binarize(xnor_value_id y) {
    builder_output(&b, y, "y");
    builder_inputs(&b, 3, &inputs);
    builder_pass(&b, xnor_pass_canonicalise, &inputs);
    builder_pass(&b, xnor_pass_binarize, &inputs);
}

static xnor_value_id input(void) {
    return builder_input(&b, "x", XNOR_F32, SHAPE(-1, 4));
}

static xnor_value_id weights(void) {
    return builder_floats(&b, SHAPE(4, 2), D(1, -1, 1, 1, -1, 1, 1, -1));
}

static xnor_value_id times_weights(xnor_value_id sign) {
    return NODE(&b, XNOR_OP_MATMUL, sign, weights());
}

static xnor_value_id where(xnor_op compare, xnor_value_id x, double then, double otherwise) {
    xnor_value_id truth = NODE(&b, compare, x, builder_floats(&b, SCALAR, D(0)));
    xnor_value_id yes = builder_floats(&b, SCALAR, &then, 1);
    return NODE(&b, XNOR_OP_WHERE, truth, yes, builder_floats(&b, SCALAR, &otherwise, 1));
}

// Value that the one xnor_binarize of the graph gives to 0.
static double zero(void) {
    return xnor_node_float(graph_find(&b.graph, XNOR_OP_BINARIZE), XNOR_ATTR_ALPHA, 9);
}

// ---- weights ------------------------------------------------------------------------------------

Test(binarize, weights_of_equal_magnitude_become_bits_and_a_scale) {
    xnor_value_id w = builder_floats(&b, SHAPE(4, 2), D(0.5, -2, 0.5, 2, -0.5, 2, 0.5, -2));
    binarize(NODE(&b, XNOR_OP_MATMUL, NODE(&b, XNOR_OP_SIGN, input()), w));
    const xnor_node *layer = graph_find(&b.graph, XNOR_OP_XNOR_LINEAR);
    cr_assert_eq(graph_count(&b.graph, XNOR_OP_LINEAR), 0);
    static const double bits[] = {1, 1, -1, 1, -1, 1, 1, -1};
    for (size_t i = 0; i < 8; i++) cr_assert_eq(graph_constant(&b.graph, layer, 1, i), bits[i]);
    const xnor_node *affine = graph_find(&b.graph, XNOR_OP_AFFINE);
    cr_assert_eq(graph_constant(&b.graph, affine, 1, 0), 0.5);
    cr_assert_eq(graph_constant(&b.graph, affine, 1, 1), 2);
    cr_assert_eq(graph_constant(&b.graph, affine, 2, 0), 0);
}

Test(binarize, padding_bits_of_weights_are_zero) {
    double ones[70];
    for (int i = 0; i < 70; i++) ones[i] = 1;
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(-1, 70));
    xnor_value_id w = builder_floats(&b, SHAPE(70, 1), ones, 70);
    binarize(NODE(&b, XNOR_OP_MATMUL, NODE(&b, XNOR_OP_SIGN, x), w));
    const xnor_node *layer = graph_find(&b.graph, XNOR_OP_XNOR_LINEAR);
    const uint64_t *words = b.graph.values[layer->inputs[1]].data;
    cr_assert_eq(words[0], UINT64_MAX);
    cr_assert_eq(words[1], 0x3f);
}

Test(binarize, a_bias_becomes_the_shift) {
    xnor_value_id w = builder_floats(&b, SHAPE(2, 4), D(1, 1, 1, 1, -1, -1, 1, 1));
    xnor_value_id y = NODE(&b, XNOR_OP_GEMM, NODE(&b, XNOR_OP_SIGN, input()), w,
                           builder_floats(&b, SHAPE(2), D(0.5, 7)));
    builder_attr(&b, XNOR_ATTR_TRANS_B, I(1));
    binarize(y);
    cr_assert_eq(graph_constant(&b.graph, graph_find(&b.graph, XNOR_OP_AFFINE), 2, 1), 7);
}

Test(binarize, weights_of_several_magnitudes_stay_float) {
    xnor_value_id w = builder_floats(&b, SHAPE(4, 1), D(1, -1, 1, 1.5));
    binarize(NODE(&b, XNOR_OP_MATMUL, NODE(&b, XNOR_OP_SIGN, input()), w));
    cr_assert_eq(graph_count(&b.graph, XNOR_OP_LINEAR), 1);
    cr_assert_eq(graph_count(&b.graph, XNOR_OP_XNOR_LINEAR), 0);
}

Test(binarize, a_row_of_zeros_has_scale_zero) {
    xnor_value_id w = builder_floats(&b, SHAPE(4, 2), D(0, 1, 0, 1, 0, 1, 0, 1));
    binarize(NODE(&b, XNOR_OP_MATMUL, NODE(&b, XNOR_OP_SIGN, input()), w));
    cr_assert_eq(graph_count(&b.graph, XNOR_OP_XNOR_LINEAR), 1);
    cr_assert_eq(graph_constant(&b.graph, graph_find(&b.graph, XNOR_OP_AFFINE), 1, 0), 0);
    cr_assert_eq(graph_constant(&b.graph, graph_find(&b.graph, XNOR_OP_AFFINE), 1, 1), 1);
}

Test(binarize, ternary_weights_are_the_mean_of_two_binary_ones) {
    xnor_value_id w = builder_floats(&b, SHAPE(4, 2), D(0.5, 2, 0, -2, -0.5, 0, 0.5, 0));
    binarize(NODE(&b, XNOR_OP_MATMUL, NODE(&b, XNOR_OP_SIGN, input()), w));
    cr_assert_eq(graph_count(&b.graph, XNOR_OP_XNOR_LINEAR), 2);
    const xnor_node *sum = graph_find(&b.graph, XNOR_OP_XNOR_ADD);
    const xnor_node *first = &b.graph.nodes[xnor_graph_producer(&b.graph, sum->inputs[0])];
    const xnor_node *second = &b.graph.nodes[xnor_graph_producer(&b.graph, sum->inputs[1])];
    static const double bits[2][8] = {{1, 1, -1, 1, 1, -1, 1, 1}, {1, -1, -1, 1, 1, -1, -1, -1}};
    for (size_t i = 0; i < 8; i++) {
        cr_assert_eq(graph_constant(&b.graph, first, 1, i), bits[0][i]);
        cr_assert_eq(graph_constant(&b.graph, second, 1, i), bits[1][i]);
    }
    cr_assert_eq(graph_constant(&b.graph, graph_find(&b.graph, XNOR_OP_AFFINE), 1, 1), 1);
}

Test(binarize, real_activations_stay_float) {
    binarize(times_weights(NODE(&b, XNOR_OP_TANH, input())));
    cr_assert_eq(graph_count(&b.graph, XNOR_OP_LINEAR), 1);
}

Test(binarize, a_scale_on_the_signs_moves_into_the_weights) {
    xnor_value_id sign = NODE(&b, XNOR_OP_SIGN, input());
    binarize(times_weights(NODE(&b, XNOR_OP_MUL, sign, builder_floats(&b, SCALAR, D(-0.25)))));
    const xnor_node *layer = graph_find(&b.graph, XNOR_OP_XNOR_LINEAR);
    cr_assert_eq(graph_constant(&b.graph, layer, 1, 0), -1, "the sign of the scale, too");
    cr_assert_eq(graph_constant(&b.graph, graph_find(&b.graph, XNOR_OP_AFFINE), 1, 0), 0.25);
}

// ---- forms of the sign --------------------------------------------------------------------------

Test(binarize, where_not_negative_gives_zero_plus_one) {
    binarize(times_weights(where(XNOR_OP_GREATER_OR_EQUAL, input(), 1, -1)));
    cr_assert_eq(zero(), 1);
}

// -x >= 0 where x > 0 is not; the weights are negated, too.
static void expect_negated(void) {
    cr_assert_eq(zero(), 1);
    const xnor_node *binarize = graph_find(&b.graph, XNOR_OP_BINARIZE);
    const xnor_node *minus = &b.graph.nodes[xnor_graph_producer(&b.graph, binarize->inputs[0])];
    cr_assert_eq(minus->op, XNOR_OP_AFFINE);
    cr_assert_eq(graph_constant(&b.graph, minus, 1, 3), -1);
    cr_assert_eq(graph_constant(&b.graph, graph_find(&b.graph, XNOR_OP_XNOR_LINEAR), 1, 0), -1);
}

Test(binarize, where_positive_takes_zero_for_minus_one) {
    binarize(times_weights(where(XNOR_OP_GREATER, input(), 1, -1)));
    expect_negated();
}

Test(binarize, where_negative_with_branches_swapped) {
    binarize(times_weights(where(XNOR_OP_LESS, input(), -1, 1)));
    cr_assert_eq(zero(), 1);
}

Test(binarize, where_not_positive_with_branches_swapped) {
    binarize(times_weights(where(XNOR_OP_LESS_OR_EQUAL, input(), -1, 1)));
    expect_negated();
}

Test(binarize, the_constant_may_be_compared_with_the_value) {
    xnor_value_id x = input(), zero_value = builder_floats(&b, SCALAR, D(0));
    xnor_value_id truth = NODE(&b, XNOR_OP_LESS_OR_EQUAL, zero_value, x);
    binarize(times_weights(NODE(&b, XNOR_OP_WHERE, truth, builder_floats(&b, SCALAR, D(1)),
                                builder_floats(&b, SCALAR, D(-1)))));
    cr_assert_eq(zero(), 1);
    cr_assert_eq(graph_find(&b.graph, XNOR_OP_BINARIZE)->inputs[0], x);
}

// Half of the sign plus one half.
Test(binarize, zero_or_one_is_a_sign_with_a_shift) {
    binarize(times_weights(where(XNOR_OP_GREATER_OR_EQUAL, input(), 1, 0)));
    cr_assert_eq(zero(), 1);
    const xnor_node *affine = graph_find(&b.graph, XNOR_OP_AFFINE);
    cr_assert_eq(graph_constant(&b.graph, affine, 1, 0), 0.5);
    cr_assert_eq(graph_constant(&b.graph, affine, 2, 0), 1, "weights +1 +1 -1 +1");
}

Test(binarize, a_cast_comparison_is_zero_or_one) {
    xnor_value_id truth =
        NODE(&b, XNOR_OP_GREATER_OR_EQUAL, input(), builder_floats(&b, SCALAR, D(0)));
    xnor_value_id one = NODE(&b, XNOR_OP_CAST, truth);
    builder_attr(&b, XNOR_ATTR_TO, I(XNOR_F32));
    xnor_value_id twice = NODE(&b, XNOR_OP_MUL, one, builder_floats(&b, SCALAR, D(2)));
    binarize(times_weights(NODE(&b, XNOR_OP_SUB, twice, builder_floats(&b, SCALAR, D(1)))));
    cr_assert_eq(zero(), 1);
    const xnor_node *affine = graph_find(&b.graph, XNOR_OP_AFFINE);
    cr_assert_eq(graph_constant(&b.graph, affine, 1, 0), 1);
    cr_assert_eq(graph_constant(&b.graph, affine, 2, 0), 0);
}

Test(binarize, a_learned_threshold_is_an_offset) {
    xnor_value_id limits = builder_floats(&b, SHAPE(4), D(0.5, -1, 0.25, 2));
    xnor_value_id truth = NODE(&b, XNOR_OP_GREATER_OR_EQUAL, input(), limits);
    binarize(times_weights(NODE(&b, XNOR_OP_WHERE, truth, builder_floats(&b, SCALAR, D(1)),
                                builder_floats(&b, SCALAR, D(-1)))));
    const xnor_node *binarize = graph_find(&b.graph, XNOR_OP_BINARIZE);
    const xnor_node *offset = &b.graph.nodes[xnor_graph_producer(&b.graph, binarize->inputs[0])];
    cr_assert_eq(graph_constant(&b.graph, offset, 2, 1), 1);
    cr_assert_eq(graph_constant(&b.graph, offset, 2, 3), -2);
}

// ones_like(x) and its negative, for an x of unknown size.
Test(binarize, branches_in_the_shape_of_the_value) {
    xnor_value_id x = input(), one = builder_floats(&b, SHAPE(1), D(1));
    xnor_value_id truth = NODE(&b, XNOR_OP_GREATER_OR_EQUAL, x, builder_floats(&b, SCALAR, D(0)));
    xnor_value_id ones = NODE(&b, XNOR_OP_CONSTANT_OF_SHAPE, NODE(&b, XNOR_OP_SHAPE, x), one);
    binarize(times_weights(NODE(&b, XNOR_OP_WHERE, truth, ones, NODE(&b, XNOR_OP_NEG, ones))));
    cr_assert_eq(b.graph.node_count, 3);
    cr_assert_eq(zero(), 1);
}

Test(binarize, a_value_with_one_sign_for_all_is_none) {
    binarize(times_weights(where(XNOR_OP_GREATER, input(), 1, 1)));
    cr_assert_eq(graph_count(&b.graph, XNOR_OP_XNOR_LINEAR), 0);
}

Test(binarize, steps_at_several_values_stay_float) {
    xnor_value_id x = input();
    xnor_value_id high = where(XNOR_OP_GREATER, x, 1, 0);
    xnor_value_id other = NODE(&b, XNOR_OP_SUB, x, builder_floats(&b, SCALAR, D(1)));
    binarize(times_weights(NODE(&b, XNOR_OP_ADD, high, NODE(&b, XNOR_OP_SIGN, other))));
    cr_assert_eq(graph_count(&b.graph, XNOR_OP_XNOR_LINEAR), 0);
}

Test(binarize, a_falling_sign_negates_the_weights) {
    binarize(times_weights(where(XNOR_OP_GREATER_OR_EQUAL, input(), -1, 1)));
    cr_assert_eq(zero(), 1);
    cr_assert_eq(graph_constant(&b.graph, graph_find(&b.graph, XNOR_OP_XNOR_LINEAR), 1, 0), -1);
}

Test(binarize, functions_that_keep_the_sign_are_skipped) {
    xnor_value_id x = input();
    xnor_value_id y = NODE(&b, XNOR_OP_CLIP, x, builder_floats(&b, SCALAR, D(-1)),
                           builder_floats(&b, SCALAR, D(1)));
    y = NODE(&b, XNOR_OP_TANH, NODE(&b, XNOR_OP_LEAKY_RELU, y));
    binarize(times_weights(NODE(&b, XNOR_OP_SIGN, y)));
    cr_assert_eq(graph_find(&b.graph, XNOR_OP_BINARIZE)->inputs[0], x);
    cr_assert_eq(b.graph.node_count, 3);
}

// Then it is 0 or 1: x > 0.
Test(binarize, a_clip_that_cuts_off_a_sign_makes_two_values) {
    xnor_value_id y = NODE(&b, XNOR_OP_CLIP, input(), builder_floats(&b, SCALAR, D(0)));
    binarize(times_weights(NODE(&b, XNOR_OP_SIGN, y)));
    cr_assert_eq(graph_count(&b.graph, XNOR_OP_CLIP), 0);
    expect_negated();
}

Test(binarize, a_clip_beside_zero_is_not_skipped) {
    xnor_value_id y = NODE(&b, XNOR_OP_CLIP, input(), builder_floats(&b, SCALAR, D(0.5)));
    binarize(times_weights(NODE(&b, XNOR_OP_SIGN, y)));
    cr_assert_eq(graph_count(&b.graph, XNOR_OP_CLIP), 1);
    cr_assert_eq(zero(), 0);
}

Test(binarize, views_between_sign_and_layer_keep_packed_rows) {
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(2, 3, 4));
    xnor_value_id sign = NODE(&b, XNOR_OP_SIGN, x);
    binarize(times_weights(NODE(&b, XNOR_OP_RESHAPE, sign, builder_ints(&b, I(-1, 4)))));
    const xnor_node *reshape = graph_find(&b.graph, XNOR_OP_RESHAPE);
    cr_assert_eq(b.graph.values[reshape->outputs[0]].dtype, XNOR_TERNARY);
}

// ---- where zeros can be -------------------------------------------------------------------------

static xnor_value_id offset(xnor_value_id x, double first) {
    return NODE(&b, XNOR_OP_ADD, x, builder_floats(&b, SHAPE(4), D(first, 0.3, -0.7, 0.1)));
}

Test(binarize, raw_inputs_can_be_zero) {
    binarize(times_weights(NODE(&b, XNOR_OP_SIGN, input())));
    cr_assert_eq(zero(), 0);
    cr_assert_eq(graph_count(&b.graph, XNOR_OP_XNOR_LINEAR), 1);
}

Test(binarize, real_sums_with_an_offset_are_not_zero) {
    binarize(times_weights(NODE(&b, XNOR_OP_SIGN, offset(input(), 0.2))));
    cr_assert_eq(zero(), 1);
}

Test(binarize, one_channel_without_offset_can_be_zero) {
    binarize(times_weights(NODE(&b, XNOR_OP_SIGN, offset(input(), 0))));
    cr_assert_eq(zero(), 0);
}

Test(binarize, absolute_values_are_never_negative_but_zero) {
    xnor_value_id y = NODE(&b, XNOR_OP_ABS, offset(input(), 0.2));
    binarize(times_weights(NODE(&b, XNOR_OP_SIGN, y)));
    cr_assert_eq(zero(), 0);
}

// {0, 1} activations: the sign of what was rectified, which is not 0 itself.
Test(binarize, rectified_signs_need_no_third_value) {
    xnor_value_id y = NODE(&b, XNOR_OP_RELU, offset(input(), 0.2));
    binarize(times_weights(NODE(&b, XNOR_OP_SIGN, y)));
    cr_assert_eq(zero(), 1);
    cr_assert_eq(graph_count(&b.graph, XNOR_OP_RELU), 0);
    const xnor_node *layer = graph_find(&b.graph, XNOR_OP_XNOR_LINEAR);
    uint32_t affine;
    cr_assert_eq(xnor_graph_uses(&b.graph, layer->outputs[0], &affine), 1);
    cr_assert_eq(graph_constant(&b.graph, &b.graph.nodes[affine], 1, 0), 0.5);
}

Test(binarize, what_was_rectified_and_compared_with_zero_is_always_one) {
    xnor_value_id y = NODE(&b, XNOR_OP_RELU, input());
    binarize(times_weights(where(XNOR_OP_GREATER_OR_EQUAL, y, 1, -1)));
    cr_assert_eq(graph_count(&b.graph, XNOR_OP_XNOR_LINEAR), 1);
}

// acc + acc + offset takes few values, 0 may be one of them.
Test(binarize, sums_of_integer_layers_can_be_zero_with_an_offset) {
    xnor_value_id square =
        builder_floats(&b, SHAPE(4, 4), D(1, 1, -1, 1, 1, -1, 1, 1, -1, -1, -1, -1, 1, 1, 1, 1));
    xnor_value_id sign = where(XNOR_OP_GREATER_OR_EQUAL, input(), 1, -1);
    xnor_value_id first = NODE(&b, XNOR_OP_MATMUL, sign, square);
    xnor_value_id residual = NODE(&b, XNOR_OP_ADD, first, NODE(&b, XNOR_OP_ABS, first));
    binarize(times_weights(NODE(&b, XNOR_OP_SIGN, offset(residual, -2))));
    cr_assert_eq(graph_count(&b.graph, XNOR_OP_XNOR_LINEAR), 2);
    uint32_t ternary = 0;
    for (uint32_t i = 0; i < b.graph.node_count; i++)
        ternary += b.graph.nodes[i].op == XNOR_OP_BINARIZE &&
                   xnor_node_float(&b.graph.nodes[i], XNOR_ATTR_ALPHA, 9) == 0;
    cr_assert_eq(ternary, 1);
}

// A scaled sign upstream is only recognised after its scale is absorbed: the layer behind must
// still see that its input comes from integers.
Test(binarize, layers_behind_a_scaled_sign_know_that_zeros_occur) {
    xnor_value_id square =
        builder_floats(&b, SHAPE(4, 4), D(1, 1, -1, 1, 1, -1, 1, 1, -1, -1, -1, -1, 1, 1, 1, 1));
    xnor_value_id sign = where(XNOR_OP_GREATER_OR_EQUAL, input(), 1, -1);
    xnor_value_id scaled = NODE(&b, XNOR_OP_MUL, sign, builder_floats(&b, SCALAR, D(0.5)));
    xnor_value_id first = offset(NODE(&b, XNOR_OP_MATMUL, scaled, square), 1);
    binarize(times_weights(NODE(&b, XNOR_OP_SIGN, first)));
    cr_assert_eq(graph_count(&b.graph, XNOR_OP_XNOR_LINEAR), 2);
    for (uint32_t i = 1; i < b.graph.node_count; i++)
        if (b.graph.nodes[i].op == XNOR_OP_BINARIZE)
            cr_assert_eq(xnor_node_float(&b.graph.nodes[i], XNOR_ATTR_ALPHA, 9), 0);
}

// ---- factors per row ----------------------------------------------------------------------------

static xnor_value_id row_mean(xnor_value_id x) {
    xnor_value_id mean = NODE(&b, XNOR_OP_REDUCE_MEAN, NODE(&b, XNOR_OP_ABS, x));
    builder_attr(&b, XNOR_ATTR_AXES, I(-1));
    return mean;
}

Test(binarize, a_factor_per_row_moves_behind_the_layer) {
    xnor_value_id x = input();
    xnor_value_id scaled = NODE(&b, XNOR_OP_MUL, NODE(&b, XNOR_OP_SIGN, x), row_mean(x));
    xnor_value_id y =
        NODE(&b, XNOR_OP_GEMM, scaled, weights(), builder_floats(&b, SHAPE(2), D(3, -1)));
    binarize(y);
    cr_assert_eq(graph_count(&b.graph, XNOR_OP_XNOR_LINEAR), 1);
    const xnor_node *product = graph_find(&b.graph, XNOR_OP_MUL);
    cr_assert_eq(b.graph.values[product->inputs[0]].dtype, XNOR_ACC);
    const xnor_node *last = &b.graph.nodes[b.graph.node_count - 1];
    cr_assert_eq(last->op, XNOR_OP_AFFINE);
    cr_assert_eq(graph_constant(&b.graph, last, 2, 0), 3, "the bias is not scaled");
}

Test(binarize, a_factor_per_row_stays_before_real_weights) {
    xnor_value_id x = input();
    xnor_value_id scaled = NODE(&b, XNOR_OP_MUL, NODE(&b, XNOR_OP_SIGN, x), row_mean(x));
    binarize(NODE(&b, XNOR_OP_MATMUL, scaled, builder_floats(&b, SHAPE(4, 1), D(1, 2, 1, 1))));
    cr_assert_eq(graph_count(&b.graph, XNOR_OP_LINEAR), 1);
    cr_assert_eq(graph_count(&b.graph, XNOR_OP_AFFINE), 0);
}
