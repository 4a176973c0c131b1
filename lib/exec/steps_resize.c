// Nearest and linear resizing of pictures with channels last: two rows are mixed, in the mixture two pixels. The
// result may have its channels first. Of signs the words of the nearest pixels are copied.
#include <string.h>

#include "core/size.h"
#include "core/tensor.h"
#include "exec/steps_resize.h"
#include "exec/tiles.h"

enum { TILE_LINES = 16, BLOCK_PIXELS = 512 };

typedef struct resize_context {
    const xnor_step *step;
    const xnor_run *run;
    const xnor_resize_source_pair *y, *x; // by line, and by pixel
    size_t in_height, in_width, out_height, out_width, channels;
    bool channels_first; // of the result
} resize_context;

// Neighbouring pixels of a line and what they are mixed of: pixels of a line from `origin` on.
typedef struct block {
    size_t begin, count, origin, length;
    int32_t first[BLOCK_PIXELS], second[BLOCK_PIXELS];
    float share[BLOCK_PIXELS];
    bool copies; // every share is 0
} block;

// As many pixels from `begin` on as have their sources in XNOR_RESIZE_FLOATS.
static void find_block(const resize_context *r, size_t begin, block *b) {
    const size_t room = XNOR_RESIZE_FLOATS / r->channels;
    *b = (block){.begin = begin, .copies = true};
    for (size_t x = begin; x < r->out_width && b->count < BLOCK_PIXELS; x++) {
        const xnor_resize_source_pair *pair = &r->x[x];
        if (b->count == 0) b->origin = (size_t)pair->first;
        if ((size_t)pair->second + 1 - b->origin > room) break;
        b->length = (size_t)pair->second + 1 - b->origin;
        b->first[b->count] = pair->first - (int32_t)b->origin;
        b->second[b->count] = pair->second - (int32_t)b->origin;
        b->share[b->count++] = pair->share;
        b->copies = b->copies && pair->share == 0;
    }
}

static void mix_line(const resize_context *r, const block *b, const float *x, size_t channels,
                     float *out) {
    if (!b->copies) {
        r->run->kernels->mix_pixels_f32(b->count, channels, x, b->first, b->second, b->share, out);
        return;
    }
    for (size_t p = 0; p < b->count; p++)
        memcpy(out + p * channels, x + (size_t)b->first[p] * channels, channels * sizeof *out);
}

// One line of the result, as far as the block goes.
static void resize_line(const resize_context *r, const block *b, size_t row) {
    const size_t channels = r->channels, line = r->in_width * channels;
    const size_t picture = row / r->out_height, y = row % r->out_height;
    const size_t plane = r->out_height * r->out_width;
    float mixed[XNOR_RESIZE_FLOATS], turned[XNOR_RESIZE_FLOATS];
    const xnor_resize_source_pair *pair = &r->y[y];
    const float *x = (const float *)r->run->values[r->step->x] + picture * r->in_height * line +
                     b->origin * channels;
    const float *from = x + (size_t)pair->first * line;
    float *out = (float *)r->run->values[r->step->y] + picture * plane * channels;
    if (pair->share != 0) {
        r->run->kernels->mix_f32(b->length * channels, from, x + (size_t)pair->second * line,
                                 pair->share, mixed);
        from = mixed;
    }
    if (!r->channels_first) {
        mix_line(r, b, from, channels, out + (y * r->out_width + b->begin) * channels);
        return;
    }
    for (size_t p = 0; p < b->length; p++)
        for (size_t c = 0; c < channels; c++) turned[c * b->length + p] = from[p * channels + c];
    for (size_t c = 0; c < channels; c++)
        mix_line(r, b, turned + c * b->length, 1, out + c * plane + y * r->out_width + b->begin);
}

static void tile_lines(void *context, size_t begin, size_t end) {
    const resize_context *r = context;
    block b;
    for (size_t x = 0; x < r->out_width; x += b.count) {
        find_block(r, x, &b);
        for (size_t row = begin; row < end; row++) resize_line(r, &b, row);
    }
}

xnor_status xnor_step_resize(const xnor_step *s, const xnor_run *run) {
    const int64_t *in = s->graph->values[s->x].shape.dims;
    const int64_t *out = s->graph->values[s->node->outputs[0]].shape.dims;
    resize_context r = {.step = s,
                        .run = run,
                        .y = s->parameters[0],
                        .x = s->parameters[1],
                        .in_height = (size_t)in[1],
                        .in_width = (size_t)in[2],
                        .out_height = (size_t)out[1],
                        .out_width = (size_t)out[2],
                        .channels = (size_t)in[3],
                        .channels_first = s->y != s->node->outputs[0]};
    xnor_parallel_for(run->pool, s->rows, TILE_LINES, run->cancel, tile_lines, &r);
    return XNOR_OK;
}

// ---- signs --------------------------------------------------------------------------------------

typedef struct sign_context {
    const xnor_resize_source_pair *y, *x;
    size_t in_height, in_width, out_height, out_width, words;
    const uint64_t *from[2]; // planes
    uint64_t *to[2];
    int planes;
} sign_context;

static void copy_line(const sign_context *r, const uint64_t *from, uint64_t *to) {
    const size_t words = r->words;
    for (size_t x = 0; x < r->out_width; x++, to += words) {
        const uint64_t *pixel = from + (size_t)r->x[x].first * words;
        for (size_t k = 0; k < words; k++) to[k] = pixel[k];
    }
}

// A line that has the source of the one above is copied from it.
static void tile_sign_lines(void *context, size_t begin, size_t end) {
    const sign_context *r = context;
    const size_t in_line = r->in_width * r->words, out_line = r->out_width * r->words;
    for (size_t row = begin; row < end; row++) {
        const size_t y = row % r->out_height;
        const size_t from = row / r->out_height * r->in_height + (size_t)r->y[y].first;
        const bool again = row > begin && y > 0 && r->y[y].first == r->y[y - 1].first;
        for (int plane = 0; plane < r->planes; plane++) {
            uint64_t *to = r->to[plane] + row * out_line;
            if (again)
                memcpy(to, to - out_line, out_line * sizeof *to);
            else
                copy_line(r, r->from[plane] + from * in_line, to);
        }
    }
}

xnor_status xnor_step_resize_signs(const xnor_step *s, const xnor_run *run) {
    const xnor_value *x = &s->graph->values[s->x], *y = &s->graph->values[s->y];
    sign_context r = {.y = s->parameters[0],
                      .x = s->parameters[1],
                      .in_height = (size_t)x->shape.dims[1],
                      .in_width = (size_t)x->shape.dims[2],
                      .out_height = (size_t)y->shape.dims[1],
                      .out_width = (size_t)y->shape.dims[2],
                      .words = xnor_words(s->n),
                      .planes = x->dtype == XNOR_TERNARY ? 2 : 1};
    for (int plane = 0; plane < r.planes; plane++) {
        r.from[plane] = (const uint64_t *)run->values[s->x] +
                        (size_t)plane * xnor_shape_rows(&x->shape) * r.words;
        r.to[plane] =
            (uint64_t *)run->values[s->y] + (size_t)plane * xnor_shape_rows(&y->shape) * r.words;
    }
    xnor_parallel_for(run->pool, s->rows, TILE_LINES, run->cancel, tile_sign_lines, &r);
    return XNOR_OK;
}
