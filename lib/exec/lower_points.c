// Lowering of the operators on point sets.
#include "exec/lower.h"
#include "exec/steps_knn.h"

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

xnor_status xnor_lower_gather_rows(lowering *l, uint32_t index) {
    const xnor_node *node = &l->graph->nodes[index];
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
