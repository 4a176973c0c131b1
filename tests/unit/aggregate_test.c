#include <criterion/criterion.h>

#include "graph_builder.h"
#include "passes/passes.h"

enum { K = 6, N = 3 };

static builder b;
static tensors inputs;

static void begin(void) {
    builder_init(&b, 1);
}

static void end(void) {
    tensors_free(&inputs);
    builder_free(&b);
}

TestSuite(aggregate, .init = begin, .fini = end);

// Integer sums [batch, points, N] of signs that are never 0.
static xnor_value_id sums(void) {
    double weights[K * N], half[K];
    for (int i = 0; i < K * N; i++) weights[i] = i * 5 % 7 < 3 ? -1 : 1;
    for (int i = 0; i < K; i++) half[i] = 0.125;
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(-1, 5, K));
    x = NODE(&b, XNOR_OP_ADD, x, builder_floats(&b, SHAPE(K), half, K));
    return NODE(&b, XNOR_OP_MATMUL, NODE(&b, XNOR_OP_SIGN, x),
                builder_floats(&b, SHAPE(K, N), weights, K * N));
}

static xnor_value_id scaled(xnor_value_id x, const double *scale) {
    x = NODE(&b, XNOR_OP_MUL, x, builder_floats(&b, SHAPE(N), scale, N));
    return NODE(&b, XNOR_OP_ADD, x, builder_floats(&b, SHAPE(N), D(0.5, -1, 0.25)));
}

static xnor_value_id reduce(xnor_op op, xnor_value_id x, int64_t axis, bool keep) {
    xnor_value_id y = NODE(&b, op, x);
    builder_attr(&b, XNOR_ATTR_AXES, I(axis));
    builder_attr(&b, XNOR_ATTR_KEEPDIMS, I(keep));
    return y;
}

static void aggregate(xnor_value_id y) {
    builder_output(&b, y, "y");
    builder_inputs(&b, 2, &inputs);
    builder_pass(&b, xnor_pass_canonicalise, &inputs);
    builder_pass(&b, xnor_pass_binarize, &inputs);
    builder_pass(&b, xnor_pass_aggregate, &inputs);
}

// The maximum is taken on the sums of an integer layer.
static void expect_integer_maximum(void) {
    const xnor_node *max = graph_find(&b.graph, XNOR_OP_REDUCE_MAX);
    cr_assert_eq(b.graph.values[max->outputs[0]].dtype, XNOR_ACC);
    cr_assert_eq(graph_count(&b.graph, XNOR_OP_REDUCE_MIN), 0);
}

static const double rising[N] = {0.5, 1, 2}, mixed[N] = {0.5, -1, -2};

Test(aggregate, maximum_moves_before_a_rising_chain) {
    xnor_value_id y = NODE(&b, XNOR_OP_TANH, scaled(sums(), rising));
    aggregate(reduce(XNOR_OP_REDUCE_MAX, y, 1, false));
    expect_integer_maximum();
    cr_assert_eq(graph_count(&b.graph, XNOR_OP_XNOR_LINEAR), 1);
}

Test(aggregate, falling_channels_get_negated_weights) {
    aggregate(reduce(XNOR_OP_REDUCE_MAX, scaled(sums(), mixed), 1, true));
    expect_integer_maximum();
    const xnor_node *layer = graph_find(&b.graph, XNOR_OP_XNOR_LINEAR);
    for (size_t c = 0; c < N; c++)
        for (size_t l = 0; l < K; l++) {
            double weight = (l * N + c) * 5 % 7 < 3 ? -1 : 1;
            cr_assert_eq(graph_constant(&b.graph, layer, 1, c * K + l), c == 0 ? weight : -weight);
        }
}

Test(aggregate, minimum_is_a_maximum_of_negated_sums) {
    aggregate(reduce(XNOR_OP_REDUCE_MIN, scaled(sums(), mixed), 1, false));
    expect_integer_maximum();
}

Test(aggregate, an_entropy_maximizing_offset_does_not_hinder) {
    xnor_value_id y =
        NODE(&b, XNOR_OP_ADD, scaled(sums(), mixed), builder_floats(&b, SCALAR, D(-3.2041)));
    aggregate(reduce(XNOR_OP_REDUCE_MAX, y, 1, false));
    expect_integer_maximum();
}

Test(aggregate, constants_of_high_rank_still_fit_behind_the_maximum) {
    xnor_value_id slope = builder_floats(&b, SHAPE(1, 1, N), D(0.5, 0.25, 2));
    xnor_value_id y = NODE(&b, XNOR_OP_PRELU, scaled(sums(), rising), slope);
    xnor_value_id max = reduce(XNOR_OP_REDUCE_MAX, y, 1, false);
    aggregate(max);
    expect_integer_maximum();
    cr_assert_eq(b.graph.values[b.graph.outputs[0]].shape.rank, 2);
}

Test(aggregate, views_in_the_chain_are_applied_to_the_sums) {
    xnor_value_id y = NODE(&b, XNOR_OP_RESHAPE, scaled(sums(), mixed), builder_ints(&b, I(-1, N)));
    y = NODE(&b, XNOR_OP_RESHAPE, NODE(&b, XNOR_OP_TANH, y), builder_ints(&b, I(-1, 5, N)));
    aggregate(reduce(XNOR_OP_REDUCE_MAX, y, 1, false));
    expect_integer_maximum();
}

Test(aggregate, a_chain_that_rises_and_falls_stays) {
    xnor_value_id y = NODE(&b, XNOR_OP_ABS, sums());
    aggregate(reduce(XNOR_OP_REDUCE_MAX, y, 1, false));
    cr_assert_eq(b.graph.values[graph_find(&b.graph, XNOR_OP_REDUCE_MAX)->outputs[0]].dtype,
                 XNOR_F32);
}

Test(aggregate, a_maximum_over_channels_stays) {
    aggregate(reduce(XNOR_OP_REDUCE_MAX, scaled(sums(), rising), 2, false));
    cr_assert_eq(b.graph.values[graph_find(&b.graph, XNOR_OP_REDUCE_MAX)->outputs[0]].dtype,
                 XNOR_F32);
}

Test(aggregate, a_mean_stays) {
    aggregate(reduce(XNOR_OP_REDUCE_MEAN, scaled(sums(), rising), 1, false));
    cr_assert_eq(graph_count(&b.graph, XNOR_OP_REDUCE_MEAN), 1);
}

Test(aggregate, other_users_keep_the_sums_as_they_were) {
    xnor_value_id y = scaled(sums(), mixed);
    builder_output(&b, y, "points");
    aggregate(reduce(XNOR_OP_REDUCE_MAX, y, 1, false));
    expect_integer_maximum();
    cr_assert_eq(graph_count(&b.graph, XNOR_OP_XNOR_LINEAR), 2, "one with negated weights");
}
