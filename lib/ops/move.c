// Operators that copy elements: Concat, Split, Expand, Tile.
#include "ops/ops.h"

#include "core/tensor.h"

// ---- Concat, Split ------------------------------------------------------------------------------

static xnor_status infer_concat(xnor_graph *graph, const xnor_node *node) {
    xnor_shape shape = xnor_in(graph, node, 0)->shape;
    xnor_dtype dtype = xnor_in(graph, node, 0)->dtype;
    uint32_t axis;
    XNOR_TRY(xnor_axis(node, xnor_node_int(node, XNOR_ATTR_AXIS, 0), shape.rank, &axis));
    for (uint32_t k = 1; k < node->input_count; k++) {
        const xnor_value *x = xnor_in(graph, node, k);
        if (!x || x->shape.rank != shape.rank)
            return xnor_fail(XNOR_E_SHAPE, "node '%s' (Concat): input %u has another rank",
                             node->name, k);
        if (x->dtype != dtype) dtype = XNOR_F32;
        for (uint32_t i = 0; i < shape.rank; i++) {
            int64_t dim = x->shape.dims[i];
            if (i == axis)
                shape.dims[i] = shape.dims[i] < 0 || dim < 0 ? -1 : shape.dims[i] + dim;
            else if (shape.dims[i] < 0)
                shape.dims[i] = dim;
            else if (dim >= 0 && dim != shape.dims[i]) {
                char a[XNOR_SHAPE_TEXT], b[XNOR_SHAPE_TEXT];
                return xnor_fail(XNOR_E_SHAPE, "node '%s' (Concat): %s beside %s", node->name,
                                 xnor_shape_text(&x->shape, a, sizeof a),
                                 xnor_shape_text(&xnor_in(graph, node, 0)->shape, b, sizeof b));
            }
        }
    }
    return xnor_set_output(graph, node, 0, dtype, &shape);
}

// Copies [outer, length, inner] slices between tensors along one axis.
static void copy_along(xnor_tensor *to, int64_t to_start, const xnor_tensor *from,
                       int64_t from_start, uint32_t axis, int64_t length) {
    int64_t inner = 1, outer = 1;
    for (uint32_t i = 0; i < axis; i++) outer *= to->shape.dims[i];
    for (uint32_t i = axis + 1; i < to->shape.rank; i++) inner *= to->shape.dims[i];
    for (int64_t o = 0; o < outer; o++)
        xnor_tensor_move_run(to, (size_t)((o * to->shape.dims[axis] + to_start) * inner), from,
                             (size_t)((o * from->shape.dims[axis] + from_start) * inner),
                             (size_t)(length * inner));
}

static xnor_status eval_concat(const xnor_node *node, const xnor_tensor *in, xnor_tensor *out) {
    uint32_t axis;
    XNOR_TRY(xnor_axis(node, xnor_node_int(node, XNOR_ATTR_AXIS, 0), out[0].shape.rank, &axis));
    int64_t start = 0;
    for (uint32_t k = 0; k < node->input_count; k++) {
        copy_along(&out[0], start, &in[k], 0, axis, in[k].shape.dims[axis]);
        start += in[k].shape.dims[axis];
    }
    return XNOR_OK;
}

static xnor_status infer_split(xnor_graph *graph, const xnor_node *node) {
    const xnor_value *x = xnor_in(graph, node, 0);
    uint32_t axis, count = 0;
    XNOR_TRY(xnor_axis(node, xnor_node_int(node, XNOR_ATTR_AXIS, 0), x->shape.rank, &axis));
    const xnor_attr *attr = xnor_node_attr(node, XNOR_ATTR_SPLIT);
    int64_t sizes[XNOR_MAX_OUTPUTS];
    if (attr) {
        count = attr->count;
        for (uint32_t i = 0; i < count && i < XNOR_MAX_OUTPUTS; i++) sizes[i] = attr->ints[i];
    } else if (xnor_in(graph, node, 1)) {
        if (!xnor_known_ints(xnor_in(graph, node, 1), sizes, XNOR_MAX_OUTPUTS, &count))
            return xnor_fail(XNOR_E_UNSUPPORTED, "node '%s' (Split): sizes must be constant",
                             node->name);
    } else {
        int64_t dim = x->shape.dims[axis];
        count = node->output_count;
        int64_t part = dim < 0 ? -1 : (dim + count - 1) / count;
        for (uint32_t i = 0; i < count; i++)
            sizes[i] = part < 0 ? -1 : part * (i + 1) <= dim ? part : dim - part * i;
    }
    if (count != node->output_count)
        return xnor_fail(XNOR_E_SHAPE, "node '%s' (Split): %u sizes for %u outputs", node->name,
                         count, node->output_count);
    int64_t total = 0;
    for (uint32_t i = 0; i < count; i++) {
        xnor_shape shape = x->shape;
        shape.dims[axis] = sizes[i];
        if (sizes[i] < 0 && x->shape.dims[axis] >= 0)
            return xnor_fail(XNOR_E_SHAPE, "node '%s' (Split): negative size", node->name);
        total += sizes[i];
        XNOR_TRY(xnor_set_output(graph, node, i, x->dtype, &shape));
    }
    if (x->shape.dims[axis] >= 0 && total != x->shape.dims[axis])
        return xnor_fail(XNOR_E_SHAPE, "node '%s' (Split): sizes add to %lld, the axis has %lld",
                         node->name, (long long)total, (long long)x->shape.dims[axis]);
    return XNOR_OK;
}

static xnor_status eval_split(const xnor_node *node, const xnor_tensor *in, xnor_tensor *out) {
    uint32_t axis;
    XNOR_TRY(xnor_axis(node, xnor_node_int(node, XNOR_ATTR_AXIS, 0), in[0].shape.rank, &axis));
    int64_t start = 0;
    for (uint32_t k = 0; k < node->output_count; k++) {
        copy_along(&out[k], 0, &in[0], start, axis, out[k].shape.dims[axis]);
        start += out[k].shape.dims[axis];
    }
    return XNOR_OK;
}

// ---- Expand, Tile -------------------------------------------------------------------------------

static xnor_status infer_expand(xnor_graph *graph, const xnor_node *node) {
    const xnor_value *x = xnor_in(graph, node, 0), *request = xnor_in(graph, node, 1);
    xnor_shape want = {0};
    if (!xnor_known_ints(request, want.dims, XNOR_MAX_RANK, &want.rank)) {
        if (request->shape.rank != 1 || request->shape.dims[0] < 0 ||
            request->shape.dims[0] > XNOR_MAX_RANK)
            return xnor_fail(XNOR_E_UNSUPPORTED, "node '%s' (Expand): the rank must be known",
                             node->name);
        want.rank = (uint32_t)request->shape.dims[0];
        for (uint32_t i = 0; i < want.rank; i++) want.dims[i] = -1;
    }
    for (uint32_t i = 0; i < want.rank; i++)
        if (want.dims[i] == XNOR_UNKNOWN) want.dims[i] = -1;
    xnor_shape shape;
    XNOR_TRY(xnor_broadcast(node, &x->shape, &want, &shape));
    return xnor_set_output(graph, node, 0, x->dtype, &shape);
}

// Elements of the last axes over which `in` is not repeated: they are copied together.
static size_t whole_run(const xnor_shape *in, const xnor_shape *out) {
    size_t run = 1;
    for (uint32_t i = 0; i < in->rank; i++) {
        int64_t dim = in->dims[in->rank - 1 - i];
        if (dim != out->dims[out->rank - 1 - i]) break;
        run *= (size_t)dim;
    }
    return run;
}

static xnor_status eval_expand(const xnor_node *node, const xnor_tensor *in, xnor_tensor *out) {
    (void)node;
    size_t run = whole_run(&in[0].shape, &out[0].shape), count = xnor_tensor_count(&out[0]);
    xnor_walk walk;
    xnor_walk_init(&walk, &out[0].shape);
    xnor_walk_add(&walk, &in[0].shape);
    // Walk over runs: the axes inside a run have one step.
    uint32_t inside = 0;
    for (size_t size = 1; size < run; inside++) size *= (size_t)walk.dims[walk.rank - 1 - inside];
    walk.rank -= inside;
    for (size_t i = 0; i < count; i += run, xnor_walk_next(&walk))
        xnor_tensor_move_run(&out[0], i, &in[0], (size_t)walk.offset[0], run);
    return XNOR_OK;
}

static xnor_status infer_tile(xnor_graph *graph, const xnor_node *node) {
    const xnor_value *x = xnor_in(graph, node, 0);
    int64_t repeats[XNOR_MAX_RANK];
    uint32_t count;
    xnor_shape shape = x->shape;
    bool known = xnor_known_ints(xnor_in(graph, node, 1), repeats, XNOR_MAX_RANK, &count);
    if (known && count != shape.rank)
        return xnor_fail(XNOR_E_SHAPE, "node '%s' (Tile): %u repeats for rank %u", node->name,
                         count, shape.rank);
    for (uint32_t i = 0; i < shape.rank; i++) {
        bool axis_known = known && repeats[i] >= 0 && shape.dims[i] >= 0;
        if (axis_known && __builtin_mul_overflow(shape.dims[i], repeats[i], &shape.dims[i]))
            return xnor_fail(XNOR_E_LIMIT, "node '%s' (Tile): size overflows", node->name);
        if (!axis_known) shape.dims[i] = -1;
    }
    return xnor_set_output(graph, node, 0, x->dtype, &shape);
}

static xnor_status eval_tile(const xnor_node *node, const xnor_tensor *in, xnor_tensor *out) {
    (void)node;
    int64_t strides[XNOR_MAX_RANK];
    xnor_strides(&in[0].shape, strides);
    xnor_walk walk;
    xnor_walk_init(&walk, &out[0].shape);
    size_t count = xnor_tensor_count(&out[0]), run = 1;
    if (walk.rank) { // rows of the input are copied together
        run = (size_t)in[0].shape.dims[walk.rank - 1];
        if (run) walk.dims[walk.rank - 1] /= (int64_t)run;
    }
    for (size_t i = 0; i < count; i += run, xnor_walk_next(&walk)) {
        int64_t from = 0;
        for (uint32_t k = 0; k + 1 < walk.rank; k++)
            from += walk.index[k] % in[0].shape.dims[k] * strides[k];
        xnor_tensor_move_run(&out[0], i, &in[0], (size_t)from, run);
    }
    return XNOR_OK;
}

const xnor_op_row xnor_ops_move[] = {
    {XNOR_OP_CONCAT, {1, XNOR_MAX_INPUTS, 1, XNOR_MOVES, infer_concat, eval_concat}},
    {XNOR_OP_SPLIT, {1, 2, XNOR_MAX_OUTPUTS, XNOR_MOVES, infer_split, eval_split}},
    {XNOR_OP_EXPAND, {2, 2, 1, XNOR_MOVES, infer_expand, eval_expand}},
    {XNOR_OP_TILE, {2, 2, 1, XNOR_MOVES, infer_tile, eval_tile}},
    XNOR_OPS_END,
};
