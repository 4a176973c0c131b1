// Edge features of a neighbour graph (EdgeConv: Wang et al., "Dynamic Graph CNN", 2019).
//
// x [.., N, C], index [.., N, K] in 0 .. N - 1 -> [.., N, K, parts·C]: for point i and its neighbour
// j = index[i][k] the listed parts side by side, 0: x_i, 1: x_j - x_i.
#include "ops/ops.h"

#include "core/tensor.h"

static xnor_status infer_edges(xnor_graph *graph, const xnor_node *node) {
    const xnor_value *x = xnor_in(graph, node, 0), *index = xnor_in(graph, node, 1);
    const xnor_attr *parts = xnor_node_attr(node, XNOR_ATTR_PARTS);
    uint32_t rank = x->shape.rank;
    bool fits = rank >= 2 && rank < XNOR_MAX_RANK && index->shape.rank == rank && parts &&
                parts->count > 0 && (x->dtype == XNOR_F32 || x->dtype == XNOR_F64) &&
                index->dtype == XNOR_I64;
    for (uint32_t i = 0; fits && i + 1 < rank; i++) fits = x->shape.dims[i] == index->shape.dims[i];
    for (uint32_t i = 0; fits && i < parts->count; i++)
        fits = parts->ints[i] == 0 || parts->ints[i] == 1;
    if (!fits)
        return xnor_fail(XNOR_E_SHAPE,
                         "node '%s' (xnor_edges): expected x f32 [.., N, C], index i64 [.., N, K] "
                         "and parts 0 or 1",
                         node->name);
    xnor_shape shape = index->shape;
    int64_t channels = xnor_shape_last(&x->shape);
    shape.dims[shape.rank++] = channels < 0 ? -1 : channels * (int64_t)parts->count;
    return xnor_set_output(graph, node, 0, x->dtype, &shape);
}

static xnor_status eval_edges(const xnor_node *node, const xnor_tensor *in, xnor_tensor *out) {
    const xnor_attr *parts = xnor_node_attr(node, XNOR_ATTR_PARTS);
    size_t n = (size_t)in[0].shape.dims[in[0].shape.rank - 2];
    size_t k = (size_t)xnor_shape_last(&in[1].shape), edges = xnor_tensor_count(&in[1]);
    size_t channels = (size_t)xnor_shape_last(&in[0].shape), at = 0;
    for (size_t e = 0; e < edges; e++) {
        size_t i = e / k, first = i / n * n;
        int64_t j = xnor_tensor_get_int(&in[1], e);
        if (j < 0 || (size_t)j >= n) return xnor_row_error(node, j, n);
        for (uint32_t p = 0; p < parts->count; p++)
            for (size_t c = 0; c < channels; c++) {
                double own = xnor_tensor_get(&in[0], i * channels + c);
                double other = xnor_tensor_get(&in[0], (first + (size_t)j) * channels + c);
                xnor_tensor_set(&out[0], at++, parts->ints[p] ? other - own : own);
            }
    }
    return XNOR_OK;
}

const xnor_op_row xnor_ops_edges[] = {
    {XNOR_OP_EDGES, {2, 2, 1, 0, infer_edges, eval_edges}},
    XNOR_OPS_END,
};
