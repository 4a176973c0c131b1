// Binary gemm for AVX-512 and few output channels, or the last few behind full blocks, which would leave
// most lanes of avx512_bits.h empty: here a lane is a row, 64 bits of k at a time, and the weights are
// broadcast.
//
// Unit of work: 512 bit-MAC, xor (ternary: and + xor in one vpternlog) + vpopcnt + vpadd; carry-save
// addition would gain nothing over the few words of such layers. Tile: 4 channels x 2 vectors of 8 rows:
// 8 counts, 2 activations, 4 weights, temporaries of 32 registers; per word 24 operations, 2 loads and 4
// broadcasts. A threshold is one compare and one masked or per channel and vector. Limited by the
// vector pipes: 3 · words + 1 operations per 8 rows and channel.
//
// Packed weights: uint64_t w[n][words], then int64_t[n] of limits. Sixteen rows are transposed to
// [words][16] on the stack, the mask behind them (from a multiple of four words on).
#ifndef XNOR_KERNELS_AVX512_NARROW_H
#define XNOR_KERNELS_AVX512_NARROW_H

#include "kernels/inline.h"
#include "kernels/sets.h"

#include "core/size.h"

#include <immintrin.h>
#include <string.h>

#define NARROW_MAX_N 36
#define NARROW_MAX_WORDS 64
#define NARROW_ROWS 16
#define NARROW_TILE 4 // channels

// How many of n channels, the last ones, are better off here than in a block of 64.
static size_t narrow_channels(size_t k, size_t n) {
    return n % 64 <= NARROW_MAX_N && k <= 64 * NARROW_MAX_WORDS ? n % 64 : 0;
}

static size_t narrow_packed_bytes(size_t k, size_t n) {
    return xnor_align_up(n * (xnor_words(k) + 1) * sizeof(uint64_t), 64);
}

static void narrow_limits(size_t k, size_t n, const int32_t *limit, void *packed) {
    int64_t *to = (int64_t *)packed + n * xnor_words(k);
    for (size_t c = 0; c < n; c++) to[c] = limit[c];
}

static void narrow_pack(size_t k, size_t n, const uint64_t *w, void *packed) {
    memcpy(packed, w, n * xnor_words(k) * sizeof *w);
}

typedef struct narrow_task {
    const xnor_gemm_args *args;
    size_t rows;           // at most NARROW_ROWS
    const uint64_t *codes; // [words][NARROW_ROWS], of ternary rows [2][words][NARROW_ROWS]
    const __m512i *totals; // 16 × int32: what twice the counts are subtracted from
    int32_t *acc;          // OP_ACC, OP_TERNARY: at the first row
    __m512i *most;         // maxima: [n]
    uint64_t *bits;        // OP_THR: at the first row
    size_t out_stride;
} narrow_task;

// Four words of eight rows as vectors of eight rows: per vector two shuffles and an insertion, where a
// gather would take eight loads.
ALWAYS_INLINE void narrow_transpose4(const uint64_t *a, size_t stride, __mmask8 words,
                                     uint64_t *codes) {
    __m512i pair[4]; // of rows r and r + 4
    UNROLL for (size_t r = 0; r < 4; r++) {
        const __m256i low = _mm256_maskz_loadu_epi64(words, a + r * stride);
        const __m256i high = _mm256_maskz_loadu_epi64(words, a + (r + 4) * stride);
        pair[r] = _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
    }
    const __m512i low01 = _mm512_unpacklo_epi64(pair[0], pair[1]);
    const __m512i high01 = _mm512_unpackhi_epi64(pair[0], pair[1]);
    const __m512i low23 = _mm512_unpacklo_epi64(pair[2], pair[3]);
    const __m512i high23 = _mm512_unpackhi_epi64(pair[2], pair[3]);
    const __m512i first = _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13);
    const __m512i second = _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15);
    const __m512i out[4] = {_mm512_permutex2var_epi64(low01, first, low23),
                            _mm512_permutex2var_epi64(high01, first, high23),
                            _mm512_permutex2var_epi64(low01, second, low23),
                            _mm512_permutex2var_epi64(high01, second, high23)};
    UNROLL for (size_t j = 0; j < 4; j++) _mm512_store_si512(codes + j * NARROW_ROWS, out[j]);
}

// Codes are written for a multiple of four words. If there are too few rows, the last is repeated.
static void narrow_transpose(const uint64_t *a, size_t stride, size_t count, size_t words,
                             uint64_t *codes) {
    uint64_t few[NARROW_ROWS * NARROW_MAX_WORDS];
    if (count < NARROW_ROWS) {
        for (size_t r = 0; r < NARROW_ROWS; r++) {
            const uint64_t *row = a + (r < count ? r : count - 1) * stride;
            memcpy(few + r * words, row, words * sizeof *row);
        }
        a = few;
        stride = words;
    }
    for (size_t j = 0; j < words; j += 4, a += 4, codes += 4 * NARROW_ROWS) {
        const __mmask8 mask = (__mmask8)first_lanes(words - j, 4);
        narrow_transpose4(a, stride, mask, codes);
        narrow_transpose4(a + 8 * stride, stride, mask, codes + 8);
    }
}

// count[c][v] (+)= popcount((a XOR w[c]) AND mask) of 8 rows, in word j
ALWAYS_INLINE void narrow_step(bool ternary, size_t words, size_t channels, size_t j,
                               const uint64_t *codes, const uint64_t *w,
                               __m512i count[NARROW_TILE][2]) {
    __m512i a[2];
    __m512i mask[2];
    UNROLL for (size_t v = 0; v < 2; v++) {
        a[v] = _mm512_load_si512(codes + j * NARROW_ROWS + 8 * v);
        if (ternary)
            mask[v] =
                _mm512_load_si512(codes + (xnor_align_up(words, 4) + j) * NARROW_ROWS + 8 * v);
    }
    UNROLL for (size_t c = 0; c < channels; c++) {
        const __m512i weight = _mm512_set1_epi64((int64_t)w[c * words + j]);
        UNROLL for (size_t v = 0; v < 2; v++) {
            const __m512i x =
                ternary ? _mm512_ternarylogic_epi64(weight, mask[v], a[v], TERNARY_MASKED_XOR)
                        : _mm512_xor_si512(weight, a[v]);
            const __m512i ones = _mm512_popcnt_epi64(x);
            count[c][v] = j == 0 ? ones : _mm512_add_epi64(count[c][v], ones);
        }
    }
}

ALWAYS_INLINE void store_quarter(int32_t *to, __m128i v) {
    _mm_storeu_si128((__m128i *)(void *)to, v);
}

// acc[r][0..4) of 16 rows, from values[c]: lane 2r of row r, lane 2r + 1 of row r + 8.
ALWAYS_INLINE void narrow_store4(const __m512i values[4], size_t rows, int32_t *acc,
                                 size_t acc_stride) {
    const __m512i low01 = _mm512_unpacklo_epi32(values[0], values[1]);
    const __m512i high01 = _mm512_unpackhi_epi32(values[0], values[1]);
    const __m512i low23 = _mm512_unpacklo_epi32(values[2], values[3]);
    const __m512i high23 = _mm512_unpackhi_epi32(values[2], values[3]);
    const __m512i part[4] = {
        _mm512_unpacklo_epi64(low01, low23), _mm512_unpackhi_epi64(low01, low23),
        _mm512_unpacklo_epi64(high01, high23), _mm512_unpackhi_epi64(high01, high23)};
    UNROLL for (size_t i = 0; i < 4; i++) { // lanes i, i + 4, i + 8, i + 12
        const size_t row = i / 2 + i % 2 * 8;
        int32_t *to = acc + row * acc_stride;
        if (row < rows) store_quarter(to, _mm512_castsi512_si128(part[i]));
        if (row + 2 < rows)
            store_quarter(to + 2 * acc_stride, _mm512_extracti32x4_epi32(part[i], 1));
        if (row + 4 < rows)
            store_quarter(to + 4 * acc_stride, _mm512_extracti32x4_epi32(part[i], 2));
        if (row + 6 < rows)
            store_quarter(to + 6 * acc_stride, _mm512_extracti32x4_epi32(part[i], 3));
    }
}

static void narrow_store(const narrow_task *t, const __m512i *values) {
    const size_t n = t->args->n;
    if (n >= 4) { // the last four channels overlap the four before
        for (size_t c = 0; c < n; c += 4) {
            const size_t first = c + 4 <= n ? c : n - 4;
            narrow_store4(values + first, t->rows, t->acc + first, t->out_stride);
        }
        return;
    }
    for (size_t c = 0; c < n; c++) {
        int32_t lanes[16];
        _mm512_storeu_si512(lanes, values[c]);
        for (size_t r = 0; r < t->rows; r++)
            t->acc[r * t->out_stride + c] = lanes[r < 8 ? 2 * r : 2 * (r - 8) + 1];
    }
}

// The channels c .. c + channels, which are at most a tile.
ALWAYS_INLINE void narrow_tile(bits_op op, size_t words, size_t channels, const narrow_task *t,
                               size_t first, __m512i values[NARROW_MAX_N], __m512i bits[2]) {
    const uint64_t *w = (const uint64_t *)t->args->packed + first * words;
    const int64_t *limit = (const int64_t *)t->args->packed + t->args->n * words + first;
    __m512i count[NARROW_TILE][2];
    narrow_step(is_ternary(op), words, channels, 0, t->codes, w, count);
    for (size_t j = 1; j < words; j++) {
        narrow_step(is_ternary(op), words, channels, j, t->codes, w, count);
    }
    UNROLL for (size_t c = 0; c < channels; c++) {
        if (op == OP_THR) {
            const __m512i most = _mm512_set1_epi64(limit[c]);
            const __m512i bit = _mm512_set1_epi64((int64_t)(UINT64_C(1) << (first + c)));
            UNROLL for (size_t v = 0; v < 2; v++) {
                const __mmask8 set = _mm512_cmple_epi64_mask(count[c][v], most);
                bits[v] = _mm512_mask_or_epi64(bits[v], set, bits[v], bit);
            }
        } else { // lane 2r of row r, lane 2r + 1 of row r + 8
            const __m512i both = _mm512_or_si512(count[c][0], _mm512_slli_epi64(count[c][1], 32));
            values[first + c] = _mm512_sub_epi32(*t->totals, _mm512_add_epi32(both, both));
        }
    }
}

ALWAYS_INLINE void narrow_rows(bits_op op, size_t words, const narrow_task *t) {
    const size_t n = t->args->n;
    __m512i values[NARROW_MAX_N];
    __m512i bits[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
    size_t c = 0;
    for (; c + 4 <= n; c += 4) narrow_tile(op, words, 4, t, c, values, bits);
    if (c + 2 <= n) {
        narrow_tile(op, words, 2, t, c, values, bits);
        c += 2;
    }
    if (c < n) narrow_tile(op, words, 1, t, c, values, bits);
    if (op == OP_THR && t->out_stride == 1 && t->rows == NARROW_ROWS) {
        _mm512_storeu_si512(t->bits, bits[0]);
        _mm512_storeu_si512(t->bits + 8, bits[1]);
    } else if (op == OP_THR) {
        uint64_t rows[NARROW_ROWS];
        _mm512_storeu_si512(rows, bits[0]);
        _mm512_storeu_si512(rows + 8, bits[1]);
        for (size_t r = 0; r < t->rows; r++) t->bits[r * t->out_stride] = rows[r];
    } else if (op == OP_MAX || op == OP_MAX_TERNARY) {
        for (size_t i = 0; i < n; i++) t->most[i] = _mm512_max_epi32(t->most[i], values[i]);
    } else {
        narrow_store(t, values);
    }
}

#define DEFINE_NARROW(op, name)                                                                    \
    static                                                                                         \
        __attribute__((noinline)) void name##_16x4_k192__avx512vpopcntdq(const narrow_task *t) {   \
        narrow_rows(op, 3, t);                                                                     \
    }                                                                                              \
    static __attribute__((noinline)) void name##_16x4__avx512vpopcntdq(const narrow_task *t) {     \
        narrow_rows(op, xnor_words(t->args->k), t);                                                \
    }                                                                                              \
    static void name##_narrow(const narrow_task *t) {                                              \
        if (xnor_words(t->args->k) == 3)                                                           \
            name##_16x4_k192__avx512vpopcntdq(t);                                                  \
        else                                                                                       \
            name##_16x4__avx512vpopcntdq(t);                                                       \
    }
DEFINE_NARROW(OP_ACC, xnor_gemm_acc)
DEFINE_NARROW(OP_THR, xnor_gemm_thr)
DEFINE_NARROW(OP_MAX, xnor_gemm_max)
DEFINE_NARROW(OP_TERNARY, xnor_gemm_acc_ternary)
DEFINE_NARROW(OP_MAX_TERNARY, xnor_gemm_max_ternary)

// Popcounts of the masks, in the order of narrow_tile.
static __m512i narrow_totals(size_t words, const uint64_t *masks) {
    __m512i sum[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
    for (size_t j = 0; j < words; j++) {
        UNROLL for (size_t v = 0; v < 2; v++) {
            const __m512i mask = _mm512_load_si512(masks + j * NARROW_ROWS + 8 * v);
            sum[v] = _mm512_add_epi64(sum[v], _mm512_popcnt_epi64(mask));
        }
    }
    return _mm512_or_si512(sum[0], _mm512_slli_epi64(sum[1], 32));
}

ALWAYS_INLINE void run_narrow(bits_op op, const xnor_gemm_args *args, int32_t *acc, uint64_t *bits,
                              size_t out_stride) {
    const size_t words = xnor_words(args->k);
    const bool maximum = op == OP_MAX || op == OP_MAX_TERNARY;
    const size_t planes = xnor_align_up(words, 4) * NARROW_ROWS;
    _Alignas(64) uint64_t codes[2 * NARROW_MAX_WORDS * NARROW_ROWS];
    __m512i most[NARROW_MAX_N];
    __m512i totals = _mm512_set1_epi32((int32_t)args->k);
    narrow_task t = {.args = args, .codes = codes, .totals = &totals, .most = most};
    t.out_stride = out_stride;
    for (size_t c = 0; maximum && c < args->n; c++) most[c] = _mm512_set1_epi32(acc[c]);
    t.rows = args->rows < NARROW_ROWS ? args->rows : NARROW_ROWS;
    const size_t last = args->rows - t.rows;
    for (size_t i = 0; i < args->rows; i += NARROW_ROWS) {
        const size_t row = i < last ? i : last; // the last rows overlap those before
        narrow_transpose(args->a + row * args->a_stride, args->a_stride, t.rows, words, codes);
        if (is_ternary(op)) {
            uint64_t *masks = codes + planes;
            narrow_transpose(args->mask + row * args->a_stride, args->a_stride, t.rows, words,
                             masks);
            totals = narrow_totals(words, masks);
        }
        if (op == OP_THR)
            t.bits = bits + row * out_stride;
        else if (!maximum)
            t.acc = acc + row * out_stride;
        if (op == OP_ACC) xnor_gemm_acc_narrow(&t);
        if (op == OP_THR) xnor_gemm_thr_narrow(&t);
        if (op == OP_MAX) xnor_gemm_max_narrow(&t);
        if (op == OP_TERNARY) xnor_gemm_acc_ternary_narrow(&t);
        if (op == OP_MAX_TERNARY) xnor_gemm_max_ternary_narrow(&t);
    }
    for (size_t c = 0; maximum && c < args->n; c++) acc[c] = _mm512_reduce_max_epi32(most[c]);
}

#endif
