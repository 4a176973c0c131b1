#include "passes/sign.h"

#include <math.h>
#include <stdlib.h>

#include "core/tensor.h"
#include "passes/chain.h"

// ---- functions before the sign ------------------------------------------------------------------

// What a function makes of the classes x < 0, x = 0 and x > 0: -1, 0 and +1 again.
typedef struct classes {
    int of[3];
} classes;

static const classes unchanged = {{-1, 0, 1}};

static bool equals(const classes *a, const classes *b) {
    return a->of[0] == b->of[0] && a->of[1] == b->of[1] && a->of[2] == b->of[2];
}

static bool clip_bounds(const xnor_graph *graph, const xnor_node *node, double *low, double *high) {
    *low = xnor_node_float(node, XNOR_ATTR_MIN, -INFINITY);
    *high = xnor_node_float(node, XNOR_ATTR_MAX, INFINITY);
    for (uint32_t k = 1; k < node->input_count; k++) {
        if (node->inputs[k] == XNOR_NO_VALUE) continue;
        if (!xnor_is_constant(graph, node->inputs[k])) return false;
        *(k == 1 ? low : high) = xnor_constant_get(graph, node->inputs[k], 0);
    }
    return true;
}

// y = scale·x with factors of one sign: that sign, else 0.
static int sign_of_factors(const xnor_graph *graph, const xnor_node *affine) {
    int sign = 0;
    if (!xnor_is_per_channel(graph, affine)) return 0;
    for (size_t i = 0; i < xnor_constant_count(graph, affine->inputs[1]); i++) {
        double scale = xnor_constant_get(graph, affine->inputs[1], i);
        int own = (scale > 0) - (scale < 0);
        if (own == 0 || (i && own != sign) || xnor_constant_get(graph, affine->inputs[2], i) != 0)
            return 0;
        sign = own;
    }
    return sign;
}

// Functions of one input whose result's class depends on the class of that input only.
static bool classify(const xnor_graph *graph, const xnor_node *node, classes *out) {
    double low, high;
    *out = unchanged;
    switch (node->op) {
    case XNOR_OP_TANH:
    case XNOR_OP_ERF:
    case XNOR_OP_IDENTITY:
    case XNOR_OP_SIGN:
        return true;
    case XNOR_OP_LEAKY_RELU:
        return xnor_node_float(node, XNOR_ATTR_ALPHA, 0.01) > 0;
    case XNOR_OP_ELU:
        return xnor_node_float(node, XNOR_ATTR_ALPHA, 1) > 0;
    case XNOR_OP_RELU:
        out->of[0] = 0;
        return true;
    case XNOR_OP_NEG:
        *out = (classes){{1, 0, -1}};
        return true;
    case XNOR_OP_CLIP:
        if (!clip_bounds(graph, node, &low, &high) || low > 0 || high < 0) return false;
        if (low == 0) out->of[0] = 0;
        if (high == 0) out->of[2] = 0;
        return true;
    case XNOR_OP_AFFINE: {
        int sign = sign_of_factors(graph, node);
        if (sign < 0) *out = (classes){{1, 0, -1}};
        return sign != 0;
    }
    default:
        return false;
    }
}

static bool preserves_sign(const xnor_graph *graph, const xnor_node *node) {
    classes c;
    return node->op != XNOR_OP_SIGN && classify(graph, node, &c) && equals(&c, &unchanged);
}

xnor_value_id xnor_before_sign(const xnor_graph *graph, xnor_value_id x) {
    for (;;) {
        uint32_t producer = xnor_graph_producer(graph, x);
        if (producer == UINT32_MAX || !preserves_sign(graph, &graph->nodes[producer])) return x;
        x = graph->nodes[producer].inputs[0];
    }
}

// ---- what is made of the sign -------------------------------------------------------------------

enum { MAX_NODES = 24 };

typedef struct function {
    xnor_value_id x;           // what the steps look at
    uint32_t nodes[MAX_NODES]; // indices, ascending
    uint32_t count;
} function;

static bool is_scalar_zero(const xnor_graph *graph, xnor_value_id id) {
    return xnor_is_constant(graph, id) && xnor_constant_count(graph, id) == 1 &&
           xnor_constant_get(graph, id, 0) == 0;
}

// Nodes that see of x no more than its class.
static bool is_step(const xnor_graph *graph, const xnor_node *node) {
    static const xnor_op comparisons[] = {XNOR_OP_GREATER_OR_EQUAL, XNOR_OP_GREATER,
                                          XNOR_OP_LESS_OR_EQUAL, XNOR_OP_LESS, XNOR_OP_EQUAL};
    if (node->op == XNOR_OP_SIGN) return true;
    for (size_t i = 0; i < sizeof comparisons / sizeof *comparisons; i++)
        if (comparisons[i] == node->op) return is_scalar_zero(graph, node->inputs[1]);
    return false;
}

// Operators between a step and the result: element-wise, everything else constant per channel.
static bool is_inner(const xnor_graph *graph, const xnor_node *node, const xnor_shape *shape) {
    if (!(xnor_op_lookup(node->op)->flags & XNOR_ELEMENTWISE) && node->op != XNOR_OP_AFFINE)
        return false;
    const xnor_value *y = &graph->values[node->outputs[0]];
    // Truncation is not what evaluation in double does.
    if (node->op == XNOR_OP_CAST && y->dtype != XNOR_F32 && y->dtype != XNOR_BOOL &&
        graph->values[node->inputs[0]].dtype != XNOR_BOOL)
        return false;
    for (uint32_t k = 0; k < node->input_count; k++) {
        xnor_value_id id = node->inputs[k];
        if (id == XNOR_NO_VALUE) continue;
        bool fits = xnor_is_constant(graph, id)
                        ? xnor_constant_along(graph, id, shape->rank, shape->rank - 1)
                        : xnor_shape_equal(&graph->values[id].shape, shape);
        if (!fits) return false;
    }
    return xnor_shape_equal(&y->shape, shape);
}

// Adds a node once, in order.
static bool add_node(function *f, uint32_t node) {
    uint32_t at = 0;
    while (at < f->count && f->nodes[at] < node) at++;
    if (at < f->count && f->nodes[at] == node) return true;
    if (f->count == MAX_NODES) return false;
    for (uint32_t i = f->count++; i > at; i--) f->nodes[i] = f->nodes[i - 1];
    f->nodes[at] = node;
    return true;
}

// Collects the nodes between the steps and `value`; all steps must look at the same x.
static bool collect(const xnor_graph *graph, xnor_value_id value, function *f) {
    const xnor_shape *shape = &graph->values[value].shape;
    xnor_value_id open[MAX_NODES * 3] = {value};
    uint32_t count = 1;
    *f = (function){.x = XNOR_NO_VALUE};
    if (shape->rank == 0 || xnor_shape_last(shape) < 1) return false;
    while (count) {
        uint32_t producer = xnor_graph_producer(graph, open[--count]);
        if (producer == UINT32_MAX) return false;
        const xnor_node *node = &graph->nodes[producer];
        if (!add_node(f, producer) || !is_inner(graph, node, shape)) return false;
        if (is_step(graph, node)) {
            if (f->x != XNOR_NO_VALUE && f->x != node->inputs[0]) return false;
            f->x = node->inputs[0];
            continue;
        }
        for (uint32_t k = 0; k < node->input_count; k++) {
            xnor_value_id id = node->inputs[k];
            if (id == XNOR_NO_VALUE || xnor_is_constant(graph, id)) continue;
            if (count == sizeof open / sizeof *open) return false;
            open[count++] = id;
        }
    }
    return f->x != XNOR_NO_VALUE;
}

// Evaluates the function for one x of each class in `c`: y is [3, channels].
// work: (nodes + 1)·3·channels numbers, of which the last result is *y.
static xnor_status evaluate(const xnor_graph *graph, const function *f, const classes *c,
                            size_t channels, double *work, const double **y) {
    const xnor_shape grid = {2, {3, (int64_t)channels}};
    for (size_t i = 0; i < 3 * channels; i++) work[i] = c->of[i / channels];
    for (uint32_t i = 0; i < f->count; i++) {
        const xnor_node *node = &graph->nodes[f->nodes[i]];
        xnor_tensor in[XNOR_MAX_INPUTS] = {{0}};
        xnor_tensor out = {XNOR_F64, grid, work + (i + 1) * 3 * channels};
        for (uint32_t k = 0; k < node->input_count; k++) {
            xnor_value_id id = node->inputs[k];
            if (id == XNOR_NO_VALUE) continue;
            const xnor_value *value = &graph->values[id];
            if (value->data) {
                xnor_shape vector = {1, {(int64_t)xnor_constant_count(graph, id)}};
                in[k] = (xnor_tensor){value->dtype, vector, value->data};
                continue;
            }
            uint32_t from = 0; // x itself
            for (uint32_t j = 0; j < i; j++)
                if (graph->nodes[f->nodes[j]].outputs[0] == id) from = j + 1;
            in[k] = (xnor_tensor){XNOR_F64, grid, work + from * 3 * channels};
        }
        XNOR_TRY(xnor_op_lookup(node->op)->eval(node, in, &out));
    }
    *y = work + f->count * 3 * channels;
    return XNOR_OK;
}

// Writes y [3, channels] as scale·s + shift. A channel whose value is the same for x < 0 and x > 0
// is none.
static bool decompose(const double *y, size_t channels, double *zero, double *scale,
                      double *shift) {
    for (size_t c = 0; c < channels; c++) {
        double negative = y[c], middle = y[channels + c], positive = y[2 * channels + c];
        scale[c] = (positive - negative) / 2;
        shift[c] = (positive + negative) / 2;
        double own = middle == positive ? 1 : middle == negative ? -1 : 0;
        if (!isfinite(scale[c]) || !isfinite(shift[c]) || scale[c] == 0) return false;
        if ((own == 0 && middle != shift[c]) || (c && own != *zero)) return false;
        *zero = own;
    }
    return true;
}

// Looks for the earliest x that the classes of what the steps look at depend on; `exact`: by
// functions that keep the class only.
static xnor_value_id find_root(const xnor_graph *graph, xnor_value_id x, bool exact,
                               classes *seen) {
    *seen = unchanged;
    for (;;) {
        classes own, before = *seen;
        uint32_t producer = xnor_graph_producer(graph, x);
        if (producer == UINT32_MAX || !classify(graph, &graph->nodes[producer], &own)) return x;
        if (exact && !preserves_sign(graph, &graph->nodes[producer])) return x;
        for (int i = 0; i < 3; i++) seen->of[i] = before.of[own.of[i] + 1];
        x = graph->nodes[producer].inputs[0];
    }
}

static xnor_status find_with(xnor_graph *graph, const function *f, size_t channels, double *work,
                             xnor_sign *out, bool *found) {
    double *scale = xnor_arena_alloc(&graph->arena, channels * sizeof *scale);
    double *shift = xnor_arena_alloc(&graph->arena, channels * sizeof *shift);
    if (!scale || !shift) return xnor_fail(XNOR_E_MEMORY, "sign: out of memory");
    // Rectified before >= 0 it is always +1: a sign of the rectified value only.
    for (int exact = 0; exact < 2 && !*found; exact++) {
        classes seen;
        const double *y;
        *out = (xnor_sign){find_root(graph, f->x, exact, &seen), 0, scale, shift};
        XNOR_TRY(evaluate(graph, f, &seen, channels, work, &y));
        *found = decompose(y, channels, &out->zero, scale, shift);
    }
    return XNOR_OK;
}

xnor_status xnor_sign_find(xnor_graph *graph, xnor_value_id value, xnor_sign *out, bool *found) {
    function f;
    *found = false;
    if (!collect(graph, value, &f)) return XNOR_OK;
    size_t channels = (size_t)xnor_shape_last(&graph->values[value].shape);
    double *work = calloc((f.count + 1) * 3 * channels, sizeof *work);
    if (!work) return xnor_fail(XNOR_E_MEMORY, "sign: out of memory");
    xnor_status status = find_with(graph, &f, channels, work, out, found);
    free(work);
    return status;
}

// ---- where zeros can be -------------------------------------------------------------------------

static bool all_nonzero(const xnor_graph *graph, xnor_value_id id) {
    if (!xnor_is_constant(graph, id)) return false;
    for (size_t i = 0; i < xnor_constant_count(graph, id); i++)
        if (xnor_constant_get(graph, id, i) == 0) return false;
    return true;
}

// A product or quotient of two variables, one of which is real, takes any value.
static bool multiplies(const xnor_graph *graph, const xnor_node *node, const bool *discrete) {
    if (node->op == XNOR_OP_LINEAR || node->op == XNOR_OP_MATMUL) return true;
    if (node->op != XNOR_OP_MUL && node->op != XNOR_OP_DIV) return false;
    for (uint32_t k = 0; k < 2; k++)
        if (!xnor_is_constant(graph, node->inputs[k]) && !discrete[node->inputs[k]]) return true;
    return false;
}

// True when x is put together from integer sums without a product between: it takes few values, and
// a residual with scales that are powers of two does meet 0.
static bool is_discrete(const xnor_graph *graph, xnor_value_id x) {
    bool *discrete = calloc(graph->value_count, sizeof *discrete);
    if (!discrete) return true; // costs time, not exactness
    for (uint32_t i = 0; i < graph->value_count; i++)
        discrete[i] = graph->values[i].dtype == XNOR_ACC;
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const xnor_node *node = &graph->nodes[i];
        bool product = node->output_count == 0 || multiplies(graph, node, discrete);
        for (uint32_t k = 0; !product && k < node->input_count; k++) {
            if (node->inputs[k] == XNOR_NO_VALUE || !discrete[node->inputs[k]]) continue;
            for (uint32_t j = 0; j < node->output_count; j++) discrete[node->outputs[j]] = true;
        }
    }
    bool result = discrete[x];
    free(discrete);
    return result;
}

// Can x be exactly 0? A real sum that ends with a non-zero trained offset is not (up to rounding,
// where no runtime agrees with another); everything else may be. Rectified values, differences,
// raw coordinates and sums without offset are zero in practice.
static bool can_be_zero(const xnor_graph *graph, xnor_value_id x) {
    for (uint32_t steps = 0; steps <= graph->node_count; steps++) {
        uint32_t producer = xnor_graph_producer(graph, x);
        if (producer == UINT32_MAX) return true;
        const xnor_node *node = &graph->nodes[producer];
        const xnor_op_info *info = xnor_op_lookup(node->op);
        if (node->op == XNOR_OP_AFFINE && all_nonzero(graph, node->inputs[2]))
            return is_discrete(graph, node->inputs[0]);
        if (node->op == XNOR_OP_LINEAR && node->input_count > 2 &&
            all_nonzero(graph, node->inputs[2]))
            return false;
        // A product with a real matrix is 0 where its left rows are.
        bool through = preserves_sign(graph, node) || info->flags & XNOR_VIEW ||
                       node->op == XNOR_OP_TRANSPOSE || node->op == XNOR_OP_MATMUL;
        if (!through) return true;
        x = node->inputs[0];
    }
    return true;
}

bool xnor_comes_from_acc(const xnor_graph *graph, xnor_value_id x) {
    for (uint32_t steps = 0; steps <= graph->node_count; steps++) {
        if (graph->values[x].dtype == XNOR_ACC) return true;
        uint32_t producer = xnor_graph_producer(graph, x);
        if (producer == UINT32_MAX) return false;
        const xnor_node *node = &graph->nodes[producer];
        bool reduces = node->op == XNOR_OP_REDUCE_MAX || node->op == XNOR_OP_REDUCE_MIN;
        if (!reduces && !xnor_is_per_channel(graph, node) && !xnor_keeps_channels(graph, node))
            return false;
        x = node->inputs[reduces ? 0 : xnor_chain_input(graph, node)];
    }
    return false;
}

double xnor_sign_of_zero(const xnor_graph *graph, xnor_value_id x, double zero) {
    return !xnor_comes_from_acc(graph, x) && !can_be_zero(graph, x) ? 1 : zero;
}
