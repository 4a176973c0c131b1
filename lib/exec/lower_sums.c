// Binary layers and sums of them, of which only what a tail makes is wanted: the sums stay in a tile.
#include <stdlib.h>

#include "exec/lower.h"
#include "exec/tail.h"

static const xnor_node *layer_of(const lowering *l, xnor_value_id sums, const xnor_shape *shape) {
    const uint32_t producer = xnor_graph_producer(l->graph, sums);
    if (producer == UINT32_MAX || only_user(l, sums) == UINT32_MAX) return NULL;
    const xnor_node *node = &l->graph->nodes[producer];
    if (node->op != XNOR_OP_XNOR_LINEAR || !is_model_constant(l, node->inputs[1]) ||
        l->active[node->inputs[0]] != XNOR_NO_VALUE || xnor_lower_is_conv(l, producer) ||
        !xnor_shape_equal(&value_of(l, sums)->shape, shape))
        return NULL;
    return node;
}

// The layers that ((a + b) + c) + .. adds up; 0 if it adds anything else.
static size_t layers_of(const lowering *l, uint32_t add, const xnor_node *out[XNOR_MAX_PARTS]) {
    const xnor_shape *shape = &value_of(l, l->graph->nodes[add].outputs[0])->shape;
    size_t count = 0;
    for (;;) {
        const xnor_node *node = &l->graph->nodes[add];
        if (count + 2 > XNOR_MAX_PARTS || node->op != XNOR_OP_XNOR_ADD) return 0;
        const xnor_node *right = layer_of(l, node->inputs[1], shape);
        const xnor_node *left = layer_of(l, node->inputs[0], shape);
        if (!right) return 0;
        out[count++] = right;
        if (left) {
            out[count++] = left;
            return count;
        }
        add = xnor_graph_producer(l->graph, node->inputs[0]);
        if (add == UINT32_MAX || only_user(l, node->inputs[0]) == UINT32_MAX) return 0;
    }
}

// The last addition that a layer's sums go through on the way, if it is of layers alone.
static uint32_t sum_of(const lowering *l, uint32_t layer) {
    const xnor_node *parts[XNOR_MAX_PARTS];
    uint32_t add = only_user(l, l->graph->nodes[layer].outputs[0]);
    if (add == UINT32_MAX) return UINT32_MAX;
    for (;;) {
        if (l->graph->nodes[add].op != XNOR_OP_XNOR_ADD) return UINT32_MAX;
        const uint32_t user = only_user(l, l->graph->nodes[add].outputs[0]);
        if (user == UINT32_MAX || l->graph->nodes[user].op != XNOR_OP_XNOR_ADD ||
            !layers_of(l, user, parts))
            break;
        add = user;
    }
    return layers_of(l, add, parts) ? add : UINT32_MAX;
}

// Whether a tail can stand behind the sums: that depends on what is there when they are made.
static bool has_tail(const lowering *l, uint32_t add) {
    return xnor_lower_covers_sums(l, l->graph->nodes[add].outputs[0], add);
}

bool xnor_lower_in_sum(const lowering *l, uint32_t layer) {
    const uint32_t add = sum_of(l, layer);
    return add != UINT32_MAX && has_tail(l, add);
}

static xnor_status add_part(lowering *l, xnor_step *step, const xnor_node *layer) {
    xnor_layer_part *part = &step->parts[step->part_count++];
    part->x = layer->inputs[0];
    part->k = last_of(l, part->x);
    part->height = part->out_height = part->stride[0] = part->stride[1] = 1;
    part->width = part->out_width = rows_of(l, part->x);
    return xnor_model_pack_gemm(l->plan->model, layer->inputs[1], XNOR_NO_VALUE, &part->packed);
}

static xnor_status make_step(lowering *l, xnor_step *step, uint32_t index,
                             const xnor_node *const *parts, size_t count) {
    XNOR_TRY(xnor_lower_tail(l, step, index));
    if (!step->tail) return XNOR_OK;
    step->run = xnor_step_gemm_tail;
    step->n = step->tail->n;
    step->layer_count = 1;
    step->parts = calloc(count, sizeof *step->parts);
    if (!step->parts) return xnor_fail(XNOR_E_MEMORY, "plan: out of memory");
    for (size_t i = 0; i < count; i++) XNOR_TRY(add_part(l, step, parts[i]));
    return XNOR_OK;
}

xnor_status xnor_lower_layer_tail(lowering *l, xnor_step *step, uint32_t layer) {
    const xnor_node *node = &l->graph->nodes[layer];
    return make_step(l, step, layer, &node, 1);
}

xnor_status xnor_lower_sum_of_layers(lowering *l, uint32_t add, bool *done) {
    const xnor_node *parts[XNOR_MAX_PARTS];
    const size_t count = layers_of(l, add, parts);
    *done = false;
    if (!count) return XNOR_OK;
    // Inner additions belong to the last one.
    const uint32_t layer = xnor_graph_producer(l->graph, parts[0]->outputs[0]);
    const uint32_t last = sum_of(l, layer);
    if (last == UINT32_MAX || !has_tail(l, last)) return XNOR_OK;
    *done = true;
    if (last != add) return XNOR_OK;
    xnor_step *step = xnor_add_step(l, xnor_step_gemm_tail, &l->graph->nodes[add]);
    step->x = XNOR_NO_VALUE;
    XNOR_TRY(make_step(l, step, add, parts, count));
    return step->tail ? XNOR_OK : xnor_fail(XNOR_E_INTERNAL, "plan: a sum of layers has no tail");
}
