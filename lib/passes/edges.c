// edges: what EdgeConv makes of neighbours. Runs when a plan is made, where every shape is known and
// index arithmetic has been folded.
//
//   before   GatherND(x, Concat(cloud, knn)), Gather(x, 0) of one cloud
//   after    GatherRows(x, knn), a view
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

// True when constant `id` of shape `shape` is b for the elements of group b.
static bool counts_groups(const xnor_graph *graph, xnor_value_id id, const xnor_shape *shape,
                          int64_t groups) {
    int64_t count = elements(shape);
    if (!xnor_is_constant(graph, id) || groups == 0 || count % groups != 0) return false;
    for (int64_t e = 0; e < count; e++)
        if (xnor_constant_get(graph, id, (size_t)e) != (double)(e / (count / groups))) return false;
    return true;
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

// GatherND of [B, N, ..] with (cloud, neighbour) pairs
static xnor_status gather_pairs(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index];
    if (node.op != XNOR_OP_GATHER_ND || xnor_node_int(&node, XNOR_ATTR_BATCH_DIMS, 0) != 0)
        return XNOR_OK;
    const xnor_shape *x = &graph->values[node.inputs[0]].shape;
    const xnor_node *pairs = producer_of(graph, node.inputs[1]);
    neighbours near;
    if (graph->values[node.inputs[0]].dtype != XNOR_F32 || x->rank != 3 || !pairs ||
        pairs->op != XNOR_OP_CONCAT || pairs->input_count != 2 ||
        xnor_shape_last(&graph->values[node.inputs[1]].shape) != 2 ||
        !is_neighbours(graph, pairs->inputs[1], &near) ||
        !counts_groups(graph, pairs->inputs[0], &graph->values[pairs->inputs[0]].shape,
                       near.groups) ||
        x->dims[0] != near.groups || x->dims[1] != near.points)
        return XNOR_OK;
    const xnor_shape shape = graph->values[node.outputs[0]].shape;
    const xnor_shape picks = {3, {near.groups, near.queries, near.k}};
    uint32_t at = index;
    xnor_value_id inputs[2] = {node.inputs[0], XNOR_NO_VALUE}, found = XNOR_NO_VALUE;
    xnor_value_id out = node.outputs[0];
    XNOR_TRY(emit_reshape(graph, &at, node.name, near.index, &picks, &inputs[1]));
    XNOR_TRY(xnor_emit(graph, &at, XNOR_OP_GATHER_ROWS, node.name, inputs, 2, &found));
    xnor_graph_remove_node(&graph->nodes[at]);
    *changed = true;
    return emit_reshape(graph, &at, node.name, found, &shape, &out);
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
    const xnor_shape *picks = &graph->values[inputs[1]].shape;
    static const int64_t parts[] = {1};
    for (uint32_t i = 0; i + 1 < x->rank; i++)
        if (picks->rank != x->rank || picks->dims[i] != x->dims[i]) return XNOR_OK;
    if (x->dims[x->rank - 2] != near.points || xnor_shape_last(picks) != near.k ||
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

// ---- rows that are repeated ---------------------------------------------------------------------

// What was before an Expand or Tile that repeats the rows of each point `k` times: [.., N, 1, C] for
// a result [.., N, k, C]; XNOR_NO_VALUE when there is none.
static xnor_value_id before_repetition(const xnor_graph *graph, xnor_value_id id) {
    xnor_value_id x = before_expand(graph, id);
    const xnor_shape *in = &graph->values[x].shape, *out = &graph->values[id].shape;
    if (x == id || in->rank != out->rank || in->rank < 2 || in->dims[in->rank - 2] != 1)
        return XNOR_NO_VALUE;
    for (uint32_t i = 0; i < in->rank; i++)
        if (i != in->rank - 2 && in->dims[i] != out->dims[i]) return XNOR_NO_VALUE;
    return x;
}

// f(Expand(x)) -> Expand(f(x)): signs and layers of repeated rows are taken once.
static xnor_status repeat_later(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index];
    if (node.op != XNOR_OP_BINARIZE && node.op != XNOR_OP_XNOR_LINEAR &&
        node.op != XNOR_OP_THRESHOLD)
        return XNOR_OK;
    xnor_value_id x = before_repetition(graph, node.inputs[0]);
    if (x == XNOR_NO_VALUE) return XNOR_OK;
    uint32_t expand = xnor_graph_producer(graph, node.inputs[0]), at = index;
    xnor_value_id inputs[XNOR_MAX_INPUTS] = {x}, narrow = XNOR_NO_VALUE, out = node.outputs[0];
    for (uint32_t k = 1; k < node.input_count; k++) inputs[k] = node.inputs[k];
    xnor_shape shape = graph->values[out].shape;
    XNOR_TRY(xnor_emit_copy(graph, &at, at, inputs, &narrow));
    const xnor_op op = graph->nodes[expand].op;
    const xnor_shape vector = {1, {shape.rank}};
    xnor_value_id wide[2] = {narrow};
    void *data;
    XNOR_TRY(xnor_graph_add_constant(graph, node.name, XNOR_I64, &vector, &wide[1], &data));
    for (uint32_t i = 0; i < shape.rank; i++) // target shape, or repeats
        ((int64_t *)data)[i] = op == XNOR_OP_EXPAND || i + 2 == shape.rank ? shape.dims[i] : 1;
    xnor_graph_remove_node(&graph->nodes[at]);
    *changed = true;
    return xnor_emit(graph, &at, op, node.name, wide, 2, &out);
}

// Expand(a) + b -> b + a: sums broadcast by themselves.
static xnor_status add_narrow(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index];
    if (node.op != XNOR_OP_XNOR_ADD) return XNOR_OK;
    for (uint32_t k = 0; k < 2; k++) {
        xnor_value_id narrow = before_repetition(graph, node.inputs[k]);
        if (narrow == XNOR_NO_VALUE) continue;
        const xnor_value_id inputs[2] = {node.inputs[1 - k], narrow};
        xnor_value_id out = node.outputs[0];
        if (before_repetition(graph, inputs[0]) != XNOR_NO_VALUE) return XNOR_OK;
        xnor_graph_remove_node(&graph->nodes[index]);
        *changed = true;
        return xnor_emit(graph, &index, XNOR_OP_XNOR_ADD, node.name, inputs, 2, &out);
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
    static const xnor_rule rules[] = {first_of_one, gather_pairs, difference,    pair,
                                      repeat_later, add_narrow,   add_after_max, NULL};
    return xnor_rewrite(graph, rules);
}
