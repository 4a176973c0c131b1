#include "exec/lower.h"
#include "exec/steps_conv2d.h"
#include "ops/conv.h"

xnor_status xnor_lower_conv2d(lowering *l, uint32_t index) {
    const xnor_node *node = &l->graph->nodes[index];
    const xnor_value *x = value_of(l, node->inputs[0]), *w = value_of(l, node->inputs[1]);
    bool bias = node->input_count > 2 && node->inputs[2] != XNOR_NO_VALUE;
    xnor_conv conv;
    XNOR_TRY(xnor_conv_read(node, &x->shape, &w->shape, &conv));
    int64_t window = 0;
    bool direct = x->dtype == XNOR_F32 && value_of(l, node->outputs[0])->dtype == XNOR_F32 &&
                  is_float_constant(l, node->inputs[1]) && is_model_constant(l, node->inputs[1]) &&
                  (!bias || is_float_constant(l, node->inputs[2])) &&
                  !__builtin_mul_overflow(conv.window.kernel[0] * conv.window.kernel[1],
                                          w->shape.dims[3], &window) &&
                  window > 0 && window <= XNOR_CONV2D_BLOCK;
    xnor_step *step = xnor_add_step(l, direct ? xnor_step_conv2d : xnor_step_reference, node);
    if (!direct) return XNOR_OK;
    // A channel for each group on both sides.
    if (conv.group > 1 && w->shape.dims[3] == 1 && conv.outputs == conv.group &&
        window <= XNOR_DEPTHWISE_TAPS)
        step->run = xnor_step_depthwise;
    const xnor_shape *y = &value_of(l, step->y)->shape;
    const float *packed;
    step->rows = (size_t)(y->dims[0] * y->dims[1]); // of pixels
    step->k = (size_t)window;
    step->n = (size_t)(y->dims[3] / conv.group);
    step->groups = (size_t)conv.group;
    XNOR_TRY(xnor_model_pack_linear(l->plan->model, node->inputs[1], &packed));
    step->packed = packed;
    if (bias) step->parameters[0] = value_of(l, node->inputs[2])->data;
    return xnor_lower_tail(l, step, index);
}
