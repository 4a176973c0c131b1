// Transforms of Winograd convolutions (Lavin and Gray, "Fast algorithms for convolutional neural networks", 2016), for
// every kernel set: included last, after f32_gemm.h; portable C has no F32_LANES and takes single floats for vectors.
//
// Lanes are tiles, so that all channel counts cost the same, and each lane is one chain of operations in a fixed order.
// Operations per vector: 120, 154 and 294 for 5, 6 and 7 points in, 99, 120 and 187 out; the additions of those that
// go out run beside the fma.
#ifndef XNOR_KERNELS_WINOGRAD_H
#define XNOR_KERNELS_WINOGRAD_H

#include "kernels/inline.h"
#include "kernels/kernels.h"

#include <string.h>

#if !defined(F32_LANES)
#include <math.h>
#define F32_LANES 1
typedef float vf;
#define vf_set1(x) (x)
#define vf_load(p) (*(p))
#define vf_store(p, v) (*(p) = (v))
#define vf_fma(a, b, c) fmaf(a, b, c)
#define vf_add(a, b) ((a) + (b))
#define vf_sub(a, b) ((a) - (b))
#endif

#define WINOGRAD_A XNOR_WINOGRAD_A
#define WINOGRAD_B XNOR_WINOGRAD_B
#define WINOGRAD_C XNOR_WINOGRAD_C

// c + factor · x
ALWAYS_INLINE vf winograd_more(vf c, float factor, vf x) {
    return vf_fma(vf_set1(factor), x, c);
}

// Rows of the polynomials Π (x - p) over all points p but one, +a or -a: odd ± a · even, where the factor x ± a is all
// that differs.
ALWAYS_INLINE void winograd_pair(vf odd, vf even, float a, vf *out) {
    out[0] = winograd_more(odd, a, even);
    out[1] = winograd_more(odd, -a, even);
}

// x^4 - (p + q) x² + pq, of the coefficients from d[0] on.
ALWAYS_INLINE vf winograd_quartic(const vf *d, float p, float q) {
    return winograd_more(winograd_more(d[4], -(p + q), d[2]), p * q, d[0]);
}

// Bᵀ: rows are the coefficients of Π (x - p) over the other points, and over all of them for the one at infinity. These
// are rows 2 · pair and 2 · pair + 1.
ALWAYS_INLINE void winograd_in_5(size_t pair, const vf *d, vf *out) {
    const float a = WINOGRAD_A(5), b = WINOGRAD_B(5);
    if (pair == 0)
        winograd_pair(winograd_more(d[3], -b * b, d[1]), winograd_more(d[2], -b * b, d[0]), a, out);
    else if (pair == 1)
        winograd_pair(winograd_more(d[3], -a * a, d[1]), winograd_more(d[2], -a * a, d[0]), b, out);
    else
        out[0] = winograd_quartic(d, a * a, b * b);
}

ALWAYS_INLINE void winograd_in_6(size_t pair, const vf *d, vf *out) {
    const float a = WINOGRAD_A(6), b = WINOGRAD_B(6);
    if (pair == 0) {
        winograd_pair(winograd_more(d[4], -b * b, d[2]), winograd_more(d[3], -b * b, d[1]), a, out);
    } else if (pair == 1) {
        winograd_pair(winograd_more(d[4], -a * a, d[2]), winograd_more(d[3], -a * a, d[1]), b, out);
    } else {
        out[0] = winograd_quartic(d, a * a, b * b);
        out[1] = winograd_quartic(d + 1, a * a, b * b);
    }
}

ALWAYS_INLINE void winograd_in_7(size_t pair, const vf *d, vf *out) {
    const float a = WINOGRAD_A(7), b = WINOGRAD_B(7), c = WINOGRAD_C(7);
    const float aa = a * a, bb = b * b, cc = c * c;
    if (pair == 0) {
        winograd_pair(winograd_quartic(d + 1, bb, cc), winograd_quartic(d, bb, cc), a, out);
    } else if (pair == 1) {
        winograd_pair(winograd_quartic(d + 1, aa, cc), winograd_quartic(d, aa, cc), b, out);
    } else if (pair == 2) {
        winograd_pair(winograd_quartic(d + 1, aa, bb), winograd_quartic(d, aa, bb), c, out);
    } else {
        out[0] = winograd_more(d[6], -(aa + bb + cc), d[4]);
        out[0] = winograd_more(out[0], aa * bb + aa * cc + bb * cc, d[2]);
        out[0] = winograd_more(out[0], -(aa * bb * cc), d[0]);
    }
}

ALWAYS_INLINE void winograd_in_pair(size_t points, size_t pair, const vf *d, vf *out) {
    if (points == 5)
        winograd_in_5(pair, d, out);
    else if (points == 6)
        winograd_in_6(pair, d, out);
    else
        winograd_in_7(pair, d, out);
}

// Aᵀ: row i has the i-th powers of the points; infinity gives to the last one alone.
ALWAYS_INLINE void winograd_out_5(const vf *m, vf bias, vf *y) {
    const float a = WINOGRAD_A(5), b = WINOGRAD_B(5);
    const vf sa = vf_add(m[0], m[1]), da = vf_sub(m[0], m[1]);
    const vf sb = vf_add(m[2], m[3]), db = vf_sub(m[2], m[3]);
    y[0] = vf_add(bias, vf_add(sa, sb));
    y[1] = winograd_more(winograd_more(bias, b, db), a, da);
    y[2] = winograd_more(winograd_more(bias, b * b, sb), a * a, sa);
    y[3] = winograd_more(winograd_more(vf_add(bias, m[4]), b * b * b, db), a * a * a, da);
}

ALWAYS_INLINE void winograd_out_6(const vf *m, vf bias, vf *y) {
    const float a = WINOGRAD_A(6), b = WINOGRAD_B(6);
    const vf sa = vf_add(m[0], m[1]), da = vf_sub(m[0], m[1]);
    const vf sb = vf_add(m[2], m[3]), db = vf_sub(m[2], m[3]);
    y[0] = vf_add(vf_add(bias, m[4]), vf_add(sa, sb));
    y[1] = winograd_more(winograd_more(bias, b, db), a, da);
    y[2] = winograd_more(winograd_more(bias, b * b, sb), a * a, sa);
    y[3] = winograd_more(winograd_more(vf_add(bias, m[5]), b * b * b, db), a * a * a, da);
}

ALWAYS_INLINE void winograd_out_7(const vf *m, vf bias, vf *y) {
    const float a = WINOGRAD_A(7), b = WINOGRAD_B(7), c = WINOGRAD_C(7);
    const vf sa = vf_add(m[0], m[1]), da = vf_sub(m[0], m[1]);
    const vf sb = vf_add(m[2], m[3]), db = vf_sub(m[2], m[3]);
    const vf sc = vf_add(m[4], m[5]), dc = vf_sub(m[4], m[5]);
    y[0] = vf_add(vf_add(bias, sc), vf_add(sa, sb));
    y[1] = winograd_more(winograd_more(winograd_more(bias, c, dc), b, db), a, da);
    y[2] = winograd_more(winograd_more(winograd_more(bias, c * c, sc), b * b, sb), a * a, sa);
    y[3] = winograd_more(vf_add(bias, m[6]), c * c * c, dc);
    y[3] = winograd_more(winograd_more(y[3], b * b * b, db), a * a * a, da);
}

ALWAYS_INLINE void winograd_out_row(size_t points, const vf *m, vf bias, vf *y) {
    if (points == 5)
        winograd_out_5(m, bias, y);
    else if (points == 6)
        winograd_out_6(m, bias, y);
    else
        winograd_out_7(m, bias, y);
}

// Two rows at a time: all of their columns stay in registers, though tiles are read more than once.
ALWAYS_INLINE void winograd_in_rows(size_t points, size_t pair, const float *x,
                                    const size_t *offset, float *v, size_t v_row, size_t v_column) {
    const size_t count = 2 * pair + 1 < points ? 2 : 1;
    vf rows[2][XNOR_WINOGRAD_POINTS];
    UNROLL for (size_t j = 0; j < points; j++) {
        vf in[XNOR_WINOGRAD_POINTS], out[2];
        UNROLL for (size_t i = 0; i < points; i++) in[i] = vf_load(x + offset[i * points + j]);
        winograd_in_pair(points, pair, in, out);
        UNROLL for (size_t i = 0; i < count; i++) rows[i][j] = out[i];
    }
    UNROLL for (size_t i = 0; i < count; i++) {
        float *to = v + (2 * pair + i) * v_row;
        UNROLL for (size_t across = 0; across < (points + 1) / 2; across++) {
            vf out[2];
            winograd_in_pair(points, across, rows[i], out);
            vf_store(to + 2 * across * v_column, out[0]);
            if (2 * across + 1 < points) vf_store(to + (2 * across + 1) * v_column, out[1]);
        }
    }
}

ALWAYS_INLINE void winograd_in_tiles(size_t points, size_t tiles, const float *x,
                                     const size_t *offset, float *v, size_t v_row,
                                     size_t v_column) {
    for (size_t t = 0; t < tiles; t += F32_LANES)
        UNROLL for (size_t pair = 0; pair < (points + 1) / 2; pair++) {
            winograd_in_rows(points, pair, x + t, offset, v + t, v_row, v_column);
        }
}

ALWAYS_INLINE void winograd_out_tiles(size_t points, size_t tiles, const float *m, size_t m_stride,
                                      float bias, float *y, size_t y_stride) {
    for (size_t t = 0; t < tiles; t += F32_LANES) {
        vf rows[XNOR_WINOGRAD_OUTPUTS][XNOR_WINOGRAD_POINTS];
        vf in[XNOR_WINOGRAD_POINTS], out[XNOR_WINOGRAD_OUTPUTS];
        UNROLL for (size_t j = 0; j < points; j++) {
            const float *from = m + j * m_stride + t;
            UNROLL for (size_t i = 0; i < points; i++) in[i] =
                vf_load(from + i * points * m_stride);
            winograd_out_row(points, in, vf_set1(0.0f), out);
            UNROLL for (size_t i = 0; i < XNOR_WINOGRAD_OUTPUTS; i++) rows[i][j] = out[i];
        }
        UNROLL for (size_t i = 0; i < XNOR_WINOGRAD_OUTPUTS; i++) {
            winograd_out_row(points, rows[i], vf_set1(bias), out);
            float *to = y + i * XNOR_WINOGRAD_OUTPUTS * y_stride + t;
            UNROLL for (size_t j = 0; j < XNOR_WINOGRAD_OUTPUTS; j++) {
                vf_store(to + j * y_stride, out[j]);
            }
        }
    }
}

static void winograd_in(size_t points, size_t tiles, const float *x, const size_t *offset, float *v,
                        size_t v_row, size_t v_column) {
    if (points == 5)
        winograd_in_tiles(5, tiles, x, offset, v, v_row, v_column);
    else if (points == 6)
        winograd_in_tiles(6, tiles, x, offset, v, v_row, v_column);
    else
        winograd_in_tiles(7, tiles, x, offset, v, v_row, v_column);
}

static void winograd_out(size_t points, size_t tiles, const float *m, size_t m_stride, float bias,
                         float *y, size_t y_stride) {
    if (points == 5)
        winograd_out_tiles(5, tiles, m, m_stride, bias, y, y_stride);
    else if (points == 6)
        winograd_out_tiles(6, tiles, m, m_stride, bias, y, y_stride);
    else
        winograd_out_tiles(7, tiles, m, m_stride, bias, y, y_stride);
}

// Outputs at a time, each with a sum for every row of points: as many as registers allow.
#if F32_LANES == 8
#define WINOGRAD_FEW 2
#else
#define WINOGRAD_FEW 4
#endif

// sum[i][o] += of channels [begin, end) for the first `rows` rows.
ALWAYS_INLINE void winograd_few_sums(size_t points, size_t rows, size_t begin, size_t end,
                                     const float *v, const float *w,
                                     vf sum[XNOR_WINOGRAD_POINTS][WINOGRAD_FEW]) {
    for (size_t k = begin; k < end; k++) {
        const float *from = v + k * points * XNOR_WINOGRAD_LANES, *by = w + k * points * 4;
        UNROLL for (size_t i = 0; i < rows; i++) {
            const vf value = vf_load(from + i * XNOR_WINOGRAD_LANES);
            UNROLL for (size_t o = 0; o < WINOGRAD_FEW; o++) {
                sum[i][o] = vf_fma(value, vf_set1(by[i * 4 + o]), sum[i][o]);
            }
        }
    }
}

// F32_LANES tiles of WINOGRAD_FEW outputs.
ALWAYS_INLINE void winograd_few_tile(size_t points, const xnor_winograd_few *args, const float *v,
                                     const float *w, const float *bias, float *y) {
    enum { M = XNOR_WINOGRAD_OUTPUTS };
    vf rows[WINOGRAD_FEW][M][XNOR_WINOGRAD_POINTS];
    for (size_t j = 0; j < points; j++) {
        const bool last = j + 1 == points;
        const size_t begin = last ? args->column_begin : 0;
        const size_t end = last ? args->column_end : args->channels;
        size_t first = args->row_begin, second = args->row_end;
        if (first < begin) first = begin;
        if (second > end) second = end;
        vf sum[XNOR_WINOGRAD_POINTS][WINOGRAD_FEW];
        UNROLL for (size_t i = 0; i < points; i++) {
            UNROLL for (size_t o = 0; o < WINOGRAD_FEW; o++) sum[i][o] = vf_set1(0.0f);
        }
        winograd_few_sums(points, points - 1, begin, first, v, w, sum);
        winograd_few_sums(points, points, first, second, v, w, sum);
        winograd_few_sums(points, points - 1, second, end, v, w, sum);
        UNROLL for (size_t o = 0; o < WINOGRAD_FEW; o++) {
            vf in[XNOR_WINOGRAD_POINTS], out[M];
            UNROLL for (size_t i = 0; i < points; i++) in[i] = sum[i][o];
            winograd_out_row(points, in, vf_set1(0.0f), out);
            UNROLL for (size_t i = 0; i < M; i++) rows[o][i][j] = out[i];
        }
        v += args->channels * points * XNOR_WINOGRAD_LANES;
        w += args->channels * points * 4;
    }
    for (size_t o = 0; o < WINOGRAD_FEW; o++)
        for (size_t i = 0; i < M; i++, y += M * XNOR_WINOGRAD_LANES) {
            vf out[M];
            winograd_out_row(points, rows[o][i], vf_set1(bias ? bias[o] : 0.0f), out);
            UNROLL for (size_t j = 0; j < M; j++) vf_store(y + j * XNOR_WINOGRAD_LANES, out[j]);
        }
}

ALWAYS_INLINE void winograd_few_tiles(size_t points, const xnor_winograd_few *args, const float *v,
                                      const float *w, const float *bias, float *y) {
    for (size_t o = 0; o < 4; o += WINOGRAD_FEW)
        for (size_t t = 0; t < XNOR_WINOGRAD_LANES; t += F32_LANES)
            winograd_few_tile(points, args, v + t, w + o, bias ? bias + o : NULL,
                              y + o * 16 * XNOR_WINOGRAD_LANES + t);
}

static void winograd_few(const xnor_winograd_few *args, const float *v, const float *w,
                         const float *bias, float *y) {
    if (args->points == 5)
        winograd_few_tiles(5, args, v, w, bias, y);
    else if (args->points == 6)
        winograd_few_tiles(6, args, v, w, bias, y);
    else
        winograd_few_tiles(7, args, v, w, bias, y);
}

// Four rows of four floats at a time: vectors of four on every machine. 8 shuffles for 16 floats, the limit.
typedef float winograd_four __attribute__((vector_size(16)));
typedef int32_t winograd_lanes __attribute__((vector_size(16)));
#if defined(__clang__)
#define WINOGRAD_SHUFFLE(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
#define WINOGRAD_SHUFFLE(a, b, i, j, k, l) __builtin_shuffle(a, b, (winograd_lanes){i, j, k, l})
#endif

ALWAYS_INLINE void winograd_turn(const float *from, size_t from_stride, float *to,
                                 size_t to_stride) {
    winograd_four row[4], half[4];
    UNROLL for (size_t i = 0; i < 4; i++) memcpy(&row[i], from + i * from_stride, sizeof row[i]);
    half[0] = WINOGRAD_SHUFFLE(row[0], row[1], 0, 4, 1, 5);
    half[1] = WINOGRAD_SHUFFLE(row[0], row[1], 2, 6, 3, 7);
    half[2] = WINOGRAD_SHUFFLE(row[2], row[3], 0, 4, 1, 5);
    half[3] = WINOGRAD_SHUFFLE(row[2], row[3], 2, 6, 3, 7);
    row[0] = WINOGRAD_SHUFFLE(half[0], half[2], 0, 1, 4, 5);
    row[1] = WINOGRAD_SHUFFLE(half[0], half[2], 2, 3, 6, 7);
    row[2] = WINOGRAD_SHUFFLE(half[1], half[3], 0, 1, 4, 5);
    row[3] = WINOGRAD_SHUFFLE(half[1], half[3], 2, 3, 6, 7);
    UNROLL for (size_t i = 0; i < 4; i++) memcpy(to + i * to_stride, &row[i], sizeof row[i]);
}

static void winograd_gather(size_t count, const float *x, size_t x_stride, float *planes,
                            size_t plane_stride) {
    size_t t = 0;
    for (; t + 4 <= count; t += 4) {
        winograd_turn(x + t * x_stride, x_stride, planes + t, plane_stride);
    }
    for (; t < count; t++)
        for (size_t c = 0; c < 4; c++) planes[c * plane_stride + t] = x[t * x_stride + c];
}

static void winograd_scatter(size_t count, const float *planes, size_t plane_stride, float *y,
                             size_t y_stride) {
    size_t t = 0;
    for (; t + 4 <= count; t += 4) {
        winograd_turn(planes + t, plane_stride, y + t * y_stride, y_stride);
    }
    for (; t < count; t++)
        for (size_t c = 0; c < 4; c++) y[t * y_stride + c] = planes[c * plane_stride + t];
}

#endif
