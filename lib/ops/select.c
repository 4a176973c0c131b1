// Operators that choose or index elements: Gather, GatherElements, GatherND, ArgMax, TopK; and
// those that make tensors from numbers: Range, ConstantOfShape.
#include "ops/ops.h"

#include <math.h>
#include <string.h>

#include "core/tensor.h"

static xnor_status check_index(const xnor_node *node, int64_t *index, int64_t dim) {
    if (*index < -dim || *index >= dim)
        return xnor_fail(XNOR_E_ARGUMENT, "node '%s' (%s): index %lld of %lld elements", node->name,
                         xnor_op_name(node->op), (long long)*index, (long long)dim);
    if (*index < 0) *index += dim;
    return XNOR_OK;
}

// out[outer, indices..., inner] = x[outer, index, inner]
static xnor_status infer_gather(xnor_graph *graph, const xnor_node *node) {
    const xnor_value *x = xnor_in(graph, node, 0), *indices = xnor_in(graph, node, 1);
    uint32_t axis;
    XNOR_TRY(xnor_axis(node, xnor_node_int(node, XNOR_ATTR_AXIS, 0), x->shape.rank, &axis));
    xnor_shape shape = {.rank = x->shape.rank - 1 + indices->shape.rank};
    if (shape.rank > XNOR_MAX_RANK)
        return xnor_fail(XNOR_E_LIMIT, "node '%s' (Gather): rank %u", node->name, shape.rank);
    uint32_t at = 0;
    for (uint32_t i = 0; i < axis; i++) shape.dims[at++] = x->shape.dims[i];
    for (uint32_t i = 0; i < indices->shape.rank; i++) shape.dims[at++] = indices->shape.dims[i];
    for (uint32_t i = axis + 1; i < x->shape.rank; i++) shape.dims[at++] = x->shape.dims[i];
    return xnor_set_output(graph, node, 0, x->dtype, &shape);
}

static xnor_status eval_gather(const xnor_node *node, const xnor_tensor *in, xnor_tensor *out) {
    uint32_t axis;
    XNOR_TRY(xnor_axis(node, xnor_node_int(node, XNOR_ATTR_AXIS, 0), in[0].shape.rank, &axis));
    size_t outer = 1, inner = 1, picks = xnor_tensor_count(&in[1]);
    int64_t dim = in[0].shape.dims[axis];
    for (uint32_t i = 0; i < axis; i++) outer *= (size_t)in[0].shape.dims[i];
    for (uint32_t i = axis + 1; i < in[0].shape.rank; i++) inner *= (size_t)in[0].shape.dims[i];
    for (size_t o = 0; o < outer; o++)
        for (size_t p = 0; p < picks; p++) {
            int64_t index = xnor_tensor_get_int(&in[1], p);
            XNOR_TRY(check_index(node, &index, dim));
            xnor_tensor_move_run(&out[0], (o * picks + p) * inner, &in[0],
                                 (o * (size_t)dim + (size_t)index) * inner, inner);
        }
    return XNOR_OK;
}

static xnor_status infer_gather_elements(xnor_graph *graph, const xnor_node *node) {
    const xnor_value *x = xnor_in(graph, node, 0), *indices = xnor_in(graph, node, 1);
    uint32_t axis;
    XNOR_TRY(xnor_axis(node, xnor_node_int(node, XNOR_ATTR_AXIS, 0), x->shape.rank, &axis));
    if (indices->shape.rank != x->shape.rank)
        return xnor_fail(XNOR_E_SHAPE, "node '%s' (GatherElements): ranks %u and %u", node->name,
                         x->shape.rank, indices->shape.rank);
    return xnor_set_output(graph, node, 0, x->dtype, &indices->shape);
}

static xnor_status eval_gather_elements(const xnor_node *node, const xnor_tensor *in,
                                        xnor_tensor *out) {
    uint32_t axis;
    XNOR_TRY(xnor_axis(node, xnor_node_int(node, XNOR_ATTR_AXIS, 0), in[0].shape.rank, &axis));
    int64_t strides[XNOR_MAX_RANK];
    xnor_strides(&in[0].shape, strides);
    for (uint32_t i = 0; i < in[0].shape.rank; i++)
        if (i != axis && in[1].shape.dims[i] > in[0].shape.dims[i])
            return xnor_fail(XNOR_E_SHAPE,
                             "node '%s' (GatherElements): indices are larger than data",
                             node->name);
    xnor_walk walk;
    xnor_walk_init(&walk, &out[0].shape);
    size_t count = xnor_tensor_count(&out[0]);
    for (size_t i = 0; i < count; i++, xnor_walk_next(&walk)) {
        int64_t index = xnor_tensor_get_int(&in[1], i);
        XNOR_TRY(check_index(node, &index, in[0].shape.dims[axis]));
        int64_t from = index * strides[axis];
        for (uint32_t k = 0; k < walk.rank; k++)
            if (k != axis) from += walk.index[k] * strides[k];
        xnor_tensor_move(&out[0], i, &in[0], (size_t)from);
    }
    return XNOR_OK;
}

// out[batch, indices.., rest] = x[batch, tuple.., rest]: the last axis of the indices holds tuples.
static xnor_status infer_gather_nd(xnor_graph *graph, const xnor_node *node) {
    const xnor_value *x = xnor_in(graph, node, 0), *indices = xnor_in(graph, node, 1);
    int64_t depth = xnor_shape_last(&indices->shape);
    int64_t batch = xnor_node_int(node, XNOR_ATTR_BATCH_DIMS, 0);
    if (batch < 0 || batch >= (int64_t)indices->shape.rank || depth < 1 ||
        batch + depth > (int64_t)x->shape.rank)
        return xnor_fail(XNOR_E_SHAPE,
                         "node '%s' (GatherND): index tuples of %lld for rank %u, batch_dims %lld",
                         node->name, (long long)depth, x->shape.rank, (long long)batch);
    xnor_shape shape = {0};
    uint32_t first = (uint32_t)(batch + depth);
    if (indices->shape.rank - 1 + x->shape.rank - first > XNOR_MAX_RANK)
        return xnor_fail(XNOR_E_LIMIT, "node '%s' (GatherND): rank too high", node->name);
    for (uint32_t i = 0; i + 1 < indices->shape.rank; i++)
        shape.dims[shape.rank++] = indices->shape.dims[i];
    for (uint32_t i = first; i < x->shape.rank; i++) shape.dims[shape.rank++] = x->shape.dims[i];
    for (uint32_t i = 0; i < (uint32_t)batch; i++) {
        int64_t a = x->shape.dims[i], b = indices->shape.dims[i];
        if (a >= 0 && b >= 0 && a != b)
            return xnor_fail(XNOR_E_SHAPE, "node '%s' (GatherND): batches of %lld and %lld",
                             node->name, (long long)a, (long long)b);
        if (b < 0) shape.dims[i] = a;
    }
    return xnor_set_output(graph, node, 0, x->dtype, &shape);
}

static xnor_status eval_gather_nd(const xnor_node *node, const xnor_tensor *in, xnor_tensor *out) {
    size_t depth = (size_t)xnor_shape_last(&in[1].shape), inner = 1, groups = 1;
    size_t batch = (size_t)xnor_node_int(node, XNOR_ATTR_BATCH_DIMS, 0);
    size_t tuples = xnor_tensor_count(&in[1]) / depth;
    int64_t strides[XNOR_MAX_RANK];
    xnor_strides(&in[0].shape, strides);
    for (size_t i = 0; i < batch; i++) groups *= (size_t)in[0].shape.dims[i];
    for (size_t i = batch + depth; i < in[0].shape.rank; i++) inner *= (size_t)in[0].shape.dims[i];
    for (size_t t = 0; t < tuples; t++) {
        int64_t from = 0;
        if (batch) from = (int64_t)(t / (tuples / groups)) * strides[batch - 1];
        for (size_t k = 0; k < depth; k++) {
            int64_t index = xnor_tensor_get_int(&in[1], t * depth + k);
            XNOR_TRY(check_index(node, &index, in[0].shape.dims[batch + k]));
            from += index * strides[batch + k];
        }
        xnor_tensor_move_run(&out[0], t * inner, &in[0], (size_t)from, inner);
    }
    return XNOR_OK;
}

static xnor_status infer_arg(xnor_graph *graph, const xnor_node *node) {
    const xnor_value *x = xnor_in(graph, node, 0);
    uint32_t axis;
    XNOR_TRY(xnor_axis(node, xnor_node_int(node, XNOR_ATTR_AXIS, 0), x->shape.rank, &axis));
    if (x->shape.dims[axis] == 0)
        return xnor_fail(XNOR_E_SHAPE, "node '%s' (%s): axis %u has no elements", node->name,
                         xnor_op_name(node->op), axis);
    xnor_shape shape = {0};
    bool keep = xnor_node_int(node, XNOR_ATTR_KEEPDIMS, 1) != 0;
    for (uint32_t i = 0; i < x->shape.rank; i++)
        if (i != axis)
            shape.dims[shape.rank++] = x->shape.dims[i];
        else if (keep)
            shape.dims[shape.rank++] = 1;
    return xnor_set_output(graph, node, 0, XNOR_I64, &shape);
}

static xnor_status eval_arg(const xnor_node *node, const xnor_tensor *in, xnor_tensor *out) {
    uint32_t axis;
    XNOR_TRY(xnor_axis(node, xnor_node_int(node, XNOR_ATTR_AXIS, 0), in[0].shape.rank, &axis));
    bool last = xnor_node_int(node, XNOR_ATTR_SELECT_LAST_INDEX, 0) != 0;
    double sign = node->op == XNOR_OP_ARG_MIN ? -1 : 1;
    size_t n = (size_t)in[0].shape.dims[axis], inner = 1, count = xnor_tensor_count(&out[0]);
    for (uint32_t i = axis + 1; i < in[0].shape.rank; i++) inner *= (size_t)in[0].shape.dims[i];
    for (size_t i = 0; i < count; i++) {
        size_t base = i / inner * n * inner + i % inner, best = 0;
        double value = sign * xnor_tensor_get(&in[0], base);
        for (size_t j = 1; j < n; j++) {
            double x = sign * xnor_tensor_get(&in[0], base + j * inner);
            if (x > value || (last && x == value)) {
                value = x;
                best = j;
            }
        }
        ((int64_t *)out[0].data)[i] = (int64_t)best;
    }
    return XNOR_OK;
}

// The k largest (or smallest) along an axis in order; equal values by lower index first.
static xnor_status infer_top_k(xnor_graph *graph, const xnor_node *node) {
    const xnor_value *x = xnor_in(graph, node, 0);
    uint32_t axis, count;
    int64_t k = -1;
    XNOR_TRY(xnor_axis(node, xnor_node_int(node, XNOR_ATTR_AXIS, -1), x->shape.rank, &axis));
    xnor_shape shape = x->shape;
    if (xnor_known_ints(xnor_in(graph, node, 1), &k, 1, &count) && k != XNOR_UNKNOWN) {
        if (count != 1 || k < 0 || (shape.dims[axis] >= 0 && k > shape.dims[axis]))
            return xnor_fail(XNOR_E_SHAPE, "node '%s' (TopK): k = %lld of %lld elements",
                             node->name, (long long)k, (long long)shape.dims[axis]);
        shape.dims[axis] = k;
    } else {
        shape.dims[axis] = -1;
    }
    XNOR_TRY(xnor_set_output(graph, node, 0, x->dtype, &shape));
    return node->output_count > 1 ? xnor_set_output(graph, node, 1, XNOR_I64, &shape) : XNOR_OK;
}

static xnor_status eval_top_k(const xnor_node *node, const xnor_tensor *in, xnor_tensor *out) {
    uint32_t axis;
    XNOR_TRY(xnor_axis(node, xnor_node_int(node, XNOR_ATTR_AXIS, -1), in[0].shape.rank, &axis));
    double sign = xnor_node_int(node, XNOR_ATTR_LARGEST, 1) ? 1 : -1;
    size_t n = (size_t)in[0].shape.dims[axis], k = (size_t)out[0].shape.dims[axis], inner = 1;
    for (uint32_t i = axis + 1; i < in[0].shape.rank; i++) inner *= (size_t)in[0].shape.dims[i];
    size_t lines = k ? xnor_tensor_count(&out[0]) / k : 0;
    for (size_t line = 0; line < lines; line++) {
        size_t base = line / inner * n * inner + line % inner;
        size_t base_out = line / inner * k * inner + line % inner;
        double previous = INFINITY;
        size_t previous_index = 0;
        for (size_t rank = 0; rank < k; rank++) {
            size_t best = n;
            double value = 0;
            for (size_t j = 0; j < n; j++) {
                double x = sign * xnor_tensor_get(&in[0], base + j * inner);
                bool after = rank == 0 || x < previous || (x == previous && j > previous_index);
                if (after && (best == n || x > value)) {
                    best = j;
                    value = x;
                }
            }
            if (best == n) // only NaN is left
                return xnor_fail(XNOR_E_ARGUMENT, "node '%s' (TopK): input has NaN", node->name);
            previous = value;
            previous_index = best;
            xnor_tensor_move(&out[0], base_out + rank * inner, &in[0], base + best * inner);
            if (node->output_count > 1)
                ((int64_t *)out[1].data)[base_out + rank * inner] = (int64_t)best;
        }
    }
    return XNOR_OK;
}

static xnor_status infer_range(xnor_graph *graph, const xnor_node *node) {
    xnor_shape shape = {1, {-1}};
    const xnor_value *v[3];
    bool known = true;
    for (uint32_t i = 0; i < 3; i++) {
        v[i] = xnor_in(graph, node, i);
        known = known && v[i]->data;
    }
    if (known) {
        double x[3];
        for (uint32_t i = 0; i < 3; i++) {
            const xnor_tensor t = {v[i]->dtype, v[i]->shape, v[i]->data};
            x[i] = xnor_tensor_get(&t, 0);
        }
        double n = ceil((x[1] - x[0]) / x[2]);
        if (!(n < 1e9)) return xnor_fail(XNOR_E_LIMIT, "node '%s' (Range): too long", node->name);
        shape.dims[0] = n > 0 ? (int64_t)n : 0;
    }
    return xnor_set_output(graph, node, 0, v[0]->dtype, &shape);
}

static xnor_status eval_range(const xnor_node *node, const xnor_tensor *in, xnor_tensor *out) {
    (void)node;
    size_t count = xnor_tensor_count(&out[0]);
    for (size_t i = 0; i < count; i++)
        xnor_tensor_set(&out[0], i,
                        xnor_tensor_get(&in[0], 0) + (double)i * xnor_tensor_get(&in[2], 0));
    return XNOR_OK;
}

// Input 1 (made by the importer from the 'value' attribute) holds the fill value.
static xnor_status infer_constant_of_shape(xnor_graph *graph, const xnor_node *node) {
    xnor_shape shape = {0};
    const xnor_value *request = xnor_in(graph, node, 0), *fill = xnor_in(graph, node, 1);
    if (!xnor_known_ints(request, shape.dims, XNOR_MAX_RANK, &shape.rank)) {
        if (request->shape.rank != 1 || request->shape.dims[0] < 0 ||
            request->shape.dims[0] > XNOR_MAX_RANK)
            return xnor_fail(XNOR_E_UNSUPPORTED, "node '%s' (ConstantOfShape): unknown rank",
                             node->name);
        shape.rank = (uint32_t)request->shape.dims[0];
        for (uint32_t i = 0; i < shape.rank; i++) shape.dims[i] = -1;
    }
    for (uint32_t i = 0; i < shape.rank; i++)
        if (shape.dims[i] < 0) shape.dims[i] = -1;
    return xnor_set_output(graph, node, 0, fill ? fill->dtype : XNOR_F32, &shape);
}

static xnor_status eval_constant_of_shape(const xnor_node *node, const xnor_tensor *in,
                                          xnor_tensor *out) {
    size_t count = xnor_tensor_count(&out[0]);
    bool fill = node->input_count > 1 && in[1].data;
    for (size_t i = 0; i < count; i++)
        xnor_tensor_set(&out[0], i, fill ? xnor_tensor_get(&in[1], 0) : 0);
    return XNOR_OK;
}

const xnor_op_row xnor_ops_select[] = {
    {XNOR_OP_GATHER, {2, 2, 1, XNOR_MOVES, infer_gather, eval_gather}},
    {XNOR_OP_GATHER_ELEMENTS, {2, 2, 1, XNOR_MOVES, infer_gather_elements, eval_gather_elements}},
    {XNOR_OP_GATHER_ND, {2, 2, 1, XNOR_MOVES, infer_gather_nd, eval_gather_nd}},
    {XNOR_OP_ARG_MAX, {1, 1, 1, 0, infer_arg, eval_arg}},
    {XNOR_OP_ARG_MIN, {1, 1, 1, 0, infer_arg, eval_arg}},
    {XNOR_OP_TOP_K, {2, 2, 2, 0, infer_top_k, eval_top_k}},
    {XNOR_OP_RANGE, {3, 3, 1, 0, infer_range, eval_range}},
    {XNOR_OP_CONSTANT_OF_SHAPE, {1, 2, 1, 0, infer_constant_of_shape, eval_constant_of_shape}},
    XNOR_OPS_END,
};
