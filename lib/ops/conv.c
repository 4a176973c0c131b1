// Convolutions. Zero padding contributes 0.
//   Conv              x [B, C, L] or [B, C, H, W], w [M, C / group, kernel...] -> [B, M, ...]
//   xnor_conv2d_f32   x [B, H, W, C], w [M, kh, kw, C / group] -> [B, H', W', M]
// and their transposes, in which every element of x gives to a window of the result; what lies in the padding is
// left out.
//   ConvTranspose               x [B, C, L] or [B, C, H, W], w [C, M / group, kernel...] -> [B, M, ...]
//   xnor_conv_transpose2d_f32   x [B, H, W, C], w [C, kh, kw, M / group] -> [B, H', W', M]
#include "ops/conv.h"

#include "ops/ops.h"

#include "core/tensor.h"

static bool is_transposed(const xnor_node *node) {
    return node->op == XNOR_OP_CONV_TRANSPOSE || node->op == XNOR_OP_CONV_TRANSPOSE2D;
}

xnor_status xnor_conv_read(const xnor_node *node, const xnor_shape *x, const xnor_shape *w,
                           xnor_conv *c) {
    char tx[XNOR_SHAPE_TEXT], tw[XNOR_SHAPE_TEXT];
    const bool last = node->op == XNOR_OP_CONV2D || node->op == XNOR_OP_CONV_TRANSPOSE2D;
    *c = (xnor_conv){.group = xnor_node_int(node, XNOR_ATTR_GROUP, 1)};
    if (x->rank < (last ? 4 : 3) || x->rank > 4 || w->rank != x->rank)
        return xnor_fail(
            XNOR_E_UNSUPPORTED,
            "node '%s' (%s): input %s, weight %s; one or two spatial axes are supported",
            node->name, xnor_op_name(node->op), xnor_shape_text(x, tx, sizeof tx),
            xnor_shape_text(w, tw, sizeof tw));
    c->channel_axis = c->weight_channel_axis = last ? 3 : 1;
    c->first_axis = c->first_weight_axis = last ? 1 : 2;
    XNOR_TRY(xnor_window_read(node, x->rank - 2, w->dims + c->first_weight_axis, &c->window));
    // Channels of one side are the weight's first axis, of the other group times the channel axis.
    const int64_t channels = x->dims[c->channel_axis], each = w->dims[c->weight_channel_axis];
    int64_t product;
    bool bad = c->group < 1 || w->dims[0] < 0 || each < 0 || w->dims[0] % c->group ||
               __builtin_mul_overflow(each, c->group, &product);
    const bool transposed = is_transposed(node);
    if (bad || (channels >= 0 && channels != (transposed ? w->dims[0] : product)))
        return xnor_fail(XNOR_E_SHAPE, "node '%s' (%s): input %s, weight %s, %lld groups",
                         node->name, xnor_op_name(node->op), xnor_shape_text(x, tx, sizeof tx),
                         xnor_shape_text(w, tw, sizeof tw), (long long)c->group);
    c->outputs = transposed ? product : w->dims[0];
    const xnor_attr *extra = xnor_node_attr(node, XNOR_ATTR_OUTPUT_PADDING);
    for (uint32_t i = 0; transposed && extra && i < c->window.axes && i < extra->count; i++) {
        c->extra[i] = extra->ints[i];
        if (c->extra[i] < 0 || c->extra[i] > INT32_MAX)
            return xnor_fail(XNOR_E_SHAPE, "node '%s' (%s): output_padding %lld", node->name,
                             xnor_op_name(node->op), (long long)c->extra[i]);
    }
    return XNOR_OK;
}

// The other way round than xnor_window_slide.
static xnor_status spread(const xnor_node *node, const xnor_conv *c, xnor_shape *shape) {
    const xnor_window *w = &c->window;
    for (uint32_t i = 0; i < w->axes; i++) {
        int64_t *dim = &shape->dims[c->first_axis + i];
        if (*dim < 0) continue;
        const bool large = *dim > INT32_MAX;
        const int64_t reach = w->dilation[i] * (w->kernel[i] - 1) + 1;
        if (!large)
            *dim =
                (*dim - 1) * w->stride[i] + reach + c->extra[i] - w->pad_begin[i] - w->pad_end[i];
        if (large || *dim < 1)
            return xnor_fail(XNOR_E_SHAPE, "node '%s' (%s): %s", node->name, xnor_op_name(node->op),
                             large ? "the input is too large"
                                   : "nothing is left within the padding");
    }
    return XNOR_OK;
}

static xnor_status infer_conv(xnor_graph *graph, const xnor_node *node) {
    const xnor_value *x = xnor_in(graph, node, 0), *w = xnor_in(graph, node, 1);
    const xnor_value *bias = xnor_in(graph, node, 2);
    xnor_conv c;
    XNOR_TRY(xnor_conv_read(node, &x->shape, &w->shape, &c));
    if (bias && (bias->shape.rank != 1 || bias->shape.dims[0] != c.outputs))
        return xnor_fail(XNOR_E_SHAPE, "node '%s' (%s): expected a bias for %lld channels",
                         node->name, xnor_op_name(node->op), (long long)c.outputs);
    xnor_shape shape = x->shape;
    shape.dims[c.channel_axis] = c.outputs;
    if (is_transposed(node))
        XNOR_TRY(spread(node, &c, &shape));
    else
        XNOR_TRY(xnor_window_slide(node, &c.window, c.first_axis, &shape));
    return xnor_set_output(graph, node, 0, x->dtype == XNOR_F64 ? XNOR_F64 : XNOR_F32, &shape);
}

// Distance in elements between neighbours along batch (or output of a weight), channel, height and width.
typedef struct steps {
    int64_t first, channel, y, x;
} steps;

static steps steps_of(const xnor_shape *shape, uint32_t channel_axis, uint32_t first_axis) {
    int64_t s[XNOR_MAX_RANK];
    xnor_strides(shape, s);
    return (steps){s[0], s[channel_axis], s[first_axis], shape->rank == 4 ? s[first_axis + 1] : 0};
}

static xnor_status eval_conv(const xnor_node *node, const xnor_tensor *in, xnor_tensor *out) {
    xnor_conv c;
    XNOR_TRY(xnor_conv_read(node, &in[0].shape, &in[1].shape, &c));
    const xnor_window *v = &c.window;
    const bool two = v->axes == 2, bias = node->input_count > 2 && in[2].data;
    const int64_t *dims = in[0].shape.dims, *out_dims = out[0].shape.dims;
    const steps sx = steps_of(&in[0].shape, c.channel_axis, c.first_axis);
    const steps sy = steps_of(&out[0].shape, c.channel_axis, c.first_axis);
    const steps sw = steps_of(&in[1].shape, c.weight_channel_axis, c.first_weight_axis);
    const int64_t h = dims[c.first_axis], w = two ? dims[c.first_axis + 1] : 1;
    const int64_t out_h = out_dims[c.first_axis], out_w = two ? out_dims[c.first_axis + 1] : 1;
    const int64_t m = out_dims[c.channel_axis];
    const int64_t group_in = dims[c.channel_axis] / c.group, group_out = m / c.group;
    for (int64_t b = 0; b < dims[0]; b++)
        for (int64_t o = 0; o < m; o++)
            for (int64_t y = 0; y < out_h; y++)
                for (int64_t x = 0; x < out_w; x++) {
                    const xnor_taps down = xnor_window_taps(v, 0, y, h);
                    const xnor_taps along = xnor_window_taps(v, 1, x, w);
                    double sum = bias ? xnor_tensor_get(&in[2], (size_t)o) : 0;
                    for (int64_t i = 0; i < group_in; i++)
                        for (int64_t ky = down.first; ky <= down.last; ky++)
                            for (int64_t kx = along.first; kx <= along.last; kx++) {
                                int64_t yy = down.begin + ky * v->dilation[0];
                                int64_t xx = along.begin + kx * v->dilation[1];
                                int64_t channel = o / group_out * group_in + i;
                                int64_t tap = o * sw.first + i * sw.channel + ky * sw.y + kx * sw.x;
                                int64_t pixel =
                                    b * sx.first + channel * sx.channel + yy * sx.y + xx * sx.x;
                                sum += xnor_tensor_get(&in[0], (size_t)pixel) *
                                       xnor_tensor_get(&in[1], (size_t)tap);
                            }
                    int64_t at = b * sy.first + o * sy.channel + y * sy.y + x * sy.x;
                    xnor_tensor_set(&out[0], (size_t)at, sum);
                }
    return XNOR_OK;
}

static xnor_status eval_transposed(const xnor_node *node, const xnor_tensor *in, xnor_tensor *out) {
    xnor_conv c;
    XNOR_TRY(xnor_conv_read(node, &in[0].shape, &in[1].shape, &c));
    const xnor_window *v = &c.window;
    const bool two = v->axes == 2, bias = node->input_count > 2 && in[2].data;
    const steps sx = steps_of(&in[0].shape, c.channel_axis, c.first_axis);
    const steps sw = steps_of(&in[1].shape, c.weight_channel_axis, c.first_weight_axis);
    const int64_t *dims = in[0].shape.dims;
    const int64_t h = dims[c.first_axis], w = two ? dims[c.first_axis + 1] : 1;
    const int64_t group_in = dims[c.channel_axis] / c.group, group_out = c.outputs / c.group;
    xnor_walk walk;
    xnor_walk_init(&walk, &out[0].shape);
    const size_t count = xnor_tensor_count(&out[0]);
    for (size_t at = 0; at < count; at++, xnor_walk_next(&walk)) {
        const int64_t o = walk.index[c.channel_axis];
        double sum = bias ? xnor_tensor_get(&in[2], (size_t)o) : 0;
        for (int64_t ky = 0; ky < v->kernel[0]; ky++)
            for (int64_t kx = 0; kx < v->kernel[1]; kx++) {
                const int64_t y = xnor_conv_giver(v, 0, h, walk.index[c.first_axis], ky);
                const int64_t x =
                    xnor_conv_giver(v, 1, w, two ? walk.index[c.first_axis + 1] : 0, kx);
                if (y < 0 || x < 0) continue;
                for (int64_t i = 0; i < group_in; i++) {
                    const int64_t channel = o / group_out * group_in + i;
                    const int64_t pixel =
                        walk.index[0] * sx.first + channel * sx.channel + y * sx.y + x * sx.x;
                    const int64_t tap =
                        channel * sw.first + o % group_out * sw.channel + ky * sw.y + kx * sw.x;
                    sum += xnor_tensor_get(&in[0], (size_t)pixel) *
                           xnor_tensor_get(&in[1], (size_t)tap);
                }
            }
        xnor_tensor_set(&out[0], at, sum);
    }
    return XNOR_OK;
}

const xnor_op_row xnor_ops_conv[] = {
    {XNOR_OP_CONV, {2, 3, 1, 0, infer_conv, eval_conv}},
    {XNOR_OP_CONV2D, {2, 3, 1, 0, infer_conv, eval_conv}},
    {XNOR_OP_CONV_TRANSPOSE, {2, 3, 1, 0, infer_conv, eval_transposed}},
    {XNOR_OP_CONV_TRANSPOSE2D, {2, 3, 1, 0, infer_conv, eval_transposed}},
    XNOR_OPS_END,
};
