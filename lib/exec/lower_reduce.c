// Reductions: of neighbouring axes, those in front and those behind make one axis each.
#include "exec/lower.h"
#include "exec/steps_reduce.h"

// The axes of mask as [groups, rows, n]; false if they are not side by side.
static bool set_axes(const lowering *l, xnor_step *step, uint32_t mask) {
    const xnor_shape *x = &value_of(l, step->x)->shape;
    uint32_t first = 0, end;
    while (first < x->rank && !(mask >> first & 1)) first++;
    for (end = first; end < x->rank && mask >> end & 1; end++) {
    }
    if (mask >> end) return false;
    for (uint32_t i = 0; i < x->rank; i++) {
        size_t *into = i < first ? &step->groups : i < end ? &step->rows : &step->n;
        *into *= (size_t)x->dims[i];
    }
    return true;
}

xnor_status xnor_lower_reduce(lowering *l, uint32_t index) {
    const xnor_node *node = &l->graph->nodes[index];
    const xnor_dtype dtype = value_of(l, node->inputs[0])->dtype;
    const xnor_attr *axes = xnor_node_attr(node, XNOR_ATTR_AXES);
    const bool extreme = node->op == XNOR_OP_REDUCE_MAX || node->op == XNOR_OP_REDUCE_MIN;
    uint32_t mask = 0;
    xnor_step *step = xnor_add_step(l, xnor_step_reference, node);
    step->n = 1;
    for (uint32_t i = 0; axes && i < axes->count; i++) {
        if (axes->ints[i] < 0) return XNOR_OK; // not from the compiler
        mask |= 1U << axes->ints[i];
    }
    if (!mask || (dtype != XNOR_F32 && dtype != XNOR_ACC) || !set_axes(l, step, mask))
        return XNOR_OK;
    step->run = extreme ? xnor_step_extreme : xnor_step_reduce;
    if (extreme) {
        step->active = l->active[step->x];
        return XNOR_OK;
    }
    const size_t parts = xnor_reduce_parts(step->groups, step->rows, step->n);
    if (parts == 1) return XNOR_OK;
    const xnor_shape bytes = {1, {(int64_t)(step->groups * parts * step->n * sizeof(double))}};
    return xnor_graph_add_value(l->graph, node->name, XNOR_U8, &bytes, &step->scratch);
}

xnor_status xnor_lower_place(lowering *l, uint32_t index) {
    const xnor_node *node = &l->graph->nodes[index];
    const xnor_value *x = value_of(l, node->inputs[0]);
    uint32_t axis;
    XNOR_TRY(xnor_axis(node, xnor_node_int(node, XNOR_ATTR_AXIS, 0), x->shape.rank, &axis));
    const bool direct = x->dtype == XNOR_F32 && x->shape.dims[axis] <= INT32_MAX;
    xnor_step *step = xnor_add_step(l, direct ? xnor_step_place : xnor_step_reference, node);
    step->n = 1;
    if (direct) set_axes(l, step, 1U << axis);
    return XNOR_OK;
}
