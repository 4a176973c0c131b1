// Element-wise operators and products. Expected values are worked out by hand from the ONNX
// specification.
#include <criterion/criterion.h>
#include <math.h>

#include "graph_builder.h"
#include "ops/ops.h"

static builder b;

static void begin(void) {
    builder_init(&b, 1);
}

static void end(void) {
    builder_free(&b);
}

TestSuite(ops, .init = begin, .fini = end);

Test(ops, every_operator_has_a_shape_rule_and_a_reference) {
    for (int op = 0; op < XNOR_OP_COUNT; op++) {
        const xnor_op_info *info = xnor_op_lookup((xnor_op)op);
        cr_assert_not_null(info, "%s", xnor_op_name((xnor_op)op));
        cr_assert(info->infer && info->eval, "%s", xnor_op_name((xnor_op)op));
        cr_assert_leq(info->min_inputs, info->max_inputs);
        cr_assert_leq(info->max_inputs, XNOR_MAX_INPUTS);
        cr_assert_leq(info->max_outputs, XNOR_MAX_OUTPUTS);
        cr_assert_eq(xnor_op_find(xnor_op_name((xnor_op)op)), (xnor_op)op);
    }
    cr_assert_null(xnor_op_lookup(XNOR_OP_COUNT));
    cr_assert_eq(xnor_op_find("Sing"), XNOR_OP_COUNT);
}

// Function values at -1.5, -0.5, 0, 0.5 and 2.5.
#define UNARY(test, op, ...)                                                                       \
    Test(ops, test) {                                                                              \
        xnor_value_id x = builder_floats(&b, SHAPE(5), D(-1.5, -0.5, 0, 0.5, 2.5));                \
        builder_expect(&b, NODE(&b, XNOR_OP_##op, x), SHAPE(5), D(__VA_ARGS__));                   \
    }
UNARY(abs, ABS, 1.5, 0.5, 0, 0.5, 2.5)
UNARY(ceil, CEIL, -1, 0, 0, 1, 3)
UNARY(elu, ELU, -0.7768698398515702, -0.3934693402873666, 0, 0.5, 2.5)
UNARY(erf, ERF, -0.9661051464753108, -0.5204998778130465, 0, 0.5204998778130465, 0.9995930479825550)
UNARY(exp, EXP, 0.22313016014842982, 0.6065306597126334, 1, 1.6487212707001282, 12.182493960703473)
UNARY(floor, FLOOR, -2, -1, 0, 0, 2)
UNARY(hard_sigmoid, HARD_SIGMOID, 0.2, 0.4, 0.5, 0.6, 1)
UNARY(hard_swish, HARD_SWISH, -0.375, -0.20833333333333334, 0, 0.2916666666666667,
      2.2916666666666665)
UNARY(identity, IDENTITY, -1.5, -0.5, 0, 0.5, 2.5)
UNARY(leaky_relu, LEAKY_RELU, -0.015, -0.005, 0, 0.5, 2.5)
UNARY(neg, NEG, 1.5, 0.5, 0, -0.5, -2.5)
UNARY(reciprocal, RECIPROCAL, -2.0 / 3, -2, INFINITY, 2, 0.4)
UNARY(relu, RELU, 0, 0, 0, 0.5, 2.5)
UNARY(round_takes_halves_to_even, ROUND, -2, 0, 0, 0, 2)
UNARY(selu, SELU, -1.3658142, -0.6917582, 0, 0.5253505, 2.6267526)
UNARY(sigmoid, SIGMOID, 0.18242552380635635, 0.3775406687981454, 0.5, 0.6224593312018546,
      0.9241418199787566)
UNARY(sign_of_zero_is_zero, SIGN, -1, -1, 0, 1, 1)
UNARY(softplus, SOFTPLUS, 0.20141327798275246, 0.4740769841801067, 0.6931471805599453,
      0.9740769841801067, 2.5788897342925496)
UNARY(tanh, TANH, -0.9051482536448664, -0.46211715726000973, 0, 0.46211715726000973,
      0.9866142981514303)

Test(ops, log_and_square_root) {
    xnor_value_id x = builder_floats(&b, SHAPE(3), D(0.25, 1, 2.25));
    builder_expect(&b, NODE(&b, XNOR_OP_SQRT, x), SHAPE(3), D(0.5, 1, 1.5));
    builder_expect(&b, NODE(&b, XNOR_OP_LOG, x), SHAPE(3), D(-1.3862943611198906, 0, 0.8109302162));
}

Test(ops, parameters_of_activations) {
    xnor_value_id x = builder_floats(&b, SHAPE(3), D(-2, 0, 4));
    xnor_value_id leaky = NODE(&b, XNOR_OP_LEAKY_RELU, x);
    builder_attr_float(&b, XNOR_ATTR_ALPHA, -0.5);
    builder_expect(&b, leaky, SHAPE(3), D(1, 0, 4));
    xnor_value_id sigmoid = NODE(&b, XNOR_OP_HARD_SIGMOID, x);
    builder_attr_float(&b, XNOR_ATTR_ALPHA, 0.125);
    builder_attr_float(&b, XNOR_ATTR_BETA, 0.25);
    builder_expect(&b, sigmoid, SHAPE(3), D(0, 0.25, 0.75));
    xnor_value_id elu = NODE(&b, XNOR_OP_ELU, x);
    builder_attr_float(&b, XNOR_ATTR_ALPHA, 2);
    builder_expect(&b, elu, SHAPE(3), D(2 * (0.1353352832366127 - 1), 0, 4));
}

Test(ops, arithmetic_broadcasts_both_ways) {
    xnor_value_id column = builder_floats(&b, SHAPE(2, 1), D(10, 20));
    xnor_value_id row = builder_floats(&b, SHAPE(3), D(1, 2, 4));
    builder_expect(&b, NODE(&b, XNOR_OP_ADD, column, row), SHAPE(2, 3), D(11, 12, 14, 21, 22, 24));
    builder_expect(&b, NODE(&b, XNOR_OP_SUB, row, column), SHAPE(2, 3),
                   D(-9, -8, -6, -19, -18, -16));
    builder_expect(&b, NODE(&b, XNOR_OP_MUL, column, row), SHAPE(2, 3), D(10, 20, 40, 20, 40, 80));
    builder_expect(&b, NODE(&b, XNOR_OP_DIV, column, row), SHAPE(2, 3), D(10, 5, 2.5, 20, 10, 5));
    builder_expect(&b, NODE(&b, XNOR_OP_POW, row, row), SHAPE(3), D(1, 4, 256));
}

Test(ops, addition_of_shapes_that_end_alike) {
    xnor_value_id x = builder_floats(&b, SHAPE(2, 2, 2), D(1, 2, 3, 4, 5, 6, 7, 8));
    xnor_value_id matrix = builder_floats(&b, SHAPE(1, 2, 2), D(10, 20, 30, 40));
    xnor_value_id middle = builder_floats(&b, SHAPE(2, 1), D(100, 200));
    xnor_value_id one = builder_floats(&b, SHAPE(1, 1, 1), D(0.5));
    builder_expect(&b, NODE(&b, XNOR_OP_ADD, matrix, x), SHAPE(2, 2, 2),
                   D(11, 22, 33, 44, 15, 26, 37, 48));
    builder_expect(&b, NODE(&b, XNOR_OP_ADD, x, middle), SHAPE(2, 2, 2),
                   D(101, 102, 203, 204, 105, 106, 207, 208));
    builder_expect(&b, NODE(&b, XNOR_OP_ADD, x, one), SHAPE(2, 2, 2),
                   D(1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5));
    builder_expect(&b, NODE(&b, XNOR_OP_ADD, x, x), SHAPE(2, 2, 2), D(2, 4, 6, 8, 10, 12, 14, 16));
}

Test(ops, division_of_integers_truncates) {
    xnor_value_id x = builder_ints(&b, I(7, -7, 7, -7));
    xnor_value_id y = builder_ints(&b, I(2, 2, -2, -2));
    builder_expect(&b, NODE(&b, XNOR_OP_DIV, x, y), SHAPE(4), D(3, -3, -3, 3));
}

Test(ops, variadic_operators_take_one_to_many) {
    xnor_value_id x = builder_floats(&b, SHAPE(2), D(1, 5));
    xnor_value_id y = builder_floats(&b, SHAPE(2), D(4, -2));
    xnor_value_id z = builder_floats(&b, SHAPE(1), D(4));
    builder_expect(&b, NODE(&b, XNOR_OP_SUM, x, y, z), SHAPE(2), D(9, 7));
    builder_expect(&b, NODE(&b, XNOR_OP_MEAN, x, y, z), SHAPE(2), D(3, 7.0 / 3));
    builder_expect(&b, NODE(&b, XNOR_OP_MAX, x, y, z), SHAPE(2), D(4, 5));
    builder_expect(&b, NODE(&b, XNOR_OP_MIN, x, y, z), SHAPE(2), D(1, -2));
    builder_expect(&b, NODE(&b, XNOR_OP_MAX, x), SHAPE(2), D(1, 5));
}

Test(ops, comparisons_and_logic) {
    xnor_value_id x = builder_floats(&b, SHAPE(3), D(1, 2, 3));
    xnor_value_id y = builder_floats(&b, SHAPE(3), D(2, 2, 2));
    xnor_value_id less = NODE(&b, XNOR_OP_LESS, x, y), more = NODE(&b, XNOR_OP_GREATER, x, y);
    builder_expect(&b, less, SHAPE(3), D(1, 0, 0));
    builder_expect(&b, more, SHAPE(3), D(0, 0, 1));
    builder_expect(&b, NODE(&b, XNOR_OP_LESS_OR_EQUAL, x, y), SHAPE(3), D(1, 1, 0));
    builder_expect(&b, NODE(&b, XNOR_OP_GREATER_OR_EQUAL, x, y), SHAPE(3), D(0, 1, 1));
    builder_expect(&b, NODE(&b, XNOR_OP_EQUAL, x, y), SHAPE(3), D(0, 1, 0));
    builder_expect(&b, NODE(&b, XNOR_OP_OR, less, more), SHAPE(3), D(1, 0, 1));
    builder_expect(&b, NODE(&b, XNOR_OP_AND, less, more), SHAPE(3), D(0, 0, 0));
    builder_expect(&b, NODE(&b, XNOR_OP_XOR, less, NODE(&b, XNOR_OP_NOT, more)), SHAPE(3),
                   D(0, 1, 0));
}

Test(ops, clip_without_one_of_its_bounds) {
    xnor_value_id x = builder_floats(&b, SHAPE(4), D(-3, -1, 1, 3));
    xnor_value_id low = builder_floats(&b, SCALAR, D(-2)), high = builder_floats(&b, SCALAR, D(2));
    builder_expect(&b, NODE(&b, XNOR_OP_CLIP, x), SHAPE(4), D(-3, -1, 1, 3));
    builder_expect(&b, NODE(&b, XNOR_OP_CLIP, x, low), SHAPE(4), D(-2, -1, 1, 3));
    builder_expect(&b, NODE(&b, XNOR_OP_CLIP, x, XNOR_NO_VALUE, high), SHAPE(4), D(-3, -1, 1, 2));
    builder_expect(&b, NODE(&b, XNOR_OP_CLIP, x, low, high), SHAPE(4), D(-2, -1, 1, 2));
    xnor_value_id old = NODE(&b, XNOR_OP_CLIP, x);
    builder_attr_float(&b, XNOR_ATTR_MAX, 0.5);
    builder_expect(&b, old, SHAPE(4), D(-3, -1, 0.5, 0.5));
}

Test(ops, prelu_scales_negative_elements_by_channel) {
    xnor_value_id x = builder_floats(&b, SHAPE(1, 2, 3), D(-1, 2, -3, -4, 5, -6));
    xnor_value_id slope = builder_floats(&b, SHAPE(2, 1), D(0.5, -2));
    builder_expect(&b, NODE(&b, XNOR_OP_PRELU, x, slope), SHAPE(1, 2, 3),
                   D(-0.5, 2, -1.5, 8, 5, 12));
}

Test(ops, where_broadcasts_three_operands) {
    xnor_value_id condition = builder_tensor(&b, XNOR_BOOL, SHAPE(2, 1), D(1, 0));
    xnor_value_id x = builder_floats(&b, SHAPE(3), D(1, 2, 3));
    xnor_value_id y = builder_floats(&b, SHAPE(1, 1), D(9));
    builder_expect(&b, NODE(&b, XNOR_OP_WHERE, condition, x, y), SHAPE(2, 3), D(1, 2, 3, 9, 9, 9));
}

Test(ops, cast_truncates_towards_zero) {
    xnor_value_id x = builder_floats(&b, SHAPE(4), D(-1.7, -0.2, 0, 2.9));
    xnor_value_id ints = NODE(&b, XNOR_OP_CAST, x);
    builder_attr(&b, XNOR_ATTR_TO, I(XNOR_I64));
    builder_expect(&b, ints, SHAPE(4), D(-1, 0, 0, 2));
    xnor_value_id truths = NODE(&b, XNOR_OP_CAST, x);
    builder_attr(&b, XNOR_ATTR_TO, I(XNOR_BOOL));
    builder_expect(&b, truths, SHAPE(4), D(1, 1, 0, 1));
    xnor_value_id back = NODE(&b, XNOR_OP_CAST, truths);
    builder_attr(&b, XNOR_ATTR_TO, I(XNOR_F32));
    builder_expect(&b, back, SHAPE(4), D(1, 1, 0, 1));
}

Test(ops, shapes_that_do_not_broadcast_name_the_node) {
    xnor_value_id x = builder_floats(&b, SHAPE(2, 3), D(1, 2, 3, 4, 5, 6));
    xnor_value_id y = builder_floats(&b, SHAPE(2), D(1, 2));
    builder_expect_error(&b, NODE(&b, XNOR_OP_ADD, x, y), XNOR_E_SHAPE,
                         "'/Add_0' (Add): shapes [2, 3] and [2] do not broadcast");
}

Test(ops, a_missing_operand_is_refused) {
    xnor_value_id x = builder_floats(&b, SHAPE(2), D(1, 2));
    xnor_value_id y = builder_node(&b, XNOR_OP_SUM, (xnor_value_id[]){x, XNOR_NO_VALUE}, 2, 1);
    builder_expect_error(&b, y, XNOR_E_FORMAT, "'/Sum_0' (Sum): input 1 is missing");
}

Test(ops, too_few_inputs_are_refused) {
    xnor_value_id x = builder_floats(&b, SHAPE(2), D(1, 2));
    builder_expect_error(&b, NODE(&b, XNOR_OP_ADD, x), XNOR_E_FORMAT,
                         "expected 2 to 2 inputs, found 1");
}

Test(ops, matmul_of_matrices_vectors_and_batches) {
    xnor_value_id m = builder_floats(&b, SHAPE(2, 3), D(1, 2, 3, 4, 5, 6));
    xnor_value_id v = builder_floats(&b, SHAPE(3), D(1, 0, -1));
    xnor_value_id batch = builder_floats(&b, SHAPE(2, 3, 1), D(1, 1, 1, 2, 0, 0));
    builder_expect(&b, NODE(&b, XNOR_OP_MATMUL, m, v), SHAPE(2), D(-2, -2));
    builder_expect(&b, NODE(&b, XNOR_OP_MATMUL, v, v), SCALAR, D(2));
    builder_expect(&b, NODE(&b, XNOR_OP_MATMUL, m, batch), SHAPE(2, 2, 1), D(6, 15, 2, 8));
    xnor_value_id right = builder_floats(&b, SHAPE(2, 1, 2), D(1, -1, 0, 3));
    builder_expect(&b, NODE(&b, XNOR_OP_MATMUL, batch, right), SHAPE(2, 3, 2),
                   D(1, -1, 1, -1, 1, -1, 0, 6, 0, 0, 0, 0));
    builder_expect_error(&b, NODE(&b, XNOR_OP_MATMUL, m, m), XNOR_E_SHAPE,
                         "(MatMul): [2, 3] by [2, 3]");
}

Test(ops, gemm_transposes_and_scales) {
    xnor_value_id x = builder_floats(&b, SHAPE(3, 2), D(1, 4, 2, 5, 3, 6));
    xnor_value_id w = builder_floats(&b, SHAPE(2, 3), D(1, 0, 1, 0, 1, 0));
    xnor_value_id c = builder_floats(&b, SHAPE(2, 1), D(10, 20));
    xnor_value_id y = NODE(&b, XNOR_OP_GEMM, x, w, c);
    builder_attr(&b, XNOR_ATTR_TRANS_A, I(1));
    builder_attr(&b, XNOR_ATTR_TRANS_B, I(1));
    builder_attr_float(&b, XNOR_ATTR_ALPHA, 2);
    builder_attr_float(&b, XNOR_ATTR_BETA, 0.5);
    // xᵀ·wᵀ = [[1+3, 2], [4+6, 5]]
    builder_expect(&b, y, SHAPE(2, 2), D(8 + 5, 4 + 5, 20 + 10, 10 + 10));
    xnor_value_id plain = NODE(&b, XNOR_OP_GEMM, w, x);
    builder_expect(&b, plain, SHAPE(2, 2), D(4, 10, 2, 5));
}

Test(ops, gemm_refuses_ranks_and_sizes) {
    xnor_value_id x = builder_floats(&b, SHAPE(2, 2), D(1, 2, 3, 4));
    xnor_value_id v = builder_floats(&b, SHAPE(3), D(1, 2, 3));
    builder_expect_error(&b, NODE(&b, XNOR_OP_GEMM, x, v), XNOR_E_SHAPE, "'/Gemm_0' (Gemm)");
    b.graph.node_count = 0;
    builder_expect_error(&b, NODE(&b, XNOR_OP_GEMM, x, x, v), XNOR_E_SHAPE, "'/Gemm_0' (Gemm)");
}
