// Binary convolutions for AVX-512 with output channels that do not fill words: a lane is a pixel, 16 bits
// of k at a time, and the weights are broadcast, so no channel count leaves lanes empty.
//
// 32 pixels at a time are unfolded: every move (bits of one word of an input pixel that go to one word of
// the row) is a load of 8 pixels, a rotation and a masked or. Where pixels are several words or windows reach beyond
// the plane, the lines they look at are first copied to planes of a word of each pixel with zeros around;
// four vectors of a word of k become four planes of 32 lanes by 12 shuffles. Lanes j and j + 1 of k are kept as
// planes a0 ^ a1 and a0.
//
// Unit of work: two lanes of k of 32 pixels and one channel (2 · 512 bit-MAC), the full adder along k of
// avx512_bits.h in five operations. Tile: 8 channels, registers: 8 counts, 8 sums, 2 activations, 4 + 4
// temporaries. Four channels take each operation in turn: operations side by side that are alike keep the pipes
// fuller than those of one channel after the other (2.62 cycles a unit against 2.89 on Zen 4, of 2.5 that four pipes
// of 256 bits allow). Loads: 16 broadcasts and 2 planes per 40 operations.
//
// Packed weights: [blocks of 8 channels][pairs][8][2] lanes, w0 ^ w1 and w0, each repeated over 32 bits;
// then a limit + 1 of every channel, likewise.
#ifndef XNOR_KERNELS_AVX512_LANES_H
#define XNOR_KERNELS_AVX512_LANES_H

#include "kernels/inline.h"
#include "kernels/sets.h"

#include "core/size.h"

#include <immintrin.h>
#include <string.h>

#define LANES_MAX_WORDS 64 // of a row
#define LANES_MAX_K (64 * LANES_MAX_WORDS)
#define LANES_PIXELS 32
#define LANES_BLOCK 8   // channels
#define LANES_VECTORS 4 // of 8 pixels, of which a word each is put together
#define LANES_MAX_KERNEL 16
#define LANES_COPIED 4096 // words of the lines that 32 pixels look at

typedef struct lanes_shape {
    size_t pairs; // whole ones; then one lane more if odd
    bool odd;
    size_t stored; // pairs with that lane
} lanes_shape;

static lanes_shape lanes_shape_of(size_t k) {
    const size_t lanes = (k + 15) / 16;
    return (lanes_shape){lanes / 2, lanes % 2 != 0, (lanes + 1) / 2};
}

// ---- packing ------------------------------------------------------------------------------------

static bool lanes_wanted(size_t k, size_t n) {
    return n % 64 != 0 && k > 64 && k <= LANES_MAX_K;
}

static size_t lanes_weights(size_t k, size_t n) {
    return xnor_align_up(n, LANES_BLOCK) * lanes_shape_of(k).stored * 2;
}

static size_t lanes_packed_bytes(size_t k, size_t n) {
    if (!lanes_wanted(k, n)) return 0;
    return xnor_align_up((lanes_weights(k, n) + xnor_align_up(n, LANES_BLOCK)) * sizeof(uint32_t),
                         64);
}

static uint32_t twice16(uint32_t lane) {
    return lane | lane << 16;
}

static void lanes_limits(size_t k, size_t n, const int32_t *limit, void *packed) {
    if (!lanes_wanted(k, n)) return;
    uint32_t *to = (uint32_t *)packed + lanes_weights(k, n);
    for (size_t c = 0; c < n; c++) {
        const size_t most = limit[c] < 0 ? 0 : (size_t)limit[c] + 1;
        to[c] = twice16((uint32_t)(most > k ? k + 1 : most));
    }
}

static uint32_t lane16_at(const uint64_t *row, size_t words, size_t lane) {
    return lane / 4 < words ? (uint32_t)(row[lane / 4] >> lane % 4 * 16) & 0xFFFFu : 0;
}

static void lanes_pack(size_t k, size_t n, const uint64_t *w, void *packed) {
    if (!lanes_wanted(k, n)) return;
    const size_t words = xnor_words(k), pairs = lanes_shape_of(k).stored;
    for (size_t c = 0; c < n; c++) {
        for (size_t p = 0; p < pairs; p++) {
            const uint32_t w0 = lane16_at(w + c * words, words, 2 * p);
            const uint32_t w1 = lane16_at(w + c * words, words, 2 * p + 1);
            uint32_t *to = (uint32_t *)packed +
                           ((c / LANES_BLOCK * pairs + p) * LANES_BLOCK + c % LANES_BLOCK) * 2;
            to[0] = twice16(w0 ^ w1);
            to[1] = twice16(w0);
        }
    }
}

// ---- unfolding ----------------------------------------------------------------------------------

static size_t lanes_span(const xnor_patch_args *a) {
    return (LANES_PIXELS - 1) * a->stride_w + (a->kernel_w - 1) * a->dilation_w + 1;
}

// Words of a pixel that are looked at.
static size_t lanes_words(const xnor_patch_args *a) {
    return xnor_words(a->channel_begin % 64 + a->channels);
}

static bool lanes_fit(const xnor_bits_conv *conv) {
    const xnor_patch_args *a = &conv->window;
    return lanes_wanted(conv->k, conv->n) && a->kernel_h <= LANES_MAX_KERNEL &&
           a->kernel_h * lanes_words(a) * xnor_align_up(lanes_span(a), 8) <= LANES_COPIED;
}

// The moves of all taps, in the order of the words they go to; false if they are too many.
static bool lanes_moves(xnor_bits_conv *conv) {
    const xnor_patch_args *a = &conv->window;
    size_t count = 0, bit = 0, word = 0;
    for (size_t ky = 0; ky < a->kernel_h; ky++) {
        for (size_t kx = 0; kx < a->kernel_w; kx++) {
            for (size_t done = 0; done < a->channels;) {
                const size_t from = (a->channel_begin + done) % 64, to = bit % 64;
                const size_t room = 64 - (from > to ? from : to);
                const size_t left = a->channels - done, bits = left < room ? left : room;
                if (count == XNOR_CONV_MOVES) return false;
                for (; word < bit / 64; word++) conv->ends[word] = (uint16_t)count;
                xnor_conv_move *move = &conv->moves[count++];
                move->ky = (uint16_t)ky;
                move->kx = (uint16_t)kx;
                move->word = (uint32_t)((a->channel_begin % 64 + done) / 64);
                move->shift = (int64_t)to - (int64_t)from;
                move->mask = ~UINT64_C(0) >> (64 - bits) << to;
                done += bits;
                bit += bits;
            }
        }
    }
    for (; word < xnor_words(conv->k); word++) conv->ends[word] = (uint16_t)count;
    return true;
}

// Where 32 output pixels of one line look: at lines of the plane itself, or of planes of one word of each pixel.
typedef struct lanes_window {
    const uint64_t *lines[LANES_MAX_KERNEL]; // at the first pixel's first tap
    size_t word_stride;                      // from one plane to the next
} lanes_window;

// Input pixels begin .. end of a span that lie inside the line.
static void lanes_copy_line(const xnor_patch_args *a, const uint64_t *line, size_t begin,
                            size_t end, size_t pitch, uint64_t *to) {
    const size_t words = lanes_words(a), stride = a->pixel_stride;
    if (words == 1 && stride == 1) {
        memcpy(to + begin, line, (end - begin) * sizeof *to);
        return;
    }
    size_t i = begin;
    if (words == 2 && stride == 2) {
        const __m512i even = _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14);
        const __m512i odd = _mm512_setr_epi64(1, 3, 5, 7, 9, 11, 13, 15);
        for (; i + 8 <= end; i += 8, line += 16) {
            const __m512i low = _mm512_loadu_si512(line), high = _mm512_loadu_si512(line + 8);
            _mm512_storeu_si512(to + i, _mm512_permutex2var_epi64(low, even, high));
            _mm512_storeu_si512(to + pitch + i, _mm512_permutex2var_epi64(low, odd, high));
        }
    }
    for (; i < end; i++, line += stride) {
        for (size_t j = 0; j < words; j++) to[j * pitch + i] = line[j];
    }
}

static void lanes_copy(const xnor_bits_conv *conv, const uint64_t *plane, size_t y, size_t x,
                       lanes_window *w, uint64_t *copied) {
    const xnor_patch_args *a = &conv->window;
    const size_t span = lanes_span(a), pitch = xnor_align_up(span, 8), words = lanes_words(a);
    const size_t left = x * a->stride_w, right = a->pad_left + a->width; // of the padded line
    const size_t begin = left < a->pad_left ? a->pad_left - left : 0;
    const size_t end = left >= right ? 0 : right - left < span ? right - left : span;
    w->word_stride = pitch;
    for (size_t ky = 0; ky < a->kernel_h; ky++, copied += words * pitch) {
        const size_t line = y * a->stride_h + ky * a->dilation_h - a->pad_top; // or wraps around
        w->lines[ky] = copied;
        const bool inside = line < a->height && begin < end;
        if (!inside || begin > 0 || end < span) memset(copied, 0, words * pitch * sizeof *copied);
        if (!inside) continue;
        const size_t pixel = line * a->width + left + begin - a->pad_left;
        lanes_copy_line(a, plane + pixel * a->pixel_stride + a->channel_begin / 64, begin, end,
                        pitch, copied);
    }
}

static void lanes_look(const xnor_bits_conv *conv, const uint64_t *plane, size_t y, size_t x,
                       lanes_window *w, uint64_t *copied) {
    const xnor_patch_args *a = &conv->window;
    const size_t top = y * a->stride_h, left = x * a->stride_w;
    const size_t height = (a->kernel_h - 1) * a->dilation_h, span = lanes_span(a);
    if (a->pixel_stride > 1 || top < a->pad_top || top + height >= a->pad_top + a->height ||
        left < a->pad_left || left + span > a->pad_left + a->width) {
        lanes_copy(conv, plane, y, x, w, copied);
        return;
    }
    w->word_stride = 0;
    const uint64_t *line = plane + (top - a->pad_top) * a->width + left - a->pad_left;
    for (size_t ky = 0; ky < a->kernel_h; ky++, line += a->dilation_h * a->width)
        w->lines[ky] = line;
}

// p[0], p[step], .. p[7 · step]
ALWAYS_INLINE __m512i lanes_load(const uint64_t *p, size_t step) {
    if (step == 1) return _mm512_loadu_si512(p);
    if (step == 2) {
        const __m512i even = _mm512_setr_epi64(0, 2, 4, 6, 9, 11, 13, 15);
        return _mm512_permutex2var_epi64(_mm512_loadu_si512(p), even, _mm512_loadu_si512(p + 7));
    }
    const __m512i lane = _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7);
    const __m512i at = _mm512_mullo_epi64(lane, _mm512_set1_epi64((int64_t)step));
    return _mm512_i64gather_epi64(at, p, 8);
}

// Four planes of 32 lanes from a word each of 32 pixels.
ALWAYS_INLINE void lanes_split(const __m512i word[LANES_VECTORS], __m512i plane[4]) {
    const __m512i quarters =
        _mm512_set_epi16(31, 27, 23, 19, 15, 11, 7, 3, 30, 26, 22, 18, 14, 10, 6, 2, 29, 25, 21, 17,
                         13, 9, 5, 1, 28, 24, 20, 16, 12, 8, 4, 0);
    __m512i part[4];
    UNROLL for (size_t v = 0; v < 4; v++) part[v] = _mm512_permutexvar_epi16(quarters, word[v]);
    const __m512i low01 = _mm512_shuffle_i64x2(part[0], part[1], 0x44);
    const __m512i high01 = _mm512_shuffle_i64x2(part[0], part[1], 0xEE);
    const __m512i low23 = _mm512_shuffle_i64x2(part[2], part[3], 0x44);
    const __m512i high23 = _mm512_shuffle_i64x2(part[2], part[3], 0xEE);
    plane[0] = _mm512_shuffle_i64x2(low01, low23, 0x88);
    plane[1] = _mm512_shuffle_i64x2(low01, low23, 0xDD);
    plane[2] = _mm512_shuffle_i64x2(high01, high23, 0x88);
    plane[3] = _mm512_shuffle_i64x2(high01, high23, 0xDD);
}

// Codes of 32 pixels: [pairs][2][pitch] lanes, to pixel `at` on; two pairs of every word, whether needed or not.
ALWAYS_INLINE void lanes_unfold(const xnor_bits_conv *conv, const lanes_window *w, size_t step,
                                uint16_t *codes, size_t pitch) {
    const size_t words = xnor_words(conv->k), next = conv->window.dilation_w;
    const xnor_conv_move *move = conv->moves;
    for (size_t j = 0; j < words; j++, codes += 4 * pitch) {
        __m512i sum[LANES_VECTORS], plane[4];
        UNROLL for (size_t v = 0; v < LANES_VECTORS; v++) sum[v] = _mm512_setzero_si512();
        for (const xnor_conv_move *end = conv->moves + conv->ends[j]; move < end; move++) {
            const uint64_t *p = w->lines[move->ky] + move->word * w->word_stride + move->kx * next;
            const __m512i shift = _mm512_set1_epi64(move->shift);
            const __m512i mask = _mm512_set1_epi64((int64_t)move->mask);
            UNROLL for (size_t v = 0; v < LANES_VECTORS; v++) {
                const __m512i x = lanes_load(p + v * 8 * step, step);
                sum[v] = _mm512_ternarylogic_epi64(sum[v], _mm512_rolv_epi64(x, shift), mask,
                                                   0xF8); // a | (b & c)
            }
        }
        lanes_split(sum, plane);
        _mm512_storeu_si512(codes, _mm512_xor_si512(plane[0], plane[1]));
        _mm512_storeu_si512(codes + pitch, plane[0]);
        _mm512_storeu_si512(codes + 2 * pitch, _mm512_xor_si512(plane[2], plane[3]));
        _mm512_storeu_si512(codes + 3 * pitch, plane[2]);
    }
}

#define DEFINE_UNFOLD(name, step)                                                                  \
    static __attribute__((noinline)) void name(const xnor_bits_conv *conv, const lanes_window *w,  \
                                               uint16_t *codes, size_t pitch) {                    \
        lanes_unfold(conv, w, step, codes, pitch);                                                 \
    }
DEFINE_UNFOLD(lanes_unfold_1, 1)
DEFINE_UNFOLD(lanes_unfold_2, 2)
DEFINE_UNFOLD(lanes_unfold_any, conv->window.stride_w)

// Of `count` output pixels from `first` on, and as many more as fill the last vector of every line.
static void lanes_unfold_pixels(const xnor_bits_conv *conv, const uint64_t *plane, size_t first,
                                size_t count, uint16_t *codes, size_t pitch) {
    static void (*const unfold[])(const xnor_bits_conv *, const lanes_window *, uint16_t *,
                                  size_t) = {lanes_unfold_any, lanes_unfold_1, lanes_unfold_2};
    _Alignas(64) uint64_t copied[LANES_COPIED];
    const size_t step = conv->window.stride_w;
    size_t y = first / conv->out_width, x = first % conv->out_width;
    for (size_t at = 0; at < count; y++, x = 0) {
        const size_t left = conv->out_width - x, run = left < count - at ? left : count - at;
        for (size_t i = 0; i < run; i += LANES_PIXELS) {
            lanes_window w;
            lanes_look(conv, plane, y, x + i, &w, copied);
            unfold[step <= 2 ? step : 0](conv, &w, codes + at + i, pitch);
        }
        at += run;
    }
}

// ---- the tile -----------------------------------------------------------------------------------

#define LANES_AT(i, half) #i " * 8 + " #half "(%[w])%{1to16%}"
#define LANES_OLD(i) "vmovdqa64 %[s" #i "], %[o" #i "]\n\t"
#define LANES_SUM(i) "vpternlogd $0x96, " LANES_AT(i, 0) ", %[a01], %[s" #i "]\n\t"
#define LANES_XOR(i) "vpxord " LANES_AT(i, 4) ", %[a0], %[u" #i "]\n\t"
#define LANES_CARRY(i) "vpternlogd $0xB2, %[o" #i "], %[s" #i "], %[u" #i "]\n\t"
#define LANES_ONES(i) "vpopcntw %[u" #i "], %[u" #i "]\n\t"
#define LANES_ADD(i) "vpaddw %[u" #i "], %[c" #i "], %[c" #i "]\n\t"
#define LANES_ALL4(step) step(0) step(1) step(2) step(3)

// One unit of four channels.
ALWAYS_INLINE void lanes_step4(const uint32_t *w, __m512i a01, __m512i a0, __m512i sum[4],
                               __m512i count[4]) {
    __m512i o0, o1, o2, o3, u0, u1, u2, u3;
    __asm__(LANES_ALL4(LANES_OLD) LANES_ALL4(LANES_SUM) LANES_ALL4(LANES_XOR)
                LANES_ALL4(LANES_CARRY) LANES_ALL4(LANES_ONES) LANES_ALL4(LANES_ADD)
            : [o0] "=&v"(o0), [o1] "=&v"(o1), [o2] "=&v"(o2), [o3] "=&v"(o3), [u0] "=&v"(u0),
              [u1] "=&v"(u1), [u2] "=&v"(u2), [u3] "=&v"(u3), [s0] "+v"(sum[0]), [s1] "+v"(sum[1]),
              [s2] "+v"(sum[2]), [s3] "+v"(sum[3]), [c0] "+v"(count[0]), [c1] "+v"(count[1]),
              [c2] "+v"(count[2]), [c3] "+v"(count[3])
            : [a01] "v"(a01), [a0] "v"(a0), [w] "r"(w), "m"(*(const uint32_t(*)[8])w));
}

ALWAYS_INLINE void lanes_step1(const uint32_t *w, __m512i a01, __m512i a0, __m512i *sum,
                               __m512i *count) {
    __m512i o0, u0;
    __asm__(LANES_OLD(0) LANES_SUM(0) LANES_XOR(0) LANES_CARRY(0) LANES_ONES(0) LANES_ADD(0)
            : [o0] "=&v"(o0), [u0] "=&v"(u0), [s0] "+v"(*sum), [c0] "+v"(*count)
            : [a01] "v"(a01), [a0] "v"(a0), [w] "r"(w), "m"(*(const uint32_t(*)[2])w));
}

typedef struct lanes_task {
    const xnor_bits_conv *conv;
    lanes_shape shape;
    const uint32_t *weights, *limits;
    const uint16_t *codes; // of the 32 pixels
    size_t pitch;
    int32_t *acc; // of the first pixel, from acc_channel on
    size_t acc_stride, acc_channel;
    __m512i bits; // 16 of each pixel
} lanes_task;

// count[c] = popcount(a XOR w[c]) of 32 pixels.
ALWAYS_INLINE void lanes_count(const lanes_task *t, size_t channels, size_t first,
                               __m512i count[LANES_BLOCK]) {
    const size_t pitch = t->pitch;
    const uint16_t *codes = t->codes;
    const uint32_t *w = t->weights + first / LANES_BLOCK * LANES_BLOCK * 2 * t->shape.stored +
                        first % LANES_BLOCK * 2;
    __m512i sum[LANES_BLOCK];
    UNROLL for (size_t c = 0; c < channels; c++) count[c] = sum[c] = _mm512_setzero_si512();
    if (t->shape.odd) {
        const __m512i last = _mm512_loadu_si512(codes + t->shape.pairs * 2 * pitch);
        UNROLL for (size_t c = 0; c < channels; c++) {
            const uint32_t weight = w[t->shape.pairs * 2 * LANES_BLOCK + 2 * c];
            sum[c] = _mm512_xor_si512(last, _mm512_set1_epi32((int32_t)weight));
        }
    }
    for (size_t p = 0; p < t->shape.pairs; p++, codes += 2 * pitch, w += 2 * LANES_BLOCK) {
        const __m512i a01 = _mm512_loadu_si512(codes);
        const __m512i a0 = _mm512_loadu_si512(codes + pitch);
        UNROLL for (size_t c = 0; c + 4 <= channels; c += 4) {
            lanes_step4(w + 2 * c, a01, a0, sum + c, count + c);
        }
        UNROLL for (size_t c = channels / 4 * 4; c < channels; c++) {
            lanes_step1(w + 2 * c, a01, a0, sum + c, count + c);
        }
    }
    UNROLL for (size_t c = 0; c < channels; c++) {
        const __m512i twice = _mm512_add_epi16(count[c], count[c]);
        count[c] = _mm512_add_epi16(twice, _mm512_popcnt_epi16(sum[c]));
    }
}

// ---- what happens to the counts -----------------------------------------------------------------

// Eight channels of pixels p, p + 8, p + 16, p + 24.
ALWAYS_INLINE void lanes_store4(__mmask8 channels, __m512i values, int32_t *acc, size_t stride) {
    const __m128i part[4] = {_mm512_castsi512_si128(values), _mm512_extracti32x4_epi32(values, 1),
                             _mm512_extracti32x4_epi32(values, 2),
                             _mm512_extracti32x4_epi32(values, 3)};
    UNROLL for (size_t i = 0; i < 4; i++, acc += 8 * stride) {
        const __m256i wide = _mm256_cvtepi16_epi32(part[i]);
        if (channels == 0xFF)
            _mm256_storeu_si256((__m256i *)(void *)acc, wide);
        else
            _mm256_mask_storeu_epi32(acc, channels, wide);
    }
}

// acc[pixel][0..channels) = k - 2 · count.
ALWAYS_INLINE void lanes_acc(const lanes_task *t, size_t channels, size_t first,
                             const __m512i count[LANES_BLOCK]) {
    const __m512i k = _mm512_set1_epi16((int16_t)t->conv->k);
    const __mmask8 mask = (__mmask8)(0xFF >> (LANES_BLOCK - channels));
    __m512i x[8], two[8], four[8];
    UNROLL for (size_t c = 0; c < 8; c++) {
        x[c] = c < channels ? _mm512_sub_epi16(k, _mm512_add_epi16(count[c], count[c]))
                            : _mm512_setzero_si512();
    }
    UNROLL for (size_t c = 0; c < 8; c += 2) { // of pixels 8 i .. 8 i + 4 and those behind them
        two[c] = _mm512_unpacklo_epi16(x[c], x[c + 1]);
        two[c + 1] = _mm512_unpackhi_epi16(x[c], x[c + 1]);
    }
    UNROLL for (size_t c = 0; c < 8; c += 4) {
        UNROLL for (size_t i = 0; i < 2; i++) {
            four[c + 2 * i] = _mm512_unpacklo_epi32(two[c + i], two[c + 2 + i]);
            four[c + 2 * i + 1] = _mm512_unpackhi_epi32(two[c + i], two[c + 2 + i]);
        }
    }
    int32_t *acc = t->acc + (first - t->acc_channel);
    UNROLL for (size_t i = 0; i < 4; i++) { // of pixels 2 i and 2 i + 1 of every eight
        lanes_store4(mask, _mm512_unpacklo_epi64(four[i], four[4 + i]), acc, t->acc_stride);
        acc += t->acc_stride;
        lanes_store4(mask, _mm512_unpackhi_epi64(four[i], four[4 + i]), acc, t->acc_stride);
        acc += t->acc_stride;
    }
}

// Channels first .. first + channels of 16: one bit each of every pixel.
ALWAYS_INLINE void lanes_thr(lanes_task *t, size_t channels, size_t first,
                             const __m512i count[LANES_BLOCK]) {
    __m512i bits = t->bits, bit = _mm512_set1_epi16((int16_t)(1u << first % 16));
    UNROLL for (size_t c = 0; c < channels; c++) {
        const __m512i limit = _mm512_set1_epi32((int32_t)t->limits[first + c]);
        const __mmask32 set = _mm512_cmplt_epu16_mask(count[c], limit);
        bits = _mm512_mask_add_epi16(bits, set, bits, bit);
        bit = _mm512_add_epi16(bit, bit);
    }
    t->bits = bits;
}

#define DEFINE_LANES(name, channels)                                                               \
    static __attribute__((noinline)) void xnor_conv_acc_##name(lanes_task *t, size_t first) {      \
        __m512i count[LANES_BLOCK];                                                                \
        lanes_count(t, channels, first, count);                                                    \
        lanes_acc(t, channels, first, count);                                                      \
    }                                                                                              \
    static __attribute__((noinline)) void xnor_conv_thr_##name(lanes_task *t, size_t first) {      \
        __m512i count[LANES_BLOCK];                                                                \
        lanes_count(t, channels, first, count);                                                    \
        lanes_thr(t, channels, first, count);                                                      \
    }
DEFINE_LANES(32x8__avx512bitalg, 8)
DEFINE_LANES(32x4__avx512bitalg, 4)
DEFINE_LANES(32x2__avx512bitalg, 2)
DEFINE_LANES(32x1__avx512bitalg, 1)

// The channels from `first` on, at most a block of them.
static size_t lanes_block(bits_op op, lanes_task *t, size_t first) {
    static void (*const run[4][2])(lanes_task *, size_t) = {
        {xnor_conv_acc_32x1__avx512bitalg, xnor_conv_thr_32x1__avx512bitalg},
        {xnor_conv_acc_32x2__avx512bitalg, xnor_conv_thr_32x2__avx512bitalg},
        {xnor_conv_acc_32x4__avx512bitalg, xnor_conv_thr_32x4__avx512bitalg},
        {xnor_conv_acc_32x8__avx512bitalg, xnor_conv_thr_32x8__avx512bitalg}};
    const size_t left = t->conv->n - first;
    const size_t size = left >= 8 ? 3 : left >= 4 ? 2 : left >= 2 ? 1 : 0;
    run[size][op == OP_THR](t, first);
    return (size_t)1 << size;
}

// Planes of 16 bits of 32 pixels become words.
static void lanes_join(const __m512i plane[4], size_t pixels, uint64_t *to, size_t stride) {
    const __m512i low01 = _mm512_unpacklo_epi16(plane[0], plane[1]);
    const __m512i high01 = _mm512_unpackhi_epi16(plane[0], plane[1]);
    const __m512i low23 = _mm512_unpacklo_epi16(plane[2], plane[3]);
    const __m512i high23 = _mm512_unpackhi_epi16(plane[2], plane[3]);
    const __m512i part[4] = {
        // words 2 i, 2 i + 1 of every eight
        _mm512_unpacklo_epi32(low01, low23), _mm512_unpackhi_epi32(low01, low23),
        _mm512_unpacklo_epi32(high01, high23), _mm512_unpackhi_epi32(high01, high23)};
    uint64_t words[LANES_PIXELS];
    uint64_t *const join = stride == 1 && pixels == LANES_PIXELS ? to : words;
    UNROLL for (size_t i = 0; i < 4; i++) {
        const __m128i lanes[4] = {
            _mm512_castsi512_si128(part[i]), _mm512_extracti32x4_epi32(part[i], 1),
            _mm512_extracti32x4_epi32(part[i], 2), _mm512_extracti32x4_epi32(part[i], 3)};
        UNROLL for (size_t l = 0; l < 4; l++) {
            _mm_storeu_si128((__m128i *)(void *)(join + 8 * l + 2 * i), lanes[l]);
        }
    }
    for (size_t m = 0; m < pixels && join == words; m++) to[m * stride] = words[m];
}

static void lanes_pixels_thr(lanes_task *t, size_t pixels, uint64_t *bits, size_t stride) {
    const size_t n = t->conv->n;
    for (size_t word = 0; 64 * word < n; word++) {
        __m512i plane[4];
        for (size_t i = 0; i < 4; i++) {
            const size_t begin = 64 * word + 16 * i, end = begin + 16 < n ? begin + 16 : n;
            t->bits = _mm512_setzero_si512();
            for (size_t c = begin; c < end;) c += lanes_block(OP_THR, t, c);
            plane[i] = t->bits;
        }
        lanes_join(plane, pixels, bits + word, stride);
    }
}

// Fewer pixels than 32: to a buffer first, some channels at a time.
#define LANES_FEW_CHANNELS 64

static void lanes_pixels_acc(lanes_task *t, size_t pixels, int32_t *acc, size_t stride) {
    const size_t n = t->conv->n;
    t->acc_stride = stride;
    t->acc_channel = 0;
    t->acc = acc;
    if (pixels == LANES_PIXELS) {
        for (size_t c = 0; c < n;) c += lanes_block(OP_ACC, t, c);
        return;
    }
    int32_t few[LANES_PIXELS * LANES_FEW_CHANNELS];
    lanes_task part = *t;
    part.acc = few;
    part.acc_stride = LANES_FEW_CHANNELS;
    for (size_t begin = 0; begin < n; begin += LANES_FEW_CHANNELS) {
        const size_t left = n - begin;
        const size_t width = left < LANES_FEW_CHANNELS ? left : LANES_FEW_CHANNELS;
        part.acc_channel = begin;
        for (size_t c = begin; c < begin + width;) c += lanes_block(OP_ACC, &part, c);
        for (size_t m = 0; m < pixels; m++)
            memcpy(acc + m * stride + begin, few + m * LANES_FEW_CHANNELS, width * sizeof *few);
    }
}

#define LANES_CODES 32768 // lanes of all pixels unfolded at a time
#define LANES_MAX_PIXELS 128

// packed: by lanes_pack
ALWAYS_INLINE void run_lanes(bits_op op, const xnor_bits_conv *conv, const void *packed,
                             const uint64_t *plane, size_t first, size_t count, int32_t *acc,
                             uint64_t *bits, size_t stride) {
    _Alignas(64) uint16_t codes[LANES_CODES];
    lanes_task t = {.conv = conv, .shape = lanes_shape_of(conv->k)};
    t.weights = packed;
    t.limits = t.weights + lanes_weights(conv->k, conv->n);
    // The last vectors of lines reach beyond the pixels asked for.
    const size_t fitting = LANES_CODES / (4 * xnor_words(conv->k)) / LANES_PIXELS * LANES_PIXELS;
    t.pitch = fitting < LANES_MAX_PIXELS + LANES_PIXELS ? fitting : LANES_MAX_PIXELS + LANES_PIXELS;
    const size_t room = t.pitch - LANES_PIXELS;
    for (size_t done = 0; done < count;) {
        const size_t chunk = count - done < room ? count - done : room;
        lanes_unfold_pixels(conv, plane, first + done, chunk, codes, t.pitch);
        for (size_t at = 0; at < chunk; at += LANES_PIXELS, done += LANES_PIXELS) {
            const size_t pixels = chunk - at < LANES_PIXELS ? chunk - at : LANES_PIXELS;
            t.codes = codes + at;
            if (op == OP_THR)
                lanes_pixels_thr(&t, pixels, bits + done * stride, stride);
            else
                lanes_pixels_acc(&t, pixels, acc + done * stride, stride);
        }
    }
}

#endif
