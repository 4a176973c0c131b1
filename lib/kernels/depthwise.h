// Depthwise convolutions, for every kernel set: each channel has taps of its own. A vector set's file includes this
// after f32_gemm.h; portable C has no F32_LANES.
//
// Lanes are channels. Tile: 4 pixels x 2 vectors, so that a row of weights is loaded once for 4 pixels: per tap
// 2 loads of weights, 8 of pixels and 8 fma. Limited by loads.
#ifndef XNOR_KERNELS_DEPTHWISE_H
#define XNOR_KERNELS_DEPTHWISE_H

#include "kernels/inline.h"
#include "kernels/kernels.h"

#include <math.h>

#if defined(F32_LANES)
// Channels c .. c + vectors · F32_LANES, of which the last vector has `last`.
ALWAYS_INLINE void depthwise_tile(const xnor_depthwise_args *d, size_t pixel, size_t c,
                                  size_t pixels, size_t vectors, size_t last, float *out) {
    const float *x = d->x + pixel * d->x_stride + c;
    vf sum[4][2];
    UNROLL for (size_t v = 0; v < vectors; v++) {
        const size_t lanes = v + 1 < vectors ? F32_LANES : last;
        const vf start = d->bias ? f32_load(d->bias + c + v * F32_LANES, lanes) : vf_zero();
        UNROLL for (size_t p = 0; p < pixels; p++) sum[p][v] = start;
    }
    for (size_t t = 0; t < d->taps; t++) {
        const float *w = d->w + d->w_offset[t] + c, *from = x + d->x_offset[t];
        UNROLL for (size_t v = 0; v < vectors; v++) {
            const size_t lanes = v + 1 < vectors ? F32_LANES : last;
            const vf weight = f32_load(w + v * F32_LANES, lanes);
            UNROLL for (size_t p = 0; p < pixels; p++) {
                const vf value = f32_load(from + p * d->x_stride + v * F32_LANES, lanes);
                sum[p][v] = vf_fma(value, weight, sum[p][v]);
            }
        }
    }
    UNROLL for (size_t p = 0; p < pixels; p++) {
        float *y = out + (pixel + p) * d->out_stride + c;
        UNROLL for (size_t v = 0; v < vectors; v++) {
            if (v + 1 < vectors || last == F32_LANES)
                vf_store(y + v * F32_LANES, sum[p][v]);
            else
                vf_store_part(y + v * F32_LANES, sum[p][v], last);
        }
    }
}

ALWAYS_INLINE void depthwise_columns(const xnor_depthwise_args *d, size_t c, size_t vectors,
                                     size_t last, float *out) {
    size_t pixel = 0;
    for (; pixel + 4 <= d->count; pixel += 4) depthwise_tile(d, pixel, c, 4, vectors, last, out);
    for (; pixel < d->count; pixel++) depthwise_tile(d, pixel, c, 1, vectors, last, out);
}

static void depthwise_f32(const xnor_depthwise_args *d, float *out) {
    size_t c = 0;
    for (; c + 2 * F32_LANES <= d->channels; c += 2 * F32_LANES) {
        depthwise_columns(d, c, 2, F32_LANES, out);
    }
    if (c + F32_LANES <= d->channels) {
        depthwise_columns(d, c, 1, F32_LANES, out);
        c += F32_LANES;
    }
    if (c < d->channels) depthwise_columns(d, c, 1, d->channels - c, out);
}
#else
static void depthwise_f32(const xnor_depthwise_args *d, float *out) {
    for (size_t p = 0; p < d->count; p++)
        for (size_t c = 0; c < d->channels; c++) {
            float sum = d->bias ? d->bias[c] : 0.0f;
            for (size_t t = 0; t < d->taps; t++)
                sum =
                    fmaf(d->x[p * d->x_stride + d->x_offset[t] + c], d->w[d->w_offset[t] + c], sum);
            out[p * d->out_stride + c] = sum;
        }
}
#endif

#endif
