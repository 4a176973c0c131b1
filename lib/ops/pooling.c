// MaxPool and AveragePool over one or two spatial axes of x [B, C, ...], or [B, ..., C] with attribute axis. A
// window that lies in the padding only is -infinity, or 0.
#include "ops/pooling.h"

#include <math.h>

#include "core/tensor.h"
#include "ops/ops.h"

xnor_status xnor_pooling_read(const xnor_node *node, const xnor_shape *x, xnor_pooling *out) {
    char text[XNOR_SHAPE_TEXT];
    const xnor_attr *kernel = xnor_node_attr(node, XNOR_ATTR_KERNEL_SHAPE);
    const int64_t axis = xnor_node_int(node, XNOR_ATTR_AXIS, 1);
    if (x->rank < 3 || x->rank > 4 || !kernel || kernel->count != x->rank - 2 ||
        (axis != 1 && axis != (int64_t)x->rank - 1))
        return xnor_fail(XNOR_E_UNSUPPORTED,
                         "node '%s' (%s): input %s; one or two spatial axes are supported",
                         node->name, xnor_op_name(node->op), xnor_shape_text(x, text, sizeof text));
    *out =
        (xnor_pooling){.channel_axis = (uint32_t)axis,
                       .first_axis = axis == 1 ? 2 : 1,
                       .counts_padding = xnor_node_int(node, XNOR_ATTR_COUNT_INCLUDE_PAD, 0) != 0};
    return xnor_window_read(node, x->rank - 2, NULL, &out->window);
}

static xnor_status infer_pool(xnor_graph *graph, const xnor_node *node) {
    const xnor_value *x = xnor_in(graph, node, 0);
    xnor_pooling p;
    XNOR_TRY(xnor_pooling_read(node, &x->shape, &p));
    xnor_shape shape = x->shape;
    XNOR_TRY(xnor_window_slide(node, &p.window, p.first_axis, &shape));
    return xnor_set_output(graph, node, 0, x->dtype, &shape);
}

static xnor_status eval_pool(const xnor_node *node, const xnor_tensor *in, xnor_tensor *out) {
    xnor_pooling p;
    XNOR_TRY(xnor_pooling_read(node, &in[0].shape, &p));
    const bool max = node->op == XNOR_OP_MAX_POOL, two = p.window.axes == 2;
    const int64_t *dims = in[0].shape.dims;
    int64_t strides[XNOR_MAX_RANK];
    xnor_strides(&in[0].shape, strides);
    xnor_walk walk;
    xnor_walk_init(&walk, &out[0].shape);
    const uint32_t a = p.first_axis, b = two ? a + 1 : a;
    const size_t count = xnor_tensor_count(&out[0]);
    for (size_t at = 0; at < count; at++, xnor_walk_next(&walk)) {
        const int64_t from =
            walk.index[0] * strides[0] + walk.index[p.channel_axis] * strides[p.channel_axis];
        const xnor_taps y = xnor_window_taps(&p.window, 0, walk.index[a], dims[a]);
        const xnor_taps x =
            xnor_window_taps(&p.window, 1, two ? walk.index[b] : 0, two ? dims[b] : 1);
        double sum = max ? -INFINITY : 0;
        for (int64_t i = y.first; i <= y.last; i++)
            for (int64_t k = x.first; k <= x.last; k++) {
                const int64_t row = y.begin + i * p.window.dilation[0];
                const int64_t column = x.begin + k * p.window.dilation[1];
                const int64_t place = from + row * strides[a] + (two ? column * strides[b] : 0);
                const double value = xnor_tensor_get(&in[0], (size_t)place);
                sum = !max ? sum + value : isnan(value) || value > sum ? value : sum;
            }
        const int64_t divisor = xnor_pooling_count(&p, &y, &x);
        xnor_tensor_set(&out[0], at, max ? sum : divisor ? sum / (double)divisor : 0);
    }
    return XNOR_OK;
}

const xnor_op_row xnor_ops_pooling[] = {
    {XNOR_OP_MAX_POOL, {1, 1, 1, 0, infer_pool, eval_pool}},
    {XNOR_OP_AVERAGE_POOL, {1, 1, 1, 0, infer_pool, eval_pool}},
    XNOR_OPS_END,
};
