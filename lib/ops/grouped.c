// xnor_grouped: a binary layer of its own for each group of channels, as a grouped convolution whose
// kernel is as long as its input.
#include "ops/ops.h"

#include "core/tensor.h"

// x bits or ternary [.., G, K], w bits [G, O, K] -> acc [.., G·O]:
// acc[.., g·O + o] = sum over k of x[.., g, k]·w[g, o, k]
static xnor_status infer_grouped(xnor_graph *graph, const xnor_node *node) {
    const xnor_value *x = xnor_in(graph, node, 0), *w = xnor_in(graph, node, 1);
    char tx[XNOR_SHAPE_TEXT], tw[XNOR_SHAPE_TEXT];
    uint32_t rank = x->shape.rank;
    bool fits = (x->dtype == XNOR_BITS || x->dtype == XNOR_TERNARY) && w->dtype == XNOR_BITS &&
                rank >= 2 && w->shape.rank == 3 && x->shape.dims[rank - 1] == w->shape.dims[2] &&
                x->shape.dims[rank - 2] == w->shape.dims[0] && xnor_shape_known(&w->shape);
    int64_t channels = 0;
    if (!fits || __builtin_mul_overflow(w->shape.dims[0], w->shape.dims[1], &channels))
        return xnor_fail(XNOR_E_SHAPE,
                         "node '%s' (xnor_grouped): expected signs [.., G, K] and bits [G, O, K], "
                         "found %s%s and %s%s",
                         node->name, xnor_dtype_name(x->dtype),
                         xnor_shape_text(&x->shape, tx, sizeof tx), xnor_dtype_name(w->dtype),
                         xnor_shape_text(&w->shape, tw, sizeof tw));
    xnor_shape shape = x->shape;
    shape.rank--;
    shape.dims[shape.rank - 1] = channels;
    return xnor_set_output(graph, node, 0, XNOR_ACC, &shape);
}

static xnor_status eval_grouped(const xnor_node *node, const xnor_tensor *in, xnor_tensor *out) {
    (void)node;
    size_t groups = (size_t)in[1].shape.dims[0], each = (size_t)in[1].shape.dims[1];
    size_t k = (size_t)in[1].shape.dims[2], count = xnor_tensor_count(&out[0]);
    for (size_t i = 0; i < count; i++) {
        size_t channel = i % (groups * each), row = i / (groups * each) * groups + channel / each;
        double sum = 0;
        for (size_t l = 0; l < k; l++)
            sum += xnor_tensor_get(&in[0], row * k + l) * xnor_tensor_get(&in[1], channel * k + l);
        ((int32_t *)out[0].data)[i] = (int32_t)sum;
    }
    return XNOR_OK;
}

const xnor_op_row xnor_ops_grouped[] = {
    {XNOR_OP_GROUPED, {2, 2, 1, 0, infer_grouped, eval_grouped}},
    XNOR_OPS_END,
};
