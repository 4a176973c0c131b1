// Binary gemm for AVX-512 with BITALG: one byte (k <= 254) or one 16-bit word of k per lane, one
// output channel per lane, so that nothing is ever summed across lanes: the threshold mask of 64
// channels is the output word, and the maximum over rows is one vpminu.
//
// Unit of work: two k steps of one vector (2 · 512 bit-MAC). Popcounts are not taken of both XORs
// but of the carry of a full adder that runs along k (x, y: the two XORs; o: its sum so far):
//     o' = o ^ (a0 ^ a1) ^ (w0 ^ w1)     one vpternlog, as both brackets are prepared beforehand
//     u  = a0 ^ w0                       one vpxor
//     c  = o' ^ o ? o : u                one vpternlog, the majority of (x, y, o)
//     count += popcount(c)               vpopcnt, vpadd
// 5 operations instead of 6 (xor, popcount, add per step), and popcount(o) + 2 · count at the end.
// Limited by the four vector pipes: 5/4 cycles per unit, 819 bit-MAC per cycle; three operations
// per step would end at 683.
//
// Tile: 4 rows x 2 vectors, registers: 8 counts, 8 sums, 4 weights, 2 activations, 2 temporaries of
// 32. Loads: 4 weights + 8 broadcasts per 40 operations, of 20 that two load ports could do.
//
// Packed weights, per block of 64 channels: [pairs][2][64] lanes, w0 ^ w1 first and then w0, and
// behind them 64 lanes of limit + 1 (a lane is set iff count < limit + 1; 0 is never).
// Activations of some rows are expanded likewise on the stack, every lane repeated over 32 bits for
// broadcasting: planes of [row][pairs], a0 ^ a1 first and then a0.
#ifndef XNOR_KERNELS_AVX512_BITS_H
#define XNOR_KERNELS_AVX512_BITS_H

#include "kernels/inline.h"
#include "kernels/sets.h"

#include "core/size.h"

#include <immintrin.h>
#include <string.h>

#define BYTE_LANES_MAX_K 254   // so that limit + 1 fits in a byte
#define WORD_LANES_MAX_K 65534 // beyond, the C kernels take over
#define PLANE_WORDS 2048       // two planes, 16 KB, stay in the first-level cache
#define MAX_CHUNK_ROWS 256

typedef enum bits_op { OP_ACC, OP_THR, OP_MAX, OP_TERNARY, OP_MAX_TERNARY } bits_op;

ALWAYS_INLINE bool is_ternary(bits_op op) {
    return op == OP_TERNARY || op == OP_MAX_TERNARY;
}

#define TERNARY_XOR_ANDNOT 0x14 // (a ^ b) & ~c
#define TERNARY_MASKED_XOR 0x6A // (a & b) ^ c

// The first `count` of at most `lanes` <= 16 lanes.
ALWAYS_INLINE __mmask16 first_lanes(size_t count, size_t lanes) {
    return (__mmask16)((1u << (count < lanes ? count : lanes)) - 1);
}

#include "kernels/avx512_lanes.h"
#include "kernels/avx512_narrow.h"

typedef struct bits_shape {
    size_t lane_bytes;
    size_t pairs;       // pairs of k steps
    size_t pair_bytes;  // weights of one pair of one block
    size_t block_bytes; // weights and limits of 64 channels
} bits_shape;

static bits_shape shape_of(size_t k) {
    bits_shape s;
    s.lane_bytes = k <= BYTE_LANES_MAX_K ? 1 : 2;
    s.pairs = (k + 16 * s.lane_bytes - 1) / (16 * s.lane_bytes);
    s.pair_bytes = 2 * 64 * s.lane_bytes;
    s.block_bytes = s.pairs * s.pair_bytes + 64 * s.lane_bytes;
    return s;
}

// ---- packing ------------------------------------------------------------------------------------

// Full blocks, or a last block with enough channels; the other channels lie behind as
// avx512_narrow.h wants them.
static size_t wide_channels(size_t k, size_t n) {
    return n - narrow_channels(k, n);
}

static size_t wide_bytes(size_t k, size_t n) {
    return xnor_words(wide_channels(k, n)) * shape_of(k).block_bytes;
}

// Of what avx512_lanes.h wants of all channels.
static size_t lanes_offset(size_t k, size_t n) {
    return wide_bytes(k, n) + narrow_packed_bytes(k, narrow_channels(k, n));
}

static size_t gemm_packed_bytes(size_t k, size_t n) {
    if (k > WORD_LANES_MAX_K) return xnor_kernels_c.gemm_packed_bytes(k, n);
    return lanes_offset(k, n) + lanes_packed_bytes(k, n);
}

static uint32_t lane_at(const uint64_t *row, size_t words, size_t lane_bits, size_t step) {
    const size_t bit = step * lane_bits;
    if (bit / 64 >= words) return 0;
    return (uint32_t)(row[bit / 64] >> bit % 64) & (lane_bits == 8 ? 0xFFu : 0xFFFFu);
}

static void store_lane(uint8_t *lanes, size_t lane_bytes, size_t channel, uint32_t value) {
    lanes[channel * lane_bytes] = (uint8_t)value;
    if (lane_bytes == 2) lanes[channel * 2 + 1] = (uint8_t)(value >> 8);
}

static uint32_t limit_lane(int32_t limit, size_t k) {
    if (limit < 0) return 0;
    return (size_t)limit >= k ? (uint32_t)k + 1 : (uint32_t)limit + 1;
}

static void gemm_limits(size_t k, size_t n, const int32_t *limit, void *packed) {
    if (k > WORD_LANES_MAX_K) {
        xnor_kernels_c.gemm_limits(k, n, limit, packed);
        return;
    }
    const bits_shape s = shape_of(k);
    const size_t wide = wide_channels(k, n);
    narrow_limits(k, n - wide, limit + wide, (uint8_t *)packed + wide_bytes(k, n));
    lanes_limits(k, n, limit, (uint8_t *)packed + lanes_offset(k, n));
    for (size_t c = 0; c < wide; c++) {
        uint8_t *block = (uint8_t *)packed + c / 64 * s.block_bytes;
        store_lane(block + s.pairs * s.pair_bytes, s.lane_bytes, c % 64, limit_lane(limit[c], k));
    }
}

static void gemm_pack(size_t k, size_t n, const uint64_t *w, const int32_t *limit, void *packed) {
    if (k > WORD_LANES_MAX_K) {
        xnor_kernels_c.gemm_pack(k, n, w, limit, packed);
        return;
    }
    const bits_shape s = shape_of(k);
    const size_t words = xnor_words(k), wide = wide_channels(k, n);
    memset(packed, 0, gemm_packed_bytes(k, n));
    narrow_pack(k, n - wide, w + wide * words, (uint8_t *)packed + wide_bytes(k, n));
    lanes_pack(k, n, w, (uint8_t *)packed + lanes_offset(k, n));
    for (size_t c = 0; c < wide; c++) {
        uint8_t *block = (uint8_t *)packed + c / 64 * s.block_bytes;
        const uint64_t *row = w + c * words;
        for (size_t p = 0; p < s.pairs; p++) {
            const uint32_t w0 = lane_at(row, words, 8 * s.lane_bytes, 2 * p);
            const uint32_t w1 = lane_at(row, words, 8 * s.lane_bytes, 2 * p + 1);
            uint8_t *pair = block + p * s.pair_bytes;
            store_lane(pair, s.lane_bytes, c % 64, w0 ^ w1);
            store_lane(pair + s.pair_bytes / 2, s.lane_bytes, c % 64, w0);
        }
    }
    if (limit) gemm_limits(k, n, limit, packed);
}

// Repeats the two lanes of the 16 pairs from `first` on over 32 bits each; beyond `words` they are
// 0.
ALWAYS_INLINE void split_pairs(size_t lane_bytes, const uint64_t *row, size_t words, size_t first,
                               __m512i *even, __m512i *odd) {
    const size_t word = first * lane_bytes / 4;
    const size_t left = words - word;
    __m128i pick_even;
    __m128i pick_odd;
    __m512i x;
    if (lane_bytes == 1) {
        const __mmask8 mask = (__mmask8)first_lanes(left, 4);
        x = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi64(mask, row + word));
        pick_even = _mm_setr_epi8(0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12);
        pick_odd = _mm_setr_epi8(1, 1, 1, 1, 5, 5, 5, 5, 9, 9, 9, 9, 13, 13, 13, 13);
    } else {
        const __mmask8 mask = (__mmask8)first_lanes(left, 8);
        x = _mm512_maskz_loadu_epi64(mask, row + word);
        pick_even = _mm_setr_epi8(0, 1, 0, 1, 4, 5, 4, 5, 8, 9, 8, 9, 12, 13, 12, 13);
        pick_odd = _mm_setr_epi8(2, 3, 2, 3, 6, 7, 6, 7, 10, 11, 10, 11, 14, 15, 14, 15);
    }
    *even = _mm512_shuffle_epi8(x, _mm512_broadcast_i32x4(pick_even));
    *odd = _mm512_shuffle_epi8(x, _mm512_broadcast_i32x4(pick_odd));
}

// Writes [rows][pairs] to two planes: even ^ odd and even lanes if `mixed`, else even and odd
// lanes.
ALWAYS_INLINE void expand_rows(size_t lane_bytes, bool mixed, size_t rows, size_t words,
                               size_t pairs, const uint64_t *a, size_t a_stride, uint32_t *plane0,
                               uint32_t *plane1) {
    if (a_stride == words && pairs * lane_bytes == 4 * words) { // then all rows are one long row
        pairs *= rows;
        words *= rows;
        rows = 1;
    }
    for (size_t r = 0; r < rows; r++) {
        for (size_t p = 0; p < pairs; p += 16) {
            const __mmask16 mask = first_lanes(pairs - p, 16);
            __m512i even;
            __m512i odd;
            split_pairs(lane_bytes, a + r * a_stride, words, p, &even, &odd);
            const __m512i first = mixed ? _mm512_xor_si512(even, odd) : even;
            const __m512i second = mixed ? even : odd;
            _mm512_mask_storeu_epi32(plane0 + r * pairs + p, mask, first);
            _mm512_mask_storeu_epi32(plane1 + r * pairs + p, mask, second);
        }
    }
}

// ---- the tile -----------------------------------------------------------------------------------

#define MAX_TILE_ROWS 8

ALWAYS_INLINE __m512i popcount_lanes(size_t lane_bytes, __m512i x) {
    return lane_bytes == 1 ? _mm512_popcnt_epi8(x) : _mm512_popcnt_epi16(x);
}

ALWAYS_INLINE __m512i add_lanes(size_t lane_bytes, __m512i x, __m512i y) {
    return lane_bytes == 1 ? _mm512_add_epi8(x, y) : _mm512_add_epi16(x, y);
}

ALWAYS_INLINE __m512i broadcast(const uint32_t *code) {
    return _mm512_set1_epi32((int)*code);
}

// Where the second vector of a tile lies: the other half of a word-lane block, or the next block.
ALWAYS_INLINE size_t vector_stride(const bits_shape *s, size_t lane_bytes) {
    return lane_bytes == 1 ? s->block_bytes : 64;
}

// One unit of work for one row. In assembly because gcc 12 copies a register before and after every
// vpternlog otherwise, a third more instructions than here; vpternlog overwrites an operand, and
// this order lets it only overwrite what is no longer needed.
#define STEP_ROW1(lane)                                                                            \
    __asm__(                                                                                       \
        "vpbroadcastd %[code], %[next]\n\t"                                                        \
        "vpternlogd $0x96, %[w01], %[sum], %[next]\n\t"                                            \
        "vpxord %[first]%{1to16%}, %[w0], %[u]\n\t"                                                \
        "vpternlogd $0xB2, %[sum], %[next], %[u]\n\t"                                              \
        "vpopcnt" lane " %[u], %[u]\n\t"                                                           \
        "vpadd" lane " %[u], %[count], %[count]"                                                   \
        : [next] "=&v"(next), [u] "=&v"(u), [count] "+v"(*count)                                   \
        : [sum] "v"(*sum), [w01] "v"(w01), [w0] "v"(w0), [code] "m"(*code), [first] "m"(*first))

ALWAYS_INLINE void step_row1(size_t lane_bytes, const uint32_t *code, const uint32_t *first,
                             __m512i w01, __m512i w0, __m512i *sum, __m512i *count) {
    __m512i next;
    __m512i u;
    if (lane_bytes == 1)
        STEP_ROW1("b");
    else
        STEP_ROW1("w");
    *sum = next;
}

// The same for two vectors, which share the broadcasts.
#define STEP_ROW2(lane)                                                                            \
    __asm__("vpbroadcastd %[code], %[next1]\n\t"                                                   \
            "vpbroadcastd %[first], %[u1]\n\t"                                                     \
            "vmovdqa64 %[next1], %[next0]\n\t"                                                     \
            "vpternlogd $0x96, %[w01_0], %[sum0], %[next0]\n\t"                                    \
            "vpxord %[u1], %[w0_0], %[u0]\n\t"                                                     \
            "vpternlogd $0xB2, %[sum0], %[next0], %[u0]\n\t"                                       \
            "vpopcnt" lane " %[u0], %[u0]\n\t"                                                     \
            "vpadd" lane " %[u0], %[count0], %[count0]\n\t"                                        \
            "vpternlogd $0x96, %[w01_1], %[sum1], %[next1]\n\t"                                    \
            "vpxord %[u1], %[w0_1], %[u1]\n\t"                                                     \
            "vpternlogd $0xB2, %[sum1], %[next1], %[u1]\n\t"                                       \
            "vpopcnt" lane " %[u1], %[u1]\n\t"                                                     \
            "vpadd" lane " %[u1], %[count1], %[count1]"                                            \
            : [next0] "=&v"(next0), [next1] "=&v"(next1), [u0] "=&v"(u0), [u1] "=&v"(u1),          \
              [count0] "+v"(count[0]), [count1] "+v"(count[1])                                     \
            : [sum0] "v"(sum[0]), [sum1] "v"(sum[1]), [w01_0] "v"(w01[0]), [w01_1] "v"(w01[1]),    \
              [w0_0] "v"(w0[0]), [w0_1] "v"(w0[1]), [code] "m"(*code), [first] "m"(*first))

ALWAYS_INLINE void step_row2(size_t lane_bytes, const uint32_t *code, const uint32_t *first,
                             const __m512i w01[2], const __m512i w0[2], __m512i sum[2],
                             __m512i count[2]) {
    __m512i next0;
    __m512i next1;
    __m512i u0;
    __m512i u1;
    if (lane_bytes == 1)
        STEP_ROW2("b");
    else
        STEP_ROW2("w");
    sum[0] = next0;
    sum[1] = next1;
}

// Four units at once, operations that are alike side by side, which keeps the pipes fuller: 2.6 cycles a unit against
// 2.9 on Zen 4. The carries of unit i, of the codes `code` and `first`; both are loaded as operands.
#define UNIT_OLD(i) "vmovdqa64 %[s" #i "], %[o" #i "]\n\t"
#define UNIT_SUM(i, code, w01) "vpternlogd $0x96, %[" code "]%{1to16%}, %[" w01 "], %[s" #i "]\n\t"
#define UNIT_XOR(i, first, w0) "vpxord %[" first "]%{1to16%}, %[" w0 "], %[u" #i "]\n\t"
#define UNIT_CARRY(i) "vpternlogd $0xB2, %[o" #i "], %[s" #i "], %[u" #i "]\n\t"
#define UNIT_OPERANDS                                                                              \
    [o0] "=&v"(o0), [o1] "=&v"(o1), [o2] "=&v"(o2), [o3] "=&v"(o3), [u0] "=&v"(u[0]),              \
        [u1] "=&v"(u[1]), [u2] "=&v"(u[2]), [u3] "=&v"(u[3])

// Rows code and other, two vectors.
ALWAYS_INLINE void carries_2x2(const uint32_t *code, const uint32_t *other, const __m512i w01[2],
                               const __m512i w0[2], __m512i sum[2], __m512i other_sum[2],
                               __m512i u[4]) {
    __m512i o0, o1, o2, o3;
    __asm__(
        UNIT_OLD(0) UNIT_OLD(1) UNIT_OLD(2) UNIT_OLD(3) UNIT_SUM(0, "a01", "v01")
            UNIT_SUM(1, "a01", "w01") UNIT_SUM(2, "b01", "v01") UNIT_SUM(3, "b01", "w01")
                UNIT_XOR(0, "a0", "v0") UNIT_XOR(1, "a0", "w0") UNIT_XOR(2, "b0", "v0")
                    UNIT_XOR(3, "b0", "w0") UNIT_CARRY(0) UNIT_CARRY(1) UNIT_CARRY(2) UNIT_CARRY(3)
        : UNIT_OPERANDS, [s0] "+v"(sum[0]), [s1] "+v"(sum[1]), [s2] "+v"(other_sum[0]),
          [s3] "+v"(other_sum[1])
        : [v01] "v"(w01[0]), [w01] "v"(w01[1]), [v0] "v"(w0[0]), [w0] "v"(w0[1]), [a01] "m"(*code),
          [a0] "m"(*(code + PLANE_WORDS)), [b01] "m"(*other), [b0] "m"(*(other + PLANE_WORDS)));
}

// Four rows, one vector.
ALWAYS_INLINE void carries_4x1(const uint32_t *code, size_t pairs, __m512i w01, __m512i w0,
                               __m512i sum[MAX_TILE_ROWS][2], __m512i u[4]) {
    const uint32_t *first = code + PLANE_WORDS;
    __m512i o0, o1, o2, o3;
    __asm__(UNIT_OLD(0) UNIT_OLD(1) UNIT_OLD(2) UNIT_OLD(3) UNIT_SUM(0, "a01", "w01")
                UNIT_SUM(1, "b01", "w01") UNIT_SUM(2, "c01", "w01") UNIT_SUM(3, "d01", "w01")
                    UNIT_XOR(0, "a0", "w0") UNIT_XOR(1, "b0", "w0") UNIT_XOR(2, "c0", "w0")
                        UNIT_XOR(3, "d0", "w0") UNIT_CARRY(0) UNIT_CARRY(1) UNIT_CARRY(2)
                            UNIT_CARRY(3)
            : UNIT_OPERANDS, [s0] "+v"(sum[0][0]), [s1] "+v"(sum[1][0]), [s2] "+v"(sum[2][0]),
              [s3] "+v"(sum[3][0])
            : [w01] "v"(w01), [w0] "v"(w0), [a01] "m"(*code), [b01] "m"(code[pairs]),
              [c01] "m"(code[2 * pairs]), [d01] "m"(code[3 * pairs]), [a0] "m"(*first),
              [b0] "m"(first[pairs]), [c0] "m"(first[2 * pairs]), [d0] "m"(first[3 * pairs]));
}

// Rows lie `stride` codes apart; block: weights of this pair.
ALWAYS_INLINE void count_pair(const bits_shape *s, size_t lane_bytes, size_t rows, size_t vectors,
                              size_t stride, const uint32_t *codes, const uint8_t *block,
                              __m512i sum[MAX_TILE_ROWS][2], __m512i count[MAX_TILE_ROWS][2]) {
    const size_t v_stride = vector_stride(s, lane_bytes);
    const size_t half = 64 * lane_bytes;
    __m512i w01[2];
    __m512i w0[2];
    UNROLL for (size_t v = 0; v < vectors; v++) {
        w01[v] = _mm512_load_si512(block + v * v_stride);
        w0[v] = _mm512_load_si512(block + v * v_stride + half);
    }
    const size_t step = 4 / vectors; // rows of four units
    UNROLL for (size_t r = 0; r + step <= rows; r += step) {
        const uint32_t *code = codes + r * stride;
        __m512i u[4];
        if (vectors == 2)
            carries_2x2(code, code + stride, w01, w0, sum[r], sum[r + 1], u);
        else
            carries_4x1(code, stride, w01[0], w0[0], sum + r, u);
        UNROLL for (size_t i = 0; i < 4; i++) u[i] = popcount_lanes(lane_bytes, u[i]);
        UNROLL for (size_t i = 0; i < 4; i++) {
            __m512i *c = &count[r + i / vectors][i % vectors];
            *c = add_lanes(lane_bytes, *c, u[i]);
        }
    }
    UNROLL for (size_t r = rows / step * step; r < rows; r++) {
        const uint32_t *code = codes + r * stride;
        if (vectors == 2) {
            step_row2(lane_bytes, code, code + PLANE_WORDS, w01, w0, sum[r], count[r]);
        } else {
            step_row1(lane_bytes, code, code + PLANE_WORDS, w01[0], w0[0], &sum[r][0],
                      &count[r][0]);
        }
    }
}

// count[r][v] = popcount(a[r] XOR w[channels of vector v]) in every lane.
ALWAYS_INLINE void count_tile(const bits_shape *s, size_t lane_bytes, size_t rows, size_t vectors,
                              size_t pairs, const uint32_t *codes, const uint8_t *block,
                              __m512i count[MAX_TILE_ROWS][2]) {
    const size_t v_stride = vector_stride(s, lane_bytes);
    const size_t half = 64 * lane_bytes;
    __m512i sum[MAX_TILE_ROWS][2];
    __m512i w01[2];
    __m512i w0[2];
    UNROLL for (size_t v = 0; v < vectors; v++) {
        w01[v] = _mm512_load_si512(block + v * v_stride);
        w0[v] = _mm512_load_si512(block + v * v_stride + half);
    }
    UNROLL for (size_t r = 0; r < rows; r++) {
        const uint32_t *code = codes + r * pairs;
        UNROLL for (size_t v = 0; v < vectors; v++) {
            sum[r][v] = _mm512_xor_si512(w01[v], broadcast(code));
            const __m512i carry = _mm512_ternarylogic_epi32(broadcast(code + PLANE_WORDS), w0[v],
                                                            sum[r][v], TERNARY_XOR_ANDNOT);
            count[r][v] = popcount_lanes(lane_bytes, carry);
        }
    }
    if (__builtin_constant_p(pairs) && vectors == 1) {
        UNROLL for (size_t p = 1; p < pairs; p++) {
            count_pair(s, lane_bytes, rows, vectors, pairs, codes + p, block + p * 2 * half, sum,
                       count);
        }
    } else {
        UNROLL_2 for (size_t p = 1; p < pairs; p++) {
            count_pair(s, lane_bytes, rows, vectors, pairs, codes + p, block + p * 2 * half, sum,
                       count);
        }
    }
    UNROLL for (size_t r = 0; r < rows; r++) {
        UNROLL for (size_t v = 0; v < vectors; v++) {
            const __m512i twice = add_lanes(lane_bytes, count[r][v], count[r][v]);
            count[r][v] = add_lanes(lane_bytes, twice, popcount_lanes(lane_bytes, sum[r][v]));
        }
    }
}

// The same for ternary activations: popcount((a XOR w) AND mask), as a is 0 outside the mask. Three
// operations per step; a carry-save adder would need two more for its inputs and gain nothing.
// Four planes of codes: even lanes of a, odd lanes of a, even and odd lanes of the mask.
ALWAYS_INLINE void count_tile_ternary(const bits_shape *s, size_t lane_bytes, size_t rows,
                                      size_t vectors, size_t pairs, const uint32_t *codes,
                                      const uint8_t *block, __m512i count[MAX_TILE_ROWS][2]) {
    const size_t v_stride = vector_stride(s, lane_bytes);
    const size_t half = 64 * lane_bytes;
    UNROLL for (size_t r = 0; r < rows; r++) {
        UNROLL for (size_t v = 0; v < vectors; v++) count[r][v] = _mm512_setzero_si512();
    }
    for (size_t p = 0; p < pairs; p++) {
        UNROLL for (size_t v = 0; v < vectors; v++) {
            const __m512i w01 = _mm512_load_si512(block + v * v_stride);
            const __m512i w0 = _mm512_load_si512(block + v * v_stride + half);
            const __m512i w1 = _mm512_xor_si512(w01, w0);
            UNROLL for (size_t r = 0; r < rows; r++) {
                const uint32_t *code = codes + r * pairs + p;
                const __m512i x0 = _mm512_ternarylogic_epi32(broadcast(code + 2 * PLANE_WORDS), w0,
                                                             broadcast(code), TERNARY_MASKED_XOR);
                const __m512i x1 =
                    _mm512_ternarylogic_epi32(broadcast(code + 3 * PLANE_WORDS), w1,
                                              broadcast(code + PLANE_WORDS), TERNARY_MASKED_XOR);
                count[r][v] = add_lanes(lane_bytes, count[r][v], popcount_lanes(lane_bytes, x0));
                count[r][v] = add_lanes(lane_bytes, count[r][v], popcount_lanes(lane_bytes, x1));
            }
        }
        block += 2 * half;
    }
}

// ---- what happens to the counts -----------------------------------------------------------------

// Channels first .. first + 16 of those below `channels` of `lanes`.
ALWAYS_INLINE void store_sums(size_t first, size_t channels, __m512i sums, int32_t *acc) {
    if (channels >= first + 16)
        _mm512_storeu_si512(acc + first, sums);
    else if (channels > first)
        _mm512_mask_storeu_epi32(acc + first, first_lanes(channels - first, 16), sums);
}

#define SHORT_MAX_K 32767 // sums of up to this k fit in 16 bits

// total - 2 · count of the 64 or 32 lanes, channels below `channels` only.
ALWAYS_INLINE void store_acc(size_t lane_bytes, int32_t total, size_t channels, __m512i count,
                             int32_t *acc) {
    if (lane_bytes == 2 && total <= SHORT_MAX_K) {
        const __m512i twice = _mm512_add_epi16(count, count);
        const __m512i sums = _mm512_sub_epi16(_mm512_set1_epi16((int16_t)total), twice);
        store_sums(0, channels, _mm512_cvtepi16_epi32(_mm512_castsi512_si256(sums)), acc);
        store_sums(16, channels, _mm512_cvtepi16_epi32(_mm512_extracti64x4_epi64(sums, 1)), acc);
        return;
    }
    const size_t parts = 4 / lane_bytes;
    __m512i wide[4];
    wide[0] = lane_bytes == 1 ? _mm512_cvtepu8_epi32(_mm512_castsi512_si128(count))
                              : _mm512_cvtepu16_epi32(_mm512_castsi512_si256(count));
    wide[1] = lane_bytes == 1 ? _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(count, 1))
                              : _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(count, 1));
    wide[2] = _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(count, 2));
    wide[3] = _mm512_cvtepu8_epi32(_mm512_extracti32x4_epi32(count, 3));
    UNROLL for (size_t i = 0; i < parts; i++) {
        const __m512i value =
            _mm512_sub_epi32(_mm512_set1_epi32(total), _mm512_add_epi32(wide[i], wide[i]));
        store_sums(16 * i, channels, value, acc);
    }
}

// acc = k - (2 · count + zeros) of ternary rows: up to this k the bracket fits in a byte, so that the
// maximum over rows costs three operations as the binary one costs one.
#define BYTE_MAX_TERNARY_K 127

// max = max(max, total - 2 · count), channels below `channels` only.
ALWAYS_INLINE void raise_max(size_t lane_bytes, int32_t total, size_t channels, __m512i count,
                             int32_t *max) {
    _Alignas(64) int32_t acc[64];
    store_acc(lane_bytes, total, 64, count, acc);
    for (size_t c = 0; c < 64 / lane_bytes && c < channels; c += 16) {
        const __mmask16 mask = first_lanes(channels - c, 16);
        const __m512i before = _mm512_maskz_loadu_epi32(mask, max + c);
        const __m512i after = _mm512_max_epi32(before, _mm512_load_si512(acc + c));
        _mm512_mask_storeu_epi32(max + c, mask, after);
    }
}

// max = max(max, k - 2 · low), of ternary rows k - low.
ALWAYS_INLINE void merge_max(bits_op op, size_t lane_bytes, int32_t k, size_t channels, __m512i low,
                             int32_t *max) {
    if (op == OP_MAX) {
        raise_max(lane_bytes, k, channels, low, max);
        return;
    }
    for (size_t c = 0; c < 64 && c < channels; c += 16) {
        const __mmask16 mask = first_lanes(channels - c, 16);
        const __m512i wide = _mm512_cvtepu8_epi32(_mm512_castsi512_si128(low));
        const __m512i acc = _mm512_sub_epi32(_mm512_set1_epi32(k), wide);
        const __m512i before = _mm512_maskz_loadu_epi32(mask, max + c);
        _mm512_mask_storeu_epi32(max + c, mask, _mm512_max_epi32(before, acc));
        low = _mm512_alignr_epi32(low, low, 4);
    }
}

// One task: all rows of a chunk times one tile of channels.
typedef struct bits_task {
    const bits_shape *shape;
    const xnor_gemm_args *args;
    size_t rows;
    size_t channel;        // first of the tile
    const uint32_t *codes; // of the first row
    const int32_t *totals; // ternary: popcount of the mask, per row
    int32_t *acc; // OP_ACC, OP_TERNARY: at the first row and channel; of a maximum: at the channel
    uint64_t *bits; // OP_THR: at the first row and the channel's word
    size_t out_stride;
} bits_task;

ALWAYS_INLINE void finish_tile(bits_op op, size_t lane_bytes, size_t rows, size_t vectors,
                               const bits_task *t, size_t row, const __m512i limit[2],
                               __m512i count[MAX_TILE_ROWS][2], __m512i low[2]) {
    const size_t lanes = 64 / lane_bytes;
    UNROLL for (size_t r = 0; r < rows; r++) {
        if (op == OP_THR && lane_bytes == 2) {
            const __mmask32 low_half = _mm512_cmplt_epu16_mask(count[r][0], limit[0]);
            const __mmask32 high_half = _mm512_cmplt_epu16_mask(count[r][1], limit[1]);
            t->bits[(row + r) * t->out_stride] = _mm512_kunpackd(high_half, low_half);
            continue;
        }
        UNROLL for (size_t v = 0; v < vectors; v++) {
            if (op == OP_MAX) {
                low[v] = lane_bytes == 1 ? _mm512_min_epu8(low[v], count[r][v])
                                         : _mm512_min_epu16(low[v], count[r][v]);
            } else if (op == OP_MAX_TERNARY && t->args->k <= BYTE_MAX_TERNARY_K) {
                const int32_t zeros = (int32_t)t->args->k - t->totals[row + r];
                const __m512i twice = _mm512_add_epi8(count[r][v], count[r][v]);
                low[v] =
                    _mm512_min_epu8(low[v], _mm512_add_epi8(twice, _mm512_set1_epi8((char)zeros)));
            } else if (op == OP_MAX_TERNARY) {
                if (t->args->n_end > t->channel + v * lanes)
                    raise_max(lane_bytes, t->totals[row + r],
                              t->args->n_end - t->channel - v * lanes, count[r][v],
                              t->acc + v * lanes);
            } else if (op == OP_THR) {
                t->bits[(row + r) * t->out_stride + v] =
                    _mm512_cmplt_epu8_mask(count[r][v], limit[v]);
            } else if (t->args->n_end > t->channel + v * lanes) {
                const int32_t total = op == OP_TERNARY ? t->totals[row + r] : (int32_t)t->args->k;
                store_acc(lane_bytes, total, t->args->n_end - t->channel - v * lanes, count[r][v],
                          t->acc + (row + r) * t->out_stride + v * lanes);
            }
        }
    }
}

ALWAYS_INLINE void run_tile(bits_op op, size_t lane_bytes, size_t rows, size_t vectors,
                            size_t pairs, const bits_task *t, size_t row, const uint8_t *block,
                            const __m512i limit[2], __m512i low[2]) {
    const uint32_t *codes = t->codes + row * pairs;
    __m512i count[MAX_TILE_ROWS][2];
    if (is_ternary(op)) {
        count_tile_ternary(t->shape, lane_bytes, rows, vectors, pairs, codes, block, count);
    } else {
        count_tile(t->shape, lane_bytes, rows, vectors, pairs, codes, block, count);
    }
    finish_tile(op, lane_bytes, rows, vectors, t, row, limit, count, low);
}

ALWAYS_INLINE void run_tiles(bits_op op, size_t lane_bytes, size_t vectors, size_t tile_rows,
                             size_t pairs, const bits_task *t) {
    const bits_shape *s = t->shape;
    const uint8_t *block = (const uint8_t *)t->args->packed + t->channel / 64 * s->block_bytes;
    __m512i limit[2];
    __m512i low[2];
    UNROLL for (size_t v = 0; v < vectors; v++) {
        limit[v] =
            _mm512_load_si512(block + pairs * s->pair_bytes + v * vector_stride(s, lane_bytes));
        low[v] = _mm512_set1_epi32(-1);
    }
    size_t row = 0;
    for (; row + tile_rows <= t->rows; row += tile_rows) {
        run_tile(op, lane_bytes, tile_rows, vectors, pairs, t, row, block, limit, low);
    }
    if (tile_rows > 4 && t->rows - row >= 4) {
        run_tile(op, lane_bytes, 4, vectors, pairs, t, row, block, limit, low);
        row += 4;
    }
    if (t->rows - row >= 2) {
        run_tile(op, lane_bytes, 2, vectors, pairs, t, row, block, limit, low);
        row += 2;
    }
    if (t->rows > row) run_tile(op, lane_bytes, 1, vectors, pairs, t, row, block, limit, low);
    if (op == OP_MAX || (op == OP_MAX_TERNARY && t->args->k <= BYTE_MAX_TERNARY_K)) {
        const size_t lanes = 64 / lane_bytes;
        UNROLL for (size_t v = 0; v < vectors; v++) {
            if (t->args->n_end > t->channel + v * lanes) {
                merge_max(op, lane_bytes, (int32_t)t->args->k,
                          t->args->n_end - t->channel - v * lanes, low[v], t->acc + v * lanes);
            }
        }
    }
}

// Every combination that is compiled on its own: rows x channels of the tile, lanes, k.
#define DEFINE_TILES(op, name, lane_bytes, vectors, tile_rows, pairs)                              \
    static void name(const bits_task *t) {                                                         \
        run_tiles(op, lane_bytes, vectors, tile_rows, pairs, t);                                   \
    }
#define DEFINE_OP(op, name)                                                                        \
    DEFINE_TILES(op, name##_8x64_bytes__avx512bitalg, 1, 1, 8, t->shape->pairs)                    \
    DEFINE_TILES(op, name##_8x64_k64__avx512bitalg, 1, 1, 8, 4)                                    \
    DEFINE_TILES(op, name##_4x128_bytes__avx512bitalg, 1, 2, 4, t->shape->pairs)                   \
    DEFINE_TILES(op, name##_4x128_k128__avx512bitalg, 1, 2, 4, 8)                                  \
    DEFINE_TILES(op, name##_4x64_words__avx512bitalg, 2, 2, 4, t->shape->pairs)                    \
    static void name##_task(const bits_task *t, size_t blocks) {                                   \
        if (t->shape->lane_bytes == 2)                                                             \
            name##_4x64_words__avx512bitalg(t);                                                    \
        else if (blocks == 2 && t->shape->pairs == 8)                                              \
            name##_4x128_k128__avx512bitalg(t);                                                    \
        else if (blocks == 2)                                                                      \
            name##_4x128_bytes__avx512bitalg(t);                                                   \
        else if (t->shape->pairs == 4)                                                             \
            name##_8x64_k64__avx512bitalg(t);                                                      \
        else                                                                                       \
            name##_8x64_bytes__avx512bitalg(t);                                                    \
    }
DEFINE_OP(OP_ACC, xnor_gemm_acc)
DEFINE_OP(OP_THR, xnor_gemm_thr)
DEFINE_OP(OP_MAX, xnor_gemm_max)
DEFINE_OP(OP_TERNARY, xnor_gemm_acc_ternary)
DEFINE_OP(OP_MAX_TERNARY, xnor_gemm_max_ternary)

// Four planes: a in the first two and, if ternary, the mask in the others.
ALWAYS_INLINE void expand_chunk(bits_op op, const bits_shape *s, const xnor_gemm_args *args,
                                size_t row, size_t rows, uint32_t *planes, int32_t *totals) {
    const size_t words = xnor_words(args->k);
    const uint64_t *a = args->a + row * args->a_stride;
    const bool mixed = !is_ternary(op);
    for (size_t i = 0; i < (mixed ? 1 : 2); i++) {
        uint32_t *plane = planes + 2 * i * PLANE_WORDS;
        const uint64_t *bits = i == 0 ? a : args->mask + row * args->a_stride;
        if (s->lane_bytes == 1) {
            expand_rows(1, mixed, rows, words, s->pairs, bits, args->a_stride, plane,
                        plane + PLANE_WORDS);
        } else {
            expand_rows(2, mixed, rows, words, s->pairs, bits, args->a_stride, plane,
                        plane + PLANE_WORDS);
        }
    }
    if (mixed) return;
    for (size_t r = 0; r < rows; r++) {
        const uint64_t *mask = args->mask + (row + r) * args->a_stride;
        totals[r] = 0;
        for (size_t j = 0; j < words; j++) totals[r] += __builtin_popcountll(mask[j]);
    }
}

ALWAYS_INLINE void run_gemm(bits_op op, const xnor_gemm_args *args, int32_t *acc, uint64_t *bits,
                            size_t out_stride) {
    const bits_shape s = shape_of(args->k);
    // The largest k needs a whole plane for one row.
    const size_t fitting = PLANE_WORDS / s.pairs;
    const size_t chunk = fitting > MAX_CHUNK_ROWS ? MAX_CHUNK_ROWS
                         : fitting >= 8           ? fitting / 8 * 8
                                                  : fitting;
    _Alignas(64) uint32_t planes[4 * PLANE_WORDS];
    int32_t totals[MAX_CHUNK_ROWS];
    for (size_t row = 0; row < args->rows; row += chunk) {
        bits_task t = {.shape = &s, .args = args, .codes = planes, .totals = totals};
        t.out_stride = out_stride;
        t.rows = args->rows - row < chunk ? args->rows - row : chunk;
        expand_chunk(op, &s, args, row, t.rows, planes, totals);
        size_t blocks = 0;
        for (size_t channel = args->n_begin; channel < args->n_end; channel += 64 * blocks) {
            t.channel = channel;
            if (op == OP_THR)
                t.bits = bits + row * out_stride + channel / 64;
            else
                t.acc = acc + row * out_stride + channel; // of a maximum there is one row: stride 0
            blocks = s.lane_bytes == 1 && args->n_end - channel > 64 ? 2 : 1;
            if (op == OP_ACC) xnor_gemm_acc_task(&t, blocks);
            if (op == OP_THR) xnor_gemm_thr_task(&t, blocks);
            if (op == OP_MAX) xnor_gemm_max_task(&t, blocks);
            if (op == OP_TERNARY) xnor_gemm_acc_ternary_task(&t, blocks);
            if (op == OP_MAX_TERNARY) xnor_gemm_max_ternary_task(&t, blocks);
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
    if (args->k > WORD_LANES_MAX_K)
        xnor_kernels_c.gemm_acc(args, acc, acc_stride);
    else
        run_all(OP_ACC, args, acc, NULL, acc_stride);
}

static void gemm_thr(const xnor_gemm_args *args, uint64_t *out, size_t out_stride) {
    if (args->k > WORD_LANES_MAX_K)
        xnor_kernels_c.gemm_thr(args, out, out_stride);
    else
        run_all(OP_THR, args, NULL, out, out_stride);
}

static void gemm_max(const xnor_gemm_args *args, int32_t *max) {
    if (args->k > WORD_LANES_MAX_K)
        xnor_kernels_c.gemm_max(args, max);
    else
        run_all(OP_MAX, args, max, NULL, 0);
}

static void gemm_acc_ternary(const xnor_gemm_args *args, int32_t *acc, size_t acc_stride) {
    if (args->k > WORD_LANES_MAX_K)
        xnor_kernels_c.gemm_acc_ternary(args, acc, acc_stride);
    else
        run_all(OP_TERNARY, args, acc, NULL, acc_stride);
}

static void gemm_max_ternary(const xnor_gemm_args *args, int32_t *max) {
    if (args->k > WORD_LANES_MAX_K)
        xnor_kernels_c.gemm_max_ternary(args, max);
    else
        run_all(OP_MAX_TERNARY, args, max, NULL, 0);
}

// ---- convolutions -------------------------------------------------------------------------------

#include "kernels/avx512_lines.h"

static bool conv_prepare(xnor_bits_conv *conv) {
    return lines_fit(conv) || (lanes_fit(conv) && lanes_moves(conv));
}

ALWAYS_INLINE void run_conv(bits_op op, const xnor_bits_conv *conv, const uint64_t *plane,
                            size_t first, size_t count, int32_t *acc, uint64_t *bits,
                            size_t stride) {
    const uint8_t *packed = (const uint8_t *)conv->packed + lanes_offset(conv->k, conv->n);
    if (conv->n % 64 == 0)
        run_lines(op, conv, plane, first, count, acc, bits, stride);
    else
        run_lanes(op, conv, packed, plane, first, count, acc, bits, stride);
}

static void conv_acc(const xnor_bits_conv *conv, const uint64_t *plane, size_t first, size_t count,
                     int32_t *acc, size_t acc_stride) {
    run_conv(OP_ACC, conv, plane, first, count, acc, NULL, acc_stride);
}

static void conv_thr(const xnor_bits_conv *conv, const uint64_t *plane, size_t first, size_t count,
                     uint64_t *out, size_t out_stride) {
    run_conv(OP_THR, conv, plane, first, count, NULL, out, out_stride);
}

#endif
