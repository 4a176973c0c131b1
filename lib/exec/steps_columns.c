// Columns of rows of float32: a few of each row, so a loop, not a call.
#include "exec/tiles.h"

static void tile_slice(void *context, size_t begin, size_t end) {
    const tile_context *c = context;
    const xnor_step *s = c->step;
    for (size_t row = begin; row < end; row++) {
        const float *x = (const float *)c->run->values[s->x] + row * s->k + s->offset;
        float *y = (float *)c->run->values[s->y] + row * s->n;
        for (size_t i = 0; i < s->n; i++) y[i] = x[i];
    }
}

// k: columns of x; offset: the first to take
xnor_status xnor_step_slice(const xnor_step *s, const xnor_run *run) {
    return over(s, run, s->rows, TILE_ROWS, tile_slice);
}
