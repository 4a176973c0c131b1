// Resize(x, roi, scales, sizes): every axis by its scale, or to its size. Nearest elements or linear
// interpolation, axis by axis. Of signs only nearest elements.
#include "ops/resize.h"

#include <math.h>
#include <string.h>

#include "core/tensor.h"
#include "ops/ops.h"

enum { SCALES = 2, SIZES = 3 };

static const xnor_value *given(const xnor_graph *graph, const xnor_node *node, uint32_t input) {
    const xnor_value *value = xnor_in(graph, node, input);
    bool empty = value && value->shape.rank == 1 && value->shape.dims[0] == 0;
    return empty ? NULL : value;
}

static bool is_scale(double scale) {
    return scale > 0 && scale <= 65536;
}

static bool is_signs(xnor_dtype dtype) {
    return dtype == XNOR_BITS || dtype == XNOR_TERNARY;
}

static xnor_status infer_resize(xnor_graph *graph, const xnor_node *node) {
    const xnor_value *x = xnor_in(graph, node, 0);
    if (is_signs(x->dtype) &&
        xnor_node_int(node, XNOR_ATTR_MODE, XNOR_RESIZE_NEAREST) != XNOR_RESIZE_NEAREST)
        return xnor_fail(XNOR_E_SHAPE, "node '%s' (Resize): signs cannot be interpolated",
                         node->name);
    const xnor_value *scales = given(graph, node, SCALES), *sizes = given(graph, node, SIZES);
    if (!scales == !sizes)
        return xnor_fail(XNOR_E_SHAPE, "node '%s' (Resize): either scales or sizes must be given",
                         node->name);
    const xnor_value *targets = sizes ? sizes : scales;
    if (targets->shape.rank != 1 ||
        (targets->shape.dims[0] >= 0 && targets->shape.dims[0] != (int64_t)x->shape.rank))
        return xnor_fail(XNOR_E_SHAPE, "node '%s' (Resize): expected one %s for each of %u axes",
                         node->name, sizes ? "size" : "scale", x->shape.rank);
    xnor_shape shape = x->shape;
    for (uint32_t i = 0; i < shape.rank; i++) {
        const int64_t in = shape.dims[i];
        shape.dims[i] = -1;
        if (!targets->data) continue;
        const xnor_tensor t = {targets->dtype, targets->shape, targets->data};
        const double target = xnor_tensor_get(&t, i);
        if (sizes ? target < 1 || target > INT32_MAX : !is_scale(target))
            return xnor_fail(XNOR_E_SHAPE, "node '%s' (Resize): %s %g of axis %u is out of range",
                             node->name, sizes ? "size" : "scale", target, i);
        if (in >= 0) shape.dims[i] = (int64_t)(sizes ? target : floor((double)in * target));
    }
    return xnor_set_output(graph, node, 0, x->dtype, &shape);
}

xnor_resize_axis xnor_resize_axis_of(const xnor_node *node, uint32_t axis,
                                     const xnor_tensor *scales, const xnor_tensor *sizes,
                                     int64_t in, int64_t out) {
    const bool by_size = sizes->data && xnor_tensor_count(sizes);
    return (xnor_resize_axis){
        .in = in,
        .out = out,
        .scale = by_size ? (double)out / (double)in : xnor_tensor_get(scales, axis),
        .mode = xnor_node_int(node, XNOR_ATTR_MODE, XNOR_RESIZE_NEAREST),
        .coordinates = xnor_node_int(node, XNOR_ATTR_COORDINATES, XNOR_RESIZE_HALF_PIXEL),
        .nearest = xnor_node_int(node, XNOR_ATTR_NEAREST_MODE, XNOR_RESIZE_ROUND_PREFER_FLOOR),
    };
}

static double coordinate(const xnor_resize_axis *a, double at) {
    switch (a->coordinates) {
    case XNOR_RESIZE_ASYMMETRIC:
        return at / a->scale;
    case XNOR_RESIZE_ALIGN_CORNERS: // by the scale, also where the result has fewer elements
        return a->out == 1 ? 0 : at * (double)(a->in - 1) / ((double)a->in * a->scale - 1);
    case XNOR_RESIZE_TF_HALF_PIXEL_FOR_NN:
        return (at + 0.5) / a->scale;
    case XNOR_RESIZE_PYTORCH_HALF_PIXEL:
        return a->out > 1 ? (at + 0.5) / a->scale - 0.5 : 0;
    default:
        return (at + 0.5) / a->scale - 0.5;
    }
}

static double nearest(const xnor_resize_axis *a, double x) {
    switch (a->nearest) {
    case XNOR_RESIZE_ROUND_PREFER_CEIL:
        return floor(x + 0.5);
    case XNOR_RESIZE_FLOOR:
        return floor(x);
    case XNOR_RESIZE_CEIL:
        return ceil(x);
    default:
        return ceil(x - 0.5);
    }
}

static int64_t inside(double x, int64_t count) {
    return x <= 0 ? 0 : x >= (double)(count - 1) ? count - 1 : (int64_t)x;
}

void xnor_resize_source(const xnor_resize_axis *a, int64_t at, int64_t *first, int64_t *second,
                        double *part) {
    const double x = a->in == a->out && a->scale == 1 ? (double)at : coordinate(a, (double)at);
    const double low = a->mode == XNOR_RESIZE_LINEAR ? floor(x) : nearest(a, x);
    *first = inside(low, a->in);
    *second = a->mode == XNOR_RESIZE_LINEAR ? inside(low + 1, a->in) : *first;
    *part = *first == *second ? 0 : x - low;
}

static xnor_status eval_resize(const xnor_node *node, const xnor_tensor *in, xnor_tensor *out) {
    static const xnor_tensor none = {0};
    const xnor_tensor *scales = node->input_count > SCALES ? &in[SCALES] : &none;
    const xnor_tensor *sizes = node->input_count > SIZES ? &in[SIZES] : &none;
    const uint32_t rank = in[0].shape.rank;
    xnor_resize_axis axes[XNOR_MAX_RANK];
    int64_t strides[XNOR_MAX_RANK];
    xnor_strides(&in[0].shape, strides);
    for (uint32_t i = 0; i < rank; i++)
        axes[i] =
            xnor_resize_axis_of(node, i, scales, sizes, in[0].shape.dims[i], out[0].shape.dims[i]);
    xnor_walk walk;
    xnor_walk_init(&walk, &out[0].shape);
    const size_t count = xnor_tensor_count(&out[0]);
    size_t bytes;
    XNOR_TRY(xnor_tensor_bytes(out[0].dtype, &out[0].shape, &bytes));
    memset(out[0].data, 0, bytes); // padding of signs
    for (size_t at = 0; at < count; at++, xnor_walk_next(&walk)) {
        int64_t ends[XNOR_MAX_RANK][2];
        double parts[XNOR_MAX_RANK], sum = 0;
        for (uint32_t i = 0; i < rank; i++)
            xnor_resize_source(&axes[i], walk.index[i], &ends[i][0], &ends[i][1], &parts[i]);
        for (uint32_t corner = 0; corner < 1U << rank; corner++) {
            double weight = 1;
            int64_t from = 0;
            for (uint32_t i = 0; i < rank; i++) {
                const uint32_t end = corner >> i & 1;
                weight *= end ? parts[i] : 1 - parts[i];
                from += ends[i][end] * strides[i];
            }
            if (weight != 0) sum += weight * xnor_tensor_get(&in[0], (size_t)from);
        }
        xnor_tensor_set(&out[0], at, sum);
    }
    return XNOR_OK;
}

const xnor_op_row xnor_ops_resize[] = {
    {XNOR_OP_RESIZE, {1, 4, 1, 0, infer_resize, eval_resize}},
    XNOR_OPS_END,
};
