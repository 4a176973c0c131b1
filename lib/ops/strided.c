// Transpose; DepthToSpace and SpaceToDepth of pictures [B, C, H, W], or [B, H, W, C] with attribute axis 3; Slice.
#include "ops/strided.h"

#include "core/tensor.h"

// ---- Transpose ----------------------------------------------------------------------------------

static xnor_status permutation(const xnor_node *node, uint32_t rank, uint32_t *perm) {
    const xnor_attr *attr = xnor_node_attr(node, XNOR_ATTR_PERM);
    uint32_t seen = 0;
    for (uint32_t i = 0; i < rank; i++) {
        int64_t axis = attr && i < attr->count ? attr->ints[i] : (int64_t)(rank - 1 - i);
        if (axis < 0 || axis >= rank || seen >> axis & 1 || (attr && attr->count != rank))
            return xnor_fail(XNOR_E_SHAPE,
                             "node '%s' (Transpose): perm is no permutation of %u axes", node->name,
                             rank);
        perm[i] = (uint32_t)axis;
        seen |= 1U << axis;
    }
    return XNOR_OK;
}

static xnor_status infer_transpose(xnor_graph *graph, const xnor_node *node) {
    const xnor_value *x = xnor_in(graph, node, 0);
    uint32_t perm[XNOR_MAX_RANK];
    XNOR_TRY(permutation(node, x->shape.rank, perm));
    xnor_shape shape = {.rank = x->shape.rank};
    for (uint32_t i = 0; i < shape.rank; i++) shape.dims[i] = x->shape.dims[perm[i]];
    return xnor_set_output(graph, node, 0, x->dtype, &shape);
}

static xnor_status walk_transpose(const xnor_node *node, const xnor_shape *x, xnor_walk *out) {
    uint32_t perm[XNOR_MAX_RANK];
    int64_t strides[XNOR_MAX_RANK];
    XNOR_TRY(permutation(node, x->rank, perm));
    xnor_strides(x, strides);
    *out = (xnor_walk){.rank = x->rank, .inputs = 1};
    for (uint32_t i = 0; i < x->rank; i++) {
        out->dims[i] = x->dims[perm[i]];
        out->stride[0][i] = strides[perm[i]];
    }
    return XNOR_OK;
}

// ---- blocks of pixels ---------------------------------------------------------------------------

// Where the axes of a picture are, and the side of the blocks.
typedef struct blocks {
    int64_t side;
    uint32_t channels, height; // axes; the width is behind the height
} blocks;

static xnor_status read_blocks(const xnor_node *node, const xnor_shape *x, blocks *out) {
    const int64_t axis = xnor_node_int(node, XNOR_ATTR_AXIS, 1);
    char text[XNOR_SHAPE_TEXT];
    *out = (blocks){.side = xnor_node_int(node, XNOR_ATTR_BLOCKSIZE, 0),
                    .channels = (uint32_t)axis,
                    .height = axis == 1 ? 2 : 1};
    bool good =
        x->rank == 4 && (axis == 1 || axis == 3) && out->side >= 1 && out->side <= INT16_MAX;
    const int64_t area = out->side * out->side;
    if (good && node->op == XNOR_OP_DEPTH_TO_SPACE) {
        good = x->dims[axis] < 0 || x->dims[axis] % area == 0;
    } else if (good) {
        for (uint32_t i = 0; i < 2; i++)
            good = good && x->dims[out->height + i] % out->side <= 0; // unknown: -1 or 0
    }
    if (good) return XNOR_OK;
    return xnor_fail(XNOR_E_SHAPE, "node '%s' (%s): blocks of %lld pixels a side do not fit %s",
                     node->name, xnor_op_name(node->op), (long long)out->side,
                     xnor_shape_text(x, text, sizeof text));
}

static xnor_status infer_blocks(xnor_graph *graph, const xnor_node *node) {
    const xnor_value *x = xnor_in(graph, node, 0);
    const bool widens = node->op == XNOR_OP_DEPTH_TO_SPACE;
    blocks b;
    XNOR_TRY(read_blocks(node, &x->shape, &b));
    xnor_shape shape = x->shape;
    for (uint32_t i = 1; i < 4; i++) {
        const int64_t factor = i == b.channels ? b.side * b.side : b.side;
        if (shape.dims[i] < 0) continue;
        if (widens == (i == b.channels))
            shape.dims[i] /= factor;
        else if (__builtin_mul_overflow(shape.dims[i], factor, &shape.dims[i]))
            return xnor_fail(XNOR_E_LIMIT, "node '%s' (%s): size overflows", node->name,
                             xnor_op_name(node->op));
    }
    return xnor_set_output(graph, node, 0, x->dtype, &shape);
}

// Appends an axis of the walk.
static void append(xnor_walk *walk, int64_t size, int64_t stride) {
    walk->dims[walk->rank] = size;
    walk->stride[0][walk->rank++] = stride;
}

// Depth is (row of the block, column, channel), or with channels first (channel, row, column): the strides of
// row, column and channel in an input that has them there, or else those of pixels.
static xnor_status walk_blocks(const xnor_node *node, const xnor_shape *x, xnor_walk *out) {
    const bool widens = node->op == XNOR_OP_DEPTH_TO_SPACE;
    const bool channel_first =
        widens && xnor_node_int(node, XNOR_ATTR_MODE, 0) == XNOR_COLUMN_ROW_DEPTH;
    blocks b;
    int64_t s[XNOR_MAX_RANK];
    XNOR_TRY(read_blocks(node, x, &b));
    xnor_strides(x, s);
    const int64_t *dims = x->dims, side = b.side, area = side * side;
    const int64_t channel = s[b.channels], y = s[b.height], w = s[b.height + 1];
    const int64_t channels = widens ? dims[b.channels] / area : dims[b.channels];
    const int64_t height = widens ? dims[b.height] : dims[b.height] / side;
    const int64_t width = widens ? dims[b.height + 1] : dims[b.height + 1] / side;
    *out = (xnor_walk){.inputs = 1};
    append(out, dims[0], s[0]);
    if (widens) {
        const int64_t each = channel_first ? area * channel : channel;
        const int64_t column = channel_first ? channel : channels * channel;
        if (b.channels == 1) append(out, channels, each);
        append(out, height, y);
        append(out, side, side * column);
        append(out, width, w);
        append(out, side, column);
        if (b.channels == 3) append(out, channels, each);
        return XNOR_OK;
    }
    if (b.channels == 3) {
        append(out, height, side * y);
        append(out, width, side * w);
    }
    append(out, side, y);
    append(out, side, w);
    append(out, channels, channel);
    if (b.channels == 1) {
        append(out, height, side * y);
        append(out, width, side * w);
    }
    return XNOR_OK;
}

// ---- Slice --------------------------------------------------------------------------------------

typedef struct slice {
    int64_t start[XNOR_MAX_RANK], step[XNOR_MAX_RANK];
} slice;

// Fills one axis of a slice; returns its length. Bounds are clamped as ONNX says.
static int64_t slice_axis(int64_t dim, int64_t start, int64_t end, int64_t step, int64_t *first) {
    int64_t low = step > 0 ? 0 : -1, high = step > 0 ? dim : dim - 1;
    if (start < 0) start = start < -dim ? 0 : start + dim;
    if (end < 0) end = end < -dim ? low : end + dim;
    if (start > high) start = high;
    if (end > high) end = high;
    *first = start;
    int64_t span = step > 0 ? end - start : start - end;
    int64_t size = step > 0 ? step : -step;
    return span <= 0 ? 0 : (span + size - 1) / size;
}

static xnor_status slice_shape(const xnor_node *node, const xnor_shape *x, const int64_t *starts,
                               const int64_t *ends, const int64_t *axes, const int64_t *steps,
                               uint32_t count, slice *out, xnor_shape *shape) {
    *shape = *x;
    for (uint32_t i = 0; i < x->rank; i++) {
        out->start[i] = 0;
        out->step[i] = 1;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t axis;
        XNOR_TRY(xnor_axis(node, axes ? axes[i] : i, x->rank, &axis));
        int64_t step = steps ? steps[i] : 1;
        if (step == 0 || step == INT64_MIN)
            return xnor_fail(XNOR_E_SHAPE, "node '%s' (Slice): step %lld", node->name,
                             (long long)step);
        out->step[axis] = step;
        shape->dims[axis] = x->dims[axis] < 0 ? -1
                                              : slice_axis(x->dims[axis], starts[i], ends[i], step,
                                                           &out->start[axis]);
    }
    return XNOR_OK;
}

static xnor_status infer_slice(xnor_graph *graph, const xnor_node *node) {
    const xnor_value *x = xnor_in(graph, node, 0);
    int64_t values[4][XNOR_MAX_RANK];
    uint32_t counts[4] = {0};
    xnor_shape shape = x->shape;
    for (uint32_t k = 0; k < 4; k++) {
        const xnor_value *v = xnor_in(graph, node, k + 1);
        if (!v) continue;
        if (!xnor_known_ints(v, values[k], XNOR_MAX_RANK, &counts[k]) || !v->data) {
            for (uint32_t i = 0; i < shape.rank; i++) shape.dims[i] = -1;
            return xnor_set_output(graph, node, 0, x->dtype, &shape);
        }
        if (counts[k] != counts[0])
            return xnor_fail(XNOR_E_SHAPE,
                             "node '%s' (Slice): starts and input %u differ in length", node->name,
                             k + 1);
    }
    slice s;
    XNOR_TRY(slice_shape(node, &x->shape, values[0], values[1],
                         xnor_in(graph, node, 3) ? values[2] : NULL,
                         xnor_in(graph, node, 4) ? values[3] : NULL, counts[0], &s, &shape));
    return xnor_set_output(graph, node, 0, x->dtype, &shape);
}

static xnor_status walk_slice(const xnor_node *node, const xnor_tensor *in, xnor_walk *out) {
    int64_t values[4][XNOR_MAX_RANK] = {{0}}, strides[XNOR_MAX_RANK];
    uint32_t count = 0;
    for (uint32_t k = 0; k + 1 < node->input_count && k < 4; k++) {
        if (!in[k + 1].data) continue;
        size_t n = xnor_tensor_count(&in[k + 1]);
        if (n > XNOR_MAX_RANK)
            return xnor_fail(XNOR_E_LIMIT, "node '%s': too many axes", node->name);
        if (k == 0) count = (uint32_t)n;
        for (uint32_t i = 0; i < n; i++) values[k][i] = xnor_tensor_get_int(&in[k + 1], i);
    }
    bool axes = node->input_count > 3 && in[3].data, steps = node->input_count > 4 && in[4].data;
    slice s;
    xnor_shape shape;
    XNOR_TRY(slice_shape(node, &in[0].shape, values[0], values[1], axes ? values[2] : NULL,
                         steps ? values[3] : NULL, count, &s, &shape));
    xnor_strides(&in[0].shape, strides);
    xnor_walk_init(out, &shape);
    out->inputs = 1;
    for (uint32_t i = 0; i < out->rank; i++) {
        out->offset[0] += s.start[i] * strides[i];
        out->stride[0][i] = strides[i] * s.step[i];
    }
    return XNOR_OK;
}

// -------------------------------------------------------------------------------------------------

xnor_status xnor_strided_walk(const xnor_node *node, const xnor_tensor *in, xnor_walk *out) {
    switch (node->op) {
    case XNOR_OP_TRANSPOSE:
        return walk_transpose(node, &in[0].shape, out);
    case XNOR_OP_SLICE:
        return walk_slice(node, in, out);
    default:
        return walk_blocks(node, &in[0].shape, out);
    }
}

static xnor_status eval_strided(const xnor_node *node, const xnor_tensor *in, xnor_tensor *out) {
    xnor_walk walk;
    XNOR_TRY(xnor_strided_walk(node, in, &walk));
    size_t count = xnor_tensor_count(&out[0]);
    for (size_t i = 0; i < count; i++, xnor_walk_next(&walk))
        xnor_tensor_move(&out[0], i, &in[0], (size_t)walk.offset[0]);
    return XNOR_OK;
}

const xnor_op_row xnor_ops_strided[] = {
    {XNOR_OP_TRANSPOSE, {1, 1, 1, XNOR_MOVES, infer_transpose, eval_strided}},
    {XNOR_OP_DEPTH_TO_SPACE, {1, 1, 1, XNOR_MOVES, infer_blocks, eval_strided}},
    {XNOR_OP_SPACE_TO_DEPTH, {1, 1, 1, XNOR_MOVES, infer_blocks, eval_strided}},
    {XNOR_OP_SLICE, {3, 5, 1, XNOR_MOVES, infer_slice, eval_strided}},
    XNOR_OPS_END,
};
