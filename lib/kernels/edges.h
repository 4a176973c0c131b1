// Signs of differences for every kernel set. A vector set's file includes this after it has defined
// the vectors of f32_gemm.h, and
//     vf_sub(a, b)
//     vf_lt(a, b)        bit i = lane i of a < lane i of b
// Per vector a load, a subtraction and two compares; limited by moving the masks.
#ifndef XNOR_KERNELS_EDGES_H
#define XNOR_KERNELS_EDGES_H

#include "core/size.h"
#include "kernels/inline.h"

static void edge_signs_f32(size_t count, size_t cols, const float *x, size_t x_stride,
                           const int64_t *index, const float *own, uint64_t *positive,
                           uint64_t *nonzero, size_t bits_stride) {
    for (size_t c = 0; c < cols; c += 64) {
        const size_t used = cols - c < 64 ? cols - c : 64;
        for (size_t r = 0; r < count; r++) {
            const float *other = x + (size_t)index[r] * x_stride + c;
            uint64_t above = 0;
            uint64_t zero = 0;
            size_t i = 0;
#if defined(F32_LANES)
            UNROLL for (; i + F32_LANES <= used; i += F32_LANES) {
                const vf difference = vf_sub(vf_load(other + i), vf_load(own + c + i));
                const uint64_t gt = vf_lt(vf_zero(), difference);
                above |= gt << i;
                zero |= (vf_ge0(difference) & ~gt) << i;
            }
#endif
            for (; i < used; i++) {
                const float difference = other[i] - own[c + i];
                above |= (uint64_t)(difference > 0) << i;
                zero |= (uint64_t)(difference == 0) << i;
            }
            positive[r * bits_stride + c / 64] = above;
            nonzero[r * bits_stride + c / 64] = ~zero & (~UINT64_C(0) >> (64 - used));
        }
    }
}

#endif
