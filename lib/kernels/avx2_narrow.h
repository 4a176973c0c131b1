// Binary gemm for AVX2 and few output channels, or the last few behind full blocks, which would leave most
// lanes of avx2_bits.h empty: here a byte lane is a row, and the weight's four bits choose the table that
// the activations' four bits look their counts up in. Of a ternary activation, its +1 bits count where the
// weight is 0, its -1 bits where it is 1: two look-ups.
//
// Unit of work: 256 bit-MAC are a vpshufb and a vpaddb. Tile: 4 channels x 2 vectors of 32 rows: 8 counts,
// 2 activations, tables of 16 registers; per step of four bits 8 + 8 operations, 2 loads and 4 look-ups and
// broadcasts of tables. Limited by the vector pipes.
//
// Packed weights: [n][steps] bytes of four bits times 16, then uint16_t[n] of limit + 1. Rows are transposed
// to [steps][64] bytes on the stack. Counts of up to SEGMENT_STEPS steps fit a byte, sums of them 16 bits.
#ifndef XNOR_KERNELS_AVX2_NARROW_H
#define XNOR_KERNELS_AVX2_NARROW_H

#include "kernels/inline.h"
#include "kernels/sets.h"

#include "core/size.h"

#include <immintrin.h>
#include <string.h>

#define NARROW_MAX_N 40
#define NARROW_MAX_WORDS 32
#define NARROW_ROWS 64
#define NARROW_TILE 4 // channels

// and_counts[a][b] = popcount(a & b)
#define AND4(a) ROW16(a, 0), ROW16(a + 1, 0), ROW16(a + 2, 0), ROW16(a + 3, 0)
static const _Alignas(64) uint8_t and_counts[16][16] = {AND4(0), AND4(4), AND4(8), AND4(12)};

// How many of n channels, the last ones, are better off here than in a block of 64.
static size_t narrow_channels(size_t k, size_t n) {
    return n % 64 <= NARROW_MAX_N && k <= 64 * NARROW_MAX_WORDS ? n % 64 : 0;
}

static size_t narrow_steps(size_t k) {
    return (k + 3) / 4;
}

static size_t narrow_limits_at(size_t k, size_t n) {
    return xnor_align_up(n * narrow_steps(k), sizeof(uint16_t));
}

static size_t narrow_packed_bytes(size_t k, size_t n) {
    return xnor_align_up(narrow_limits_at(k, n) + n * sizeof(uint16_t), 64);
}

static void narrow_limits(size_t k, size_t n, const int32_t *limit, void *packed) {
    uint16_t *to = (uint16_t *)(void *)((uint8_t *)packed + narrow_limits_at(k, n));
    for (size_t c = 0; c < n; c++) {
        const size_t most = limit[c] < 0 ? 0 : (size_t)limit[c] + 1;
        to[c] = (uint16_t)(most <= k ? most : k + 1);
    }
}

static void narrow_pack(size_t k, size_t n, const uint64_t *w, void *packed) {
    uint8_t *to = packed;
    for (size_t c = 0; c < n; c++) {
        for (size_t i = 0; i < narrow_steps(k); i++) {
            *to++ = (uint8_t)((w[c * xnor_words(k) + i / 16] >> (i % 16 * 4) & 15) << 4);
        }
    }
}

// ---- rows ---------------------------------------------------------------------------------------

// Word j of 16 rows: byte b of all of them to x[b], by four perfect shuffles.
ALWAYS_INLINE void narrow_bytes(const uint64_t *const rows[NARROW_ROWS], size_t j, __m128i x[8]) {
    __m128i y[8];
    UNROLL for (size_t i = 0; i < 8; i++) {
        const __m128i low = _mm_loadl_epi64((const __m128i *)(const void *)(rows[i] + j));
        const __m128i high = _mm_loadl_epi64((const __m128i *)(const void *)(rows[i + 8] + j));
        x[i] = _mm_unpacklo_epi8(low, high);
    }
    UNROLL for (size_t i = 0; i < 4; i++) {
        y[2 * i] = _mm_unpacklo_epi8(x[i], x[i + 4]);
        y[2 * i + 1] = _mm_unpackhi_epi8(x[i], x[i + 4]);
    }
    UNROLL for (size_t i = 0; i < 2; i++) { // y[2i + h]: rows i modulo 4, half h of the bytes
        UNROLL for (size_t h = 0; h < 2; h++) {
            x[4 * i + 2 * h] = _mm_unpacklo_epi8(y[2 * i + h], y[2 * i + 4 + h]);
            x[4 * i + 2 * h + 1] = _mm_unpackhi_epi8(y[2 * i + h], y[2 * i + 4 + h]);
        }
    }
    UNROLL for (size_t q = 0; q < 4; q++) { // x[4i + q]: rows i modulo 2, quarter q of the bytes
        y[2 * q] = _mm_unpacklo_epi8(x[q], x[4 + q]);
        y[2 * q + 1] = _mm_unpackhi_epi8(x[q], x[4 + q]);
    }
    UNROLL for (size_t b = 0; b < 8; b++) x[b] = y[b];
}

// codes: [steps][NARROW_ROWS]; of ternary rows the +1 bits, and behind all of them the -1 bits.
static void narrow_transpose(bool ternary, const uint64_t *const a[NARROW_ROWS],
                             const uint64_t *const mask[NARROW_ROWS], size_t rows, size_t words,
                             uint8_t *codes) {
    const __m128i low = _mm_set1_epi8(15);
    for (size_t j = 0; j < words; j++) {
        for (size_t r = 0; r < rows; r += 16) {
            __m128i x[8];
            __m128i used[8];
            narrow_bytes(a + r, j, x);
            UNROLL for (size_t b = 0; b < 8; b++) used[b] = x[b];
            if (ternary) narrow_bytes(mask + r, j, used);
            UNROLL for (size_t b = 0; b < 8; b++) {
                uint8_t *to = codes + (16 * j + 2 * b) * NARROW_ROWS + r;
                for (size_t plane = 0; plane < (ternary ? 2 : 1); plane++) {
                    const __m128i bits = plane ? _mm_andnot_si128(x[b], used[b]) : x[b];
                    const __m128i high = _mm_and_si128(_mm_srli_epi16(bits, 4), low);
                    _mm_store_si128((__m128i *)(void *)to, _mm_and_si128(bits, low));
                    _mm_store_si128((__m128i *)(void *)(to + NARROW_ROWS), high);
                    to += 16 * words * NARROW_ROWS;
                }
            }
        }
    }
}

// ---- the tile -----------------------------------------------------------------------------------

typedef struct narrow_task {
    const xnor_gemm_args *args;
    size_t rows;                 // that exist
    const uint8_t *codes;        // as narrow_transpose writes them
    int16_t totals[NARROW_ROWS]; // what twice the counts are subtracted from
    int32_t *acc;                // OP_ACC, OP_TERNARY: at the first row; of a maximum: [n]
    uint64_t *bits;              // OP_THR: at the first row
    size_t out_stride;
} narrow_task;

ALWAYS_INLINE __m256i narrow_load(const void *p) {
    return _mm256_loadu_si256((const __m256i *)p);
}

// counts[c][64] of `channels` channels from `first` on.
ALWAYS_INLINE void narrow_tile(bool ternary, size_t channels, size_t vectors, const narrow_task *t,
                               size_t first, uint16_t (*wide)[NARROW_ROWS]) {
    const size_t steps = narrow_steps(t->args->k), words = xnor_words(t->args->k);
    const uint8_t *w = (const uint8_t *)t->args->packed + first * steps;
    const uint8_t *tables = ternary ? &and_counts[0][0] : &counts[15][0][0];
    for (size_t step = 0; step < steps; step += SEGMENT_STEPS) {
        const size_t end = steps - step < SEGMENT_STEPS ? steps : step + SEGMENT_STEPS;
        __m256i count[NARROW_TILE][2];
        UNROLL for (size_t c = 0; c < channels; c++) {
            UNROLL for (size_t v = 0; v < vectors; v++) count[c][v] = _mm256_setzero_si256();
        }
        for (size_t i = step; i < end; i++) {
            const uint8_t *code = t->codes + i * NARROW_ROWS;
            UNROLL for (size_t c = 0; c < channels; c++) {
                const size_t weight = w[c * steps + i];
                for (size_t plane = 0; plane < (ternary ? 2 : 1); plane++) {
                    const size_t at = ternary && plane == 0 ? 240 - weight : weight;
                    const __m256i table = _mm256_broadcastsi128_si256(
                        _mm_load_si128((const __m128i *)(const void *)(tables + at)));
                    UNROLL for (size_t v = 0; v < vectors; v++) {
                        const __m256i index =
                            narrow_load(code + plane * 16 * words * NARROW_ROWS + 32 * v);
                        count[c][v] =
                            _mm256_add_epi8(count[c][v], _mm256_shuffle_epi8(table, index));
                    }
                }
            }
        }
        UNROLL for (size_t c = 0; c < channels; c++) {
            UNROLL for (size_t h = 0; h < 2 * vectors; h++) {
                const __m128i bytes = h % 2 ? _mm256_extracti128_si256(count[c][h / 2], 1)
                                            : _mm256_castsi256_si128(count[c][h / 2]);
                uint16_t *to = wide[first + c] + 16 * h;
                __m256i sum = _mm256_cvtepu8_epi16(bytes);
                if (step > 0) sum = _mm256_add_epi16(sum, narrow_load(to));
                _mm256_storeu_si256((__m256i *)(void *)to, sum);
            }
        }
    }
}

// ---- what happens to the counts -----------------------------------------------------------------

// Eight bits of each row at a time, bit c % 8 of a byte lane for channel c.
static void narrow_thr(const narrow_task *t, const uint16_t (*wide)[NARROW_ROWS]) {
    const size_t n = t->args->n;
    const uint16_t *limit = (const uint16_t *)(const void *)((const uint8_t *)t->args->packed +
                                                             narrow_limits_at(t->args->k, n));
    uint8_t planes[(NARROW_MAX_N + 7) / 8][NARROW_ROWS];
    for (size_t first = 0; first < n; first += 8) {
        __m256i bits[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
        for (size_t c = first; c < n && c < first + 8; c++) {
            const __m256i most = _mm256_set1_epi16((short)limit[c]);
            UNROLL for (size_t v = 0; v < 2; v++) {
                const __m256i low = _mm256_cmpgt_epi16(most, narrow_load(wide[c] + 32 * v));
                const __m256i high = _mm256_cmpgt_epi16(most, narrow_load(wide[c] + 32 * v + 16));
                const __m256i below = _mm256_packs_epi16(low, high);
                const __m256i bit = _mm256_set1_epi8((char)(1 << (c - first)));
                bits[v] = _mm256_or_si256(bits[v], _mm256_and_si256(below, bit));
            }
        }
        UNROLL for (size_t v = 0; v < 2; v++) {
            _mm256_storeu_si256((__m256i *)(void *)(planes[first / 8] + 32 * v),
                                _mm256_permute4x64_epi64(bits[v], 0xD8));
        }
    }
    for (size_t r = 0; r < t->rows; r++) {
        uint64_t word = 0;
        for (size_t p = 0; 8 * p < n; p++) word |= (uint64_t)planes[p][r] << 8 * p;
        t->bits[r * t->out_stride] = word;
    }
}

// total - 2 · count of 16 rows
ALWAYS_INLINE __m256i narrow_acc(const narrow_task *t, size_t row, const uint16_t *counts16) {
    const __m256i count = narrow_load(counts16 + row);
    return _mm256_sub_epi16(narrow_load(t->totals + row), _mm256_add_epi16(count, count));
}

static void narrow_max(const narrow_task *t, size_t rows, const uint16_t (*wide)[NARROW_ROWS]) {
    for (size_t c = 0; c < t->args->n; c++) {
        int16_t lanes[16];
        __m256i most = narrow_acc(t, 0, wide[c]);
        for (size_t r = 16; r < rows; r += 16) {
            most = _mm256_max_epi16(most, narrow_acc(t, r, wide[c]));
        }
        _mm256_storeu_si256((__m256i *)(void *)lanes, most);
        for (size_t i = 0; i < 16; i++) {
            if (lanes[i] > t->acc[c]) t->acc[c] = lanes[i];
        }
    }
}

// x[i]: 16 rows of channel i; then rows i and i + 8 of eight channels.
ALWAYS_INLINE void narrow_transpose8(__m256i x[8]) {
    __m256i y[8];
    UNROLL for (size_t i = 0; i < 4; i++) {
        y[2 * i] = _mm256_unpacklo_epi16(x[2 * i], x[2 * i + 1]);
        y[2 * i + 1] = _mm256_unpackhi_epi16(x[2 * i], x[2 * i + 1]);
    }
    UNROLL for (size_t i = 0; i < 2; i++) {
        UNROLL for (size_t h = 0; h < 2; h++) {
            x[4 * i + 2 * h] = _mm256_unpacklo_epi32(y[4 * i + h], y[4 * i + 2 + h]);
            x[4 * i + 2 * h + 1] = _mm256_unpackhi_epi32(y[4 * i + h], y[4 * i + 2 + h]);
        }
    }
    UNROLL for (size_t q = 0; q < 4; q++) {
        y[2 * q] = _mm256_unpacklo_epi64(x[q], x[4 + q]);
        y[2 * q + 1] = _mm256_unpackhi_epi64(x[q], x[4 + q]);
    }
    UNROLL for (size_t i = 0; i < 8; i++) x[i] = y[i];
}

static void narrow_store(const narrow_task *t, const uint16_t (*wide)[NARROW_ROWS]) {
    const size_t n = t->args->n;
    for (size_t first = 0; first < n; first += 8) {
        const size_t channels = n - first < 8 ? n - first : 8;
        for (size_t row = 0; row < t->rows; row += 16) {
            __m256i x[8];
            for (size_t c = 0; c < 8; c++) {
                x[c] = narrow_acc(t, row, wide[first + (c < channels ? c : 0)]);
            }
            narrow_transpose8(x);
            for (size_t r = 0; r < 16 && row + r < t->rows; r++) {
                const __m128i eight = r < 8 ? _mm256_castsi256_si128(x[r % 8])
                                            : _mm256_extracti128_si256(x[r % 8], 1);
                int32_t *to = t->acc + (row + r) * t->out_stride + first;
                int32_t part[8];
                _mm256_storeu_si256((__m256i *)(void *)(channels == 8 ? to : part),
                                    _mm256_cvtepi16_epi32(eight));
                for (size_t c = 0; channels < 8 && c < channels; c++) to[c] = part[c];
            }
        }
    }
}

#define DEFINE_NARROW(name, ternary, vectors)                                                      \
    static __attribute__((noinline)) void name(const narrow_task *t,                               \
                                               uint16_t(*wide)[NARROW_ROWS]) {                     \
        size_t c = 0;                                                                              \
        for (; c + 4 <= t->args->n; c += 4) narrow_tile(ternary, 4, vectors, t, c, wide);          \
        for (; c < t->args->n; c++) narrow_tile(ternary, 1, vectors, t, c, wide);                  \
    }
DEFINE_NARROW(xnor_count_64x4__avx2, false, 2)
DEFINE_NARROW(xnor_count_32x4__avx2, false, 1)
DEFINE_NARROW(xnor_count_ternary_64x4__avx2, true, 2)
DEFINE_NARROW(xnor_count_ternary_32x4__avx2, true, 1)

ALWAYS_INLINE void run_narrow(bits_op op, const xnor_gemm_args *args, int32_t *acc, uint64_t *bits,
                              size_t out_stride) {
    const size_t words = xnor_words(args->k);
    const bool ternary = is_ternary(op), maximum = op == OP_MAX || op == OP_MAX_TERNARY;
    _Alignas(32) uint8_t codes[2 * 16 * NARROW_MAX_WORDS * NARROW_ROWS];
    uint16_t wide[NARROW_MAX_N][NARROW_ROWS];
    narrow_task t = {.args = args, .codes = codes, .acc = acc, .bits = bits};
    t.out_stride = out_stride;
    for (size_t row = 0; row < args->rows; row += t.rows) {
        t.rows = args->rows - row < NARROW_ROWS ? args->rows - row : NARROW_ROWS;
        const size_t lanes = t.rows > 32 ? 64 : 32;
        const uint64_t *a[NARROW_ROWS], *mask[NARROW_ROWS];
        for (size_t r = 0; r < lanes; r++) { // rows beyond the last repeat it
            const size_t at = (row + (r < t.rows ? r : t.rows - 1)) * args->a_stride;
            int32_t total = (int32_t)args->k;
            a[r] = args->a + at;
            mask[r] = ternary ? args->mask + at : NULL;
            if (ternary) total = 0;
            for (size_t j = 0; ternary && j < words; j++) total += __builtin_popcountll(mask[r][j]);
            t.totals[r] = (int16_t)total;
        }
        narrow_transpose(ternary, a, mask, lanes, words, codes);
        if (ternary)
            lanes == 64 ? xnor_count_ternary_64x4__avx2(&t, wide)
                        : xnor_count_ternary_32x4__avx2(&t, wide);
        else
            lanes == 64 ? xnor_count_64x4__avx2(&t, wide) : xnor_count_32x4__avx2(&t, wide);
        if (op == OP_THR) {
            t.bits = bits + row * out_stride;
            narrow_thr(&t, (const uint16_t(*)[NARROW_ROWS])wide);
        } else if (maximum) {
            narrow_max(&t, lanes, (const uint16_t(*)[NARROW_ROWS])wide);
        } else {
            t.acc = acc + row * out_stride;
            narrow_store(&t, (const uint16_t(*)[NARROW_ROWS])wide);
        }
    }
}

#endif
