// Binary convolutions: xnor_patches and the integer layer behind it become one step, together with what
// makes signs or reals of the sums. The windows are never stored.
#include "core/size.h"
#include "exec/lower.h"
#include "exec/steps_conv.h"
#include "ops/patches.h"

static const xnor_node *patches_of(const lowering *l, const xnor_node *layer) {
    uint32_t producer = xnor_graph_producer(l->graph, layer->inputs[0]);
    if (producer == UINT32_MAX || l->graph->nodes[producer].op != XNOR_OP_PATCHES) return NULL;
    return &l->graph->nodes[producer];
}

bool xnor_lower_is_conv(const lowering *l, uint32_t layer) {
    const xnor_node *node = &l->graph->nodes[layer];
    if (node->op != XNOR_OP_XNOR_LINEAR && node->op != XNOR_OP_GROUPED) return false;
    const xnor_node *patches = patches_of(l, node);
    if (!patches || !is_model_constant(l, node->inputs[1])) return false;
    // xnor_grouped takes one group only of windows that have an axis for it.
    const xnor_shape *x = &value_of(l, node->inputs[0])->shape;
    if (x->rank != (node->op == XNOR_OP_GROUPED ? 5U : 4U)) return false;
    return xnor_words(last_of(l, node->inputs[0])) <= CONV_ROW_WORDS &&
           last_of(l, node->outputs[0]) <= CONV_SUMS;
}

// A layer that its step does not unfold for needs the windows themselves.
xnor_status xnor_lower_patches(lowering *l, uint32_t index) {
    const xnor_node *node = &l->graph->nodes[index];
    bool stored = false;
    for (uint32_t i = index + 1; i < l->graph->node_count; i++)
        for (uint32_t k = 0; k < l->graph->nodes[i].input_count; k++)
            if (l->graph->nodes[i].inputs[k] == node->outputs[0])
                stored = stored || !xnor_lower_is_conv(l, i);
    if (stored || xnor_graph_is_output(l->graph, node->outputs[0]))
        xnor_add_step(l, xnor_step_reference, node);
    return XNOR_OK;
}

// Takes over what alone uses the sums, if the step can do it tile by tile.
static void take_user(lowering *l, xnor_step *step, xnor_value_id *thresholds) {
    uint32_t index = only_user(l, step->y);
    if (index == UINT32_MAX) return;
    const xnor_node *user = &l->graph->nodes[index];
    if (user->inputs[0] != step->y) return;
    for (uint32_t k = 1; k < user->input_count; k++)
        if (!value_of(l, user->inputs[k])->data) return;
    if (is_bits_threshold(user) && is_model_constant(l, user->inputs[1])) {
        step->run = xnor_step_conv_thr;
        *thresholds = user->inputs[1];
    } else if (user->op == XNOR_OP_THRESHOLD && user->input_count > 2) {
        step->run = xnor_step_conv_thr_ternary;
    } else if (user->op == XNOR_OP_TABLE) {
        step->run = xnor_step_conv_table;
        step->offset = (size_t)value_of(l, user->inputs[1])->shape.dims[1];
    } else {
        return;
    }
    for (uint32_t k = 1; k < user->input_count && k < 3; k++)
        step->parameters[k - 1] = value_of(l, user->inputs[k])->data;
    step->y = user->outputs[0];
    l->done[index] = 1;
}

xnor_status xnor_lower_conv(lowering *l, uint32_t layer) {
    const xnor_node *node = &l->graph->nodes[layer];
    const xnor_shape *w = &value_of(l, node->inputs[1])->shape;
    bool grouped = node->op == XNOR_OP_GROUPED;
    xnor_value_id thresholds = XNOR_NO_VALUE;
    xnor_step *step = xnor_add_step(l, xnor_step_conv_acc, node);
    step->patches = patches_of(l, node);
    step->x = step->patches->inputs[0];
    step->groups = grouped ? (size_t)w->dims[0] : 1;
    step->n = (size_t)w->dims[w->rank - 2];
    step->k = (size_t)w->dims[w->rank - 1];
    step->rows = rows_of(l, node->outputs[0]);
    take_user(l, step, &thresholds);
    if (step->run == xnor_step_conv_acc) XNOR_TRY(xnor_lower_tail(l, step, layer));
    if (step->tail) {
        step->run = xnor_step_conv_tail;
        step->layer_count = 1;
    }
    if (grouped) return xnor_model_pack_groups(l->plan->model, node->inputs[1], &step->packed);
    return xnor_model_pack_gemm(l->plan->model, node->inputs[1], thresholds, &step->packed);
}
