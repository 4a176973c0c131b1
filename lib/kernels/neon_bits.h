// Binary gemm for NEON: 16 bits of k per lane, one output channel per lane. Counts of 8 channels fit in
// one register, nothing is summed across channels, the maximum over rows is one umin per vector and the
// threshold mask of 32 channels is 10 instructions away from the output bits.
//
// Tiles and what limits them: neon_count.h. A block of 64 channels is two groups of four vectors, the last
// block one or two groups of two to four vectors, so that at most 8 lanes are idle.
//
// Packed weights, per block: per group [steps][vectors][8] lanes, then uint16_t[64] of limit + 1 (a bit is
// set iff count < limit + 1; 0 is never).
//
// Rows are read as they are, every lane replicated while loading, which costs a vector operation on these
// cores: where many blocks share rows, they are expanded on the stack before, so that it is paid once.
#ifndef XNOR_KERNELS_NEON_BITS_H
#define XNOR_KERNELS_NEON_BITS_H

#include "kernels/inline.h"
#include "kernels/neon_count.h"
#include "kernels/sets.h"

#include "core/size.h"

#include <string.h>

#define LANES_MAX_K 32767 // accumulators fit in 16 bits; beyond, the C kernels take over
#define CODE_BYTES 16384  // so that the first-level cache holds them
#define MAX_CHUNK_ROWS 128
#define EXPAND_MIN_CHANNELS 128

static size_t steps_of(size_t k) {
    return (k + 15) / 16;
}

static size_t full_block_bytes(size_t k) {
    return (steps_of(k) + 1) * 64 * sizeof(uint16_t);
}

// Vectors of the two groups of a block of so many channels.
static size_t first_vectors(size_t channels) {
    const size_t vectors = (channels + 7) / 8;
    if (vectors == 3 || vectors == 5) return 3;
    return vectors < 4 ? 2 : 4;
}

static size_t second_vectors(size_t channels) {
    const size_t vectors = (channels + 7) / 8, first = first_vectors(channels);
    return vectors > first ? vectors - first : 0;
}

static size_t block_channels(size_t n, size_t channel) {
    return n - channel < 64 ? n - channel : 64;
}

// Bytes from the start of a block to its limits.
static size_t limits_at(size_t k, size_t channels) {
    return steps_of(k) * (first_vectors(channels) + second_vectors(channels)) * 16;
}

// ---- packing ------------------------------------------------------------------------------------

static size_t gemm_packed_bytes(size_t k, size_t n) {
    if (k > LANES_MAX_K) return xnor_kernels_c.gemm_packed_bytes(k, n);
    return xnor_words(n) * full_block_bytes(k);
}

static void gemm_limits(size_t k, size_t n, const int32_t *limit, void *packed) {
    if (k > LANES_MAX_K) {
        xnor_kernels_c.gemm_limits(k, n, limit, packed);
        return;
    }
    for (size_t c = 0; c < n; c++) {
        const size_t block = c / 64 * 64;
        uint8_t *at = (uint8_t *)packed + c / 64 * full_block_bytes(k);
        uint16_t *limits = (uint16_t *)(void *)(at + limits_at(k, block_channels(n, block)));
        const size_t most = limit[c] < 0 ? 0 : (size_t)limit[c] + 1;
        limits[c % 64] = (uint16_t)(most <= k ? most : k + 1);
    }
}

static void gemm_pack(size_t k, size_t n, const uint64_t *w, const int32_t *limit, void *packed) {
    if (k > LANES_MAX_K) {
        xnor_kernels_c.gemm_pack(k, n, w, limit, packed);
        return;
    }
    const size_t words = xnor_words(k), steps = steps_of(k);
    memset(packed, 0, gemm_packed_bytes(k, n));
    for (size_t c = 0; c < n; c++) {
        const size_t channels = block_channels(n, c / 64 * 64);
        const size_t first = 8 * first_vectors(channels);
        const bool second = c % 64 >= first;
        uint16_t *group = (uint16_t *)(void *)((uint8_t *)packed + c / 64 * full_block_bytes(k));
        if (second) group += steps * first;
        const size_t width = second ? 8 * second_vectors(channels) : first;
        for (size_t i = 0; i < steps; i++) {
            group[i * width + c % 64 - (second ? first : 0)] =
                (uint16_t)(w[c * words + i / 4] >> (i % 4 * 16));
        }
    }
    if (limit) gemm_limits(k, n, limit, packed);
}

// Four rows as count_rows says.
static void expand_rows(const uint64_t *a, size_t a_stride, size_t steps, uint16_t *codes) {
    for (size_t r = 0; r < 4; r++, a += a_stride) {
        uint16_t *to = codes + 16 * r;
        size_t i = 0;
        for (; i + 4 <= steps; i += 4, to += 128) {
            const uint16x4_t lanes = vcreate_u16(a[i / 4]);
            vst1q_u16(to, vdupq_lane_u16(lanes, 0));
            vst1q_u16(to + 8, vdupq_lane_u16(lanes, 1));
            vst1q_u16(to + 64, vdupq_lane_u16(lanes, 2));
            vst1q_u16(to + 72, vdupq_lane_u16(lanes, 3));
        }
        if (i == steps) continue;
        uint64_t word = a[i / 4];
        for (; i + 2 <= steps; i += 2, to += 64, word >>= 32) {
            vst1q_u16(to, vdupq_n_u16((uint16_t)word));
            vst1q_u16(to + 8, vdupq_n_u16((uint16_t)(word >> 16)));
        }
        if (i < steps) vst1q_u16(codes + 32 * i + 8 * r, vdupq_n_u16((uint16_t)word));
    }
}

// ---- what happens to the counts -----------------------------------------------------------------

typedef enum bits_op { OP_ACC, OP_THR, OP_MAX, OP_TERNARY, OP_MAX_TERNARY } bits_op;

ALWAYS_INLINE bool is_ternary(bits_op op) {
    return op == OP_TERNARY || op == OP_MAX_TERNARY;
}

// One task: all rows of a chunk times one group of channels.
typedef struct bits_task {
    const xnor_gemm_args *args;
    size_t steps;
    size_t row; // the first
    size_t rows;
    size_t channel;        // first of the group
    size_t channels;       // of the group that exist
    const uint8_t *group;  // weights
    const uint16_t *limit; // of the group
    const uint16_t *codes; // expanded rows, of whole tiles; NULL: none
    const int32_t *totals; // ternary: popcount of the mask, per row
    int32_t *acc;  // OP_ACC, OP_TERNARY: at the first row and channel; of a maximum: at the channel
    uint8_t *bits; // OP_THR: at the first row and the group's byte
    size_t out_stride; // in elements of acc, in bytes of bits
} bits_task;

// Bit i of the result is set where lane i of the 32 is all ones.
ALWAYS_INLINE uint32_t gather_bits(const uint16x8_t m[4]) {
    const uint8x16_t weight = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201u));
    const uint8x16_t low = vuzp1q_u8(vreinterpretq_u8_u16(m[0]), vreinterpretq_u8_u16(m[1]));
    const uint8x16_t high = vuzp1q_u8(vreinterpretq_u8_u16(m[2]), vreinterpretq_u8_u16(m[3]));
    uint8x16_t bits = vpaddq_u8(vandq_u8(low, weight), vandq_u8(high, weight));
    bits = vpaddq_u8(bits, bits);
    bits = vpaddq_u8(bits, bits);
    return vgetq_lane_u32(vreinterpretq_u32_u8(bits), 0);
}

ALWAYS_INLINE void finish_thr(size_t vectors, const uint16x8_t count[4], const uint16x8_t limit[4],
                              uint8_t *bits) {
    uint16x8_t mask[4];
    UNROLL for (size_t v = 0; v < 4; v++) {
        mask[v] = v < vectors ? vcltq_u16(count[v], limit[v]) : vdupq_n_u16(0);
    }
    const uint32_t word = gather_bits(mask);
    memcpy(bits, &word, vectors > 2 ? 4 : 2);
}

// total - 2 · count
ALWAYS_INLINE int16x8_t acc_of(int16_t total, uint16x8_t count) {
    return vsubq_s16(vdupq_n_s16(total), vreinterpretq_s16_u16(vshlq_n_u16(count, 1)));
}

ALWAYS_INLINE void finish_acc(size_t vectors, size_t channels, int16_t total,
                              const uint16x8_t count[4], int32_t *acc) {
    int32_t part[32];
    int32_t *to = channels < 8 * vectors ? part : acc;
    UNROLL for (size_t v = 0; v < vectors; v++) {
        const int16x8_t value = acc_of(total, count[v]);
        vst1q_s32(to + 8 * v, vmovl_s16(vget_low_s16(value)));
        vst1q_s32(to + 8 * v + 4, vmovl_high_s16(value));
    }
    if (channels < 8 * vectors) memcpy(acc, part, channels * sizeof *acc);
}

typedef struct bits_epilogue {
    uint16x8_t limit[4];
    int16x8_t most[4];
} bits_epilogue;

ALWAYS_INLINE void run_tile(bits_op op, bool expanded, size_t rows, size_t vectors,
                            const bits_task *t, size_t row, bits_epilogue *e) {
    const size_t at = (t->row + row) * t->args->a_stride;
    count_rows from = {.a = (const uint8_t *)(t->args->a + at), .expanded = expanded};
    from.stride = t->args->a_stride * sizeof(uint64_t);
    if (is_ternary(op)) from.mask = t->args->mask + at;
    if (expanded) from.a = (const uint8_t *)(t->codes + row * t->steps * 8);
    uint16x8_t count[MAX_TILE_ROWS][4];
    count_tile(is_ternary(op), rows, vectors, t->steps, &from, t->group, count);
    // Copies, as for all the compiler knows the stores below might change the originals.
    const size_t stride = t->out_stride;
    const bits_epilogue before = *e;
    size_t at_out = row * stride;
    UNROLL for (size_t r = 0; r < rows; r++, at_out += stride) {
        const int32_t total = is_ternary(op) ? t->totals[row + r] : (int32_t)t->args->k;
        if (op == OP_THR) {
            finish_thr(vectors, count[r], before.limit, t->bits + at_out);
        } else if (op == OP_MAX || op == OP_MAX_TERNARY) {
            UNROLL for (size_t v = 0; v < vectors; v++) {
                e->most[v] = vmaxq_s16(e->most[v], acc_of((int16_t)total, count[r][v]));
            }
        } else {
            finish_acc(vectors, t->channels, (int16_t)total, count[r], t->acc + at_out);
        }
    }
}

ALWAYS_INLINE void run_rows(bits_op op, size_t rows, size_t vectors, const bits_task *t) {
    bits_epilogue e;
    UNROLL for (size_t v = 0; v < 4; v++) {
        e.limit[v] = v < vectors ? vld1q_u16(t->limit + 8 * v) : vdupq_n_u16(0);
        e.most[v] = vdupq_n_s16(INT16_MIN);
    }
    size_t row = 0;
    if (t->codes && vectors == 4 && !is_ternary(op)) {
        for (; row + 4 <= t->rows; row += 4) run_tile(op, true, 4, 4, t, row, &e);
    }
    for (; row + rows <= t->rows; row += rows) run_tile(op, false, rows, vectors, t, row, &e);
    // The last tile may overlap the one before: a tile costs as much as half its rows without a loop of
    // their own.
    if (2 * (t->rows - row) > rows && t->rows >= rows && !is_ternary(op)) {
        run_tile(op, false, rows, vectors, t, t->rows - rows, &e);
        row = t->rows;
    }
    for (; row + 2 <= t->rows; row += 2) run_tile(op, false, 2, vectors, t, row, &e);
    if (row < t->rows) run_tile(op, false, 1, vectors, t, row, &e);
    if (op != OP_MAX && op != OP_MAX_TERNARY) return;
    int16_t most[32];
    UNROLL for (size_t v = 0; v < vectors; v++) vst1q_s16(most + 8 * v, e.most[v]);
    for (size_t c = 0; c < t->channels; c++) {
        if (most[c] > t->acc[c]) t->acc[c] = most[c];
    }
}

#define DEFINE_TILE(op, name, rows, vectors)                                                       \
    static __attribute__((noinline)) void name##_##rows##x##vectors##__neon(const bits_task *t) {  \
        run_rows(op, rows, vectors, t);                                                            \
    }
// Rows of the tiles of 4, 3 and 2 vectors.
#define DEFINE_OP(op, name, rows4, rows3, rows2)                                                   \
    DEFINE_TILE(op, name, rows4, 4)                                                                \
    DEFINE_TILE(op, name, rows3, 3)                                                                \
    DEFINE_TILE(op, name, rows2, 2)                                                                \
    static void name##_task(const bits_task *t, size_t vectors) {                                  \
        if (vectors == 4) name##_##rows4##x4__neon(t);                                             \
        if (vectors == 3) name##_##rows3##x3__neon(t);                                             \
        if (vectors == 2) name##_##rows2##x2__neon(t);                                             \
    }
DEFINE_OP(OP_ACC, xnor_gemm_acc, 4, 4, 8)
DEFINE_OP(OP_THR, xnor_gemm_thr, 4, 4, 8)
DEFINE_OP(OP_MAX, xnor_gemm_max, 4, 4, 8)
DEFINE_OP(OP_TERNARY, xnor_gemm_acc_ternary, 3, 4, 4)
DEFINE_OP(OP_MAX_TERNARY, xnor_gemm_max_ternary, 3, 4, 4)

ALWAYS_INLINE void run_group(bits_op op, bits_task *t, size_t vectors, int32_t *acc,
                             uint64_t *bits) {
    if (op == OP_THR)
        t->bits = (uint8_t *)bits + t->row * t->out_stride + t->channel / 8;
    else
        t->acc = acc + t->row * t->out_stride + t->channel; // of a maximum one row: stride 0
    if (op == OP_ACC) xnor_gemm_acc_task(t, vectors);
    if (op == OP_THR) xnor_gemm_thr_task(t, vectors);
    if (op == OP_MAX) xnor_gemm_max_task(t, vectors);
    if (op == OP_TERNARY) xnor_gemm_acc_ternary_task(t, vectors);
    if (op == OP_MAX_TERNARY) xnor_gemm_max_ternary_task(t, vectors);
}

ALWAYS_INLINE void run_block(bits_op op, bits_task *t, size_t block, int32_t *acc, uint64_t *bits) {
    const size_t k = t->args->k, channels = block_channels(t->args->n, block);
    const size_t first = first_vectors(channels), second = second_vectors(channels);
    const uint8_t *at = (const uint8_t *)t->args->packed + block / 64 * full_block_bytes(k);
    if (op == OP_THR && channels < 64) { // groups write no more than their own bits
        const size_t stride = t->out_stride / sizeof *bits;
        for (size_t r = 0; r < t->rows; r++) bits[(t->row + r) * stride + block / 64] = 0;
    }
    t->group = at;
    t->limit = (const uint16_t *)(const void *)(at + limits_at(k, channels));
    t->channel = block;
    t->channels = channels < 8 * first ? channels : 8 * first;
    run_group(op, t, first, acc, bits);
    if (second == 0) return;
    t->group += t->steps * first * 16;
    t->limit += 8 * first;
    t->channel += 8 * first;
    t->channels = channels - 8 * first;
    run_group(op, t, second, acc, bits);
}

ALWAYS_INLINE void run_gemm(bits_op op, const xnor_gemm_args *args, int32_t *acc, uint64_t *bits,
                            size_t out_stride) {
    bits_task t = {.args = args, .steps = steps_of(args->k)};
    t.out_stride = op == OP_THR ? out_stride * sizeof *bits : out_stride;
    const size_t row_bytes = t.steps * 16;
    _Alignas(64) uint16_t codes[CODE_BYTES / sizeof(uint16_t)];
    int32_t totals[MAX_CHUNK_ROWS];
    const bool expand = !is_ternary(op) && t.steps >= 2 && 4 * row_bytes <= CODE_BYTES &&
                        args->n_end - args->n_begin >= EXPAND_MIN_CHANNELS;
    size_t chunk = expand ? CODE_BYTES / row_bytes / 4 * 4 : MAX_CHUNK_ROWS;
    if (chunk > MAX_CHUNK_ROWS) chunk = MAX_CHUNK_ROWS;
    t.totals = totals;
    t.codes = expand ? codes : NULL;
    for (; t.row < args->rows; t.row += t.rows) {
        t.rows = args->rows - t.row < chunk ? args->rows - t.row : chunk;
        const size_t at = t.row * args->a_stride;
        for (size_t r = 0; expand && r + 4 <= t.rows; r += 4) {
            expand_rows(args->a + at + r * args->a_stride, args->a_stride, t.steps,
                        codes + r * t.steps * 8);
        }
        for (size_t r = 0; is_ternary(op) && r < t.rows; r++) {
            totals[r] = 0;
            for (size_t j = 0; j < xnor_words(args->k); j++) {
                totals[r] += __builtin_popcountll(args->mask[at + r * args->a_stride + j]);
            }
        }
        for (size_t c = args->n_begin; c < args->n_end; c += 64) run_block(op, &t, c, acc, bits);
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
