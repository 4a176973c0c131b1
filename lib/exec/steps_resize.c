// Nearest and linear resizing of pictures with channels last: two rows are mixed, in the mixture two pixels. The
// result may have its channels first. Of signs the words of the nearest pixels are copied.
#include <string.h>

#include "core/size.h"
#include "core/tensor.h"
#include "exec/steps_resize.h"
#include "exec/tiles.h"

enum { TILE_LINES = 16, BLOCK_PIXELS = 1024 };

typedef struct resize_context {
    const xnor_step *step;
    const xnor_run *run;
    const xnor_resize_source_pair *y, *x; // by line, and by pixel
    size_t in_height, in_width, out_height, out_width, channels;
    bool channels_first; // of the result
    bool stream;         // the result is larger than the caches and leaves the network
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

// The mixtures of a block of `lines` lines of single values.
static void mix_lines(const resize_context *r, const block *b, size_t lines, const float *x,
                      float *out) {
    const xnor_mix_lines_args args = {.lines = lines,
                                      .pixels = b->count,
                                      .x = x,
                                      .length = b->length,
                                      .x_stride = b->length,
                                      .first = b->first,
                                      .second = b->second,
                                      .share = b->share,
                                      .out_stride = r->out_height * r->out_width,
                                      .stream = r->stream};
    r->run->kernels->mix_lines_f32(&args, out);
}

static void mix_pixels(const resize_context *r, const block *b, const float *x, float *out) {
    const size_t channels = r->channels;
    if (channels == 1)
        mix_lines(r, b, 1, x, out);
    else if (!b->copies)
        r->run->kernels->mix_pixels_f32(b->count, channels, x, b->first, b->second, b->share, out);
    else
        for (size_t p = 0; p < b->count; p++)
            memcpy(out + p * channels, x + (size_t)b->first[p] * channels, channels * sizeof *out);
}

// Lines of the picture from the block's origin on, with channels first: the last even and the last odd one.
typedef struct turned_lines {
    size_t number[2]; // SIZE_MAX: none yet
    float values[2][XNOR_RESIZE_FLOATS];
} turned_lines;

static const float *turn_line(const resize_context *r, const block *b, size_t number,
                              turned_lines *turned) {
    const size_t channels = r->channels, slot = number % 2;
    float *values = turned->values[slot];
    if (turned->number[slot] == number) return values;
    const float *x =
        (const float *)r->run->values[r->step->x] + (number * r->in_width + b->origin) * channels;
    for (size_t c = 0; c < channels; c++)
        for (size_t p = 0; p < b->length; p++) values[c * b->length + p] = x[p * channels + c];
    turned->number[slot] = number;
    return values;
}

// One line of the result, as far as the block goes. turned: NULL where its channels are last.
static void resize_line(const resize_context *r, const block *b, size_t row, turned_lines *turned) {
    const size_t channels = r->channels, plane = r->out_height * r->out_width;
    const size_t picture = row / r->out_height, y = row % r->out_height;
    const size_t line = r->in_width * channels, at = y * r->out_width + b->begin;
    float mixed[XNOR_RESIZE_FLOATS];
    const xnor_resize_source_pair *pair = &r->y[y];
    const size_t first = picture * r->in_height + (size_t)pair->first;
    const size_t second = picture * r->in_height + (size_t)pair->second;
    const float *x = (const float *)r->run->values[r->step->x] + b->origin * channels;
    float *out = (float *)r->run->values[r->step->y] + picture * plane * channels;
    const float *from = turned ? turn_line(r, b, first, turned) : x + first * line;
    if (pair->share != 0) {
        const float *other = turned ? turn_line(r, b, second, turned) : x + second * line;
        r->run->kernels->mix_f32(b->length * channels, from, other, pair->share, mixed);
        from = mixed;
    }
    if (turned)
        mix_lines(r, b, channels, from, out + at);
    else
        mix_pixels(r, b, from, out + at * channels);
}

static void tile_lines(void *context, size_t begin, size_t end) {
    const resize_context *r = context;
    turned_lines turned;
    block b;
    for (size_t x = 0; x < r->out_width; x += b.count) {
        find_block(r, x, &b);
        for (size_t i = 0; i < 2; i++) turned.number[i] = SIZE_MAX;
        for (size_t row = begin; row < end; row++)
            resize_line(r, &b, row, r->channels_first ? &turned : NULL);
    }
}

// k: whether the result is streamed
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
                        .channels_first = s->y != s->node->outputs[0],
                        .stream = s->k != 0};
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
