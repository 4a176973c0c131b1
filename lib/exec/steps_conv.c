// Binary convolutions. Some output pixels at a time are unfolded to rows of bits on the stack and
// multiplied. Windows that lie inside the image are plain bits; those that reach beyond it have taps of
// value 0, and a mask of the others, as have those of ternary images.
#include "exec/steps_conv.h"

#include <string.h>

#include "core/size.h"
#include "core/tensor.h"
#include "exec/tail.h"
#include "exec/tiles.h"
#include "ops/patches.h"

typedef struct conv {
    const xnor_step *step;
    const xnor_run *run;
    xnor_patch_args args; // plane: of the first image
    int padded;
    bool ternary; // the image, and it has zeros
    size_t out_height, out_width;
    size_t inner_begin[2], inner_end[2]; // output pixels whose windows lie inside: height, width
    size_t image_words;                  // of one plane of one image
    size_t plane_words;                  // of all images, up to the plane of what is not 0
    size_t words;                        // of a row
    size_t columns;                      // sums of a pixel
    size_t capacity;                     // pixels at a time
    xnor_bound_tail tail;                // where the step has one
    bool part_masked[XNOR_MAX_PARTS];    // its other layers
} conv;

// Neighbouring output pixels in one line, counted over all images.
typedef struct pixels {
    size_t first, count;
} pixels;

typedef struct batch {
    pixels runs[CONV_PIXELS];
    size_t run_count, count;
    bool masked;
    uint64_t rows[CONV_ROW_WORDS];
    uint64_t mask[CONV_ROW_WORDS];
    int32_t acc[CONV_SUMS];
} batch;

// ---- unfolding ----------------------------------------------------------------------------------

// Taps outside the image: 1 bits of ~inside, as far as the row goes.
static void set_outside(const conv *c, size_t count, const uint64_t *inside, uint64_t *rows) {
    const size_t k = c->step->k;
    const uint64_t last = k % 64 ? (UINT64_C(1) << k % 64) - 1 : UINT64_MAX;
    for (size_t i = 0; i < count * c->words; i++)
        rows[i] |= ~inside[i] & (i % c->words + 1 == c->words ? last : UINT64_MAX);
}

static void unfold(const conv *c, const pixels *p, size_t group, bool masked, uint64_t *rows,
                   uint64_t *mask) {
    const xnor_kernels *kernels = c->run->kernels;
    const size_t pixel = p->first % (c->out_height * c->out_width);
    const size_t image = p->first / (c->out_height * c->out_width);
    const size_t y = pixel / c->out_width, x = pixel % c->out_width;
    xnor_patch_args args = c->args;
    args.channel_begin = group * args.channels;
    args.plane += image * c->image_words;
    kernels->patch_bits(&args, y, x, p->count, rows, c->words);
    if (c->padded == 0) {
        if (c->ternary) {
            args.plane += c->plane_words;
            kernels->patch_bits(&args, y, x, p->count, mask, c->words);
        } else if (masked) {
            xnor_patch_inside(&args, y, x, p->count, mask, c->words);
        }
        return;
    }
    // A padded tap is a sign like others; 0 bits are -1 already.
    if (c->padded > 0) {
        xnor_patch_inside(&args, y, x, p->count, mask, c->words);
        set_outside(c, p->count, mask, rows);
    }
    if (c->ternary) {
        uint64_t inside[CONV_ROW_WORDS];
        xnor_patch_inside(&args, y, x, p->count, inside, c->words);
        args.plane += c->plane_words;
        kernels->patch_bits(&args, y, x, p->count, mask, c->words);
        set_outside(c, p->count, inside, mask);
    }
}

// ---- what becomes of the sums -------------------------------------------------------------------

// Of all layers of the step; those that are no convolution are multiplied here.
static void emit_tail(const conv *c, const pixels *p, int32_t *acc) {
    const xnor_step *s = c->step;
    const size_t size = CONV_SUMS / s->layer_count;
    const int32_t *layers[XNOR_MAX_PARTS];
    int32_t *const first = acc - s->layer * size;
    for (size_t i = 0; i < s->layer_count; i++) layers[i] = first + i * size;
    xnor_layers(s, c->run, c->part_masked, p->first, p->first + p->count, first, size);
    xnor_tail_apply(&c->tail, p->first, p->count, layers, NULL);
}

static void emit(const conv *c, const pixels *p, int32_t *acc) {
    const xnor_step *s = c->step;
    const size_t n = c->columns, words = xnor_words(n);
    if (s->tail) {
        emit_tail(c, p, acc);
        return;
    }
    void *y = c->run->values[s->y];
    uint64_t *positive = (uint64_t *)y + p->first * words;
    uint64_t *nonzero = positive + s->rows * words;
    if (s->run == xnor_step_conv_acc) {
        memcpy((int32_t *)y + p->first * n, acc, p->count * n * sizeof *acc);
    } else if (s->run == xnor_step_conv_thr) {
        c->run->kernels->acc_thr(p->count, n, acc, n, s->parameters[0], positive, words);
    } else if (s->run == xnor_step_conv_thr_ternary) {
        xnor_rows_thr_ternary(c->run->kernels, p->count, n, acc, s->parameters[0], s->parameters[1],
                              positive, nonzero);
    } else {
        bool ternary = s->graph->values[s->y].dtype == XNOR_TERNARY;
        xnor_rows_table(p->count, n, acc, s->parameters[0], s->offset, positive,
                        ternary ? nonzero : NULL);
    }
}

// Rows of plain bits of which only thresholds are wanted: bits at once.
static void multiply_thr(const conv *c, batch *b, const xnor_gemm_args *args) {
    const size_t words = xnor_words(c->columns);
    uint64_t *y = c->run->values[c->step->y];
    if (b->run_count == 1) {
        c->run->kernels->gemm_thr(args, y + b->runs[0].first * words, words);
        return;
    }
    uint64_t *bits = (uint64_t *)(void *)b->mask; // plain rows have none
    c->run->kernels->gemm_thr(args, bits, words);
    for (size_t i = 0; i < b->run_count; i++) {
        const size_t size = b->runs[i].count * words;
        memcpy(y + b->runs[i].first * words, bits, size * sizeof *bits);
        bits += size;
    }
}

static void flush(const conv *c, batch *b) {
    const xnor_step *s = c->step;
    const xnor_kernels *kernels = c->run->kernels;
    const size_t bytes = kernels->gemm_packed_bytes(s->k, s->n);
    int32_t *acc = b->acc + (s->tail ? s->layer * (CONV_SUMS / s->layer_count) : 0);
    for (size_t g = 0; g < s->groups && b->count; g++) {
        size_t at = 0;
        for (size_t i = 0; i < b->run_count; i++) {
            unfold(c, &b->runs[i], g, b->masked, b->rows + at, b->mask + at);
            at += b->runs[i].count * c->words;
        }
        xnor_gemm_args args = {.rows = b->count,
                               .k = s->k,
                               .n = s->n,
                               .n_end = s->n,
                               .a = b->rows,
                               .a_stride = c->words,
                               .packed = (const uint8_t *)s->packed + g * bytes};
        if (s->run == xnor_step_conv_thr && s->groups == 1 && !b->masked) {
            multiply_thr(c, b, &args);
            b->run_count = b->count = 0;
            return;
        }
        args.mask = b->masked ? b->mask : NULL;
        (b->masked ? kernels->gemm_acc_ternary : kernels->gemm_acc)(&args, acc + g * s->n,
                                                                    c->columns);
    }

    for (size_t i = 0; i < b->run_count; i++) {
        emit(c, &b->runs[i], acc);
        acc += b->runs[i].count * c->columns;
    }
    b->run_count = b->count = 0;
}

// ---- which pixels -------------------------------------------------------------------------------

static void add(const conv *c, batch *b, size_t first, size_t end) {
    while (first < end) {
        size_t room = c->capacity - b->count;
        size_t count = end - first < room ? end - first : room;
        b->runs[b->run_count++] = (pixels){first, count};
        b->count += count;
        first += count;
        if (b->count == c->capacity) flush(c, b);
    }
}

static size_t clamp(size_t x, size_t low, size_t high) {
    return x < low ? low : x > high ? high : x;
}

// Adds of pixels first .. end of one line those whose windows reach beyond the image, or the others.
static void add_line(const conv *c, batch *b, size_t first, size_t end, bool border) {
    const size_t line = first / c->out_width, y = line % c->out_height;
    const size_t origin = line * c->out_width;
    size_t begin = clamp(origin + c->inner_begin[1], first, end);
    size_t stop = clamp(origin + c->inner_end[1], begin, end);
    if (y < c->inner_begin[0] || y >= c->inner_end[0]) begin = stop = end;
    if (border) {
        add(c, b, first, begin);
        add(c, b, stop, end);
    } else {
        add(c, b, begin, stop);
    }
}

static void tile_conv(void *context, size_t begin, size_t end) {
    const conv *c = context;
    batch b;
    // Signs beyond the image, or masks inside it: every window is of one kind.
    const bool alike = c->padded != 0 || c->ternary;
    b.run_count = b.count = 0;
    for (int border = 0; border < 2; border++) {
        b.masked = c->ternary || (border && !alike);
        for (size_t first = begin; first < end;) {
            size_t line_end = (first / c->out_width + 1) * c->out_width;
            size_t stop = line_end < end ? line_end : end;
            if (!alike)
                add_line(c, &b, first, stop, border != 0);
            else if (border)
                add(c, &b, first, stop);
            first = stop;
        }
        flush(c, &b);
    }
}

static xnor_status run_conv(const xnor_step *s, const xnor_run *run) {
    xnor_patches p;
    XNOR_TRY(xnor_patches_read(s->patches, &p));
    const xnor_value *x = &s->graph->values[s->x];
    const xnor_shape *windows = &s->graph->values[s->patches->outputs[0]].shape;
    const size_t height = (size_t)x->shape.dims[1], width = (size_t)x->shape.dims[2];
    const size_t channels = (size_t)x->shape.dims[3], pixel_words = xnor_words(channels);
    conv c = {.step = s,
              .run = run,
              .args = {.height = height,
                       .width = width,
                       .pixel_stride = pixel_words,
                       .channels = channels / s->groups,
                       .kernel_h = (size_t)p.window.kernel[0],
                       .kernel_w = (size_t)p.window.kernel[1],
                       .stride_h = (size_t)p.window.stride[0],
                       .stride_w = (size_t)p.window.stride[1],
                       .dilation_h = (size_t)p.window.dilation[0],
                       .dilation_w = (size_t)p.window.dilation[1],
                       .pad_top = (size_t)p.window.pad_begin[0],
                       .pad_left = (size_t)p.window.pad_begin[1],
                       .plane = run->values[s->x]},
              .padded = p.padded,
              .out_height = (size_t)windows->dims[1],
              .out_width = (size_t)windows->dims[2],
              .image_words = height * width * pixel_words,
              .plane_words = (size_t)x->shape.dims[0] * height * width * pixel_words,
              .words = xnor_words(s->k),
              .columns = s->groups * s->n};
    if (s->tail) {
        xnor_tail_bind(s->tail, run, &c.tail);
        xnor_layers_masked(s, run, c.part_masked);
    }
    c.ternary = x->dtype == XNOR_TERNARY &&
                xnor_has_zero(xnor_shape_rows(&x->shape), channels,
                              (const uint64_t *)run->values[s->x] + c.plane_words);
    for (uint32_t i = 0; i < 2; i++) {
        int64_t begin, end;
        xnor_window_inside(&p.window, i, x->shape.dims[i + 1], windows->dims[i + 1], &begin, &end);
        c.inner_begin[i] = (size_t)begin;
        c.inner_end[i] = (size_t)end;
    }
    c.capacity = clamp(CONV_ROW_WORDS / c.words, 1, CONV_PIXELS);
    const size_t sums = c.columns * (s->tail ? s->layer_count : 1);
    c.capacity = clamp(CONV_SUMS / sums, 1, c.capacity);
    // Tiles small enough that every thread gets some, of whole capacities.
    size_t share = (s->rows + xnor_pool_threads(run->pool) - 1) / xnor_pool_threads(run->pool);
    size_t tile = xnor_align_up(clamp(share, 1, TILE_ROWS), c.capacity);
    xnor_parallel_for(run->pool, s->rows, tile, run->cancel, tile_conv, &c);
    return XNOR_OK;
}

#define CONV_STEP(name)                                                                            \
    xnor_status xnor_step_##name(const xnor_step *s, const xnor_run *run) {                        \
        return run_conv(s, run);                                                                   \
    }
CONV_STEP(conv_acc)
CONV_STEP(conv_thr)
CONV_STEP(conv_thr_ternary)
CONV_STEP(conv_table)
CONV_STEP(conv_tail)
