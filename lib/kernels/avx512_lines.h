// Binary convolutions for AVX-512 whose channels fill words on both sides: the tile of avx512_bits.h with codes
// of the map instead of codes of unfolded windows. Every input pixel of the lines that some output pixels look at
// is expanded once, where windows of nine taps would be copied and expanded nine times; a line of the kernel is a
// run of codes, and neighbouring output pixels lie stride_w pixels apart. Pixels beyond the plane are zeros.
#ifndef XNOR_KERNELS_AVX512_LINES_H
#define XNOR_KERNELS_AVX512_LINES_H

// Runs of codes of one window: lines of the kernel, or taps where they are dilated.
typedef struct lines_shape {
    size_t taps;        // input pixels of a run
    size_t columns;     // runs of a line of the kernel
    size_t pixel_pairs; // of an input pixel
    size_t pixels;      // output pixels of one line at a time
} lines_shape;

static size_t lines_span(const xnor_patch_args *a, size_t pixels) {
    return (pixels - 1) * a->stride_w + (a->kernel_w - 1) * a->dilation_w + 1;
}

static lines_shape lines_shape_of(const xnor_bits_conv *conv) {
    const xnor_patch_args *a = &conv->window;
    const bool joined = a->dilation_w == 1;
    lines_shape s = {joined ? a->kernel_w : 1, joined ? 1 : a->kernel_w, a->channels / 32, 0};
    const size_t fitting = PLANE_WORDS / (a->kernel_h * s.pixel_pairs); // input pixels of a line
    const size_t first = lines_span(a, 1);
    if (fitting >= first) s.pixels = (fitting - first) / a->stride_w + 1;
    if (s.pixels > 4) s.pixels = s.pixels / 4 * 4;
    return s;
}

static bool lines_fit(const xnor_bits_conv *conv) {
    const xnor_patch_args *a = &conv->window;
    return conv->n % 64 == 0 && conv->k > BYTE_LANES_MAX_K && conv->k <= WORD_LANES_MAX_K &&
           a->channels % 64 == 0 && a->pixel_stride == a->channels / 64 && a->channel_begin == 0 &&
           lines_shape_of(conv).pixels >= 4;
}

// Codes of `span` input pixels of every line of the kernel, of the windows from output pixel (y, x) on:
// [kernel_h][span][pairs].
static void lines_expand(const xnor_bits_conv *conv, const uint64_t *plane, size_t y, size_t x,
                         size_t span, uint32_t *planes) {
    const xnor_patch_args *a = &conv->window;
    const size_t words = a->pixel_stride, pairs = 2 * words, left = x * a->stride_w;
    const size_t before = left < a->pad_left ? a->pad_left - left : 0;
    const size_t end = left + span < a->pad_left + a->width ? span : a->pad_left + a->width - left;
    for (size_t ky = 0; ky < a->kernel_h; ky++, planes += span * pairs) {
        const size_t line = y * a->stride_h + ky * a->dilation_h - a->pad_top; // or wraps around
        size_t begin = line < a->height ? before : span;
        size_t stop = line < a->height && left < a->pad_left + a->width ? end : begin;
        if (stop <= begin) begin = stop = span;
        memset(planes, 0, begin * pairs * sizeof *planes);
        memset(planes + PLANE_WORDS, 0, begin * pairs * sizeof *planes);
        if (stop > begin) {
            const size_t first = line * a->width + left + begin - a->pad_left;
            expand_rows(2, true, 1, (stop - begin) * words, (stop - begin) * pairs,
                        plane + first * words, 0, planes + begin * pairs,
                        planes + PLANE_WORDS + begin * pairs);
        }
        memset(planes + stop * pairs, 0, (span - stop) * pairs * sizeof *planes);
        memset(planes + PLANE_WORDS + stop * pairs, 0, (span - stop) * pairs * sizeof *planes);
    }
}

typedef struct lines_task {
    bits_task bits;
    const xnor_bits_conv *conv;
    lines_shape shape;
    size_t span;
} lines_task;

ALWAYS_INLINE void lines_tile(bits_op op, size_t rows, const lines_task *t, size_t row,
                              const uint8_t *block) {
    const bits_shape *s = t->bits.shape;
    const xnor_patch_args *a = &t->conv->window;
    const size_t stride = a->stride_w * t->shape.pixel_pairs;
    const size_t run = t->shape.taps * t->shape.pixel_pairs;
    const uint8_t *weights = block;
    __m512i sum[MAX_TILE_ROWS][2];
    __m512i count[MAX_TILE_ROWS][2];
    UNROLL for (size_t r = 0; r < rows; r++) {
        UNROLL for (size_t v = 0; v < 2; v++) sum[r][v] = count[r][v] = _mm512_setzero_si512();
    }
    for (size_t ky = 0; ky < a->kernel_h; ky++) {
        for (size_t kx = 0; kx < t->shape.columns; kx++) {
            const size_t pixel = ky * t->span + kx * a->dilation_w;
            const uint32_t *codes = t->bits.codes + row * stride + pixel * t->shape.pixel_pairs;
            for (size_t p = 0; p < run; p++, weights += s->pair_bytes)
                count_pair(s, 2, rows, 2, stride, codes + p, weights, sum, count);
        }
    }
    __m512i limit[2];
    UNROLL for (size_t v = 0; v < 2; v++) {
        limit[v] = _mm512_load_si512(weights + v * vector_stride(s, 2));
        UNROLL for (size_t r = 0; r < rows; r++) {
            const __m512i twice = _mm512_add_epi16(count[r][v], count[r][v]);
            count[r][v] = _mm512_add_epi16(twice, _mm512_popcnt_epi16(sum[r][v]));
        }
    }
    finish_tile(op, 2, rows, 2, &t->bits, row, limit, count, NULL);
}

ALWAYS_INLINE void lines_tiles(bits_op op, const lines_task *t) {
    const uint8_t *block =
        (const uint8_t *)t->conv->packed + t->bits.channel / 64 * t->bits.shape->block_bytes;
    size_t row = 0;
    for (; row + 4 <= t->bits.rows; row += 4) lines_tile(op, 4, t, row, block);
    if (t->bits.rows - row >= 2) {
        lines_tile(op, 2, t, row, block);
        row += 2;
    }
    if (t->bits.rows > row) lines_tile(op, 1, t, row, block);
}

static void xnor_conv_acc_4x64__avx512bitalg(const lines_task *t) {
    lines_tiles(OP_ACC, t);
}

static void xnor_conv_thr_4x64__avx512bitalg(const lines_task *t) {
    lines_tiles(OP_THR, t);
}

ALWAYS_INLINE void run_lines(bits_op op, const xnor_bits_conv *conv, const uint64_t *plane,
                             size_t first, size_t count, int32_t *acc, uint64_t *bits,
                             size_t stride) {
    _Alignas(64) uint32_t planes[2 * PLANE_WORDS];
    const bits_shape s = shape_of(conv->k);
    const xnor_gemm_args args = {.k = conv->k, .n = conv->n, .n_end = conv->n};
    lines_task t = {.conv = conv, .shape = lines_shape_of(conv)};
    t.bits = (bits_task){.shape = &s, .args = &args, .codes = planes, .out_stride = stride};
    size_t y = first / conv->out_width, x = first % conv->out_width;
    for (size_t done = 0; done < count; done += t.bits.rows) {
        const size_t left = conv->out_width - x < count - done ? conv->out_width - x : count - done;
        t.bits.rows = left < t.shape.pixels ? left : t.shape.pixels;
        t.span = lines_span(&conv->window, t.bits.rows);
        lines_expand(conv, plane, y, x, t.span, planes);
        for (size_t c = 0; c < conv->n; c += 64) {
            t.bits.channel = c;
            if (op == OP_THR) {
                t.bits.bits = bits + done * stride + c / 64;
                xnor_conv_thr_4x64__avx512bitalg(&t);
            } else {
                t.bits.acc = acc + done * stride + c;
                xnor_conv_acc_4x64__avx512bitalg(&t);
            }
        }
        x += t.bits.rows;
        if (x == conv->out_width) {
            x = 0;
            y++;
        }
    }
}

#endif
