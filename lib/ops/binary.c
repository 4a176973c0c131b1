// Operators that make signs: from reals (xnor_binarize) and from accumulators (threshold, table).
#include "ops/ops.h"

#include "core/tensor.h"

// xnor_binarize, attribute alpha = value of sign(0): +1 or -1 give bits, 0 gives ternary.
static xnor_status infer_binarize(xnor_graph *graph, const xnor_node *node) {
    const xnor_value *x = xnor_in(graph, node, 0);
    bool ternary = xnor_node_float(node, XNOR_ATTR_ALPHA, 1) == 0;
    return xnor_set_output(graph, node, 0, ternary ? XNOR_TERNARY : XNOR_BITS, &x->shape);
}

static xnor_status eval_binarize(const xnor_node *node, const xnor_tensor *in, xnor_tensor *out) {
    double zero = xnor_node_float(node, XNOR_ATTR_ALPHA, 1);
    size_t bytes, count = xnor_tensor_count(&in[0]);
    XNOR_TRY(xnor_tensor_bytes(out[0].dtype, &out[0].shape, &bytes));
    for (size_t i = 0; i < bytes; i++) ((uint8_t *)out[0].data)[i] = 0;
    for (size_t i = 0; i < count; i++) {
        double x = xnor_tensor_get(&in[0], i);
        xnor_tensor_set(&out[0], i, x > 0 ? 1 : x < 0 ? -1 : x == 0 ? zero : -1);
    }
    return XNOR_OK;
}

static xnor_status check_channels(xnor_graph *graph, const xnor_node *node) {
    const xnor_value *acc = xnor_in(graph, node, 0), *p = xnor_in(graph, node, 1);
    int64_t channels = xnor_shape_last(&acc->shape);
    if (acc->dtype != XNOR_ACC)
        return xnor_fail(XNOR_E_DTYPE, "node '%s' (%s): expected acc, found %s", node->name,
                         xnor_op_name(node->op), xnor_dtype_name(acc->dtype));
    if (p->shape.rank < 1 || (channels >= 0 && p->shape.dims[0] != channels))
        return xnor_fail(XNOR_E_SHAPE, "node '%s' (%s): %lld channels, parameters for %lld",
                         node->name, xnor_op_name(node->op), (long long)channels,
                         (long long)(p->shape.rank ? p->shape.dims[0] : 0));
    return XNOR_OK;
}

// bit = acc[.., c] >= threshold[c], threshold: i32 [channels].
static xnor_status infer_threshold(xnor_graph *graph, const xnor_node *node) {
    XNOR_TRY(check_channels(graph, node));
    const xnor_value *first = xnor_in(graph, node, 1), *second = xnor_in(graph, node, 2);
    if (first->dtype != XNOR_I32 || (second && second->dtype != XNOR_I32))
        return xnor_fail(XNOR_E_DTYPE, "node '%s' (xnor_threshold): thresholds must be i32",
                         node->name);
    if (second && !xnor_shape_equal(&first->shape, &second->shape))
        return xnor_fail(XNOR_E_SHAPE, "node '%s' (xnor_threshold): limits of different shapes",
                         node->name);
    return xnor_set_output(graph, node, 0, second ? XNOR_TERNARY : XNOR_BITS,
                           &xnor_in(graph, node, 0)->shape);
}

// +1 from the first limit on. With a second one: 0 from that on, below it -1.
static xnor_status eval_threshold(const xnor_node *node, const xnor_tensor *in, xnor_tensor *out) {
    size_t channels = (size_t)in[1].shape.dims[0], bytes, count = xnor_tensor_count(&in[0]);
    bool ternary = node->input_count > 2;
    XNOR_TRY(xnor_tensor_bytes(out[0].dtype, &out[0].shape, &bytes));
    for (size_t i = 0; i < bytes; i++) ((uint8_t *)out[0].data)[i] = 0;
    for (size_t i = 0; i < count; i++) {
        double acc = xnor_tensor_get(&in[0], i);
        bool positive = acc >= xnor_tensor_get(&in[1], i % channels);
        bool zero = ternary && acc >= xnor_tensor_get(&in[2], i % channels);
        xnor_tensor_set(&out[0], i, positive ? 1 : zero ? 0 : -1);
    }
    return XNOR_OK;
}

// sign = table[c][acc + bound] - 1, table: u8 [channels, 2·bound + 1] with 0, 1, 2 for -1, 0, +1.
// Attribute alpha = 0: zeros occur, the result is ternary.
static xnor_status infer_table(xnor_graph *graph, const xnor_node *node) {
    XNOR_TRY(check_channels(graph, node));
    const xnor_value *table = xnor_in(graph, node, 1);
    if (table->dtype != XNOR_U8 || table->shape.rank != 2 || table->shape.dims[1] % 2 == 0)
        return xnor_fail(XNOR_E_SHAPE,
                         "node '%s' (xnor_table): expected u8 [channels, 2·bound + 1]", node->name);
    bool ternary = xnor_node_float(node, XNOR_ATTR_ALPHA, 1) == 0;
    return xnor_set_output(graph, node, 0, ternary ? XNOR_TERNARY : XNOR_BITS,
                           &xnor_in(graph, node, 0)->shape);
}

static xnor_status eval_table(const xnor_node *node, const xnor_tensor *in, xnor_tensor *out) {
    size_t channels = (size_t)in[1].shape.dims[0], columns = (size_t)in[1].shape.dims[1];
    size_t bytes, count = xnor_tensor_count(&in[0]);
    int64_t bound = (int64_t)columns / 2;
    XNOR_TRY(xnor_tensor_bytes(out[0].dtype, &out[0].shape, &bytes));
    for (size_t i = 0; i < bytes; i++) ((uint8_t *)out[0].data)[i] = 0;
    for (size_t i = 0; i < count; i++) {
        int64_t acc = ((const int32_t *)in[0].data)[i];
        if (acc < -bound || acc > bound)
            return xnor_fail(XNOR_E_INTERNAL, "node '%s' (xnor_table): sum %lld exceeds %lld",
                             node->name, (long long)acc, (long long)bound);
        size_t at = i % channels * columns + (size_t)(acc + bound);
        xnor_tensor_set(&out[0], i, (double)((const uint8_t *)in[1].data)[at] - 1);
    }
    return XNOR_OK;
}

// Sum of accumulators: the parts of a layer over a concatenation.
static xnor_status infer_xnor_add(xnor_graph *graph, const xnor_node *node) {
    const xnor_value *a = xnor_in(graph, node, 0), *b = xnor_in(graph, node, 1);
    xnor_shape shape;
    if (a->dtype != XNOR_ACC || b->dtype != XNOR_ACC)
        return xnor_fail(XNOR_E_DTYPE,
                         "node '%s' (xnor_add): expected acc and acc, found %s and %s", node->name,
                         xnor_dtype_name(a->dtype), xnor_dtype_name(b->dtype));
    XNOR_TRY(xnor_broadcast(node, &a->shape, &b->shape, &shape));
    return xnor_set_output(graph, node, 0, XNOR_ACC, &shape);
}

static xnor_status eval_xnor_add(const xnor_node *node, const xnor_tensor *in, xnor_tensor *out) {
    (void)node;
    xnor_walk walk;
    xnor_walk_init(&walk, &out[0].shape);
    xnor_walk_add(&walk, &in[0].shape);
    xnor_walk_add(&walk, &in[1].shape);
    size_t count = xnor_tensor_count(&out[0]);
    for (size_t i = 0; i < count; i++, xnor_walk_next(&walk))
        ((int32_t *)out[0].data)[i] = ((const int32_t *)in[0].data)[walk.offset[0]] +
                                      ((const int32_t *)in[1].data)[walk.offset[1]];
    return XNOR_OK;
}

const xnor_op_row xnor_ops_binary[] = {
    {XNOR_OP_XNOR_ADD, {2, 2, 1, 0, infer_xnor_add, eval_xnor_add}},
    {XNOR_OP_BINARIZE, {1, 1, 1, XNOR_ELEMENTWISE, infer_binarize, eval_binarize}},
    {XNOR_OP_THRESHOLD, {2, 3, 1, 0, infer_threshold, eval_threshold}},
    {XNOR_OP_TABLE, {2, 2, 1, 0, infer_table, eval_table}},
    XNOR_OPS_END,
};
