// Mixtures of neighbours, as pictures are resized by, for every kernel set. A vector set's file includes this
// after rows.h and after it has defined
//     vf_gather(p, at)      lane i: p[at[i]]
//     vlanes_from(at, base) lane i: at[i] - base
//     vlanes_exist(a, b)    whether they all are numbers of lanes
//     vf_choose(v, lanes)   lane i: that one of v
//     vf_stream(p, v)       stores to an aligned place that nobody reads soon; vf_stream_end() before others may
// Limited by loads and stores: two and one per vector; of lines that are enlarged by choosing lanes, twice per vector,
// until what is stored is larger than the caches.
#ifndef XNOR_KERNELS_MIX_H
#define XNOR_KERNELS_MIX_H

#include "kernels/inline.h"
#include "kernels/kernels.h"

#include <math.h>
#include <stdbool.h>
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

#if defined(F32_LANES)
enum { MIX_VECTORS = 4 };

// One vector of pixels, for any line.
typedef struct mix_vector {
    size_t base; // of the neighbours in a line that hold all that is mixed
    vlanes first, second;
    vf share, rest;
} mix_vector;

ALWAYS_INLINE vf mix_one(const xnor_mix_lines_args *m, const mix_vector *v, bool near, size_t p,
                         const float *x) {
    const vf window = vf_load(x + (near ? v->base : 0));
    const vf first = near ? vf_choose(window, v->first) : vf_gather(x, m->first + p);
    const vf second = near ? vf_choose(window, v->second) : vf_gather(x, m->second + p);
    return vf_fma(v->share, second, vf_mul(v->rest, first));
}

ALWAYS_INLINE void mix_lines_of(const xnor_mix_lines_args *m, const mix_vector *v, bool near,
                                bool stream, size_t p, size_t vectors, float *out) {
    for (size_t line = 0; line < m->lines; line++) {
        const float *x = m->x + line * m->x_stride;
        float *y = out + line * m->out_stride + p;
        UNROLL for (size_t i = 0; i < vectors; i++) {
            const size_t at = i * F32_LANES;
            const vf mixed = mix_one(m, v + i, near, p + at, x);
            if (stream)
                vf_stream(y + at, mixed);
            else
                vf_store(y + at, mixed);
        }
    }
}

// Pixels p .. p + vectors · F32_LANES of all lines. Enlarged pictures have what neighbours are mixed of within
// one vector: it is loaded and its lanes chosen.
ALWAYS_INLINE void mix_columns(const xnor_mix_lines_args *m, bool stream, size_t p, size_t vectors,
                               float *out) {
    const vf one = vf_set1(1);
    mix_vector v[MIX_VECTORS];
    bool near = true;
    UNROLL for (size_t i = 0; i < vectors; i++) {
        const size_t at = p + i * F32_LANES, most = m->length - F32_LANES;
        const size_t base = (size_t)m->first[at] < most ? (size_t)m->first[at] : most;
        v[i].base = base;
        v[i].first = vlanes_from(m->first + at, (int32_t)base);
        v[i].second = vlanes_from(m->second + at, (int32_t)base);
        v[i].share = vf_load(m->share + at);
        v[i].rest = vf_sub(one, v[i].share);
        near = near && vlanes_exist(v[i].first, v[i].second);
    }
    if (near)
        mix_lines_of(m, v, true, stream, p, vectors, out);
    else
        mix_lines_of(m, v, false, stream, p, vectors, out);
}
#endif

static void mix_single(const xnor_mix_lines_args *m, size_t begin, size_t end, float *out) {
    for (size_t line = 0; line < m->lines; line++) {
        const float *x = m->x + line * m->x_stride;
        float *y = out + line * m->out_stride;
        for (size_t p = begin; p < end; p++)
            y[p] = fmaf(m->share[p], x[m->second[p]], (1 - m->share[p]) * x[m->first[p]]);
    }
}

static void mix_lines_f32(const xnor_mix_lines_args *m, float *out) {
    size_t p = 0;
#if defined(F32_LANES)
    enum { WIDE_MIX = MIX_VECTORS * F32_LANES, ALIGNMENT = F32_LANES * sizeof(float) };
    const size_t beyond = (uintptr_t)out % ALIGNMENT / sizeof *out;
    const bool stream = m->stream && (uintptr_t)out % sizeof *out == 0 &&
                        m->out_stride * sizeof *out % ALIGNMENT == 0;
    if (m->length >= F32_LANES) {
        if (stream && beyond) {
            p = F32_LANES - beyond < m->pixels ? F32_LANES - beyond : m->pixels;
            mix_single(m, 0, p, out);
        }
        for (; stream && p + WIDE_MIX <= m->pixels; p += WIDE_MIX)
            mix_columns(m, true, p, MIX_VECTORS, out);
        for (; p + WIDE_MIX <= m->pixels; p += WIDE_MIX) mix_columns(m, false, p, MIX_VECTORS, out);
        for (; p + F32_LANES <= m->pixels; p += F32_LANES) mix_columns(m, false, p, 1, out);
        if (stream) vf_stream_end();
    }
#endif
    mix_single(m, p, m->pixels, out);
}

static void mix_pixels_f32(size_t pixels, size_t channels, const float *x, const int32_t *first,
                           const int32_t *second, const float *share, float *out) {
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
