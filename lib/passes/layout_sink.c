// Transposes sink: f(transpose(x)) -> transpose(f(x)), one rule for each kind of operator.
#include "core/tensor.h"
#include "passes/layout.h"

// True if a Reshape puts x's axes in the order of `perm`: only those of size 1 move.
static bool moves_units(const xnor_graph *graph, xnor_value_id x, const uint32_t *perm) {
    const xnor_shape *shape = &graph->values[x].shape;
    uint32_t previous = 0, unknown = 0;
    for (uint32_t i = 0; i < shape->rank; i++) {
        if (shape->dims[perm[i]] == 1) continue;
        if (perm[i] < previous) return false;
        previous = perm[i];
        unknown += shape->dims[perm[i]] < 0;
    }
    return unknown <= 1;
}

static xnor_status emit_moved_units(xnor_graph *graph, uint32_t *at, const char *name,
                                    xnor_value_id x, const uint32_t *perm, xnor_value_id *out) {
    const xnor_shape shape = graph->values[x].shape;
    const xnor_shape vector = {1, {shape.rank}};
    xnor_value_id inputs[2] = {x};
    void *data;
    *out = XNOR_NO_VALUE;
    XNOR_TRY(xnor_graph_add_constant(graph, name, XNOR_I64, &vector, &inputs[1], &data));
    for (uint32_t i = 0; i < shape.rank; i++) ((int64_t *)data)[i] = shape.dims[perm[i]];
    return xnor_emit(graph, at, XNOR_OP_RESHAPE, name, inputs, 2, out);
}

// All operands but constants are transposed alike, or have the rank of those and only axes of size 1 to move, as a
// factor per channel has.
static xnor_status sink_elementwise(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index];
    uint32_t perm[XNOR_MAX_RANK] = {0}, other[XNOR_MAX_RANK] = {0}, inverse[XNOR_MAX_RANK];
    uint32_t rank = graph->values[node.outputs[0]].shape.rank, transposed = 0;
    xnor_value_id inputs[XNOR_MAX_INPUTS], out = node.outputs[0], y = XNOR_NO_VALUE;
    bool is_moved[XNOR_MAX_INPUTS] = {false};
    for (uint32_t k = 0; k < node.input_count; k++) {
        inputs[k] = node.inputs[k];
        if (inputs[k] == XNOR_NO_VALUE || xnor_is_constant(graph, inputs[k])) continue;
        xnor_value_id x;
        if (graph->values[inputs[k]].shape.rank != rank) return XNOR_OK;
        if (!xnor_layout_transposed(graph, inputs[k], &x, transposed ? other : perm)) {
            is_moved[k] = true;
            continue;
        }
        for (uint32_t i = 0; transposed && i < rank; i++)
            if (other[i] != perm[i]) return XNOR_OK;
        inputs[k] = x;
        transposed++;
    }
    if (!transposed) return XNOR_OK;
    for (uint32_t i = 0; i < rank; i++) inverse[perm[i]] = i;
    for (uint32_t k = 0; k < node.input_count; k++)
        if (inputs[k] != XNOR_NO_VALUE &&
            (graph->values[inputs[k]].shape.rank > rank ||
             (is_moved[k] && !moves_units(graph, inputs[k], inverse))))
            return XNOR_OK;
    uint32_t at = index;
    for (uint32_t k = 0; k < node.input_count; k++)
        if (is_moved[k]) {
            XNOR_TRY(emit_moved_units(graph, &at, node.name, node.inputs[k], inverse, &inputs[k]));
        } else if (node.inputs[k] != XNOR_NO_VALUE && xnor_is_constant(graph, node.inputs[k])) {
            XNOR_TRY(xnor_layout_constant(graph, node.inputs[k], perm, rank, &inputs[k]));
        }
    XNOR_TRY(xnor_emit_copy(graph, &at, at, inputs, &y));
    xnor_graph_remove_node(&graph->nodes[at]);
    *changed = true;
    return xnor_emit_transpose(graph, &at, node.name, y, perm, &out);
}

static bool is_place(xnor_op op) {
    return op == XNOR_OP_ARG_MAX || op == XNOR_OP_ARG_MIN;
}

// Reductions, the place of a maximum, softmax and concatenation: the axis is renamed.
static xnor_status sink_axis_operator(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index];
    const bool reduction = xnor_layout_is_reduction(node.op), place = is_place(node.op);
    uint32_t perm[XNOR_MAX_RANK] = {0}, other[XNOR_MAX_RANK] = {0}, rank = 0;
    xnor_value_id inputs[XNOR_MAX_INPUTS], out = node.outputs[0], y = XNOR_NO_VALUE;
    for (uint32_t k = 0; k < node.input_count; k++) {
        if (!xnor_layout_transposed(graph, node.inputs[k], &inputs[k], k ? other : perm))
            return XNOR_OK;
        rank = graph->values[inputs[k]].shape.rank;
        for (uint32_t i = 0; k && i < rank; i++)
            if (other[i] != perm[i]) return XNOR_OK;
    }
    const xnor_attr *axes = xnor_node_attr(&node, XNOR_ATTR_AXES);
    if (reduction && !axes) return XNOR_OK;
    int64_t renamed[XNOR_MAX_RANK];
    uint32_t count = reduction ? axes->count : 1, mask = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t axis;
        int64_t fallback = node.op == XNOR_OP_CONCAT || place ? 0 : -1;
        XNOR_TRY(xnor_axis(
            &node, reduction ? axes->ints[i] : xnor_node_int(&node, XNOR_ATTR_AXIS, fallback), rank,
            &axis));
        renamed[i] = perm[axis];
        mask |= 1U << perm[axis];
    }
    uint32_t after[XNOR_MAX_RANK], after_rank = 0;
    if ((reduction || place) && !xnor_node_int(&node, XNOR_ATTR_KEEPDIMS, 1)) {
        for (uint32_t i = 0; i < rank; i++) {
            if (mask >> perm[i] & 1) continue;
            uint32_t position = 0;
            for (uint32_t k = 0; k < perm[i]; k++) position += !(mask >> k & 1);
            after[after_rank++] = position;
        }
    } else {
        for (; after_rank < rank; after_rank++) after[after_rank] = perm[after_rank];
    }
    uint32_t at = index;
    xnor_node *copy;
    XNOR_TRY(xnor_graph_add_value(graph, node.name, XNOR_F32, NULL, &y));
    XNOR_TRY(xnor_graph_insert_node(graph, at, node.op, node.name, inputs, node.input_count, &y, 1,
                                    &copy));
    copy->attrs = xnor_arena_copy(&graph->arena, node.attrs, node.attr_count * sizeof *node.attrs);
    copy->attr_count = node.attr_count;
    if (node.attr_count && !copy->attrs) return xnor_fail(XNOR_E_MEMORY, "layout: out of memory");
    XNOR_TRY(xnor_node_set_ints(graph, copy, reduction ? XNOR_ATTR_AXES : XNOR_ATTR_AXIS, renamed,
                                count));
    XNOR_TRY(xnor_graph_infer_node(graph, at++));
    xnor_graph_remove_node(&graph->nodes[at]);
    *changed = true;
    return xnor_emit_transpose(graph, &at, node.name, y, after, &out);
}

// concat(repeat(x), transpose(y)) -> concat(transpose(repeat(x')), transpose(y)), x' having only axes
// of size 1 moved: global features beside those of points.
static xnor_status align_concat(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index];
    uint32_t perm[XNOR_MAX_RANK] = {0}, other[XNOR_MAX_RANK] = {0}, inverse[XNOR_MAX_RANK];
    uint32_t at = index;
    uint32_t rank = graph->values[node.outputs[0]].shape.rank, chosen = node.input_count;
    bool any = false;
    xnor_value_id below;
    for (uint32_t k = 0; k < node.input_count; k++) {
        if (xnor_layout_transposed(graph, node.inputs[k], &below, any ? other : perm))
            any = true;
        else
            chosen = k;
    }
    if (!any || chosen == node.input_count) return XNOR_OK;
    uint32_t producer = xnor_graph_producer(graph, node.inputs[chosen]);
    if (producer == UINT32_MAX || !xnor_layout_repeats_axes(graph, &graph->nodes[producer]))
        return XNOR_OK;
    for (uint32_t i = 0; i < rank; i++) inverse[perm[i]] = i;
    const xnor_node repeat = graph->nodes[producer];
    xnor_value_id inputs[2], y = XNOR_NO_VALUE, aligned = XNOR_NO_VALUE;
    if (!moves_units(graph, repeat.inputs[0], inverse)) return XNOR_OK;
    XNOR_TRY(emit_moved_units(graph, &at, repeat.name, repeat.inputs[0], inverse, &inputs[0]));
    XNOR_TRY(xnor_layout_emit_counts(graph, &at, &repeat, inverse, &inputs[1]));
    XNOR_TRY(xnor_emit(graph, &at, repeat.op, repeat.name, inputs, 2, &y));
    XNOR_TRY(xnor_emit_transpose(graph, &at, repeat.name, y, perm, &aligned));
    graph->nodes[at].inputs[chosen] = aligned;
    *changed = true;
    return XNOR_OK;
}

// Operators whose further inputs are constants with an element for each axis, Tile and Resize: those are
// put in the order of x's axes.
static xnor_status sink_per_axis(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index];
    uint32_t perm[XNOR_MAX_RANK], rank = graph->values[node.outputs[0]].shape.rank;
    xnor_value_id inputs[XNOR_MAX_INPUTS], out = node.outputs[0], y = XNOR_NO_VALUE;
    if (!xnor_layout_transposed(graph, node.inputs[0], &inputs[0], perm)) return XNOR_OK;
    for (uint32_t k = 1; k < node.input_count; k++) {
        inputs[k] = node.inputs[k];
        if (inputs[k] == XNOR_NO_VALUE) continue;
        if (!xnor_is_constant(graph, inputs[k]) || xnor_constant_count(graph, inputs[k]) != rank)
            return XNOR_OK;
    }
    for (uint32_t k = 1; k < node.input_count; k++) {
        if (inputs[k] == XNOR_NO_VALUE) continue;
        const xnor_value value = graph->values[node.inputs[k]];
        void *data;
        XNOR_TRY(xnor_graph_add_constant(graph, node.name, value.dtype, &value.shape, &inputs[k],
                                         &data));
        const xnor_tensor from = {value.dtype, value.shape, value.data};
        xnor_tensor to = {value.dtype, value.shape, data};
        for (uint32_t i = 0; i < rank; i++) xnor_tensor_move(&to, perm[i], &from, i);
    }
    uint32_t at = index;
    XNOR_TRY(xnor_emit_copy(graph, &at, index, inputs, &y));
    xnor_graph_remove_node(&graph->nodes[at]);
    *changed = true;
    return xnor_emit_transpose(graph, &at, node.name, y, perm, &out);
}

// Squeeze(Shape(x)[:k] ++ -1): the first k axes of x stay as they are.
static bool keeps_first_axes(const xnor_graph *graph, const xnor_node *reshape) {
    const xnor_node *part[3] = {NULL};
    xnor_value_id id = reshape->inputs[1];
    static const xnor_op ops[3] = {XNOR_OP_CONCAT, XNOR_OP_SLICE, XNOR_OP_SHAPE};
    for (int i = 0; i < 3; i++) {
        uint32_t producer = xnor_graph_producer(graph, id);
        if (producer == UINT32_MAX || graph->nodes[producer].op != ops[i]) return false;
        part[i] = &graph->nodes[producer];
        id = part[i]->inputs[0];
    }
    return id == reshape->inputs[0] && part[0]->input_count == 2 &&
           xnor_is_constant(graph, part[0]->inputs[1]) &&
           xnor_constant_count(graph, part[0]->inputs[1]) == 1 &&
           xnor_constant_get(graph, part[0]->inputs[1], 0) == -1 &&
           xnor_is_constant(graph, part[1]->inputs[1]) &&
           xnor_constant_get(graph, part[1]->inputs[1], 0) == 0;
}

// Views that add or remove axes of size 1: where each axis of the result comes from, XNOR_MAX_RANK for
// a new one.
static bool match_unit_view(const xnor_graph *graph, const xnor_node *node, uint32_t *source) {
    const xnor_shape *x = &graph->values[node->inputs[0]].shape;
    const xnor_shape *y = &graph->values[node->outputs[0]].shape;
    bool exact = node->op == XNOR_OP_SQUEEZE || node->op == XNOR_OP_UNSQUEEZE;
    uint32_t unknown = 0, i = 0, j = 0;
    for (uint32_t k = 0; k < y->rank; k++) unknown += y->dims[k] < 0;
    if (!exact && (node->op != XNOR_OP_RESHAPE || (unknown > 1 && !keeps_first_axes(graph, node))))
        return false;
    // Axes of unknown size are neither added nor removed, so they keep their order.
    while (i < x->rank || j < y->rank) {
        if (i < x->rank && j < y->rank && x->dims[i] == y->dims[j])
            source[j++] = i++;
        else if (i < x->rank && x->dims[i] == 1)
            i++;
        else if (j < y->rank && y->dims[j] == 1)
            source[j++] = XNOR_MAX_RANK;
        else
            return false;
    }
    return true;
}

// view(transpose(x)) -> transpose(squeeze(x)) for views that drop axes of size 1. Those that add some stay
// on the side of the users, where pairwise differences are looked for.
static xnor_status sink_unit_view(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index];
    uint32_t perm[XNOR_MAX_RANK], source[XNOR_MAX_RANK], place[XNOR_MAX_RANK] = {0};
    xnor_value_id x, out = node.outputs[0];
    if (!xnor_layout_transposed(graph, node.inputs[0], &x, perm) ||
        !match_unit_view(graph, &node, source))
        return XNOR_OK;
    uint32_t rank = graph->values[x].shape.rank, result = graph->values[out].shape.rank;
    if (rank <= result) return XNOR_OK;
    bool kept[XNOR_MAX_RANK] = {false};
    for (uint32_t j = 0; j < result; j++) {
        if (source[j] == XNOR_MAX_RANK) return XNOR_OK;
        kept[perm[source[j]]] = true;
    }
    xnor_value_id inputs[2] = {x}, y = XNOR_NO_VALUE;
    xnor_shape vector = {1, {rank - result}};
    void *data;
    XNOR_TRY(xnor_graph_add_constant(graph, node.name, XNOR_I64, &vector, &inputs[1], &data));
    int64_t *axes = data;
    for (uint32_t i = 0, next = 0; i < rank; i++) {
        if (kept[i])
            place[i] = next++;
        else
            *axes++ = i;
    }
    uint32_t at = index, after[XNOR_MAX_RANK];
    XNOR_TRY(xnor_emit(graph, &at, XNOR_OP_SQUEEZE, node.name, inputs, 2, &y));
    for (uint32_t j = 0; j < result; j++) after[j] = place[perm[source[j]]];
    xnor_graph_remove_node(&graph->nodes[at]);
    *changed = true;
    return xnor_emit_transpose(graph, &at, node.name, y, after, &out);
}

// A Reshape that splits axes and joins neighbouring ones: axis i of x becomes parts[i] axes of the result, and the
// one before it joins the same axis of the result if joined[i].
typedef struct regrouping {
    uint32_t parts[XNOR_MAX_RANK];
    bool joined[XNOR_MAX_RANK];
} regrouping;

// From sizes alone, of which one may be unknown. Views that only add or remove axes of size 1 are none of these.
static bool match_regrouping(const xnor_shape *x, const xnor_shape *y, regrouping *out) {
    uint32_t unknown = 0, i = 0, j = 0;
    bool regroups = false;
    for (uint32_t k = 0; k < y->rank; k++) unknown += y->dims[k] < 0;
    *out = (regrouping){{0}, {false}};
    while (i < x->rank && j < y->rank) {
        int64_t from = x->dims[i], to = y->dims[j];
        const uint32_t first = i, start = j;
        i++;
        j++;
        if ((from < 0) != (to < 0) || (from == 1) != (to == 1) || unknown > 1) return false;
        while (from != to)
            if (from > to ? j == y->rank || y->dims[j] < 2 ||
                                __builtin_mul_overflow(to, y->dims[j++], &to)
                          : i == x->rank || x->dims[i] < 2 ||
                                __builtin_mul_overflow(from, x->dims[i++], &from))
                return false;
        // Several to several is more than one of these.
        if (i - first > 1 && j - start > 1) return false;
        regroups = regroups || i - first > 1 || j - start > 1;
        out->parts[first] = j - start;
        for (uint32_t k = first + 1; k < i; k++) out->joined[k] = true;
    }
    return regroups && i == x->rank && j == y->rank;
}

// What is joined must be side by side in x. If only its order differs there, x is transposed by `local`, and the result
// of that by what perm becomes. False if that is no step forward.
static bool line_up(const regrouping *r, uint32_t rank, uint32_t *perm, uint32_t *local,
                    bool *turned) {
    bool moves = false;
    *turned = false;
    for (uint32_t i = 0; i < rank; i++) local[i] = i;
    for (uint32_t i = 0, end; i < rank; i = end) {
        uint32_t first = perm[i], last = perm[i];
        for (end = i + 1; end < rank && r->joined[end]; end++) {
            if (perm[end] < first) first = perm[end];
            if (perm[end] > last) last = perm[end];
        }
        if (last - first + 1 != end - i) return false;
        for (uint32_t k = i; k < end; k++) {
            local[first + k - i] = perm[k];
            *turned = *turned || perm[k] != first + k - i;
            perm[k] = first + k - i;
            moves = moves || perm[k] != k;
        }
    }
    return moves;
}

// view(transpose(x)) -> transpose(view(x)): groups of channels are split and joined where they are.
static xnor_status sink_regrouping(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index];
    uint32_t perm[XNOR_MAX_RANK], local[XNOR_MAX_RANK], after[XNOR_MAX_RANK], at = index;
    xnor_value_id x, out = node.outputs[0], y = XNOR_NO_VALUE, inputs[2];
    regrouping r;
    bool turned;
    if (node.op != XNOR_OP_RESHAPE || !xnor_layout_transposed(graph, node.inputs[0], &x, perm))
        return XNOR_OK;
    const xnor_shape from = graph->values[node.inputs[0]].shape, to = graph->values[out].shape;
    if (!match_regrouping(&from, &to, &r) || !line_up(&r, from.rank, perm, local, &turned))
        return XNOR_OK;
    inputs[0] = turned ? XNOR_NO_VALUE : x;
    if (turned) XNOR_TRY(xnor_emit_transpose(graph, &at, node.name, x, local, &inputs[0]));
    // By axis of x: the first of its axes in the result, and how many they are.
    uint32_t start[XNOR_MAX_RANK] = {0}, count[XNOR_MAX_RANK] = {0}, rank = 0;
    for (uint32_t i = 0, j = 0; i < from.rank; i++) {
        start[perm[i]] = j;
        count[perm[i]] = r.parts[i];
        j += r.parts[i];
    }
    const xnor_shape vector = {1, {to.rank}};
    void *data;
    XNOR_TRY(xnor_graph_add_constant(graph, node.name, XNOR_I64, &vector, &inputs[1], &data));
    for (uint32_t k = 0; k < from.rank; k++)
        for (uint32_t i = 0; i < count[k]; i++) {
            after[start[k] + i] = rank;
            ((int64_t *)data)[rank++] = to.dims[start[k] + i];
        }
    XNOR_TRY(xnor_emit(graph, &at, XNOR_OP_RESHAPE, node.name, inputs, 2, &y));
    xnor_graph_remove_node(&graph->nodes[at]);
    *changed = true;
    return xnor_emit_transpose(graph, &at, node.name, y, after, &out);
}

// Operators on pictures that say where the channels are: they were moved to axis 1.
static xnor_status sink_picture(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index];
    uint32_t perm[XNOR_MAX_RANK], to_last[XNOR_MAX_RANK], to_first[XNOR_MAX_RANK];
    const uint32_t rank = graph->values[node.outputs[0]].shape.rank;
    const int64_t last = (int64_t)rank - 1;
    xnor_value_id x, out = node.outputs[0], y = XNOR_NO_VALUE;
    if (!xnor_layout_transposed(graph, node.inputs[0], &x, perm) ||
        xnor_node_int(&node, XNOR_ATTR_AXIS, 1) != 1)
        return XNOR_OK;
    xnor_layout_perms(rank, to_last, to_first);
    for (uint32_t i = 0; i < rank; i++)
        if (perm[i] != to_first[i]) return XNOR_OK;
    uint32_t at = index;
    XNOR_TRY(xnor_node_set_ints(graph, &graph->nodes[index], XNOR_ATTR_AXIS, &last, 1));
    XNOR_TRY(xnor_emit_copy(graph, &at, index, &x, &y));
    xnor_graph_remove_node(&graph->nodes[at]);
    *changed = true;
    return xnor_emit_transpose(graph, &at, node.name, y, to_first, &out);
}

// Pad and Slice name their axes: they are renamed.
static xnor_status sink_named_axes(xnor_graph *graph, uint32_t index, bool *changed) {
    enum { STARTS = 1, AXES = 3, STEPS = 4 };
    const xnor_node node = graph->nodes[index];
    uint32_t perm[XNOR_MAX_RANK];
    const bool named = node.input_count > AXES && node.inputs[AXES] != XNOR_NO_VALUE;
    const uint32_t rank = graph->values[node.outputs[0]].shape.rank;
    xnor_value_id inputs[STEPS + 1], out = node.outputs[0], y = XNOR_NO_VALUE;
    if (!xnor_layout_transposed(graph, node.inputs[0], &inputs[0], perm) ||
        (named && !xnor_is_constant(graph, node.inputs[AXES])))
        return XNOR_OK;
    for (uint32_t k = 1; k <= STEPS; k++)
        inputs[k] = k < node.input_count ? node.inputs[k] : XNOR_NO_VALUE;
    // Without names the first axes are meant, all of them by a Pad.
    const xnor_value_id listed = node.inputs[named ? AXES : STARTS];
    int64_t count = node.op == XNOR_OP_PAD && !named ? rank : graph->values[listed].shape.dims[0];
    if (count < 0 || count > rank) return XNOR_OK;
    const xnor_shape vector = {1, {count}};
    void *data;
    XNOR_TRY(xnor_graph_add_constant(graph, node.name, XNOR_I64, &vector, &inputs[AXES], &data));
    for (uint32_t i = 0; i < count; i++) {
        uint32_t axis = i;
        if (named)
            XNOR_TRY(xnor_axis(&node, (int64_t)xnor_constant_get(graph, node.inputs[AXES], i), rank,
                               &axis));
        ((int64_t *)data)[i] = perm[axis];
    }
    uint32_t at = index;
    const uint32_t inputs_count = node.input_count > STEPS ? STEPS + 1 : AXES + 1;
    XNOR_TRY(xnor_emit_as(graph, &at, node.op, &node, inputs, inputs_count, &y));
    xnor_graph_remove_node(&graph->nodes[at]);
    *changed = true;
    return xnor_emit_transpose(graph, &at, node.name, y, perm, &out);
}

xnor_status xnor_layout_sink(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node *node = &graph->nodes[index];
    const xnor_op_info *info = xnor_op_lookup(node->op);
    if (node->output_count != 1) return XNOR_OK;
    if (info->flags & XNOR_VIEW) {
        XNOR_TRY(sink_unit_view(graph, index, changed));
        return *changed ? XNOR_OK : sink_regrouping(graph, index, changed);
    }
    if (info->flags & XNOR_ELEMENTWISE) return sink_elementwise(graph, index, changed);
    if (node->op == XNOR_OP_CONCAT) {
        XNOR_TRY(align_concat(graph, index, changed));
        if (*changed) return XNOR_OK;
    }
    if (xnor_layout_is_reduction(node->op) || node->op == XNOR_OP_CONCAT ||
        node->op == XNOR_OP_SOFTMAX || node->op == XNOR_OP_LOG_SOFTMAX || is_place(node->op))
        return sink_axis_operator(graph, index, changed);
    if (xnor_layout_is_picture(node->op)) return sink_picture(graph, index, changed);
    if (node->op == XNOR_OP_PAD || node->op == XNOR_OP_SLICE)
        return sink_named_axes(graph, index, changed);
    bool per_axis = node->op == XNOR_OP_TILE || node->op == XNOR_OP_RESIZE;
    return per_axis ? sink_per_axis(graph, index, changed) : XNOR_OK;
}
