#include <string.h>

#include "exec/lower.h"
#include "exec/steps_conv2d.h"
#include "exec/tail.h"
#include "exec/winograd.h"
#include "ops/conv.h"

// Whether a step evaluates the convolution; others are evaluated by reference.
static bool is_direct(const lowering *l, const xnor_node *node, const xnor_conv *conv,
                      int64_t *window) {
    const xnor_value *x = value_of(l, node->inputs[0]), *w = value_of(l, node->inputs[1]);
    const bool bias = node->input_count > 2 && node->inputs[2] != XNOR_NO_VALUE;
    return x->dtype == XNOR_F32 && value_of(l, node->outputs[0])->dtype == XNOR_F32 &&
           is_float_constant(l, node->inputs[1]) && is_model_constant(l, node->inputs[1]) &&
           (!bias || is_float_constant(l, node->inputs[2])) &&
           !__builtin_mul_overflow(conv->window.kernel[0] * conv->window.kernel[1],
                                   w->shape.dims[3], window) &&
           *window > 0 && *window <= XNOR_CONV2D_BLOCK;
}

static bool takes_planes(const lowering *l, const xnor_node *node) {
    const xnor_shape *x = &value_of(l, node->inputs[0])->shape;
    const xnor_shape *w = &value_of(l, node->inputs[1])->shape;
    xnor_conv conv;
    winograd_sizes sizes;
    int64_t window;
    return node->op == XNOR_OP_CONV2D && xnor_conv_read(node, x, w, &conv) == XNOR_OK &&
           is_direct(l, node, &conv, &window) &&
           winograd_sizes_of(&conv, x, &value_of(l, node->outputs[0])->shape, true, &sizes);
}

bool xnor_lower_reads_planes(const lowering *l, uint32_t transpose) {
    static const int64_t to_channels_last[4] = {0, 2, 3, 1};
    const xnor_node *node = &l->graph->nodes[transpose];
    const xnor_value_id y = node->outputs[0];
    const xnor_attr *perm = xnor_node_attr(node, XNOR_ATTR_PERM);
    bool used = false;
    if (node->op != XNOR_OP_TRANSPOSE || value_of(l, node->inputs[0])->shape.rank != 4 || !perm ||
        memcmp(perm->ints, to_channels_last, sizeof to_channels_last) != 0 ||
        xnor_graph_is_output(l->graph, y))
        return false;
    for (uint32_t i = 0; i < l->graph->node_count; i++)
        for (uint32_t k = 0; k < l->graph->nodes[i].input_count; k++) {
            if (l->graph->nodes[i].inputs[k] != y) continue;
            if (k > 0 || !takes_planes(l, &l->graph->nodes[i])) return false;
            used = true;
        }
    return used;
}

// A tail that only stores is none: results are written to where they belong.
static void drop_plain_tail(xnor_step *step) {
    xnor_tail *tail = step->tail;
    if (!tail || tail->count != 1 || tail->ops[0].code != XNOR_POINTWISE_STORE) return;
    step->y = tail->ops[0].y;
    step->tail = NULL;
    xnor_tail_free(tail);
}

static xnor_status lower_winograd(lowering *l, xnor_step *step, uint32_t index,
                                  const winograd_sizes *sizes) {
    const xnor_node *node = &l->graph->nodes[index];
    const float *packed;
    step->run = xnor_step_winograd;
    XNOR_TRY(xnor_model_pack_winograd(l->plan->model, node->inputs[1], sizes->stride, sizes->few,
                                      &packed));
    step->packed = packed;
    XNOR_TRY(xnor_lower_tail(l, step, index));
    drop_plain_tail(step);
    const xnor_shape scratch = {1, {(int64_t)(sizes->slots * sizes->slot)}};
    return xnor_graph_add_value(l->graph, node->name, XNOR_F32, &scratch, &step->scratch);
}

xnor_status xnor_lower_conv2d(lowering *l, uint32_t index) {
    const xnor_node *node = &l->graph->nodes[index];
    const xnor_value *w = value_of(l, node->inputs[1]);
    const xnor_shape *x = &value_of(l, node->inputs[0])->shape;
    const uint32_t producer = xnor_graph_producer(l->graph, node->inputs[0]);
    const bool planes = producer != UINT32_MAX && xnor_lower_reads_planes(l, producer);
    xnor_conv conv;
    winograd_sizes sizes;
    XNOR_TRY(xnor_conv_read(node, x, &w->shape, &conv));
    int64_t window = 0;
    const bool direct = is_direct(l, node, &conv, &window);
    xnor_step *step = xnor_add_step(l, direct ? xnor_step_conv2d : xnor_step_reference, node);
    if (!direct) return XNOR_OK;
    if (node->input_count > 2 && node->inputs[2] != XNOR_NO_VALUE)
        step->parameters[0] = value_of(l, node->inputs[2])->data;
    if (planes) step->x = l->graph->nodes[producer].inputs[0];
    const xnor_shape *y = &value_of(l, step->y)->shape;
    if (winograd_sizes_of(&conv, x, y, planes, &sizes))
        return lower_winograd(l, step, index, &sizes);
    // A channel for each group on both sides.
    if (conv.group > 1 && w->shape.dims[3] == 1 && conv.outputs == conv.group &&
        window <= XNOR_DEPTHWISE_TAPS)
        step->run = xnor_step_depthwise;
    const float *packed;
    step->rows = (size_t)(y->dims[0] * y->dims[1]); // of pixels
    step->k = (size_t)window;
    step->n = (size_t)(y->dims[3] / conv.group);
    step->groups = (size_t)conv.group;
    XNOR_TRY(xnor_model_pack_linear(l->plan->model, node->inputs[1], &packed));
    step->packed = packed;
    XNOR_TRY(xnor_lower_tail(l, step, index));
    drop_plain_tail(step);
    return XNOR_OK;
}
