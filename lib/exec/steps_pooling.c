// MaxPool and AveragePool of pictures with channels last: a row of the result at a time, all channels of a pixel
// side by side.
#include <math.h>

#include "core/size.h"
#include "core/tensor.h"
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

// ---- signs --------------------------------------------------------------------------------------

typedef struct sign_context {
    pool_context pool;
    size_t words;
    const uint64_t *direction; // [words], or NULL: the largest of all channels
    const uint64_t *positive;  // planes of the input [batch, height, width, words]
    const uint64_t *nonzero;   // or NULL: bits
    uint64_t *y_positive, *y_nonzero;
} sign_context;

// Channels of word k; those of them whose smallest sign is wanted.
static uint64_t used_of(const sign_context *c, size_t k) {
    const size_t n = c->pool.step->n;
    return k + 1 < c->words || n % 64 == 0 ? UINT64_MAX : (UINT64_C(1) << n % 64) - 1;
}

static uint64_t least_of(const sign_context *c, size_t k) {
    return c->direction ? used_of(c, k) & ~c->direction[k] : 0;
}

// Word k of the window: an OR of the bits, and where `all` is set an AND: there the bits that are not set are
// looked for. Of +1, or of -1.
static uint64_t pool_word(const sign_context *c, const xnor_taps *down, const xnor_taps *along,
                          size_t picture, size_t k, bool minus, uint64_t all) {
    const pool_context *p = &c->pool;
    const xnor_window *w = &p->pool.window;
    uint64_t any = 0;
    for (int64_t i = down->first; i <= down->last; i++)
        for (int64_t j = along->first; j <= along->last; j++) {
            const int64_t row = down->begin + i * w->dilation[0];
            const int64_t column = along->begin + j * w->dilation[1];
            const size_t at = (picture + (size_t)(row * p->in[2] + column)) * c->words + k;
            any |= (minus ? c->nonzero[at] & ~c->positive[at] : c->positive[at]) ^ all;
        }
    return (any ^ all) & used_of(c, k);
}

static void tile_signs(void *context, size_t begin, size_t end) {
    const sign_context *c = context;
    const pool_context *p = &c->pool;
    const xnor_window *w = &p->pool.window;
    for (size_t row = begin; row < end; row++) {
        const size_t height = (size_t)p->out[1];
        const size_t picture = row / height * (size_t)(p->in[1] * p->in[2]);
        const xnor_taps down = xnor_window_taps(w, 0, (int64_t)(row % height), p->in[1]);
        size_t at = row * (size_t)p->out[2] * c->words;
        for (int64_t x = 0; x < p->out[2]; x++) {
            const xnor_taps along = xnor_window_taps(w, 1, x, p->in[2]);
            for (size_t k = 0; k < c->words; k++, at++) {
                const uint64_t least = least_of(c, k), most = used_of(c, k) & ~least;
                const uint64_t plus = pool_word(c, &down, &along, picture, k, false, least);
                c->y_positive[at] = plus;
                if (c->nonzero)
                    c->y_nonzero[at] = plus | pool_word(c, &down, &along, picture, k, true, most);
            }
        }
    }
}

xnor_status xnor_step_pool_signs(const xnor_step *s, const xnor_run *run) {
    const xnor_value *x = &s->graph->values[s->x], *y = &s->graph->values[s->y];
    sign_context c = {
        .pool = {.step = s, .run = run, .in = x->shape.dims, .out = y->shape.dims},
        .words = xnor_words(s->n),
        .direction = s->parameters[0],
        .positive = run->values[s->x],
        .y_positive = run->values[s->y],
    };
    XNOR_TRY(xnor_pooling_read(s->node, &x->shape, &c.pool.pool));
    if (x->dtype == XNOR_TERNARY) {
        c.nonzero = c.positive + xnor_shape_rows(&x->shape) * c.words;
        c.y_nonzero = c.y_positive + xnor_shape_rows(&y->shape) * c.words;
    }
    xnor_parallel_for(run->pool, s->rows, 1, run->cancel, tile_signs, &c);
    return XNOR_OK;
}
