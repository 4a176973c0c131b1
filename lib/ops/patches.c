// xnor_patches: the windows of a convolution as rows, so that a layer on bits behind it is a binary
// convolution.
#include "ops/patches.h"

#include "core/tensor.h"
#include "ops/ops.h"

xnor_status xnor_patches_read(const xnor_node *node, xnor_patches *out) {
    const double padded = xnor_node_float(node, XNOR_ATTR_ALPHA, 0);
    XNOR_TRY(xnor_window_read(node, 2, NULL, &out->window));
    out->group = xnor_node_int(node, XNOR_ATTR_GROUP, 1);
    if (out->group < 1 || out->group > INT32_MAX || (padded != 0 && padded != 1 && padded != -1))
        return xnor_fail(XNOR_E_SHAPE, "node '%s' (xnor_patches): a group or padding out of range",
                         node->name);
    out->padded = padded > 0 ? 1 : padded < 0 ? -1 : 0;
    return XNOR_OK;
}

static bool reaches_beyond(const xnor_window *w) {
    return w->pad_begin[0] || w->pad_begin[1] || w->pad_end[0] || w->pad_end[1];
}

static xnor_status refuse(const xnor_node *node, const char *why, const xnor_value *x) {
    char text[XNOR_SHAPE_TEXT];
    return xnor_fail(XNOR_E_SHAPE, "node '%s' (xnor_patches): %s, found %s%s", node->name, why,
                     xnor_dtype_name(x->dtype), xnor_shape_text(&x->shape, text, sizeof text));
}

// x [B, H, W, C] -> [B, Ho, Wo, kh·kw·C], tap major, with groups [B, Ho, Wo, G, kh·kw·C / G].
static xnor_status infer_patches(xnor_graph *graph, const xnor_node *node) {
    const xnor_value *x = xnor_in(graph, node, 0);
    xnor_patches p;
    XNOR_TRY(xnor_patches_read(node, &p));
    int64_t channels = x->shape.rank == 4 ? x->shape.dims[3] : 0, taps = 0;
    if ((x->dtype != XNOR_BITS && x->dtype != XNOR_TERNARY) || channels < 1 || channels % p.group)
        return refuse(node, "expected signs [B, H, W, C], C a multiple of the groups", x);
    // Sums of a layer behind are 32 bits.
    if (__builtin_mul_overflow(p.window.kernel[0] * p.window.kernel[1], channels / p.group,
                               &taps) ||
        taps > INT32_MAX)
        return refuse(node, "the window is too large", x);
    xnor_shape shape = x->shape;
    XNOR_TRY(xnor_window_slide(node, &p.window, 1, &shape));
    if (p.group > 1) shape.dims[shape.rank++ - 1] = p.group;
    shape.dims[shape.rank - 1] = taps;
    bool zeros = p.padded == 0 && reaches_beyond(&p.window);
    return xnor_set_output(graph, node, 0, zeros ? XNOR_TERNARY : x->dtype, &shape);
}

static xnor_status eval_patches(const xnor_node *node, const xnor_tensor *in, xnor_tensor *out) {
    xnor_patches p;
    size_t bytes, at = 0;
    XNOR_TRY(xnor_patches_read(node, &p));
    XNOR_TRY(xnor_tensor_bytes(out[0].dtype, &out[0].shape, &bytes));
    for (size_t i = 0; i < bytes; i++) ((uint8_t *)out[0].data)[i] = 0;
    const xnor_window *w = &p.window;
    const int64_t *x = in[0].shape.dims, *y = out[0].shape.dims, each = x[3] / p.group;
    for (int64_t b = 0; b < x[0]; b++)
        for (int64_t pixel = 0; pixel < y[1] * y[2]; pixel++)
            for (int64_t g = 0; g < p.group; g++)
                for (int64_t tap = 0; tap < w->kernel[0] * w->kernel[1]; tap++) {
                    int64_t row = pixel / y[2] * w->stride[0] - w->pad_begin[0] +
                                  tap / w->kernel[1] * w->dilation[0];
                    int64_t column = pixel % y[2] * w->stride[1] - w->pad_begin[1] +
                                     tap % w->kernel[1] * w->dilation[1];
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
