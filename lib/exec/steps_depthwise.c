// Depthwise convolutions of pictures with channels last, and their transposes: neighbouring pixels of a row whose windows
// lie inside go through one call, those at both ends one by one, with the taps that are there.
#include "exec/steps_conv2d.h"
#include "exec/tail.h"
#include "exec/tiles.h"
#include "ops/conv.h"

typedef struct depthwise_context {
    const xnor_step *step;
    const xnor_run *run;
    xnor_window window;
    const int64_t *x, *y;          // [batch, height, width, channels]
    size_t inner_begin, inner_end; // pixels of a row whose windows lie inside
    size_t most;                   // pixels at a time
    xnor_bound_tail tail;
} depthwise_context;

// Pixels of one row of the result, whose taps are the same: [count][channels].
static void convolve(const depthwise_context *d, const float *picture, size_t row, size_t column,
                     size_t count, float *out) {
    const xnor_window *w = &d->window;
    const size_t channels = (size_t)d->x[3];
    const xnor_taps down = xnor_window_taps(w, 0, (int64_t)row, d->x[1]);
    const xnor_taps along = xnor_window_taps(w, 1, (int64_t)column, d->x[2]);
    size_t x_offset[XNOR_DEPTHWISE_TAPS], w_offset[XNOR_DEPTHWISE_TAPS], taps = 0;
    for (int64_t i = down.first; i <= down.last; i++)
        for (int64_t k = along.first; k <= along.last; k++, taps++) {
            const int64_t y = down.begin + i * w->dilation[0];
            const int64_t x = along.begin + k * w->dilation[1];
            x_offset[taps] = (size_t)(y * d->x[2] + x) * channels;
            w_offset[taps] = (size_t)(i * w->kernel[1] + k) * channels;
        }
    const xnor_depthwise_args args = {.count = count,
                                      .channels = channels,
                                      .taps = taps,
                                      .x = picture,
                                      .x_stride = (size_t)w->stride[1] * channels,
                                      .x_offset = x_offset,
                                      .w = d->step->packed,
                                      .w_offset = w_offset,
                                      .bias = d->step->parameters[0],
                                      .out_stride = channels};
    d->run->kernels->depthwise_f32(&args, out);
}

static void tile_rows(void *context, size_t begin, size_t end) {
    const depthwise_context *d = context;
    const xnor_step *s = d->step;
    const size_t height = (size_t)d->y[1], width = (size_t)d->y[2], channels = (size_t)d->x[3];
    float tile[XNOR_POINTWISE_MAX];
    for (size_t row = begin; row < end; row++) {
        const float *picture = (const float *)d->run->values[s->x] +
                               row / height * (size_t)(d->x[1] * d->x[2] * d->x[3]);
        for (size_t x = 0, count; x < width; x += count) {
            const bool inner = x >= d->inner_begin && x < d->inner_end;
            count = inner ? d->inner_end - x : 1;
            if (count > d->most) count = d->most;
            const size_t first = row * width + x;
            if (s->tail) {
                convolve(d, picture, row % height, x, count, tile);
                xnor_tail_apply(&d->tail, first, count, NULL, tile);
            } else {
                convolve(d, picture, row % height, x, count,
                         (float *)d->run->values[s->y] + first * channels);
            }
        }
    }
}

xnor_status xnor_step_depthwise(const xnor_step *s, const xnor_run *run) {
    depthwise_context d = {.step = s, .run = run, .most = SIZE_MAX};
    xnor_conv conv;
    const xnor_shape *x = &s->graph->values[s->x].shape;
    XNOR_TRY(xnor_conv_read(s->node, x, &s->graph->values[s->node->inputs[1]].shape, &conv));
    d.window = conv.window;
    d.x = x->dims;
    d.y = s->graph->values[s->node->outputs[0]].shape.dims;
    int64_t begin, end;
    xnor_window_inside(&d.window, 1, d.x[2], d.y[2], &begin, &end);
    d.inner_begin = (size_t)begin;
    d.inner_end = (size_t)end;
    if (s->tail) {
        d.most = XNOR_POINTWISE_MAX / s->tail->n;
        xnor_tail_bind(s->tail, run, &d.tail);
    }
    xnor_parallel_for(run->pool, s->rows, 1, run->cancel, tile_rows, &d);
    return XNOR_OK;
}

// ---- transposed ---------------------------------------------------------------------------------

// Pixels of one row of the result, a stride apart, to which the same taps give.
static void gather(const depthwise_context *d, const float *picture, size_t row, size_t column,
                   size_t count, float *out) {
    const xnor_window *w = &d->window;
    const size_t channels = (size_t)d->x[3];
    size_t x_offset[XNOR_DEPTHWISE_TAPS], w_offset[XNOR_DEPTHWISE_TAPS], taps = 0;
    for (int64_t i = 0; i < w->kernel[0]; i++) {
        const int64_t y = xnor_conv_giver(w, 0, d->x[1], (int64_t)row, i);
        for (int64_t k = 0; k < w->kernel[1] && y >= 0; k++) {
            const int64_t x = xnor_conv_giver(w, 1, d->x[2], (int64_t)column, k);
            if (x < 0) continue;
            x_offset[taps] = (size_t)(y * d->x[2] + x) * channels;
            w_offset[taps++] = (size_t)(i * w->kernel[1] + k) * channels;
        }
    }
    const xnor_depthwise_args args = {.count = count,
                                      .channels = channels,
                                      .taps = taps,
                                      .x = picture,
                                      .x_stride = channels,
                                      .x_offset = x_offset,
                                      .w = d->step->packed,
                                      .w_offset = w_offset,
                                      .bias = d->step->parameters[0],
                                      .out_stride = (size_t)w->stride[1] * channels};
    d->run->kernels->depthwise_f32(&args, out);
}

// Of the pixels phase, phase + stride, .. the first whose taps all lie inside, and the one behind the last.
static void find_inner(const depthwise_context *d, int64_t phase, int64_t *begin, int64_t *end) {
    const xnor_window *w = &d->window;
    const int64_t stride = w->stride[1];
    *begin = 0;
    *end = INT64_MAX;
    for (int64_t k = 0; k < w->kernel[1]; k++) {
        const int64_t from = phase + w->pad_begin[1] - k * w->dilation[1];
        if (from % stride) continue;
        if (-from / stride > *begin) *begin = -from / stride;
        if (d->x[2] - from / stride < *end) *end = d->x[2] - from / stride;
    }
}

static void tile_transposed(void *context, size_t begin, size_t end) {
    const depthwise_context *d = context;
    const xnor_step *s = d->step;
    const int64_t height = d->y[1], width = d->y[2], stride = d->window.stride[1];
    for (size_t row = begin; row < end; row++) {
        const float *picture = (const float *)d->run->values[s->x] +
                               row / (size_t)height * (size_t)(d->x[1] * d->x[2] * d->x[3]);
        float *y = (float *)d->run->values[s->y] + row * (size_t)(width * d->y[3]);
        for (int64_t phase = 0; phase < stride && phase < width; phase++) {
            const int64_t pixels = (width - phase + stride - 1) / stride;
            int64_t first, stop;
            find_inner(d, phase, &first, &stop);
            for (int64_t i = 0, count; i < pixels; i += count) {
                count = i >= first && i < stop ? (stop < pixels ? stop : pixels) - i : 1;
                const int64_t x = phase + i * stride;
                gather(d, picture, row % (size_t)height, (size_t)x, (size_t)count, y + x * d->y[3]);
            }
        }
    }
}

xnor_status xnor_step_depthwise_transpose(const xnor_step *s, const xnor_run *run) {
    depthwise_context d = {.step = s, .run = run};
    xnor_conv conv;
    const xnor_shape *x = &s->graph->values[s->x].shape;
    XNOR_TRY(xnor_conv_read(s->node, x, &s->graph->values[s->node->inputs[1]].shape, &conv));
    d.window = conv.window;
    d.x = x->dims;
    d.y = s->graph->values[s->y].shape.dims;
    xnor_parallel_for(run->pool, s->rows, 1, run->cancel, tile_transposed, &d);
    return XNOR_OK;
}
