// Checks every kernel set that this CPU offers against portable C, and portable C against a
// bit-by-bit evaluation, on random and on adversarial inputs. A plain main(), so that it also runs
// where a test framework cannot start (qemu-user, boards).
//
//   check                 prints a line per set and family, then "N passed, N failed"
//   check --isa NAME      only that set
//   check --bench         benchmark instead, see bench.c; --only PREFIX: of some kernels
//   check --run N         these kernels N times, for tools that count instructions
#include "harness.h"

#include "core/size.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct checker {
    const xnor_kernels *expected;
    const xnor_kernels *found;
    size_t work_limit; // cases with more multiply-accumulates are left out: the naive set is slow
    const char *family;
    size_t passed;
    size_t failed;
} checker;

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
static const size_t row_counts[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 33};

static void note(checker *check, bool equal, const char *what, ptrdiff_t offset) {
    if (equal) {
        check->passed++;
        return;
    }
    if (check->failed++ == 0) {
        printf("%-13s %-17s MISMATCH at byte %td: %s\n", check->found->isa, check->family, offset,
               what);
    }
}

static void compare(checker *check, size_t bytes, bool floats, const char *what) {
    ptrdiff_t offset = 0;
    const bool equal = outputs_equal(bytes, floats, &offset);
    note(check, equal, what, offset);
}

static bit_pattern random_pattern(void) {
    return (bit_pattern)random_below(PATTERN_COUNT);
}

static size_t random_rows(void) {
    return random_below(24) == 0 ? 150 + random_below(300)
                                 : row_counts[random_below(COUNT(row_counts))];
}

// ---- packing and thresholds ---------------------------------------------------------------------

static const size_t column_counts[] = {1,  3,  15, 16, 17,  31,  32,  33,  63,
                                       64, 65, 72, 80, 127, 128, 130, 200, 1024};

static void check_pack(checker *check, bool ternary) {
    for (size_t i = 0; i < COUNT(column_counts) * 16; i++) {
        const size_t cols = column_counts[i % COUNT(column_counts)];
        const size_t rows = random_rows();
        const size_t x_stride = cols + random_below(3);
        const size_t words = xnor_words(cols);
        const size_t stride = words + random_below(3);
        const size_t count = strided(rows, cols, x_stride);
        float *x = input(SLOT_X, count * sizeof *x);
        const bool special = random_below(4) != 0;
        const bool plane = random_below(4) == 0;
        for (size_t j = 0; j < count; j++) x[j] = plane ? 1.0f : random_float(special);

        const size_t plane_words = rows * stride;
        const size_t bytes = plane_words * (ternary ? 2 : 1) * sizeof(uint64_t);
        const xnor_kernels *sets[SIDE_COUNT] = {check->expected, check->found};
        bool any_zero[SIDE_COUNT] = {false, false};
        for (output_side side = 0; side < SIDE_COUNT; side++) {
            uint64_t *out = output(side, bytes);
            if (ternary) {
                any_zero[side] = sets[side]->pack_f32_ternary(rows, cols, x, x_stride, out,
                                                              out + plane_words, stride);
            } else {
                sets[side]->pack_f32(rows, cols, x, x_stride, out, stride);
            }
        }
        char what[128];
        snprintf(what, sizeof what, "rows %zu, cols %zu, strides %zu %zu", rows, cols, x_stride,
                 stride);
        compare(check, bytes, false, what);
        note(check, any_zero[SIDE_EXPECTED] == any_zero[SIDE_FOUND], what, 0);
    }
}

static void check_pack_f32(checker *check) {
    check_pack(check, false);
}

static void check_pack_f32_ternary(checker *check) {
    check_pack(check, true);
}

static void check_acc_thr(checker *check) {
    static const int32_t edges[] = {INT32_MIN, INT32_MIN + 1, -1, 0, 1, INT32_MAX - 1, INT32_MAX};
    for (size_t i = 0; i < COUNT(column_counts) * 12; i++) {
        const size_t cols = column_counts[i % COUNT(column_counts)];
        const size_t rows = random_rows();
        const size_t acc_stride = cols + random_below(3);
        const size_t stride = xnor_words(cols) + random_below(3);
        const size_t count = strided(rows, cols, acc_stride);
        int32_t *acc = input(SLOT_A, count * sizeof *acc);
        int32_t *thr = input(SLOT_LIMIT, cols * sizeof *thr);
        for (size_t j = 0; j < count; j++) {
            acc[j] = random_below(3) ? (int32_t)random_below(9) - 4 : edges[random_below(7)];
        }
        for (size_t j = 0; j < cols; j++) {
            thr[j] = random_below(3) ? (int32_t)random_below(9) - 4 : edges[random_below(7)];
        }
        const size_t bytes = rows * stride * sizeof(uint64_t);
        check->expected->acc_thr(rows, cols, acc, acc_stride, thr, output(SIDE_EXPECTED, bytes),
                                 stride);
        check->found->acc_thr(rows, cols, acc, acc_stride, thr, output(SIDE_FOUND, bytes), stride);
        char what[128];
        snprintf(what, sizeof what, "rows %zu, cols %zu, strides %zu %zu", rows, cols, acc_stride,
                 stride);
        compare(check, bytes, false, what);
    }
}

// ---- binary gemm --------------------------------------------------------------------------------

typedef struct gemm_case {
    xnor_gemm_args args;
    const uint64_t *w;
    int32_t *limit;
    size_t out_stride; // in elements of the output
    void *packed[SIDE_COUNT];
    int32_t *max[SIDE_COUNT];
    char what[160];
} gemm_case;

typedef void gemm_check(checker *check, gemm_case *c);

static int32_t row_distance(const gemm_case *c, size_t m, size_t channel) {
    const size_t words = xnor_words(c->args.k);
    int32_t sum = 0;
    for (size_t j = 0; j < words; j++) {
        sum +=
            __builtin_popcountll(c->args.a[m * c->args.a_stride + j] ^ c->w[channel * words + j]);
    }
    return sum;
}

// Limits at the edges of their range and exactly at, above and below values that occur.
static void fill_limits(gemm_case *c) {
    const int32_t k = (int32_t)c->args.k;
    const int32_t edges[] = {-1, 0, k, k - 1, k + 1, k + 1000, INT32_MIN, INT32_MAX, -7};
    for (size_t i = 0; i < c->args.n; i++) {
        if (random_below(3) == 0) {
            c->limit[i] = edges[random_below(COUNT(edges))];
        } else {
            c->limit[i] =
                row_distance(c, random_below(c->args.rows), i) + (int32_t)random_below(3) - 1;
        }
    }
}

static void fill_gemm_inputs(gemm_case *c, size_t rows, size_t k, size_t n) {
    const size_t words = xnor_words(k);
    const size_t a_stride = words + random_below(3);
    const size_t a_words = strided(rows, words, a_stride);
    uint64_t *w = input(SLOT_W, n * words * sizeof *w);
    uint64_t *a = input(SLOT_A, a_words * sizeof *a);
    uint64_t *mask = input(SLOT_MASK, a_words * sizeof *mask);
    const bit_pattern pattern = random_below(2) ? PATTERN_RANDOM : random_pattern();
    fill_bits(w, n, k, words, random_below(2) ? PATTERN_RANDOM : random_pattern());
    fill_bits(a, rows, k, a_stride, pattern);
    fill_bits(mask, rows, k, a_stride, random_pattern());
    if (random_below(4) == 0) { // a row that differs from a channel everywhere, and one nowhere
        const uint64_t last = k % 64 ? (1ull << k % 64) - 1 : ~0ull;
        const size_t channel = random_below(n);
        for (size_t j = 0; j < words; j++) a[j] = ~w[channel * words + j];
        a[words - 1] &= last;
        memcpy(a + (rows - 1) * a_stride, w + channel * words, words * sizeof *a);
    }
    c->w = w;
    c->args =
        (xnor_gemm_args){.rows = rows, .k = k, .n = n, .n_end = n, .a = a, .a_stride = a_stride};
    c->limit = input(SLOT_LIMIT, n * sizeof *c->limit);
    fill_limits(c);
    c->args.mask = mask;
}

static void choose_range(gemm_case *c) {
    const size_t blocks = (c->args.n + XNOR_GEMM_BLOCK - 1) / XNOR_GEMM_BLOCK;
    c->args.n_begin = 0;
    c->args.n_end = c->args.n;
    if (random_below(3) == 0) {
        const size_t first = random_below(blocks);
        const size_t count = 1 + random_below(blocks - first);
        c->args.n_begin = first * XNOR_GEMM_BLOCK;
        if (first + count < blocks) c->args.n_end = (first + count) * XNOR_GEMM_BLOCK;
    }
    snprintf(c->what, sizeof c->what, "rows %zu, k %zu, n %zu, range %zu..%zu, a_stride %zu",
             c->args.rows, c->args.k, c->args.n, c->args.n_begin, c->args.n_end, c->args.a_stride);
}

static void pack_case(checker *check, gemm_case *c, bool with_limit) {
    const xnor_kernels *sets[SIDE_COUNT] = {check->expected, check->found};
    for (output_side side = 0; side < SIDE_COUNT; side++) {
        const size_t bytes = sets[side]->gemm_packed_bytes(c->args.k, c->args.n);
        note(check, bytes % 64 == 0, "packed size is not a multiple of 64", 0);
        c->packed[side] = input(side == SIDE_EXPECTED ? SLOT_PACKED_REF : SLOT_PACKED, bytes);
        memset(c->packed[side], 0x5A, bytes);
        // One side packs with limits, the other sets them afterwards.
        const bool replace = with_limit && side == SIDE_FOUND;
        sets[side]->gemm_pack(c->args.k, c->args.n, c->w, with_limit && !replace ? c->limit : NULL,
                              c->packed[side]);
        if (replace) sets[side]->gemm_limits(c->args.k, c->args.n, c->limit, c->packed[side]);
    }
}

static const xnor_gemm_args *side_args(gemm_case *c, output_side side) {
    c->args.packed = c->packed[side];
    return &c->args;
}

static void check_one_acc(checker *check, gemm_case *c) {
    const xnor_kernels *sets[SIDE_COUNT] = {check->expected, check->found};
    const size_t stride = c->args.n + random_below(3);
    const size_t bytes = c->args.rows * stride * sizeof(int32_t);
    for (output_side side = 0; side < SIDE_COUNT; side++) {
        sets[side]->gemm_acc(side_args(c, side), output(side, bytes), stride);
    }
    compare(check, bytes, false, c->what);
}

static void check_one_thr(checker *check, gemm_case *c) {
    const xnor_kernels *sets[SIDE_COUNT] = {check->expected, check->found};
    const size_t stride = xnor_words(c->args.n) + random_below(3);
    const size_t bytes = c->args.rows * stride * sizeof(uint64_t);
    for (output_side side = 0; side < SIDE_COUNT; side++) {
        sets[side]->gemm_thr(side_args(c, side), output(side, bytes), stride);
    }
    compare(check, bytes, false, c->what);
}

// The running maxima before the call.
static void begin_max(gemm_case *c, int32_t *expected, int32_t *found) {
    const bool fresh = random_below(2) == 0;
    c->max[SIDE_EXPECTED] = expected;
    c->max[SIDE_FOUND] = found;
    for (size_t i = 0; i < c->args.n; i++) {
        const int32_t spread = (int32_t)random_below(2 * c->args.k + 1) - (int32_t)c->args.k;
        expected[i] = found[i] = fresh ? INT32_MIN : spread;
    }
}

static void check_one_max(checker *check, gemm_case *c) {
    const size_t bytes = c->args.n * sizeof(int32_t);
    begin_max(c, output(SIDE_EXPECTED, bytes), output(SIDE_FOUND, bytes));
    check->expected->gemm_max(side_args(c, SIDE_EXPECTED), c->max[SIDE_EXPECTED]);
    check->found->gemm_max(side_args(c, SIDE_FOUND), c->max[SIDE_FOUND]);
    compare(check, bytes, false, c->what);
}

// Sign bits outside the mask are 0; {0,1} activations are the mask itself.
static void make_ternary(gemm_case *c) {
    const size_t words = xnor_words(c->args.k);
    uint64_t *a = input(SLOT_A, strided(c->args.rows, words, c->args.a_stride) * sizeof *a);
    const bool zero_one = random_below(3) == 0;
    for (size_t m = 0; m < c->args.rows; m++) {
        for (size_t j = 0; j < words; j++) {
            const size_t at = m * c->args.a_stride + j;
            a[at] = zero_one ? c->args.mask[at] : a[at] & c->args.mask[at];
        }
    }
}

static void check_one_ternary(checker *check, gemm_case *c) {
    const xnor_kernels *sets[SIDE_COUNT] = {check->expected, check->found};
    const size_t stride = c->args.n + random_below(3);
    const size_t bytes = c->args.rows * stride * sizeof(int32_t);
    make_ternary(c);
    for (output_side side = 0; side < SIDE_COUNT; side++) {
        sets[side]->gemm_acc_ternary(side_args(c, side), output(side, bytes), stride);
    }
    compare(check, bytes, false, c->what);
}

static void check_one_max_ternary(checker *check, gemm_case *c) {
    const size_t bytes = c->args.n * sizeof(int32_t);
    make_ternary(c);
    begin_max(c, output(SIDE_EXPECTED, bytes), output(SIDE_FOUND, bytes));
    check->expected->gemm_max_ternary(side_args(c, SIDE_EXPECTED), c->max[SIDE_EXPECTED]);
    check->found->gemm_max_ternary(side_args(c, SIDE_FOUND), c->max[SIDE_FOUND]);
    compare(check, bytes, false, c->what);
}

static void check_gemm(checker *check, gemm_check *one, bool with_limit) {
    static const size_t ks[] = {1,   3,   7,   8,   9,   15,   16,   17,   31,   32,   33,   63,
                                64,  65,  72,  127, 128, 129,  162,  191,  192,  240,  247,  248,
                                249, 253, 254, 255, 256, 257,  300,  320,  324,  496,  504,  511,
                                512, 513, 576, 640, 648, 1000, 1024, 1088, 1152, 2048, 2500, 4097};
    static const size_t ns[] = {1,  3,  18, 27,  36,  40,  41,  55,  63, 64,
                                65, 72, 90, 100, 128, 130, 192, 200, 320};
    for (size_t i = 0; i < COUNT(ks) * COUNT(ns) * 3; i++) {
        const size_t k = ks[i % COUNT(ks)];
        const size_t n = ns[i / COUNT(ks) % COUNT(ns)];
        const size_t rows = random_rows();
        if (rows * k * n > check->work_limit) continue;
        gemm_case c;
        fill_gemm_inputs(&c, rows, k, n);
        choose_range(&c);
        pack_case(check, &c, with_limit);
        one(check, &c);
    }
    static const size_t long_ks[] = {4608, 18432, 65533, 65534, 65535, 65536, 65600, 70001};
    for (size_t i = 0; i < COUNT(long_ks); i++) {
        gemm_case c;
        if (5 * long_ks[i] * 65 > check->work_limit) continue;
        fill_gemm_inputs(&c, 5, long_ks[i], 65);
        choose_range(&c);
        pack_case(check, &c, with_limit);
        one(check, &c);
    }
}

static void check_gemm_acc(checker *check) {
    check_gemm(check, check_one_acc, false);
}

static void check_gemm_thr(checker *check) {
    check_gemm(check, check_one_thr, true);
}

static void check_gemm_max(checker *check) {
    check_gemm(check, check_one_max, false);
}

static void check_gemm_ternary(checker *check) {
    check_gemm(check, check_one_ternary, false);
}

static void check_gemm_max_ternary(checker *check) {
    check_gemm(check, check_one_max_ternary, false);
}

// ---- patches ------------------------------------------------------------------------------------

// Mostly as networks have them, sometimes anything: windows may lie wholly outside the plane.
static xnor_patch_args random_window(size_t i) {
    static const size_t channel_counts[] = {1,  2,  3,  5,  17, 18, 27, 31,  32,  33,  36,  45,
                                            54, 63, 64, 65, 72, 90, 96, 127, 128, 144, 192, 200};
    static const size_t kernels[] = {1, 2, 3, 3, 3, 5, 7};
    static const size_t sizes[] = {1, 1, 2, 3, 5, 8, 9, 16, 21, 40};
    xnor_patch_args a = {.channels = channel_counts[i % COUNT(channel_counts)]};
    a.channel_begin = random_below(3) ? 0 : random_below(2) ? 64 : random_below(150);
    a.pixel_stride = xnor_words(a.channel_begin + a.channels) + (random_below(3) ? 0 : 1);
    a.height = sizes[random_below(COUNT(sizes))];
    a.width = sizes[random_below(COUNT(sizes))];
    const bool square = random_below(3) != 0;
    a.kernel_h = kernels[random_below(COUNT(kernels))];
    a.kernel_w = square ? a.kernel_h : kernels[random_below(COUNT(kernels))];
    a.stride_h = random_below(3) ? 1 : 1 + random_below(4);
    a.stride_w = random_below(3) ? a.stride_h : 1 + random_below(4);
    a.dilation_h = random_below(3) ? 1 : 1 + random_below(4);
    a.dilation_w = random_below(3) ? a.dilation_h : 1 + random_below(4);
    const bool usual = random_below(3) != 0;
    a.pad_top = usual ? a.kernel_h / 2 * a.dilation_h : random_below(12);
    a.pad_left = usual ? a.kernel_w / 2 * a.dilation_w : random_below(12);
    return a;
}

// Output pixels 0 .. end of one axis, at least 1: as far as windows touch the plane, and a few more.
static size_t random_output(size_t extent, size_t pad, size_t stride) {
    return (extent + pad) / stride + 1 + random_below(3);
}

static void check_patch_bits(checker *check) {
    for (size_t i = 0; i < 24 * 120; i++) {
        xnor_patch_args a = random_window(i);
        const size_t pixels = a.height * a.width;
        const size_t used = xnor_words(a.channel_begin + a.channels);
        uint64_t *plane = input(SLOT_A, strided(pixels, used, a.pixel_stride) * sizeof *plane);
        const size_t cols = a.channel_begin + a.channels + (random_below(2) ? random_below(64) : 0);
        fill_bits(plane, pixels, cols < 64 * used ? cols : 64 * used, a.pixel_stride,
                  random_below(2) ? PATTERN_RANDOM : random_pattern());
        a.plane = plane;
        const size_t y = random_below(random_output(a.height, a.pad_top, a.stride_h));
        const size_t x_end = random_output(a.width, a.pad_left, a.stride_w);
        const size_t x_begin = random_below(2) ? 0 : random_below(x_end);
        const size_t count = random_below(3) ? x_end - x_begin : 1 + random_below(x_end - x_begin);
        const size_t words = xnor_words(a.kernel_h * a.kernel_w * a.channels);
        const size_t stride = words + random_below(3);
        const size_t bytes = strided(count, words, stride) * sizeof(uint64_t);
        char what[192];
        snprintf(what, sizeof what,
                 "%zux%zu, %zu channels from %zu of %zu words, kernel %zux%zu, strides %zu %zu, "
                 "dilations %zu %zu, pads %zu %zu, y %zu, x %zu + %zu",
                 a.height, a.width, a.channels, a.channel_begin, a.pixel_stride, a.kernel_h,
                 a.kernel_w, a.stride_h, a.stride_w, a.dilation_h, a.dilation_w, a.pad_top,
                 a.pad_left, y, x_begin, count);
        check->expected->patch_bits(&a, y, x_begin, count, output(SIDE_EXPECTED, bytes), stride);
        check->found->patch_bits(&a, y, x_begin, count, output(SIDE_FOUND, bytes), stride);
        compare(check, bytes, false, what);

        memset(plane, 0xFF, strided(pixels, used, a.pixel_stride) * sizeof *plane);
        check->expected->patch_bits(&a, y, x_begin, count, output(SIDE_EXPECTED, bytes), stride);
        xnor_patch_inside(&a, y, x_begin, count, output(SIDE_FOUND, bytes), stride);
        compare(check, bytes, false, what);
    }
}

// ---- float gemm ---------------------------------------------------------------------------------

static void check_f32(checker *check, bool bits) {
    static const size_t ks[] = {0, 1, 2, 3, 4, 6, 7, 16, 64, 65};
    static const size_t ns[] = {1,  2,  3,  4,  5,  7,  8,  9,  10, 12,  15,  16,  17,  18, 24,
                                31, 32, 33, 36, 47, 48, 63, 64, 65, 100, 127, 128, 130, 256};
    for (size_t i = 0; i < COUNT(ks) * COUNT(ns) * 5; i++) {
        const size_t k = ks[i % COUNT(ks)];
        const size_t n = ns[i / COUNT(ks) % COUNT(ns)];
        const size_t rows = random_rows();
        if (rows * (k + 1) * n * 64 > check->work_limit) continue;
        const size_t a_stride = k + random_below(3);
        const size_t b_stride = n + random_below(3);
        const size_t a_count = strided(rows, k, a_stride);
        const size_t b_count = k ? strided(k, n, b_stride) : 0;
        float *a = input(SLOT_A, a_count * sizeof *a);
        float *b = input(SLOT_B, b_count * sizeof *b);
        float *bias = random_below(3) ? input(SLOT_BIAS, n * sizeof *bias) : NULL;
        const bool special = random_below(2) == 0;
        for (size_t j = 0; j < a_count; j++) a[j] = random_float(special);
        for (size_t j = 0; j < b_count; j++) b[j] = random_float(special);
        for (size_t j = 0; bias && j < n; j++) bias[j] = random_float(special);

        const size_t stride = (bits ? xnor_words(n) : n) + random_below(3);
        const size_t bytes = rows * stride * (bits ? sizeof(uint64_t) : sizeof(float));
        const xnor_kernels *sets[SIDE_COUNT] = {check->expected, check->found};
        for (output_side side = 0; side < SIDE_COUNT; side++) {
            void *out = output(side, bytes);
            if (bits) {
                sets[side]->gemm_f32_bits(rows, k, n, a, a_stride, b, b_stride, bias, out, stride);
            } else {
                sets[side]->gemm_f32(rows, k, n, a, a_stride, b, b_stride, bias, out, stride);
            }
        }
        char what[160];
        snprintf(what, sizeof what, "rows %zu, k %zu, n %zu, strides %zu %zu %zu, bias %d", rows, k,
                 n, a_stride, b_stride, stride, bias != NULL);
        compare(check, bytes, !bits, what);
    }
}

static void check_gemm_f32(checker *check) {
    check_f32(check, false);
}

static void check_gemm_f32_bits(checker *check) {
    check_f32(check, true);
}

// ---- convolutions -------------------------------------------------------------------------------

static void random_conv_layer(xnor_bits_conv *conv) {
    static const size_t outputs[] = {1,  2,  3,  7,  8,   18,  36,  63, 64,
                                     64, 64, 65, 72, 100, 128, 144, 192};
    if (random_below(2)) { // as most wide layers
        conv->window.pixel_stride = 1 + random_below(4);
        conv->window.channels = 64 * conv->window.pixel_stride;
        conv->window.channel_begin = 0;
    }
    conv->k = conv->window.kernel_h * conv->window.kernel_w * conv->window.channels;
    conv->n = outputs[random_below(COUNT(outputs))];
}

// Rows of all pixels of `height` lines, unfolded.
static void unfold_lines(checker *check, const xnor_bits_conv *conv, size_t height,
                         uint64_t *rows) {
    const size_t words = xnor_words(conv->k);
    for (size_t y = 0; y < height; y++, rows += conv->out_width * words)
        check->expected->patch_bits(&conv->window, y, 0, conv->out_width, rows, words);
}

static void check_one_conv(checker *check, size_t i) {
    xnor_bits_conv conv = {.window = random_window(i)};
    random_conv_layer(&conv);
    const xnor_patch_args *a = &conv.window;
    const size_t pixels = a->height * a->width, words = xnor_words(conv.k), n = conv.n;
    const size_t used = xnor_words(a->channel_begin + a->channels);
    uint64_t *plane = input(SLOT_A, strided(pixels, used, a->pixel_stride) * sizeof *plane);
    fill_bits(plane, pixels, a->channel_begin + a->channels, a->pixel_stride, random_pattern());
    conv.window.plane = plane;
    const size_t height = random_output(a->height, a->pad_top, a->stride_h);
    conv.out_width = random_output(a->width, a->pad_left, a->stride_w);
    uint64_t *w = input(SLOT_W, n * words * sizeof *w);
    int32_t *limit = input(SLOT_LIMIT, n * sizeof *limit);
    fill_bits(w, n, conv.k, words, random_pattern());
    for (size_t c = 0; c < n; c++) limit[c] = (int32_t)random_below(conv.k + 2) - 1;
    void *packed = input(SLOT_PACKED, check->found->gemm_packed_bytes(conv.k, n));
    check->found->gemm_pack(conv.k, n, w, limit, packed);
    conv.packed = packed;
    if (!check->found->conv_prepare || !check->found->conv_prepare(&conv)) return;

    void *reference = input(SLOT_PACKED_REF, check->expected->gemm_packed_bytes(conv.k, n));
    check->expected->gemm_pack(conv.k, n, w, limit, reference);
    const size_t first = random_below(2) ? 0 : random_below(height * conv.out_width);
    const size_t left = height * conv.out_width - first;
    const size_t count = random_below(2) ? left : 1 + random_below(left);
    uint64_t *rows = input(SLOT_X, height * conv.out_width * words * sizeof *rows);
    unfold_lines(check, &conv, height, rows);
    const xnor_gemm_args gemm = {.rows = count,
                                 .k = conv.k,
                                 .n = n,
                                 .n_end = n,
                                 .a = rows + first * words,
                                 .a_stride = words,
                                 .packed = reference};
    char what[192];
    snprintf(what, sizeof what,
             "%zux%zu, %zu channels from %zu of %zu words, kernel %zux%zu, strides %zu %zu, "
             "dilations %zu %zu, pads %zu %zu, to %zu, pixels %zu + %zu of lines of %zu",
             a->height, a->width, a->channels, a->channel_begin, a->pixel_stride, a->kernel_h,
             a->kernel_w, a->stride_h, a->stride_w, a->dilation_h, a->dilation_w, a->pad_top,
             a->pad_left, n, first, count, conv.out_width);
    const size_t acc_stride = n + random_below(3), bit_stride = xnor_words(n) + random_below(2);
    size_t bytes = strided(count, n, acc_stride) * sizeof(int32_t);
    check->expected->gemm_acc(&gemm, output(SIDE_EXPECTED, bytes), acc_stride);
    check->found->conv_acc(&conv, plane, first, count, output(SIDE_FOUND, bytes), acc_stride);
    compare(check, bytes, false, what);
    bytes = strided(count, xnor_words(n), bit_stride) * sizeof(uint64_t);
    check->expected->gemm_thr(&gemm, output(SIDE_EXPECTED, bytes), bit_stride);
    check->found->conv_thr(&conv, plane, first, count, output(SIDE_FOUND, bytes), bit_stride);
    compare(check, bytes, false, what);
}

static void check_conv(checker *check) {
    for (size_t i = 0; i < 24 * 60; i++) check_one_conv(check, i);
}

// ---- depthwise convolution ----------------------------------------------------------------------

static void check_depthwise(checker *check) {
    static const size_t channel_counts[] = {1,  2,  3,  4,  5,  7,  8,  9,  12, 15,
                                            16, 17, 24, 31, 32, 33, 36, 48, 63, 100};
    enum { MOST_TAPS = 25 };
    for (size_t i = 0; i < COUNT(channel_counts) * 20; i++) {
        const size_t channels = channel_counts[i % COUNT(channel_counts)];
        const size_t count = 1 + random_below(13), taps = random_below(MOST_TAPS + 1);
        const size_t stride = channels * (1 + random_below(3)), span = random_below(200);
        size_t x_offset[MOST_TAPS], w_offset[MOST_TAPS];
        for (size_t t = 0; t < taps; t++) {
            x_offset[t] = random_below(span + 1);
            w_offset[t] = random_below(taps) * channels;
        }
        const size_t x_count = (count - 1) * stride + span + channels;
        float *x = input(SLOT_A, x_count * sizeof *x);
        float *w = input(SLOT_B, (taps + 1) * channels * sizeof *w);
        float *bias = random_below(3) ? input(SLOT_BIAS, channels * sizeof *bias) : NULL;
        const bool special = random_below(2) == 0;
        for (size_t j = 0; j < x_count; j++) x[j] = random_float(special);
        for (size_t j = 0; j < (taps + 1) * channels; j++) w[j] = random_float(special);
        for (size_t j = 0; bias && j < channels; j++) bias[j] = random_float(special);
        const size_t out_stride = channels + random_below(3);
        const xnor_depthwise_args args = {count,    channels, taps,     x,    stride,
                                          x_offset, w,        w_offset, bias, out_stride};
        const size_t bytes = ((count - 1) * out_stride + channels) * sizeof(float);
        check->expected->depthwise_f32(&args, output(SIDE_EXPECTED, bytes));
        check->found->depthwise_f32(&args, output(SIDE_FOUND, bytes));
        char what[96];
        snprintf(what, sizeof what, "%zu pixels of %zu channels, %zu taps, stride %zu", count,
                 channels, taps, stride);
        compare(check, bytes, true, what);
    }
}

// ---- points -------------------------------------------------------------------------------------

// Coordinates on a coarse grid, so that many distances are equal, or anything a float can be.
static float *fill_points(size_t n, size_t stride) {
    const size_t count = strided(3, n, stride);
    float *x = input(SLOT_X, count * sizeof *x);
    const bool special = random_below(3) == 0;
    for (size_t i = 0; i < count; i++)
        x[i] = special ? random_float(true) : (float)random_below(9) / 4.0f - 1.0f;
    return x;
}

static void check_farthest_f32(checker *check) {
    for (size_t i = 0; i < 2000; i++) {
        const size_t n = 1 + random_below(random_below(8) ? 70 : 700);
        const size_t stride = n + random_below(3);
        const float *x = fill_points(n, stride);
        const float query[3] = {x[random_below(n)], random_float(true), 0.5f};
        const size_t bytes = n * sizeof(float);
        float *nearest[SIDE_COUNT] = {output(SIDE_EXPECTED, bytes), output(SIDE_FOUND, bytes)};
        for (size_t j = 0; j < n; j++)
            nearest[0][j] = nearest[1][j] = random_below(4) ? (float)random_below(5) : INFINITY;
        const size_t expected =
            check->expected->farthest_f32(n, x, stride, query, nearest[SIDE_EXPECTED]);
        const size_t found = check->found->farthest_f32(n, x, stride, query, nearest[SIDE_FOUND]);
        char what[128];
        snprintf(what, sizeof what, "n %zu, stride %zu: %zu and %zu", n, stride, expected, found);
        compare(check, bytes, false, what);
        note(check, expected == found, what, 0);
    }
}

static void check_within_f32(checker *check) {
    for (size_t i = 0; i < 2000; i++) {
        const size_t n = 1 + random_below(random_below(8) ? 70 : 700);
        const size_t stride = n + random_below(3), k = random_below(40);
        const float *x = fill_points(n, stride);
        const float query[3] = {0.25f, random_below(4) ? -0.5f : random_float(true), 1.0f};
        const float limit = (float)random_below(9) / 4.0f;
        const size_t bytes = k * sizeof(int64_t);
        int64_t *first = output(SIDE_EXPECTED, bytes), *second = output(SIDE_FOUND, bytes);
        const size_t expected = check->expected->within_f32(n, x, stride, query, limit, k, first);
        const size_t found = check->found->within_f32(n, x, stride, query, limit, k, second);
        char what[128];
        snprintf(what, sizeof what, "n %zu, k %zu: %zu and %zu", n, k, expected, found);
        for (size_t j = expected; j < k; j++) first[j] = 0; // undefined
        for (size_t j = found; j < k; j++) second[j] = 0;
        compare(check, bytes, false, what);
        note(check, expected == found, what, 0);
    }
}

// ---- neighbours ---------------------------------------------------------------------------------

static void check_distances(checker *check) {
    static const size_t channel_counts[] = {1, 2, 3, 4, 7, 16, 64, 65};
    for (size_t i = 0; i < COUNT(channel_counts) * 24; i++) {
        const size_t channels = channel_counts[i % COUNT(channel_counts)];
        const size_t rows = 1 + random_below(20);
        const size_t panels = 1 + random_below(3);
        const size_t query_stride = channels + random_below(3);
        const size_t d_stride = panels * XNOR_PANEL + random_below(3);
        const size_t count = strided(rows, channels, query_stride);
        float *query = input(SLOT_A, count * sizeof *query);
        float *points = input(SLOT_B, panels * XNOR_PANEL * channels * sizeof *points);
        const bool special = random_below(2) == 0;
        for (size_t j = 0; j < count; j++) query[j] = random_float(special);
        for (size_t j = 0; j < panels * XNOR_PANEL * channels; j++)
            points[j] = random_float(special);
        const size_t bytes = strided(rows, panels * XNOR_PANEL, d_stride) * sizeof(float);
        check->expected->distances_f32(rows, panels, channels, query, query_stride, points,
                                       output(SIDE_EXPECTED, bytes), d_stride);
        check->found->distances_f32(rows, panels, channels, query, query_stride, points,
                                    output(SIDE_FOUND, bytes), d_stride);
        char what[128];
        snprintf(what, sizeof what, "rows %zu, panels %zu, channels %zu, strides %zu %zu", rows,
                 panels, channels, query_stride, d_stride);
        compare(check, bytes, false, what);
    }
}

static void check_code_distances(checker *check) {
    static const size_t pair_counts[] = {1, 2, 3, 8, 32, 33, 128};
    for (size_t i = 0; i < COUNT(pair_counts) * 24; i++) {
        const size_t pairs = pair_counts[i % COUNT(pair_counts)];
        const size_t rows = 1 + random_below(20), panels = 1 + random_below(3);
        const size_t d_stride = panels * XNOR_PANEL + random_below(3);
        const size_t point_count = panels * XNOR_PANEL;
        int16_t *query = input(SLOT_A, rows * pairs * 2 * sizeof *query);
        int16_t *points = input(SLOT_B, point_count * pairs * 2 * sizeof *points);
        int32_t *norms = input(SLOT_BIAS, (point_count + rows) * sizeof *norms);
        // The most that fits: half of the points at one end, half at the other.
        const bool extreme = random_below(3) == 0;
        const int most = (int)sqrt((double)(1 << 29) / (double)(2 * pairs)) - 1;
        for (size_t j = 0; j < (rows + point_count) * pairs * 2; j++) {
            int16_t *x = j < rows * pairs * 2 ? query + j : points + j - rows * pairs * 2;
            const int code = (int)random_below((size_t)(2 * most + 1)) - most;
            *x = (int16_t)(extreme ? (j < rows * pairs * 2 ? most : -most) : code);
        }
        memset(norms, 0, (point_count + rows) * sizeof *norms);
        for (size_t j = 0; j < rows * pairs * 2; j++)
            norms[point_count + j / (2 * pairs)] += query[j] * query[j];
        for (size_t j = 0; j < point_count * pairs * 2; j++)
            norms[j / (2 * pairs * XNOR_PANEL) * XNOR_PANEL + j / 2 % XNOR_PANEL] +=
                points[j] * points[j];
        const float scale = random_below(2) ? 1 : 0.0371f;
        const size_t bytes = strided(rows, point_count, d_stride) * sizeof(float);
        const xnor_kernels *sets[SIDE_COUNT] = {check->expected, check->found};
        for (output_side side = 0; side < SIDE_COUNT; side++)
            sets[side]->code_distances(rows, panels, pairs, query, norms + point_count, points,
                                       norms, scale, output(side, bytes), d_stride);
        char what[128];
        snprintf(what, sizeof what, "rows %zu, panels %zu, pairs %zu, stride %zu", rows, panels,
                 pairs, d_stride);
        compare(check, bytes, false, what);
    }
}

// What a filter has to cope with: coordinates as they occur, grids and duplicates with many equal
// distances, multiples of a factor that is no binary fraction, small differences far from the origin,
// all equal, everything that floats can be, and squares that vanish or nearly overflow.
static float coordinate(size_t kind) {
    switch (kind) {
    case 0:
        return random_float(false);
    case 1:
        return (float)random_below(3);
    case 2:
        return 0.0371f * (float)random_below(5) - 0.113f;
    case 3:
        return 1.0e4f + (float)random_below(64) / 512.0f;
    case 4:
        return 0.3f;
    case 5:
        return random_float(true);
    case 6:
        return 1.0e-22f * (float)random_below(6);
    case 7:
        return 3.0e18f * (float)random_below(8);
    default:
        return random_below(8) ? (float)random_below(100) / 7.0f : NAN;
    }
}

// [n][channels] as distances_f32 wants it; behind n zeros.
static float *panels_of(size_t n, size_t channels, const float *x) {
    const size_t panels = (n + XNOR_PANEL - 1) / XNOR_PANEL;
    float *out = input(SLOT_B, panels * XNOR_PANEL * channels * sizeof *out);
    memset(out, 0, panels * XNOR_PANEL * channels * sizeof *out);
    for (size_t j = 0; j < n; j++)
        for (size_t c = 0; c < channels; c++)
            out[(j / XNOR_PANEL * channels + c) * XNOR_PANEL + j % XNOR_PANEL] =
                x[j * channels + c];
    return out;
}

static void check_nearest(checker *check) {
    static const size_t ks[] = {1, 2, 5, 16, 20, 32, 33, 64, 128, 129, 200};
    static const size_t channel_counts[] = {1, 2, 3, 4, 7, 8, 9, 16, 64, 67, 130};
    enum { KINDS = 9, MOST = 1280 };
    for (size_t i = 0; i < COUNT(ks) * 60; i++) {
        const size_t k = ks[i % COUNT(ks)];
        const size_t channels = channel_counts[random_below(COUNT(channel_counts))];
        const size_t chunks = 1 + random_below(3), kind = random_below(KINDS);
        const size_t bytes = k * sizeof(float) + k * sizeof(int64_t);
        int64_t *expected = output(SIDE_EXPECTED, bytes);
        int64_t *found = output(SIDE_FOUND, bytes);
        float *query = input(SLOT_A, channels * sizeof *query);
        for (size_t c = 0; c < channels; c++) query[c] = coordinate(kind);
        size_t first = 0;
        for (size_t chunk = 0; chunk < chunks; chunk++) {
            const size_t n = random_below(4) ? 1 + random_below(1200) : 64 * (1 + random_below(16));
            float *x = input(SLOT_X, n * channels * sizeof *x);
            for (size_t j = 0; j < n * channels; j++) x[j] = coordinate(kind);
            static float all[MOST];
            check->found->distances_f32(1, (n + XNOR_PANEL - 1) / XNOR_PANEL, channels, query,
                                        channels, panels_of(n, channels, x), all, MOST);
            float *d = input(SLOT_BIAS, n * sizeof *d);
            memcpy(d, all, n * sizeof *d);
            const float most = random_below(2) ? 0 : fabsf(random_float(false)) / 64;
            for (size_t j = 0; j < n && most > 0; j++) { // roots anywhere within the slack
                const double root =
                    sqrt((double)all[j]) + (double)most * ((double)random_below(201) / 101 - 1);
                d[j] = root > 0 ? (float)(root * root) : 0;
            }
            check->expected->nearest_f32(n, channels, query, x, d, most, first, k,
                                         (float *)(expected + k), expected);
            check->found->nearest_f32(n, channels, query, x, d, most, first, k,
                                      (float *)(found + k), found);
            first += n;
        }
        char what[128];
        snprintf(what, sizeof what, "%zu points in %zu chunks, k %zu, channels %zu, kind %zu",
                 first, chunks, k, channels, kind);
        compare(check, bytes, false, what);
    }
}

static void check_edge_signs(checker *check) {
    for (size_t i = 0; i < COUNT(column_counts) * 12; i++) {
        const size_t cols = column_counts[i % COUNT(column_counts)];
        const size_t count = 1 + random_below(30), points = 1 + random_below(9);
        const size_t x_stride = cols + random_below(3), words = xnor_words(cols);
        const size_t stride = words + random_below(3);
        float *x = input(SLOT_X, strided(points, cols, x_stride) * sizeof *x);
        int64_t *index = input(SLOT_A, count * sizeof *index);
        const bool special = random_below(2) == 0;
        for (size_t j = 0; j < strided(points, cols, x_stride); j++)
            x[j] = random_below(3) ? (float)random_below(3) : random_float(special);
        for (size_t j = 0; j < count; j++) index[j] = (int64_t)random_below(points);
        const float *own = x + random_below(points) * x_stride;
        const size_t bytes = 2 * count * stride * sizeof(uint64_t);
        const xnor_kernels *sets[SIDE_COUNT] = {check->expected, check->found};
        for (output_side side = 0; side < SIDE_COUNT; side++) {
            uint64_t *out = output(side, bytes);
            sets[side]->edge_signs_f32(count, cols, x, x_stride, index, own, out,
                                       out + count * stride, stride);
        }
        char what[128];
        snprintf(what, sizeof what, "%zu of %zu points, cols %zu, strides %zu %zu", count, points,
                 cols, x_stride, stride);
        compare(check, bytes, false, what);
    }
}

// ---- sums with a factor for each row ------------------------------------------------------------

typedef struct rows_case {
    size_t rows, n, stride;
    const int32_t *acc;
    float *factor, *scale, *shift;
    char what[96];
} rows_case;

static rows_case make_rows(size_t i) {
    rows_case c = {.rows = random_rows(), .n = column_counts[i % COUNT(column_counts)]};
    c.stride = c.n + random_below(3);
    const size_t count = strided(c.rows, c.n, c.stride);
    int32_t *acc = input(SLOT_A, count * sizeof *acc);
    for (size_t j = 0; j < count; j++) acc[j] = (int32_t)random_below(4097) - 2048;
    const bool special = random_below(3) == 0;
    float *vectors[3] = {input(SLOT_X, c.rows * sizeof(float)), input(SLOT_B, c.n * sizeof(float)),
                         input(SLOT_BIAS, c.n * sizeof(float))};
    for (size_t k = 0; k < 3; k++)
        for (size_t j = 0; j < (k ? c.n : c.rows); j++) vectors[k][j] = random_float(special);
    c.acc = acc;
    c.factor = vectors[0];
    c.scale = vectors[1];
    c.shift = vectors[2];
    snprintf(c.what, sizeof c.what, "rows %zu, n %zu, stride %zu", c.rows, c.n, c.stride);
    return c;
}

static void check_rows_affine(checker *check) {
    for (size_t i = 0; i < COUNT(column_counts) * 12; i++) {
        const rows_case c = make_rows(i);
        const size_t stride = c.n + random_below(3), bytes = c.rows * stride * sizeof(float);
        check->expected->rows_affine(c.rows, c.n, c.acc, c.stride, c.factor, c.scale, c.shift,
                                     output(SIDE_EXPECTED, bytes), stride);
        check->found->rows_affine(c.rows, c.n, c.acc, c.stride, c.factor, c.scale, c.shift,
                                  output(SIDE_FOUND, bytes), stride);
        compare(check, bytes, true, c.what);
    }
}

static void check_rows_max(checker *check) {
    for (size_t i = 0; i < COUNT(column_counts) * 12; i++) {
        const rows_case c = make_rows(i);
        const size_t bytes = c.n * sizeof(float);
        float *max[SIDE_COUNT] = {output(SIDE_EXPECTED, bytes), output(SIDE_FOUND, bytes)};
        for (size_t j = 0; j < c.n; j++)
            max[0][j] = max[1][j] = random_below(2) ? -INFINITY : random_float(false);
        check->expected->rows_max(c.rows, c.n, c.acc, c.stride, c.factor, max[SIDE_EXPECTED]);
        check->found->rows_max(c.rows, c.n, c.acc, c.stride, c.factor, max[SIDE_FOUND]);
        compare(check, bytes, true, c.what);
    }
}

static void check_rows_magnitude(checker *check) {
    for (size_t i = 0; i < COUNT(column_counts) * 12; i++) {
        const size_t rows = random_rows(), n = column_counts[i % COUNT(column_counts)];
        const size_t stride = n + random_below(3), count = strided(rows, n, stride);
        float *x = input(SLOT_X, count * sizeof *x);
        const bool special = random_below(3) == 0;
        for (size_t j = 0; j < count; j++) x[j] = random_float(special);
        const float low = random_below(2) ? -1.0f : -INFINITY;
        const float high = random_below(2) ? 1.0f : INFINITY;
        const size_t bytes = rows * sizeof(float);
        check->expected->rows_magnitude(rows, n, x, stride, low, high,
                                        output(SIDE_EXPECTED, bytes));
        check->found->rows_magnitude(rows, n, x, stride, low, high, output(SIDE_FOUND, bytes));
        char what[128];
        snprintf(what, sizeof what, "rows %zu, n %zu, stride %zu, %g to %g", rows, n, stride,
                 (double)low, (double)high);
        compare(check, bytes, true, what);
    }
}

// ---- programs on single values -------------------------------------------------------------------

static const size_t value_counts[] = {1,  3,  4,  7,  8,  15, 16,  17, 18,
                                      33, 36, 63, 64, 65, 72, 130, 144};

enum { PROGRAM_FIRST = 3, LAYERS = 3 }; // the tile's first row in the maps; tiles of sums

// Small multiples of powers of two, so that many sums are exactly 0, or anything.
static float random_value(bool special) {
    return special ? random_float(true) : (float)random_below(9) / 4.0f - 1.0f;
}

// A program of operations as steps use them; what it writes lies one after the other behind `out`.
static size_t make_program(xnor_pointwise *p, size_t rows, bool acc, bool numbers, const void *sums,
                           const float *map, const float *scale, const float *shift) {
    static const xnor_pointwise_code codes[] = {
        XNOR_POINTWISE_AFFINE, XNOR_POINTWISE_ADD,    XNOR_POINTWISE_MUL,   XNOR_POINTWISE_CLIP,
        XNOR_POINTWISE_GATE,   XNOR_POINTWISE_ROUND,  XNOR_POINTWISE_STORE, XNOR_POINTWISE_SIGNS,
        XNOR_POINTWISE_STORE,  XNOR_POINTWISE_TERNARY};
    const size_t plane = (PROGRAM_FIRST + rows) * xnor_words(p->n) * sizeof(uint64_t);
    size_t bytes = 0, planes = 0;
    bool kept = false; // a LAYER has kept a value
    p->op_count = 0;
    const size_t count = 2 + random_below(11);
    for (size_t i = 0; i < count; i++) {
        xnor_pointwise_op op = {.code = codes[random_below(COUNT(codes))], .low = -1, .high = 1};
        if (acc && i == 0 && random_below(2)) op.code = XNOR_POINTWISE_ADD_SUM;
        if (i + 1 == count && bytes == 0) op.code = XNOR_POINTWISE_STORE;
        if (numbers && i < 2 && random_below(4) == 0)
            op.code = random_below(2) ? XNOR_POINTWISE_AT_LEAST : XNOR_POINTWISE_AT_LEAST_TERNARY;
        const bool two =
            op.code == XNOR_POINTWISE_TERNARY || op.code == XNOR_POINTWISE_AT_LEAST_TERNARY;
        if (kept && random_below(3) == 0) {
            op.code = XNOR_POINTWISE_ADD_KEPT;
            kept = false;
        } else if (acc && op.code == XNOR_POINTWISE_ROUND && random_below(2)) {
            op.code = XNOR_POINTWISE_LAYER;
            op.layer = random_below(LAYERS);
            kept = true;
        }
        if (op.code >= XNOR_POINTWISE_SIGNS_FIRST) {
            planes += two ? 2 : 1;
            if (planes > XNOR_POINTWISE_PLANES) break;
            op.y = (void *)(uintptr_t)bytes;
            bytes += plane;
            op.z = two ? (void *)(uintptr_t)bytes : NULL;
            bytes += two ? plane : 0;
        }
        if (op.code == XNOR_POINTWISE_STORE) {
            if (random_below(4) == 0) op.code = XNOR_POINTWISE_STORE_TILE;
            op.y = (void *)(uintptr_t)bytes;
            bytes += xnor_align_up((PROGRAM_FIRST + rows) * p->n * sizeof(float), 8);
        }
        op.a = op.code == XNOR_POINTWISE_ADD_SUM ? sums : map;
        if (op.code == XNOR_POINTWISE_AFFINE || op.code >= XNOR_POINTWISE_SIGNS_FIRST) {
            op.a = scale;
            op.b = shift;
        }
        p->ops[p->op_count++] = op;
    }
    return bytes;
}

static void check_pointwise(checker *check) {
    for (size_t i = 0; i < COUNT(value_counts) * 40; i++) {
        const size_t n = value_counts[i % COUNT(value_counts)];
        size_t rows = random_rows();
        if (rows * n > XNOR_POINTWISE_MAX) rows = XNOR_POINTWISE_MAX / n;
        const bool from_acc = random_below(2), special = random_below(3) == 0;
        xnor_pointwise program = {.n = n, .period = n};
        while (program.period % XNOR_POINTWISE_BLOCK) program.period += n;
        const size_t count = (PROGRAM_FIRST + rows) * n;
        int32_t *sums = input(SLOT_MASK, count * sizeof *sums);
        int32_t *acc = input(SLOT_A, LAYERS * rows * n * sizeof *acc);
        float *map = input(SLOT_B, count * sizeof *map);
        float *scale = input(SLOT_X, program.period * sizeof *scale);
        float *shift = input(SLOT_BIAS, program.period * sizeof *shift);
        for (size_t j = 0; j < count; j++) {
            sums[j] = (int32_t)random_below(8193) - 4096;
            map[j] = random_value(special);
        }
        for (size_t j = 0; j < LAYERS * rows * n; j++) {
            const float x = random_value(special);
            acc[j] =
                random_below(4) ? (int32_t)random_below(9) - 4 : (int32_t)random_below(8193) - 4096;
            if (!from_acc) memcpy(&acc[j], &x, sizeof x);
        }
        for (size_t j = 0; j < program.period; j++) {
            scale[j] = j < n ? random_value(special) : scale[j - n];
            shift[j] = j < n ? random_value(special) : shift[j - n];
        }
        const size_t bytes =
            make_program(&program, rows, from_acc, !special, sums, map, scale, shift);
        char what[128];
        snprintf(what, sizeof what, "rows %zu, n %zu, %zu operations from %s", rows, n,
                 program.op_count, from_acc ? "sums" : "reals");
        const xnor_kernels *sets[SIDE_COUNT] = {check->expected, check->found};
        for (output_side side = 0; side < SIDE_COUNT; side++) {
            uint8_t *out = output(side, bytes);
            memset(out, 0, bytes);
            xnor_pointwise placed = program;
            for (size_t k = 0; k < placed.op_count; k++) {
                xnor_pointwise_op *op = &placed.ops[k];
                const bool writes = op->code >= XNOR_POINTWISE_STORE;
                if (writes) op->y = out + (uintptr_t)op->y;
                if (writes && op->z) op->z = out + (uintptr_t)op->z;
            }
            const int32_t *const layers[LAYERS] = {acc, acc + rows * n, acc + 2 * rows * n};
            sets[side]->pointwise(&placed, PROGRAM_FIRST, rows, from_acc ? layers : NULL,
                                  from_acc ? NULL : (const float *)(const void *)acc);
        }
        compare(check, bytes, true, what);
    }
}

// ---- mixtures -----------------------------------------------------------------------------------

static float random_share(void) {
    return (float)random_below(5) / 4.0f;
}

static void check_mix(checker *check) {
    for (size_t i = 0; i < COUNT(value_counts) * 8; i++) {
        const size_t count = value_counts[i % COUNT(value_counts)];
        const float share = random_share();
        float *a = input(SLOT_A, count * sizeof *a), *b = input(SLOT_B, count * sizeof *b);
        for (size_t j = 0; j < count; j++) {
            a[j] = random_float(true);
            b[j] = random_float(true);
        }
        check->expected->mix_f32(count, a, b, share, output(SIDE_EXPECTED, count * sizeof *a));
        check->found->mix_f32(count, a, b, share, output(SIDE_FOUND, count * sizeof *a));
        char what[64];
        snprintf(what, sizeof what, "count %zu, share %g", count, (double)share);
        compare(check, count * sizeof *a, true, what);
    }
}

static void check_mix_pixels(checker *check) {
    for (size_t i = 0; i < COUNT(value_counts) * 16; i++) {
        const size_t channels = random_below(3) ? value_counts[i % COUNT(value_counts)] : 1;
        const size_t pixels = 1 + random_below(40), from = 1 + random_below(20);
        float *x = input(SLOT_A, from * channels * sizeof *x);
        float *share = input(SLOT_B, pixels * sizeof *share);
        int32_t *first = input(SLOT_X, pixels * sizeof *first);
        int32_t *second = input(SLOT_BIAS, pixels * sizeof *second);
        for (size_t j = 0; j < from * channels; j++) x[j] = random_float(true);
        for (size_t p = 0; p < pixels; p++) {
            share[p] = random_share();
            first[p] = (int32_t)random_below(from);
            second[p] = (int32_t)random_below(from);
        }
        const size_t bytes = pixels * channels * sizeof *x;
        check->expected->mix_pixels_f32(pixels, channels, x, first, second, share,
                                        output(SIDE_EXPECTED, bytes));
        check->found->mix_pixels_f32(pixels, channels, x, first, second, share,
                                     output(SIDE_FOUND, bytes));
        char what[64];
        snprintf(what, sizeof what, "%zu pixels of %zu channels", pixels, channels);
        compare(check, bytes, true, what);
    }
}

// Enlarged, as it is mostly, and mixed up.
static void check_mix_lines(checker *check) {
    for (size_t i = 0; i < COUNT(value_counts) * 16; i++) {
        const size_t pixels = 1 + random_below(200), from = 1 + random_below(60);
        const size_t lines = 1 + random_below(5), x_stride = from + random_below(3);
        const size_t gap = random_below(2) ? random_below(5) : 15 - (pixels + 15) % 16;
        const bool enlarged = random_below(4) > 0;
        float *x = input(SLOT_A, lines * x_stride * sizeof *x);
        float *share = input(SLOT_B, pixels * sizeof *share);
        int32_t *first = input(SLOT_X, pixels * sizeof *first);
        int32_t *second = input(SLOT_BIAS, pixels * sizeof *second);
        for (size_t j = 0; j < lines * x_stride; j++) x[j] = random_float(true);
        for (size_t p = 0; p < pixels; p++) {
            share[p] = random_share();
            first[p] = (int32_t)(enlarged ? p * from / pixels : random_below(from));
            second[p] = (int32_t)(!enlarged                     ? random_below(from)
                                  : (size_t)first[p] + 1 < from ? (size_t)first[p] + 1
                                                                : (size_t)first[p]);
        }
        // The vectors of what is streamed are aligned, at whatever place the result begins.
        const size_t begin = random_below(16), stride = pixels + gap;
        const size_t bytes = (begin + (lines - 1) * stride + pixels) * sizeof *x;
        const xnor_mix_lines_args args = {lines, pixels, x,     from,   x_stride,
                                          first, second, share, stride, random_below(2) == 0};
        float *expected = output(SIDE_EXPECTED, bytes), *found = output(SIDE_FOUND, bytes);
        memset(expected, 0, bytes);
        memset(found, 0, bytes);
        check->expected->mix_lines_f32(&args, expected + begin);
        check->found->mix_lines_f32(&args, found + begin);
        char what[96];
        snprintf(what, sizeof what, "%zu lines of %zu pixels from %zu%s", lines, pixels, from,
                 args.stream ? ", streamed" : "");
        compare(check, bytes, true, what);
    }
}

// ---- main ---------------------------------------------------------------------------------------

static const struct {
    const char *name;
    void (*run)(checker *check);
} families[] = {
    {"pack_f32", check_pack_f32},
    {"pack_f32_ternary", check_pack_f32_ternary},
    {"acc_thr", check_acc_thr},
    {"patch_bits", check_patch_bits},
    {"gemm_acc", check_gemm_acc},
    {"gemm_thr", check_gemm_thr},
    {"gemm_max", check_gemm_max},
    {"gemm_acc_ternary", check_gemm_ternary},
    {"gemm_max_ternary", check_gemm_max_ternary},
    {"conv", check_conv},
    {"gemm_f32", check_gemm_f32},
    {"gemm_f32_bits", check_gemm_f32_bits},
    {"farthest_f32", check_farthest_f32},
    {"within_f32", check_within_f32},
    {"distances_f32", check_distances},
    {"code_distances", check_code_distances},
    {"nearest_f32", check_nearest},
    {"edge_signs_f32", check_edge_signs},
    {"depthwise_f32", check_depthwise},
    {"rows_affine", check_rows_affine},
    {"rows_max", check_rows_max},
    {"rows_magnitude", check_rows_magnitude},
    {"pointwise", check_pointwise},
    {"mix_f32", check_mix},
    {"mix_pixels_f32", check_mix_pixels},
    {"mix_lines_f32", check_mix_lines},
};

static void check_set(const xnor_kernels *expected, const xnor_kernels *found, size_t work_limit,
                      size_t *passed, size_t *failed) {
    for (size_t i = 0; i < COUNT(families); i++) {
        checker check = {expected, found, work_limit, families[i].name, 0, 0};
        random_seed(i + 1);
        families[i].run(&check);
        if (check.failed == 0) {
            printf("%-13s %-17s ok (%zu)\n", found->isa, check.family, check.passed);
        }
        fflush(stdout);
        *passed += check.passed;
        *failed += check.failed;
    }
}

// Asking for a set that does not exist must fail and say what there is.
static bool unknown_set_is_refused(void) {
    xnor_kernels table;
    return xnor_kernels_select(&table, "no such set") == XNOR_E_UNSUPPORTED &&
           strstr(xnor_last_error(), "no such set") && strstr(xnor_last_error(), "c");
}

int main(int argc, char **argv) {
    const char *isa = NULL;
    const char *only = "";
    bool bench = false;
    size_t runs = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--bench") == 0) {
            bench = true;
        } else if (strcmp(argv[i], "--isa") == 0 && i + 1 < argc) {
            isa = argv[++i];
        } else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc) {
            only = argv[++i];
        } else if (strcmp(argv[i], "--run") == 0 && i + 1 < argc) {
            runs = strtoul(argv[++i], NULL, 10);
        } else {
            fprintf(stderr, "usage: check [--isa NAME] [--bench | --run N] [--only PREFIX]\n");
            return 2;
        }
    }
    xnor_kernels c;
    xnor_kernels set;
    if (xnor_kernels_select(&c, "c") != XNOR_OK || xnor_kernels_select(&set, isa) != XNOR_OK) {
        fprintf(stderr, "%s\n", xnor_last_error());
        return 2;
    }
    if (bench) return run_benchmark(isa, only);
    if (runs > 0) return run_kernels(isa, only, runs);

    size_t passed = 0;
    size_t failed = 0;
    if (unknown_set_is_refused())
        passed++;
    else
        failed++;
    for (const char *const *name = xnor_kernels_available(); *name; name++) {
        if (isa && strcmp(isa, *name) != 0) continue;
        if (strcmp(*name, "c") == 0) {
            check_set(&naive_kernels, &c, 300000, &passed, &failed);
        } else if (xnor_kernels_select(&set, *name) == XNOR_OK) {
            check_set(&c, &set, SIZE_MAX, &passed, &failed);
        } else {
            failed++;
        }
    }
    printf("%zu passed, %zu failed\n", passed, failed);
    return failed ? 1 : 0;
}
