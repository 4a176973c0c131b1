// MaxPool and AveragePool over one or two spatial axes of x [B, C, ...], or [B, ..., C] with attribute axis. A
// window that lies in the padding only is -infinity, or 0.
#include "ops/pooling.h"

#include <math.h>

#include "core/tensor.h"
#include "ops/ops.h"

static void pair(const xnor_node *node, xnor_attr_key key, uint32_t offset, int64_t fallback,
                 xnor_pooling *w, int64_t *out) {
    const xnor_attr *attr = xnor_node_attr(node, key);
    for (uint32_t i = 0; i < 2; i++)
        out[i] =
            i < w->spatial && attr && i + offset < attr->count ? attr->ints[i + offset] : fallback;
}

xnor_status xnor_pooling_read(const xnor_node *node, const xnor_shape *x, xnor_pooling *w) {
    char text[XNOR_SHAPE_TEXT];
    const char *op = xnor_op_name(node->op);
    const xnor_attr *kernel = xnor_node_attr(node, XNOR_ATTR_KERNEL_SHAPE);
    const int64_t axis = xnor_node_int(node, XNOR_ATTR_AXIS, 1), most = INT32_MAX;
    if (x->rank < 3 || x->rank > 4 || !kernel || kernel->count != x->rank - 2 ||
        (axis != 1 && axis != (int64_t)x->rank - 1))
        return xnor_fail(XNOR_E_UNSUPPORTED,
                         "node '%s' (%s): input %s; one or two spatial axes are supported",
                         node->name, op, xnor_shape_text(x, text, sizeof text));
    *w = (xnor_pooling){.spatial = x->rank - 2,
                        .channel_axis = (uint32_t)axis,
                        .first_axis = axis == 1 ? 2 : 1,
                        .ceil = xnor_node_int(node, XNOR_ATTR_CEIL_MODE, 0) != 0,
                        .counts_padding = xnor_node_int(node, XNOR_ATTR_COUNT_INCLUDE_PAD, 0) != 0};
    pair(node, XNOR_ATTR_KERNEL_SHAPE, 0, 1, w, w->kernel);
    pair(node, XNOR_ATTR_STRIDES, 0, 1, w, w->stride);
    pair(node, XNOR_ATTR_DILATIONS, 0, 1, w, w->dilation);
    pair(node, XNOR_ATTR_PADS, 0, 0, w, w->pad_begin);
    pair(node, XNOR_ATTR_PADS, w->spatial, 0, w, w->pad_end);
    for (uint32_t i = 0; i < 2; i++)
        if (w->kernel[i] < 1 || w->kernel[i] > most || w->stride[i] < 1 || w->stride[i] > most ||
            w->dilation[i] < 1 || w->dilation[i] > most || w->pad_begin[i] < 0 ||
            w->pad_begin[i] > most || w->pad_end[i] < 0 || w->pad_end[i] > most)
            return xnor_fail(XNOR_E_SHAPE,
                             "node '%s' (%s): bad window, stride, dilation or padding", node->name,
                             op);
    return XNOR_OK;
}

static xnor_status infer_pool(xnor_graph *graph, const xnor_node *node) {
    const xnor_value *x = xnor_in(graph, node, 0);
    xnor_pooling w;
    XNOR_TRY(xnor_pooling_read(node, &x->shape, &w));
    xnor_shape shape = x->shape;
    for (uint32_t i = 0; i < w.spatial; i++) {
        const int64_t in = x->shape.dims[i + w.first_axis], stride = w.stride[i];
        if (in < 0) continue;
        int64_t span = in + w.pad_begin[i] + w.pad_end[i] - w.dilation[i] * (w.kernel[i] - 1) - 1;
        if (span < 0)
            return xnor_fail(XNOR_E_SHAPE, "node '%s' (%s): the window is larger than the input",
                             node->name, xnor_op_name(node->op));
        int64_t last = w.ceil ? (span + stride - 1) / stride : span / stride;
        // The last window starts inside of the input or its padding in front.
        if (w.ceil && last * stride >= in + w.pad_begin[i]) last--;
        shape.dims[i + w.first_axis] = last + 1;
    }
    return xnor_set_output(graph, node, 0, x->dtype, &shape);
}

xnor_pooling_taps xnor_pooling_taps_along(const xnor_pooling *w, uint32_t i, int64_t at,
                                          int64_t size) {
    const int64_t dilation = w->dilation[i], begin = at * w->stride[i] - w->pad_begin[i];
    const int64_t beyond = size + w->pad_end[i];
    xnor_pooling_taps t = {.begin = begin, .last = w->kernel[i] - 1, .counted = w->kernel[i]};
    if (begin < 0) t.first = (-begin + dilation - 1) / dilation;
    if (begin + t.last * dilation >= size)
        t.last = begin < size ? (size - 1 - begin) / dilation : -1;
    if (begin + (t.counted - 1) * dilation >= beyond)
        t.counted = begin < beyond ? (beyond - 1 - begin) / dilation + 1 : 0;
    if (!w->counts_padding) t.counted = t.last >= t.first ? t.last - t.first + 1 : 0;
    return t;
}

static xnor_status eval_pool(const xnor_node *node, const xnor_tensor *in, xnor_tensor *out) {
    xnor_pooling w;
    XNOR_TRY(xnor_pooling_read(node, &in[0].shape, &w));
    const bool max = node->op == XNOR_OP_MAX_POOL;
    const int64_t *dims = in[0].shape.dims;
    int64_t strides[XNOR_MAX_RANK];
    xnor_strides(&in[0].shape, strides);
    xnor_walk walk;
    xnor_walk_init(&walk, &out[0].shape);
    const uint32_t a = w.first_axis, b = w.spatial == 2 ? a + 1 : a;
    const size_t count = xnor_tensor_count(&out[0]);
    for (size_t at = 0; at < count; at++, xnor_walk_next(&walk)) {
        const int64_t from =
            walk.index[0] * strides[0] + walk.index[w.channel_axis] * strides[w.channel_axis];
        const xnor_pooling_taps y = xnor_pooling_taps_along(&w, 0, walk.index[a], dims[a]);
        const xnor_pooling_taps x = w.spatial == 2
                                        ? xnor_pooling_taps_along(&w, 1, walk.index[b], dims[b])
                                        : (xnor_pooling_taps){.counted = 1};
        double sum = max ? -INFINITY : 0;
        for (int64_t i = y.first; i <= y.last; i++)
            for (int64_t k = x.first; k <= x.last; k++) {
                const int64_t row = y.begin + i * w.dilation[0],
                              column = x.begin + k * w.dilation[1];
                const int64_t place =
                    from + row * strides[a] + (w.spatial == 2 ? column * strides[b] : 0);
                const double value = xnor_tensor_get(&in[0], (size_t)place);
                sum = !max ? sum + value : isnan(value) || value > sum ? value : sum;
            }
        const int64_t divisor = y.counted * x.counted;
        xnor_tensor_set(&out[0], at, max ? sum : divisor ? sum / (double)divisor : 0);
    }
    return XNOR_OK;
}

const xnor_op_row xnor_ops_pooling[] = {
    {XNOR_OP_MAX_POOL, {1, 1, 1, 0, infer_pool, eval_pool}},
    {XNOR_OP_AVERAGE_POOL, {1, 1, 1, 0, infer_pool, eval_pool}},
    XNOR_OPS_END,
};
