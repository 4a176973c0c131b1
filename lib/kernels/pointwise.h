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

// Where a tile lies: `blocks` blocks of `count` values from `at` on in the tile, which are values element .. of every
// map and have parameters from `channel` on. Only a single block has less than 64 values.
typedef struct pointwise_place {
    size_t at, element, channel, count;
} pointwise_place;

// in_registers: where LAYER keeps values, or NULL: in `kept`.
ALWAYS_INLINE void pointwise_step(const xnor_pointwise_op *op, xnor_pointwise_code code,
                                  size_t blocks, pointwise_place place, const int32_t *const *acc,
                                  uint64_t (*streams)[POINTWISE_STREAM], size_t *planes,
                                  float *kept, vf *in_registers, vf *v) {
    const size_t at = place.at, element = place.element, channel = place.channel,
                 count = place.count, plane = *planes;
    const float *a = op->a, *b = op->b;
    vf o[POINTWISE_MOST];
    switch (code) {
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
        if (in_registers)
            POINTWISE_KEPT(in_registers[k] = v[k]);
        else
            POINTWISE_KEPT(vf_store(kept + k * F32_LANES, v[k]));
        POINTWISE_LOAD(pointwise_integers, sums, v);
        break;
    }
    case XNOR_POINTWISE_ADD_KEPT:
        POINTWISE_EACH(
            vf_add(v[k], in_registers ? in_registers[k] : vf_load(kept + k * F32_LANES)));
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
        *planes += 1;
        break;
    case XNOR_POINTWISE_TERNARY:
        POINTWISE_WORDS(plane, pointwise_above(part, word));
        POINTWISE_WORDS(plane + 1, pointwise_not_zero(part, word));
        *planes += 2;
        break;
    case XNOR_POINTWISE_AT_LEAST:
        POINTWISE_WORDS(plane, pointwise_at_least(part, a + channel + i * 64, word));
        *planes += 1;
        break;
    case XNOR_POINTWISE_AT_LEAST_TERNARY:
        POINTWISE_WORDS(plane, pointwise_at_least(part, a + channel + i * 64, word));
        POINTWISE_WORDS(plane + 1,
                        pointwise_outside(part, a + channel + i * 64, b + channel + i * 64, word));
        *planes += 2;
        break;
    }
}

// A program that is known when this is compiled.
typedef struct pointwise_sequence {
    size_t count;
    xnor_pointwise_code codes[XNOR_POINTWISE_OPS];
} pointwise_sequence;

// sequence: NULL where it is not known.
ALWAYS_INLINE void pointwise_blocks(const xnor_pointwise *program,
                                    const pointwise_sequence *sequence, size_t blocks,
                                    pointwise_place place, const int32_t *const *acc,
                                    const float *x, uint64_t (*streams)[POINTWISE_STREAM],
                                    float *kept) {
    vf v[POINTWISE_MOST], in_registers[POINTWISE_MOST];
    const size_t at = place.at, count = place.count;
    size_t planes = 0;
    if (!sequence) POINTWISE_ADDRESS(kept);
    if (x)
        POINTWISE_LOAD(pointwise_floats, x + at, v);
    else
        POINTWISE_LOAD(pointwise_integers, acc[0] + at, v);
    if (sequence) {
        UNROLL for (size_t i = 0; i < sequence->count; i++)
            pointwise_step(&program->ops[i], sequence->codes[i], blocks, place, acc, streams,
                           &planes, NULL, in_registers, v);
        return;
    }
    for (size_t i = 0; i < program->op_count; i++)
        pointwise_step(&program->ops[i], program->ops[i].code, blocks, place, acc, streams, &planes,
                       kept, NULL, v);
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

ALWAYS_INLINE void pointwise_values(const xnor_pointwise *program,
                                    const pointwise_sequence *sequence, size_t first, size_t rows,
                                    const int32_t *const *acc, const float *x,
                                    uint64_t (*streams)[POINTWISE_STREAM]) {
    float kept[POINTWISE_MOST * F32_LANES] = {
        0}; // of unknown programs: there are no registers for it
    const size_t total = rows * program->n;
    pointwise_place place = {0, first * program->n, 0, 64};
    while (place.at < total) {
        const size_t left = total - place.at;
        const bool several = POINTWISE_BLOCKS > 1 && POINTWISE_BLOCKS * 64 <= left &&
                             place.channel + POINTWISE_BLOCKS * 64 <= program->period;
        const size_t step = several ? POINTWISE_BLOCKS * 64 : 64;
        if (several) {
            pointwise_blocks(program, sequence, POINTWISE_BLOCKS, place, acc, x, streams, kept);
        } else if (left >= 64) {
            pointwise_blocks(program, sequence, 1, place, acc, x, streams, kept);
        } else {
            place.count = left;
            pointwise_blocks(program, NULL, 1, place, acc, x, streams, kept);
        }
        place.at += step;
        place.element += step;
        place.channel += step;
        if (place.channel == program->period) place.channel = 0;
    }
}

// What frequent tails do, in straight lines: choosing operations takes as long as some of them.
#define POINTWISE_SEQUENCES(X)                                                                     \
    X(signs, 1, SIGNS)                                                                             \
    X(store, 2, AFFINE, STORE)                                                                     \
    X(clip_tile, 3, AFFINE, CLIP, STORE_TILE)                                                      \
    X(skip_ternary, 3, AFFINE, ADD, TERNARY)                                                       \
    X(skip_ternary_store, 5, AFFINE, ADD, TERNARY, CLIP, STORE)                                    \
    X(skip_signs, 3, AFFINE, ADD, SIGNS)                                                           \
    X(skip_signs_store, 5, AFFINE, ADD, SIGNS, CLIP, STORE)                                        \
    X(two_ternary, 5, AFFINE, LAYER, AFFINE, ADD_KEPT, TERNARY)                                    \
    X(two_ternary_store, 7, AFFINE, LAYER, AFFINE, ADD_KEPT, TERNARY, CLIP, STORE)                 \
    X(three_ternary, 9, AFFINE, LAYER, AFFINE, ADD_KEPT, CLIP, LAYER, AFFINE, ADD_KEPT, TERNARY)   \
    X(integers_ternary, 10, AFFINE, ROUND, CLIP, LAYER, AFFINE, ROUND, CLIP, ADD_KEPT, AFFINE,     \
      TERNARY)

#define POINTWISE_CODE_1(a) XNOR_POINTWISE_##a
#define POINTWISE_CODE_2(a, ...) XNOR_POINTWISE_##a, POINTWISE_CODE_1(__VA_ARGS__)
#define POINTWISE_CODE_3(a, ...) XNOR_POINTWISE_##a, POINTWISE_CODE_2(__VA_ARGS__)
#define POINTWISE_CODE_4(a, ...) XNOR_POINTWISE_##a, POINTWISE_CODE_3(__VA_ARGS__)
#define POINTWISE_CODE_5(a, ...) XNOR_POINTWISE_##a, POINTWISE_CODE_4(__VA_ARGS__)
#define POINTWISE_CODE_6(a, ...) XNOR_POINTWISE_##a, POINTWISE_CODE_5(__VA_ARGS__)
#define POINTWISE_CODE_7(a, ...) XNOR_POINTWISE_##a, POINTWISE_CODE_6(__VA_ARGS__)
#define POINTWISE_CODE_8(a, ...) XNOR_POINTWISE_##a, POINTWISE_CODE_7(__VA_ARGS__)
#define POINTWISE_CODE_9(a, ...) XNOR_POINTWISE_##a, POINTWISE_CODE_8(__VA_ARGS__)
#define POINTWISE_CODE_10(a, ...) XNOR_POINTWISE_##a, POINTWISE_CODE_9(__VA_ARGS__)

typedef void pointwise_runner(const xnor_pointwise *program, size_t first, size_t rows,
                              const int32_t *const *acc, const float *x,
                              uint64_t (*streams)[POINTWISE_STREAM]);

#define POINTWISE_DEFINE(name, count, ...)                                                         \
    static const pointwise_sequence pointwise_codes_##name = {                                     \
        count, {POINTWISE_CODE_##count(__VA_ARGS__)}};                                             \
    static void pointwise_run_##name(const xnor_pointwise *program, size_t first, size_t rows,     \
                                     const int32_t *const *acc, const float *x,                    \
                                     uint64_t(*streams)[POINTWISE_STREAM]) {                       \
        pointwise_values(program, &pointwise_codes_##name, first, rows, acc, x, streams);          \
    }
POINTWISE_SEQUENCES(POINTWISE_DEFINE)

static void pointwise_any(const xnor_pointwise *program, size_t first, size_t rows,
                          const int32_t *const *acc, const float *x,
                          uint64_t (*streams)[POINTWISE_STREAM]) {
    pointwise_values(program, NULL, first, rows, acc, x, streams);
}

static bool pointwise_is(const xnor_pointwise *program, const pointwise_sequence *sequence) {
    if (program->op_count != sequence->count) return false;
    for (size_t i = 0; i < sequence->count; i++)
        if (program->ops[i].code != sequence->codes[i]) return false;
    return true;
}

static pointwise_runner *pointwise_find(const xnor_pointwise *program) {
#define POINTWISE_FIND(name, count, ...)                                                           \
    if (pointwise_is(program, &pointwise_codes_##name)) return pointwise_run_##name;
    POINTWISE_SEQUENCES(POINTWISE_FIND)
    return pointwise_any;
}

static void pointwise(const xnor_pointwise *program, size_t first, size_t rows,
                      const int32_t *const *acc, const float *x) {
    uint64_t streams[XNOR_POINTWISE_PLANES][POINTWISE_STREAM];
    const size_t n = program->n, total = rows * n, words = (n + 63) / 64;
    for (size_t p = 0; p < XNOR_POINTWISE_PLANES; p++)
        streams[p][total / 64 + (total % 64 != 0)] = 0;
    pointwise_find(program)(program, first, rows, acc, x, streams);
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
