// Binary gemm for NEON: one byte of k per lane, one output channel per lane. Counts of 16 channels
// fit in one register, nothing is summed across lanes, the maximum over rows is one umin and the
// threshold mask of 64 channels is 12 instructions away from the output word.
//
// Unit of work: 128 bit-MAC, eor + cnt + add. Tile: 4 rows x 64 channels: 16 counts, 4 weights,
// 4 activations and 8 temporaries of 32 registers. Per step and tile 48 vector operations and 4
// ldp; two steps per loop round make 106 instructions per 4096 bit-MAC. Limited by the vector
// pipes: two of them (Cortex-A72, Neoverse N1) end at 85 bit-MAC per cycle.
//
// A lane overflows after 31 steps of at most 8. Up to SHORT_MAX_K bits one segment holds
// everything; beyond, segments are added to 16-bit counts in memory (about 6 % more instructions).
//
// Packed weights, per block of 64 channels: [steps][64] bytes, then uint16_t[64] of limit + 1 (a
// bit is set iff count < limit + 1; 0 is never). Steps are padded to an even number with zeros.
// Activations of some rows are expanded on the stack, each byte repeated 16 times, because loading
// with replication costs a vector operation on these cores and this way it is paid once per row
// instead of once per row and block: [tile][step][row][16].
#ifndef XNOR_KERNELS_NEON_BITS_H
#define XNOR_KERNELS_NEON_BITS_H

#include "kernels/inline.h"
#include "kernels/sets.h"

#include "core/size.h"

#include <arm_neon.h>
#include <string.h>

#define SEGMENT_STEPS 30
#define SHORT_MAX_K (8 * SEGMENT_STEPS)
#define LANES_MAX_K 18432                     // 3 x 3 x 2048; beyond, the C kernels take over
#define CODE_BYTES (LANES_MAX_K / 8 * 2 * 16) // one ternary row of that k
#define CHUNK_BYTES 16384 // in general, so that the first-level cache holds them
#define MAX_CHUNK_ROWS 128

typedef struct bits_shape {
    size_t steps;
    size_t block_bytes;
} bits_shape;

static bits_shape shape_of(size_t k) {
    bits_shape s;
    s.steps = xnor_align_up((k + 7) / 8, 2);
    s.block_bytes = s.steps * 64 + 64 * sizeof(uint16_t);
    return s;
}

// ---- packing ------------------------------------------------------------------------------------

static size_t gemm_packed_bytes(size_t k, size_t n) {
    if (k > LANES_MAX_K) return xnor_kernels_c.gemm_packed_bytes(k, n);
    return xnor_words(n) * shape_of(k).block_bytes;
}

static void gemm_limits(size_t k, size_t n, const int32_t *limit, void *packed) {
    if (k > LANES_MAX_K) {
        xnor_kernels_c.gemm_limits(k, n, limit, packed);
        return;
    }
    const bits_shape s = shape_of(k);
    for (size_t c = 0; c < n; c++) {
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
    const size_t words = xnor_words(k);
    memset(packed, 0, gemm_packed_bytes(k, n));
    for (size_t c = 0; c < n; c++) {
        uint8_t *block = (uint8_t *)packed + c / 64 * s.block_bytes;
        for (size_t i = 0; i < s.steps && i < 8 * words; i++) {
            block[i * 64 + c % 64] = (uint8_t)(w[c * words + i / 8] >> (i % 8 * 8));
        }
    }
    if (limit) gemm_limits(k, n, limit, packed);
}

// codes[step · stride] = 16 times byte `step` of the row, for all steps.
static void expand_row(const uint64_t *row, size_t words, size_t steps, size_t stride,
                       uint8_t *codes) {
    for (size_t j = 0; j < words && 8 * j < steps; j++) {
        const uint8x8_t bytes = vcreate_u8(row[j]);
        const size_t left = steps - 8 * j;
        uint8_t *to = codes + 8 * j * stride;
        vst1q_u8(to, vdupq_lane_u8(bytes, 0));
        vst1q_u8(to + stride, vdupq_lane_u8(bytes, 1));
        if (left <= 2) continue;
        vst1q_u8(to + 2 * stride, vdupq_lane_u8(bytes, 2));
        vst1q_u8(to + 3 * stride, vdupq_lane_u8(bytes, 3));
        if (left <= 4) continue;
        vst1q_u8(to + 4 * stride, vdupq_lane_u8(bytes, 4));
        vst1q_u8(to + 5 * stride, vdupq_lane_u8(bytes, 5));
        if (left <= 6) continue;
        vst1q_u8(to + 6 * stride, vdupq_lane_u8(bytes, 6));
        vst1q_u8(to + 7 * stride, vdupq_lane_u8(bytes, 7));
    }
}

// ---- the tile -----------------------------------------------------------------------------------

#define MAX_TILE_ROWS 4

ALWAYS_INLINE void count_step(bool ternary, size_t rows, const uint8_t *codes, const uint8_t *w,
                              uint8x16_t count[MAX_TILE_ROWS][4]) {
    uint8x16_t weight[4];
    uint8x16_t code[2 * MAX_TILE_ROWS];
    const size_t code_vectors = ternary ? 2 * rows : rows;
    UNROLL for (size_t v = 0; v < 4; v++) weight[v] = vld1q_u8(w + 16 * v);
    UNROLL for (size_t i = 0; i < code_vectors; i++) code[i] = vld1q_u8(codes + 16 * i);
    UNROLL for (size_t r = 0; r < rows; r++) {
        UNROLL for (size_t v = 0; v < 4; v++) {
            const uint8x16_t x = ternary
                                     ? veorq_u8(vandq_u8(weight[v], code[2 * r + 1]), code[2 * r])
                                     : veorq_u8(weight[v], code[r]);
            count[r][v] = vaddq_u8(count[r][v], vcntq_u8(x));
        }
    }
}

// The hot loop: two steps of the tile of four rows, 106 instructions for 4096 bit-MAC. In assembly,
// as gcc 12 spills counts and computes addresses it need not (126 instructions).
// v0-v3 weights, v4-v7 activations, v8-v11 temporaries.
#define ROW(code, c0, c1, c2, c3)                                                                  \
    "eor v8.16b, v0.16b, " code ".16b\n\t"                                                         \
    "eor v9.16b, v1.16b, " code ".16b\n\t"                                                         \
    "eor v10.16b, v2.16b, " code ".16b\n\t"                                                        \
    "eor v11.16b, v3.16b, " code ".16b\n\t"                                                        \
    "cnt v8.16b, v8.16b\n\t"                                                                       \
    "cnt v9.16b, v9.16b\n\t"                                                                       \
    "cnt v10.16b, v10.16b\n\t"                                                                     \
    "cnt v11.16b, v11.16b\n\t"                                                                     \
    "add %" c0 ".16b, %" c0 ".16b, v8.16b\n\t"                                                     \
    "add %" c1 ".16b, %" c1 ".16b, v9.16b\n\t"                                                     \
    "add %" c2 ".16b, %" c2 ".16b, v10.16b\n\t"                                                    \
    "add %" c3 ".16b, %" c3 ".16b, v11.16b\n\t"
#define ROWS                                                                                       \
    ROW("v4", "0", "1", "2", "3")                                                                  \
    ROW("v5", "4", "5", "6", "7") ROW("v6", "8", "9", "10", "11") ROW("v7", "12", "13", "14", "15")

#define ZERO(count) "movi %" count ".16b, #0\n\t"
#define COUNTS(r) "=&w"(count[r][0]), "=&w"(count[r][1]), "=&w"(count[r][2]), "=&w"(count[r][3])

ALWAYS_INLINE void count_segment4(const uint8_t *codes, const uint8_t *w, const uint8_t *w_end,
                                  uint8x16_t count[MAX_TILE_ROWS][4]) {
    __asm__(ZERO("0") ZERO("1") ZERO("2") ZERO("3") ZERO("4") ZERO("5") ZERO("6") ZERO("7") //
            ZERO("8") ZERO("9") ZERO("10") ZERO("11") ZERO("12") ZERO("13") ZERO("14")
                ZERO("15") "1:\n\t"
                           "ldp q0, q1, [%[w]], #128\n\t"
                           "ldp q4, q5, [%[codes]], #128\n\t"
                           "ldp q2, q3, [%[w], #-96]\n\t"
                           "ldp q6, q7, [%[codes], #-96]\n\t" ROWS //
                           "ldp q0, q1, [%[w], #-64]\n\t"
                           "ldp q4, q5, [%[codes], #-64]\n\t"
                           "ldp q2, q3, [%[w], #-32]\n\t"
                           "ldp q6, q7, [%[codes], #-32]\n\t" ROWS //
                           "cmp %[w], %[end]\n\t"
                           "b.ne 1b"
            : COUNTS(0), COUNTS(1), COUNTS(2), COUNTS(3), [w] "+r"(w), [codes] "+r"(codes)
            : [end] "r"(w_end)
            : "cc", "memory", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10",
              "v11");
}

// count[r][v] = popcount over an even number of steps, at most SEGMENT_STEPS.
ALWAYS_INLINE void count_segment(bool ternary, size_t rows, size_t steps, const uint8_t *codes,
                                 const uint8_t *w, uint8x16_t count[MAX_TILE_ROWS][4]) {
    const size_t code_bytes = (ternary ? 2 : 1) * rows * 16;
    if (rows == 4 && !ternary) {
        count_segment4(codes, w, w + steps * 64, count);
        return;
    }
    UNROLL for (size_t r = 0; r < rows; r++) {
        UNROLL for (size_t v = 0; v < 4; v++) count[r][v] = vdupq_n_u8(0);
    }
    const uint8_t *const end = w + steps * 64;
    do {
        count_step(ternary, rows, codes, w, count);
        count_step(ternary, rows, codes + code_bytes, w + 64, count);
        codes += 2 * code_bytes;
        w += 128;
    } while (w != end);
}

// wide[r][64] = popcount over all steps.
ALWAYS_INLINE void count_long(bool ternary, size_t rows, size_t steps, const uint8_t *codes,
                              const uint8_t *w, uint16_t wide[MAX_TILE_ROWS][64]) {
    const size_t segments = (steps + SEGMENT_STEPS - 1) / SEGMENT_STEPS;
    const size_t even_steps = xnor_align_up((steps + segments - 1) / segments, 2);
    memset(wide, 0, rows * sizeof wide[0]);
    for (size_t step = 0; step < steps; step += even_steps) {
        const size_t count_steps = steps - step < even_steps ? steps - step : even_steps;
        uint8x16_t count[MAX_TILE_ROWS][4];
        count_segment(ternary, rows, count_steps, codes + step * (ternary ? 2 : 1) * rows * 16,
                      w + step * 64, count);
        UNROLL for (size_t r = 0; r < rows; r++) {
            UNROLL for (size_t v = 0; v < 4; v++) {
                uint16_t *to = wide[r] + 16 * v;
                vst1q_u16(to, vaddw_u8(vld1q_u16(to), vget_low_u8(count[r][v])));
                vst1q_u16(to + 8, vaddw_high_u8(vld1q_u16(to + 8), count[r][v]));
            }
        }
    }
}

// ---- what happens to the counts -----------------------------------------------------------------

typedef enum bits_op { OP_ACC, OP_THR, OP_MAX, OP_TERNARY, OP_MAX_TERNARY } bits_op;

ALWAYS_INLINE bool is_ternary(bits_op op) {
    return op == OP_TERNARY || op == OP_MAX_TERNARY;
}

// One task: all rows of a chunk times one block of channels.
typedef struct bits_task {
    size_t k;
    size_t steps;
    size_t rows;
    size_t tile_rows;
    size_t channels;       // of the block that exist
    const uint8_t *block;  // weights, then limits
    const uint8_t *codes;  // of the first row
    const int32_t *totals; // ternary: popcount of the mask, per row
    int32_t *acc; // OP_ACC, OP_TERNARY: at the first row and channel; of a maximum: at the channel
    uint64_t *bits; // OP_THR: at the first row and the block's word
    size_t out_stride;
} bits_task;

// Bit i of the result is set where byte i of the 64 is all ones.
ALWAYS_INLINE uint64_t gather_bits(uint8x16_t m0, uint8x16_t m1, uint8x16_t m2, uint8x16_t m3) {
    const uint8x16_t weight = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201u));
    const uint8x16_t low = vpaddq_u8(vandq_u8(m0, weight), vandq_u8(m1, weight));
    const uint8x16_t high = vpaddq_u8(vandq_u8(m2, weight), vandq_u8(m3, weight));
    const uint8x16_t all = vpaddq_u8(low, high);
    return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(all, all)), 0);
}

// acc[0..8) = total - 2 · count
ALWAYS_INLINE void store_acc8(int16_t total, uint16x8_t count, int32_t *acc) {
    const int16x8_t value =
        vsubq_s16(vdupq_n_s16(total), vreinterpretq_s16_u16(vshlq_n_u16(count, 1)));
    vst1q_s32(acc, vmovl_s16(vget_low_s16(value)));
    vst1q_s32(acc + 4, vmovl_high_s16(value));
}

ALWAYS_INLINE uint16x8_t wide_half(const uint8x16_t count[4], size_t half) {
    return half % 2 ? vmovl_high_u8(count[half / 2]) : vmovl_u8(vget_low_u8(count[half / 2]));
}

// One row's accumulators from its byte counts, or from its 16-bit counts if `wide`.
ALWAYS_INLINE void finish_acc(int16_t total, size_t channels, const uint8x16_t count[4],
                              const uint16_t *wide, int32_t *acc) {
    int32_t part[64];
    int32_t *to = channels < 64 ? part : acc;
    UNROLL for (size_t half = 0; half < 8; half++) {
        store_acc8(total, wide ? vld1q_u16(wide + 8 * half) : wide_half(count, half),
                   to + 8 * half);
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

ALWAYS_INLINE uint64_t finish_thr(const uint8x16_t count[4], const uint8x16_t limit[4]) {
    return gather_bits(vcltq_u8(count[0], limit[0]), vcltq_u8(count[1], limit[1]),
                       vcltq_u8(count[2], limit[2]), vcltq_u8(count[3], limit[3]));
}

ALWAYS_INLINE uint64_t finish_thr_wide(const uint16_t *count, const uint16_t *limit) {
    uint8x16_t mask[4];
    UNROLL for (size_t v = 0; v < 4; v++) {
        const uint16x8_t low = vcltq_u16(vld1q_u16(count + 16 * v), vld1q_u16(limit + 16 * v));
        const uint16x8_t high =
            vcltq_u16(vld1q_u16(count + 16 * v + 8), vld1q_u16(limit + 16 * v + 8));
        mask[v] = vuzp1q_u8(vreinterpretq_u8_u16(low), vreinterpretq_u8_u16(high));
    }
    return gather_bits(mask[0], mask[1], mask[2], mask[3]);
}

ALWAYS_INLINE int16_t row_total(bits_op op, const bits_task *t, size_t row) {
    return (int16_t)(is_ternary(op) ? t->totals[row] : (int32_t)t->k);
}

ALWAYS_INLINE void run_short(bits_op op, size_t rows, const bits_task *t, size_t row,
                             const uint8x16_t limit[4], uint8x16_t low[4]) {
    const bool ternary = is_ternary(op);
    const uint8_t *codes = t->codes + row * t->steps * (ternary ? 32 : 16);
    uint8x16_t count[MAX_TILE_ROWS][4];
    count_segment(ternary, rows, t->steps, codes, t->block, count);
    UNROLL for (size_t r = 0; r < rows; r++) {
        if (op == OP_THR) {
            t->bits[(row + r) * t->out_stride] = finish_thr(count[r], limit);
        } else if (op == OP_MAX) {
            UNROLL for (size_t v = 0; v < 4; v++) low[v] = vminq_u8(low[v], count[r][v]);
        } else if (op == OP_MAX_TERNARY && t->k <= BYTE_MAX_TERNARY_K) {
            const uint8x16_t zeros = vdupq_n_u8((uint8_t)((int32_t)t->k - t->totals[row + r]));
            UNROLL for (size_t v = 0; v < 4; v++) {
                const uint8x16_t twice = vaddq_u8(count[r][v], count[r][v]);
                low[v] = vminq_u8(low[v], vaddq_u8(twice, zeros));
            }
        } else if (op == OP_MAX_TERNARY) {
            int32_t acc[64];
            finish_acc((int16_t)t->totals[row + r], 64, count[r], NULL, acc);
            raise_max(acc, t->channels, t->acc);
        } else {
            finish_acc(row_total(op, t, row + r), t->channels, count[r], NULL,
                       t->acc + (row + r) * t->out_stride);
        }
    }
}

ALWAYS_INLINE void run_long(bits_op op, size_t rows, const bits_task *t, size_t row,
                            const uint16_t *limit, uint16_t low[64]) {
    const bool ternary = is_ternary(op);
    const uint8_t *codes = t->codes + row * t->steps * (ternary ? 32 : 16);
    uint16_t wide[MAX_TILE_ROWS][64];
    count_long(ternary, rows, t->steps, codes, t->block, wide);
    for (size_t r = 0; r < rows; r++) {
        if (op == OP_THR) {
            t->bits[(row + r) * t->out_stride] = finish_thr_wide(wide[r], limit);
        } else if (op == OP_MAX) {
            for (size_t i = 0; i < 64; i += 8) {
                vst1q_u16(low + i, vminq_u16(vld1q_u16(low + i), vld1q_u16(wide[r] + i)));
            }
        } else if (op == OP_MAX_TERNARY) {
            int32_t acc[64];
            finish_acc((int16_t)t->totals[row + r], 64, NULL, wide[r], acc);
            raise_max(acc, t->channels, t->acc);
        } else {
            finish_acc(row_total(op, t, row + r), t->channels, NULL, wide[r],
                       t->acc + (row + r) * t->out_stride);
        }
    }
}

// max = max(max, k - 2 · low)
static void merge_max(const bits_task *t, const uint8x16_t low[4], const uint16_t *wide) {
    int32_t acc[64];
    if (wide)
        finish_acc((int16_t)t->k, 64, NULL, wide, acc);
    else
        finish_acc((int16_t)t->k, 64, low, NULL, acc);
    raise_max(acc, t->channels, t->acc);
}

// max = max(max, k - low)
static void merge_max_ternary(const bits_task *t, const uint8x16_t low[4]) {
    uint8_t bytes[64];
    int32_t acc[64];
    for (size_t v = 0; v < 4; v++) vst1q_u8(bytes + 16 * v, low[v]);
    for (size_t c = 0; c < 64; c++) acc[c] = (int32_t)t->k - bytes[c];
    raise_max(acc, t->channels, t->acc);
}

// Rows that the next tile takes: 4, 2 or 1, at most `tile_rows`.
ALWAYS_INLINE size_t next_tile(size_t left, size_t tile_rows) {
    if (left >= 4 && tile_rows >= 4) return 4;
    return left >= 2 && tile_rows >= 2 ? 2 : 1;
}

ALWAYS_INLINE void run_short_rows(bits_op op, const bits_task *t) {
    const uint16_t *limit16 = (const uint16_t *)(const void *)(t->block + t->steps * 64);
    uint8x16_t limit[4];
    uint8x16_t low[4];
    UNROLL for (size_t v = 0; v < 4; v++) {
        limit[v] = vuzp1q_u8(vreinterpretq_u8_u16(vld1q_u16(limit16 + 16 * v)),
                             vreinterpretq_u8_u16(vld1q_u16(limit16 + 16 * v + 8)));
        low[v] = vdupq_n_u8(0xFF);
    }
    size_t rows = 0;
    for (size_t row = 0; row < t->rows; row += rows) {
        rows = next_tile(t->rows - row, t->tile_rows);
        if (rows == 4 && !is_ternary(op))
            run_short(op, 4, t, row, limit, low);
        else if (rows == 2)
            run_short(op, 2, t, row, limit, low);
        else
            run_short(op, 1, t, row, limit, low);
    }
    if (op == OP_MAX) merge_max(t, low, NULL);
    if (op == OP_MAX_TERNARY && t->k <= BYTE_MAX_TERNARY_K) merge_max_ternary(t, low);
}

ALWAYS_INLINE void run_long_rows(bits_op op, const bits_task *t) {
    const uint16_t *limit = (const uint16_t *)(const void *)(t->block + t->steps * 64);
    uint16_t low[64];
    memset(low, 0xFF, sizeof low);
    size_t rows = 0;
    for (size_t row = 0; row < t->rows; row += rows) {
        rows = next_tile(t->rows - row, t->tile_rows);
        if (rows == 4 && !is_ternary(op))
            run_long(op, 4, t, row, limit, low);
        else if (rows == 2)
            run_long(op, 2, t, row, limit, low);
        else
            run_long(op, 1, t, row, limit, low);
    }
    if (op == OP_MAX) merge_max(t, NULL, low);
}

#define DEFINE_OP(op, name, rows)                                                                  \
    static __attribute__((noinline)) void name##_##rows##x64__neon(const bits_task *t) {           \
        run_short_rows(op, t);                                                                     \
    }                                                                                              \
    static __attribute__((noinline)) void name##_##rows##x64_long__neon(const bits_task *t) {      \
        run_long_rows(op, t);                                                                      \
    }                                                                                              \
    static void name##_task(const bits_task *t) {                                                  \
        if (t->k <= SHORT_MAX_K)                                                                   \
            name##_##rows##x64__neon(t);                                                           \
        else                                                                                       \
            name##_##rows##x64_long__neon(t);                                                      \
    }
DEFINE_OP(OP_ACC, xnor_gemm_acc, 4)
DEFINE_OP(OP_THR, xnor_gemm_thr, 4)
DEFINE_OP(OP_MAX, xnor_gemm_max, 4)
DEFINE_OP(OP_TERNARY, xnor_gemm_acc_ternary, 2)
DEFINE_OP(OP_MAX_TERNARY, xnor_gemm_max_ternary, 2)

ALWAYS_INLINE void expand_chunk(bool ternary, const xnor_gemm_args *args, const bits_task *t,
                                size_t first_row, uint8_t *codes, int32_t *totals) {
    const size_t words = xnor_words(args->k);
    const size_t planes = ternary ? 2 : 1;
    size_t rows = 0;
    for (size_t row = 0; row < t->rows; row += rows) {
        rows = next_tile(t->rows - row, t->tile_rows);
        uint8_t *tile = codes + row * t->steps * planes * 16;
        for (size_t r = 0; r < rows; r++) {
            const size_t at = (first_row + row + r) * args->a_stride;
            uint8_t *to = tile + r * planes * 16;
            expand_row(args->a + at, words, t->steps, rows * planes * 16, to);
            if (!ternary) continue;
            expand_row(args->mask + at, words, t->steps, rows * planes * 16, to + 16);
            totals[row + r] = 0;
            for (size_t j = 0; j < words; j++) {
                totals[row + r] += __builtin_popcountll(args->mask[at + j]);
            }
        }
    }
}

ALWAYS_INLINE void run_gemm(bits_op op, const xnor_gemm_args *args, int32_t *acc, uint64_t *bits,
                            size_t out_stride) {
    const bits_shape s = shape_of(args->k);
    const size_t row_bytes = s.steps * (is_ternary(op) ? 32 : 16);
    bits_task t = {.k = args->k, .steps = s.steps, .out_stride = out_stride};
    // A tile must fit in the buffer; several tiles only as long as the first-level cache holds
    // them.
    t.tile_rows = is_ternary(op) ? 2 : 4;
    while (t.tile_rows > 1 && t.tile_rows * row_bytes > CODE_BYTES) t.tile_rows /= 2;
    size_t chunk = CHUNK_BYTES / row_bytes / t.tile_rows * t.tile_rows;
    if (chunk == 0) chunk = t.tile_rows;
    if (chunk > MAX_CHUNK_ROWS) chunk = MAX_CHUNK_ROWS;
    _Alignas(64) uint8_t codes[CODE_BYTES];
    int32_t totals[MAX_CHUNK_ROWS];
    t.codes = codes;
    t.totals = totals;
    for (size_t row = 0; row < args->rows; row += chunk) {
        t.rows = args->rows - row < chunk ? args->rows - row : chunk;
        expand_chunk(is_ternary(op), args, &t, row, codes, totals);
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

static void gemm_acc(const xnor_gemm_args *args, int32_t *acc, size_t acc_stride) {
    if (args->k > LANES_MAX_K)
        xnor_kernels_c.gemm_acc(args, acc, acc_stride);
    else
        run_gemm(OP_ACC, args, acc, NULL, acc_stride);
}

static void gemm_thr(const xnor_gemm_args *args, uint64_t *out, size_t out_stride) {
    if (args->k > LANES_MAX_K)
        xnor_kernels_c.gemm_thr(args, out, out_stride);
    else
        run_gemm(OP_THR, args, NULL, out, out_stride);
}

static void gemm_max(const xnor_gemm_args *args, int32_t *max) {
    if (args->k > LANES_MAX_K)
        xnor_kernels_c.gemm_max(args, max);
    else
        run_gemm(OP_MAX, args, max, NULL, 0);
}

static void gemm_acc_ternary(const xnor_gemm_args *args, int32_t *acc, size_t acc_stride) {
    if (args->k > LANES_MAX_K)
        xnor_kernels_c.gemm_acc_ternary(args, acc, acc_stride);
    else
        run_gemm(OP_TERNARY, args, acc, NULL, acc_stride);
}

static void gemm_max_ternary(const xnor_gemm_args *args, int32_t *max) {
    if (args->k > LANES_MAX_K)
        xnor_kernels_c.gemm_max_ternary(args, max);
    else
        run_gemm(OP_MAX_TERNARY, args, max, NULL, 0);
}

#endif
