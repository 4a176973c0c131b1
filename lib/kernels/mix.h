// Mixtures of neighbours, as pictures are resized by, for every kernel set. A vector set's file includes this
// after rows.h and after it has defined
//     vf_gather(p, at)    lane i: p[at[i]]
// Limited by loads and stores: two and one per vector; with one channel by the loads of single values.
#ifndef XNOR_KERNELS_MIX_H
#define XNOR_KERNELS_MIX_H

#include "kernels/inline.h"

#include <math.h>
#include <stddef.h>
#include <stdint.h>

static void mix_f32(size_t count, const float *a, const float *b, float share, float *out) {
    size_t i = 0;
#if defined(F32_LANES)
    const vf s = vf_set1(share), rest = vf_set1(1 - share);
    for (; i + F32_LANES <= count; i += F32_LANES) {
        vf_store(out + i, vf_fma(s, vf_load(b + i), vf_mul(rest, vf_load(a + i))));
    }
#endif
    for (; i < count; i++) out[i] = fmaf(share, b[i], (1 - share) * a[i]);
}

static void mix_lines(size_t pixels, const float *x, const int32_t *first, const int32_t *second,
                      const float *share, float *out) {
    size_t p = 0;
#if defined(F32_LANES)
    const vf one = vf_set1(1);
    for (; p + F32_LANES <= pixels; p += F32_LANES) {
        const vf s = vf_load(share + p);
        const vf a = vf_mul(vf_sub(one, s), vf_gather(x, first + p));
        vf_store(out + p, vf_fma(s, vf_gather(x, second + p), a));
    }
#endif
    for (; p < pixels; p++) out[p] = fmaf(share[p], x[second[p]], (1 - share[p]) * x[first[p]]);
}

static void mix_pixels_f32(size_t pixels, size_t channels, const float *x, const int32_t *first,
                           const int32_t *second, const float *share, float *out) {
    if (channels == 1) {
        mix_lines(pixels, x, first, second, share, out);
        return;
    }
    for (size_t p = 0; p < pixels; p++) {
        const float *a = x + (size_t)first[p] * channels, *b = x + (size_t)second[p] * channels;
        float *y = out + p * channels;
        size_t c = 0;
#if defined(F32_LANES)
        const vf s = vf_set1(share[p]), rest = vf_set1(1 - share[p]);
        for (; c + F32_LANES <= channels; c += F32_LANES) {
            vf_store(y + c, vf_fma(s, vf_load(b + c), vf_mul(rest, vf_load(a + c))));
        }
        if (c < channels) {
            const size_t left = channels - c;
            const vf last = vf_mul(rest, vf_load_part(a + c, left));
            vf_store_part(y + c, vf_fma(s, vf_load_part(b + c, left), last), left);
        }
#else
        for (; c < channels; c++) y[c] = fmaf(share[p], b[c], (1 - share[p]) * a[c]);
#endif
    }
}

#endif
