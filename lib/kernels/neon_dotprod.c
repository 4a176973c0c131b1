// NEON with the ARMv8.2 dot product: binary gemm for long k and many channels; everything else is the
// NEON set's, which need not expand rows for few channels and has the shorter epilogue.
//
// udot against ones adds the counts of four bytes to a 32-bit lane, so nothing overflows.
//
// A vector holds 4 channels x 32 bits of k. Unit of work: 128 bit-MAC, eor + cnt + udot. Tile: 4
// rows x 16 channels: 16 counts, 4 weights, 4 activations, 1 vector of ones, 4 temporaries of 32
// registers. Per step of 32 bits 48 vector operations and 4 ldp: 108 instructions per 4096 bit-MAC,
// limited by the vector pipes.
//
// Packed weights, per block of 64 channels: 4 groups of [steps][16] words, then uint32_t[64] of
// limit + 1. Activations are expanded on the stack: [tile][step][row][4] words.
#if defined(__aarch64__)

#include "kernels/inline.h"
#include "kernels/sets.h"

#include "core/size.h"

#include <arm_neon.h>
#include <string.h>

#define MIN_K 241
#define MIN_CHANNELS 128
#define MAX_K 65536
#define CODE_WORDS (MAX_K / 32 * 2 * 4) // one ternary row of that k
#define CHUNK_WORDS 4096                // in general, 16 KB
#define MAX_CHUNK_ROWS 128
#define MAX_TILE_ROWS 4

typedef enum bits_op { OP_ACC, OP_THR, OP_MAX, OP_TERNARY, OP_MAX_TERNARY } bits_op;

ALWAYS_INLINE bool is_ternary(bits_op op) {
    return op == OP_TERNARY || op == OP_MAX_TERNARY;
}

typedef struct bits_task {
    size_t k;
    size_t steps;
    size_t rows;
    size_t tile_rows;
    size_t channels;       // of the group that exist, at most 16
    const uint32_t *group; // weights
    const uint32_t *limit;
    const uint32_t *codes; // of the first row
    const int32_t *totals; // ternary: popcount of the mask, per row
    int32_t *acc;  // OP_ACC, OP_TERNARY: at the first row and channel; of a maximum: at the channel
    uint8_t *bits; // OP_THR: at the first row and the group's byte
    size_t out_stride; // in elements of acc, in bytes of bits
} bits_task;

static size_t steps_of(size_t k) {
    return (k + 31) / 32;
}

static size_t block_words(size_t k) {
    return steps_of(k) * 64 + 64;
}

static bool is_ours(size_t k, size_t n) {
    return k >= MIN_K && k <= MAX_K && n >= MIN_CHANNELS;
}

static size_t gemm_packed_bytes(size_t k, size_t n) {
    if (!is_ours(k, n)) return xnor_kernels_neon.gemm_packed_bytes(k, n);
    return xnor_words(n) * block_words(k) * sizeof(uint32_t);
}

static uint32_t half_word(const uint64_t *row, size_t step) {
    return (uint32_t)(row[step / 2] >> (step % 2 * 32));
}

static void gemm_limits(size_t k, size_t n, const int32_t *limit, void *packed) {
    if (!is_ours(k, n)) {
        xnor_kernels_neon.gemm_limits(k, n, limit, packed);
        return;
    }
    for (size_t c = 0; c < n; c++) {
        uint32_t *block = (uint32_t *)packed + c / 64 * block_words(k);
        const size_t most = limit[c] < 0 ? 0 : (size_t)limit[c] + 1;
        block[steps_of(k) * 64 + c % 64] = (uint32_t)(most <= k ? most : k + 1);
    }
}

static void gemm_pack(size_t k, size_t n, const uint64_t *w, const int32_t *limit, void *packed) {
    if (!is_ours(k, n)) {
        xnor_kernels_neon.gemm_pack(k, n, w, limit, packed);
        return;
    }
    const size_t steps = steps_of(k);
    memset(packed, 0, gemm_packed_bytes(k, n));
    for (size_t c = 0; c < n; c++) {
        uint32_t *block = (uint32_t *)packed + c / 64 * block_words(k);
        uint32_t *group = block + c % 64 / 16 * steps * 16;
        for (size_t i = 0; i < steps; i++) {
            group[i * 16 + c % 16] = half_word(w + c * xnor_words(k), i);
        }
    }
    if (limit) gemm_limits(k, n, limit, packed);
}

// ---- the tile -----------------------------------------------------------------------------------

// v0-v3 weights, v4-v7 activations, v8-v11 temporaries, v12 ones.
#define ROW(code, c0, c1, c2, c3)                                                                  \
    "eor v8.16b, v0.16b, " code ".16b\n\t"                                                         \
    "eor v9.16b, v1.16b, " code ".16b\n\t"                                                         \
    "eor v10.16b, v2.16b, " code ".16b\n\t"                                                        \
    "eor v11.16b, v3.16b, " code ".16b\n\t"                                                        \
    "cnt v8.16b, v8.16b\n\t"                                                                       \
    "cnt v9.16b, v9.16b\n\t"                                                                       \
    "cnt v10.16b, v10.16b\n\t"                                                                     \
    "cnt v11.16b, v11.16b\n\t"                                                                     \
    "udot %" c0 ".4s, v8.16b, v12.16b\n\t"                                                         \
    "udot %" c1 ".4s, v9.16b, v12.16b\n\t"                                                         \
    "udot %" c2 ".4s, v10.16b, v12.16b\n\t"                                                        \
    "udot %" c3 ".4s, v11.16b, v12.16b\n\t"
#define ZERO(count) "movi %" count ".4s, #0\n\t"
#define COUNTS(r) "=&w"(count[r][0]), "=&w"(count[r][1]), "=&w"(count[r][2]), "=&w"(count[r][3])

ALWAYS_INLINE void count_tile4(size_t steps, const uint32_t *codes, const uint32_t *w,
                               uint32x4_t count[MAX_TILE_ROWS][4]) {
    __asm__(ZERO("0") ZERO("1") ZERO("2") ZERO("3") ZERO("4") ZERO("5") ZERO("6") ZERO("7") //
            ZERO("8") ZERO("9") ZERO("10") ZERO("11") ZERO("12") ZERO("13") ZERO("14")
                ZERO("15") "movi v12.16b, #1\n\t"
                           "1:\n\t"
                           "ldp q0, q1, [%[w]], #64\n\t"
                           "ldp q4, q5, [%[codes]], #64\n\t"
                           "ldp q2, q3, [%[w], #-32]\n\t"
                           "ldp q6, q7, [%[codes], #-32]\n\t"                 //
            ROW("v4", "0", "1", "2", "3") ROW("v5", "4", "5", "6", "7")       //
            ROW("v6", "8", "9", "10", "11") ROW("v7", "12", "13", "14", "15") //
            "cmp %[w], %[end]\n\t"
            "b.ne 1b"
            : COUNTS(0), COUNTS(1), COUNTS(2), COUNTS(3), [w] "+r"(w), [codes] "+r"(codes)
            : [end] "r"(w + steps * 16)
            : "cc", "memory", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10",
              "v11", "v12");
}

// count[r][v]: popcounts of channels 4v to 4v + 3.
ALWAYS_INLINE void count_tile(bool ternary, size_t rows, size_t steps, const uint32_t *codes,
                              const uint32_t *w, uint32x4_t count[MAX_TILE_ROWS][4]) {
    if (rows == 4 && !ternary) {
        count_tile4(steps, codes, w, count);
        return;
    }
    const uint8x16_t ones = vdupq_n_u8(1);
    UNROLL for (size_t r = 0; r < rows; r++) {
        UNROLL for (size_t v = 0; v < 4; v++) count[r][v] = vdupq_n_u32(0);
    }
    for (size_t i = 0; i < steps; i++) {
        UNROLL for (size_t r = 0; r < rows; r++) {
            const uint32_t *code = codes + (ternary ? 8 : 4) * r;
            const uint32x4_t a = vld1q_u32(code);
            UNROLL for (size_t v = 0; v < 4; v++) {
                uint32x4_t x = vld1q_u32(w + 4 * v);
                if (ternary) x = vandq_u32(x, vld1q_u32(code + 4));
                const uint8x16_t bits = vcntq_u8(vreinterpretq_u8_u32(veorq_u32(x, a)));
                count[r][v] = vdotq_u32(count[r][v], bits, ones);
            }
        }
        codes += (ternary ? 8 : 4) * rows;
        w += 16;
    }
}

// ---- what happens to the counts -----------------------------------------------------------------

// Bit i of the result is set where lane i of the 16 is all ones.
ALWAYS_INLINE uint16_t gather16(uint32x4_t m0, uint32x4_t m1, uint32x4_t m2, uint32x4_t m3) {
    const uint16x8_t low = vuzp1q_u16(vreinterpretq_u16_u32(m0), vreinterpretq_u16_u32(m1));
    const uint16x8_t high = vuzp1q_u16(vreinterpretq_u16_u32(m2), vreinterpretq_u16_u32(m3));
    const uint8x16_t mask = vuzp1q_u8(vreinterpretq_u8_u16(low), vreinterpretq_u8_u16(high));
    uint8x16_t bits = vandq_u8(mask, vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201u)));
    bits = vpaddq_u8(bits, bits);
    bits = vpaddq_u8(bits, bits);
    bits = vpaddq_u8(bits, bits);
    return vgetq_lane_u16(vreinterpretq_u16_u8(bits), 0);
}

// acc = total - 2 · count of the group's channels
ALWAYS_INLINE void finish_acc(int32_t total, size_t channels, const uint32x4_t count[4],
                              int32_t *acc) {
    int32_t part[16];
    int32_t *to = channels < 16 ? part : acc;
    UNROLL for (size_t v = 0; v < 4; v++) {
        const int32x4_t twice = vreinterpretq_s32_u32(vshlq_n_u32(count[v], 1));
        vst1q_s32(to + 4 * v, vsubq_s32(vdupq_n_s32(total), twice));
    }
    if (channels < 16) memcpy(acc, part, channels * sizeof *acc);
}

ALWAYS_INLINE void run_tile(bits_op op, size_t rows, const bits_task *t, size_t row,
                            const uint32x4_t limit[4], uint32x4_t low[4]) {
    const bool ternary = is_ternary(op);
    uint32x4_t count[MAX_TILE_ROWS][4];
    count_tile(ternary, rows, t->steps, t->codes + row * t->steps * (ternary ? 8 : 4), t->group,
               count);
    UNROLL for (size_t r = 0; r < rows; r++) {
        if (op == OP_THR) {
            const uint16_t word =
                gather16(vcltq_u32(count[r][0], limit[0]), vcltq_u32(count[r][1], limit[1]),
                         vcltq_u32(count[r][2], limit[2]), vcltq_u32(count[r][3], limit[3]));
            memcpy(t->bits + (row + r) * t->out_stride, &word, sizeof word);
        } else if (op == OP_MAX) {
            UNROLL for (size_t v = 0; v < 4; v++) low[v] = vminq_u32(low[v], count[r][v]);
        } else if (op == OP_MAX_TERNARY) { // acc = k - (2 · count + zeros)
            const uint32x4_t zeros = vdupq_n_u32((uint32_t)t->k - (uint32_t)t->totals[row + r]);
            UNROLL for (size_t v = 0; v < 4; v++) {
                const uint32x4_t twice = vshlq_n_u32(count[r][v], 1);
                low[v] = vminq_u32(low[v], vaddq_u32(twice, zeros));
            }
        } else {
            finish_acc(ternary ? t->totals[row + r] : (int32_t)t->k, t->channels, count[r],
                       t->acc + (row + r) * t->out_stride);
        }
    }
}

// Rows that the next tile takes: 4, 2 or 1, at most `tile_rows`.
ALWAYS_INLINE size_t next_tile(size_t left, size_t tile_rows) {
    if (left >= 4 && tile_rows >= 4) return 4;
    return left >= 2 && tile_rows >= 2 ? 2 : 1;
}

ALWAYS_INLINE void run_rows(bits_op op, const bits_task *t) {
    uint32x4_t limit[4];
    uint32x4_t low[4];
    UNROLL for (size_t v = 0; v < 4; v++) {
        limit[v] = vld1q_u32(t->limit + 4 * v);
        low[v] = vdupq_n_u32(UINT32_MAX);
    }
    size_t rows = 0;
    for (size_t row = 0; row < t->rows; row += rows) {
        rows = next_tile(t->rows - row, t->tile_rows);
        if (rows == 4 && !is_ternary(op))
            run_tile(op, 4, t, row, limit, low);
        else if (rows == 2)
            run_tile(op, 2, t, row, limit, low);
        else
            run_tile(op, 1, t, row, limit, low);
    }
    if (op != OP_MAX && op != OP_MAX_TERNARY) return;
    int32_t acc[16];
    finish_acc((int32_t)t->k, 16, low, acc);
    for (size_t v = 0; op == OP_MAX_TERNARY && v < 4; v++) {
        const int32x4_t bracket = vreinterpretq_s32_u32(low[v]);
        vst1q_s32(acc + 4 * v, vsubq_s32(vdupq_n_s32((int32_t)t->k), bracket));
    }
    for (size_t c = 0; c < t->channels; c++) {
        if (acc[c] > t->acc[c]) t->acc[c] = acc[c];
    }
}

#define DEFINE_OP(op, name, rows)                                                                  \
    static __attribute__((noinline)) void name##_##rows##x16__neon_dotprod(const bits_task *t) {   \
        run_rows(op, t);                                                                           \
    }
DEFINE_OP(OP_ACC, xnor_gemm_acc, 4)
DEFINE_OP(OP_THR, xnor_gemm_thr, 4)
DEFINE_OP(OP_MAX, xnor_gemm_max, 4)
DEFINE_OP(OP_TERNARY, xnor_gemm_acc_ternary, 2)
DEFINE_OP(OP_MAX_TERNARY, xnor_gemm_max_ternary, 2)

static void expand_chunk(bool ternary, const xnor_gemm_args *args, const bits_task *t,
                         size_t first_row, uint32_t *codes, int32_t *totals) {
    const size_t planes = ternary ? 2 : 1;
    size_t rows = 0;
    for (size_t row = 0; row < t->rows; row += rows) {
        rows = next_tile(t->rows - row, t->tile_rows);
        for (size_t r = 0; r < rows; r++) {
            const size_t at = (first_row + row + r) * args->a_stride;
            uint32_t *to = codes + (row * t->steps + r) * planes * 4;
            int32_t total = 0;
            for (size_t i = 0; i < t->steps; i++) {
                vst1q_u32(to, vdupq_n_u32(half_word(args->a + at, i)));
                if (ternary) {
                    const uint32_t mask = half_word(args->mask + at, i);
                    vst1q_u32(to + 4, vdupq_n_u32(mask));
                    total += __builtin_popcount(mask);
                }
                to += rows * planes * 4;
            }
            totals[row + r] = total;
        }
    }
}

// Groups write no more than their own bits.
static void clear_words(size_t rows, uint64_t *bits, size_t stride) {
    for (size_t r = 0; r < rows; r++) bits[r * stride] = 0;
}

ALWAYS_INLINE void run_gemm(bits_op op, const xnor_gemm_args *args, int32_t *acc, uint64_t *bits,
                            size_t out_stride) {
    const size_t steps = steps_of(args->k);
    const size_t row_words = steps * (is_ternary(op) ? 8 : 4);
    _Alignas(64) uint32_t codes[CODE_WORDS];
    int32_t totals[MAX_CHUNK_ROWS];
    bits_task t = {.k = args->k, .steps = steps, .codes = codes, .totals = totals};
    t.out_stride = op == OP_THR ? out_stride * sizeof *bits : out_stride;
    // A tile must fit in the buffer; several tiles only as long as the first-level cache holds
    // them.
    t.tile_rows = is_ternary(op) ? 2 : 4;
    while (t.tile_rows > 1 && t.tile_rows * row_words > CODE_WORDS) t.tile_rows /= 2;
    size_t chunk = CHUNK_WORDS / row_words / t.tile_rows * t.tile_rows;
    if (chunk == 0) chunk = t.tile_rows;
    if (chunk > MAX_CHUNK_ROWS) chunk = MAX_CHUNK_ROWS;
    for (size_t row = 0; row < args->rows; row += chunk) {
        t.rows = args->rows - row < chunk ? args->rows - row : chunk;
        expand_chunk(is_ternary(op), args, &t, row, codes, totals);
        for (size_t c = args->n_begin; c < args->n_end; c += 16) {
            if (op == OP_THR && c % 64 == 0)
                clear_words(t.rows, bits + row * out_stride + c / 64, out_stride);
            const uint32_t *block = (const uint32_t *)args->packed + c / 64 * block_words(args->k);
            t.group = block + c % 64 / 16 * steps * 16;
            t.limit = block + steps * 64 + c % 64;
            t.channels = c + 16 <= args->n_end ? 16 : args->n_end - c;
            if (op == OP_THR)
                t.bits = (uint8_t *)(bits + row * out_stride) + c / 8;
            else
                t.acc = acc + row * out_stride + c; // of a maximum there is one row: stride 0
            if (op == OP_ACC) xnor_gemm_acc_4x16__neon_dotprod(&t);
            if (op == OP_THR) xnor_gemm_thr_4x16__neon_dotprod(&t);
            if (op == OP_MAX) xnor_gemm_max_4x16__neon_dotprod(&t);
            if (op == OP_TERNARY) xnor_gemm_acc_ternary_2x16__neon_dotprod(&t);
            if (op == OP_MAX_TERNARY) xnor_gemm_max_ternary_2x16__neon_dotprod(&t);
        }
    }
}

static void gemm_acc(const xnor_gemm_args *args, int32_t *acc, size_t acc_stride) {
    if (!is_ours(args->k, args->n))
        xnor_kernels_neon.gemm_acc(args, acc, acc_stride);
    else
        run_gemm(OP_ACC, args, acc, NULL, acc_stride);
}

static void gemm_thr(const xnor_gemm_args *args, uint64_t *out, size_t out_stride) {
    if (!is_ours(args->k, args->n))
        xnor_kernels_neon.gemm_thr(args, out, out_stride);
    else
        run_gemm(OP_THR, args, NULL, out, out_stride);
}

static void gemm_max(const xnor_gemm_args *args, int32_t *max) {
    if (!is_ours(args->k, args->n))
        xnor_kernels_neon.gemm_max(args, max);
    else
        run_gemm(OP_MAX, args, max, NULL, 0);
}

static void gemm_acc_ternary(const xnor_gemm_args *args, int32_t *acc, size_t acc_stride) {
    if (!is_ours(args->k, args->n))
        xnor_kernels_neon.gemm_acc_ternary(args, acc, acc_stride);
    else
        run_gemm(OP_TERNARY, args, acc, NULL, acc_stride);
}

static void gemm_max_ternary(const xnor_gemm_args *args, int32_t *max) {
    if (!is_ours(args->k, args->n))
        xnor_kernels_neon.gemm_max_ternary(args, max);
    else
        run_gemm(OP_MAX_TERNARY, args, max, NULL, 0);
}

void xnor_kernels_fill_neon_dotprod(xnor_kernels *table) {
    XNOR_GEMM_FAMILIES(XNOR_FAMILY_ENTRY)
}

#else
typedef int xnor_empty_neon_dotprod;
#endif
