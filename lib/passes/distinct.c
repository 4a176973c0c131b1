// distinct: after a layer of at most 64 channels a point is only its 64-bit code. Points with equal
// codes take the same way through all following point-wise layers, so each code is evaluated once.
//
//   before   bits [N, 64] -> xnor_linear -> xnor_threshold -> xnor_linear -> ReduceMax(points)
//   after    bits -> xnor_distinct -> (the same on the distinct rows) -> ReduceMax
//                                  -> GatherRows where points are told apart again
//
// 64 planes cut space into at most 43,745 cells, so the cost grows with distinct codes, not with
// points. The pass runs on the plan's graph: it needs shapes, and the file does not change by it.
#include "passes/passes.h"

#include <stdlib.h>

#include "core/tensor.h"
#include "passes/rewrite.h"
#include "passes/sign.h"

enum { MIN_POINTS = 256, MAX_CHANNELS = 64 };

static bool is_last_axis(const xnor_graph *graph, const xnor_node *node) {
    int64_t rank = graph->values[node->inputs[0]].shape.rank;
    int64_t axis = xnor_node_int(node, XNOR_ATTR_AXIS, -1);
    return axis == -1 || axis == rank - 1;
}

// A layer whose sums are averaged over points, or multiplied by a factor per point: one step does both,
// from the bits of all points.
static bool is_followed_by_points(const xnor_graph *graph, const xnor_node *layer) {
    uint32_t user = UINT32_MAX;
    if (xnor_graph_uses(graph, layer->outputs[0], &user) != 1 || user == UINT32_MAX) return false;
    const xnor_node *next = &graph->nodes[user];
    if (xnor_keeps_channels(graph, next)) {
        user = UINT32_MAX;
        if (xnor_graph_uses(graph, next->outputs[0], &user) != 1 || user == UINT32_MAX)
            return false;
    }
    return graph->nodes[user].op == XNOR_OP_REDUCE_MEAN || graph->nodes[user].op == XNOR_OP_MUL;
}

// Operators that work on rows by themselves and whose steps can stop after the active rows.
static bool is_point_wise(const xnor_graph *graph, const xnor_node *node) {
    xnor_dtype x = graph->values[node->inputs[0]].dtype;
    switch (node->op) {
    case XNOR_OP_XNOR_LINEAR:
        return x == XNOR_BITS && !is_followed_by_points(graph, node);
    case XNOR_OP_THRESHOLD:
        return node->input_count == 2;
    case XNOR_OP_BINARIZE:
        return x == XNOR_F32 && xnor_node_float(node, XNOR_ATTR_ALPHA, 1) == 1;
    case XNOR_OP_AFFINE:
        return x == XNOR_F32 || x == XNOR_ACC;
    case XNOR_OP_XNOR_ADD:
        return xnor_adds_per_group(graph, node);
    case XNOR_OP_SOFTMAX:
    case XNOR_OP_LOG_SOFTMAX:
        return x == XNOR_F32 && is_last_axis(graph, node);
    case XNOR_OP_LINEAR:
    case XNOR_OP_CLIP:
    case XNOR_OP_RELU:
        return x == XNOR_F32 && xnor_only_variable(graph, node) == 0;
    default:
        return false;
    }
}

static bool reduces_points(const xnor_graph *graph, const xnor_node *node) {
    const xnor_attr *axes = xnor_node_attr(node, XNOR_ATTR_AXES);
    const xnor_value *x = &graph->values[node->inputs[0]];
    return node->op == XNOR_OP_REDUCE_MAX && axes && axes->count == 1 &&
           (x->dtype == XNOR_ACC || x->dtype == XNOR_F32) &&
           axes->ints[0] == (int64_t)x->shape.rank - 2;
}

// ---- views ---------------------------------------------------------------------------------------

// Layers whose rows may be seen in another shape.
static bool ignores_shape(const xnor_graph *graph, const xnor_node *node) {
    bool softmax = node->op == XNOR_OP_SOFTMAX || node->op == XNOR_OP_LOG_SOFTMAX;
    if (softmax && xnor_node_int(node, XNOR_ATTR_AXIS, -1) != -1) return false;
    return node->op != XNOR_OP_XNOR_ADD && is_point_wise(graph, node);
}

static bool changes_rank(const xnor_graph *graph, const xnor_node *view, bool more) {
    uint32_t before = graph->values[view->inputs[0]].shape.rank;
    uint32_t after = graph->values[view->outputs[0]].shape.rank;
    return xnor_keeps_channels(graph, view) && (more ? after > before : after < before);
}

// Gives `x` the leading axes of `like`, as value *out (or a new one).
static xnor_status emit_view(xnor_graph *graph, uint32_t *at, const char *name, xnor_value_id x,
                             xnor_value_id like, xnor_value_id *out) {
    const xnor_shape to = graph->values[like].shape, vector = {1, {to.rank}};
    xnor_value_id inputs[2] = {x};
    void *dims;
    XNOR_TRY(xnor_graph_add_constant(graph, name, XNOR_I64, &vector, &inputs[1], &dims));
    for (uint32_t i = 0; i < to.rank; i++) ((int64_t *)dims)[i] = to.dims[i];
    ((int64_t *)dims)[to.rank - 1] = xnor_shape_last(&graph->values[x].shape);
    return xnor_emit(graph, at, XNOR_OP_RESHAPE, name, inputs, 2, out);
}

// view(f(x)) -> f(view(x)) where the view groups points by cloud: codes are merged within each.
static xnor_status raise_view(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node view = graph->nodes[index];
    if (!changes_rank(graph, &view, true)) return XNOR_OK;
    uint32_t producer = xnor_graph_producer(graph, view.inputs[0]);
    if (producer == UINT32_MAX || xnor_graph_uses(graph, view.inputs[0], NULL) != 1) return XNOR_OK;
    const xnor_node f = graph->nodes[producer];
    if (!ignores_shape(graph, &f)) return XNOR_OK;
    xnor_value_id inputs[XNOR_MAX_INPUTS] = {XNOR_NO_VALUE}, out = view.outputs[0];
    uint32_t at = index;
    XNOR_TRY(emit_view(graph, &at, view.name, f.inputs[0], out, &inputs[0]));
    for (uint32_t k = 1; k < f.input_count; k++) inputs[k] = f.inputs[k];
    xnor_graph_remove_node(&graph->nodes[at]);
    *changed = true;
    return xnor_emit_copy(graph, &at, producer, inputs, &out);
}

// f(view(x)) -> view(f(x)) where the view makes one matrix of all clouds.
static xnor_status sink_view(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node f = graph->nodes[index];
    if (f.input_count == 0 || f.inputs[0] == XNOR_NO_VALUE || !ignores_shape(graph, &f))
        return XNOR_OK;
    uint32_t producer = xnor_graph_producer(graph, f.inputs[0]);
    if (producer == UINT32_MAX || !changes_rank(graph, &graph->nodes[producer], false))
        return XNOR_OK;
    xnor_value_id inputs[XNOR_MAX_INPUTS] = {graph->nodes[producer].inputs[0]};
    xnor_value_id y = XNOR_NO_VALUE, out = f.outputs[0];
    for (uint32_t k = 1; k < f.input_count; k++) inputs[k] = f.inputs[k];
    uint32_t at = index;
    XNOR_TRY(xnor_emit_copy(graph, &at, index, inputs, &y));
    xnor_graph_remove_node(&graph->nodes[at]);
    *changed = true;
    return emit_view(graph, &at, f.name, y, out, &out);
}

// view(view(x)) -> view(x)
static xnor_status join_views(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node view = graph->nodes[index];
    if (!xnor_keeps_channels(graph, &view)) return XNOR_OK;
    uint32_t producer = xnor_graph_producer(graph, view.inputs[0]);
    if (producer == UINT32_MAX || !xnor_keeps_channels(graph, &graph->nodes[producer]))
        return XNOR_OK;
    xnor_value_id x = graph->nodes[producer].inputs[0], out = view.outputs[0];
    xnor_graph_remove_node(&graph->nodes[index]);
    *changed = true;
    return emit_view(graph, &index, view.name, x, out, &out);
}

// Signs of clipped values are signs of what was clipped, unless somebody else wants it clipped.
static xnor_status look_before_clip(xnor_graph *graph, uint32_t index, bool *changed) {
    xnor_node *node = &graph->nodes[index];
    if (node->op != XNOR_OP_BINARIZE) return XNOR_OK;
    xnor_value_id x = xnor_before_sign(graph, node->inputs[0]);
    if (x == node->inputs[0] || xnor_graph_uses(graph, node->inputs[0], NULL) != 1 ||
        graph->values[x].dtype != XNOR_F32)
        return XNOR_OK;
    node->inputs[0] = x;
    *changed = true;
    return XNOR_OK;
}

// ---- codes ---------------------------------------------------------------------------------------

// Deeper codes of the same points are already merged.
static bool is_merged(const xnor_graph *graph, const xnor_node *node) {
    for (;;) {
        uint32_t producer = xnor_graph_producer(graph, node->inputs[0]);
        if (producer == UINT32_MAX) return false;
        node = &graph->nodes[producer];
        if (node->op == XNOR_OP_DISTINCT) return true;
        if (!is_point_wise(graph, node)) return false;
    }
}

static bool is_candidate(const xnor_graph *graph, const xnor_node *node) {
    if (node->op != XNOR_OP_BINARIZE && node->op != XNOR_OP_THRESHOLD) return false;
    const xnor_value *bits = &graph->values[node->outputs[0]];
    uint32_t rank = bits->shape.rank;
    if (bits->dtype != XNOR_BITS || rank < 2 || xnor_graph_is_output(graph, node->outputs[0]) ||
        bits->shape.dims[rank - 1] > MAX_CHANNELS || bits->shape.dims[rank - 2] < MIN_POINTS ||
        is_merged(graph, node))
        return false;
    // Worth it when a binary layer follows.
    for (uint32_t i = 0; i < graph->node_count; i++)
        if (graph->nodes[i].op == XNOR_OP_XNOR_LINEAR &&
            graph->nodes[i].inputs[0] == node->outputs[0] &&
            !is_followed_by_points(graph, &graph->nodes[i]))
            return true;
    return false;
}

// Inserts xnor_distinct after node `index`; out[3] are its outputs.
static xnor_status insert_distinct(xnor_graph *graph, uint32_t index, xnor_value_id *out) {
    const xnor_node node = graph->nodes[index];
    xnor_value_id bits = node.outputs[0];
    for (int k = 0; k < 3; k++)
        XNOR_TRY(xnor_graph_add_value(graph, node.name, XNOR_BITS, NULL, &out[k]));
    xnor_graph_replace(graph, bits, out[0]);
    xnor_node *distinct;
    XNOR_TRY(xnor_graph_insert_node(graph, index + 1, XNOR_OP_DISTINCT, node.name, &bits, 1, out, 3,
                                    &distinct));
    return xnor_graph_infer_node(graph, index + 1);
}

// Follows the distinct rows; puts GatherRows where an operator needs every point.
static xnor_status follow(xnor_graph *graph, uint32_t first, const xnor_value_id *distinct) {
    size_t capacity = graph->value_count * (size_t)2 + 64;
    bool *compact = calloc(capacity, sizeof *compact);
    if (!compact) return xnor_fail(XNOR_E_MEMORY, "distinct: out of memory");
    compact[distinct[0]] = true;
    xnor_status status = XNOR_OK;
    for (uint32_t i = first; i < graph->node_count && status == XNOR_OK; i++) {
        const xnor_node node = graph->nodes[i];
        bool first_only =
            node.input_count > 0 && node.inputs[0] < capacity && compact[node.inputs[0]];
        for (uint32_t k = 1; k < node.input_count; k++)
            if (node.inputs[k] < capacity && compact[node.inputs[k]]) first_only = false;
        bool whole = node.op == XNOR_OP_CONCAT && is_last_axis(graph, &node) &&
                     graph->values[node.outputs[0]].dtype == XNOR_BITS;
        for (uint32_t k = 0; k < node.input_count; k++)
            whole = whole && node.inputs[k] < capacity && compact[node.inputs[k]];
        if (whole || (first_only && is_point_wise(graph, &node))) {
            compact[node.outputs[0]] = true;
            continue;
        }
        if (first_only && reduces_points(graph, &node)) continue;
        for (uint32_t k = 0; k < node.input_count && status == XNOR_OK; k++) {
            if (node.inputs[k] >= capacity || !compact[node.inputs[k]]) continue;
            const xnor_value_id inputs[2] = {node.inputs[k], distinct[2]};
            xnor_value_id all = XNOR_NO_VALUE;
            status = xnor_emit(graph, &i, XNOR_OP_GATHER_ROWS, node.name, inputs, 2, &all);
            graph->nodes[i].inputs[k] = all;
        }
    }
    // A compact value may be a graph output.
    for (uint32_t k = 0; k < graph->output_count && status == XNOR_OK; k++) {
        xnor_value_id id = graph->outputs[k];
        if (id >= capacity || !compact[id]) continue;
        const xnor_value_id inputs[2] = {id, distinct[2]};
        xnor_value_id all = XNOR_NO_VALUE;
        uint32_t at = graph->node_count;
        status =
            xnor_emit(graph, &at, XNOR_OP_GATHER_ROWS, graph->values[id].name, inputs, 2, &all);
        if (status == XNOR_OK) graph->outputs[k] = all;
    }
    free(compact);
    return status;
}

xnor_status xnor_pass_distinct(xnor_graph *graph) {
    // Afterwards the points of a cloud stay together, and what is done with them is done once.
    static const xnor_rule rules[] = {xnor_drop_noop,   join_views,          raise_view, sink_view,
                                      look_before_clip, xnor_drop_duplicate, NULL};
    XNOR_TRY(xnor_rewrite(graph, rules));
    for (uint32_t i = 0; i < graph->node_count; i++) {
        if (!is_candidate(graph, &graph->nodes[i])) continue;
        xnor_value_id outputs[3];
        XNOR_TRY(insert_distinct(graph, i, outputs));
        XNOR_TRY(follow(graph, i + 2, outputs));
    }
    return xnor_graph_verify(graph);
}
