// Lowering of the operators on point sets.
#include "exec/lower.h"
#include "exec/steps_knn.h"
#include "passes/rewrite.h"

// x and, if given, queries as groups of float32 points in three dimensions.
static bool is_direct(const lowering *l, const xnor_node *node) {
    for (uint32_t i = 0; i < node->input_count; i++) {
        const xnor_value *value = value_of(l, node->inputs[i]);
        if (value->dtype != XNOR_F32 || last_of(l, node->inputs[i]) != 3) return false;
    }
    return true;
}

// Memory for the coordinates as columns, and `more` floats for each point.
static xnor_status add_columns(lowering *l, xnor_step *step, size_t more) {
    xnor_shape scratch = {1, {(int64_t)(step->groups * step->rows * (3 + more))}};
    return xnor_graph_add_value(l->graph, step->node->name, XNOR_F32, &scratch, &step->scratch);
}

static void set_points(lowering *l, xnor_step *step) {
    step->rows = points_of(l, step->x);
    step->groups = rows_of(l, step->x) / step->rows;
    step->k = last_of(l, step->y);
}

xnor_status xnor_lower_sampling(lowering *l, uint32_t index) {
    const xnor_node *node = &l->graph->nodes[index];
    bool direct = is_direct(l, node);
    xnor_step *step = xnor_add_step(l, direct ? xnor_step_sampling : xnor_step_reference, node);
    if (!direct) return XNOR_OK;
    set_points(l, step);
    return add_columns(l, step, 1);
}

xnor_status xnor_lower_ball_query(lowering *l, uint32_t index) {
    const xnor_node *node = &l->graph->nodes[index];
    bool direct = is_direct(l, node);
    xnor_step *step = xnor_add_step(l, direct ? xnor_step_ball_query : xnor_step_reference, node);
    if (!direct) return XNOR_OK;
    set_points(l, step);
    step->w = node->inputs[1];
    step->n = points_of(l, step->w);
    float radius = (float)xnor_node_float(node, XNOR_ATTR_RADIUS, 0);
    step->low = radius * radius;
    return add_columns(l, step, 0);
}

xnor_status xnor_lower_nearest(lowering *l, uint32_t index) {
    const xnor_node *node = &l->graph->nodes[index];
    bool direct = value_of(l, node->inputs[0])->dtype == XNOR_F32 &&
                  value_of(l, node->inputs[1])->dtype == XNOR_F32;
    xnor_step *step = xnor_add_step(l, direct ? xnor_step_knn : xnor_step_reference, node);
    if (!direct) return XNOR_OK;
    set_points(l, step);
    step->w = node->inputs[1];
    step->n = last_of(l, step->x);
    xnor_shape scratch = {1, {0}};
    size_t floats = 0;
    if (!xnor_knn_scratch(step, &floats) || floats > INT64_MAX / 8)
        return xnor_fail(XNOR_E_LIMIT, "node '%s': its working memory is too large", node->name);
    scratch.dims[0] = (int64_t)floats;
    return xnor_graph_add_value(l->graph, node->name, XNOR_F32, &scratch, &step->scratch);
}

// Signs of up to three differences take 27 values: what they add is looked up.
enum { MAX_DIFFERENCES = 3 };

typedef struct edge_sum {
    const xnor_node *rows, *layer; // the operands
    uint32_t threshold;
} edge_sum;

static const xnor_node *operand_of(const lowering *l, uint32_t add, uint32_t k) {
    xnor_value_id id = l->graph->nodes[add].inputs[k];
    uint32_t producer = xnor_graph_producer(l->graph, id);
    return producer != UINT32_MAX && only_user(l, id) == add ? &l->graph->nodes[producer] : NULL;
}

static bool is_gathered(const lowering *l, const xnor_node *node) {
    return node && node->op == XNOR_OP_GATHER_ROWS &&
           value_of(l, node->inputs[0])->dtype == XNOR_ACC;
}

static bool is_of_differences(const lowering *l, const xnor_node *node) {
    return node && node->op == XNOR_OP_XNOR_LINEAR &&
           value_of(l, node->inputs[0])->dtype == XNOR_TERNARY &&
           last_of(l, node->inputs[0]) <= MAX_DIFFERENCES && is_model_constant(l, node->inputs[1]);
}

static bool find_edge_sum(const lowering *l, uint32_t add, edge_sum *out) {
    const xnor_node *node = &l->graph->nodes[add];
    if (node->op != XNOR_OP_XNOR_ADD || !xnor_shape_equal(&value_of(l, node->inputs[0])->shape,
                                                          &value_of(l, node->inputs[1])->shape))
        return false;
    out->threshold = only_user(l, node->outputs[0]);
    while (out->threshold != UINT32_MAX &&
           xnor_keeps_channels(l->graph, &l->graph->nodes[out->threshold]))
        out->threshold = only_user(l, l->graph->nodes[out->threshold].outputs[0]);
    if (out->threshold == UINT32_MAX || !is_bits_threshold(&l->graph->nodes[out->threshold]) ||
        !is_model_constant(l, l->graph->nodes[out->threshold].inputs[1]))
        return false;
    for (uint32_t k = 0; k < 2; k++) {
        out->rows = operand_of(l, add, k);
        out->layer = operand_of(l, add, 1 - k);
        if (is_gathered(l, out->rows) && is_of_differences(l, out->layer)) return true;
    }
    return false;
}

bool xnor_lower_in_edge_sum(const lowering *l, uint32_t operand) {
    uint32_t user = only_user(l, l->graph->nodes[operand].outputs[0]);
    edge_sum found;
    return user != UINT32_MAX && find_edge_sum(l, user, &found);
}

bool xnor_lower_edge_sum(lowering *l, uint32_t add, xnor_status *status) {
    edge_sum found;
    if (!find_edge_sum(l, add, &found)) return false;
    const xnor_node *threshold = &l->graph->nodes[found.threshold];
    xnor_step *step = xnor_add_step(l, xnor_step_edge_thr, found.rows);
    size_t picks = rows_of(l, found.rows->outputs[0]);
    step->w = found.rows->inputs[1];
    step->v = found.layer->inputs[0];
    step->y = threshold->outputs[0];
    step->rows = points_of(l, step->x);
    step->groups = rows_of(l, step->x) / step->rows;
    step->k = picks / step->groups;
    step->n = last_of(l, step->x);
    step->parameters[0] = value_of(l, threshold->inputs[1])->data;
    step->parameters[1] = value_of(l, found.layer->inputs[1])->data;
    l->done[found.threshold] = 1;
    const xnor_shape table = {1, {(int64_t)(XNOR_EDGE_CODES * step->n)}};
    *status = xnor_graph_add_value(l->graph, threshold->name, XNOR_I32, &table, &step->scratch);
    return true;
}

// x_j - c: the gathered rows that a difference with one row for each group of picks takes over.
static const xnor_node *gathered_of_difference(const lowering *l, uint32_t difference) {
    const xnor_node *node = &l->graph->nodes[difference];
    if (node->op != XNOR_OP_SUB) return NULL;
    const xnor_node *rows = operand_of(l, difference, 0);
    if (!rows || rows->op != XNOR_OP_GATHER_ROWS ||
        value_of(l, node->inputs[0])->dtype != XNOR_F32 ||
        value_of(l, node->inputs[1])->dtype != XNOR_F32 ||
        value_of(l, node->inputs[0])->shape.rank <= value_of(l, rows->inputs[0])->shape.rank ||
        !xnor_adds_per_group(l->graph, node))
        return NULL;
    return rows;
}

bool xnor_lower_difference(lowering *l, uint32_t difference, xnor_status *status) {
    const xnor_node *node = &l->graph->nodes[difference];
    const xnor_node *rows = gathered_of_difference(l, difference);
    if (!rows) return false;
    xnor_step *step = xnor_add_step(l, xnor_step_gather_differences, rows);
    step->w = rows->inputs[1];
    step->v = node->inputs[1];
    step->y = node->outputs[0];
    step->rows = points_of(l, step->x);
    step->groups = rows_of(l, step->x) / step->rows;
    step->k = rows_of(l, step->y) / step->groups;
    step->n = last_of(l, step->x);
    *status = XNOR_OK;
    return true;
}

xnor_status xnor_lower_gather_rows(lowering *l, uint32_t index) {
    const xnor_node *node = &l->graph->nodes[index];
    uint32_t user = only_user(l, node->outputs[0]);
    if (xnor_lower_in_edge_sum(l, index)) return XNOR_OK;
    if (user != UINT32_MAX && gathered_of_difference(l, user) == node) return XNOR_OK;
    const xnor_value *x = value_of(l, node->inputs[0]);
    xnor_step *step = xnor_add_step(l, xnor_step_gather_rows, node);
    size_t bytes = 0, picks = 0;
    XNOR_TRY(xnor_tensor_bytes(x->dtype, &x->shape, &bytes));
    XNOR_TRY(xnor_shape_count(&value_of(l, node->inputs[1])->shape, &picks));
    step->w = node->inputs[1];
    step->rows = points_of(l, step->x);
    if (bytes == 0 || picks == 0) {
        step->run = xnor_step_reference;
        return XNOR_OK;
    }
    step->groups = rows_of(l, step->x) / step->rows;
    step->k = picks / step->groups;
    step->n = bytes / (step->rows * step->groups) / (x->dtype == XNOR_TERNARY ? 2 : 1);
    return XNOR_OK;
}
