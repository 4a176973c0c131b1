#include "ops/window.h"

static bool read_pair(const xnor_node *node, xnor_attr_key key, uint32_t axes, uint32_t offset,
                      int64_t least, int64_t *out) {
    const xnor_attr *attr = xnor_node_attr(node, key);
    for (uint32_t i = 0; i < 2; i++) {
        out[i] = i < axes && attr && i + offset < attr->count ? attr->ints[i + offset] : least;
        // So that no sum of products of two overflows.
        if (out[i] < least || out[i] > INT32_MAX) return false;
    }
    return true;
}

xnor_status xnor_window_read(const xnor_node *node, uint32_t axes, const int64_t *kernel,
                             xnor_window *out) {
    *out = (xnor_window){.axes = axes, .ceil = xnor_node_int(node, XNOR_ATTR_CEIL_MODE, 0) != 0};
    bool good = read_pair(node, XNOR_ATTR_KERNEL_SHAPE, axes, 0, 1, out->kernel);
    for (uint32_t i = 0; kernel && i < axes; i++) {
        out->kernel[i] = kernel[i];
        good = good && kernel[i] >= 1 && kernel[i] <= INT32_MAX;
    }
    if (good && read_pair(node, XNOR_ATTR_STRIDES, axes, 0, 1, out->stride) &&
        read_pair(node, XNOR_ATTR_DILATIONS, axes, 0, 1, out->dilation) &&
        read_pair(node, XNOR_ATTR_PADS, axes, 0, 0, out->pad_begin) &&
        read_pair(node, XNOR_ATTR_PADS, axes, axes, 0, out->pad_end))
        return XNOR_OK;
    return xnor_fail(XNOR_E_SHAPE,
                     "node '%s' (%s): a kernel, stride, dilation or padding that is out of range",
                     node->name, xnor_op_name(node->op));
}

// Elements that the taps of one window span, up to the last one.
static int64_t reach(const xnor_window *w, uint32_t i) {
    return w->dilation[i] * (w->kernel[i] - 1);
}

xnor_status xnor_window_slide(const xnor_node *node, const xnor_window *w, uint32_t first_axis,
                              xnor_shape *shape) {
    const int64_t most = INT64_C(1) << 40;
    for (uint32_t i = 0; i < w->axes; i++) {
        int64_t *dim = &shape->dims[first_axis + i];
        const int64_t in = *dim, stride = w->stride[i];
        if (in < 0) continue;
        const int64_t span = in + w->pad_begin[i] + w->pad_end[i] - reach(w, i) - 1;
        if (in > most || span < 0)
            return xnor_fail(XNOR_E_SHAPE, "node '%s' (%s): the window is larger than the input%s",
                             node->name, xnor_op_name(node->op),
                             in > most ? ", or that too large" : "");
        int64_t last = w->ceil ? (span + stride - 1) / stride : span / stride;
        // The last window starts inside of the input or its padding in front.
        if (w->ceil && last * stride >= in + w->pad_begin[i]) last--;
        *dim = last + 1;
    }
    return XNOR_OK;
}

xnor_taps xnor_window_taps(const xnor_window *w, uint32_t i, int64_t at, int64_t size) {
    const int64_t dilation = w->dilation[i], begin = at * w->stride[i] - w->pad_begin[i];
    const int64_t beyond = size + w->pad_end[i];
    xnor_taps t = {.begin = begin, .last = w->kernel[i] - 1, .padded = w->kernel[i]};
    if (begin < 0) t.first = (-begin + dilation - 1) / dilation;
    if (begin + t.last * dilation >= size)
        t.last = begin < size ? (size - 1 - begin) / dilation : -1;
    if (begin + reach(w, i) >= beyond)
        t.padded = begin < beyond ? (beyond - 1 - begin) / dilation + 1 : 0;
    return t;
}

static int64_t clamp(int64_t x, int64_t low, int64_t high) {
    return x < low ? low : x > high ? high : x;
}

void xnor_window_inside(const xnor_window *w, uint32_t i, int64_t size, int64_t count,
                        int64_t *begin, int64_t *end) {
    const int64_t stride = w->stride[i], pad = w->pad_begin[i], room = size + pad - reach(w, i);
    *begin = clamp((pad + stride - 1) / stride, 0, count);
    *end = room > 0 ? clamp((room - 1) / stride + 1, *begin, count) : *begin;
}
