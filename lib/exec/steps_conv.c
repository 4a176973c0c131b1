// Binary convolutions. Some output pixels at a time are multiplied by the kernel set itself where it can,
// else unfolded to rows of bits on the stack. Taps beyond the image are 0 bits at first; what that makes wrong
// is added to the sums. Ternary images have a mask of what is not 0.
#include "exec/steps_conv.h"

#include <string.h>

#include "core/size.h"
#include "core/tensor.h"
#include "exec/borders.h"
#include "exec/tail.h"
#include "exec/tiles.h"
#include "ops/patches.h"

typedef struct conv {
    const xnor_step *step;
    const xnor_run *run;
    xnor_patch_args args; // plane: of the first image
    int padded;
    bool ternary; // the image, and it has zeros
    bool thr;     // bits at once, without sums
    bool prepared;
    xnor_bits_conv bits;
    size_t out_width, out_pixels; // of an image
    size_t image_words;           // of one plane of one image
    size_t plane_words;           // of all images, up to the plane of what is not 0
    size_t words;                 // of a row
    size_t columns;               // sums of a pixel
    size_t capacity;              // pixels at a time
    borders borders;
    xnor_bound_tail tail;             // where the step has one
    bool part_masked[XNOR_MAX_PARTS]; // its other layers
} conv;

// Neighbouring output pixels of one image, counted over all images.
typedef struct pixels {
    size_t first, count;
} pixels;

typedef struct batch {
    pixels runs[CONV_PIXELS]; // at the border
    size_t run_count, count;
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

// Pixels of one line. mask: of a ternary image only, padded taps are not 0 there unless padded with it.
static void unfold_line(const conv *c, const xnor_patch_args *args, size_t y, size_t x,
                        size_t count, uint64_t *rows, uint64_t *mask) {
    const xnor_kernels *kernels = c->run->kernels;
    kernels->patch_bits(args, y, x, count, rows, c->words);
    if (!c->ternary) return;
    if (c->padded > 0) {
        xnor_patch_inside(args, y, x, count, mask, c->words);
        set_outside(c, count, mask, rows);
    }
    xnor_patch_args nonzero = *args;
    nonzero.plane += c->plane_words;
    kernels->patch_bits(&nonzero, y, x, count, mask, c->words);
    if (c->padded != 0) {
        uint64_t inside[CONV_ROW_WORDS];
        xnor_patch_inside(args, y, x, count, inside, c->words);
        set_outside(c, count, inside, mask);
    }
}

static void unfold(const conv *c, const pixels *p, size_t group, uint64_t *rows, uint64_t *mask) {
    xnor_patch_args args = c->args;
    args.channel_begin = group * args.channels;
    args.plane += p->first / c->out_pixels * c->image_words;
    const size_t pixel = p->first % c->out_pixels;
    size_t y = pixel / c->out_width, x = pixel % c->out_width;
    for (size_t done = 0; done < p->count; y++, x = 0) {
        const size_t left = c->out_width - x;
        const size_t run = left < p->count - done ? left : p->count - done;
        unfold_line(c, &args, y, x, run, rows + done * c->words, mask + done * c->words);
        done += run;
    }
}

// ---- multiplying --------------------------------------------------------------------------------

static xnor_gemm_args gemm_of(const conv *c, size_t group, const batch *b, size_t rows) {
    const xnor_step *s = c->step;
    const size_t bytes = c->run->kernels->gemm_packed_bytes(s->k, s->n);
    return (xnor_gemm_args){.rows = rows,
                            .k = s->k,
                            .n = s->n,
                            .n_end = s->n,
                            .a = b->rows,
                            .mask = c->ternary ? b->mask : NULL,
                            .a_stride = c->words,
                            .packed = (const uint8_t *)s->packed + group * bytes};
}

static const uint64_t *plane_of(const conv *c, const pixels *p) {
    return c->args.plane + p->first / c->out_pixels * c->image_words;
}

// Sums of neighbouring pixels, borders and all: [count][columns], in the room of the step's layer.
static int32_t *sum(const conv *c, batch *b, const pixels *p) {
    const xnor_step *s = c->step;
    const xnor_kernels *kernels = c->run->kernels;
    int32_t *acc = b->acc + (s->tail ? s->layer * (CONV_SUMS / s->layer_count) : 0);
    if (c->prepared) {
        kernels->conv_acc(&c->bits, plane_of(c, p), p->first % c->out_pixels, p->count, acc,
                          c->columns);
    }
    for (size_t g = 0; g < s->groups && !c->prepared; g++) {
        unfold(c, p, g, b->rows, b->mask);
        const xnor_gemm_args args = gemm_of(c, g, b, p->count);
        (c->ternary ? kernels->gemm_acc_ternary : kernels->gemm_acc)(&args, acc + g * s->n,
                                                                     c->columns);
    }
    xnor_borders_add(&c->borders, p->first, p->count, acc);
    return acc;
}

// Bits of neighbouring pixels, as if taps beyond the image were 0 bits.
static void threshold(const conv *c, batch *b, const pixels *p) {
    const xnor_kernels *kernels = c->run->kernels;
    const size_t words = xnor_words(c->columns);
    uint64_t *y = (uint64_t *)c->run->values[c->step->y] + p->first * words;
    if (c->prepared) {
        kernels->conv_thr(&c->bits, plane_of(c, p), p->first % c->out_pixels, p->count, y, words);
        return;
    }
    unfold(c, p, 0, b->rows, b->mask);
    const xnor_gemm_args args = gemm_of(c, 0, b, p->count);
    kernels->gemm_thr(&args, y, words);
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

static size_t clamp(size_t x, size_t low, size_t high) {
    return x < low ? low : x > high ? high : x;
}

// Pixels at the border once more, many runs at a time: the bits of `threshold` are wrong there.
static void flush_border(const conv *c, batch *b) {
    size_t at = 0;
    for (size_t i = 0; i < b->run_count; i++) {
        unfold(c, &b->runs[i], 0, b->rows + at * c->words, b->mask);
        at += b->runs[i].count;
    }
    const xnor_gemm_args args = gemm_of(c, 0, b, b->count);
    if (b->count) c->run->kernels->gemm_acc(&args, b->acc, c->columns);
    int32_t *acc = b->acc;
    for (size_t i = 0; i < b->run_count; i++) {
        const pixels *p = &b->runs[i];
        xnor_borders_add(&c->borders, p->first, p->count, acc);
        emit(c, p, acc);
        acc += p->count * c->columns;
    }
    b->run_count = b->count = 0;
}

static void add_border(const conv *c, batch *b, size_t first, size_t end) {
    const size_t capacity =
        clamp(CONV_SUMS / c->columns, 1, clamp(CONV_ROW_WORDS / c->words, 1, CONV_PIXELS));
    while (first < end) {
        const size_t count = clamp(capacity - b->count, 0, end - first);
        b->runs[b->run_count++] = (pixels){first, count};
        b->count += count;
        first += count;
        if (b->count == capacity) flush_border(c, b);
    }
}

// Of pixels first .. end of one line those whose windows reach beyond the image.
static void add_border_of_line(const conv *c, batch *b, size_t first, size_t end) {
    const borders *border = &c->borders;
    const size_t origin = first / c->out_width * c->out_width;
    const size_t y = first % c->out_pixels / c->out_width;
    size_t begin = clamp(origin + border->inner_begin[1], first, end);
    size_t stop = clamp(origin + border->inner_end[1], begin, end);
    if (y < border->inner_begin[0] || y >= border->inner_end[0]) begin = stop = end;
    add_border(c, b, first, begin);
    add_border(c, b, stop, end);
}

static void tile_conv(void *context, size_t begin, size_t end) {
    const conv *c = context;
    batch b;
    for (pixels p = {begin, 0}; p.first < end; p.first += p.count) {
        const size_t image = (p.first / c->out_pixels + 1) * c->out_pixels;
        p.count = clamp(c->capacity, 1, (image < end ? image : end) - p.first);
        if (c->thr) {
            threshold(c, &b, &p);
        } else {
            emit(c, &p, sum(c, &b, &p));
        }
    }
    b.run_count = b.count = 0;
    for (size_t first = begin; c->thr && c->borders.times && first < end;) {
        const size_t line = (first / c->out_width + 1) * c->out_width;
        const size_t stop = line < end ? line : end;
        add_border_of_line(c, &b, first, stop);
        first = stop;
    }
    flush_border(c, &b);
}

// ---- the step -----------------------------------------------------------------------------------

static void prepare(conv *c, const xnor_window *window) {
    const xnor_step *s = c->step;
    const xnor_kernels *kernels = c->run->kernels;
    const size_t height = c->out_pixels / c->out_width;
    c->bits = (xnor_bits_conv){.window = c->args, .out_width = c->out_width};
    c->bits.k = s->k;
    c->bits.n = s->n;
    c->bits.packed = s->packed;
    c->prepared =
        !c->ternary && s->groups == 1 && kernels->conv_prepare && kernels->conv_prepare(&c->bits);
    borders *b = &c->borders;
    b->kernels = kernels;
    b->step = s;
    b->args = c->args;
    b->out_width = c->out_width;
    b->image_lines = height;
    b->times = c->ternary ? 0 : c->padded + 1;
    const int64_t sizes[2] = {(int64_t)c->args.height, (int64_t)c->args.width};
    const int64_t counts[2] = {(int64_t)height, (int64_t)c->out_width};
    bool all_inner = true;
    for (uint32_t i = 0; i < 2; i++) {
        int64_t begin, end;
        xnor_window_inside(window, i, sizes[i], counts[i], &begin, &end);
        b->inner_begin[i] = (size_t)begin;
        b->inner_end[i] = (size_t)end;
        all_inner = all_inner && begin == 0 && end == counts[i];
    }
    if (all_inner) b->times = 0;
    xnor_borders_make(b);
    // Pixels at the border are computed twice then: not where they are many.
    c->thr = s->run == xnor_step_conv_thr && s->groups == 1 && !c->ternary &&
             (b->times == 0 || (c->out_width >= CONV_THR_WIDTH && height >= CONV_THR_WIDTH));
}

static xnor_status run_conv(const xnor_step *s, const xnor_run *run) {
    xnor_patches p;
    XNOR_TRY(xnor_patches_read(s->patches, &p));
    const xnor_value *x = &s->graph->values[s->x];
    const xnor_shape *windows = &s->graph->values[s->patches->outputs[0]].shape;
    const size_t height = (size_t)x->shape.dims[1], width = (size_t)x->shape.dims[2];
    const size_t channels = (size_t)x->shape.dims[3], pixel_words = xnor_words(channels);
    conv c;
    c.step = s;
    c.run = run;
    c.args = (xnor_patch_args){.height = height,
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
                               .plane = run->values[s->x]};
    c.padded = p.padded;
    c.out_width = (size_t)windows->dims[2];
    c.out_pixels = (size_t)windows->dims[1] * c.out_width;
    c.image_words = height * width * pixel_words;
    c.plane_words = (size_t)x->shape.dims[0] * c.image_words;
    c.words = xnor_words(s->k);
    c.columns = s->groups * s->n;
    if (s->tail) {
        xnor_tail_bind(s->tail, run, &c.tail);
        xnor_layers_masked(s, run, c.part_masked);
    }
    c.ternary = x->dtype == XNOR_TERNARY &&
                xnor_has_zero(xnor_shape_rows(&x->shape), channels,
                              (const uint64_t *)run->values[s->x] + c.plane_words);
    prepare(&c, &p.window);
    c.capacity =
        c.prepared ? CONV_PREPARED_PIXELS : clamp(CONV_ROW_WORDS / c.words, 1, CONV_PIXELS);
    const size_t sums = c.columns * (s->tail ? s->layer_count : 1);
    c.capacity = clamp(CONV_SUMS / sums, 1, c.capacity);
    if (c.capacity > 32) c.capacity = c.capacity / 32 * 32; // whole tiles
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
