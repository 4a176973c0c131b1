// edges: what exporters write around neighbour indices becomes GatherRows and xnor_edges. Runs when a
// plan is made, where every shape is known and index arithmetic has been folded.
//
//   before   Gather(Reshape(x, [B·N, C]), Reshape(knn + base))      base: row b·N of cloud b
//            GatherElements(x, Expand(knn)), GatherND(x, Concat(cloud, knn))
//   after    GatherRows(x, knn)
//
//   before   Sub(GatherRows(x, knn), Expand(x)) -> (Concat with Expand(x))
//   after    xnor_edges(x, knn): nothing of size N x K x C need be stored to take its signs
//
//   before   ReduceMax(neighbours) of acc + (one row per point)
//   after    ReduceMax(neighbours) of acc, + (one row per point)
#include "passes/passes.h"

#include "core/tensor.h"
#include "passes/rewrite.h"

// What `id` shares its elements with, in the same order.
static xnor_value_id viewed(const xnor_graph *graph, xnor_value_id id) {
    for (;;) {
        uint32_t producer = xnor_graph_producer(graph, id);
        if (producer == UINT32_MAX) return id;
        const xnor_node *node = &graph->nodes[producer];
        if (!(xnor_op_lookup(node->op)->flags & XNOR_VIEW)) return id;
        id = node->inputs[0];
    }
}

static const xnor_node *producer_of(const xnor_graph *graph, xnor_value_id id) {
    uint32_t index = xnor_graph_producer(graph, id);
    return index == UINT32_MAX ? NULL : &graph->nodes[index];
}

static int64_t elements(const xnor_shape *shape) {
    int64_t count = 1;
    for (uint32_t i = 0; i < shape->rank; i++) count *= shape->dims[i];
    return count;
}

static xnor_status emit_reshape(xnor_graph *graph, uint32_t *at, const char *name, xnor_value_id x,
                                const xnor_shape *shape, xnor_value_id *out) {
    const xnor_shape vector = {1, {shape->rank}}, dims = *shape;
    xnor_value_id inputs[2] = {x};
    void *data;
    XNOR_TRY(xnor_graph_add_constant(graph, name, XNOR_I64, &vector, &inputs[1], &data));
    for (uint32_t i = 0; i < dims.rank; i++) ((int64_t *)data)[i] = dims.dims[i];
    return xnor_emit(graph, at, XNOR_OP_RESHAPE, name, inputs, 2, out);
}

typedef struct neighbours {
    xnor_value_id index; // [lead.., queries, k] as an operator on neighbours makes it
    int64_t groups, queries, k;
    int64_t points; // of each group, which the indices count
} neighbours;

// Replaces node `index` by GatherRows of the groups of points, seen in the node's own shape.
static xnor_status replace_by_rows(xnor_graph *graph, uint32_t index, xnor_value_id x,
                                   const neighbours *near, bool *changed) {
    const xnor_node node = graph->nodes[index];
    const xnor_shape shape = graph->values[node.outputs[0]].shape;
    int64_t channels = elements(&graph->values[x].shape) / (near->groups * near->points);
    const xnor_shape rows = {3, {near->groups, near->points, channels}};
    const xnor_shape picks = {3, {near->groups, near->queries, near->k}};
    uint32_t at = index;
    xnor_value_id inputs[2] = {XNOR_NO_VALUE, XNOR_NO_VALUE}, found = XNOR_NO_VALUE;
    xnor_value_id out = node.outputs[0];
    XNOR_TRY(emit_reshape(graph, &at, node.name, x, &rows, &inputs[0]));
    XNOR_TRY(emit_reshape(graph, &at, node.name, near->index, &picks, &inputs[1]));
    XNOR_TRY(xnor_emit(graph, &at, XNOR_OP_GATHER_ROWS, node.name, inputs, 2, &found));
    xnor_graph_remove_node(&graph->nodes[at]);
    *changed = true;
    return emit_reshape(graph, &at, node.name, found, &shape, &out);
}

// ---- indices ------------------------------------------------------------------------------------

// Indices of neighbours, which are known to be rows of the points.
static bool is_neighbours(const xnor_graph *graph, xnor_value_id id, neighbours *out) {
    id = viewed(graph, id);
    const xnor_node *node = producer_of(graph, id);
    if (!node || (node->op != XNOR_OP_K_NEAREST && node->op != XNOR_OP_BALL_QUERY)) return false;
    const xnor_shape *shape = &graph->values[id].shape;
    const xnor_shape *points = &graph->values[node->inputs[0]].shape;
    *out = (neighbours){.index = id,
                        .groups = 1,
                        .queries = shape->dims[shape->rank - 2],
                        .k = shape->dims[shape->rank - 1],
                        .points = points->dims[points->rank - 2]};
    for (uint32_t i = 0; i + 2 < shape->rank; i++) out->groups *= shape->dims[i];
    return true;
}

// True when constant `id`, broadcast to `shape`, is step·b for the elements of group b.
static bool counts_groups(const xnor_graph *graph, xnor_value_id id, const xnor_shape *shape,
                          int64_t groups, int64_t step) {
    if (!xnor_is_constant(graph, id) || graph->values[id].shape.rank > shape->rank) return false;
    int64_t count = elements(shape);
    if (groups == 0 || count % groups != 0) return false;
    xnor_walk walk;
    xnor_walk_init(&walk, shape);
    xnor_walk_add(&walk, &graph->values[id].shape);
    for (int64_t e = 0; e < count; e++, xnor_walk_next(&walk))
        if (xnor_constant_get(graph, id, (size_t)walk.offset[0]) !=
            (double)(e / (count / groups) * step))
            return false;
    return true;
}

// Indices into the rows of all groups: neighbours + group·points.
static bool is_flat_neighbours(const xnor_graph *graph, xnor_value_id id, neighbours *out) {
    if (is_neighbours(graph, id, out)) return out->groups == 1;
    id = viewed(graph, id);
    const xnor_node *node = producer_of(graph, id);
    if (!node || node->op != XNOR_OP_ADD) return false;
    for (uint32_t k = 0; k < 2; k++)
        if (is_neighbours(graph, node->inputs[k], out) &&
            elements(&graph->values[out->index].shape) == elements(&graph->values[id].shape))
            return counts_groups(graph, node->inputs[1 - k], &graph->values[id].shape, out->groups,
                                 out->points);
    return false;
}

// Input of an Expand or Tile, or the value itself.
static xnor_value_id before_expand(const xnor_graph *graph, xnor_value_id id) {
    const xnor_node *node = producer_of(graph, id);
    return node && (node->op == XNOR_OP_EXPAND || node->op == XNOR_OP_TILE) ? node->inputs[0] : id;
}

// ---- gathers ------------------------------------------------------------------------------------

// x[0] of one element along an axis is a view.
static xnor_status first_of_one(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index];
    if (node.op != XNOR_OP_GATHER || !xnor_is_constant(graph, node.inputs[1])) return XNOR_OK;
    const xnor_shape *x = &graph->values[node.inputs[0]].shape;
    uint32_t axis;
    XNOR_TRY(xnor_axis(&node, xnor_node_int(&node, XNOR_ATTR_AXIS, 0), x->rank, &axis));
    if (x->dims[axis] != 1 || xnor_constant_count(graph, node.inputs[1]) != 1 ||
        xnor_constant_get(graph, node.inputs[1], 0) != 0)
        return XNOR_OK;
    const xnor_shape shape = graph->values[node.outputs[0]].shape;
    xnor_value_id out = node.outputs[0];
    uint32_t at = index;
    xnor_graph_remove_node(&graph->nodes[at]);
    *changed = true;
    return emit_reshape(graph, &at, node.name, node.inputs[0], &shape, &out);
}

// Gather along the first axis of [groups·points, ..]
static xnor_status flat_gather(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index];
    const xnor_shape *x = &graph->values[node.inputs[0]].shape;
    neighbours near;
    if (node.op != XNOR_OP_GATHER || xnor_node_int(&node, XNOR_ATTR_AXIS, 0) != 0 ||
        graph->values[node.inputs[0]].dtype != XNOR_F32 || x->rank < 2 ||
        !is_flat_neighbours(graph, node.inputs[1], &near) ||
        near.groups * near.points != x->dims[0])
        return XNOR_OK;
    return replace_by_rows(graph, index, node.inputs[0], &near, changed);
}

// GatherElements along the axis of points, with the index repeated for every channel:
// x [B, N, C], index [B, N·k, C] or x [B, 1 -> N, N, C], index [B, N, k, C]
static xnor_status gather_elements(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index];
    if (node.op != XNOR_OP_GATHER_ELEMENTS) return XNOR_OK;
    xnor_value_id x = before_expand(graph, node.inputs[0]);
    xnor_value_id picks = before_expand(graph, node.inputs[1]);
    const xnor_shape *out = &graph->values[node.outputs[0]].shape;
    const xnor_shape *data = &graph->values[x].shape;
    uint32_t axis, last = out->rank - 1;
    XNOR_TRY(xnor_axis(&node, xnor_node_int(&node, XNOR_ATTR_AXIS, 0), out->rank, &axis));
    neighbours near;
    if (graph->values[x].dtype != XNOR_F32 || last < 2 || axis != last - 1 ||
        data->rank != out->rank || data->dims[last] != out->dims[last] ||
        graph->values[picks].shape.rank != out->rank ||
        graph->values[picks].shape.dims[last] != 1 || !is_neighbours(graph, picks, &near) ||
        elements(&graph->values[picks].shape) * out->dims[last] != elements(out) ||
        near.points != data->dims[axis] ||
        elements(data) != near.groups * near.points * data->dims[last])
        return XNOR_OK;
    return replace_by_rows(graph, index, x, &near, changed);
}

// GatherND of [B, N, ..] with (cloud, neighbour) pairs, or with neighbours and batch_dims 1
static xnor_status gather_nd(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index];
    if (node.op != XNOR_OP_GATHER_ND) return XNOR_OK;
    const xnor_shape *x = &graph->values[node.inputs[0]].shape;
    const xnor_node *pairs = producer_of(graph, node.inputs[1]);
    neighbours near;
    if (xnor_node_int(&node, XNOR_ATTR_BATCH_DIMS, 0) == 1 && x->rank >= 2 &&
        xnor_shape_last(&graph->values[node.inputs[1]].shape) == 1 &&
        graph->values[node.inputs[0]].dtype == XNOR_F32 &&
        is_neighbours(graph, node.inputs[1], &near) && x->dims[0] == near.groups &&
        x->dims[1] == near.points)
        return replace_by_rows(graph, index, node.inputs[0], &near, changed);
    if (xnor_node_int(&node, XNOR_ATTR_BATCH_DIMS, 0) != 0 ||
        graph->values[node.inputs[0]].dtype != XNOR_F32 || x->rank < 3 || !pairs ||
        pairs->op != XNOR_OP_CONCAT || pairs->input_count != 2 ||
        xnor_shape_last(&graph->values[node.inputs[1]].shape) != 2 ||
        !is_neighbours(graph, pairs->inputs[1], &near) ||
        !counts_groups(graph, pairs->inputs[0], &graph->values[pairs->inputs[0]].shape, near.groups,
                       1) ||
        x->dims[0] != near.groups || x->dims[1] != near.points)
        return XNOR_OK;
    return replace_by_rows(graph, index, node.inputs[0], &near, changed);
}

// ---- edge features ------------------------------------------------------------------------------

// True when `id` has the elements of x [.., N, C], each row k times.
static bool repeats_rows(const xnor_graph *graph, xnor_value_id id, const xnor_shape *target,
                         xnor_value_id x, int64_t k) {
    xnor_shape wide = *target;
    const xnor_node *node = producer_of(graph, viewed(graph, id));
    if (node && (node->op == XNOR_OP_EXPAND || node->op == XNOR_OP_TILE)) {
        wide = graph->values[node->outputs[0]].shape;
        id = node->inputs[0];
    }
    const xnor_shape *narrow = &graph->values[id].shape;
    int64_t channels = xnor_shape_last(&graph->values[x].shape), inner = 1;
    if (viewed(graph, id) != viewed(graph, x) || narrow->rank != wide.rank) return false;
    if (elements(narrow) * k != elements(&wide)) return false;
    if (k == 1) return true;
    for (uint32_t i = wide.rank; i-- > 0;) {
        if (narrow->dims[i] == wide.dims[i])
            inner *= wide.dims[i];
        else
            return narrow->dims[i] == 1 && wide.dims[i] == k && inner == channels;
    }
    return false;
}

static xnor_status emit_edges(xnor_graph *graph, uint32_t index, const xnor_value_id *inputs,
                              const int64_t *parts, uint32_t count, bool *changed) {
    const xnor_node node = graph->nodes[index];
    const xnor_shape shape = graph->values[node.outputs[0]].shape;
    uint32_t at = index;
    xnor_node *edges;
    xnor_value_id features, out = node.outputs[0];
    XNOR_TRY(xnor_graph_add_value(graph, node.name, XNOR_F32, NULL, &features));
    XNOR_TRY(xnor_graph_insert_node(graph, at, XNOR_OP_EDGES, node.name, inputs, 2, &features, 1,
                                    &edges));
    XNOR_TRY(xnor_node_set_ints(graph, edges, XNOR_ATTR_PARTS, parts, count));
    XNOR_TRY(xnor_graph_infer_node(graph, at++));
    xnor_graph_remove_node(&graph->nodes[at]);
    *changed = true;
    return emit_reshape(graph, &at, node.name, features, &shape, &out);
}

// x_j - x_i
static xnor_status difference(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index];
    if (node.op != XNOR_OP_SUB) return XNOR_OK;
    const xnor_node *rows = producer_of(graph, viewed(graph, node.inputs[0]));
    neighbours near;
    if (!rows || rows->op != XNOR_OP_GATHER_ROWS || !is_neighbours(graph, rows->inputs[1], &near))
        return XNOR_OK;
    const xnor_value_id inputs[2] = {rows->inputs[0], rows->inputs[1]};
    const xnor_shape *x = &graph->values[inputs[0]].shape;
    const xnor_shape *out = &graph->values[node.outputs[0]].shape;
    static const int64_t parts[] = {1};
    if (graph->values[inputs[1]].shape.rank != x->rank || near.queries != near.points ||
        elements(out) != elements(&graph->values[rows->outputs[0]].shape) ||
        xnor_shape_last(out) != xnor_shape_last(x) ||
        !repeats_rows(graph, node.inputs[1], out, inputs[0], near.k))
        return XNOR_OK;
    return emit_edges(graph, index, inputs, parts, 1, changed);
}

// x_i beside x_j - x_i
static xnor_status pair(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index];
    int64_t axis = xnor_node_int(&node, XNOR_ATTR_AXIS, 0);
    if (node.op != XNOR_OP_CONCAT || node.input_count != 2 ||
        (axis != -1 && axis != (int64_t)graph->values[node.outputs[0]].shape.rank - 1))
        return XNOR_OK;
    for (int64_t k = 0; k < 2; k++) {
        const xnor_node *edges = producer_of(graph, viewed(graph, node.inputs[k]));
        if (!edges || edges->op != XNOR_OP_EDGES) continue;
        const xnor_attr *old = xnor_node_attr(edges, XNOR_ATTR_PARTS);
        const xnor_value_id inputs[2] = {edges->inputs[0], edges->inputs[1]};
        const int64_t parts[] = {k ? 0 : 1, k ? 1 : 0};
        const xnor_shape *own = &graph->values[node.inputs[1 - k]].shape;
        if (old->count != 1 ||
            xnor_shape_last(own) != xnor_shape_last(&graph->values[inputs[0]].shape))
            continue;
        if (repeats_rows(graph, node.inputs[1 - k], own, inputs[0],
                         xnor_shape_last(&graph->values[inputs[1]].shape)))
            return emit_edges(graph, index, inputs, parts, 2, changed);
    }
    return XNOR_OK;
}

// ---- the maximum --------------------------------------------------------------------------------

static xnor_status add_after_max(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index];
    const xnor_attr *axes = xnor_node_attr(&node, XNOR_ATTR_AXES);
    if (node.op != XNOR_OP_REDUCE_MAX || !axes || axes->count != 1) return XNOR_OK;
    const xnor_shape x = graph->values[node.inputs[0]].shape;
    xnor_value_id sum = viewed(graph, node.inputs[0]);
    const xnor_node *add = producer_of(graph, sum);
    if (!add || add->op != XNOR_OP_XNOR_ADD || axes->ints[0] != (int64_t)x.rank - 2 ||
        !xnor_shape_equal(&x, &graph->values[sum].shape) || !xnor_adds_per_group(graph, add))
        return XNOR_OK;
    const xnor_value_id parts[2] = {add->inputs[0], add->inputs[1]};
    uint32_t at = index;
    xnor_value_id max = XNOR_NO_VALUE, both[2] = {XNOR_NO_VALUE, XNOR_NO_VALUE};
    xnor_value_id out = node.outputs[0];
    const xnor_shape reduced = graph->values[out].shape;
    XNOR_TRY(xnor_emit_copy(graph, &at, at, &parts[0], &max));
    XNOR_TRY(emit_reshape(graph, &at, node.name, max, &reduced, &both[0]));
    XNOR_TRY(emit_reshape(graph, &at, node.name, parts[1], &reduced, &both[1]));
    xnor_graph_remove_node(&graph->nodes[at]);
    *changed = true;
    return xnor_emit(graph, &at, XNOR_OP_XNOR_ADD, node.name, both, 2, &out);
}

xnor_status xnor_pass_edges(xnor_graph *graph) {
    static const xnor_rule rules[] = {first_of_one, flat_gather, gather_elements, gather_nd,
                                      difference,   pair,        add_after_max,   NULL};
    return xnor_rewrite(graph, rules);
}
