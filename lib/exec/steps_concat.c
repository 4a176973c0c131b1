// Concatenation along the last axis: rows side by side.
#include <string.h>

#include "core/size.h"
#include "exec/lower.h"
#include "exec/tiles.h"

// Bits: perhaps only the distinct rows.
static xnor_status lower_bits(lowering *l, const xnor_node *node) {
    xnor_step *step = xnor_add_step(l, xnor_step_concat_bits, node);
    step->active = l->active[step->x];
    step->rows = points_of(l, step->x);
    step->groups = rows_of(l, step->x) / step->rows;
    step->n = last_of(l, step->y);
    return XNOR_OK;
}

xnor_status xnor_lower_concat(lowering *l, uint32_t index) {
    const xnor_node *node = &l->graph->nodes[index];
    const xnor_shape *y = &value_of(l, node->outputs[0])->shape;
    const size_t element = xnor_dtype_bytes(value_of(l, node->outputs[0])->dtype);
    int64_t axis = xnor_node_int(node, XNOR_ATTR_AXIS, 0);
    bool direct = element > 0 && y->rank > 0 && (axis == -1 || axis == (int64_t)y->rank - 1);
    const xnor_dtype dtype = value_of(l, node->outputs[0])->dtype;
    if ((dtype == XNOR_BITS || dtype == XNOR_TERNARY) && y->rank >= 2 &&
        (axis == -1 || axis == (int64_t)y->rank - 1))
        return lower_bits(l, node);
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

// Rows of bits side by side. The padding of a part is 0, and the next begins in it.
static void concat_plane(const tile_context *c, size_t plane, size_t begin, size_t end) {
    const xnor_step *s = c->step;
    size_t words = xnor_words(s->n), first = 0;
    const size_t all = s->groups * s->rows; // rows of a plane
    uint64_t *y = (uint64_t *)c->run->values[s->y] + plane * all * words;
    memset(y + begin * words, 0, (end - begin) * words * sizeof *y);
    for (uint32_t k = 0; k < s->node->input_count; k++) {
        xnor_value_id part = s->node->inputs[k];
        size_t columns = (size_t)xnor_shape_last(&s->graph->values[part].shape);
        size_t part_words = xnor_words(columns), shift = first % 64;
        const uint64_t *x = (const uint64_t *)c->run->values[part] + plane * all * part_words;
        for (size_t row = begin; row < end; row++) {
            uint64_t *to = y + row * words + first / 64;
            for (size_t i = 0; i < part_words; i++) {
                const uint64_t bits = x[row * part_words + i];
                to[i] |= bits << shift;
                // What is shifted out are padding bits where the row has no further word.
                if (shift && first / 64 + i + 1 < words) to[i + 1] |= bits >> (64 - shift);
            }
        }
        first += columns;
    }
}

static void tile_concat_bits(void *context, size_t begin, size_t end) {
    const tile_context *c = context;
    const bool ternary = c->step->graph->values[c->step->y].dtype == XNOR_TERNARY;
    for (size_t plane = 0; plane < (ternary ? 2 : 1); plane++) concat_plane(c, plane, begin, end);
}

xnor_status xnor_step_concat_bits(const xnor_step *s, const xnor_run *run) {
    if (s->active == XNOR_NO_VALUE)
        return over(s, run, s->groups * s->rows, TILE_ROWS, tile_concat_bits);
    tile_context context = {s, run};
    for (size_t group = 0; group < s->groups && !is_cancelled(run); group++) {
        size_t count = (size_t)((const int32_t *)run->values[s->active])[group];
        tile_concat_bits(&context, group * s->rows, group * s->rows + count);
    }
    return XNOR_OK;
}
