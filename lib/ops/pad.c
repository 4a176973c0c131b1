// Pad(x, pads, value, axes): elements in front of and behind those of each axis.
#include "ops/pad.h"

#include "core/tensor.h"

enum { PADS = 1, VALUE = 2, AXES = 3 };

// The smallest and the largest size of padding, so that sums do not overflow.
static const int64_t most = INT32_MAX;

xnor_status xnor_padding_read(const xnor_node *node, const xnor_shape *x, const xnor_tensor *pads,
                              const xnor_tensor *axes, xnor_padding *out) {
    char text[XNOR_SHAPE_TEXT];
    const size_t count = axes->data ? xnor_tensor_count(axes) : x->rank;
    uint32_t seen = 0;
    *out = (xnor_padding){.mode = xnor_node_int(node, XNOR_ATTR_MODE, XNOR_PAD_CONSTANT)};
    bool good = count <= x->rank && xnor_tensor_count(pads) == 2 * count;
    for (size_t i = 0; good && i < count; i++) {
        uint32_t axis;
        XNOR_TRY(xnor_axis(node, axes->data ? xnor_tensor_get_int(axes, i) : (int64_t)i, x->rank,
                           &axis));
        const int64_t begin = xnor_tensor_get_int(pads, i);
        const int64_t end = xnor_tensor_get_int(pads, i + count), size = x->dims[axis];
        good = !(seen >> axis & 1) && begin >= -most && begin <= most && end >= -most &&
               end <= most && size <= most * most / 2;
        if (good && size >= 0) good = size + begin >= 0 && size + begin + end >= 0;
        // What is repeated must be there.
        const int64_t reach = out->mode == XNOR_PAD_EDGE ? most : size - 1;
        if (good && out->mode != XNOR_PAD_CONSTANT && size >= 0 && (begin > 0 || end > 0))
            good = size > 0 && begin <= reach && end <= reach;
        seen |= 1U << axis;
        out->begin[axis] = begin;
        out->end[axis] = end;
    }
    if (good) return XNOR_OK;
    return xnor_fail(XNOR_E_SHAPE, "node '%s' (Pad): the padding does not fit %s", node->name,
                     xnor_shape_text(x, text, sizeof text));
}

static xnor_tensor tensor_of(const xnor_value *value) {
    return value ? (xnor_tensor){value->dtype, value->shape, value->data} : (xnor_tensor){0};
}

static xnor_status infer_pad(xnor_graph *graph, const xnor_node *node) {
    const xnor_value *x = xnor_in(graph, node, 0), *pads = xnor_in(graph, node, PADS);
    const xnor_value *value = xnor_in(graph, node, VALUE), *axes = xnor_in(graph, node, AXES);
    xnor_shape shape = x->shape;
    size_t one = 1;
    if (!pads || pads->shape.rank != 1 || (axes && axes->shape.rank != 1))
        return xnor_fail(XNOR_E_SHAPE, "node '%s' (Pad): expected a vector of pads", node->name);
    if (value && xnor_shape_known(&value->shape)) XNOR_TRY(xnor_shape_count(&value->shape, &one));
    if (one != 1)
        return xnor_fail(XNOR_E_SHAPE, "node '%s' (Pad): expected one value to pad with",
                         node->name);
    if (!pads->data || (axes && !axes->data)) {
        for (uint32_t i = 0; i < shape.rank; i++) shape.dims[i] = -1;
        return xnor_set_output(graph, node, 0, x->dtype, &shape);
    }
    const xnor_tensor p = tensor_of(pads), a = tensor_of(axes);
    xnor_padding padding;
    XNOR_TRY(xnor_padding_read(node, &x->shape, &p, &a, &padding));
    for (uint32_t i = 0; i < shape.rank; i++)
        if (shape.dims[i] >= 0) shape.dims[i] += padding.begin[i] + padding.end[i];
    // Signs next to what is none are reals.
    const bool packed = x->dtype == XNOR_BITS || x->dtype == XNOR_TERNARY || x->dtype == XNOR_ACC;
    return xnor_set_output(graph, node, 0, packed ? XNOR_F32 : x->dtype, &shape);
}

static xnor_status eval_pad(const xnor_node *node, const xnor_tensor *in, xnor_tensor *out) {
    static const xnor_tensor none = {0};
    const bool given = node->input_count > VALUE && in[VALUE].data;
    const xnor_shape *x = &in[0].shape;
    xnor_padding p;
    int64_t strides[XNOR_MAX_RANK];
    XNOR_TRY(
        xnor_padding_read(node, x, &in[PADS], node->input_count > AXES ? &in[AXES] : &none, &p));
    xnor_strides(x, strides);
    xnor_walk walk;
    xnor_walk_init(&walk, &out[0].shape);
    const size_t count = xnor_tensor_count(&out[0]);
    for (size_t i = 0; i < count; i++, xnor_walk_next(&walk)) {
        int64_t from = 0;
        for (uint32_t k = 0; k < x->rank && from >= 0; k++) {
            const int64_t at = xnor_padding_source(&p, k, x->dims[k], walk.index[k]);
            from = at < 0 ? -1 : from + at * strides[k];
        }
        if (from >= 0)
            xnor_tensor_move(&out[0], i, &in[0], (size_t)from);
        else if (given)
            xnor_tensor_move(&out[0], i, &in[VALUE], 0);
        else
            xnor_tensor_set(&out[0], i, 0);
    }
    return XNOR_OK;
}

const xnor_op_row xnor_ops_pad[] = {
    {XNOR_OP_PAD, {2, 4, 1, 0, infer_pad, eval_pad}},
    XNOR_OPS_END,
};
