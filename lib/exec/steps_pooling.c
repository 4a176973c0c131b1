// MaxPool and AveragePool of pictures with channels last: a row of the result at a time, all channels of a pixel
// side by side.
#include <math.h>

#include "exec/tiles.h"
#include "ops/pooling.h"

typedef struct pool_context {
    const xnor_step *step;
    const xnor_run *run;
    xnor_pooling pool;
    const int64_t *in, *out; // [batch, height, width, channels]
} pool_context;

static void add_pixel(bool max, const float *x, size_t channels, float *out) {
    if (max)
        for (size_t c = 0; c < channels; c++) out[c] = isnan(x[c]) || x[c] > out[c] ? x[c] : out[c];
    else
        for (size_t c = 0; c < channels; c++) out[c] += x[c];
}

static void tile_rows(void *context, size_t begin, size_t end) {
    const pool_context *p = context;
    const bool max = p->step->node->op == XNOR_OP_MAX_POOL;
    const size_t channels = (size_t)p->in[3], row_floats = (size_t)p->in[2] * channels;
    for (size_t row = begin; row < end; row++) {
        const size_t height = (size_t)p->out[1];
        const float *picture = (const float *)p->run->values[p->step->x] +
                               row / height * (size_t)p->in[1] * row_floats;
        float *out = (float *)p->run->values[p->step->y] + row * (size_t)p->out[2] * channels;
        const xnor_taps down =
            xnor_window_taps(&p->pool.window, 0, (int64_t)(row % height), p->in[1]);
        for (int64_t x = 0; x < p->out[2]; x++, out += channels) {
            const xnor_taps along = xnor_window_taps(&p->pool.window, 1, x, p->in[2]);
            for (size_t c = 0; c < channels; c++) out[c] = max ? -INFINITY : 0;
            for (int64_t i = down.first; i <= down.last; i++)
                for (int64_t k = along.first; k <= along.last; k++)
                    add_pixel(max,
                              picture +
                                  (size_t)(down.begin + i * p->pool.window.dilation[0]) *
                                      row_floats +
                                  (size_t)(along.begin + k * p->pool.window.dilation[1]) * channels,
                              channels, out);
            const float divisor = (float)xnor_pooling_count(&p->pool, &down, &along);
            for (size_t c = 0; !max && divisor > 0 && c < channels; c++) out[c] /= divisor;
        }
    }
}

xnor_status xnor_step_pooling(const xnor_step *s, const xnor_run *run) {
    pool_context p = {.step = s,
                      .run = run,
                      .in = s->graph->values[s->x].shape.dims,
                      .out = s->graph->values[s->y].shape.dims};
    XNOR_TRY(xnor_pooling_read(s->node, &s->graph->values[s->x].shape, &p.pool));
    xnor_parallel_for(run->pool, s->rows, 1, run->cancel, tile_rows, &p);
    return XNOR_OK;
}
