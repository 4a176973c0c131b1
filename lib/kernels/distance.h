// Squared distances for every kernel set. A vector set's file includes this after it has defined
// the vectors of f32_gemm.h; portable C has no F32_LANES. Each output is one chain of fma in the
// order of the channels, so all sets agree in every bit.
#ifndef XNOR_KERNELS_DISTANCE_H
#define XNOR_KERNELS_DISTANCE_H

#include <math.h>
#include <stddef.h>

// d[j] = sum over c of (query[c] - x[c][j])², x: [c][stride].
static void distances_f32(size_t n, size_t channels, const float *x, size_t stride,
                          const float *query, float *d) {
    size_t j = 0;
#if defined(F32_LANES)
    // Four vectors hide the latency of fma; two loads' worth of work per channel and vector.
    const vf minus_one = vf_set1(-1.0f);
    for (; j + 4 * F32_LANES <= n; j += 4 * F32_LANES) {
        vf sum[4] = {vf_zero(), vf_zero(), vf_zero(), vf_zero()};
        for (size_t c = 0; c < channels; c++) {
            const vf q = vf_set1(query[c]);
            UNROLL for (size_t v = 0; v < 4; v++) {
                const vf difference =
                    vf_fma(vf_load(x + c * stride + j + v * F32_LANES), minus_one, q);
                sum[v] = vf_fma(difference, difference, sum[v]);
            }
        }
        UNROLL for (size_t v = 0; v < 4; v++) vf_store(d + j + v * F32_LANES, sum[v]);
    }
#endif
    for (; j < n; j++) {
        float sum = 0;
        for (size_t c = 0; c < channels; c++) {
            const float difference = query[c] - x[c * stride + j];
            sum = fmaf(difference, difference, sum);
        }
        d[j] = sum;
    }
}

#endif
