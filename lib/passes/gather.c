// gather: rows picked by index become GatherRows, in whatever way exporters write it.
//
//   before   Gather(x [N, C], i)                                    or
//            Gather(Reshape(x, [B·N, C]), i + N·Range(B))           indices with the base of each cloud, or
//            GatherElements(x, Expand(Unsqueeze(i), [.., C]))       torch.gather, or
//            GatherND(x, Unsqueeze(i), batch_dims = 1)
//   after    GatherRows(x, i)
#include "passes/passes.h"

#include "core/tensor.h"
#include "passes/layout.h"

static const xnor_node *producer_of(const xnor_graph *graph, xnor_value_id id) {
    uint32_t index = id == XNOR_NO_VALUE ? UINT32_MAX : xnor_graph_producer(graph, id);
    return index == UINT32_MAX ? NULL : &graph->nodes[index];
}

static bool is_view(const xnor_node *node) {
    return node && (xnor_op_lookup(node->op)->flags & XNOR_VIEW) != 0;
}

static const xnor_shape *shape_of(const xnor_graph *graph, xnor_value_id id) {
    return &graph->values[id].shape;
}

// The value behind a view that appends an axis of size 1.
static xnor_value_id without_last_axis(const xnor_graph *graph, xnor_value_id id) {
    const xnor_node *node = producer_of(graph, id);
    if (!is_view(node)) return XNOR_NO_VALUE;
    const xnor_shape *in = shape_of(graph, node->inputs[0]), *out = shape_of(graph, id);
    if (out->rank != in->rank + 1 || out->dims[in->rank] != 1) return XNOR_NO_VALUE;
    for (uint32_t i = 0; i < in->rank; i++)
        if (in->dims[i] != out->dims[i]) return XNOR_NO_VALUE;
    return node->inputs[0];
}

// A Reshape can find out one axis.
static bool is_reshape_target(const xnor_shape *shape) {
    uint32_t unknown = 0;
    for (uint32_t k = 0; k < shape->rank; k++) unknown += shape->dims[k] < 0;
    return unknown <= 1;
}

// Lets node `index` be GatherRows(x, i), followed by a view when its result has another rank.
static xnor_status emit(xnor_graph *graph, uint32_t index, xnor_value_id x, xnor_value_id i,
                        bool *changed) {
    const xnor_node node = graph->nodes[index];
    const xnor_shape wanted = *shape_of(graph, node.outputs[0]);
    uint32_t rank = shape_of(graph, i)->rank + 1;
    const xnor_value_id inputs[2] = {x, i};
    xnor_value_id rows = XNOR_NO_VALUE, out = node.outputs[0];
    *changed = true;
    xnor_graph_remove_node(&graph->nodes[index]);
    if (wanted.rank == rank)
        return xnor_emit(graph, &index, XNOR_OP_GATHER_ROWS, node.name, inputs, 2, &out);
    XNOR_TRY(xnor_emit(graph, &index, XNOR_OP_GATHER_ROWS, node.name, inputs, 2, &rows));
    const xnor_shape vector = {1, {wanted.rank}};
    xnor_value_id reshape[2] = {rows};
    void *dims;
    XNOR_TRY(xnor_graph_add_constant(graph, node.name, XNOR_I64, &vector, &reshape[1], &dims));
    for (uint32_t k = 0; k < wanted.rank; k++)
        ((int64_t *)dims)[k] = wanted.dims[k] < 0 ? -1 : wanted.dims[k];
    return xnor_emit(graph, &index, XNOR_OP_RESHAPE, node.name, reshape, 2, &out);
}

// The indices without their last axis, of size 1.
static xnor_status squeeze_last(xnor_graph *graph, uint32_t *at, const char *name, xnor_value_id i,
                                xnor_value_id *out) {
    *out = without_last_axis(graph, i);
    if (*out != XNOR_NO_VALUE) return XNOR_OK;
    const xnor_shape vector = {1, {1}};
    xnor_value_id squeeze[2] = {i};
    void *axes;
    XNOR_TRY(xnor_graph_add_constant(graph, name, XNOR_I64, &vector, &squeeze[1], &axes));
    *(int64_t *)axes = (int64_t)shape_of(graph, i)->rank - 1;
    return xnor_emit(graph, at, XNOR_OP_SQUEEZE, name, squeeze, 2, out);
}

// ---- Gather along the axis before the last ------------------------------------------------------

// `id` is the size of axis `axis` of a value with as many rows as x, in whatever shape of one element.
static bool is_size_of(const xnor_graph *graph, xnor_value_id id, xnor_value_id x, uint32_t axis) {
    const xnor_node *node = producer_of(graph, id);
    int64_t picked;
    uint32_t count;
    while (is_view(node)) node = producer_of(graph, node->inputs[0]);
    if (!node || node->op != XNOR_OP_GATHER ||
        !xnor_known_ints(&graph->values[node->inputs[1]], &picked, 1, &count) ||
        picked != (int64_t)axis)
        return false;
    const xnor_node *shape = producer_of(graph, node->inputs[0]);
    if (!shape || shape->op != XNOR_OP_SHAPE) return false;
    // Back from x over operators that keep its leading axes.
    for (uint32_t steps = 0; steps <= graph->node_count; steps++) {
        if (shape->inputs[0] == x) return true;
        const xnor_node *maker = producer_of(graph, x);
        uint32_t variable = maker ? xnor_only_variable(graph, maker) : UINT32_MAX;
        if (variable == UINT32_MAX ||
            (!xnor_is_per_channel(graph, maker) && maker->op != XNOR_OP_LINEAR))
            return false;
        x = maker->inputs[variable];
    }
    return false;
}

// `id` is 0, 1, .. along its first axis, constant along others.
static bool counts_clouds(const xnor_graph *graph, xnor_value_id id, xnor_value_id x) {
    const xnor_node *node = producer_of(graph, id);
    while (node && (is_view(node) || node->op == XNOR_OP_EXPAND || node->op == XNOR_OP_TILE))
        node = producer_of(graph, node->inputs[0]);
    return node && node->op == XNOR_OP_RANGE && xnor_is_constant(graph, node->inputs[0]) &&
           xnor_constant_get(graph, node->inputs[0], 0) == 0 &&
           xnor_is_constant(graph, node->inputs[2]) &&
           xnor_constant_get(graph, node->inputs[2], 0) == 1 &&
           is_size_of(graph, node->inputs[1], x, 0);
}

// `id`, added to indices [B, ..] within clouds, makes them count over all clouds of x [B, N, C].
static bool is_base(const xnor_graph *graph, xnor_value_id id, uint32_t rank, xnor_value_id x) {
    const xnor_shape *shape = shape_of(graph, x), *own = shape_of(graph, id);
    if (own->rank != rank) return false;
    if (xnor_is_constant(graph, id)) {
        size_t count = xnor_constant_count(graph, id), clouds = (size_t)own->dims[0];
        bool known = shape->dims[0] == own->dims[0] && (shape->dims[1] >= 0 || clouds == 1);
        for (size_t i = 0; known && i < count; i++)
            known = xnor_constant_get(graph, id, i) ==
                    (double)(i / (count / clouds)) * (double)shape->dims[1];
        // With one cloud the base is 0 whatever N is.
        return known;
    }
    const xnor_node *node = producer_of(graph, id);
    if (!node || node->op != XNOR_OP_MUL) return false;
    for (uint32_t k = 0; k < 2; k++)
        if (counts_clouds(graph, node->inputs[k], x) &&
            is_size_of(graph, node->inputs[1 - k], x, 1))
            return true;
    return false;
}

// Gather(view(x [B, N, C]) as [B·N, C], [view of] (i + base)): finds x and i.
static bool match_flattened(const xnor_graph *graph, const xnor_node *gather, xnor_value_id *x,
                            xnor_value_id *i) {
    const xnor_node *view = producer_of(graph, gather->inputs[0]);
    if (!is_view(view) || shape_of(graph, view->inputs[0])->rank != 3 ||
        !xnor_keeps_channels(graph, view))
        return false;
    const xnor_node *sum = producer_of(graph, gather->inputs[1]);
    if (is_view(sum)) sum = producer_of(graph, sum->inputs[0]);
    if (!sum || sum->op != XNOR_OP_ADD) return false;
    for (uint32_t k = 0; k < 2; k++) {
        uint32_t rank = shape_of(graph, sum->inputs[k])->rank;
        if (rank != shape_of(graph, sum->outputs[0])->rank || rank < 2 ||
            xnor_is_constant(graph, sum->inputs[k]) ||
            !is_base(graph, sum->inputs[1 - k], rank, view->inputs[0]))
            continue;
        *x = view->inputs[0];
        *i = sum->inputs[k];
        return true;
    }
    return false;
}

static xnor_status gather(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index];
    if (node.op != XNOR_OP_GATHER) return XNOR_OK;
    const xnor_shape *shape = shape_of(graph, node.inputs[0]);
    uint32_t axis;
    XNOR_TRY(xnor_axis(&node, xnor_node_int(&node, XNOR_ATTR_AXIS, 0), shape->rank, &axis));
    if (shape->rank < 2 || axis != shape->rank - 2 || shape_of(graph, node.inputs[1])->rank == 0)
        return XNOR_OK;
    xnor_value_id x = node.inputs[0], i = node.inputs[1];
    if (shape->rank == 2) {
        xnor_value_id cloud_x, cloud_i;
        if (match_flattened(graph, &node, &cloud_x, &cloud_i) &&
            (shape_of(graph, cloud_i)->rank == shape_of(graph, i)->rank ||
             is_reshape_target(shape_of(graph, node.outputs[0]))))
            return emit(graph, index, cloud_x, cloud_i, changed);
        return emit(graph, index, x, i, changed);
    }
    // One cloud, whose indices lack the axis of clouds.
    if (shape->rank != 3 || shape->dims[0] != 1) return XNOR_OK;
    xnor_value_id cloud = XNOR_NO_VALUE;
    const xnor_shape vector = {1, {1}};
    xnor_value_id unsqueeze[2] = {i};
    void *axes;
    uint32_t at = index;
    XNOR_TRY(xnor_graph_add_constant(graph, node.name, XNOR_I64, &vector, &unsqueeze[1], &axes));
    XNOR_TRY(xnor_emit(graph, &at, XNOR_OP_UNSQUEEZE, node.name, unsqueeze, 2, &cloud));
    return emit(graph, at, x, cloud, changed);
}

// ---- torch.gather -------------------------------------------------------------------------------

// What was before an Expand that repeats only axis `axis`, of size 1. Axes of unknown size are taken
// to stay: a plan whose shapes then disagree is refused.
static xnor_value_id before_expand(const xnor_graph *graph, xnor_value_id id, uint32_t axis) {
    const xnor_node *node = producer_of(graph, id);
    if (!node || node->op != XNOR_OP_EXPAND) return XNOR_NO_VALUE;
    const xnor_shape *in = shape_of(graph, node->inputs[0]), *out = shape_of(graph, id);
    if (in->rank != out->rank || in->dims[axis] != 1) return XNOR_NO_VALUE;
    for (uint32_t i = 0; i < in->rank; i++)
        if (i != axis && in->dims[i] != out->dims[i]) return XNOR_NO_VALUE;
    return node->inputs[0];
}

static xnor_status gather_elements(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index];
    if (node.op != XNOR_OP_GATHER_ELEMENTS) return XNOR_OK;
    xnor_value_id x = node.inputs[0], i = node.inputs[1];
    uint32_t rank = shape_of(graph, x)->rank, axis;
    XNOR_TRY(xnor_axis(&node, xnor_node_int(&node, XNOR_ATTR_AXIS, 0), rank, &axis));
    if (rank < 2 || axis != rank - 2) return XNOR_OK;
    int64_t channels = shape_of(graph, x)->dims[rank - 1];
    if (channels < 0 || channels != shape_of(graph, i)->dims[rank - 1]) return XNOR_OK;
    if (channels != 1) i = before_expand(graph, i, rank - 1);
    if (i == XNOR_NO_VALUE) return XNOR_OK;
    // x [B, N, C] repeated for every query: [B, M, N, C]
    xnor_value_id repeated = rank == 4 ? before_expand(graph, x, 1) : XNOR_NO_VALUE;
    const xnor_node *view = producer_of(graph, repeated);
    if (is_view(view) && shape_of(graph, view->inputs[0])->rank == 3 &&
        xnor_keeps_channels(graph, view) &&
        shape_of(graph, view->inputs[0])->dims[0] == shape_of(graph, repeated)->dims[0])
        x = view->inputs[0];
    const xnor_shape *a = shape_of(graph, x), *b = shape_of(graph, i);
    for (uint32_t k = 0; k + 2 < a->rank; k++)
        if (a->dims[k] != b->dims[k]) return XNOR_OK;
    XNOR_TRY(squeeze_last(graph, &index, node.name, i, &i));
    return emit(graph, index, x, i, changed);
}

static xnor_status gather_nd(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index];
    if (node.op != XNOR_OP_GATHER_ND) return XNOR_OK;
    int64_t lead = xnor_node_int(&node, XNOR_ATTR_BATCH_DIMS, 0);
    const xnor_shape *indices = shape_of(graph, node.inputs[1]);
    if (xnor_shape_last(indices) != 1 || (int64_t)shape_of(graph, node.inputs[0])->rank != lead + 2)
        return XNOR_OK;
    if ((int64_t)indices->rank < lead + 2) return XNOR_OK;
    xnor_value_id i;
    XNOR_TRY(squeeze_last(graph, &index, node.name, node.inputs[1], &i));
    return emit(graph, index, node.inputs[0], i, changed);
}

// ---- the shape of the result --------------------------------------------------------------------

// `id` is i, or i with bases added.
static bool is_sum_with(const xnor_graph *graph, xnor_value_id id, xnor_value_id i) {
    const xnor_node *sum = producer_of(graph, id);
    if (id == i) return true;
    return sum && sum->op == XNOR_OP_ADD && (sum->inputs[0] == i || sum->inputs[1] == i) &&
           xnor_shape_equal(shape_of(graph, id), shape_of(graph, i));
}

// `request` asks for the shape of `i` with one more axis, of `channels`.
static bool asks_for_shape(const xnor_graph *graph, xnor_value_id request, xnor_value_id i,
                           int64_t channels) {
    const xnor_shape *shape = shape_of(graph, i);
    const xnor_node *concat = producer_of(graph, request);
    int64_t known[XNOR_MAX_RANK];
    uint32_t count;
    if (!xnor_known_ints(&graph->values[request], known, XNOR_MAX_RANK, &count) ||
        count != shape->rank + 1 || known[shape->rank] != channels)
        return false;
    if (concat && concat->op == XNOR_OP_CONCAT && concat->input_count == 2) {
        const xnor_node *whole = producer_of(graph, concat->inputs[0]);
        if (whole && whole->op == XNOR_OP_SHAPE && is_sum_with(graph, whole->inputs[0], i))
            return true;
    }
    for (uint32_t k = 0; k < shape->rank; k++) {
        if (known[k] >= 0 && known[k] == shape->dims[k]) continue;
        // Of an unknown size it must be told that it is the same.
        bool same = known[k] == XNOR_UNKNOWN && concat && concat->op == XNOR_OP_CONCAT &&
                    concat->input_count == count && is_size_of(graph, concat->inputs[k], i, k);
        if (!same) return false;
    }
    return true;
}

// The view gives what GatherRows(x, i) does the shape that it would have.
static bool is_grouped_by(const xnor_graph *graph, const xnor_node *view, xnor_value_id x,
                          xnor_value_id i) {
    xnor_shape shape = *shape_of(graph, i);
    const xnor_shape *lead = shape_of(graph, x), *wanted = shape_of(graph, view->outputs[0]);
    int64_t channels = xnor_shape_last(lead);
    if (shape.rank + 1 != wanted->rank || shape.rank + 1 < lead->rank) return false;
    // The clouds of the indices are those of x.
    for (uint32_t axis = 0; axis + 2 < lead->rank; axis++)
        if (lead->dims[axis] != shape.dims[axis]) return false;
    shape.dims[shape.rank++] = channels;
    if (xnor_shape_known(&shape)) return xnor_shape_equal(&shape, wanted);
    return view->op == XNOR_OP_RESHAPE && asks_for_shape(graph, view->inputs[1], i, channels);
}

// view(GatherRows(x, view(i))) -> GatherRows(x, i): exporters flatten indices and group the result.
static xnor_status regroup(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node view = graph->nodes[index];
    if (!is_view(&view)) return XNOR_OK;
    const xnor_node *rows = producer_of(graph, view.inputs[0]);
    while (is_view(rows)) rows = producer_of(graph, rows->inputs[0]);
    if (!rows || rows->op != XNOR_OP_GATHER_ROWS) return XNOR_OK;
    xnor_value_id x = rows->inputs[0], i = rows->inputs[1];
    // The indices themselves, or what they were before views.
    for (;;) {
        if (is_grouped_by(graph, &view, x, i)) break;
        const xnor_node *before = producer_of(graph, i);
        if (!is_view(before)) return XNOR_OK;
        i = before->inputs[0];
    }
    const xnor_value_id inputs[2] = {x, i};
    xnor_value_id out = view.outputs[0];
    *changed = true;
    xnor_graph_remove_node(&graph->nodes[index]);
    return xnor_emit(graph, &index, XNOR_OP_GATHER_ROWS, view.name, inputs, 2, &out);
}

xnor_status xnor_pass_gather(xnor_graph *graph) {
    static const xnor_rule rules[] = {gather, gather_elements, gather_nd, NULL};
    static const xnor_rule tidy[] = {xnor_drop_noop, xnor_drop_duplicate, xnor_layout_join_views,
                                     regroup, NULL};
    XNOR_TRY(xnor_rewrite(graph, rules));
    return xnor_rewrite(graph, tidy);
}
