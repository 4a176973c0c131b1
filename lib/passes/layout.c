#include "passes/layout.h"

#include "core/tensor.h"

void xnor_layout_perms(uint32_t rank, uint32_t *to_last, uint32_t *to_first) {
    to_last[0] = to_first[0] = 0;
    for (uint32_t i = 1; i < rank; i++) {
        to_last[i] = i + 1 < rank ? i + 1 : 1;
        to_first[i] = i == 1 ? rank - 1 : i - 1;
    }
}

bool xnor_layout_is_reduction(xnor_op op) {
    static const xnor_op reductions[] = {
        XNOR_OP_REDUCE_L1,  XNOR_OP_REDUCE_L2,   XNOR_OP_REDUCE_MAX, XNOR_OP_REDUCE_MEAN,
        XNOR_OP_REDUCE_MIN, XNOR_OP_REDUCE_PROD, XNOR_OP_REDUCE_SUM, XNOR_OP_REDUCE_SUM_SQUARE};
    for (size_t i = 0; i < sizeof reductions / sizeof *reductions; i++)
        if (reductions[i] == op) return true;
    return false;
}

bool xnor_layout_is_picture(xnor_op op) {
    return op == XNOR_OP_MAX_POOL || op == XNOR_OP_AVERAGE_POOL || op == XNOR_OP_DEPTH_TO_SPACE ||
           op == XNOR_OP_SPACE_TO_DEPTH;
}

bool xnor_layout_transposed(const xnor_graph *graph, xnor_value_id value, xnor_value_id *x,
                            uint32_t *perm) {
    uint32_t producer = xnor_graph_producer(graph, value);
    if (producer == UINT32_MAX || graph->nodes[producer].op != XNOR_OP_TRANSPOSE) return false;
    const xnor_node *node = &graph->nodes[producer];
    const xnor_attr *attr = xnor_node_attr(node, XNOR_ATTR_PERM);
    uint32_t rank = graph->values[value].shape.rank;
    for (uint32_t i = 0; i < rank; i++) perm[i] = attr ? (uint32_t)attr->ints[i] : rank - 1 - i;
    *x = node->inputs[0];
    return true;
}

xnor_status xnor_layout_simplify(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index];
    if (node.op != XNOR_OP_TRANSPOSE) return XNOR_OK;
    uint32_t perm[XNOR_MAX_RANK], inner[XNOR_MAX_RANK],
        rank = graph->values[node.inputs[0]].shape.rank;
    xnor_value_id x, below, out = node.outputs[0];
    if (!xnor_layout_transposed(graph, out, &x, perm)) return XNOR_OK;
    bool identity = true;
    for (uint32_t i = 0; i < rank; i++) identity = identity && perm[i] == i;
    if (identity) {
        *changed = true;
        return xnor_bypass(graph, index, x);
    }
    if (xnor_layout_transposed(graph, x, &below, inner)) {
        uint32_t both[XNOR_MAX_RANK];
        for (uint32_t i = 0; i < rank; i++) both[i] = inner[perm[i]];
        xnor_graph_remove_node(&graph->nodes[index]);
        *changed = true;
        return xnor_emit_transpose(graph, &index, node.name, below, both, &out);
    }
    return XNOR_OK;
}

// Replaces node `index` by a Reshape of `x` to the shape that it has, unless two axes are unknown.
static xnor_status become_reshape(xnor_graph *graph, uint32_t index, xnor_value_id x,
                                  bool *changed) {
    const xnor_node node = graph->nodes[index];
    const xnor_shape shape = graph->values[node.outputs[0]].shape;
    uint32_t unknown = 0;
    for (uint32_t i = 0; i < shape.rank; i++) unknown += shape.dims[i] <= 0;
    if (unknown > 1) return XNOR_OK;
    xnor_shape vector = {1, {shape.rank}};
    xnor_value_id inputs[2] = {x}, out = node.outputs[0];
    void *data;
    XNOR_TRY(xnor_graph_add_constant(graph, node.name, XNOR_I64, &vector, &inputs[1], &data));
    for (uint32_t i = 0; i < shape.rank; i++) ((int64_t *)data)[i] = shape.dims[i];
    xnor_graph_remove_node(&graph->nodes[index]);
    *changed = true;
    return xnor_emit(graph, &index, XNOR_OP_RESHAPE, node.name, inputs, 2, &out);
}

xnor_status xnor_layout_settle(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index];
    uint32_t perm[XNOR_MAX_RANK], previous = 0;
    xnor_value_id x;
    if (node.op != XNOR_OP_TRANSPOSE || !xnor_layout_transposed(graph, node.outputs[0], &x, perm))
        return XNOR_OK;
    // Axes above 1 (or unknown) stay in order: the data does not move.
    const xnor_shape *shape = &graph->values[x].shape;
    for (uint32_t i = 0; i < shape->rank; i++) {
        if (shape->dims[perm[i]] == 1) continue;
        if (perm[i] < previous) return XNOR_OK;
        previous = perm[i];
    }
    return become_reshape(graph, index, x, changed);
}

xnor_status xnor_layout_join_views(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node *node = &graph->nodes[index];
    if (!(xnor_op_lookup(node->op)->flags & XNOR_VIEW)) return XNOR_OK;
    uint32_t producer = xnor_graph_producer(graph, node->inputs[0]);
    if (producer == UINT32_MAX || !(xnor_op_lookup(graph->nodes[producer].op)->flags & XNOR_VIEW))
        return XNOR_OK;
    return become_reshape(graph, index, graph->nodes[producer].inputs[0], changed);
}

xnor_status xnor_layout_constant(xnor_graph *graph, xnor_value_id id, const uint32_t *perm,
                                 uint32_t rank, xnor_value_id *out) {
    *out = id;
    if (id == XNOR_NO_VALUE || xnor_constant_count(graph, id) == 1) return XNOR_OK;
    const xnor_value value = graph->values[id];
    xnor_shape padded = {.rank = rank}, shape = {.rank = rank};
    for (uint32_t i = 0; i < rank; i++)
        padded.dims[i] =
            i + value.shape.rank >= rank ? value.shape.dims[i + value.shape.rank - rank] : 1;
    for (uint32_t i = 0; i < rank; i++) shape.dims[perm[i]] = padded.dims[i];
    void *data;
    XNOR_TRY(xnor_graph_add_constant(graph, value.name, value.dtype, &shape, out, &data));
    int64_t strides[XNOR_MAX_RANK];
    xnor_strides(&padded, strides);
    xnor_walk walk;
    xnor_walk_init(&walk, &shape);
    walk.inputs = 1;
    for (uint32_t i = 0; i < rank; i++) walk.stride[0][perm[i]] = strides[i];
    xnor_tensor to = {value.dtype, shape, data};
    const xnor_tensor from = {value.dtype, padded, value.data};
    size_t count = xnor_tensor_count(&to);
    for (size_t i = 0; i < count; i++, xnor_walk_next(&walk))
        xnor_tensor_move(&to, i, &from, (size_t)walk.offset[0]);
    return XNOR_OK;
}

bool xnor_layout_repeats_axes(const xnor_graph *graph, const xnor_node *repeat) {
    const xnor_shape *counts = &graph->values[repeat->inputs[1]].shape;
    return (repeat->op == XNOR_OP_TILE || repeat->op == XNOR_OP_EXPAND) && counts->rank == 1 &&
           counts->dims[0] == (int64_t)graph->values[repeat->inputs[0]].shape.rank;
}

xnor_status xnor_layout_emit_counts(xnor_graph *graph, uint32_t *at, const xnor_node *repeat,
                                    const uint32_t *perm, xnor_value_id *out) {
    uint32_t rank = graph->values[repeat->inputs[0]].shape.rank;
    bool known = xnor_is_constant(graph, repeat->inputs[1]);
    const xnor_shape vector = {1, {rank}};
    xnor_value_id order;
    void *data;
    XNOR_TRY(xnor_graph_add_constant(graph, repeat->name, XNOR_I64, &vector, &order, &data));
    for (uint32_t i = 0; i < rank; i++)
        ((int64_t *)data)[i] =
            known ? (int64_t)xnor_constant_get(graph, repeat->inputs[1], perm[i]) : perm[i];
    *out = order;
    if (known) return XNOR_OK;
    const xnor_value_id inputs[2] = {repeat->inputs[1], order};
    *out = XNOR_NO_VALUE;
    return xnor_emit(graph, at, XNOR_OP_GATHER, repeat->name, inputs, 2, out);
}

// transpose(concat(a, b)) -> concat(transpose(a), transpose(b)), where one of the two then cancels.
static xnor_status raise_concat(xnor_graph *graph, uint32_t index, const uint32_t *perm,
                                const xnor_node *concat, bool *changed) {
    const xnor_node node = graph->nodes[index];
    uint32_t rank = graph->values[node.outputs[0]].shape.rank, axis, other[XNOR_MAX_RANK];
    xnor_value_id inputs[XNOR_MAX_INPUTS], below, out = node.outputs[0];
    const char *name = concat->name;
    uint32_t count = concat->input_count;
    bool cancels = false;
    for (uint32_t k = 0; k < count; k++) {
        inputs[k] = concat->inputs[k];
        if (!xnor_layout_transposed(graph, inputs[k], &below, other)) continue;
        bool inverse = true;
        for (uint32_t i = 0; i < rank; i++) inverse = inverse && other[perm[i]] == i;
        cancels = cancels || inverse;
    }
    if (!cancels) return XNOR_OK;
    XNOR_TRY(xnor_axis(concat, xnor_node_int(concat, XNOR_ATTR_AXIS, 0), rank, &axis));
    int64_t renamed = 0;
    for (uint32_t i = 0; i < rank; i++)
        if (perm[i] == axis) renamed = i;
    uint32_t at = index;
    for (uint32_t k = 0; k < count; k++) {
        xnor_value_id x = inputs[k];
        inputs[k] = XNOR_NO_VALUE;
        XNOR_TRY(xnor_emit_transpose(graph, &at, name, x, perm, &inputs[k]));
    }
    xnor_graph_remove_node(&graph->nodes[at]);
    *changed = true;
    xnor_node *made;
    XNOR_TRY(
        xnor_graph_insert_node(graph, at, XNOR_OP_CONCAT, name, inputs, count, &out, 1, &made));
    XNOR_TRY(xnor_node_set_ints(graph, made, XNOR_ATTR_AXIS, &renamed, 1));
    return xnor_graph_infer_node(graph, at);
}

// transpose(repeat(x, counts)) -> repeat(transpose(x), counts in the new order), for Tile and Expand.
static xnor_status raise_repeat(xnor_graph *graph, uint32_t index, const uint32_t *perm,
                                uint32_t repeat, bool *changed) {
    const xnor_node node = graph->nodes[index], from = graph->nodes[repeat];
    uint32_t at = index;
    if (!xnor_layout_repeats_axes(graph, &from)) return XNOR_OK;
    xnor_value_id inputs[2] = {XNOR_NO_VALUE}, out = node.outputs[0];
    XNOR_TRY(xnor_emit_transpose(graph, &at, from.name, from.inputs[0], perm, &inputs[0]));
    XNOR_TRY(xnor_layout_emit_counts(graph, &at, &from, perm, &inputs[1]));
    xnor_graph_remove_node(&graph->nodes[at]);
    *changed = true;
    return xnor_emit(graph, &at, from.op, from.name, inputs, 2, &out);
}

// transpose(pool(x)) -> pool(transpose(x)) where channels become the last axis.
static xnor_status raise_picture(xnor_graph *graph, uint32_t index, const uint32_t *perm,
                                 uint32_t picture, bool *changed) {
    const xnor_node node = graph->nodes[index], from = graph->nodes[picture];
    uint32_t to_last[XNOR_MAX_RANK], to_first[XNOR_MAX_RANK], at = index;
    const uint32_t rank = graph->values[node.outputs[0]].shape.rank;
    const int64_t last = (int64_t)rank - 1;
    xnor_value_id x = XNOR_NO_VALUE, out = node.outputs[0];
    xnor_layout_perms(rank, to_last, to_first);
    for (uint32_t i = 0; i < rank; i++)
        if (perm[i] != to_last[i]) return XNOR_OK;
    XNOR_TRY(xnor_emit_transpose(graph, &at, from.name, from.inputs[0], perm, &x));
    xnor_graph_remove_node(&graph->nodes[at]);
    *changed = true;
    xnor_node *made;
    XNOR_TRY(xnor_graph_insert_node(graph, at, from.op, from.name, &x, 1, &out, 1, &made));
    made->attrs = xnor_arena_copy(&graph->arena, from.attrs, from.attr_count * sizeof *from.attrs);
    made->attr_count = from.attr_count;
    if (!made->attrs) return xnor_fail(XNOR_E_MEMORY, "layout: out of memory");
    XNOR_TRY(xnor_node_set_ints(graph, made, XNOR_ATTR_AXIS, &last, 1));
    return xnor_graph_infer_node(graph, at);
}

xnor_status xnor_layout_raise(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index];
    uint32_t perm[XNOR_MAX_RANK], inverse[XNOR_MAX_RANK], uses;
    xnor_value_id f_value, inputs[XNOR_MAX_INPUTS], out = node.outputs[0];
    if (node.op != XNOR_OP_TRANSPOSE || !xnor_layout_transposed(graph, out, &f_value, perm))
        return XNOR_OK;
    uint32_t producer = xnor_graph_producer(graph, f_value), rank = graph->values[out].shape.rank;
    if (producer == UINT32_MAX || xnor_graph_uses(graph, f_value, &uses) != 1) return XNOR_OK;
    // What leaves the graph is turned last, behind all that can be done in one step.
    if (xnor_graph_is_output(graph, out) && xnor_graph_uses(graph, out, &uses) == 1) return XNOR_OK;
    const xnor_node f = graph->nodes[producer];
    if (f.op == XNOR_OP_CONCAT) return raise_concat(graph, index, perm, &f, changed);
    if (f.op == XNOR_OP_TILE || f.op == XNOR_OP_EXPAND)
        return raise_repeat(graph, index, perm, producer, changed);
    if (xnor_layout_is_picture(f.op) && xnor_node_int(&f, XNOR_ATTR_AXIS, 1) == 1)
        return raise_picture(graph, index, perm, producer, changed);
    const xnor_op_info *info = xnor_op_lookup(f.op);
    if (!(info->flags & XNOR_ELEMENTWISE) || info->flags & XNOR_VIEW || f.output_count != 1)
        return XNOR_OK;
    for (uint32_t i = 0; i < rank; i++) inverse[perm[i]] = i;
    for (uint32_t k = 0; k < f.input_count; k++)
        if (f.inputs[k] != XNOR_NO_VALUE && !xnor_is_constant(graph, f.inputs[k]) &&
            graph->values[f.inputs[k]].shape.rank != rank)
            return XNOR_OK;
    uint32_t at = index;
    for (uint32_t k = 0; k < f.input_count; k++) {
        inputs[k] = f.inputs[k];
        if (inputs[k] == XNOR_NO_VALUE) continue;
        if (xnor_is_constant(graph, inputs[k])) {
            if (graph->values[inputs[k]].shape.rank > rank) return XNOR_OK;
            XNOR_TRY(xnor_layout_constant(graph, f.inputs[k], inverse, rank, &inputs[k]));
        } else {
            inputs[k] = XNOR_NO_VALUE;
            XNOR_TRY(xnor_emit_transpose(graph, &at, node.name, f.inputs[k], perm, &inputs[k]));
        }
    }
    *changed = true;
    xnor_graph_remove_node(&graph->nodes[at]);
    return xnor_emit_copy(graph, &at, producer, inputs, &out);
}
