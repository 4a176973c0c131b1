// Reductions over axes, and global pooling, which is a reduction over the spatial axes of [B, C,
// ...].
#include "ops/ops.h"

#include <math.h>

#include "core/tensor.h"

typedef struct reduction {
    xnor_op op;
    double start;
    double (*step)(double accumulator, double x);
    double (*finish)(double accumulator, double count);
} reduction;

static double add(double a, double x) {
    return a + x;
}
static double add_abs(double a, double x) {
    return a + fabs(x);
}
static double add_square(double a, double x) {
    return a + x * x;
}
static double multiply(double a, double x) {
    return a * x;
}
static double larger(double a, double x) {
    return isnan(x) || x > a ? x : a;
}
static double smaller(double a, double x) {
    return isnan(x) || x < a ? x : a;
}
static double same(double a, double count) {
    (void)count;
    return a;
}
static double mean(double a, double count) {
    return a / count;
}
static double root(double a, double count) {
    (void)count;
    return sqrt(a);
}

static const reduction reductions[] = {
    {XNOR_OP_REDUCE_L1, 0, add_abs, same},
    {XNOR_OP_REDUCE_L2, 0, add_square, root},
    {XNOR_OP_REDUCE_MAX, -INFINITY, larger, same},
    {XNOR_OP_REDUCE_MEAN, 0, add, mean},
    {XNOR_OP_REDUCE_MIN, INFINITY, smaller, same},
    {XNOR_OP_REDUCE_PROD, 1, multiply, same},
    {XNOR_OP_REDUCE_SUM, 0, add, same},
    {XNOR_OP_REDUCE_SUM_SQUARE, 0, add_square, same},
    {XNOR_OP_GLOBAL_AVERAGE_POOL, 0, add, mean},
    {XNOR_OP_GLOBAL_MAX_POOL, -INFINITY, larger, same},
};

static bool is_global_pool(xnor_op op) {
    return op == XNOR_OP_GLOBAL_AVERAGE_POOL || op == XNOR_OP_GLOBAL_MAX_POOL;
}

// Bit i set: axis i is reduced. No axes given means all of them.
static uint32_t axes_mask(const xnor_node *node, const uint32_t *axes, uint32_t count,
                          uint32_t rank) {
    if (is_global_pool(node->op)) return ((1U << rank) - 1) & ~3U;
    if (count == 0) return (1U << rank) - 1;
    uint32_t mask = 0;
    for (uint32_t i = 0; i < count; i++) mask |= 1U << axes[i];
    return mask;
}

static xnor_status infer_reduce(xnor_graph *graph, const xnor_node *node) {
    const xnor_value *x = xnor_in(graph, node, 0);
    uint32_t axes[XNOR_MAX_RANK], count;
    bool known;
    if (is_global_pool(node->op) && x->shape.rank < 3)
        return xnor_fail(XNOR_E_SHAPE, "node '%s' (%s): expected rank 3 or more, found %u",
                         node->name, xnor_op_name(node->op), x->shape.rank);
    XNOR_TRY(xnor_axes(graph, node, 1, x->shape.rank, axes, &count, &known));
    if (!known)
        return xnor_fail(XNOR_E_UNSUPPORTED, "node '%s' (%s): axes must be constant", node->name,
                         xnor_op_name(node->op));
    uint32_t mask = axes_mask(node, axes, count, x->shape.rank);
    bool keep = is_global_pool(node->op) || xnor_node_int(node, XNOR_ATTR_KEEPDIMS, 1) != 0;
    xnor_shape shape = {0};
    for (uint32_t i = 0; i < x->shape.rank; i++) {
        if (!(mask >> i & 1))
            shape.dims[shape.rank++] = x->shape.dims[i];
        else if (keep)
            shape.dims[shape.rank++] = 1;
        if (mask >> i & 1 && x->shape.dims[i] == 0)
            return xnor_fail(XNOR_E_SHAPE, "node '%s' (%s): axis %u has no elements", node->name,
                             xnor_op_name(node->op), i);
    }
    // The maximum of accumulators is one of them; a mean or a product is real.
    bool picks = node->op == XNOR_OP_REDUCE_MAX || node->op == XNOR_OP_REDUCE_MIN;
    xnor_dtype dtype =
        x->dtype == XNOR_BITS || x->dtype == XNOR_TERNARY || (x->dtype == XNOR_ACC && !picks)
            ? XNOR_F32
            : x->dtype;
    return xnor_set_output(graph, node, 0, dtype, &shape);
}

static xnor_status eval_reduce(const xnor_node *node, const xnor_tensor *in, xnor_tensor *out) {
    const reduction *r = reductions;
    while (r->op != node->op) r++;
    uint32_t axes[XNOR_MAX_RANK], count;
    XNOR_TRY(xnor_eval_axes(node, in, 1, in[0].shape.rank, axes, &count));
    uint32_t mask = axes_mask(node, axes, count, in[0].shape.rank);

    // One walk over the kept axes, one inside it over the reduced ones, both in input strides.
    int64_t strides[XNOR_MAX_RANK];
    xnor_strides(&in[0].shape, strides);
    xnor_walk kept = {.inputs = 1}, reduced = {.inputs = 1};
    size_t reduced_count = 1;
    for (uint32_t i = 0; i < in[0].shape.rank; i++) {
        xnor_walk *walk = mask >> i & 1 ? &reduced : &kept;
        walk->dims[walk->rank] = in[0].shape.dims[i];
        walk->stride[0][walk->rank++] = strides[i];
        if (mask >> i & 1) reduced_count *= (size_t)in[0].shape.dims[i];
    }
    size_t outputs = xnor_tensor_count(&out[0]);
    for (size_t i = 0; i < outputs; i++, xnor_walk_next(&kept)) {
        double accumulator = r->start;
        for (size_t j = 0; j < reduced_count; j++, xnor_walk_next(&reduced))
            accumulator = r->step(
                accumulator, xnor_tensor_get(&in[0], (size_t)(kept.offset[0] + reduced.offset[0])));
        xnor_tensor_set(&out[0], i, r->finish(accumulator, (double)reduced_count));
    }
    return XNOR_OK;
}

#define ROW(id)                                                                                    \
    {                                                                                              \
        XNOR_OP_##id, {                                                                            \
            1, 2, 1, 0, infer_reduce, eval_reduce                                                  \
        }                                                                                          \
    }
const xnor_op_row xnor_ops_reduce[] = {
    ROW(REDUCE_L1),           ROW(REDUCE_L2),       ROW(REDUCE_MAX), ROW(REDUCE_MEAN),
    ROW(REDUCE_MIN),          ROW(REDUCE_PROD),     ROW(REDUCE_SUM), ROW(REDUCE_SUM_SQUARE),
    ROW(GLOBAL_AVERAGE_POOL), ROW(GLOBAL_MAX_POOL), XNOR_OPS_END,
};
