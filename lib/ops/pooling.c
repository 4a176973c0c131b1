// xnor_max_pool: MaxPool of signs with channels last, or the smallest of channels whose direction (input 1, bits [C])
// is -1. A window that lies in the padding only is -1, or +1.
//
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

static xnor_status infer_pool_signs(xnor_graph *graph, const xnor_node *node) {
    const xnor_value *x = xnor_in(graph, node, 0), *direction = xnor_in(graph, node, 1);
    const int64_t channels = xnor_shape_last(&x->shape);
    char text[XNOR_SHAPE_TEXT];
    if ((x->dtype != XNOR_BITS && x->dtype != XNOR_TERNARY) || channels < 1 ||
        xnor_node_int(node, XNOR_ATTR_AXIS, 1) != (int64_t)x->shape.rank - 1 ||
        (direction && (direction->dtype != XNOR_BITS || direction->shape.rank != 1 ||
                       direction->shape.dims[0] != channels)))
        return xnor_fail(XNOR_E_SHAPE,
                         "node '%s' (xnor_max_pool): expected signs [B, H, W, C] and bits [C], "
                         "found %s%s",
                         node->name, xnor_dtype_name(x->dtype),
                         xnor_shape_text(&x->shape, text, sizeof text));
    return infer_pool(graph, node);
}

static xnor_status eval_pool_signs(const xnor_node *node, const xnor_tensor *in, xnor_tensor *out) {
    xnor_pooling p;
    size_t bytes, at = 0;
    XNOR_TRY(xnor_pooling_read(node, &in[0].shape, &p));
    XNOR_TRY(xnor_tensor_bytes(out[0].dtype, &out[0].shape, &bytes));
    for (size_t i = 0; i < bytes; i++) ((uint8_t *)out[0].data)[i] = 0;
    const bool two = p.window.axes == 2, directed = node->input_count > 1 && in[1].data;
    const int64_t *dims = in[0].shape.dims, *y = out[0].shape.dims;
    const int64_t height = dims[1], width = two ? dims[2] : 1,
                  channels = dims[in[0].shape.rank - 1];
    const int64_t columns = two ? y[2] : 1;
    for (int64_t pixel = 0; pixel < y[0] * y[1] * columns; pixel++) {
        const xnor_taps down = xnor_window_taps(&p.window, 0, pixel / columns % y[1], height);
        const xnor_taps along = xnor_window_taps(&p.window, 1, pixel % columns, width);
        for (int64_t c = 0; c < channels; c++, at++) {
            const double factor = directed ? xnor_tensor_get(&in[1], (size_t)c) : 1;
            double best = -1;
            for (int64_t i = down.first; i <= down.last; i++)
                for (int64_t k = along.first; k <= along.last; k++) {
                    const int64_t row =
                        pixel / columns / y[1] * height + down.begin + i * p.window.dilation[0];
                    const int64_t column = along.begin + k * p.window.dilation[1];
                    const double sign =
                        factor *
                        xnor_tensor_get(&in[0], (size_t)((row * width + column) * channels + c));
                    best = sign > best ? sign : best;
                }
            xnor_tensor_set(&out[0], at, factor * best);
        }
    }
    return XNOR_OK;
}

const xnor_op_row xnor_ops_pooling[] = {
    {XNOR_OP_MAX_POOL, {1, 1, 1, 0, infer_pool, eval_pool}},
    {XNOR_OP_AVERAGE_POOL, {1, 1, 1, 0, infer_pool, eval_pool}},
    {XNOR_OP_POOL_SIGNS, {1, 2, 1, 0, infer_pool_signs, eval_pool_signs}},
    XNOR_OPS_END,
};
