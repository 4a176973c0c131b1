// What dense networks do to the integer sums of a tile, for every kernel set: gates and skips. A vector
// set's file includes this after edges.h and rows.h and after it has defined
//     vi                            F32_LANES integers
//     vi_load(p), vi_store(p, v)
//     vi_add_where(a, b, gate)      a + (gate > 0 ? b : 0), lane by lane
// Limited by loads and stores: three and one per vector.
#ifndef XNOR_KERNELS_SUMS_H
#define XNOR_KERNELS_SUMS_H

#include "kernels/inline.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>

// out[r][c] = base[r][c] + (gate[r][c] > 0 ? acc[r][c] : 0)
static void rows_gated_add(size_t rows, size_t n, const int32_t *gate, const int32_t *acc,
                           size_t acc_stride, const int32_t *base, size_t base_stride, int32_t *out,
                           size_t out_stride) {
    for (size_t r = 0; r < rows; r++) {
        const int32_t *g = gate + r * acc_stride, *a = acc + r * acc_stride;
        const int32_t *b = base + r * base_stride;
        int32_t *y = out + r * out_stride;
        size_t c = 0;
#if defined(F32_LANES)
        for (; c + F32_LANES <= n; c += F32_LANES) {
            vi_store(y + c, vi_add_where(vi_load(b + c), vi_load(a + c), vi_load(g + c)));
        }
#endif
        for (; c < n; c++) y[c] = b[c] + (g[c] > 0 ? a[c] : 0);
    }
}

// y = fma(acc[c], scale[c], shift[c]) + skip[c] of at most 64 channels. Bit c of *above: y >= 0, of
// *equal: y == 0.
ALWAYS_INLINE void skip_part(size_t n, const int32_t *acc, const float *scale, const float *shift,
                             const float *skip, float *out, uint64_t *above, uint64_t *equal) {
    uint64_t ge = 0, eq = 0;
    size_t c = 0;
#if defined(F32_LANES)
    UNROLL for (; c + F32_LANES <= n; c += F32_LANES) {
        const vf scaled = vf_fma(vf_load_i32(acc + c), vf_load(scale + c), vf_load(shift + c));
        const vf y = vf_add(scaled, vf_load(skip + c));
        vf_store(out + c, y);
        const uint64_t at_least = vf_ge0(y);
        ge |= at_least << c;
        eq |= (at_least & ~vf_lt(vf_zero(), y)) << c;
    }
#endif
    for (; c < n; c++) {
        const float y = fmaf((float)acc[c], scale[c], shift[c]) + skip[c];
        out[c] = y;
        ge |= (uint64_t)(y >= 0) << c;
        eq |= (uint64_t)(y == 0) << c;
    }
    *above = ge;
    *equal = eq;
}

static void rows_skip_signs(size_t rows, size_t n, const int32_t *acc, size_t acc_stride,
                            const float *scale, const float *shift, const float *skip,
                            size_t skip_stride, float *out, size_t out_stride, uint64_t *bits,
                            uint64_t *nonzero, size_t bits_stride) {
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < n; c += 64) {
            const size_t used = n - c < 64 ? n - c : 64, word = r * bits_stride + c / 64;
            uint64_t above, equal;
            skip_part(used, acc + r * acc_stride + c, scale + c, shift + c,
                      skip + r * skip_stride + c, out + r * out_stride + c, &above, &equal);
            bits[word] = nonzero ? above & ~equal : above;
            if (nonzero) nonzero[word] = ~equal & (~UINT64_C(0) >> (64 - used));
        }
    }
}

#endif
