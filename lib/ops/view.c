// Operators that give the same data another shape, and those that read a shape.
#include "ops/ops.h"

#include <string.h>

#include "core/tensor.h"

static xnor_status infer_identity(xnor_graph *graph, const xnor_node *node) {
    const xnor_value *x = xnor_in(graph, node, 0);
    return xnor_set_output(graph, node, 0, x->dtype, &x->shape);
}

static xnor_status eval_copy(const xnor_node *node, const xnor_tensor *in, xnor_tensor *out) {
    (void)node;
    size_t bytes = 0;
    XNOR_TRY(xnor_tensor_bytes(out[0].dtype, &out[0].shape, &bytes));
    if (bytes) memcpy(out[0].data, in[0].data, bytes);
    return XNOR_OK;
}

// Elements of the axes [from, to); -1 when an axis is unknown or the number overflows (a plan
// refuses it).
static int64_t product(const xnor_shape *shape, uint32_t from, uint32_t to) {
    int64_t result = 1;
    for (uint32_t i = from; i < to; i++)
        if (shape->dims[i] < 0 || __builtin_mul_overflow(result, shape->dims[i], &result))
            return -1;
    return result;
}

// Packed data may only be reshaped when rows stay whole; a length not yet known is checked once it
// is.
static xnor_status check_packed(const xnor_node *node, const xnor_value *x,
                                const xnor_shape *shape) {
    int64_t before = xnor_shape_last(&x->shape), after = xnor_shape_last(shape);
    if ((x->dtype == XNOR_BITS || x->dtype == XNOR_TERNARY) && before >= 0 && after >= 0 &&
        before != after)
        return xnor_fail(XNOR_E_SHAPE, "node '%s': packed rows of %lld cannot become rows of %lld",
                         node->name, (long long)before, (long long)after);
    return XNOR_OK;
}

static xnor_status set_view(xnor_graph *graph, const xnor_node *node, const xnor_shape *shape) {
    const xnor_value *x = xnor_in(graph, node, 0);
    XNOR_TRY(check_packed(node, x, shape));
    return xnor_set_output(graph, node, 0, x->dtype, shape);
}

static xnor_status infer_reshape(xnor_graph *graph, const xnor_node *node) {
    const xnor_value *x = xnor_in(graph, node, 0);
    int64_t want[XNOR_MAX_RANK];
    xnor_shape shape = {0};
    const xnor_value *request = xnor_in(graph, node, 1);
    if (!xnor_known_ints(request, want, XNOR_MAX_RANK, &shape.rank)) {
        int64_t rank = request->shape.rank == 1 ? request->shape.dims[0] : -1;
        if (rank < 0 || rank > XNOR_MAX_RANK)
            return xnor_fail(
                XNOR_E_UNSUPPORTED,
                "node '%s' (Reshape): the rank of the result must be known (at most %d)",
                node->name, XNOR_MAX_RANK);
        shape.rank = (uint32_t)rank;
        for (uint32_t i = 0; i < shape.rank; i++) shape.dims[i] = -1;
        return set_view(graph, node, &shape);
    }
    bool allow_zero = xnor_node_int(node, XNOR_ATTR_ALLOWZERO, 0) != 0;
    int64_t known = 1;
    uint32_t unknown = 0, minus_one = XNOR_MAX_RANK;
    for (uint32_t i = 0; i < shape.rank; i++) {
        shape.dims[i] = want[i];
        if (want[i] == 0 && !allow_zero) {
            if (i >= x->shape.rank)
                return xnor_fail(XNOR_E_SHAPE,
                                 "node '%s' (Reshape): 0 at axis %u of a rank %u input", node->name,
                                 i, x->shape.rank);
            shape.dims[i] = x->shape.dims[i];
        }
        if (want[i] == -1) {
            if (minus_one < XNOR_MAX_RANK)
                return xnor_fail(XNOR_E_SHAPE, "node '%s' (Reshape): -1 is given twice",
                                 node->name);
            minus_one = i;
        } else if (want[i] == XNOR_UNKNOWN || shape.dims[i] < 0) {
            shape.dims[i] = -1;
            unknown++;
        } else if (__builtin_mul_overflow(known, shape.dims[i], &known)) {
            return xnor_fail(XNOR_E_LIMIT, "node '%s' (Reshape): size overflows", node->name);
        }
    }
    int64_t total = product(&x->shape, 0, x->shape.rank);
    if (total >= 0 && unknown == 0) {
        if (minus_one < XNOR_MAX_RANK) {
            shape.dims[minus_one] = known > 0 && total % known == 0 ? total / known : -1;
            known *= shape.dims[minus_one];
        }
        if (known != total) {
            char from[XNOR_SHAPE_TEXT], to[XNOR_SHAPE_TEXT];
            return xnor_fail(XNOR_E_SHAPE, "node '%s' (Reshape): %s does not fit %s", node->name,
                             xnor_shape_text(&x->shape, from, sizeof from),
                             xnor_shape_text(&shape, to, sizeof to));
        }
    }
    return set_view(graph, node, &shape);
}

static xnor_status infer_flatten(xnor_graph *graph, const xnor_node *node) {
    const xnor_value *x = xnor_in(graph, node, 0);
    int64_t axis = xnor_node_int(node, XNOR_ATTR_AXIS, 1);
    if (axis < 0) axis += x->shape.rank;
    if (axis < 0 || axis > x->shape.rank)
        return xnor_fail(XNOR_E_SHAPE, "node '%s' (Flatten): axis %lld is outside rank %u",
                         node->name, (long long)axis, x->shape.rank);
    xnor_shape shape = {
        2,
        {product(&x->shape, 0, (uint32_t)axis), product(&x->shape, (uint32_t)axis, x->shape.rank)}};
    return set_view(graph, node, &shape);
}

static xnor_status infer_squeeze(xnor_graph *graph, const xnor_node *node) {
    const xnor_value *x = xnor_in(graph, node, 0);
    uint32_t axes[XNOR_MAX_RANK], count;
    bool known;
    XNOR_TRY(xnor_axes(graph, node, 1, x->shape.rank, axes, &count, &known));
    if (!known || (count == 0 && !xnor_shape_known(&x->shape)))
        return xnor_fail(XNOR_E_UNSUPPORTED, "node '%s' (Squeeze): axes must be constant",
                         node->name);
    uint32_t mask = 0;
    for (uint32_t i = 0; i < count; i++) mask |= 1U << axes[i];
    xnor_shape shape = {0};
    for (uint32_t i = 0; i < x->shape.rank; i++) {
        bool drop = count ? (mask >> i & 1) != 0 : x->shape.dims[i] == 1;
        if (drop && x->shape.dims[i] > 1)
            return xnor_fail(XNOR_E_SHAPE, "node '%s' (Squeeze): axis %u has %lld elements",
                             node->name, i, (long long)x->shape.dims[i]);
        if (!drop) shape.dims[shape.rank++] = x->shape.dims[i];
    }
    return set_view(graph, node, &shape);
}

static xnor_status infer_unsqueeze(xnor_graph *graph, const xnor_node *node) {
    const xnor_value *x = xnor_in(graph, node, 0);
    const xnor_attr *attr = xnor_node_attr(node, XNOR_ATTR_AXES);
    int64_t given[XNOR_MAX_RANK];
    uint32_t axes[XNOR_MAX_RANK], count = attr ? attr->count : 0;
    if (!attr && !xnor_known_ints(xnor_in(graph, node, 1), given, XNOR_MAX_RANK, &count))
        return xnor_fail(XNOR_E_UNSUPPORTED, "node '%s' (Unsqueeze): axes must be constant",
                         node->name);
    uint32_t rank = x->shape.rank + count;
    if (rank > XNOR_MAX_RANK)
        return xnor_fail(XNOR_E_LIMIT, "node '%s' (Unsqueeze): rank %u, at most %d is supported",
                         node->name, rank, XNOR_MAX_RANK);
    bool known;
    XNOR_TRY(xnor_axes(graph, node, 1, rank, axes, &count, &known));
    uint32_t mask = 0, from = 0;
    for (uint32_t i = 0; i < count; i++) mask |= 1U << axes[i];
    xnor_shape shape = {.rank = rank};
    for (uint32_t i = 0; i < rank; i++) shape.dims[i] = mask >> i & 1 ? 1 : x->shape.dims[from++];
    return set_view(graph, node, &shape);
}

static xnor_status infer_shape(xnor_graph *graph, const xnor_node *node) {
    xnor_shape shape = {1, {xnor_in(graph, node, 0)->shape.rank}};
    return xnor_set_output(graph, node, 0, XNOR_I64, &shape);
}

static xnor_status eval_shape(const xnor_node *node, const xnor_tensor *in, xnor_tensor *out) {
    (void)node;
    for (uint32_t i = 0; i < in[0].shape.rank; i++)
        ((int64_t *)out[0].data)[i] = in[0].shape.dims[i];
    return XNOR_OK;
}

static xnor_status infer_size(xnor_graph *graph, const xnor_node *node) {
    xnor_shape shape = {0};
    return xnor_set_output(graph, node, 0, XNOR_I64, &shape);
}

static xnor_status eval_size(const xnor_node *node, const xnor_tensor *in, xnor_tensor *out) {
    (void)node;
    *(int64_t *)out[0].data = (int64_t)xnor_tensor_count(&in[0]);
    return XNOR_OK;
}

#define FLAGS (XNOR_VIEW | XNOR_MOVES)
const xnor_op_row xnor_ops_view[] = {
    {XNOR_OP_IDENTITY, {1, 1, 1, FLAGS | XNOR_ELEMENTWISE, infer_identity, eval_copy}},
    {XNOR_OP_RESHAPE, {2, 2, 1, FLAGS, infer_reshape, eval_copy}},
    {XNOR_OP_FLATTEN, {1, 1, 1, FLAGS, infer_flatten, eval_copy}},
    {XNOR_OP_SQUEEZE, {1, 2, 1, FLAGS, infer_squeeze, eval_copy}},
    {XNOR_OP_UNSQUEEZE, {1, 2, 1, FLAGS, infer_unsqueeze, eval_copy}},
    {XNOR_OP_SHAPE, {1, 1, 1, 0, infer_shape, eval_shape}},
    {XNOR_OP_SIZE, {1, 1, 1, 0, infer_size, eval_size}},
    XNOR_OPS_END,
};
