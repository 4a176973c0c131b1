// Lowering of what takes columns from rows.
#include "exec/lower.h"

static bool same_rows(const lowering *l, xnor_value_id a, xnor_value_id b) {
    const xnor_shape *x = &value_of(l, a)->shape, *y = &value_of(l, b)->shape;
    bool same = x->rank == y->rank && x->rank > 0;
    for (uint32_t i = 0; same && i + 1 < x->rank; i++) same = x->dims[i] == y->dims[i];
    return same;
}

// First column of a slice that takes neighbouring columns of every row, or -1.
static int64_t first_column(const lowering *l, const xnor_node *node) {
    int64_t ints[4][XNOR_MAX_RANK];
    uint32_t counts[4] = {0};
    for (uint32_t k = 0; k < 4; k++) {
        if (k + 1 >= node->input_count || node->inputs[k + 1] == XNOR_NO_VALUE) continue;
        const xnor_value *value = value_of(l, node->inputs[k + 1]);
        if (!value->data || !xnor_known_ints(value, ints[k], XNOR_MAX_RANK, &counts[k])) return -1;
    }
    // One axis, which must be the last, as all others keep their size.
    int64_t rank = value_of(l, node->inputs[0])->shape.rank;
    int64_t columns = (int64_t)last_of(l, node->inputs[0]), start = ints[0][0];
    if (counts[0] != 1 || counts[2] != 1 || (counts[3] == 1 && ints[3][0] != 1)) return -1;
    if (ints[2][0] != rank - 1 && ints[2][0] != -1) return -1;
    if (start < 0) start += columns;
    return start >= 0 && start + (int64_t)last_of(l, node->outputs[0]) <= columns ? start : -1;
}

xnor_status xnor_lower_slice(lowering *l, uint32_t index) {
    const xnor_node *node = &l->graph->nodes[index];
    bool direct = value_of(l, node->inputs[0])->dtype == XNOR_F32 &&
                  same_rows(l, node->inputs[0], node->outputs[0]);
    int64_t first = direct ? first_column(l, node) : -1;
    xnor_step *step = xnor_add_step(l, first < 0 ? xnor_step_reference : xnor_step_slice, node);
    if (first < 0) return XNOR_OK;
    step->rows = rows_of(l, step->x);
    step->k = last_of(l, step->x);
    step->n = last_of(l, step->y);
    step->offset = (size_t)first;
    return XNOR_OK;
}
