// Element-wise operators: unary functions, broadcast binary functions, Clip, Where, Cast.
#include "ops/ops.h"

#include <math.h>

#include "core/tensor.h"

// ---- unary: one table of scalar functions -------------------------------------------------------

#define UNARY(name, expression)                                                                    \
    static double name(double x, const xnor_node *node) {                                          \
        (void)node;                                                                                \
        return expression;                                                                         \
    }
#define ALPHA(fallback) xnor_node_float(node, XNOR_ATTR_ALPHA, fallback)
#define BETA(fallback) xnor_node_float(node, XNOR_ATTR_BETA, fallback)
#define GAMMA(fallback) xnor_node_float(node, XNOR_ATTR_GAMMA, fallback)

UNARY(unary_abs, fabs(x))
UNARY(unary_ceil, ceil(x))
UNARY(unary_elu, x < 0 ? ALPHA(1) * expm1(x) : x)
UNARY(unary_erf, erf(x))
UNARY(unary_exp, exp(x))
UNARY(unary_floor, floor(x))
UNARY(unary_hard_sigmoid, fmin(1, fmax(0, ALPHA(0.2) * x + BETA(0.5))))
UNARY(unary_hard_swish, x *fmin(1, fmax(0, x / 6 + 0.5)))
UNARY(unary_leaky_relu, x < 0 ? ALPHA(0.01) * x : x)
UNARY(unary_log, log(x))
UNARY(unary_neg, -x)
UNARY(unary_not, x == 0)
UNARY(unary_reciprocal, 1 / x)
UNARY(unary_relu, x > 0 || isnan(x) ? x : 0)
UNARY(unary_round, nearbyint(x)) // half to even
UNARY(unary_selu,
      GAMMA(1.05070102214813232421875) * (x > 0 ? x : ALPHA(1.67326319217681884765625) * expm1(x)))
UNARY(unary_sigmoid, x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x)))
UNARY(unary_sign, (double)((x > 0) - (x < 0)))
UNARY(unary_softplus, fmax(x, 0) + log1p(exp(-fabs(x))))
UNARY(unary_sqrt, sqrt(x))
UNARY(unary_tanh, tanh(x))
UNARY(unary_same, x)

static const struct {
    xnor_op op;
    xnor_unary_function function;
} unary_functions[] = {
    {XNOR_OP_ABS, unary_abs},
    {XNOR_OP_CAST, unary_same},
    {XNOR_OP_CEIL, unary_ceil},
    {XNOR_OP_ELU, unary_elu},
    {XNOR_OP_ERF, unary_erf},
    {XNOR_OP_EXP, unary_exp},
    {XNOR_OP_FLOOR, unary_floor},
    {XNOR_OP_HARD_SIGMOID, unary_hard_sigmoid},
    {XNOR_OP_HARD_SWISH, unary_hard_swish},
    {XNOR_OP_LEAKY_RELU, unary_leaky_relu},
    {XNOR_OP_LOG, unary_log},
    {XNOR_OP_NEG, unary_neg},
    {XNOR_OP_NOT, unary_not},
    {XNOR_OP_RECIPROCAL, unary_reciprocal},
    {XNOR_OP_RELU, unary_relu},
    {XNOR_OP_ROUND, unary_round},
    {XNOR_OP_SELU, unary_selu},
    {XNOR_OP_SIGMOID, unary_sigmoid},
    {XNOR_OP_SIGN, unary_sign},
    {XNOR_OP_SOFTPLUS, unary_softplus},
    {XNOR_OP_SQRT, unary_sqrt},
    {XNOR_OP_TANH, unary_tanh},
};

static xnor_status infer_same(xnor_graph *graph, const xnor_node *node) {
    const xnor_value *x = xnor_in(graph, node, 0);
    return xnor_set_output(graph, node, 0, x->dtype, &x->shape);
}

// Accumulators and signs become float as soon as a real-valued function is applied.
static xnor_dtype real_dtype(xnor_dtype dtype) {
    return dtype == XNOR_ACC || dtype == XNOR_BITS || dtype == XNOR_TERNARY ? XNOR_F32 : dtype;
}

static xnor_status infer_unary(xnor_graph *graph, const xnor_node *node) {
    const xnor_value *x = xnor_in(graph, node, 0);
    return xnor_set_output(graph, node, 0, real_dtype(x->dtype), &x->shape);
}

static xnor_status infer_cast(xnor_graph *graph, const xnor_node *node) {
    int64_t to = xnor_node_int(node, XNOR_ATTR_TO, XNOR_F32);
    if (to < 0 || to >= XNOR_DTYPE_COUNT || to == XNOR_BITS || to == XNOR_TERNARY || to == XNOR_ACC)
        return xnor_fail(XNOR_E_DTYPE, "node '%s': Cast to datatype %lld is not supported",
                         node->name, (long long)to);
    const xnor_value *x = xnor_in(graph, node, 0);
    // A constant that folding holds in double stays there: the target only says "real".
    xnor_dtype dtype =
        to == XNOR_F32 && x->dtype == XNOR_F64 && x->data ? XNOR_F64 : (xnor_dtype)to;
    return xnor_set_output(graph, node, 0, dtype, &x->shape);
}

xnor_unary_function xnor_unary_of(xnor_op op) {
    for (size_t i = 0; i < sizeof unary_functions / sizeof *unary_functions; i++)
        if (unary_functions[i].op == op) return unary_functions[i].function;
    return NULL;
}

static xnor_status eval_unary(const xnor_node *node, const xnor_tensor *in, xnor_tensor *out) {
    xnor_unary_function function = xnor_unary_of(node->op);
    size_t count = xnor_tensor_count(&out[0]);
    for (size_t i = 0; i < count; i++)
        if (function == unary_same) // exact for integers
            xnor_tensor_move(&out[0], i, &in[0], i);
        else
            xnor_tensor_set(&out[0], i, function(xnor_tensor_get(&in[0], i), node));
    return XNOR_OK;
}

// ---- binary: one table of scalar functions ------------------------------------------------------

typedef double (*binary_function)(double a, double b);

#define BINARY(name, expression)                                                                   \
    static double name(double a, double b) {                                                       \
        return expression;                                                                         \
    }
BINARY(binary_add, a + b)
BINARY(binary_and, a != 0 && b != 0)
BINARY(binary_div, a / b)
BINARY(binary_equal, a == b)
BINARY(binary_greater, a > b)
BINARY(binary_greater_or_equal, a >= b)
BINARY(binary_less, a < b)
BINARY(binary_less_or_equal, a <= b)
BINARY(binary_max, isnan(a) || isnan(b) ? NAN : a > b ? a : b)
BINARY(binary_min, isnan(a) || isnan(b) ? NAN : a < b ? a : b)
BINARY(binary_mul, a *b)
BINARY(binary_or, a != 0 || b != 0)
BINARY(binary_pow, pow(a, b))
BINARY(binary_prelu, a < 0 ? a * b : a)
BINARY(binary_sub, a - b)
BINARY(binary_xor, (a != 0) != (b != 0))

static const struct {
    xnor_op op;
    binary_function function;
    bool truth; // the result is a bool
} binary_functions[] = {
    {XNOR_OP_ADD, binary_add, false},
    {XNOR_OP_AND, binary_and, true},
    {XNOR_OP_DIV, binary_div, false},
    {XNOR_OP_EQUAL, binary_equal, true},
    {XNOR_OP_GREATER, binary_greater, true},
    {XNOR_OP_GREATER_OR_EQUAL, binary_greater_or_equal, true},
    {XNOR_OP_LESS, binary_less, true},
    {XNOR_OP_LESS_OR_EQUAL, binary_less_or_equal, true},
    {XNOR_OP_MAX, binary_max, false},
    {XNOR_OP_MEAN, binary_add, false},
    {XNOR_OP_MIN, binary_min, false},
    {XNOR_OP_MUL, binary_mul, false},
    {XNOR_OP_OR, binary_or, true},
    {XNOR_OP_POW, binary_pow, false},
    {XNOR_OP_PRELU, binary_prelu, false},
    {XNOR_OP_SUB, binary_sub, false},
    {XNOR_OP_SUM, binary_add, false},
    {XNOR_OP_XOR, binary_xor, true},
};

static size_t binary_row(xnor_op op) {
    size_t i = 0;
    while (binary_functions[i].op != op) i++;
    return i;
}

// Float if any operand is; double only when all are (constants being folded).
static xnor_dtype arithmetic_dtype(const xnor_graph *graph, const xnor_node *node, uint32_t first) {
    xnor_dtype result = real_dtype(xnor_in(graph, node, first)->dtype);
    for (uint32_t i = first + 1; i < node->input_count; i++) {
        const xnor_value *value = xnor_in(graph, node, i);
        if (!value) continue;
        xnor_dtype dtype = real_dtype(value->dtype);
        if (dtype == XNOR_F32 || (dtype == XNOR_F64 && result != XNOR_F32)) result = dtype;
    }
    return result;
}

static xnor_status infer_binary(xnor_graph *graph, const xnor_node *node) {
    xnor_shape shape = xnor_in(graph, node, 0)->shape;
    for (uint32_t i = 1; i < node->input_count; i++) {
        const xnor_value *operand = xnor_in(graph, node, i);
        if (!operand)
            return xnor_fail(XNOR_E_FORMAT, "node '%s' (%s): input %u is missing", node->name,
                             xnor_op_name(node->op), i);
        XNOR_TRY(xnor_broadcast(node, &shape, &operand->shape, &shape));
    }
    bool truth = binary_functions[binary_row(node->op)].truth;
    xnor_dtype dtype = node->op == XNOR_OP_POW ? real_dtype(xnor_in(graph, node, 0)->dtype)
                                               : arithmetic_dtype(graph, node, 0);
    return xnor_set_output(graph, node, 0, truth ? XNOR_BOOL : dtype, &shape);
}

static double divide_integers(double a, double b) {
    return b == 0 ? 0 : trunc(a / b); // ONNX leaves division by zero undefined
}

static xnor_status eval_binary(const xnor_node *node, const xnor_tensor *in, xnor_tensor *out) {
    binary_function function = binary_functions[binary_row(node->op)].function;
    bool integer = out[0].dtype == XNOR_I64 || out[0].dtype == XNOR_I32;
    if (node->op == XNOR_OP_DIV && integer) function = divide_integers;
    size_t count = xnor_tensor_count(&out[0]);
    // Variadic operators fold their operands from the left, element by element.
    xnor_walk walks[XNOR_MAX_INPUTS];
    for (uint32_t k = 0; k < node->input_count; k++) {
        xnor_walk_init(&walks[k], &out[0].shape);
        xnor_walk_add(&walks[k], &in[k].shape);
    }
    for (size_t i = 0; i < count; i++) {
        double value = 0;
        for (uint32_t k = 0; k < node->input_count; k++) {
            double operand = xnor_tensor_get(&in[k], (size_t)walks[k].offset[0]);
            value = k ? function(value, operand) : operand;
            xnor_walk_next(&walks[k]);
        }
        if (node->op == XNOR_OP_MEAN) value /= node->input_count;
        xnor_tensor_set(&out[0], i, value);
    }
    return XNOR_OK;
}

// ---- Clip, Where --------------------------------------------------------------------------------

static xnor_status eval_clip(const xnor_node *node, const xnor_tensor *in, xnor_tensor *out) {
    double low = xnor_node_float(node, XNOR_ATTR_MIN, -INFINITY);
    double high = xnor_node_float(node, XNOR_ATTR_MAX, INFINITY);
    if (node->input_count > 1 && in[1].data) low = xnor_tensor_get(&in[1], 0);
    if (node->input_count > 2 && in[2].data) high = xnor_tensor_get(&in[2], 0);
    size_t count = xnor_tensor_count(&out[0]);
    for (size_t i = 0; i < count; i++) {
        double x = xnor_tensor_get(&in[0], i);
        x = x < low ? low : x;
        xnor_tensor_set(&out[0], i, x > high ? high : x);
    }
    return XNOR_OK;
}

static xnor_status infer_where(xnor_graph *graph, const xnor_node *node) {
    xnor_shape shape;
    XNOR_TRY(xnor_broadcast(node, &xnor_in(graph, node, 1)->shape, &xnor_in(graph, node, 2)->shape,
                            &shape));
    XNOR_TRY(xnor_broadcast(node, &xnor_in(graph, node, 0)->shape, &shape, &shape));
    return xnor_set_output(graph, node, 0, arithmetic_dtype(graph, node, 1), &shape);
}

static xnor_status eval_where(const xnor_node *node, const xnor_tensor *in, xnor_tensor *out) {
    (void)node;
    xnor_walk walk;
    xnor_walk_init(&walk, &out[0].shape);
    for (int k = 0; k < 3; k++) xnor_walk_add(&walk, &in[k].shape);
    size_t count = xnor_tensor_count(&out[0]);
    for (size_t i = 0; i < count; i++, xnor_walk_next(&walk)) {
        int pick = xnor_tensor_get(&in[0], (size_t)walk.offset[0]) != 0 ? 1 : 2;
        xnor_tensor_set(&out[0], i, xnor_tensor_get(&in[pick], (size_t)walk.offset[pick]));
    }
    return XNOR_OK;
}

#define UNARY_ROW(id)                                                                              \
    {                                                                                              \
        XNOR_OP_##id, {                                                                            \
            1, 1, 1, XNOR_ELEMENTWISE, infer_unary, eval_unary                                     \
        }                                                                                          \
    }
#define BINARY_ROW(id)                                                                             \
    {                                                                                              \
        XNOR_OP_##id, {                                                                            \
            2, 2, 1, XNOR_ELEMENTWISE, infer_binary, eval_binary                                   \
        }                                                                                          \
    }
#define VARIADIC_ROW(id)                                                                           \
    {                                                                                              \
        XNOR_OP_##id, {                                                                            \
            1, XNOR_MAX_INPUTS, 1, XNOR_ELEMENTWISE, infer_binary, eval_binary                     \
        }                                                                                          \
    }

const xnor_op_row xnor_ops_elementwise[] = {
    UNARY_ROW(ABS),
    {XNOR_OP_CAST, {1, 1, 1, XNOR_ELEMENTWISE | XNOR_MOVES, infer_cast, eval_unary}},
    UNARY_ROW(CEIL),
    UNARY_ROW(ELU),
    UNARY_ROW(ERF),
    UNARY_ROW(EXP),
    UNARY_ROW(FLOOR),
    UNARY_ROW(HARD_SIGMOID),
    UNARY_ROW(HARD_SWISH),
    UNARY_ROW(LEAKY_RELU),
    UNARY_ROW(LOG),
    UNARY_ROW(NEG),
    {XNOR_OP_NOT, {1, 1, 1, XNOR_ELEMENTWISE, infer_same, eval_unary}},
    UNARY_ROW(RECIPROCAL),
    UNARY_ROW(RELU),
    UNARY_ROW(ROUND),
    UNARY_ROW(SELU),
    UNARY_ROW(SIGMOID),
    UNARY_ROW(SIGN),
    UNARY_ROW(SOFTPLUS),
    UNARY_ROW(SQRT),
    UNARY_ROW(TANH),
    BINARY_ROW(ADD),
    BINARY_ROW(AND),
    BINARY_ROW(DIV),
    BINARY_ROW(EQUAL),
    BINARY_ROW(GREATER),
    BINARY_ROW(GREATER_OR_EQUAL),
    BINARY_ROW(LESS),
    BINARY_ROW(LESS_OR_EQUAL),
    BINARY_ROW(MUL),
    BINARY_ROW(OR),
    BINARY_ROW(POW),
    BINARY_ROW(PRELU),
    BINARY_ROW(SUB),
    BINARY_ROW(XOR),
    VARIADIC_ROW(MAX),
    VARIADIC_ROW(MEAN),
    VARIADIC_ROW(MIN),
    VARIADIC_ROW(SUM),
    {XNOR_OP_CLIP, {1, 3, 1, XNOR_ELEMENTWISE, infer_unary, eval_clip}},
    {XNOR_OP_WHERE, {3, 3, 1, XNOR_ELEMENTWISE, infer_where, eval_where}},
    XNOR_OPS_END,
};
