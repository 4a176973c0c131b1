// Operators on pictures with channels last, [batch, height, width, channels].
#include "exec/lower.h"

xnor_status xnor_lower_resize(lowering *l, uint32_t index) {
    const xnor_node *node = &l->graph->nodes[index];
    const xnor_value *x = value_of(l, node->inputs[0]), *y = value_of(l, node->outputs[0]);
    bool direct = x->dtype == XNOR_F32 && y->dtype == XNOR_F32 && x->shape.rank == 4 &&
                  x->shape.dims[0] == y->shape.dims[0] && x->shape.dims[3] == y->shape.dims[3];
    for (uint32_t i = 2; i < node->input_count; i++)
        direct = direct && (node->inputs[i] == XNOR_NO_VALUE || value_of(l, node->inputs[i])->data);
    xnor_step *step = xnor_add_step(l, direct ? xnor_step_resize : xnor_step_reference, node);
    if (direct) step->rows = (size_t)(y->shape.dims[0] * y->shape.dims[1]);
    return XNOR_OK;
}

xnor_status xnor_lower_pool(lowering *l, uint32_t index) {
    const xnor_node *node = &l->graph->nodes[index];
    const xnor_value *x = value_of(l, node->inputs[0]), *y = value_of(l, node->outputs[0]);
    bool direct = x->dtype == XNOR_F32 && y->dtype == XNOR_F32 && x->shape.rank == 4 &&
                  xnor_node_int(node, XNOR_ATTR_AXIS, 1) == 3;
    xnor_step *step = xnor_add_step(l, direct ? xnor_step_pooling : xnor_step_reference, node);
    if (direct) step->rows = (size_t)(y->shape.dims[0] * y->shape.dims[1]);
    return XNOR_OK;
}
