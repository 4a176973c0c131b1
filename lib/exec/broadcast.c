#include "exec/broadcast.h"

typedef struct broadcast_context {
    const xnor_step *step;
    xnor_broadcast_row row;
    xnor_walk outer; // over the axes in front of the last two
    size_t rows, n;  // sizes of the last two
    size_t down[XNOR_WALK_INPUTS], along[XNOR_WALK_INPUTS]; // from one row, or element, to the next
    size_t bytes[XNOR_WALK_INPUTS], y_bytes;                // of an element
    const char *operands[XNOR_WALK_INPUTS];
    char *y;
} broadcast_context;

// The walk without axes of size 1, and with axes joined where all operands go on.
static void join(xnor_walk *walk) {
    uint32_t rank = 0;
    for (uint32_t i = 0; i < walk->rank; i++) {
        const int64_t size = walk->dims[i];
        if (size == 1) continue;
        bool follows = rank > 0;
        for (uint32_t k = 0; follows && k < walk->inputs; k++)
            follows = walk->stride[k][rank - 1] == walk->stride[k][i] * size;
        rank += !follows;
        walk->dims[rank - 1] = follows ? walk->dims[rank - 1] * size : size;
        for (uint32_t k = 0; k < walk->inputs; k++) walk->stride[k][rank - 1] = walk->stride[k][i];
    }
    walk->rank = rank;
}

static void take_axis(xnor_walk *walk, size_t *size, size_t steps[XNOR_WALK_INPUTS]) {
    *size = 1;
    for (uint32_t k = 0; k < walk->inputs; k++) steps[k] = 0;
    if (!walk->rank) return;
    walk->rank--;
    *size = (size_t)walk->dims[walk->rank];
    for (uint32_t k = 0; k < walk->inputs; k++) steps[k] = (size_t)walk->stride[k][walk->rank];
}

static void tile_rows(void *context, size_t begin, size_t end) {
    const broadcast_context *c = context;
    const uint32_t count = c->outer.inputs;
    char *y = c->y + begin * c->n * c->y_bytes;
    while (begin < end) {
        size_t rest = begin / c->rows, offset[XNOR_WALK_INPUTS] = {0};
        for (uint32_t i = c->outer.rank; i-- > 0; rest /= (size_t)c->outer.dims[i])
            for (uint32_t k = 0; k < count; k++)
                offset[k] += rest % (size_t)c->outer.dims[i] * (size_t)c->outer.stride[k][i];
        const size_t first = begin % c->rows;
        const size_t stop = end - begin < c->rows - first ? first + (end - begin) : c->rows;
        for (size_t row = first; row < stop; row++, y += c->n * c->y_bytes) {
            const void *operands[XNOR_WALK_INPUTS];
            for (uint32_t k = 0; k < count; k++)
                operands[k] = c->operands[k] + (offset[k] + row * c->down[k]) * c->bytes[k];
            c->row(c->step->node->op, c->n, operands, c->along, y);
        }
        begin += stop - first;
    }
}

xnor_status xnor_over_broadcast(const xnor_step *s, const xnor_run *run, uint32_t count,
                                const xnor_value_id *operands, const size_t *bytes, size_t y_bytes,
                                xnor_broadcast_row row) {
    enum { TILE_ELEMENTS = 8192 };
    broadcast_context c = {.step = s, .row = row, .y_bytes = y_bytes, .y = run->values[s->y]};
    size_t elements = 1;
    xnor_walk_init(&c.outer, &s->graph->values[s->y].shape);
    for (uint32_t k = 0; k < count; k++) {
        xnor_walk_add(&c.outer, &s->graph->values[operands[k]].shape);
        c.operands[k] = run->values[operands[k]];
        c.bytes[k] = bytes[k];
    }
    for (uint32_t i = 0; i < c.outer.rank; i++) elements *= (size_t)c.outer.dims[i];
    if (elements == 0) return XNOR_OK;
    join(&c.outer);
    take_axis(&c.outer, &c.n, c.along);
    take_axis(&c.outer, &c.rows, c.down);
    xnor_parallel_for(run->pool, elements / c.n, 1 + TILE_ELEMENTS / c.n, run->cancel, tile_rows,
                      &c);
    return XNOR_OK;
}
