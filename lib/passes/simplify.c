#include "passes/simplify.h"

#include <math.h>

#include "core/tensor.h"

static const xnor_node *producer_of(const xnor_graph *graph, xnor_value_id id) {
    uint32_t index = id == XNOR_NO_VALUE ? UINT32_MAX : xnor_graph_producer(graph, id);
    return index == UINT32_MAX ? NULL : &graph->nodes[index];
}

static bool same_shape(const xnor_graph *graph, xnor_value_id a, xnor_value_id b) {
    return xnor_shape_equal(&graph->values[a].shape, &graph->values[b].shape);
}

// The one number that a constant consists of.
static bool uniform(const xnor_graph *graph, xnor_value_id id, double *value) {
    if (!xnor_is_constant(graph, id) || xnor_constant_count(graph, id) == 0) return false;
    *value = xnor_constant_get(graph, id, 0);
    for (size_t i = 1; i < xnor_constant_count(graph, id); i++)
        if (xnor_constant_get(graph, id, i) != *value) return false;
    return true;
}

static xnor_status add_scalar(xnor_graph *graph, const char *name, double value,
                              xnor_value_id *out) {
    const xnor_shape shape = {0};
    void *data;
    XNOR_TRY(xnor_graph_add_constant(graph, name, XNOR_F32, &shape, out, &data));
    *(float *)data = (float)value;
    return XNOR_OK;
}

// ---- sums ---------------------------------------------------------------------------------------

enum { MAX_TERMS = 16 };

typedef struct term {
    xnor_value_id value;
    double factor;
} term;

typedef struct sum {
    term terms[MAX_TERMS];
    uint32_t count;
    bool cancels;
} sum;

// Operands of sums and differences, and of products by a number, of the result's shape.
static bool is_part(const xnor_graph *graph, const xnor_node *node, xnor_value_id result,
                    double *factor, uint32_t *operand) {
    if (!node || !same_shape(graph, node->outputs[0], result)) return false;
    *factor = 1;
    *operand = 0;
    switch (node->op) {
    case XNOR_OP_ADD:
    case XNOR_OP_SUB:
        *operand = 2; // both
        return true;
    case XNOR_OP_NEG:
        *factor = -1;
        return true;
    case XNOR_OP_MUL:
        for (*operand = 0; *operand < 2; (*operand)++)
            if (uniform(graph, node->inputs[1 - *operand], factor)) return true;
        return false;
    default:
        return false;
    }
}

static bool add_term(sum *s, xnor_value_id value, double factor) {
    for (uint32_t i = 0; i < s->count; i++)
        if (s->terms[i].value == value) {
            s->terms[i].factor += factor;
            s->cancels = s->cancels || s->terms[i].factor == 0;
            return true;
        }
    if (s->count == MAX_TERMS) return false;
    s->terms[s->count++] = (term){value, factor};
    return true;
}

static bool collect(const xnor_graph *graph, const xnor_node *node, sum *s) {
    term open[MAX_TERMS] = {{node->outputs[0], 1}};
    uint32_t count = 1;
    *s = (sum){.count = 0};
    while (count) {
        const term t = open[--count];
        const xnor_node *part = producer_of(graph, t.value);
        double factor;
        uint32_t operand;
        if (!is_part(graph, part, node->outputs[0], &factor, &operand)) {
            if (!add_term(s, t.value, t.factor)) return false;
            continue;
        }
        if (count + 2 > MAX_TERMS) return false;
        if (operand < 2) {
            open[count++] = (term){part->inputs[operand], t.factor * factor};
            continue;
        }
        double second = part->op == XNOR_OP_SUB ? -t.factor : t.factor;
        open[count++] = (term){part->inputs[1], second};
        open[count++] = (term){part->inputs[0], t.factor};
    }
    return s->cancels;
}

// factor·value in the sum's shape, or the number alone for a constant.
static xnor_status emit_term(xnor_graph *graph, uint32_t *at, const char *name, const term *t,
                             xnor_value_id *out) {
    *out = t->value;
    if (t->factor == 1) return XNOR_OK;
    xnor_value_id inputs[2] = {t->value};
    *out = XNOR_NO_VALUE;
    XNOR_TRY(add_scalar(graph, name, t->factor, &inputs[1]));
    return xnor_emit(graph, at, XNOR_OP_MUL, name, inputs, 2, out);
}

xnor_status xnor_simplify_sum(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index];
    sum s;
    if ((node.op != XNOR_OP_ADD && node.op != XNOR_OP_SUB) ||
        graph->values[node.outputs[0]].dtype != XNOR_F32 || !collect(graph, &node, &s))
        return XNOR_OK;
    // What is left; a term of the whole shape first, so that the others broadcast to it.
    term left[MAX_TERMS];
    uint32_t count = 0;
    bool whole = false;
    for (uint32_t i = 0; i < s.count; i++) {
        if (s.terms[i].factor == 0) continue;
        left[count++] = s.terms[i];
        if (whole || !same_shape(graph, s.terms[i].value, node.outputs[0])) continue;
        whole = true;
        left[count - 1] = left[0];
        left[0] = s.terms[i];
    }
    if (!whole) return XNOR_OK;
    *changed = true;
    if (count == 1 && left[0].factor == 1) return xnor_bypass(graph, index, left[0].value);
    xnor_value_id sum_value = XNOR_NO_VALUE;
    uint32_t at = index;
    for (uint32_t i = 0; i < count; i++) {
        xnor_value_id inputs[2] = {sum_value};
        xnor_value_id result = XNOR_NO_VALUE;
        XNOR_TRY(emit_term(graph, &at, node.name, &left[i], &inputs[1]));
        if (i == 0) {
            sum_value = inputs[1];
            continue;
        }
        XNOR_TRY(xnor_emit(graph, &at, XNOR_OP_ADD, node.name, inputs, 2, &result));
        sum_value = result;
    }
    return xnor_bypass(graph, at, sum_value);
}

// ---- comparisons --------------------------------------------------------------------------------

xnor_status xnor_simplify_comparison(xnor_graph *graph, uint32_t index, bool *changed) {
    static const struct {
        xnor_op op, mirrored;
    } comparisons[] = {
        {XNOR_OP_GREATER, XNOR_OP_LESS},
        {XNOR_OP_LESS, XNOR_OP_GREATER},
        {XNOR_OP_GREATER_OR_EQUAL, XNOR_OP_LESS_OR_EQUAL},
        {XNOR_OP_LESS_OR_EQUAL, XNOR_OP_GREATER_OR_EQUAL},
    };
    xnor_node *node = &graph->nodes[index];
    size_t row = 0;
    while (row < 4 && comparisons[row].op != node->op) row++;
    if (row == 4 || xnor_only_variable(graph, node) > 1) return XNOR_OK;
    if (xnor_is_constant(graph, node->inputs[0])) {
        xnor_value_id constant = node->inputs[0];
        node->inputs[0] = node->inputs[1];
        node->inputs[1] = constant;
        node->op = comparisons[row].mirrored;
        *changed = true;
        return XNOR_OK;
    }
    const xnor_node compare = *node;
    double value;
    if (graph->values[compare.inputs[0]].dtype != XNOR_F32 ||
        !same_shape(graph, compare.inputs[0], compare.outputs[0]))
        return XNOR_OK;
    if (uniform(graph, compare.inputs[1], &value) && value == 0 &&
        xnor_constant_count(graph, compare.inputs[1]) == 1)
        return XNOR_OK;
    for (size_t i = 0; i < xnor_constant_count(graph, compare.inputs[1]); i++)
        if (!isfinite(xnor_constant_get(graph, compare.inputs[1], i))) return XNOR_OK;
    // The sign of a difference is exact in floats.
    xnor_value_id inputs[2] = {XNOR_NO_VALUE}, out = compare.outputs[0];
    xnor_graph_remove_node(&graph->nodes[index]);
    XNOR_TRY(xnor_emit(graph, &index, XNOR_OP_SUB, compare.name, compare.inputs, 2, &inputs[0]));
    XNOR_TRY(add_scalar(graph, compare.name, 0, &inputs[1]));
    *changed = true;
    return xnor_emit(graph, &index, compare.op, compare.name, inputs, 2, &out);
}

// ---- one value in some shape --------------------------------------------------------------------

static const xnor_node *constant_of_shape(const xnor_graph *graph, xnor_value_id id) {
    const xnor_node *node = producer_of(graph, id);
    return node && node->op == XNOR_OP_CONSTANT_OF_SHAPE ? node : NULL;
}

static bool is_elementwise(const xnor_node *node) {
    const xnor_op_info *info = xnor_op_lookup(node->op);
    return info->flags & XNOR_ELEMENTWISE && !(info->flags & XNOR_VIEW) && node->output_count == 1;
}

xnor_status xnor_simplify_uniform(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node node = graph->nodes[index];
    if (!is_elementwise(&node) || node.op == XNOR_OP_IDENTITY) return XNOR_OK;
    const xnor_value result = graph->values[node.outputs[0]];
    xnor_value_id shape = XNOR_NO_VALUE;
    double operands[XNOR_MAX_INPUTS], value = 0;
    xnor_tensor in[XNOR_MAX_INPUTS] = {{0}}, out = {XNOR_F64, {0}, &value};
    for (uint32_t k = 0; k < node.input_count; k++) {
        if (node.inputs[k] == XNOR_NO_VALUE) continue;
        const xnor_node *filled = constant_of_shape(graph, node.inputs[k]);
        if (filled && (shape == XNOR_NO_VALUE || shape == filled->inputs[0])) {
            shape = filled->inputs[0];
            operands[k] =
                filled->input_count > 1 ? xnor_constant_get(graph, filled->inputs[1], 0) : 0;
        } else if (filled || !uniform(graph, node.inputs[k], &operands[k]) ||
                   xnor_constant_count(graph, node.inputs[k]) != 1) {
            return XNOR_OK;
        }
        in[k] = (xnor_tensor){XNOR_F64, {0}, &operands[k]};
    }
    if (shape == XNOR_NO_VALUE || result.dtype != XNOR_F32) return XNOR_OK;
    XNOR_TRY(xnor_op_lookup(node.op)->eval(&node, in, &out));
    xnor_value_id inputs[2] = {shape}, made = node.outputs[0];
    const xnor_shape one = {1, {1}};
    void *data;
    XNOR_TRY(xnor_graph_add_constant(graph, node.name, XNOR_F32, &one, &inputs[1], &data));
    *(float *)data = (float)value;
    xnor_graph_remove_node(&graph->nodes[index]);
    *changed = true;
    return xnor_emit(graph, &index, XNOR_OP_CONSTANT_OF_SHAPE, node.name, inputs, 2, &made);
}

// The value that `id` has the shape of, whatever is unknown: back through functions of one variable.
static xnor_value_id origin(const xnor_graph *graph, xnor_value_id id) {
    for (;;) {
        const xnor_node *node = producer_of(graph, id);
        if (!node || !is_elementwise(node)) return id;
        uint32_t variable = xnor_only_variable(graph, node);
        if (variable == UINT32_MAX || !same_shape(graph, node->inputs[variable], id)) return id;
        id = node->inputs[variable];
    }
}

static bool has_shape_of(const xnor_graph *graph, xnor_value_id shape, xnor_value_id other) {
    const xnor_node *node = producer_of(graph, shape);
    return node && node->op == XNOR_OP_SHAPE &&
           origin(graph, node->inputs[0]) == origin(graph, other);
}

xnor_status xnor_simplify_like(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node *node = &graph->nodes[index];
    if (!is_elementwise(node) || node->input_count < 2) return XNOR_OK;
    for (uint32_t k = 0; k < node->input_count; k++) {
        const xnor_node *filled =
            node->inputs[k] == XNOR_NO_VALUE ? NULL : constant_of_shape(graph, node->inputs[k]);
        if (!filled || graph->values[node->inputs[k]].dtype != XNOR_F32) continue;
        bool like = false;
        for (uint32_t j = 0; j < node->input_count; j++)
            like = like || (j != k && node->inputs[j] != XNOR_NO_VALUE &&
                            !xnor_is_constant(graph, node->inputs[j]) &&
                            !constant_of_shape(graph, node->inputs[j]) &&
                            has_shape_of(graph, filled->inputs[0], node->inputs[j]));
        if (!like) continue;
        double value = filled->input_count > 1 ? xnor_constant_get(graph, filled->inputs[1], 0) : 0;
        xnor_value_id scalar;
        XNOR_TRY(add_scalar(graph, node->name, value, &scalar));
        graph->nodes[index].inputs[k] = scalar;
        *changed = true;
        return XNOR_OK;
    }
    return XNOR_OK;
}

// ---- operands that broadcast anyway -------------------------------------------------------------

xnor_status xnor_simplify_expand(xnor_graph *graph, uint32_t index, bool *changed) {
    const xnor_node *node = &graph->nodes[index];
    if (!is_elementwise(node)) return XNOR_OK;
    const xnor_shape *y = &graph->values[node->outputs[0]].shape;
    for (uint32_t k = 0; k < node->input_count; k++) {
        const xnor_node *expand =
            node->inputs[k] == XNOR_NO_VALUE ? NULL : producer_of(graph, node->inputs[k]);
        if (!expand || expand->op != XNOR_OP_EXPAND ||
            graph->values[expand->inputs[0]].shape.rank > y->rank)
            continue;
        const xnor_shape *wide = &graph->values[node->inputs[k]].shape;
        for (uint32_t j = 0; j < node->input_count; j++) {
            if (j == k || node->inputs[j] == XNOR_NO_VALUE || node->inputs[j] == node->inputs[k])
                continue;
            bool same = xnor_shape_known(wide) &&
                        xnor_shape_equal(wide, &graph->values[node->inputs[j]].shape);
            if (!same && !has_shape_of(graph, expand->inputs[1], node->inputs[j])) continue;
            node->inputs[k] = expand->inputs[0];
            *changed = true;
            return XNOR_OK;
        }
    }
    return XNOR_OK;
}
