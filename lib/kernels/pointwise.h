// Programs of operations on single values, for every vector set: a file includes this after rows.h and
// after it has defined
//     vf_gate(v)    lane by lane: v > 0 ? 1 : 0
//     vf_round(v)   to the nearest integer, halves to the even one
//     vf_ne0(v)     bit by lane: v is not 0
//     vf_join(bits) the word of the bits of 64 / F32_LANES vectors
// 64 values stay in registers through the whole program, so that what is not asked for is never stored.
//
// Limited by loads and stores: one a vector for every map and every parameter of the program.
#ifndef XNOR_KERNELS_POINTWISE_H
#define XNOR_KERNELS_POINTWISE_H

#include "kernels/inline.h"

#include <string.h>

enum {
    POINTWISE_VECTORS = 64 / F32_LANES,
    // Blocks of 64 values at a time: two where there are registers enough halve the cost of choosing operations.
    POINTWISE_BLOCKS = F32_LANES == 16 ? 2 : 1,
    POINTWISE_MOST = POINTWISE_BLOCKS * POINTWISE_VECTORS,
    POINTWISE_STREAM = XNOR_POINTWISE_MAX / 64 + 2 // words
};

typedef uint64_t pointwise_streams[XNOR_POINTWISE_PLANES][POINTWISE_STREAM];

// Fewer than 64 are copied first, so that nothing behind them is read.
ALWAYS_INLINE void pointwise_floats(const float *p, size_t count, vf *v) {
    float part[64];
    if (count < 64) {
        memset(part, 0, sizeof part);
        memcpy(part, p, count * sizeof *p);
        p = part;
    }
    UNROLL for (size_t k = 0; k < POINTWISE_VECTORS; k++) v[k] = vf_load(p + k * F32_LANES);
}

ALWAYS_INLINE void pointwise_integers(const int32_t *p, size_t count, vf *v) {
    int32_t part[64];
    if (count < 64) {
        memset(part, 0, sizeof part);
        memcpy(part, p, count * sizeof *p);
        p = part;
    }
    UNROLL for (size_t k = 0; k < POINTWISE_VECTORS; k++) v[k] = vf_load_i32(p + k * F32_LANES);
}

ALWAYS_INLINE void pointwise_store(float *p, size_t count, const vf *v) {
    float part[64];
    float *to = count < 64 ? part : p;
    UNROLL for (size_t k = 0; k < POINTWISE_VECTORS; k++) vf_store(to + k * F32_LANES, v[k]);
    if (count < 64) memcpy(p, part, count * sizeof *p);
}

// One address, where gcc would hold one for each vector in registers that it does not have.
#define POINTWISE_ADDRESS(p) __asm__("" : "+r"(p))

// word: 64 bits, `bits` are those of vector k.
#define POINTWISE_PUT(word, bits)                                                                  \
    do {                                                                                           \
        uint64_t lanes[POINTWISE_VECTORS];                                                         \
        UNROLL for (size_t k = 0; k < POINTWISE_VECTORS; k++) lanes[k] = (bits);                   \
        *(word) = vf_join(lanes);                                                                  \
    } while (0)

// Bit: limit <= v.
ALWAYS_INLINE void pointwise_at_least(const vf *v, const float *limits, uint64_t *word) {
    POINTWISE_ADDRESS(limits);
    POINTWISE_PUT(word, vf_ge0(vf_sub(v[k], vf_load(limits + k * F32_LANES))));
}

// Bit: limit <= v, or v < low.
ALWAYS_INLINE void pointwise_outside(const vf *v, const float *limits, const float *low,
                                     uint64_t *word) {
    POINTWISE_ADDRESS(limits);
    POINTWISE_ADDRESS(low);
    POINTWISE_PUT(word, vf_ge0(vf_sub(v[k], vf_load(limits + k * F32_LANES))) |
                            vf_lt(v[k], vf_load(low + k * F32_LANES)));
}

ALWAYS_INLINE void pointwise_above(const vf *v, uint64_t *word) {
    POINTWISE_PUT(word, vf_lt(vf_zero(), v[k]));
}

ALWAYS_INLINE void pointwise_not_below(const vf *v, uint64_t *word) {
    POINTWISE_PUT(word, vf_ge0(v[k]));
}

// Not 0; NaN is not.
ALWAYS_INLINE void pointwise_not_zero(const vf *v, uint64_t *word) {
    POINTWISE_PUT(word, vf_ne0(v[k]));
}

#define POINTWISE_EACH(expression)                                                                 \
    do {                                                                                           \
        UNROLL for (size_t k = 0; k < blocks * POINTWISE_VECTORS; k++) v[k] = (expression);        \
    } while (0)

#define POINTWISE_KEPT(statement)                                                                  \
    do {                                                                                           \
        UNROLL for (size_t k = 0; k < blocks * POINTWISE_VECTORS; k++) statement;                  \
    } while (0)

#define POINTWISE_LOAD(load, p, out)                                                               \
    do {                                                                                           \
        UNROLL for (size_t i = 0; i < blocks; i++)                                                 \
            load((p) + i * 64, count, (out) + i * POINTWISE_VECTORS);                              \
    } while (0)
// put: a call that takes `part`, the values of a block, and `word`, where their bits belong.
#define POINTWISE_WORDS(plane, put)                                                                \
    do {                                                                                           \
        UNROLL for (size_t i = 0; i < blocks; i++) {                                               \
            const vf *part = v + i * POINTWISE_VECTORS;                                            \
            uint64_t *word = &streams[plane][at / 64 + i];                                         \
            put;                                                                                   \
        }                                                                                          \
    } while (0)

// `blocks` blocks of `count` values from `at` on in the tile, which are values element .. of every map and have
// parameters from `channel` on. Only a single block has less than 64 values.
ALWAYS_INLINE void pointwise_blocks(const xnor_pointwise *program, size_t blocks, size_t at,
                                    size_t element, size_t channel, size_t count,
                                    const int32_t *const *acc, const float *x,
                                    pointwise_streams streams, float *kept) {
    vf v[POINTWISE_MOST], o[POINTWISE_MOST];
    size_t plane = 0;
    POINTWISE_ADDRESS(kept);
    if (x)
        POINTWISE_LOAD(pointwise_floats, x + at, v);
    else
        POINTWISE_LOAD(pointwise_integers, acc[0] + at, v);
    for (size_t step = 0; step < program->op_count; step++) {
        const xnor_pointwise_op *op = &program->ops[step];
        const float *a = op->a, *b = op->b;
        switch (op->code) {
        case XNOR_POINTWISE_ADD_SUM:
            POINTWISE_LOAD(pointwise_integers, (const int32_t *)op->a + element, o);
            POINTWISE_EACH(vf_add(v[k], o[k]));
            break;
        case XNOR_POINTWISE_AFFINE:
            POINTWISE_EACH(vf_fma(v[k], vf_load(a + channel + k * F32_LANES),
                                  vf_load(b + channel + k * F32_LANES)));
            break;
        case XNOR_POINTWISE_ADD:
            POINTWISE_LOAD(pointwise_floats, a + element, o);
            POINTWISE_EACH(vf_add(v[k], o[k]));
            break;
        case XNOR_POINTWISE_MUL:
            POINTWISE_LOAD(pointwise_floats, a + element, o);
            POINTWISE_EACH(vf_mul(v[k], o[k]));
            break;
        case XNOR_POINTWISE_CLIP:
            POINTWISE_EACH(vf_min(vf_set1(op->high), vf_pick(vf_set1(op->low), v[k])));
            break;
        case XNOR_POINTWISE_GATE:
            POINTWISE_EACH(vf_gate(v[k]));
            break;
        case XNOR_POINTWISE_ROUND:
            POINTWISE_EACH(vf_round(v[k]));
            break;
        case XNOR_POINTWISE_LAYER: {
            const int32_t *sums = acc[op->layer] + at;
            POINTWISE_ADDRESS(sums);
            POINTWISE_KEPT(vf_store(kept + k * F32_LANES, v[k]));
            POINTWISE_LOAD(pointwise_integers, sums, v);
            break;
        }
        case XNOR_POINTWISE_ADD_KEPT:
            POINTWISE_EACH(vf_add(v[k], vf_load(kept + k * F32_LANES)));
            break;
        case XNOR_POINTWISE_STORE:
            POINTWISE_LOAD(pointwise_store, (float *)op->y + element, v);
            break;
        case XNOR_POINTWISE_STORE_TILE: {
            float *tile = (float *)op->y + at;
            POINTWISE_ADDRESS(tile);
            POINTWISE_LOAD(pointwise_store, tile, v);
            break;
        }
        case XNOR_POINTWISE_SIGNS:
            POINTWISE_WORDS(plane, pointwise_not_below(part, word));
            plane += 1;
            break;
        case XNOR_POINTWISE_TERNARY:
            POINTWISE_WORDS(plane, pointwise_above(part, word));
            POINTWISE_WORDS(plane + 1, pointwise_not_zero(part, word));
            plane += 2;
            break;
        case XNOR_POINTWISE_AT_LEAST:
            POINTWISE_WORDS(plane, pointwise_at_least(part, a + channel + i * 64, word));
            plane += 1;
            break;
        case XNOR_POINTWISE_AT_LEAST_TERNARY:
            POINTWISE_WORDS(plane, pointwise_at_least(part, a + channel + i * 64, word));
            POINTWISE_WORDS(plane + 1, pointwise_outside(part, a + channel + i * 64,
                                                         b + channel + i * 64, word));
            plane += 2;
            break;
        }
    }
}

// A stream has the bits of all rows without gaps; rows begin at words.
static void pointwise_rows_of_bits(const uint64_t *stream, size_t rows, size_t n, uint64_t *bits) {
    const size_t words = (n + 63) / 64;
    if (n % 64 == 0) {
        memcpy(bits, stream, rows * words * sizeof *bits);
        return;
    }
    if (n + 7 <= 64) { // a row lies in the eight bytes from its first byte on
        const uint64_t used = (UINT64_C(1) << n) - 1;
        for (size_t r = 0, from = 0; r < rows; r++, from += n) {
            uint64_t word;
            memcpy(&word, (const char *)stream + from / 8, sizeof word);
            bits[r] = word >> from % 8 & used;
        }
        return;
    }
    for (size_t r = 0; r < rows; r++)
        for (size_t w = 0; w < words; w++) {
            const size_t from = r * n + w * 64, left = n - w * 64;
            const uint64_t used = left < 64 ? (UINT64_C(1) << left) - 1 : UINT64_MAX;
            const uint64_t *at = stream + from / 64;
            const uint64_t word = at[0] >> from % 64 | at[1] << 1 << (63 - from % 64);
            bits[r * words + w] = word & used;
        }
}

static void pointwise(const xnor_pointwise *program, size_t first, size_t rows,
                      const int32_t *const *acc, const float *x) {
    pointwise_streams streams;
    float kept[POINTWISE_MOST * F32_LANES] = {0}; // not in registers: few programs need it
    const size_t n = program->n, total = rows * n, words = (n + 63) / 64;
    for (size_t p = 0; p < XNOR_POINTWISE_PLANES; p++)
        streams[p][total / 64 + (total % 64 != 0)] = 0;
    size_t at = 0, channel = 0;
    while (at < total) {
        const bool several = POINTWISE_BLOCKS > 1 && at + POINTWISE_BLOCKS * 64 <= total &&
                             channel + POINTWISE_BLOCKS * 64 <= program->period;
        const size_t blocks = several ? POINTWISE_BLOCKS : 1, element = first * n + at;
        if (several)
            pointwise_blocks(program, POINTWISE_BLOCKS, at, element, channel, 64, acc, x, streams,
                             kept);
        else if (at + 64 <= total)
            pointwise_blocks(program, 1, at, element, channel, 64, acc, x, streams, kept);
        else
            pointwise_blocks(program, 1, at, element, channel, total - at, acc, x, streams, kept);
        at += blocks * 64;
        channel += blocks * 64;
        if (channel == program->period) channel = 0;
    }
    size_t plane = 0;
    for (size_t i = 0; i < program->op_count; i++) {
        const xnor_pointwise_op *op = &program->ops[i];
        if (op->code < XNOR_POINTWISE_SIGNS_FIRST) continue;
        pointwise_rows_of_bits(streams[plane++], rows, n, (uint64_t *)op->y + first * words);
        if (op->code == XNOR_POINTWISE_TERNARY || op->code == XNOR_POINTWISE_AT_LEAST_TERNARY)
            pointwise_rows_of_bits(streams[plane++], rows, n, (uint64_t *)op->z + first * words);
    }
}

#endif
