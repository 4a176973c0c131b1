// Concatenation along the last axis: rows side by side.
#include <string.h>

#include "exec/lower.h"
#include "exec/tiles.h"

xnor_status xnor_lower_concat(lowering *l, uint32_t index) {
    const xnor_node *node = &l->graph->nodes[index];
    const xnor_shape *y = &value_of(l, node->outputs[0])->shape;
    const size_t element = xnor_dtype_bytes(value_of(l, node->outputs[0])->dtype);
    int64_t axis = xnor_node_int(node, XNOR_ATTR_AXIS, 0);
    bool direct = element > 0 && y->rank > 0 && (axis == -1 || axis == (int64_t)y->rank - 1);
    for (uint32_t i = 0; i < node->input_count; i++)
        direct =
            direct && value_of(l, node->inputs[i])->dtype == value_of(l, node->outputs[0])->dtype;
    xnor_step *step = xnor_add_step(l, direct ? xnor_step_concat : xnor_step_reference, node);
    if (!direct) return XNOR_OK;
    step->rows = rows_of(l, step->y);
    step->n = last_of(l, step->y) * element;
    step->k = element;
    return XNOR_OK;
}

static void tile_concat(void *context, size_t begin, size_t end) {
    const tile_context *c = context;
    const xnor_step *s = c->step;
    uint8_t *y = c->run->values[s->y];
    for (uint32_t i = 0; i < s->node->input_count; i++) {
        const xnor_value_id id = s->node->inputs[i];
        const uint8_t *x = c->run->values[id];
        const size_t bytes = (size_t)xnor_shape_last(&s->graph->values[id].shape) * s->k;
        for (size_t row = begin; row < end; row++) memcpy(y + row * s->n, x + row * bytes, bytes);
        y += bytes;
    }
}

// n: bytes of a row, k: of an element
xnor_status xnor_step_concat(const xnor_step *s, const xnor_run *run) {
    return over(s, run, s->rows, TILE_ROWS, tile_concat);
}
