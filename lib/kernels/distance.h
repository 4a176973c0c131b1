// Squared distances for every kernel set: plain loops that each set's file compiles with its own
// vector instructions. Terms are added in the order of c without fma, so all sets agree in every
// bit.
#ifndef XNOR_KERNELS_DISTANCE_H
#define XNOR_KERNELS_DISTANCE_H

#include <stddef.h>

// d[j] = sum over c of (query[c] - x[c][j])², x: [c][stride].
static void distances_f32(size_t n, size_t channels, const float *x, size_t stride,
                          const float *query, float *d) {
    for (size_t j = 0; j < n; j++) d[j] = 0;
    for (size_t c = 0; c < channels; c++) {
        const float q = query[c];
        const float *row = x + c * stride;
        for (size_t j = 0; j < n; j++) {
            const float difference = q - row[j];
            d[j] += difference * difference;
        }
    }
}

#endif
