// Float gemm for every vector instruction set: included once by a kernel set's file, which defines
// before
//     vf                 a vector of F32_LANES floats
//     vf_zero() vf_set1(x) vf_load(p) vf_store(p, v)
//     vf_load_part(p, count) vf_store_part(p, v, count)    count < F32_LANES; missing lanes are 0
//     vf_fma(a, b, c)    a · b + c, rounded once
//     vf_ge0(v)          bit i = lane i >= 0
//     F32_VECTORS        vectors of n in a tile, F32_VECTORS · F32_LANES divides 64
//     F32_WIDE_VECTORS   the same for a single row
//
// Lanes are output columns, so every output is one chain of fma over k and equal on all sets.
// Tile: 6 rows x F32_VECTORS: as many accumulators as hide the latency of fma and leave registers
// for the row of b. Per k step and tile: F32_VECTORS loads, 6 broadcasts, 6 · F32_VECTORS fma.
// Limited by the fma pipes; one row alone by reading b, therefore wide.
#ifndef XNOR_KERNELS_F32_GEMM_H
#define XNOR_KERNELS_F32_GEMM_H

#include "kernels/inline.h"

#include "core/size.h"

#include <stdbool.h>
#include <string.h>

typedef struct f32_task {
    size_t rows;
    size_t k;
    size_t columns; // of the tile
    const float *a;
    size_t a_stride;
    const float *b; // at the tile's first column
    size_t b_stride;
    const float *bias; // at the tile's first column, or NULL
    float *out;        // at the tile's first column
    size_t out_stride;
    bool adds;     // to what out holds
    uint8_t *bits; // at the byte of the tile's first column
    size_t bits_stride_bytes;
} f32_task;

#define F32_MAX_ROWS 8

ALWAYS_INLINE vf f32_load(const float *p, size_t lanes) {
    return lanes >= F32_LANES ? vf_load(p) : vf_load_part(p, lanes);
}

// full: the last vector has all its lanes. signs: bits are stored instead of floats.
ALWAYS_INLINE void f32_tile(const f32_task *t, size_t row, size_t rows, size_t vectors, bool full,
                            bool signs) {
    const float *a = t->a + row * t->a_stride;
    const float *b = t->b;
    const size_t last = full ? F32_LANES : t->columns - (vectors - 1) * F32_LANES;
    vf sum[F32_MAX_ROWS][F32_WIDE_VECTORS];
    UNROLL for (size_t v = 0; v < vectors; v++) {
        const size_t lanes = v + 1 < vectors ? F32_LANES : last;
        const vf start = t->bias ? f32_load(t->bias + v * F32_LANES, lanes) : vf_zero();
        UNROLL for (size_t r = 0; r < rows; r++) sum[r][v] = start;
    }
    if (t->adds) {
        UNROLL for (size_t r = 0; r < rows; r++) {
            const float *out = t->out + (row + r) * t->out_stride;
            UNROLL for (size_t v = 0; v < vectors; v++) {
                sum[r][v] = f32_load(out + v * F32_LANES, v + 1 < vectors ? F32_LANES : last);
            }
        }
    }
    for (size_t i = 0; i < t->k; i++) {
        vf column[F32_WIDE_VECTORS];
        UNROLL for (size_t v = 0; v < vectors; v++) {
            column[v] = f32_load(b + v * F32_LANES, v + 1 < vectors ? F32_LANES : last);
        }
        UNROLL for (size_t r = 0; r < rows; r++) {
            const vf value = vf_set1(a[r * t->a_stride + i]);
            UNROLL for (size_t v = 0; v < vectors; v++) {
                sum[r][v] = vf_fma(value, column[v], sum[r][v]);
            }
        }
        b += t->b_stride;
    }
    UNROLL for (size_t r = 0; r < rows; r++) {
        if (!signs) {
            float *out = t->out + (row + r) * t->out_stride;
            UNROLL for (size_t v = 0; v < vectors; v++) {
                if (v + 1 < vectors || last == F32_LANES)
                    vf_store(out + v * F32_LANES, sum[r][v]);
                else
                    vf_store_part(out + v * F32_LANES, sum[r][v], last);
            }
        } else {
            uint64_t word = 0;
            UNROLL for (size_t v = 0; v < vectors; v++) {
                uint64_t part = vf_ge0(sum[r][v]);
                if (v + 1 == vectors) part &= ((uint64_t)1 << last) - 1;
                word |= part << (v * F32_LANES);
            }
            memcpy(t->bits + (row + r) * t->bits_stride_bytes, &word, F32_VECTORS * F32_LANES / 8);
        }
    }
}

ALWAYS_INLINE void f32_rows(const f32_task *t, size_t vectors, bool full, bool signs) {
    const size_t tile_rows = vectors <= 2 && vectors < F32_VECTORS ? 8 : 6;
    size_t row = 0;
    for (; row + tile_rows <= t->rows; row += tile_rows) {
        f32_tile(t, row, tile_rows, vectors, full, signs);
    }
    for (; row + 2 <= t->rows; row += 2) f32_tile(t, row, 2, vectors, full, signs);
    if (row < t->rows) f32_tile(t, row, 1, vectors, full, signs);
}

ALWAYS_INLINE void f32_columns(const f32_task *t, bool signs) {
    const size_t vectors = (t->columns + F32_LANES - 1) / F32_LANES;
    if (t->columns == F32_WIDE_VECTORS * F32_LANES)
        f32_tile(t, 0, 1, F32_WIDE_VECTORS, true, signs);
    else if (t->columns == F32_VECTORS * F32_LANES)
        f32_rows(t, F32_VECTORS, true, signs);
    else if (vectors == 1)
        f32_rows(t, 1, false, signs);
    else if (vectors == 2)
        f32_rows(t, 2, false, signs);
#if F32_VECTORS == 4
    else if (vectors == 3)
        f32_rows(t, 3, false, signs);
    else
        f32_rows(t, 4, false, signs);
#endif
}

ALWAYS_INLINE void f32_product(f32_task t, size_t n, const float *bias) {
    const float *b = t.b;
    float *out = t.out;
    for (size_t c = 0; c < n; c += t.columns) {
        const size_t wide = F32_WIDE_VECTORS * F32_LANES;
        const size_t most = t.rows == 1 && n - c >= wide ? wide : F32_VECTORS * F32_LANES;
        t.columns = n - c < most ? n - c : most;
        t.b = b + c;
        t.bias = bias ? bias + c : NULL;
        t.out = out + c;
        f32_columns(&t, false);
    }
}

static f32_task f32_task_of(size_t rows, size_t k, const float *a, size_t a_stride, const float *b,
                            size_t b_stride, float *out, size_t out_stride) {
    return (f32_task){.rows = rows,
                      .k = k,
                      .a = a,
                      .a_stride = a_stride,
                      .b = b,
                      .b_stride = b_stride,
                      .out = out,
                      .out_stride = out_stride};
}

static void gemm_f32(size_t rows, size_t k, size_t n, const float *a, size_t a_stride,
                     const float *b, size_t b_stride, const float *bias, float *out,
                     size_t out_stride) {
    f32_product(f32_task_of(rows, k, a, a_stride, b, b_stride, out, out_stride), n, bias);
}

static void gemm_f32_add(size_t rows, size_t k, size_t n, const float *a, size_t a_stride,
                         const float *b, size_t b_stride, float *out, size_t out_stride) {
    f32_task t = f32_task_of(rows, k, a, a_stride, b, b_stride, out, out_stride);
    t.adds = true;
    f32_product(t, n, NULL);
}

// Signs of points in space: the whole tile of b stays in registers, 3 · F32_VECTORS fma and as many
// compares for each row, which is limited by the fma pipes. Full tiles only.
static void f32_point_signs(const f32_task *t) {
    vf b[3][F32_VECTORS];
    vf bias[F32_VECTORS];
    UNROLL for (size_t v = 0; v < F32_VECTORS; v++) {
        UNROLL for (size_t i = 0; i < 3; i++) {
            b[i][v] = vf_load(t->b + i * t->b_stride + v * F32_LANES);
        }
        bias[v] = t->bias ? vf_load(t->bias + v * F32_LANES) : vf_zero();
    }
    for (size_t row = 0; row < t->rows; row++) {
        const float *a = t->a + row * t->a_stride;
        const vf x = vf_set1(a[0]);
        const vf y = vf_set1(a[1]);
        const vf z = vf_set1(a[2]);
        uint64_t word = 0;
        UNROLL for (size_t v = 0; v < F32_VECTORS; v++) {
            const vf sum = vf_fma(z, b[2][v], vf_fma(y, b[1][v], vf_fma(x, b[0][v], bias[v])));
            word |= vf_ge0(sum) << (v * F32_LANES);
        }
        memcpy(t->bits + row * t->bits_stride_bytes, &word, F32_VECTORS * F32_LANES / 8);
    }
}

static void gemm_f32_bits(size_t rows, size_t k, size_t n, const float *a, size_t a_stride,
                          const float *b, size_t b_stride, const float *bias, uint64_t *bits,
                          size_t bits_stride) {
    const size_t tile = F32_VECTORS * F32_LANES;
    if (tile < 64) { // the tiles may end before the last word does
        for (size_t r = 0; r < rows; r++) bits[r * bits_stride + xnor_words(n) - 1] = 0;
    }
    f32_task t = {.rows = rows,
                  .k = k,
                  .a = a,
                  .a_stride = a_stride,
                  .b_stride = b_stride,
                  .bits_stride_bytes = bits_stride * sizeof *bits};
    for (size_t c = 0; c < n; c += tile) {
        t.columns = n - c < tile ? n - c : tile;
        t.b = b + c;
        t.bias = bias ? bias + c : NULL;
        t.bits = (uint8_t *)bits + c / 8;
        if (k == 3 && t.columns == tile)
            f32_point_signs(&t);
        else
            f32_columns(&t, true);
    }
}

#endif
