// Binary gemm for AVX2, which has no vector popcount: four bits of k per step by table look-up. The
// activation's four bits choose a row of 16 counts, one for each value of a weight's four bits, and
// vpshufb looks up 32 channels in it: xor, popcount and, for ternary activations, the mask are all
// in the table. One channel per byte lane, so nothing is summed across lanes.
//
// Unit of work: 256 bit-MAC are two vpshufb and two vpaddb (eight operations with the usual xor,
// split into nibbles and look up). Tile: 4 rows x 64 channels: 8 counts, 2 weights, up to 4 table
// rows of 16 registers; per step of four bits 2 weight loads, 4 index loads, 4 broadcasts, 8 + 8
// operations. Limited by the shuffle pipes (two on Zen, one on older Intel cores).
//
// A lane overflows after 63 steps of at most 4; beyond SHORT_MAX_K bits, segments are added to
// 16-bit counts in memory.
//
// Packed weights, per block of 64 channels: [steps][64] bytes of four bits each, then uint16_t[64]
// of limit + 1 (a bit is set iff count < limit + 1; 0 is never).
#ifndef XNOR_KERNELS_AVX2_BITS_H
#define XNOR_KERNELS_AVX2_BITS_H

#include "kernels/inline.h"
#include "kernels/sets.h"

#include "core/size.h"

#include <immintrin.h>
#include <string.h>

#define SEGMENT_STEPS 62
#define SHORT_MAX_K (4 * SEGMENT_STEPS)
#define LANES_MAX_K 65534 // counts and limit + 1 fit in 16 bits; beyond, the C kernels take over
#define CODE_COUNT 16384  // one row of that k
#define CHUNK_CODES 8192  // 16 KB, so that the first-level cache holds them
#define MAX_CHUNK_ROWS 256
#define MAX_TILE_ROWS 4

// counts[mask][activation][weight] = popcount((weight ^ activation) & mask)
#define POPCOUNT4(x) (((x)&1) + ((x) >> 1 & 1) + ((x) >> 2 & 1) + ((x) >> 3 & 1))
#define AT(m, a, w) POPCOUNT4(((w) ^ (a)) & (m))
#define ROW4(m, a, w) AT(m, a, w), AT(m, a, w + 1), AT(m, a, w + 2), AT(m, a, w + 3)
#define ROW16(m, a)                                                                                \
    { ROW4(m, a, 0), ROW4(m, a, 4), ROW4(m, a, 8), ROW4(m, a, 12) }
#define MASK4(m, a) ROW16(m, a), ROW16(m, a + 1), ROW16(m, a + 2), ROW16(m, a + 3)
#define MASK(m)                                                                                    \
    { MASK4(m, 0), MASK4(m, 4), MASK4(m, 8), MASK4(m, 12) }
static const _Alignas(64) uint8_t counts[16][16][16] = {
    MASK(0), MASK(1), MASK(2),  MASK(3),  MASK(4),  MASK(5),  MASK(6),  MASK(7),
    MASK(8), MASK(9), MASK(10), MASK(11), MASK(12), MASK(13), MASK(14), MASK(15)};

typedef enum bits_op { OP_ACC, OP_THR, OP_MAX, OP_TERNARY, OP_MAX_TERNARY } bits_op;

ALWAYS_INLINE bool is_ternary(bits_op op) {
    return op == OP_TERNARY || op == OP_MAX_TERNARY;
}

#include "kernels/avx2_narrow.h"

// Codes are byte offsets into `counts`: mask · 256 + activation · 16.
#define FULL_MASK_CODE (15 * 256)

typedef struct bits_shape {
    size_t steps;
    size_t block_bytes;
} bits_shape;

static bits_shape shape_of(size_t k) {
    bits_shape s;
    s.steps = (k + 7) / 8 * 2;
    s.block_bytes = s.steps * 64 + 64 * sizeof(uint16_t);
    return s;
}

// ---- packing ------------------------------------------------------------------------------------

// Full blocks, or a last block with enough channels; the other channels lie behind as
// avx2_narrow.h wants them.
static size_t wide_channels(size_t k, size_t n) {
    return n - narrow_channels(k, n);
}

static size_t wide_bytes(size_t k, size_t n) {
    return xnor_words(wide_channels(k, n)) * shape_of(k).block_bytes;
}

static size_t gemm_packed_bytes(size_t k, size_t n) {
    if (k > LANES_MAX_K) return xnor_kernels_c.gemm_packed_bytes(k, n);
    return wide_bytes(k, n) + narrow_packed_bytes(k, narrow_channels(k, n));
}

static void gemm_limits(size_t k, size_t n, const int32_t *limit, void *packed) {
    if (k > LANES_MAX_K) {
        xnor_kernels_c.gemm_limits(k, n, limit, packed);
        return;
    }
    const bits_shape s = shape_of(k);
    const size_t wide = wide_channels(k, n);
    narrow_limits(k, n - wide, limit + wide, (uint8_t *)packed + wide_bytes(k, n));
    for (size_t c = 0; c < wide; c++) {
        uint8_t *block = (uint8_t *)packed + c / 64 * s.block_bytes;
        const size_t most = limit[c] < 0 ? 0 : (size_t)limit[c] + 1;
        ((uint16_t *)(void *)(block + s.steps * 64))[c % 64] = (uint16_t)(most <= k ? most : k + 1);
    }
}

static void gemm_pack(size_t k, size_t n, const uint64_t *w, const int32_t *limit, void *packed) {
    if (k > LANES_MAX_K) {
        xnor_kernels_c.gemm_pack(k, n, w, limit, packed);
        return;
    }
    const bits_shape s = shape_of(k);
    const size_t words = xnor_words(k), wide = wide_channels(k, n);
    memset(packed, 0, gemm_packed_bytes(k, n));
    narrow_pack(k, n - wide, w + wide * words, (uint8_t *)packed + wide_bytes(k, n));
    for (size_t c = 0; c < wide; c++) {
        uint8_t *block = (uint8_t *)packed + c / 64 * s.block_bytes;
        for (size_t i = 0; i < s.steps; i++) {
            block[i * 64 + c % 64] = (uint8_t)(w[c * words + i / 16] >> (i % 16 * 4) & 15);
        }
    }
    if (limit) gemm_limits(k, n, limit, packed);
}

// The 16 nibbles of a word, in order, one per 16-bit lane and times 16.
ALWAYS_INLINE __m256i nibbles(uint64_t word) {
    const __m256i bytes = _mm256_cvtepu8_epi16(
        _mm_unpacklo_epi8(_mm_cvtsi64_si128((long long)word), _mm_cvtsi64_si128((long long)word)));
    // Every byte is there twice: its low nibble is taken from the first, its high one from the
    // second.
    const __m256i low = _mm256_slli_epi16(_mm256_and_si256(bytes, _mm256_set1_epi16(15)), 4);
    const __m256i high = _mm256_and_si256(bytes, _mm256_set1_epi16(240));
    return _mm256_blend_epi16(low, high, 0xAA);
}

// One row's codes; `mask` is NULL for activations without zeros.
ALWAYS_INLINE void expand_row(const uint64_t *row, const uint64_t *mask, size_t words,
                              uint16_t *codes) {
    for (size_t j = 0; j < words; j++) {
        const __m256i masks =
            mask ? _mm256_slli_epi16(nibbles(mask[j]), 4) : _mm256_set1_epi16(FULL_MASK_CODE);
        const __m256i code = _mm256_or_si256(nibbles(row[j]), masks);
        _mm256_storeu_si256((__m256i *)(void *)(codes + 16 * j), code);
    }
}

// ---- the tile -----------------------------------------------------------------------------------

// count[r][v] += popcounts of 32 channels over `steps` steps, at most SEGMENT_STEPS and even.
ALWAYS_INLINE void count_segment(size_t rows, size_t steps, size_t code_stride,
                                 const uint16_t *codes, const uint8_t *w,
                                 __m256i count[MAX_TILE_ROWS][2]) {
    UNROLL for (size_t r = 0; r < rows; r++) {
        count[r][0] = _mm256_setzero_si256();
        count[r][1] = _mm256_setzero_si256();
    }
    UNROLL_2 for (size_t i = 0; i < steps; i++) {
        const __m256i w0 = _mm256_loadu_si256((const __m256i *)(const void *)(w + 64 * i));
        const __m256i w1 = _mm256_loadu_si256((const __m256i *)(const void *)(w + 64 * i + 32));
        UNROLL for (size_t r = 0; r < rows; r++) {
            const uint8_t *at = &counts[0][0][0] + codes[r * code_stride + i];
            const __m256i table =
                _mm256_broadcastsi128_si256(_mm_load_si128((const __m128i *)(const void *)at));
            count[r][0] = _mm256_add_epi8(count[r][0], _mm256_shuffle_epi8(table, w0));
            count[r][1] = _mm256_add_epi8(count[r][1], _mm256_shuffle_epi8(table, w1));
        }
    }
}

ALWAYS_INLINE __m256i load_words(const uint16_t *p) {
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

// wide[0..16) += 16 bytes
ALWAYS_INLINE void widen_add(uint16_t *wide, __m128i bytes) {
    const __m256i sum = _mm256_add_epi16(load_words(wide), _mm256_cvtepu8_epi16(bytes));
    _mm256_storeu_si256((__m256i *)(void *)wide, sum);
}

// wide[r][64] = popcount over all steps.
ALWAYS_INLINE void count_long(size_t rows, size_t steps, size_t code_stride, const uint16_t *codes,
                              const uint8_t *w, uint16_t wide[MAX_TILE_ROWS][64]) {
    memset(wide, 0, rows * sizeof wide[0]);
    for (size_t step = 0; step < steps; step += SEGMENT_STEPS) {
        const size_t left = steps - step;
        __m256i count[MAX_TILE_ROWS][2];
        count_segment(rows, left < SEGMENT_STEPS ? left : SEGMENT_STEPS, code_stride, codes + step,
                      w + step * 64, count);
        UNROLL for (size_t r = 0; r < rows; r++) {
            UNROLL for (size_t v = 0; v < 2; v++) {
                widen_add(wide[r] + 32 * v, _mm256_castsi256_si128(count[r][v]));
                widen_add(wide[r] + 32 * v + 16, _mm256_extracti128_si256(count[r][v], 1));
            }
        }
    }
}

// ---- what happens to the counts -----------------------------------------------------------------

// One task: all rows of a chunk times one block of channels.
typedef struct bits_task {
    size_t k;
    size_t steps;
    size_t rows;
    size_t channels;       // of the block that exist
    const uint8_t *block;  // weights, then limits
    const uint16_t *codes; // of the first row
    size_t code_stride;
    const int32_t *totals; // ternary: popcount of the mask, per row
    int32_t *acc; // OP_ACC, OP_TERNARY: at the first row and channel; of a maximum: at the channel
    uint64_t *bits; // OP_THR: at the first row and the block's word
    size_t out_stride;
} bits_task;

// One row's accumulators from its byte counts, or from its 16-bit counts if `wide`.
ALWAYS_INLINE void finish_acc(int32_t total, size_t channels, const __m256i count[2],
                              const uint16_t *wide, int32_t *acc) {
    _Alignas(32) uint8_t bytes[64];
    int32_t part[64];
    int32_t *to = channels < 64 ? part : acc;
    if (!wide) {
        _mm256_store_si256((__m256i *)(void *)bytes, count[0]);
        _mm256_store_si256((__m256i *)(void *)(bytes + 32), count[1]);
    }
    UNROLL for (size_t i = 0; i < 64; i += 8) {
        const __m256i p =
            wide
                ? _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)(wide + i)))
                : _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(bytes + i)));
        const __m256i value = _mm256_sub_epi32(_mm256_set1_epi32(total), _mm256_add_epi32(p, p));
        _mm256_storeu_si256((__m256i *)(void *)(to + i), value);
    }
    if (channels < 64) memcpy(acc, part, channels * sizeof *acc);
}

// acc = k - (2 · count + zeros) of ternary rows: up to this k the bracket fits in a byte, so that the
// maximum over rows needs no accumulators.
#define BYTE_MAX_TERNARY_K 127

ALWAYS_INLINE void raise_max(const int32_t *acc, size_t channels, int32_t *max) {
    for (size_t c = 0; c < channels; c++) {
        if (acc[c] > max[c]) max[c] = acc[c];
    }
}

// Bit i of the result: count lane i < limit lane i, both unsigned.
ALWAYS_INLINE uint64_t below_bytes(__m256i count, __m256i limit) {
    const __m256i missing = _mm256_subs_epu8(limit, count);
    const __m256i not_below = _mm256_cmpeq_epi8(missing, _mm256_setzero_si256());
    return (uint32_t)~_mm256_movemask_epi8(not_below);
}

ALWAYS_INLINE uint64_t below_words(const uint16_t *count, const uint16_t *limit) {
    const __m256i low = _mm256_subs_epu16(load_words(limit), load_words(count));
    const __m256i high = _mm256_subs_epu16(load_words(limit + 16), load_words(count + 16));
    const __m256i zero = _mm256_setzero_si256();
    const __m256i not_below =
        _mm256_packs_epi16(_mm256_cmpeq_epi16(low, zero), _mm256_cmpeq_epi16(high, zero));
    return (uint32_t)~_mm256_movemask_epi8(_mm256_permute4x64_epi64(not_below, 0xD8));
}

ALWAYS_INLINE int32_t row_total(bits_op op, const bits_task *t, size_t row) {
    return is_ternary(op) ? t->totals[row] : (int32_t)t->k;
}

ALWAYS_INLINE void run_short(bits_op op, size_t rows, const bits_task *t, size_t row,
                             const __m256i limit[2], __m256i low[2]) {
    __m256i count[MAX_TILE_ROWS][2];
    count_segment(rows, t->steps, t->code_stride, t->codes + row * t->code_stride, t->block, count);
    UNROLL for (size_t r = 0; r < rows; r++) {
        if (op == OP_THR) {
            t->bits[(row + r) * t->out_stride] =
                below_bytes(count[r][0], limit[0]) | below_bytes(count[r][1], limit[1]) << 32;
        } else if (op == OP_MAX) {
            low[0] = _mm256_min_epu8(low[0], count[r][0]);
            low[1] = _mm256_min_epu8(low[1], count[r][1]);
        } else if (op == OP_MAX_TERNARY && t->k <= BYTE_MAX_TERNARY_K) {
            const __m256i zeros = _mm256_set1_epi8((char)((int32_t)t->k - t->totals[row + r]));
            UNROLL for (size_t v = 0; v < 2; v++) {
                const __m256i twice = _mm256_add_epi8(count[r][v], count[r][v]);
                low[v] = _mm256_min_epu8(low[v], _mm256_add_epi8(twice, zeros));
            }
        } else if (op == OP_MAX_TERNARY) {
            int32_t acc[64];
            finish_acc(t->totals[row + r], 64, count[r], NULL, acc);
            raise_max(acc, t->channels, t->acc);
        } else {
            finish_acc(row_total(op, t, row + r), t->channels, count[r], NULL,
                       t->acc + (row + r) * t->out_stride);
        }
    }
}

ALWAYS_INLINE void run_long(bits_op op, size_t rows, const bits_task *t, size_t row,
                            const uint16_t *limit, uint16_t low[64]) {
    uint16_t wide[MAX_TILE_ROWS][64];
    count_long(rows, t->steps, t->code_stride, t->codes + row * t->code_stride, t->block, wide);
    for (size_t r = 0; r < rows; r++) {
        if (op == OP_THR) {
            t->bits[(row + r) * t->out_stride] =
                below_words(wide[r], limit) | below_words(wide[r] + 32, limit + 32) << 32;
        } else if (op == OP_MAX) {
            for (size_t i = 0; i < 64; i += 16) {
                const __m256i less = _mm256_min_epu16(load_words(low + i), load_words(wide[r] + i));
                _mm256_storeu_si256((__m256i *)(void *)(low + i), less);
            }
        } else if (op == OP_MAX_TERNARY) {
            int32_t acc[64];
            finish_acc(t->totals[row + r], 64, NULL, wide[r], acc);
            raise_max(acc, t->channels, t->acc);
        } else {
            finish_acc(row_total(op, t, row + r), t->channels, NULL, wide[r],
                       t->acc + (row + r) * t->out_stride);
        }
    }
}

// max = max(max, k - 2 · low)
static void merge_max(const bits_task *t, const __m256i low[2], const uint16_t *wide) {
    int32_t acc[64];
    if (wide)
        finish_acc((int32_t)t->k, 64, NULL, wide, acc);
    else
        finish_acc((int32_t)t->k, 64, low, NULL, acc);
    raise_max(acc, t->channels, t->acc);
}

// max = max(max, k - low)
static void merge_max_ternary(const bits_task *t, const __m256i low[2]) {
    uint8_t bytes[64];
    int32_t acc[64];
    _mm256_storeu_si256((__m256i *)(void *)bytes, low[0]);
    _mm256_storeu_si256((__m256i *)(void *)(bytes + 32), low[1]);
    for (size_t c = 0; c < 64; c++) acc[c] = (int32_t)t->k - bytes[c];
    raise_max(acc, t->channels, t->acc);
}

ALWAYS_INLINE void run_short_rows(bits_op op, const bits_task *t) {
    const uint16_t *limit16 = (const uint16_t *)(const void *)(t->block + t->steps * 64);
    __m256i limit[2];
    __m256i low[2];
    UNROLL for (size_t v = 0; v < 2; v++) {
        const __m256i bytes = _mm256_packus_epi16(load_words(limit16 + 32 * v), //
                                                  load_words(limit16 + 32 * v + 16));
        limit[v] = _mm256_permute4x64_epi64(bytes, 0xD8);
        low[v] = _mm256_set1_epi8(-1);
    }
    size_t row = 0;
    for (; row + 4 <= t->rows; row += 4) run_short(op, 4, t, row, limit, low);
    for (; row + 2 <= t->rows; row += 2) run_short(op, 2, t, row, limit, low);
    if (row < t->rows) run_short(op, 1, t, row, limit, low);
    if (op == OP_MAX) merge_max(t, low, NULL);
    if (op == OP_MAX_TERNARY && t->k <= BYTE_MAX_TERNARY_K) merge_max_ternary(t, low);
}

ALWAYS_INLINE void run_long_rows(bits_op op, const bits_task *t) {
    const uint16_t *limit = (const uint16_t *)(const void *)(t->block + t->steps * 64);
    uint16_t low[64];
    memset(low, 0xFF, sizeof low);
    size_t row = 0;
    for (; row + 4 <= t->rows; row += 4) run_long(op, 4, t, row, limit, low);
    for (; row + 2 <= t->rows; row += 2) run_long(op, 2, t, row, limit, low);
    if (row < t->rows) run_long(op, 1, t, row, limit, low);
    if (op == OP_MAX) merge_max(t, NULL, low);
}

#define DEFINE_OP(op, name)                                                                        \
    static __attribute__((noinline)) void name##_4x64__avx2(const bits_task *t) {                  \
        run_short_rows(op, t);                                                                     \
    }                                                                                              \
    static __attribute__((noinline)) void name##_4x64_long__avx2(const bits_task *t) {             \
        run_long_rows(op, t);                                                                      \
    }                                                                                              \
    static void name##_task(const bits_task *t) {                                                  \
        if (t->k <= SHORT_MAX_K)                                                                   \
            name##_4x64__avx2(t);                                                                  \
        else                                                                                       \
            name##_4x64_long__avx2(t);                                                             \
    }
DEFINE_OP(OP_ACC, xnor_gemm_acc)
DEFINE_OP(OP_THR, xnor_gemm_thr)
DEFINE_OP(OP_MAX, xnor_gemm_max)
DEFINE_OP(OP_TERNARY, xnor_gemm_acc_ternary)
DEFINE_OP(OP_MAX_TERNARY, xnor_gemm_max_ternary)

ALWAYS_INLINE void run_gemm(bits_op op, const xnor_gemm_args *args, int32_t *acc, uint64_t *bits,
                            size_t out_stride) {
    const bits_shape s = shape_of(args->k);
    const size_t words = xnor_words(args->k);
    _Alignas(64) uint16_t codes[CODE_COUNT];
    int32_t totals[MAX_CHUNK_ROWS];
    bits_task t = {.k = args->k, .steps = s.steps, .codes = codes, .totals = totals};
    t.code_stride = words * 16;
    t.out_stride = out_stride;
    size_t chunk = CHUNK_CODES / t.code_stride;
    if (chunk == 0) chunk = 1;
    if (chunk > 4) chunk = chunk / 4 * 4;
    if (chunk > MAX_CHUNK_ROWS) chunk = MAX_CHUNK_ROWS;
    for (size_t row = 0; row < args->rows; row += chunk) {
        t.rows = args->rows - row < chunk ? args->rows - row : chunk;
        for (size_t r = 0; r < t.rows; r++) {
            const size_t at = (row + r) * args->a_stride;
            const uint64_t *mask = is_ternary(op) ? args->mask + at : NULL;
            expand_row(args->a + at, mask, words, codes + r * t.code_stride);
            if (!is_ternary(op)) continue;
            totals[r] = 0;
            for (size_t j = 0; j < words; j++) totals[r] += __builtin_popcountll(mask[j]);
        }
        for (size_t c = args->n_begin; c < args->n_end; c += 64) {
            t.block = (const uint8_t *)args->packed + c / 64 * s.block_bytes;
            t.channels = args->n_end - c < 64 ? args->n_end - c : 64;
            if (op == OP_THR)
                t.bits = bits + row * out_stride + c / 64;
            else
                t.acc = acc + row * out_stride + c; // of a maximum there is one row: stride 0
            if (op == OP_ACC) xnor_gemm_acc_task(&t);
            if (op == OP_THR) xnor_gemm_thr_task(&t);
            if (op == OP_MAX) xnor_gemm_max_task(&t);
            if (op == OP_TERNARY) xnor_gemm_acc_ternary_task(&t);
            if (op == OP_MAX_TERNARY) xnor_gemm_max_ternary_task(&t);
        }
    }
}

// Full blocks here, what is behind them there.
ALWAYS_INLINE void run_all(bits_op op, const xnor_gemm_args *args, int32_t *acc, uint64_t *bits,
                           size_t out_stride) {
    const size_t wide = wide_channels(args->k, args->n);
    xnor_gemm_args part = *args;
    if (part.n_end > wide) part.n_end = wide;
    if (part.n_begin < part.n_end) run_gemm(op, &part, acc, bits, out_stride);
    if (args->n_end <= wide) return;
    part.n = part.n_end = args->n - wide;
    part.packed = (const uint8_t *)args->packed + wide_bytes(args->k, args->n);
    if (op == OP_THR)
        run_narrow(op, &part, NULL, bits + wide / 64, out_stride);
    else
        run_narrow(op, &part, acc + wide, NULL, out_stride);
}

static void gemm_acc(const xnor_gemm_args *args, int32_t *acc, size_t acc_stride) {
    if (args->k > LANES_MAX_K)
        xnor_kernels_c.gemm_acc(args, acc, acc_stride);
    else
        run_all(OP_ACC, args, acc, NULL, acc_stride);
}

static void gemm_thr(const xnor_gemm_args *args, uint64_t *out, size_t out_stride) {
    if (args->k > LANES_MAX_K)
        xnor_kernels_c.gemm_thr(args, out, out_stride);
    else
        run_all(OP_THR, args, NULL, out, out_stride);
}

static void gemm_max(const xnor_gemm_args *args, int32_t *max) {
    if (args->k > LANES_MAX_K)
        xnor_kernels_c.gemm_max(args, max);
    else
        run_all(OP_MAX, args, max, NULL, 0);
}

static void gemm_acc_ternary(const xnor_gemm_args *args, int32_t *acc, size_t acc_stride) {
    if (args->k > LANES_MAX_K)
        xnor_kernels_c.gemm_acc_ternary(args, acc, acc_stride);
    else
        run_all(OP_TERNARY, args, acc, NULL, acc_stride);
}

static void gemm_max_ternary(const xnor_gemm_args *args, int32_t *max) {
    if (args->k > LANES_MAX_K)
        xnor_kernels_c.gemm_max_ternary(args, max);
    else
        run_all(OP_MAX_TERNARY, args, max, NULL, 0);
}

#endif
