// Float convolutions through the points of polynomials. A block of tiles at a time: its pixels are cut into tiles, one
// beside the other, and transformed; for each point, the channels of all tiles are multiplied with its weights; and
// what the products are for each output is transformed back.
#include "exec/steps_conv2d.h"
#include "exec/tail.h"
#include "exec/tiles.h"
#include "exec/winograd.h"

#include <string.h>

typedef struct winograd_context {
    const xnor_step *step;
    const xnor_run *run;
    winograd_sizes sizes;
    size_t offset[WINOGRAD_PHASES][WINOGRAD_SQUARE]; // of the pixels of a tile in the cut picture
    xnor_bound_tail tail;
    atomic_size_t next; // block that nobody has taken
} winograd_context;

// A block of a picture.
typedef struct winograd_block {
    const float *x;
    size_t picture;
    size_t row, column, rows, columns; // tiles
    float *cut, *in, *out, *sums;
} winograd_block;

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

// ---- in -----------------------------------------------------------------------------------------

// Up to XNOR_WINOGRAD_LANES tiles of a row of a picture.
typedef struct winograd_piece {
    const float *x;
    size_t row, column, tiles;
} winograd_piece;

// How many tiles have a column `column` that is looked at; the first columns of the next tile are. Fours are as fast
// as one.
static size_t tiles_with(const winograd_sizes *w, const winograd_piece *t, size_t column) {
    return t->tiles + (column + w->step < w->stride * w->points ? 4 : 0);
}

// Tiles [begin, end) of `count` whose pixels column + t · step, and `more` behind each, are in the picture.
static void tiles_inside(const winograd_sizes *w, size_t column, size_t more, size_t count,
                         size_t *begin, size_t *end) {
    const size_t first = w->pad_left, last = w->width + w->pad_left; // counted from the padding on
    *begin = column >= first ? 0 : least((first - column + w->step - 1) / w->step, count);
    *end = column + more >= last ? 0 : least((last - column - more - 1) / w->step + 1, count);
    if (*end < *begin) *end = *begin;
}

// Four channels of a column of all tiles.
static void cut_channels(const winograd_context *c, const winograd_piece *t, const float *row,
                         size_t column, float *out) {
    const winograd_sizes *w = &c->sizes;
    const size_t first = t->column * w->step + column, count = tiles_with(w, t, column);
    size_t begin, end;
    tiles_inside(w, first, 0, count, &begin, &end);
    if (begin > 0 || end < count)
        for (size_t i = 0; i < 4; i++) {
            memset(out + i * w->cut_channel, 0, begin * sizeof *out);
            memset(out + i * w->cut_channel + end, 0, (count - end) * sizeof *out);
        }
    if (begin == end) return;
    c->run->kernels->winograd_gather(end - begin,
                                     row + (first + begin * w->step - w->pad_left) * w->channels,
                                     w->step * w->channels, out + begin, w->cut_channel);
}

// Four columns of a channel of all tiles.
static void cut_columns(const winograd_context *c, const winograd_piece *t, const float *row,
                        size_t column, float *out) {
    const winograd_sizes *w = &c->sizes;
    const size_t first = t->column * w->step + column, count = tiles_with(w, t, column);
    size_t begin, end;
    tiles_inside(w, first, 3, count, &begin, &end);
    for (size_t i = 0; i < count; i++) {
        if (i == begin) i = end;
        for (size_t k = 0; k < 4 && i < count; k++) {
            const size_t x = first + i * w->step + k;
            const bool inside = x >= w->pad_left && x < w->width + w->pad_left;
            out[k * w->cut_column + i] = inside ? row[x - w->pad_left] : 0;
        }
    }
    if (begin == end) return;
    c->run->kernels->winograd_gather(end - begin, row + first + begin * w->step - w->pad_left,
                                     w->step, out + begin, w->cut_column);
}

// Asks for the lines that the next group of channels will read.
static void ask_for_next(const winograd_sizes *w, const winograd_piece *t, const float *row) {
    const size_t first = t->column * w->step, last = first + (t->tiles + 1) * w->step;
    for (size_t x = first; x < last; x++)
        if (x >= w->pad_left && x < w->width + w->pad_left)
            __builtin_prefetch(row + (x - w->pad_left) * w->channels, 0, 2);
}

// Channels channel .. channel + group - 1.
static void cut(const winograd_context *c, const winograd_piece *t, size_t channel, size_t group,
                float *out) {
    const winograd_sizes *w = &c->sizes;
    for (size_t r = 0; r < w->stride * w->points; r++, out += w->cut_row) {
        const size_t y = t->row * w->step + r;
        if (y < w->pad_top || y >= w->height + w->pad_top) {
            memset(out, 0, w->cut_row * sizeof *out);
            continue;
        }
        const size_t row = (y - w->pad_top) * w->width;
        if (w->few) {
            for (size_t i = 0; i < group; i++)
                for (size_t q = 0; q < w->step; q += 4)
                    cut_columns(c, t, t->x + (channel + i) * w->height * w->width + row, q,
                                out + i * w->cut_channel + q * w->cut_column);
            continue;
        }
        const float *x = t->x + row * w->channels + channel;
        if (channel + group < w->channels) ask_for_next(w, t, x + group);
        for (size_t done = 0; done < group; done += 4) {
            const size_t i = least(done, group - 4); // the last four may begin within those before
            for (size_t q = 0; q < w->step; q++)
                cut_channels(c, t, x + i, q, out + i * w->cut_channel + q * w->cut_column);
        }
    }
}

// Channels first .. first + count - 1, a chunk.
static void transform_in(const winograd_context *c, const winograd_block *b, size_t first,
                         size_t count) {
    enum { LANES = XNOR_WINOGRAD_LANES };
    const winograd_sizes *w = &c->sizes;
    const size_t pieces = (b->columns + LANES - 1) / LANES;
    for (size_t i = 0; i < b->rows * pieces; i++) {
        const size_t row = i / pieces, column = i % pieces * LANES;
        const winograd_piece t = {b->x, b->row + row, b->column + column,
                                  least(b->columns - column, LANES)};
        for (size_t done = 0; done < count; done += w->group) {
            const size_t channel = least(done, count - 4); // a group is at least four
            const size_t group = least(count - channel, w->group);
            cut(c, &t, first + channel, group, b->cut);
            for (size_t k = 0; k < group * w->phases; k++) {
                const size_t phase = k % w->phases, at = channel + k / w->phases;
                c->run->kernels->winograd_in(
                    w->points, t.tiles, b->cut + k / w->phases * w->cut_channel, c->offset[phase],
                    b->in + (phase * count + at) * w->tile_stride + row * b->columns + column,
                    w->points * w->in_stride, w->in_stride);
            }
        }
    }
}

// ---- blocks -------------------------------------------------------------------------------------

// Adds what `channels` channels of a chunk give to outputs first .. first + count - 1. weights: of the chunk.
static void multiply(const winograd_context *c, const winograd_block *b, const float *weights,
                     size_t channels, size_t first, size_t count, bool adds) {
    const winograd_sizes *w = &c->sizes;
    const xnor_kernels *kernels = c->run->kernels;
    const size_t inner = w->phases * channels, tiles = b->rows * b->columns;
    for (size_t p = 0; p < w->points * w->points; p++) {
        size_t phase, phases;
        winograd_range(w->stride, w->kernel, w->points, p / w->points, p % w->points, &phase,
                       &phases);
        const float *by = weights + (p * w->outputs + first) * inner + phase * channels;
        const float *in = b->in + p * w->in_stride + phase * channels * w->tile_stride;
        float *out = b->out + p * w->out_stride;
        if (adds)
            kernels->gemm_f32_add(count, phases * channels, tiles, by, inner, in, w->tile_stride,
                                  out, w->tile_stride);
        else
            kernels->gemm_f32(count, phases * channels, tiles, by, inner, in, w->tile_stride, NULL,
                              out, w->tile_stride);
    }
}

// Results of pixel (y, x) of the block.
static float *place(const winograd_sizes *w, const winograd_block *b, size_t y, size_t x) {
    return b->sums + (y * w->columns * XNOR_WINOGRAD_OUTPUTS + x) * w->outputs;
}

// `count` outputs of up to XNOR_WINOGRAD_LANES tiles of a row, from tile `tile` on, in fours.
static void store(const winograd_context *c, const winograd_block *b, size_t row, size_t tile,
                  size_t first, size_t count, const float *results) {
    enum { M = XNOR_WINOGRAD_OUTPUTS, LANES = XNOR_WINOGRAD_LANES };
    const winograd_sizes *w = &c->sizes;
    const size_t tiles = least(b->columns - tile, LANES);
    const size_t down = least(w->out_height - (b->row + row) * M, M);
    const size_t left = w->out_width - (b->column + tile) * M; // pixels
    for (size_t y = 0; y < down; y++)
        for (size_t x = 0; x < M && x < left; x++) {
            for (size_t o = 0; o < count; o += 4)
                c->run->kernels->winograd_scatter(
                    least(tiles, (left - x - 1) / M + 1), results + ((o * M + y) * M + x) * LANES,
                    M * M * LANES,
                    place(w, b, row * M + y, tile * M + x) + least(first + o, w->outputs - 4),
                    M * w->outputs);
        }
}

static void few_range(const winograd_sizes *w, size_t i, size_t j, size_t *begin, size_t *end) {
    size_t count;
    winograd_range(w->stride, w->kernel, w->points, i, j, begin, &count);
    *begin *= w->channels;
    *end = *begin + count * w->channels;
}

// A few tiles at a time, so that the lines of the results stay in the cache until all of their channels are there.
static void transform_out(const winograd_context *c, const winograd_block *b, size_t first,
                          size_t count) {
    enum { M = XNOR_WINOGRAD_OUTPUTS, LANES = XNOR_WINOGRAD_LANES };
    const winograd_sizes *w = &c->sizes;
    const float *bias = c->step->parameters[0];
    float results[4 * M * M * LANES];
    for (size_t r = 0; r < b->rows; r++)
        for (size_t t = 0; t < b->columns; t += LANES)
            for (size_t done = 0; done < count; done += 4) {
                const size_t o = least(done, count - 4);
                for (size_t i = 0; i < 4; i++)
                    c->run->kernels->winograd_out(
                        w->points, least(b->columns - t, LANES),
                        b->out + (o + i) * w->tile_stride + r * b->columns + t, w->out_stride,
                        bias ? bias[first + o + i] : 0, results + i * M * M * LANES, LANES);
                store(c, b, r, t, first + o, 4, results);
            }
}

// Rows of the block's results, through what follows the convolution. They are not written where they belong at once:
// memory wants rows, and the tail too.
static void finish(const winograd_context *c, const winograd_block *b) {
    enum { M = XNOR_WINOGRAD_OUTPUTS };
    const winograd_sizes *w = &c->sizes;
    const size_t rows = least(b->rows * M, w->out_height - b->row * M);
    const size_t columns = least(b->columns * M, w->out_width - b->column * M);
    const size_t most = c->step->tail ? XNOR_POINTWISE_MAX / w->outputs : columns;
    for (size_t y = 0; y < rows; y++)
        for (size_t x = 0; x < columns; x += most) {
            const size_t row = b->picture * w->out_height + b->row * M + y;
            const size_t at = row * w->out_width + b->column * M + x;
            const size_t count = least(columns - x, most);
            if (c->step->tail)
                xnor_tail_apply(&c->tail, at, count, NULL, place(w, b, y, x));
            else
                memcpy((float *)c->run->values[c->step->y] + at * w->outputs, place(w, b, y, x),
                       count * w->outputs * sizeof(float));
        }
}

// Products of all points go straight into the results: those of 16 outputs, which share a line of the cache, at a time.
static void do_few(const winograd_context *c, const winograd_block *b) {
    enum { M = XNOR_WINOGRAD_OUTPUTS, LANES = XNOR_WINOGRAD_LANES, AT_ONCE = 16 };
    const winograd_sizes *w = &c->sizes;
    const winograd_piece t = {b->x, b->row, b->column, b->columns};
    const float *weights = c->step->packed, *bias = c->step->parameters[0];
    xnor_winograd_few args = {.points = w->points, .channels = w->inner};
    few_range(w, w->points - 1, 0, &args.row_begin, &args.row_end);
    few_range(w, 0, w->points - 1, &args.column_begin, &args.column_end);
    cut(c, &t, 0, w->channels, b->cut);
    for (size_t i = 0; i < w->inner; i++) {
        const size_t channel = i % w->channels;
        c->run->kernels->winograd_in(w->points, LANES, b->cut + channel * w->cut_channel,
                                     c->offset[i / w->channels], b->in + i * w->in_stride, LANES,
                                     w->inner * w->in_stride);
    }
    float results[AT_ONCE * M * M * LANES];
    for (size_t first = 0; first < w->outputs; first += AT_ONCE) {
        const size_t count = least(w->outputs - first, AT_ONCE);
        for (size_t o = 0; o < count; o += 4) {
            const size_t at = least(first + o, w->outputs - 4);
            c->run->kernels->winograd_few(&args, b->in, weights, bias ? bias + at : NULL,
                                          results + o * M * M * LANES);
            weights += w->points * w->points * w->inner * 4;
        }
        store(c, b, 0, 0, first, count, results);
    }
}

static void do_many(const winograd_context *c, const winograd_block *b) {
    const winograd_sizes *w = &c->sizes;
    // Either of the two loops has one round only.
    const float *weights = c->step->packed;
    for (size_t at = 0; at < w->channels; at += w->chunk) {
        const size_t channels = least(w->channels - at, w->chunk);
        transform_in(c, b, at, channels);
        for (size_t done = 0; done < w->outputs; done += w->part) {
            // At least four, as they are stored; the last part may begin within the one before.
            const size_t first = least(done, w->outputs - 4);
            const size_t count = least(w->part, w->outputs - first);
            multiply(c, b, weights, channels, first, count, at > 0);
            if (at + channels == w->channels) transform_out(c, b, first, count);
        }
        weights += w->points * w->points * w->outputs * w->phases * channels;
    }
}

static void do_block(const winograd_context *c, size_t index, float *memory) {
    const winograd_sizes *w = &c->sizes;
    const size_t across = index % w->block_columns, down = index / w->block_columns % w->block_rows;
    winograd_block b = {.picture = index / w->block_columns / w->block_rows,
                        .row = down * w->rows,
                        .column = across * w->columns,
                        .cut = memory,
                        .in = memory + w->in_at,
                        .out = memory + w->out_at,
                        .sums = memory + w->sums_at};
    b.x =
        (const float *)c->run->values[c->step->x] + b.picture * w->height * w->width * w->channels;
    b.rows = least(w->rows, w->down - b.row);
    b.columns = least(w->columns, w->across - b.column);
    if (w->few)
        do_few(c, &b);
    else
        do_many(c, &b);
    finish(c, &b);
}

// A slot takes blocks until none is left.
static void tile_slots(void *context, size_t begin, size_t end) {
    winograd_context *c = context;
    for (size_t slot = begin; slot < end; slot++) {
        float *memory = (float *)c->run->values[c->step->scratch] + slot * c->sizes.slot;
        for (;;) {
            const size_t index = atomic_fetch_add_explicit(&c->next, 1, memory_order_relaxed);
            if (index >= c->sizes.blocks || is_cancelled(c->run)) break;
            do_block(c, index, memory);
        }
    }
}

static void find_offsets(winograd_context *c) {
    const winograd_sizes *w = &c->sizes;
    for (size_t p = 0; p < w->phases; p++)
        for (size_t i = 0; i < w->points * w->points; i++) {
            const winograd_phase phase = winograd_phase_of(w->stride, p);
            const size_t y = i / w->points * w->stride + phase.y;
            const size_t x = i % w->points * w->stride + phase.x;
            c->offset[p][i] = y * w->cut_row + x % w->step * w->cut_column + x / w->step;
        }
}

xnor_status xnor_step_winograd(const xnor_step *s, const xnor_run *run) {
    winograd_context c = {.step = s, .run = run};
    const xnor_value *values = s->graph->values;
    const xnor_shape *x = &values[s->node->inputs[0]].shape;
    xnor_conv conv;
    XNOR_TRY(xnor_conv_read(s->node, x, &values[s->node->inputs[1]].shape, &conv));
    winograd_sizes_of(&conv, x, &values[s->node->outputs[0]].shape, s->x != s->node->inputs[0],
                      &c.sizes);
    atomic_init(&c.next, 0);
    find_offsets(&c);
    if (s->tail) xnor_tail_bind(s->tail, run, &c.tail);
    xnor_parallel_for(run->pool, c.sizes.slots, 1, run->cancel, tile_slots, &c);
    return XNOR_OK;
}
