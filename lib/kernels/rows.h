// Integer sums with a real factor for each row (XNOR-Net), for every kernel set. A vector set's file
// includes this after points.h and after it has defined
//     vf_load_i32(p)     F32_LANES integers as floats
//     vf_pick(a, b)      a > b ? a : b, lane by lane: b where either is not a number
// portable C has no F32_LANES. Every result is a fixed sequence of rounded operations, so all sets agree
// in every bit.
//
// Limited by loads: one of sums and, for the affine form, two of parameters per vector.
#ifndef XNOR_KERNELS_ROWS_H
#define XNOR_KERNELS_ROWS_H

#include "kernels/inline.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>

// out[r][c] = fma(acc[r][c]·factor[r], scale[c], shift[c])
static void rows_affine(size_t rows, size_t n, const int32_t *acc, size_t acc_stride,
                        const float *factor, const float *scale, const float *shift, float *out,
                        size_t out_stride) {
    for (size_t r = 0; r < rows; r++) {
        const int32_t *a = acc + r * acc_stride;
        float *y = out + r * out_stride;
        size_t c = 0;
#if defined(F32_LANES)
        const vf f = vf_set1(factor[r]);
        for (; c + F32_LANES <= n; c += F32_LANES) {
            const vf x = vf_mul(vf_load_i32(a + c), f);
            vf_store(y + c, vf_fma(x, vf_load(scale + c), vf_load(shift + c)));
        }
#endif
        for (; c < n; c++) y[c] = fmaf((float)a[c] * factor[r], scale[c], shift[c]);
    }
}

// max[c] = maximum of max[c] and every acc[r][c]·factor[r]: a running maximum the caller initialises.
// Products that are not numbers are left out.
static void rows_max(size_t rows, size_t n, const int32_t *acc, size_t acc_stride,
                     const float *factor, float *max) {
    size_t c = 0;
#if defined(F32_LANES)
    // Four vectors of maxima stay in registers over all rows.
    enum { WIDE_MAX = 4 * F32_LANES };
    for (; c + WIDE_MAX <= n; c += WIDE_MAX) {
        vf most[4];
        UNROLL for (size_t v = 0; v < 4; v++) most[v] = vf_load(max + c + v * F32_LANES);
        for (size_t r = 0; r < rows; r++) {
            const int32_t *a = acc + r * acc_stride + c;
            const vf f = vf_set1(factor[r]);
            UNROLL for (size_t v = 0; v < 4; v++) {
                most[v] = vf_pick(vf_mul(vf_load_i32(a + v * F32_LANES), f), most[v]);
            }
        }
        UNROLL for (size_t v = 0; v < 4; v++) vf_store(max + c + v * F32_LANES, most[v]);
    }
#endif
    for (; c < n; c++) {
        for (size_t r = 0; r < rows; r++) {
            const float y = (float)acc[r * acc_stride + c] * factor[r];
            if (y > max[c]) max[c] = y;
        }
    }
}

// mean[r] = mean over c of |min(high, max(low, x[r][c]))|: sixteen sums of every sixteenth element, added
// up in double.
static void rows_magnitude(size_t rows, size_t n, const float *x, size_t x_stride, float low,
                           float high, float *mean) {
    enum { SUMS = 16 };
    for (size_t r = 0; r < rows; r++) {
        const float *row = x + r * x_stride;
        float sums[SUMS] = {0};
        size_t c = 0;
#if defined(F32_LANES)
        enum { VECTORS = SUMS / F32_LANES };
        const vf least = vf_set1(low), most = vf_set1(high), zero = vf_zero();
        vf sum[VECTORS];
        UNROLL for (size_t v = 0; v < VECTORS; v++) sum[v] = zero;
        for (; c + SUMS <= n; c += SUMS) {
            UNROLL for (size_t v = 0; v < VECTORS; v++) {
                const vf y = vf_min(most, vf_pick(least, vf_load(row + c + v * F32_LANES)));
                sum[v] = vf_add(sum[v], vf_pick(vf_sub(zero, y), y));
            }
        }
        UNROLL for (size_t v = 0; v < VECTORS; v++) vf_store(sums + v * F32_LANES, sum[v]);
#endif
        for (; c < n; c++) {
            float y = low > row[c] ? low : row[c];
            y = high < y ? high : y;
            sums[c % SUMS] += fabsf(y);
        }
        double total = 0;
        for (size_t i = 0; i < SUMS; i++) total += (double)sums[i];
        mean[r] = (float)(total / (double)n);
    }
}

#endif
