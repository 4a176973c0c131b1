#include "passes/rewrite.h"

#include <string.h>

#include "core/tensor.h"

xnor_status xnor_rewrite(xnor_graph *graph, const xnor_rule *rules) {
    // Every rule removes a node, moves a transpose one step towards the outputs (or inputs), or
    // lowers the operator; the bound only guards against a mistake among them.
    uint64_t budget = 1000 + (uint64_t)graph->node_count * graph->node_count * 4;
    // Starts over after each change: a rule may rely on what is before its node being in its final
    // form.
    for (uint32_t i = 0; i < graph->node_count;) {
        bool changed = false;
        for (const xnor_rule *rule = rules; *rule && !changed; rule++)
            XNOR_TRY((*rule)(graph, i, &changed));
        if (!changed) {
            i++;
            continue;
        }
        if (budget-- == 0)
            return xnor_fail(XNOR_E_INTERNAL, "rewriting does not come to an end at '%s'",
                             graph->nodes[i].name);
        xnor_graph_compact(graph);
        XNOR_TRY(xnor_graph_verify(graph));
        i = 0;
    }
    return XNOR_OK;
}

xnor_status xnor_emit(xnor_graph *graph, uint32_t *at, xnor_op op, const char *name,
                      const xnor_value_id *inputs, uint32_t input_count, xnor_value_id *out) {
    if (*out == XNOR_NO_VALUE) XNOR_TRY(xnor_graph_add_value(graph, name, XNOR_F32, NULL, out));
    XNOR_TRY(xnor_graph_insert_node(graph, *at, op, name, inputs, input_count, out, 1, NULL));
    return xnor_graph_infer_node(graph, (*at)++);
}

xnor_status xnor_emit_transpose(xnor_graph *graph, uint32_t *at, const char *name, xnor_value_id x,
                                const uint32_t *perm, xnor_value_id *out) {
    if (*out == XNOR_NO_VALUE) XNOR_TRY(xnor_graph_add_value(graph, name, XNOR_F32, NULL, out));
    xnor_node *node;
    XNOR_TRY(xnor_graph_insert_node(graph, *at, XNOR_OP_TRANSPOSE, name, &x, 1, out, 1, &node));
    int64_t ints[XNOR_MAX_RANK];
    uint32_t rank = graph->values[x].shape.rank;
    for (uint32_t i = 0; i < rank; i++) ints[i] = perm[i];
    XNOR_TRY(xnor_node_set_ints(graph, node, XNOR_ATTR_PERM, ints, rank));
    return xnor_graph_infer_node(graph, (*at)++);
}

xnor_status xnor_emit_affine(xnor_graph *graph, uint32_t *at, const char *name, xnor_value_id x,
                             const double *scale, const double *shift, size_t channels,
                             xnor_value_id *out) {
    const double *vectors[2] = {scale, shift};
    xnor_value_id inputs[3] = {x};
    xnor_shape shape = {1, {(int64_t)channels}};
    for (int k = 0; k < 2; k++) {
        void *data;
        XNOR_TRY(xnor_graph_add_constant(graph, name, XNOR_F64, &shape, &inputs[k + 1], &data));
        for (size_t c = 0; c < channels; c++) ((double *)data)[c] = vectors[k][c];
    }
    return xnor_emit(graph, at, XNOR_OP_AFFINE, name, inputs, 3, out);
}

xnor_status xnor_emit_as(xnor_graph *graph, uint32_t *at, xnor_op op, const xnor_node *node,
                         const xnor_value_id *inputs, uint32_t input_count, xnor_value_id *out) {
    if (*out == XNOR_NO_VALUE)
        XNOR_TRY(xnor_graph_add_value(graph, node->name, XNOR_F32, NULL, out));
    xnor_node *copy;
    XNOR_TRY(
        xnor_graph_insert_node(graph, *at, op, node->name, inputs, input_count, out, 1, &copy));
    copy->attr_count = node->attr_count;
    copy->attrs =
        xnor_arena_copy(&graph->arena, node->attrs, node->attr_count * sizeof *node->attrs);
    if (!copy->attrs) return xnor_fail(XNOR_E_MEMORY, "rewrite: out of memory");
    return xnor_graph_infer_node(graph, (*at)++);
}

xnor_status xnor_emit_copy(xnor_graph *graph, uint32_t *at, uint32_t index,
                           const xnor_value_id *inputs, xnor_value_id *out) {
    const xnor_node node = graph->nodes[index];
    return xnor_emit_as(graph, at, node.op, &node, inputs, node.input_count, out);
}

xnor_status xnor_bypass(xnor_graph *graph, uint32_t index, xnor_value_id x) {
    xnor_node *node = &graph->nodes[index];
    xnor_value_id out = node->outputs[0];
    if (!xnor_graph_is_output(graph, out)) {
        xnor_graph_replace(graph, out, x);
        xnor_graph_remove_node(node);
        return XNOR_OK;
    }
    // A graph output keeps its value (and so its name): the producer makes it directly.
    uint32_t producer = xnor_graph_producer(graph, x);
    if (producer == UINT32_MAX || xnor_graph_is_output(graph, x)) {
        node->op = XNOR_OP_IDENTITY;
        node->inputs[0] = x;
        node->input_count = 1;
        return XNOR_OK;
    }
    xnor_graph_remove_node(node);
    xnor_node *maker = &graph->nodes[producer];
    for (uint32_t k = 0; k < maker->output_count; k++)
        if (maker->outputs[k] == x) maker->outputs[k] = out;
    xnor_graph_replace(graph, x, out);
    return XNOR_OK;
}

bool xnor_is_constant(const xnor_graph *graph, xnor_value_id id) {
    return id != XNOR_NO_VALUE && graph->values[id].data;
}

double xnor_constant_get(const xnor_graph *graph, xnor_value_id id, size_t index) {
    const xnor_value *value = &graph->values[id];
    const xnor_tensor t = {value->dtype, value->shape, value->data};
    return xnor_tensor_get(&t, index);
}

size_t xnor_constant_count(const xnor_graph *graph, xnor_value_id id) {
    const xnor_tensor t = {.shape = graph->values[id].shape};
    return xnor_tensor_count(&t);
}

bool xnor_constant_along(const xnor_graph *graph, xnor_value_id id, uint32_t rank, uint32_t axis) {
    if (!xnor_is_constant(graph, id)) return false;
    const xnor_shape *shape = &graph->values[id].shape;
    if (shape->rank > rank) return false;
    for (uint32_t i = 0; i < shape->rank; i++)
        if (shape->dims[i] != 1 && i + rank - shape->rank != axis) return false;
    return true;
}

bool xnor_keeps_channels(const xnor_graph *graph, const xnor_node *node) {
    const xnor_op_info *info = xnor_op_lookup(node->op);
    if (!info || !(info->flags & XNOR_VIEW)) return false;
    int64_t before = xnor_shape_last(&graph->values[node->inputs[0]].shape);
    return before >= 0 && before == xnor_shape_last(&graph->values[node->outputs[0]].shape);
}

uint32_t xnor_only_variable(const xnor_graph *graph, const xnor_node *node) {
    uint32_t found = UINT32_MAX;
    for (uint32_t k = 0; k < node->input_count; k++) {
        if (node->inputs[k] == XNOR_NO_VALUE || graph->values[node->inputs[k]].data) continue;
        if (found != UINT32_MAX) return UINT32_MAX;
        found = k;
    }
    return found;
}

bool xnor_is_per_channel(const xnor_graph *graph, const xnor_node *node) {
    const xnor_op_info *info = xnor_op_lookup(node->op);
    if (!info || node->output_count != 1) return false;
    if (!(info->flags & XNOR_ELEMENTWISE) && node->op != XNOR_OP_AFFINE) return false;
    uint32_t variable = xnor_only_variable(graph, node);
    if (variable == UINT32_MAX) return false;
    const xnor_shape *x = &graph->values[node->inputs[variable]].shape;
    const xnor_shape *y = &graph->values[node->outputs[0]].shape;
    if (x->rank == 0 || x->rank != y->rank || xnor_shape_last(x) != xnor_shape_last(y))
        return false;
    for (uint32_t k = 0; k < node->input_count; k++)
        if (k != variable && node->inputs[k] != XNOR_NO_VALUE &&
            !xnor_constant_along(graph, node->inputs[k], x->rank, x->rank - 1))
            return false;
    return true;
}

// Expand to a shape of ones changes nothing.
static bool expands_to_ones(const xnor_graph *graph, const xnor_node *node) {
    if (node->op != XNOR_OP_EXPAND || !xnor_is_constant(graph, node->inputs[1])) return false;
    size_t rank = xnor_constant_count(graph, node->inputs[1]);
    for (size_t i = 0; i < rank; i++)
        if (xnor_constant_get(graph, node->inputs[1], i) != 1) return false;
    return rank <= graph->values[node->inputs[0]].shape.rank;
}

// A Slice that takes whole axes: points[..., :3] of three coordinates.
static bool slices_nothing(const xnor_graph *graph, const xnor_node *node) {
    const xnor_shape *x = &graph->values[node->inputs[0]].shape;
    int64_t given[4][XNOR_MAX_RANK]; // starts, ends, axes, steps
    uint32_t counts[4] = {0};
    if (node->op != XNOR_OP_SLICE || node->input_count < 4) return false;
    for (uint32_t k = 1; k < node->input_count; k++)
        if (!xnor_is_constant(graph, node->inputs[k]) ||
            !xnor_known_ints(&graph->values[node->inputs[k]], given[k - 1], XNOR_MAX_RANK,
                             &counts[k - 1]))
            return false;
    for (uint32_t i = 0; i < counts[2]; i++) {
        int64_t axis = given[2][i] < 0 ? given[2][i] + x->rank : given[2][i];
        if (axis < 0 || axis >= (int64_t)x->rank || i >= counts[0] || i >= counts[1]) return false;
        bool whole = x->dims[axis] >= 0 && given[0][i] == 0 && given[1][i] >= x->dims[axis];
        if (!whole || (counts[3] > i && given[3][i] != 1)) return false;
    }
    return true;
}

xnor_status xnor_drop_noop(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node *node = &graph->nodes[index];
    xnor_value_id x = node->input_count ? node->inputs[0] : XNOR_NO_VALUE;
    if (x == XNOR_NO_VALUE) return XNOR_OK;
    const xnor_value *in = &graph->values[x], *out = &graph->values[node->outputs[0]];
    bool noop = node->op == XNOR_OP_IDENTITY ||
                (node->op == XNOR_OP_CAST && in->dtype == out->dtype) ||
                expands_to_ones(graph, node) || slices_nothing(graph, node) ||
                ((xnor_op_lookup(node->op)->flags & XNOR_VIEW || node->op == XNOR_OP_EXPAND) &&
                 xnor_shape_known(&in->shape) && xnor_shape_equal(&in->shape, &out->shape));
    if (!noop) return XNOR_OK;
    if (node->op == XNOR_OP_IDENTITY && xnor_graph_is_output(graph, node->outputs[0])) {
        uint32_t producer = xnor_graph_producer(graph, x);
        if (producer == UINT32_MAX || xnor_graph_is_output(graph, x)) return XNOR_OK;
    }
    *changed = true;
    return xnor_bypass(graph, index, x);
}

static bool attrs_equal(const xnor_node *a, const xnor_node *b) {
    if (a->attr_count != b->attr_count) return false;
    return a->attr_count == 0 || memcmp(a->attrs, b->attrs, a->attr_count * sizeof *a->attrs) == 0;
}

// A node equal to an earlier one is replaced by it.
xnor_status xnor_drop_duplicate(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node *node = &graph->nodes[index];
    if (node->output_count != 1 || xnor_graph_is_output(graph, node->outputs[0])) return XNOR_OK;
    for (uint32_t i = 0; i < index; i++) {
        const xnor_node *other = &graph->nodes[i];
        if (other->op != node->op || other->input_count != node->input_count ||
            other->output_count != 1 || !attrs_equal(node, other) ||
            memcmp(other->inputs, node->inputs, node->input_count * sizeof *node->inputs) != 0)
            continue;
        *changed = true;
        xnor_graph_replace(graph, node->outputs[0], other->outputs[0]);
        xnor_graph_remove_node(&graph->nodes[index]);
        return XNOR_OK;
    }
    return XNOR_OK;
}

static xnor_status narrow(xnor_graph *graph, xnor_value *value) {
    size_t bytes = 0;
    const xnor_tensor from = {value->dtype, value->shape, value->data};
    XNOR_TRY(xnor_tensor_bytes(XNOR_F32, &value->shape, &bytes));
    float *data = xnor_arena_alloc(&graph->arena, bytes ? bytes : 1);
    if (!data) return xnor_fail(XNOR_E_MEMORY, "rewrite: out of memory");
    size_t count = xnor_tensor_count(&from);
    for (size_t i = 0; i < count; i++) data[i] = (float)((const double *)from.data)[i];
    value->data = data;
    value->dtype = XNOR_F32;
    return XNOR_OK;
}

xnor_status xnor_narrow_constants(xnor_graph *graph) {
    for (uint32_t i = 0; i < graph->value_count; i++)
        if (graph->values[i].data && graph->values[i].dtype == XNOR_F64)
            XNOR_TRY(narrow(graph, &graph->values[i]));
    return XNOR_OK;
}
