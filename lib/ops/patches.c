// xnor_patches: the windows of a convolution as rows, so that a layer on bits behind it is a binary
// convolution.
#include "ops/patches.h"

#include "core/tensor.h"
#include "ops/ops.h"

enum { MOST = 65535 };

static bool read_pair(const xnor_node *node, xnor_attr_key key, uint32_t offset, int64_t fallback,
                      int64_t least, int64_t *out) {
    const xnor_attr *attr = xnor_node_attr(node, key);
    for (uint32_t i = 0; i < 2; i++) {
        out[i] = attr && i + offset < attr->count ? attr->ints[i + offset] : fallback;
        if (out[i] < least || out[i] > MOST) return false;
    }
    return true;
}

xnor_status xnor_patches_read(const xnor_node *node, xnor_patches *out) {
    double padded = xnor_node_float(node, XNOR_ATTR_ALPHA, 0);
    out->group = xnor_node_int(node, XNOR_ATTR_GROUP, 1);
    if (!read_pair(node, XNOR_ATTR_KERNEL_SHAPE, 0, 1, 1, out->kernel) ||
        !read_pair(node, XNOR_ATTR_STRIDES, 0, 1, 1, out->stride) ||
        !read_pair(node, XNOR_ATTR_DILATIONS, 0, 1, 1, out->dilation) ||
        !read_pair(node, XNOR_ATTR_PADS, 0, 0, 0, out->pad_begin) ||
        !read_pair(node, XNOR_ATTR_PADS, 2, 0, 0, out->pad_end) || out->group < 1 ||
        out->group > MOST || (padded != 0 && padded != 1 && padded != -1))
        return xnor_fail(XNOR_E_SHAPE,
                         "node '%s' (xnor_patches): a kernel, stride, dilation, padding or group "
                         "that is out of range",
                         node->name);
    out->padded = padded > 0 ? 1 : padded < 0 ? -1 : 0;
    return XNOR_OK;
}

int64_t xnor_patches_count(const xnor_patches *p, int axis, int64_t in) {
    int64_t span = in + p->pad_begin[axis] + p->pad_end[axis];
    int64_t reach = p->dilation[axis] * (p->kernel[axis] - 1) + 1;
    return span < reach ? 0 : (span - reach) / p->stride[axis] + 1;
}

bool xnor_patches_pad(const xnor_patches *p) {
    return p->pad_begin[0] || p->pad_begin[1] || p->pad_end[0] || p->pad_end[1];
}

static xnor_status refuse(const xnor_node *node, const char *why, const xnor_value *x) {
    char text[XNOR_SHAPE_TEXT];
    return xnor_fail(XNOR_E_SHAPE, "node '%s' (xnor_patches): %s, found %s%s", node->name, why,
                     xnor_dtype_name(x->dtype), xnor_shape_text(&x->shape, text, sizeof text));
}

// x [B, H, W, C] -> [B, Ho, Wo, kh·kw·C], tap major, with groups [B, Ho, Wo, G, kh·kw·C / G].
static xnor_status infer_patches(xnor_graph *graph, const xnor_node *node) {
    const int64_t most_pixels = INT64_C(1) << 40;
    const xnor_value *x = xnor_in(graph, node, 0);
    xnor_patches p;
    XNOR_TRY(xnor_patches_read(node, &p));
    int64_t channels = x->shape.rank == 4 ? x->shape.dims[3] : 0, taps = 0;
    if ((x->dtype != XNOR_BITS && x->dtype != XNOR_TERNARY) || channels < 1 || channels % p.group)
        return refuse(node, "expected signs [B, H, W, C], C a multiple of the groups", x);
    // Sums of a layer behind are 32 bits.
    if (__builtin_mul_overflow(p.kernel[0] * p.kernel[1], channels / p.group, &taps) ||
        taps > INT32_MAX)
        return refuse(node, "the window is too large", x);
    xnor_shape shape = {p.group > 1 ? 5 : 4, {x->shape.dims[0]}};
    for (int i = 0; i < 2; i++) {
        int64_t in = x->shape.dims[i + 1];
        if (in > most_pixels || (in >= 0 && xnor_patches_count(&p, i, in) < 1))
            return refuse(node, "the image is smaller than the window, or too large", x);
        shape.dims[i + 1] = in < 0 ? -1 : xnor_patches_count(&p, i, in);
    }
    if (p.group > 1) shape.dims[3] = p.group;
    shape.dims[shape.rank - 1] = taps;
    bool zeros = p.padded == 0 && xnor_patches_pad(&p);
    return xnor_set_output(graph, node, 0, zeros ? XNOR_TERNARY : x->dtype, &shape);
}

static xnor_status eval_patches(const xnor_node *node, const xnor_tensor *in, xnor_tensor *out) {
    xnor_patches p;
    size_t bytes, at = 0;
    XNOR_TRY(xnor_patches_read(node, &p));
    XNOR_TRY(xnor_tensor_bytes(out[0].dtype, &out[0].shape, &bytes));
    for (size_t i = 0; i < bytes; i++) ((uint8_t *)out[0].data)[i] = 0;
    const int64_t *x = in[0].shape.dims, *y = out[0].shape.dims, each = x[3] / p.group;
    for (int64_t b = 0; b < x[0]; b++)
        for (int64_t pixel = 0; pixel < y[1] * y[2]; pixel++)
            for (int64_t g = 0; g < p.group; g++)
                for (int64_t tap = 0; tap < p.kernel[0] * p.kernel[1]; tap++) {
                    int64_t row = pixel / y[2] * p.stride[0] - p.pad_begin[0] +
                                  tap / p.kernel[1] * p.dilation[0];
                    int64_t column = pixel % y[2] * p.stride[1] - p.pad_begin[1] +
                                     tap % p.kernel[1] * p.dilation[1];
                    bool inside = row >= 0 && row < x[1] && column >= 0 && column < x[2];
                    int64_t from = ((b * x[1] + row) * x[2] + column) * x[3] + g * each;
                    for (int64_t c = 0; c < each; c++, at++)
                        xnor_tensor_set(&out[0], at,
                                        inside ? xnor_tensor_get(&in[0], (size_t)(from + c))
                                               : p.padded);
                }
    return XNOR_OK;
}

const xnor_op_row xnor_ops_patches[] = {
    {XNOR_OP_PATCHES, {1, 1, 1, 0, infer_patches, eval_patches}},
    XNOR_OPS_END,
};
