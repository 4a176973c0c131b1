// Benchmark of every kernel set. Per shape, the limit loop, portable C and the sets take turns,
// round after round, and medians are compared: a neighbour's load hits all of them alike.
#define _POSIX_C_SOURCE 200809L
#include "harness.h"
#include "limits.h"

#include "core/size.h"
#include "exec/borders.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS 25
#define MIN_ROUND_NS 100000.0
#define MAX_SETS 4

typedef enum work_kind { WORK_BITS, WORK_FMA, WORK_MOVE, WORK_UNFOLD } work_kind;

typedef struct bench_shape {
    const char *family;
    size_t rows, k, n;
    work_kind kind;
} bench_shape;

static const bench_shape shapes[] = {
    {"gemm_thr", 1024, 512, 512, WORK_BITS},
    {"gemm_thr", 1024, 64, 64, WORK_BITS},
    {"gemm_thr", 1024, 64, 128, WORK_BITS},
    {"gemm_thr", 1024, 128, 1024, WORK_BITS},
    {"gemm_thr", 1024, 1088, 512, WORK_BITS},
    {"gemm_thr", 1024, 2048, 256, WORK_BITS},
    {"gemm_thr", 1, 1024, 512, WORK_BITS},
    {"gemm_thr", 1, 256, 4096, WORK_BITS},
    {"gemm_thr", 3, 1024, 512, WORK_BITS},
    {"gemm_max", 1024, 128, 1024, WORK_BITS},
    {"gemm_max", 550, 128, 1024, WORK_BITS},
    {"gemm_max", 1024, 64, 64, WORK_BITS},
    {"gemm_acc", 1024, 64, 64, WORK_BITS},
    {"gemm_acc", 1024, 576, 64, WORK_BITS},
    {"gemm_acc", 1, 1024, 512, WORK_BITS},
    {"gemm_acc", 1, 256, 4096, WORK_BITS},
    {"gemm_acc_ternary", 1024, 576, 64, WORK_BITS},
    {"conv3x3_64_120x160", 120 * 160, 9 * 64, 64, WORK_BITS},
    {"conv3x3_18_120x160", 120 * 160, 9 * 18, 18, WORK_BITS},
    {"conv3x3_36_120x160", 120 * 160, 9 * 36, 36, WORK_BITS},
    {"conv3x3_72_120x160", 120 * 160, 9 * 72, 72, WORK_BITS},
    {"sums3x3_64_120x160", 120 * 160, 9 * 64, 64, WORK_BITS},
    {"sums3x3_18_120x160", 120 * 160, 9 * 18, 18, WORK_BITS},
    {"sums3x3_36_120x160", 120 * 160, 9 * 36, 36, WORK_BITS},
    {"sums3x3_72_120x160", 120 * 160, 9 * 72, 72, WORK_BITS},
    {"inner3x3_64_1x158", 158, 9 * 64, 64, WORK_BITS},
    {"inner3x3_18_1x158", 158, 9 * 18, 18, WORK_BITS},
    {"inner3x3_36_1x158", 158, 9 * 36, 36, WORK_BITS},
    {"inner3x3_72_1x158", 158, 9 * 72, 72, WORK_BITS},
    {"patches3x3_64_120x160", 120 * 160, 9 * 64, 64, WORK_UNFOLD},
    {"patches3x3_18_120x160", 120 * 160, 9 * 18, 18, WORK_UNFOLD},
    {"patches3x3_72_120x160", 120 * 160, 9 * 72, 72, WORK_UNFOLD},
    {"gemm_thr", 1024, 162, 18, WORK_BITS},
    {"gemm_thr", 1024, 324, 36, WORK_BITS},
    {"gemm_thr", 1024, 648, 72, WORK_BITS},
    {"gemm_acc", 1024, 162, 18, WORK_BITS},
    {"gemm_acc_ternary", 1024, 162, 18, WORK_BITS},
    {"gemm_acc_ternary", 1, 1024, 512, WORK_BITS},
    {"gemm_max_ternary", 20, 64, 128, WORK_BITS},
    {"gemm_max_ternary", 1024, 64, 128, WORK_BITS},
    {"gemm_f32", 1024, 64, 64, WORK_FMA},
    {"gemm_f32", 1024, 3, 64, WORK_FMA},
    {"gemm_f32", 1024, 64, 9, WORK_FMA},
    {"gemm_f32", 1, 256, 4096, WORK_FMA},
    {"gemm_f32", 1, 256, 10, WORK_FMA},
    {"depthwise_f32", 64, 9, 64, WORK_FMA},
    {"depthwise_f32", 64, 25, 24, WORK_FMA},
    {"gemm_f32_bits", 1024, 3, 64, WORK_FMA},
    {"gemm_f32_bits", 16384, 3, 64, WORK_FMA},
    {"gemm_f32_bits", 1024, 64, 64, WORK_FMA},
    {"pack_f32", 1024, 1, 64, WORK_MOVE},
    {"pack_f32_ternary", 1024, 1, 64, WORK_MOVE},
    {"acc_thr", 1024, 1, 512, WORK_MOVE},
    {"distances_f32", 12, 3, 1024, WORK_FMA},
    {"distances_f32", 12, 64, 1024, WORK_FMA},
    {"code_distances", 12, 64, 1024, WORK_FMA},
    {"nearest_f32", 12, 20, 1024, WORK_MOVE},
    {"rows_affine", 256, 1, 128, WORK_MOVE},
    {"rows_max", 256, 1, 1024, WORK_MOVE},
    {"rows_magnitude", 256, 1, 128, WORK_MOVE},
    {"pointwise", 64, 1, 64, WORK_MOVE},
    {"pointwise", 64, 1, 18, WORK_MOVE},
};

typedef struct bench_data {
    uint64_t *bits_a, *bits_mask, *bits_w, *bits_out;
    int32_t *limit, *acc;
    float *a, *b, *bias, *out, *values;
    int64_t *nearest;
    void *packed[MAX_SETS];
} bench_data;

static void *aligned(size_t bytes) {
    void *memory = aligned_alloc(64, xnor_align_up(bytes + 1, 64));
    if (!memory) {
        perror("aligned_alloc");
        exit(1);
    }
    memset(memory, 0, bytes);
    return memory;
}

static void make_data(const bench_shape *s, bench_data *d) {
    const size_t k_words = xnor_words(s->k);
    const size_t n_words = xnor_words(s->n);
    d->bits_a = aligned(s->rows * k_words * sizeof(uint64_t));
    d->bits_mask = aligned(s->rows * k_words * sizeof(uint64_t));
    d->bits_w = aligned(s->n * k_words * sizeof(uint64_t));
    d->bits_out = aligned(2 * s->rows * n_words * sizeof(uint64_t));
    d->limit = aligned(s->n * sizeof(int32_t));
    d->acc = aligned(s->rows * s->n * sizeof(int32_t));
    d->a = aligned(s->rows * s->k * s->n * (s->kind == WORK_MOVE ? sizeof(float) : 0) +
                   s->rows * s->k * sizeof(float));
    d->b = aligned(s->k * s->n * sizeof(float));
    d->bias = aligned(s->n * 64 * sizeof(float)); // also repeated to whole blocks
    d->out = aligned(s->rows * s->n * sizeof(float));
    d->values = aligned(s->k * sizeof(float));
    d->nearest = aligned(s->k * sizeof(int64_t));
    random_seed(7);
    fill_bits(d->bits_a, s->rows, s->k, k_words, PATTERN_RANDOM);
    fill_bits(d->bits_mask, s->rows, s->k, k_words, PATTERN_RANDOM);
    fill_bits(d->bits_w, s->n, s->k, k_words, PATTERN_RANDOM);
    for (size_t i = 0; i < s->n; i++) d->limit[i] = (int32_t)s->k / 2;
    const size_t a_count = s->kind == WORK_MOVE ? s->rows * s->n : s->rows * s->k;
    for (size_t i = 0; i < a_count; i++) d->a[i] = random_float(false);
    if (strcmp(s->family, "nearest_f32") == 0)
        for (size_t i = 0; i < a_count; i++) d->a[i] = fabsf(d->a[i]);
    for (size_t i = 0; i < s->k * s->n; i++) d->b[i] = random_float(false);
    for (size_t i = 0; i < s->n * 64; i++) d->bias[i] = random_float(false);
}

static void free_data(bench_data *d, size_t sets) {
    void *all[] = {d->bits_a, d->bits_mask, d->bits_w, d->bits_out, d->limit,
                   d->acc,    d->a,         d->b,      d->bias,     d->out};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) free(all[i]);
    for (size_t i = 0; i < sets; i++) free(d->packed[i]);
}

// A 3 x 3 convolution of stride 1 with zero padding over a map of bits, as a step of a plan does it: by the set itself
// where it can, else some pixels are unfolded and multiplied at a time. What padding makes wrong is added to the
// sums; where only bits are wanted, pixels at the border are computed twice.
enum { CONV_WIDTH = 160, CONV_TILE_WORDS = 2048, CONV_MAX_PIXELS = 128, CONV_MAX_ACC = 8192 };

typedef struct conv_case {
    const xnor_kernels *set;
    xnor_bits_conv bits;
    bool prepared;
    size_t height;
    xnor_patch_args window;
    xnor_gemm_args gemm;
    const int32_t *thr;
    uint64_t *out; // [height][CONV_WIDTH][n_words]
    size_t n_words;
    xnor_step step;
    borders borders;
    uint64_t rows[CONV_TILE_WORDS];
    int32_t acc[CONV_MAX_ACC];
} conv_case;

static void make_conv(conv_case *c, const xnor_kernels *set, const bench_shape *s,
                      const bench_data *d, const void *packed) {
    const size_t channels = s->k / 9;
    c->set = set;
    c->thr = d->acc;
    c->out = d->bits_out;
    c->n_words = xnor_words(s->n);
    c->height = s->rows < CONV_WIDTH ? 3 : s->rows / CONV_WIDTH; // a row lies in the middle
    c->window = (xnor_patch_args){.height = c->height, .width = CONV_WIDTH};
    c->window.pixel_stride = xnor_words(channels);
    c->window.channels = channels;
    c->window.kernel_h = c->window.kernel_w = 3;
    c->window.stride_h = c->window.stride_w = c->window.dilation_h = c->window.dilation_w = 1;
    c->window.pad_top = c->window.pad_left = 1;
    c->window.plane = d->bits_a;
    c->gemm = (xnor_gemm_args){.k = s->k, .n = s->n, .n_end = s->n, .packed = packed};
    c->gemm.a_stride = xnor_words(s->k);
    c->gemm.a = c->rows;
    c->bits = (xnor_bits_conv){.window = c->window, .out_width = CONV_WIDTH, .packed = packed};
    c->bits.k = s->k;
    c->bits.n = s->n;
    c->prepared = set->conv_prepare && set->conv_prepare(&c->bits);
}

static void make_borders(conv_case *c) {
    borders *b = &c->borders;
    c->step = (xnor_step){.k = c->gemm.k, .n = c->gemm.n, .groups = 1, .packed = c->gemm.packed};
    b->kernels = c->set;
    b->step = &c->step;
    b->args = c->window;
    b->out_width = CONV_WIDTH;
    b->image_lines = c->height;
    b->times = 1;
    b->inner_begin[0] = b->inner_begin[1] = 1;
    b->inner_end[0] = c->height - 1;
    b->inner_end[1] = CONV_WIDTH - 1;
    xnor_borders_make(b);
}

// Pixels of an output line, or of all, of which at most `left` are left.
static size_t next_tile(const conv_case *c, size_t left) {
    const size_t unfolded = CONV_TILE_WORDS / c->gemm.a_stride / 16 * 16;
    const size_t fitting = CONV_MAX_ACC / c->gemm.n / 16 * 16;
    size_t room = c->prepared || unfolded > CONV_MAX_PIXELS ? CONV_MAX_PIXELS : unfolded;
    if (fitting < room) room = fitting;
    return left < room ? left : room;
}

static void conv_unfold(conv_case *c, size_t first, size_t count) {
    const size_t x = first % CONV_WIDTH;
    const size_t run = CONV_WIDTH - x < count ? CONV_WIDTH - x : count, words = c->gemm.a_stride;
    c->set->patch_bits(&c->window, first / CONV_WIDTH, x, run, c->rows, words);
    if (run < count)
        c->set->patch_bits(&c->window, first / CONV_WIDTH + 1, 0, count - run,
                           c->rows + run * words, words);
    c->gemm.rows = count;
}

static void conv_sums(conv_case *c, size_t first, size_t count) {
    if (c->prepared) {
        c->set->conv_acc(&c->bits, c->window.plane, first, count, c->acc, c->gemm.n);
    } else {
        conv_unfold(c, first, count);
        c->set->gemm_acc(&c->gemm, c->acc, c->gemm.n);
    }
    xnor_borders_add(&c->borders, first, count, c->acc);
}

static void conv_bits(conv_case *c, size_t first, size_t count) {
    uint64_t *out = c->out + first * c->n_words;
    if (c->prepared) {
        c->set->conv_thr(&c->bits, c->window.plane, first, count, out, c->n_words);
    } else {
        conv_unfold(c, first, count);
        c->set->gemm_thr(&c->gemm, out, c->n_words);
    }
}

// `count` pixels of row y from x on, or of column x from y on.
static void conv_border(conv_case *c, size_t y, size_t x, bool column, size_t count) {
    const size_t words = c->gemm.a_stride, n = c->gemm.n, run = column ? 1 : count;
    for (size_t i = 0; i < count; i += run)
        c->set->patch_bits(&c->window, y + i, x, run, c->rows + i * words, words);
    c->gemm.rows = count;
    c->set->gemm_acc(&c->gemm, c->acc, n);
    for (size_t i = 0; i < count; i += run)
        xnor_borders_add(&c->borders, (y + i) * CONV_WIDTH + x, run, c->acc + i * n);
    c->set->acc_thr(count, n, c->acc, n, c->thr, c->out + (y * CONV_WIDTH + x) * c->n_words,
                    (column ? CONV_WIDTH : 1) * c->n_words);
}

// One row of inner pixels: a convolution without its borders.
static void run_inner(conv_case *c) {
    for (size_t x = 1, tile = 0; x < CONV_WIDTH - 1; x += tile) {
        tile = next_tile(c, CONV_WIDTH - 1 - x);
        conv_bits(c, CONV_WIDTH + x, tile);
    }
}

static void run_conv(conv_case *c) {
    const size_t bottom = c->height - 1, right = CONV_WIDTH - 1, pixels = c->height * CONV_WIDTH;
    size_t tile = 0;
    make_borders(c);
    for (size_t i = 0; i < pixels; i += tile) conv_bits(c, i, tile = next_tile(c, pixels - i));
    c->prepared = false; // rows for gemm
    for (size_t x = 0; x <= right; x += tile) {
        tile = next_tile(c, right + 1 - x);
        conv_border(c, 0, x, false, tile);
        conv_border(c, bottom, x, false, tile);
    }
    for (size_t y = 1; y < bottom; y += tile) {
        tile = next_tile(c, bottom - y);
        conv_border(c, y, 0, true, tile);
        conv_border(c, y, right, true, tile);
    }
}

static void run_conv_sums(conv_case *c) {
    const size_t pixels = c->height * CONV_WIDTH;
    make_borders(c);
    for (size_t i = 0, tile = 0; i < pixels; i += tile)
        conv_sums(c, i, tile = next_tile(c, pixels - i));
}

static void run_patches(conv_case *c) {
    size_t tile = 0;
    for (size_t y = 1; y + 1 < c->window.height; y++) {
        for (size_t x = 1; x < CONV_WIDTH - 1; x += tile) {
            tile = next_tile(c, CONV_WIDTH - 1 - x);
            c->set->patch_bits(&c->window, y, x, tile, c->rows, c->gemm.a_stride);
        }
    }
}

static bool is_conv(const char *family) {
    return strstr(family, "3x3") != NULL;
}

static void run_once(const xnor_kernels *set, const bench_shape *s, bench_data *d,
                     const void *packed) {
    const xnor_gemm_args args = {.rows = s->rows,
                                 .k = s->k,
                                 .n = s->n,
                                 .n_end = s->n,
                                 .a = d->bits_a,
                                 .mask = d->bits_mask,
                                 .a_stride = xnor_words(s->k),
                                 .packed = packed};
    const size_t n_words = xnor_words(s->n);
    const char *family = s->family;
    if (is_conv(family)) {
        static conv_case conv;
        make_conv(&conv, set, s, d, packed);
        if (strncmp(family, "sums", 4) == 0)
            run_conv_sums(&conv);
        else if (strncmp(family, "inner", 5) == 0)
            run_inner(&conv);
        else if (strncmp(family, "patches", 7) == 0)
            run_patches(&conv);
        else
            run_conv(&conv);
    } else if (strcmp(family, "gemm_thr") == 0) {
        set->gemm_thr(&args, d->bits_out, n_words);
    } else if (strcmp(family, "gemm_max") == 0) {
        set->gemm_max(&args, d->acc);
    } else if (strcmp(family, "gemm_acc") == 0) {
        set->gemm_acc(&args, d->acc, s->n);
    } else if (strcmp(family, "gemm_acc_ternary") == 0) {
        set->gemm_acc_ternary(&args, d->acc, s->n);
    } else if (strcmp(family, "gemm_max_ternary") == 0) {
        set->gemm_max_ternary(&args, d->acc);
    } else if (strcmp(family, "gemm_f32") == 0) {
        set->gemm_f32(s->rows, s->k, s->n, d->a, s->k, d->b, s->n, d->bias, d->out, s->n);
    } else if (strcmp(family, "depthwise_f32") == 0) {
        // Every pixel looks at the same taps: as many loads as for others.
        size_t offset[32];
        for (size_t t = 0; t < s->k; t++) offset[t] = t * s->n;
        set->depthwise_f32(&(xnor_depthwise_args){s->rows, s->n, s->k, d->b, 0, offset, d->b,
                                                  offset, d->bias, s->n},
                           d->out);
    } else if (strcmp(family, "gemm_f32_bits") == 0) {
        set->gemm_f32_bits(s->rows, s->k, s->n, d->a, s->k, d->b, s->n, d->bias, d->bits_out,
                           n_words);
    } else if (strcmp(family, "pack_f32") == 0) {
        set->pack_f32(s->rows, s->n, d->a, s->n, d->bits_out, n_words);
    } else if (strcmp(family, "pack_f32_ternary") == 0) {
        set->pack_f32_ternary(s->rows, s->n, d->a, s->n, d->bits_out,
                              d->bits_out + s->rows * n_words, n_words);
    } else if (strcmp(family, "distances_f32") == 0) {
        set->distances_f32(s->rows, s->n / XNOR_PANEL, s->k, d->a, s->k, d->b, d->out, s->n);
    } else if (strcmp(family, "code_distances") == 0) {
        const int16_t *codes = (const int16_t *)(const void *)d->a;
        set->code_distances(s->rows, s->n / XNOR_PANEL, s->k / 2, codes, d->acc,
                            (const int16_t *)(const void *)d->b, d->acc, 1, d->out, s->n);
    } else if (strcmp(family, "nearest_f32") == 0) {
        for (size_t r = 0; r < s->rows; r++)
            set->nearest_f32(s->n, 1, d->bias, d->b, d->a + r * s->n, 0, 0, s->k, d->values,
                             d->nearest);
    } else if (strcmp(family, "rows_affine") == 0) {
        set->rows_affine(s->rows, s->n, d->acc, s->n, d->a, d->bias, d->bias, d->out, s->n);
    } else if (strcmp(family, "rows_max") == 0) {
        set->rows_max(s->rows, s->n, d->acc, s->n, d->a, d->out);
    } else if (strcmp(family, "rows_magnitude") == 0) {
        set->rows_magnitude(s->rows, s->n, d->a, s->n, -1, 1, d->out);
    } else if (strcmp(family, "pointwise") == 0) {
        // What follows a binary convolution with a skip: normalised, added, clipped, kept and its signs.
        xnor_pointwise p = {s->n,
                            s->n % 64 ? 32 * s->n : 2 * s->n,
                            5,
                            {{XNOR_POINTWISE_AFFINE, .a = d->bias, .b = d->bias},
                             {XNOR_POINTWISE_ADD, .a = d->a},
                             {XNOR_POINTWISE_SIGNS, .y = d->bits_out},
                             {XNOR_POINTWISE_CLIP, .low = -1, .high = 1},
                             {XNOR_POINTWISE_STORE, .y = d->out}}};
        const int32_t *const acc = d->acc;
        set->pointwise(&p, 0, s->rows, &acc, NULL);
    } else {
        set->acc_thr(s->rows, s->n, d->acc, s->n, d->limit, d->bits_out, n_words);
    }
}

static double now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int compare_doubles(const void *a, const void *b) {
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t count) {
    qsort(values, count, sizeof *values, compare_doubles);
    return values[count / 2];
}

// ns of one call: `repeats` calls are timed together.
static double time_kernel(const xnor_kernels *set, const bench_shape *s, bench_data *d,
                          const void *packed, size_t repeats) {
    const double start = now_ns();
    for (size_t i = 0; i < repeats; i++) run_once(set, s, d, packed);
    return (now_ns() - start) / (double)repeats;
}

// ns per unit of work of the limit loop, over about a tenth of a millisecond.
static double time_limit(const limit_loops *limit, work_kind kind) {
    const size_t rounds = 10000;
    const double start = now_ns();
    if (kind == WORK_FMA)
        limit->fma(rounds);
    else
        limit->popcount(rounds);
    const double elapsed = now_ns() - start;
    return elapsed / (double)(rounds * (kind == WORK_FMA ? limit->fmas : limit->bit_macs));
}

static void bench_one(const bench_shape *s, const xnor_kernels *sets, size_t set_count) {
    bench_data d = {0};
    make_data(s, &d);
    size_t repeats[MAX_SETS];
    for (size_t i = 0; i < set_count; i++) {
        d.packed[i] = aligned(sets[i].gemm_packed_bytes(s->k, s->n));
        sets[i].gemm_pack(s->k, s->n, d.bits_w, d.limit, d.packed[i]);
        run_once(&sets[i], s, &d, d.packed[i]);
        const double once = time_kernel(&sets[i], s, &d, d.packed[i], 1);
        repeats[i] = once < MIN_ROUND_NS ? (size_t)(MIN_ROUND_NS / (once + 1)) + 1 : 1;
    }
    static double ns[MAX_SETS][ROUNDS];
    static double limit_ns[MAX_SETS][ROUNDS];
    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < set_count; i++) {
            const limit_loops *limit = limit_for(sets[i].isa);
            if (limit) limit_ns[i][round] = time_limit(limit, s->kind);
            ns[i][round] = time_kernel(&sets[i], s, &d, d.packed[i], repeats[i]);
        }
    }
    const double work = (double)s->rows * (double)s->k * (double)s->n;
    double c_ns = 0;
    for (size_t i = 0; i < set_count; i++) {
        const double median_ns = median(ns[i], ROUNDS);
        if (i == 0) c_ns = median_ns;
        printf("%-13s %-21s %5zu x %4zu x %4zu %12.0f ns %8.1f G/s", sets[i].isa, s->family,
               s->rows, s->k, s->n, median_ns, work / median_ns);
        if (limit_for(sets[i].isa) && s->kind <= WORK_FMA) {
            printf("  %5.1f %% of limit", 100 * work * median(limit_ns[i], ROUNDS) / median_ns);
        }
        printf("  %6.1f x c\n", c_ns / median_ns);
        fflush(stdout);
    }
    free_data(&d, set_count);
}

int run_kernels(const char *isa, const char *only, size_t times) {
    xnor_kernels set;
    if (xnor_kernels_select(&set, isa) != XNOR_OK) return 1;
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        const bench_shape *s = &shapes[i];
        if (strncmp(s->family, only, strlen(only)) != 0) continue;
        bench_data d = {0};
        make_data(s, &d);
        d.packed[0] = aligned(set.gemm_packed_bytes(s->k, s->n));
        set.gemm_pack(s->k, s->n, d.bits_w, d.limit, d.packed[0]);
        for (size_t t = 0; t < times; t++) run_once(&set, s, &d, d.packed[0]);
        free_data(&d, 1);
    }
    return 0;
}

int run_benchmark(const char *isa, const char *only) {
    xnor_kernels sets[MAX_SETS];
    size_t count = 0;
    for (const char *const *name = xnor_kernels_available(); *name && count < MAX_SETS; name++) {
        if (isa && strcmp(*name, isa) != 0 && strcmp(*name, "c") != 0) continue;
        if (xnor_kernels_select(&sets[count], *name) == XNOR_OK) count++;
    }
    puts("G/s: bit-MAC, fma or elements in thousands of millions per second; medians of turns");
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        if (strncmp(shapes[i].family, only, strlen(only)) == 0) bench_one(&shapes[i], sets, count);
    }
    return 0;
}
