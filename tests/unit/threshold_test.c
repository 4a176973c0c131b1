// Chains from integer sums to signs. Thresholds are compared with the formula
//   sign(a·acc + c): acc >= ⌊-c/a⌋ + 1 for a > 0, acc <= ⌈-c/a⌉ - 1 for a < 0
// on sums of K ±1 products, which have the parity of K.
#include <criterion/criterion.h>
#include <math.h>

#include "core/tensor.h"
#include "graph_builder.h"
#include "passes/passes.h"

enum { K = 6 };

static builder b;
static tensors inputs;

static void begin(void) {
    builder_init(&b, 1);
}

static void end(void) {
    tensors_free(&inputs);
    builder_free(&b);
}

TestSuite(threshold, .init = begin, .fini = end);

static xnor_value_id sign(xnor_value_id x) {
    return NODE(&b, XNOR_OP_SIGN, x);
}

// Sums of a layer with one row of weights for each of `channels`, ±1 in turn.
static xnor_value_id sums(uint32_t channels) {
    double weights[K * 8];
    for (uint32_t i = 0; i < K * channels; i++) weights[i] = i * 5 % 7 < 3 ? -1 : 1;
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(-1, K));
    double half[K];
    for (int i = 0; i < K; i++) half[i] = 0.125; // inputs are multiples of 1/4: never 0
    x = NODE(&b, XNOR_OP_ADD, x, builder_floats(&b, SHAPE(K), half, K));
    xnor_value_id w = builder_floats(&b, SHAPE(K, channels), weights, K * channels);
    return NODE(&b, XNOR_OP_MATMUL, sign(x), w);
}

// The layer behind, which makes the sign a packed one.
static void finish(xnor_value_id signs, uint32_t channels) {
    double ones[8] = {1, -1, 1, 1, -1, 1, -1, -1};
    builder_output(
        &b, NODE(&b, XNOR_OP_MATMUL, signs, builder_floats(&b, SHAPE(channels, 1), ones, channels)),
        "y");
    builder_inputs(&b, 9, &inputs);
    builder_pass(&b, xnor_pass_canonicalise, &inputs);
    builder_pass(&b, xnor_pass_binarize, &inputs);
    builder_pass(&b, xnor_pass_threshold, &inputs);
}

static xnor_value_id affine(xnor_value_id x, const double *a, const double *c, uint32_t channels) {
    x = NODE(&b, XNOR_OP_MUL, x, builder_floats(&b, SHAPE(channels), a, channels));
    return NODE(&b, XNOR_OP_ADD, x, builder_floats(&b, SHAPE(channels), c, channels));
}

static int32_t least(double threshold) {
    int32_t t = (int32_t)threshold;
    if ((t - K) % 2 != 0) t++; // the next sum that can occur
    return t < -K ? -K : t > K + 2 ? K + 2 : t;
}

Test(threshold, thresholds_follow_the_formula) {
    static const double a[4] = {0.5, 2, 1, 1}, c[4] = {-0.3, 7.1, -100, 100};
    finish(sign(affine(sums(4), a, c, 4)), 4);
    const xnor_node *node = graph_find(&b.graph, XNOR_OP_THRESHOLD);
    for (size_t i = 0; i < 4; i++)
        cr_assert_eq(graph_constant(&b.graph, node, 1, i), least(floor(-c[i] / a[i]) + 1),
                     "channel %zu", i);
}

Test(threshold, negative_scale_flips_weights_and_direction) {
    static const double a[2] = {1, -0.5}, c[2] = {0.5, 0.7};
    xnor_value_id y = affine(sums(2), a, c, 2);
    double weights[2 * K];
    const xnor_node *layer = graph_find(&b.graph, XNOR_OP_MATMUL);
    for (size_t i = 0; i < 2 * K; i++) // [K, 2] as it was written
        weights[i % 2 * K + i / 2] = graph_constant(&b.graph, layer, 1, i);
    builder_output(&b, y, "real"); // of the same sums: one layer has to do
    finish(sign(y), 2);
    cr_assert_eq(graph_count(&b.graph, XNOR_OP_XNOR_LINEAR), 2, "and the layer behind");
    const xnor_node *node = graph_find(&b.graph, XNOR_OP_THRESHOLD);
    cr_assert_eq(graph_constant(&b.graph, node, 1, 0), 0);
    // -0.5·acc + 0.7 > 0 when acc <= 1, that is 0: of the negated sum, 0 and more.
    cr_assert_eq(graph_constant(&b.graph, node, 1, 1), 0);
    layer = &b.graph.nodes[xnor_graph_producer(&b.graph, node->inputs[0])];
    for (size_t i = 0; i < 2 * K; i++)
        cr_assert_eq(graph_constant(&b.graph, layer, 1, i), weights[i] * (i < K ? 1 : -1));
}

Test(threshold, constant_channels_are_thresholds_at_the_ends) {
    static const double a[2] = {0, 0}, c[2] = {0.5, -0.5};
    finish(sign(affine(sums(2), a, c, 2)), 2);
    const xnor_node *node = graph_find(&b.graph, XNOR_OP_THRESHOLD);
    cr_assert_leq(graph_constant(&b.graph, node, 1, 0), -K);
    cr_assert_gt(graph_constant(&b.graph, node, 1, 1), K);
}

Test(threshold, activations_between_do_not_matter) {
    static const double a[3] = {0.5, -2, 1}, c[3] = {-0.3, 1.1, 0.3}, d[3] = {0.25, -0.25, -0.5};
    xnor_value_id y = affine(sums(3), a, c, 3);
    y = NODE(&b, XNOR_OP_CLIP, y, builder_floats(&b, SCALAR, D(-1)),
             builder_floats(&b, SCALAR, D(1)));
    y = NODE(&b, XNOR_OP_LEAKY_RELU, NODE(&b, XNOR_OP_TANH, y));
    finish(sign(affine(y, a, d, 3)), 3);
    graph_find(&b.graph, XNOR_OP_THRESHOLD);
    cr_assert_eq(graph_count(&b.graph, XNOR_OP_CLIP), 0);
    cr_assert_eq(graph_count(&b.graph, XNOR_OP_TANH), 0);
}

// Entry of the one table: sign of channel `channel` at sum `acc`.
static double entry(size_t channel, int acc) {
    const xnor_node *node = graph_find(&b.graph, XNOR_OP_TABLE);
    return graph_constant(&b.graph, node, 1, channel * (2 * K + 1) + (size_t)(acc + K)) - 1;
}

// Checks that the one threshold has two limits, and the sign that they give sum `acc`.
static void expect_ternary(size_t channel, int acc, int expected) {
    const xnor_node *node = graph_find(&b.graph, XNOR_OP_THRESHOLD);
    cr_assert_eq(node->input_count, 3);
    cr_assert_eq(b.graph.values[node->outputs[0]].dtype, XNOR_TERNARY);
    int sign = acc >= graph_constant(&b.graph, node, 1, channel)   ? 1
               : acc >= graph_constant(&b.graph, node, 2, channel) ? 0
                                                                   : -1;
    cr_assert_eq(sign, expected, "channel %zu, sum %d", channel, acc);
}

Test(threshold, exact_zeros_make_a_second_limit) {
    finish(sign(sums(2)), 2);
    for (int acc = -K; acc <= K; acc += 2) expect_ternary(1, acc, (acc > 0) - (acc < 0));
}

Test(threshold, exact_zeros_of_falling_channels) {
    static const double a[3] = {-1, 2, 0}, c[3] = {2, -4, 0};
    finish(sign(affine(sums(3), a, c, 3)), 3);
    for (int acc = -K; acc <= K; acc += 2) {
        expect_ternary(0, acc, (acc > -2) - (acc < -2)); // of the negated sum
        expect_ternary(1, acc, (acc > 2) - (acc < 2));
        expect_ternary(2, acc, 0);
    }
}

Test(threshold, no_zero_at_sums_that_cannot_occur) {
    static const double a[2] = {1, 1}, c[2] = {1, 3}; // 0 only at odd sums
    finish(sign(affine(sums(2), a, c, 2)), 2);
    cr_assert_eq(graph_count(&b.graph, XNOR_OP_TABLE), 0);
    cr_assert_eq(graph_constant(&b.graph, graph_find(&b.graph, XNOR_OP_THRESHOLD), 1, 1), -2);
}

Test(threshold, an_absolute_value_is_zero_or_one) {
    static const double a[2] = {1, -1}, c[2] = {2, 0};
    finish(sign(NODE(&b, XNOR_OP_ABS, affine(sums(2), a, c, 2))), 2);
    for (int acc = -K; acc <= K; acc += 2) {
        cr_assert_eq(entry(0, acc), acc != -2);
        cr_assert_eq(entry(1, acc), acc != 0);
    }
}

// {0, 1} activations are a threshold with half of the scale and a shift behind it.
Test(threshold, a_rectified_sign_is_one_threshold) {
    static const double a[2] = {1, -1}, c[2] = {0, 2};
    finish(sign(NODE(&b, XNOR_OP_RELU, affine(sums(2), a, c, 2))), 2);
    const xnor_node *node = graph_find(&b.graph, XNOR_OP_THRESHOLD);
    cr_assert_eq(graph_constant(&b.graph, node, 1, 0), 2, "0 is not positive");
    cr_assert_eq(graph_constant(&b.graph, node, 1, 1), 0, "negated sums");
}

Test(threshold, several_crossings_make_a_table_of_bits) {
    xnor_value_id y = NODE(&b, XNOR_OP_ABS, sums(2));
    static const double limits[2] = {3, 5};
    y = NODE(&b, XNOR_OP_SUB, y, builder_floats(&b, SHAPE(2), limits, 2));
    finish(sign(y), 2);
    const xnor_node *node = graph_find(&b.graph, XNOR_OP_TABLE);
    cr_assert_eq(b.graph.values[node->outputs[0]].dtype, XNOR_BITS);
    for (size_t c = 0; c < 2; c++)
        for (int acc = -K; acc <= K; acc += 2)
            cr_assert_eq(entry(c, acc), fabs((double)acc) > limits[c] ? 1 : -1);
}

Test(threshold, ternary_inputs_reach_every_sum) {
    xnor_value_id ternary = sign(builder_input(&b, "x", XNOR_F32, SHAPE(-1, K)));
    xnor_value_id w = builder_floats(&b, SHAPE(K, 1), D(1, -1, 1, 1, -1, 1));
    xnor_value_id y = NODE(&b, XNOR_OP_ADD, NODE(&b, XNOR_OP_MATMUL, ternary, w),
                           builder_floats(&b, SHAPE(1), D(1)));
    finish(sign(y), 1);
    for (int acc = -K; acc <= K; acc++) expect_ternary(0, acc, (acc + 1 > 0) - (acc + 1 < 0));
}

Test(threshold, views_in_the_chain_go_behind_it) {
    static const double a[2] = {1, -1}, c[2] = {0.5, 0.5};
    xnor_value_id y = NODE(&b, XNOR_OP_RESHAPE, sums(2), builder_ints(&b, I(3, -1, 2)));
    finish(sign(affine(y, a, c, 2)), 2);
    const xnor_node *node = graph_find(&b.graph, XNOR_OP_THRESHOLD);
    cr_assert_eq(b.graph.nodes[xnor_graph_producer(&b.graph, node->inputs[0])].op,
                 XNOR_OP_XNOR_LINEAR);
}

Test(threshold, a_truncation_is_not_evaluated_in_double) {
    static const double a[2] = {0.25, -0.25}, c[2] = {0.1, 0.1};
    xnor_value_id y = NODE(&b, XNOR_OP_CAST, affine(sums(2), a, c, 2));
    builder_attr(&b, XNOR_ATTR_TO, I(XNOR_I64));
    y = NODE(&b, XNOR_OP_CAST, y);
    builder_attr(&b, XNOR_ATTR_TO, I(XNOR_F32));
    finish(sign(y), 2); // compares results: int(0.25·2 + 0.1) is 0, its sign too
    cr_assert_eq(graph_count(&b.graph, XNOR_OP_CAST), 2);
}
