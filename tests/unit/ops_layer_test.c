// Convolutions, normalisations, reductions and the operators of binary layers. Expected values are
// worked out by hand.
#include <criterion/criterion.h>
#include <math.h>

#include "core/tensor.h"
#include "graph_builder.h"

static builder b;

static void begin(void) {
    builder_init(&b, 1);
}

static void end(void) {
    builder_free(&b);
}

TestSuite(ops_layer, .init = begin, .fini = end);

// ---- convolutions -------------------------------------------------------------------------------

Test(ops_layer, conv1d_with_padding_stride_and_bias) {
    xnor_value_id x = builder_floats(&b, SHAPE(1, 1, 5), D(1, 2, 3, 4, 5));
    xnor_value_id w = builder_floats(&b, SHAPE(1, 1, 3), D(1, 0, -1));
    xnor_value_id bias = builder_floats(&b, SHAPE(1), D(0.5));
    xnor_value_id y = NODE(&b, XNOR_OP_CONV, x, w, bias);
    builder_attr(&b, XNOR_ATTR_PADS, I(1, 1));
    builder_attr(&b, XNOR_ATTR_STRIDES, I(2));
    // taps (0, 1, 2), (2, 3, 4), (4, 5, 0)
    builder_expect(&b, y, SHAPE(1, 1, 3), D(-1.5, -1.5, 4.5));
    xnor_value_id uneven = NODE(&b, XNOR_OP_CONV, x, w);
    builder_attr(&b, XNOR_ATTR_PADS, I(0, 2));
    builder_expect(&b, uneven, SHAPE(1, 1, 5), D(-2, -2, -2, 4, 5));
}

Test(ops_layer, conv1d_dilated) {
    xnor_value_id x = builder_floats(&b, SHAPE(1, 1, 5), D(1, 2, 3, 4, 5));
    xnor_value_id w = builder_floats(&b, SHAPE(1, 1, 2), D(10, 1));
    xnor_value_id y = NODE(&b, XNOR_OP_CONV, x, w);
    builder_attr(&b, XNOR_ATTR_DILATIONS, I(3));
    builder_expect(&b, y, SHAPE(1, 1, 2), D(14, 25));
}

Test(ops_layer, conv2d_sums_channels_and_taps) {
    xnor_value_id x = builder_floats(&b, SHAPE(1, 2, 2, 2), D(1, 2, 3, 4, 5, 6, 7, 8));
    xnor_value_id w = builder_floats(&b, SHAPE(1, 2, 2, 2), D(1, 0, 0, 1, 0, 1, 1, 0));
    builder_expect(&b, NODE(&b, XNOR_OP_CONV, x, w), SHAPE(1, 1, 1, 1), D(1 + 4 + 6 + 7));
    xnor_value_id padded = NODE(&b, XNOR_OP_CONV, x, w);
    builder_attr(&b, XNOR_ATTR_PADS, I(1, 0, 0, 0));
    // Above the first row only the lower taps see data: 1·x[0][1] + 1·x[1][0] with x of row 0.
    builder_expect(&b, padded, SHAPE(1, 1, 2, 1), D(2 + 5, 18));
}

Test(ops_layer, conv_in_groups) {
    xnor_value_id x = builder_floats(&b, SHAPE(1, 4, 2), D(1, 2, 3, 4, 5, 6, 9, 8));
    xnor_value_id w = builder_floats(&b, SHAPE(2, 2, 1), D(1, 10, 1, -1));
    xnor_value_id y = NODE(&b, XNOR_OP_CONV, x, w);
    builder_attr(&b, XNOR_ATTR_GROUP, I(2));
    builder_expect(&b, y, SHAPE(1, 2, 2), D(31, 42, -4, -2));
}

Test(ops_layer, conv_of_kernel_one_is_a_product_over_channels) {
    xnor_value_id x = builder_floats(&b, SHAPE(2, 2, 2), D(1, 2, 3, 4, 5, 6, 7, 8));
    xnor_value_id w = builder_floats(&b, SHAPE(3, 2, 1), D(1, 0, 0, 1, 1, 1));
    xnor_value_id bias = builder_floats(&b, SHAPE(3), D(0, 0, 100));
    builder_expect(&b, NODE(&b, XNOR_OP_CONV, x, w, bias), SHAPE(2, 3, 2),
                   D(1, 2, 3, 4, 104, 106, 5, 6, 7, 8, 112, 114));
}

Test(ops_layer, conv_refuses_channels_that_do_not_fit) {
    xnor_value_id x = builder_floats(&b, SHAPE(1, 3, 2), D(1, 2, 3, 4, 5, 6));
    xnor_value_id w = builder_floats(&b, SHAPE(1, 2, 1), D(1, 1));
    builder_expect_error(&b, NODE(&b, XNOR_OP_CONV, x, w), XNOR_E_SHAPE,
                         "'/Conv_0' (Conv): input [1, 3, 2], weight [1, 2, 1], 1 groups");
}

Test(ops_layer, conv_refuses_a_bias_of_another_length) {
    xnor_value_id x = builder_floats(&b, SHAPE(1, 1, 2), D(1, 2));
    xnor_value_id w = builder_floats(&b, SHAPE(2, 1, 1), D(1, 1));
    xnor_value_id bias = builder_floats(&b, SHAPE(1), D(1));
    builder_expect_error(&b, NODE(&b, XNOR_OP_CONV, x, w, bias), XNOR_E_SHAPE, "'/Conv_0' (Conv)");
}

Test(ops_layer, conv_refuses_a_kernel_larger_than_the_input) {
    xnor_value_id x = builder_floats(&b, SHAPE(1, 1, 2), D(1, 2));
    xnor_value_id w = builder_floats(&b, SHAPE(1, 1, 3), D(1, 1, 1));
    builder_expect_error(&b, NODE(&b, XNOR_OP_CONV, x, w), XNOR_E_SHAPE,
                         "the window is larger than the input");
}

// Every element gives 1, 2, 3 times itself to three neighbours, two apart.
Test(ops_layer, transposed_conv_adds_windows_that_overlap) {
    xnor_value_id x = builder_floats(&b, SHAPE(1, 1, 3), D(1, 10, 100));
    xnor_value_id w = builder_floats(&b, SHAPE(1, 1, 3), D(1, 2, 3));
    xnor_value_id y = NODE(&b, XNOR_OP_CONV_TRANSPOSE, x, w);
    builder_attr(&b, XNOR_ATTR_STRIDES, I(2));
    builder_expect(&b, y, SHAPE(1, 1, 7), D(1, 2, 13, 20, 130, 200, 300));
    xnor_value_id cut = NODE(&b, XNOR_OP_CONV_TRANSPOSE, x, w, builder_floats(&b, SHAPE(1), D(5)));
    builder_attr(&b, XNOR_ATTR_STRIDES, I(2));
    builder_attr(&b, XNOR_ATTR_PADS, I(1, 2));
    builder_attr(&b, XNOR_ATTR_OUTPUT_PADDING, I(1));
    builder_expect(&b, cut, SHAPE(1, 1, 5), D(7, 18, 25, 135, 205));
}

Test(ops_layer, transposed_conv_of_groups_and_dilations) {
    // Two groups of one channel, each to two: 1 and 2 of the first, 3 and 4 of the second.
    xnor_value_id x = builder_floats(&b, SHAPE(1, 2, 1, 2), D(1, 2, 10, 20));
    xnor_value_id w = builder_floats(&b, SHAPE(2, 2, 1, 2), D(1, 5, 2, 6, 3, 7, 4, 8));
    xnor_value_id y = NODE(&b, XNOR_OP_CONV_TRANSPOSE, x, w);
    builder_attr(&b, XNOR_ATTR_GROUP, I(2));
    builder_attr(&b, XNOR_ATTR_DILATIONS, I(1, 2));
    builder_expect(&b, y, SHAPE(1, 4, 1, 4),
                   D(1, 2, 5, 10, 2, 4, 6, 12, 30, 60, 70, 140, 40, 80, 80, 160));
}

Test(ops_layer, transposed_conv_refuses_a_bias_of_another_length) {
    xnor_value_id x = builder_floats(&b, SHAPE(1, 1, 2), D(1, 2));
    xnor_value_id w = builder_floats(&b, SHAPE(1, 2, 1), D(1, 1));
    xnor_value_id bias = builder_floats(&b, SHAPE(1), D(1));
    builder_expect_error(&b, NODE(&b, XNOR_OP_CONV_TRANSPOSE, x, w, bias), XNOR_E_SHAPE,
                         "expected a bias for 2 channels");
}

// ---- normalisations -----------------------------------------------------------------------------

Test(ops_layer, batch_normalization_per_channel) {
    xnor_value_id x = builder_floats(&b, SHAPE(1, 2, 2), D(1, 2, 3, 5));
    xnor_value_id scale = builder_floats(&b, SHAPE(2), D(2, -1));
    xnor_value_id bias = builder_floats(&b, SHAPE(2), D(10, 0));
    xnor_value_id mean = builder_floats(&b, SHAPE(2), D(1, 3));
    xnor_value_id variance = builder_floats(&b, SHAPE(2), D(0.25, 3));
    xnor_value_id y = NODE(&b, XNOR_OP_BATCH_NORMALIZATION, x, scale, bias, mean, variance);
    builder_attr_float(&b, XNOR_ATTR_EPSILON, 0);
    builder_expect(&b, y, SHAPE(1, 2, 2), D(10, 14, 0, -1.1547005383792515));
    xnor_value_id usual = NODE(&b, XNOR_OP_BATCH_NORMALIZATION, x, scale, bias, mean, variance);
    // ε = 1e-5: 2·1/√0.25001 and -2/√3.00001
    builder_expect(&b, usual, SHAPE(1, 2, 2), D(10, 13.999920002, 0, -1.154698614));
}

Test(ops_layer, softmax_along_the_last_axis_and_others) {
    xnor_value_id x = builder_floats(&b, SHAPE(2, 2), D(0, 0.6931471805599453, 1000, 1000));
    builder_expect(&b, NODE(&b, XNOR_OP_SOFTMAX, x), SHAPE(2, 2), D(1.0 / 3, 2.0 / 3, 0.5, 0.5));
    builder_expect(
        &b, NODE(&b, XNOR_OP_LOG_SOFTMAX, x), SHAPE(2, 2),
        D(-1.0986122886681098, -0.4054651081081644, -0.6931471805599453, -0.6931471805599453));
    xnor_value_id down = NODE(&b, XNOR_OP_SOFTMAX, x);
    builder_attr(&b, XNOR_ATTR_AXIS, I(0));
    builder_expect(&b, down, SHAPE(2, 2), D(0, 0, 1, 1));
}

// ---- reductions ---------------------------------------------------------------------------------

#define REDUCE(test, op, ...)                                                                      \
    Test(ops_layer, test) {                                                                        \
        xnor_value_id x = builder_floats(&b, SHAPE(2, 3), D(1, -2, 3, 4, 0, -6));                  \
        xnor_value_id y = NODE(&b, XNOR_OP_##op, x);                                               \
        builder_attr(&b, XNOR_ATTR_AXES, I(-1));                                                   \
        builder_attr(&b, XNOR_ATTR_KEEPDIMS, I(0));                                                \
        builder_expect(&b, y, SHAPE(2), D(__VA_ARGS__));                                           \
    }
REDUCE(reduce_l1, REDUCE_L1, 6, 10)
REDUCE(reduce_l2, REDUCE_L2, 3.7416573867739413, 7.211102550927978)
REDUCE(reduce_max, REDUCE_MAX, 3, 4)
REDUCE(reduce_mean, REDUCE_MEAN, 2.0 / 3, -2.0 / 3)
REDUCE(reduce_min, REDUCE_MIN, -2, -6)
REDUCE(reduce_prod, REDUCE_PROD, -6, 0)
REDUCE(reduce_sum, REDUCE_SUM, 2, -2)
REDUCE(reduce_sum_square, REDUCE_SUM_SQUARE, 14, 52)

Test(ops_layer, reductions_over_the_first_some_or_all_axes) {
    xnor_value_id x = builder_floats(&b, SHAPE(2, 2, 2), D(1, 2, 3, 4, 5, 6, 7, 8));
    xnor_value_id first = NODE(&b, XNOR_OP_REDUCE_MEAN, x);
    builder_attr(&b, XNOR_ATTR_AXES, I(0));
    builder_expect(&b, first, SHAPE(1, 2, 2), D(3, 4, 5, 6));
    xnor_value_id outer = NODE(&b, XNOR_OP_REDUCE_SUM, x, builder_ints(&b, I(0, 2)));
    builder_attr(&b, XNOR_ATTR_KEEPDIMS, I(0));
    builder_expect(&b, outer, SHAPE(2), D(14, 22));
    builder_expect(&b, NODE(&b, XNOR_OP_REDUCE_MAX, x), SHAPE(1, 1, 1), D(8));
    xnor_value_id scalar = NODE(&b, XNOR_OP_REDUCE_SUM, x);
    builder_attr(&b, XNOR_ATTR_KEEPDIMS, I(0));
    builder_expect(&b, scalar, SCALAR, D(36));
}

Test(ops_layer, global_pools_keep_batch_and_channels) {
    xnor_value_id x = builder_floats(&b, SHAPE(1, 2, 3), D(1, 2, 6, -1, -2, -6));
    builder_expect(&b, NODE(&b, XNOR_OP_GLOBAL_MAX_POOL, x), SHAPE(1, 2, 1), D(6, -1));
    builder_expect(&b, NODE(&b, XNOR_OP_GLOBAL_AVERAGE_POOL, x), SHAPE(1, 2, 1), D(3, -3));
}

Test(ops_layer, reductions_refuse_axes_outside_and_empty_axes) {
    xnor_value_id x = builder_floats(&b, SHAPE(2), D(1, 2));
    xnor_value_id y = NODE(&b, XNOR_OP_REDUCE_MAX, x);
    builder_attr(&b, XNOR_ATTR_AXES, I(1));
    builder_expect_error(&b, y, XNOR_E_SHAPE,
                         "'/ReduceMax_0' (ReduceMax): axis 1 is outside rank 1");
    b.graph.node_count = 0;
    xnor_value_id empty = builder_floats(&b, SHAPE(0), NULL, 0);
    builder_expect_error(&b, NODE(&b, XNOR_OP_REDUCE_MAX, empty), XNOR_E_SHAPE, "has no elements");
}

// ---- the compiler's own operators ---------------------------------------------------------------

Test(ops_layer, affine_scales_and_shifts_channels) {
    xnor_value_id x = builder_floats(&b, SHAPE(2, 2), D(1, 2, 3, 4));
    xnor_value_id scale = builder_floats(&b, SHAPE(2), D(2, -1));
    xnor_value_id shift = builder_floats(&b, SHAPE(2), D(0, 0.5));
    builder_expect(&b, NODE(&b, XNOR_OP_AFFINE, x, scale, shift), SHAPE(2, 2), D(2, -1.5, 6, -3.5));
}

Test(ops_layer, linear_adds_its_bias) {
    xnor_value_id x = builder_floats(&b, SHAPE(2, 1, 2), D(1, 2, 3, 4));
    xnor_value_id w = builder_tensor(&b, XNOR_F32, SHAPE(3, 2), D(1, 0, 0, 1, 1, -1));
    xnor_value_id bias = builder_floats(&b, SHAPE(3), D(10, 20, 30));
    builder_expect(&b, NODE(&b, XNOR_OP_LINEAR, x, w, bias), SHAPE(2, 1, 3),
                   D(11, 22, 29, 13, 24, 29));
}

// What a graph of packed values computes, by the reference.
static void expect_sums(xnor_value_id y, xnor_dtype dtype, const double *values, size_t count) {
    b.graph.output_count = 0;
    builder_output(&b, y, "y");
    cr_assert_eq(xnor_graph_verify(&b.graph), XNOR_OK, "%s", xnor_last_error());
    tensors outputs;
    builder_reference(&b.graph, NULL, &outputs);
    cr_assert_eq(outputs.items[0].dtype, dtype);
    cr_assert_eq(xnor_tensor_count(&outputs.items[0]), count);
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(xnor_tensor_get(&outputs.items[0], i), values[i], "element %zu is %g", i,
                     xnor_tensor_get(&outputs.items[0], i));
    tensors_free(&outputs);
}

static xnor_value_id binarize(xnor_value_id x, double zero) {
    xnor_value_id y = NODE(&b, XNOR_OP_BINARIZE, x);
    builder_attr_float(&b, XNOR_ATTR_ALPHA, zero);
    return y;
}

Test(ops_layer, binarize_gives_zero_the_value_it_is_told) {
    xnor_value_id x = builder_floats(&b, SHAPE(4), D(-0.0, 0, -3, 0.1));
    expect_sums(binarize(x, 1), XNOR_BITS, D(1, 1, -1, 1));
    expect_sums(binarize(x, -1), XNOR_BITS, D(-1, -1, -1, 1));
    expect_sums(binarize(x, 0), XNOR_TERNARY, D(0, 0, -1, 1));
}

Test(ops_layer, integer_linear_of_bits_and_of_ternary) {
    double values[2 * 70], weights[2 * 70];
    for (int i = 0; i < 140; i++) {
        values[i] = i % 3 - 1;
        weights[i] = i < 70 || i % 2 ? 1 : -1;
    }
    xnor_value_id x = builder_floats(&b, SHAPE(2, 70), values, 140);
    xnor_value_id w = builder_tensor(&b, XNOR_BITS, SHAPE(2, 70), weights, 140);
    // i % 3 = 0, 1, 2 for 24, 23, 23 of the first 70 elements and 23, 24, 23 of the others.
    double sums[4] = {0};
    for (int row = 0; row < 2; row++)
        for (int c = 0; c < 2; c++)
            for (int l = 0; l < 70; l++)
                sums[row * 2 + c] += values[row * 70 + l] * weights[c * 70 + l];
    cr_assert_eq(sums[0], 23 - 24);
    expect_sums(NODE(&b, XNOR_OP_XNOR_LINEAR, binarize(x, 0), w), XNOR_ACC, sums, 4);
    cr_assert_eq(b.graph.values[b.graph.outputs[0]].dtype, XNOR_ACC);
    for (int i = 0; i < 140; i++) values[i] = values[i] < 0 ? -1 : 1;
    for (int row = 0; row < 2; row++)
        for (int c = 0; c < 2; c++) {
            sums[row * 2 + c] = 0;
            for (int l = 0; l < 70; l++)
                sums[row * 2 + c] += values[row * 70 + l] * weights[c * 70 + l];
        }
    cr_assert_eq(sums[0], 23 + 23 - 24);
    expect_sums(NODE(&b, XNOR_OP_XNOR_LINEAR, binarize(x, 1), w), XNOR_ACC, sums, 4);
}

Test(ops_layer, thresholds_and_tables_turn_sums_into_signs) {
    xnor_value_id acc = builder_tensor(&b, XNOR_ACC, SHAPE(3, 2), D(-2, 2, 0, 0, 2, -2));
    xnor_value_id limits = builder_tensor(&b, XNOR_I32, SHAPE(2), D(0, 3));
    expect_sums(NODE(&b, XNOR_OP_THRESHOLD, acc, limits), XNOR_BITS, D(-1, -1, 1, -1, 1, -1));
    xnor_value_id zero = builder_tensor(&b, XNOR_I32, SHAPE(2), D(-1, 0));
    expect_sums(NODE(&b, XNOR_OP_THRESHOLD, acc, limits, zero), XNOR_TERNARY,
                D(-1, 0, 1, 0, 1, -1));
    xnor_value_id table = builder_tensor(&b, XNOR_U8, SHAPE(2, 5), D(2, 0, 1, 0, 2, 0, 0, 2, 2, 1));
    xnor_value_id signs = NODE(&b, XNOR_OP_TABLE, acc, table);
    builder_attr_float(&b, XNOR_ATTR_ALPHA, 0);
    expect_sums(signs, XNOR_TERNARY, D(1, 0, 0, 1, 1, -1));
}

Test(ops_layer, a_sum_outside_its_table_is_an_error) {
    xnor_value_id acc = builder_tensor(&b, XNOR_ACC, SHAPE(1), D(2));
    xnor_value_id table = builder_tensor(&b, XNOR_U8, SHAPE(1, 3), D(0, 1, 2));
    builder_expect_error(&b, NODE(&b, XNOR_OP_TABLE, acc, table), XNOR_E_INTERNAL,
                         "sum 2 exceeds 1");
}

Test(ops_layer, packed_rows_stay_whole) {
    xnor_value_id x = builder_tensor(&b, XNOR_BITS, SHAPE(2, 3), D(1, 1, 1, -1, -1, -1));
    builder_expect_error(&b, NODE(&b, XNOR_OP_RESHAPE, x, builder_ints(&b, I(6))), XNOR_E_SHAPE,
                         "packed rows of 3 cannot become rows of 6");
}

Test(ops_layer, integer_linear_refuses_floats) {
    xnor_value_id x = builder_floats(&b, SHAPE(1, 2), D(1, 2));
    xnor_value_id w = builder_tensor(&b, XNOR_BITS, SHAPE(1, 2), D(1, 1));
    builder_expect_error(&b, NODE(&b, XNOR_OP_XNOR_LINEAR, x, w), XNOR_E_DTYPE,
                         "expected bits or ternary by bits, found f32 by bits");
}
