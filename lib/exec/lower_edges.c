// Lowering of edge features: where only signs are wanted, or one linear layer, they are never stored.
#include "exec/lower.h"
#include "exec/steps_edges.h"

static uint32_t user_behind_views(const lowering *l, xnor_value_id id) {
    uint32_t user = only_user(l, id);
    while (user != UINT32_MAX && is_view(l->graph->nodes[user].op))
        user = only_user(l, l->graph->nodes[user].outputs[0]);
    return user;
}

static xnor_step *add_edges(lowering *l, xnor_step_run run, uint32_t edges, xnor_value_id y) {
    const xnor_node *node = &l->graph->nodes[edges];
    xnor_step *step = xnor_add_step(l, run, node);
    step->w = node->inputs[1];
    step->y = y;
    step->rows = points_of(l, step->x);
    step->groups = rows_of(l, step->x) / step->rows;
    step->k = last_of(l, step->w);
    step->n = last_of(l, step->x);
    return step;
}

xnor_status xnor_lower_edges(lowering *l, uint32_t index) {
    const xnor_node *node = &l->graph->nodes[index];
    uint32_t user = user_behind_views(l, node->outputs[0]);
    xnor_op op = user == UINT32_MAX ? XNOR_OP_IDENTITY : l->graph->nodes[user].op;
    bool differences = xnor_edges_parts(node)->count == 1 && xnor_edges_parts(node)->ints[0] == 1;
    bool signs = op == XNOR_OP_BINARIZE && differences &&
                 xnor_node_float(&l->graph->nodes[user], XNOR_ATTR_ALPHA, 1) == 0;
    bool linear = op == XNOR_OP_LINEAR && last_of(l, node->outputs[0]) <= XNOR_EDGES_MAX_FEATURES &&
                  last_of(l, node->outputs[0]) == last_of(l, l->graph->nodes[user].inputs[0]);
    if (signs || linear)
        l->fused[user] = index;
    else
        add_edges(l, xnor_step_edges, index, node->outputs[0]);
    return XNOR_OK;
}

void xnor_lower_edges_signs(lowering *l, uint32_t edges, uint32_t user) {
    add_edges(l, xnor_step_edges_signs, edges, l->graph->nodes[user].outputs[0]);
}

xnor_step *xnor_lower_edges_linear(lowering *l, uint32_t edges, uint32_t user) {
    return add_edges(l, xnor_step_edges_linear, edges, l->graph->nodes[user].outputs[0]);
}
