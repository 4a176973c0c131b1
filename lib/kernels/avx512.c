// The AVX-512 kernel set: F, BW, VL, DQ, VPOPCNTDQ, BITALG, VBMI, VNNI. The binary gemm is in
// avx512_bits.h, the float gemm in f32_gemm.h; here are the packers, which are limited by reading
// their input (four loads, compares and mask moves per output word).
#if defined(__x86_64__)

#include "kernels/sets.h"

#include <immintrin.h>

#include "kernels/avx512_bits.h"

typedef __m512 vf;
#define F32_LANES 16
#define F32_VECTORS 4
#define F32_WIDE_VECTORS 16

ALWAYS_INLINE vf vf_zero(void) {
    return _mm512_setzero_ps();
}

ALWAYS_INLINE vf vf_set1(float x) {
    return _mm512_set1_ps(x);
}

ALWAYS_INLINE vf vf_load(const float *p) {
    return _mm512_loadu_ps(p);
}

ALWAYS_INLINE vf vf_load_part(const float *p, size_t count) {
    return _mm512_maskz_loadu_ps(first_lanes(count, 16), p);
}

ALWAYS_INLINE void vf_store(float *p, vf v) {
    _mm512_storeu_ps(p, v);
}

ALWAYS_INLINE void vf_store_part(float *p, vf v, size_t count) {
    _mm512_mask_storeu_ps(p, first_lanes(count, 16), v);
}

ALWAYS_INLINE vf vf_fma(vf a, vf b, vf c) {
    return _mm512_fmadd_ps(a, b, c);
}

ALWAYS_INLINE vf vf_sub(vf a, vf b) {
    return _mm512_sub_ps(a, b);
}

ALWAYS_INLINE vf vf_mul(vf a, vf b) {
    return _mm512_mul_ps(a, b);
}

ALWAYS_INLINE vf vf_add(vf a, vf b) {
    return _mm512_add_ps(a, b);
}

ALWAYS_INLINE vf vf_min(vf a, vf b) {
    return _mm512_min_ps(a, b);
}

ALWAYS_INLINE uint64_t vf_ge0(vf v) {
    return _mm512_cmp_ps_mask(v, _mm512_setzero_ps(), _CMP_GE_OQ);
}

#include "kernels/f32_gemm.h"

#include "kernels/depthwise.h"

ALWAYS_INLINE vf vf_max(vf a, vf b) {
    return _mm512_max_ps(a, b);
}

ALWAYS_INLINE uint64_t vf_lt(vf a, vf b) {
    return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ);
}

typedef __m512i vi;
typedef __m512i vpairs;

ALWAYS_INLINE vi vi_zero(void) {
    return _mm512_setzero_si512();
}

ALWAYS_INLINE vpairs vpairs_load(const int16_t *p) {
    return _mm512_loadu_si512(p);
}

ALWAYS_INLINE vpairs vpairs_same(const int16_t *p) {
    int32_t pair;
    memcpy(&pair, p, sizeof pair);
    return _mm512_set1_epi32(pair);
}

// gcc 12 copies every sum before and after the intrinsic, which takes twice as long.
ALWAYS_INLINE vi vi_dot(vi sum, vpairs a, vpairs b) {
    __asm__("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
}

ALWAYS_INLINE vf vi_norms_minus_twice(int32_t norm, const int32_t *norms, vi sum) {
    const vi both = _mm512_add_epi32(_mm512_set1_epi32(norm), _mm512_loadu_si512(norms));
    return _mm512_cvtepi32_ps(_mm512_sub_epi32(both, _mm512_slli_epi32(sum, 1)));
}

// Compressed in a register: compressing into memory takes many times as long on some machines.
ALWAYS_INLINE size_t append_not_above(const float *d, float limit, int32_t at, int32_t *indices,
                                      size_t count) {
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    UNROLL for (int32_t i = 0; i < 64; i += 16) {
        const __mmask16 mask =
            _mm512_cmp_ps_mask(_mm512_loadu_ps(d + i), _mm512_set1_ps(limit), _CMP_LE_OQ);
        const __m512i index = _mm512_add_epi32(lanes, _mm512_set1_epi32(at + i));
        _mm512_storeu_si512(indices + count, _mm512_maskz_compress_epi32(mask, index));
        count += (size_t)_mm_popcnt_u32(mask);
    }
    return count;
}

#define vf_append_not_above append_not_above
#define vi64_count_below(counts, key, keys)                                                        \
    (vi64) _mm512_mask_sub_epi64((__m512i)(counts),                                                \
                                 _mm512_cmplt_epi64_mask(_mm512_set1_epi64(key), (__m512i)(keys)), \
                                 (__m512i)(counts), _mm512_set1_epi64(-1))
#define vd8_widen(x) ((vd8)_mm512_cvtps_pd(_mm256_loadu_ps(x)))
#include "kernels/nearest.h"
#include "kernels/points.h"

#include "kernels/edges.h"
ALWAYS_INLINE vf vf_load_i32(const int32_t *p) {
    return _mm512_cvtepi32_ps(_mm512_loadu_si512(p));
}

ALWAYS_INLINE vf vf_pick(vf a, vf b) {
    return _mm512_max_ps(a, b);
}

#include "kernels/rows.h"

ALWAYS_INLINE vf vf_gate(vf v) {
    const __mmask16 above = _mm512_cmp_ps_mask(v, _mm512_setzero_ps(), _CMP_GT_OQ);
    return _mm512_maskz_mov_ps(above, _mm512_set1_ps(1));
}

ALWAYS_INLINE uint64_t vf_ne0(vf v) {
    return _mm512_cmp_ps_mask(v, _mm512_setzero_ps(), _CMP_NEQ_UQ);
}

ALWAYS_INLINE uint64_t vf_join(const uint64_t *lanes) {
    const __mmask32 low = _mm512_kunpackw((__mmask32)lanes[1], (__mmask32)lanes[0]);
    const __mmask32 high = _mm512_kunpackw((__mmask32)lanes[3], (__mmask32)lanes[2]);
    return _cvtmask64_u64(_mm512_kunpackd(high, low));
}

ALWAYS_INLINE vf vf_round(vf v) {
    return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

#include "kernels/pointwise.h"

ALWAYS_INLINE vf vf_gather(const float *p, const int32_t *at) {
    return _mm512_i32gather_ps(_mm512_loadu_si512(at), p, 4);
}

typedef __m512i vlanes;

ALWAYS_INLINE vlanes vlanes_from(const int32_t *at, int32_t base) {
    return _mm512_sub_epi32(_mm512_loadu_si512(at), _mm512_set1_epi32(base));
}

ALWAYS_INLINE bool vlanes_exist(vlanes a, vlanes b) {
    return _mm512_test_epi32_mask(_mm512_or_si512(a, b), _mm512_set1_epi32(~15)) == 0;
}

ALWAYS_INLINE vf vf_choose(vf v, vlanes lanes) {
    return _mm512_permutexvar_ps(lanes, v);
}

ALWAYS_INLINE void vf_stream(float *p, vf v) {
    _mm512_stream_ps(p, v);
}

ALWAYS_INLINE void vf_stream_end(void) {
    _mm_sfence();
}

#include "kernels/mix.h"
#include "kernels/winograd.h"

typedef __m512i vu;
#define U64_LANES 8

ALWAYS_INLINE vu vu_zero(void) {
    return _mm512_setzero_si512();
}

ALWAYS_INLINE vu vu_load(const uint64_t *p, size_t step) {
    if (step == 1) return _mm512_loadu_si512(p);
    if (step == 2) { // p[15] may not exist
        const __m512i even = _mm512_setr_epi64(0, 2, 4, 6, 9, 11, 13, 15);
        return _mm512_permutex2var_epi64(_mm512_loadu_si512(p), even, _mm512_loadu_si512(p + 7));
    }
    const __m512i lane = _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm512_i64gather_epi64(_mm512_mullo_epi64(lane, _mm512_set1_epi64((int64_t)step)), p, 8);
}

ALWAYS_INLINE void vu_store(uint64_t *p, vu v) {
    _mm512_storeu_si512(p, v);
}

#define TERNARY_OR_MASKED 0xF8 // a | (b & c)
ALWAYS_INLINE vu vu_move(vu sum, vu v, int64_t shift, uint64_t mask) {
    const __m512i turned = _mm512_rolv_epi64(v, _mm512_set1_epi64(shift));
    return _mm512_ternarylogic_epi64(sum, turned, _mm512_set1_epi64((int64_t)mask),
                                     TERNARY_OR_MASKED);
}

#include "kernels/patches.h"

// Mask of the 16 columns from c on that exist.
ALWAYS_INLINE __mmask16 columns_from(size_t cols, size_t c) {
    return first_lanes(c < cols ? cols - c : 0, 16);
}

static void pack_f32(size_t rows, size_t cols, const float *x, size_t x_stride, uint64_t *bits,
                     size_t bits_stride) {
    const __m512 zero = _mm512_setzero_ps();
    for (size_t r = 0; r < rows; r++) {
        const float *row = x + r * x_stride;
        for (size_t c = 0; c < cols; c += 64) {
            uint64_t word = 0;
            UNROLL for (size_t i = 0; i < 64; i += 16) {
                const __mmask16 mask = columns_from(cols, c + i);
                const __m512 value = _mm512_maskz_loadu_ps(mask, row + c + i);
                const __mmask16 ge = _mm512_mask_cmp_ps_mask(mask, value, zero, _CMP_GE_OQ);
                word |= (uint64_t)ge << i;
            }
            bits[r * bits_stride + c / 64] = word;
        }
    }
}

static bool pack_f32_ternary(size_t rows, size_t cols, const float *x, size_t x_stride,
                             uint64_t *positive, uint64_t *nonzero, size_t bits_stride) {
    const __m512 zero = _mm512_setzero_ps();
    uint64_t zeros = 0;
    for (size_t r = 0; r < rows; r++) {
        const float *row = x + r * x_stride;
        for (size_t c = 0; c < cols; c += 64) {
            uint64_t pos = 0;
            uint64_t non = 0;
            UNROLL for (size_t i = 0; i < 64; i += 16) {
                if (c + i >= cols) break; // rows of few columns are frequent
                const __mmask16 mask = columns_from(cols, c + i);
                const __m512 value = _mm512_maskz_loadu_ps(mask, row + c + i);
                const __mmask16 gt = _mm512_mask_cmp_ps_mask(mask, value, zero, _CMP_GT_OQ);
                const __mmask16 ne = _mm512_mask_cmp_ps_mask(mask, value, zero, _CMP_NEQ_UQ);
                pos |= (uint64_t)gt << i;
                non |= (uint64_t)ne << i;
                zeros |= (uint64_t)(mask & ~ne);
            }
            positive[r * bits_stride + c / 64] = pos;
            nonzero[r * bits_stride + c / 64] = non;
        }
    }
    return zeros != 0;
}

static void acc_thr(size_t rows, size_t cols, const int32_t *acc, size_t acc_stride,
                    const int32_t *thr, uint64_t *bits, size_t bits_stride) {
    for (size_t r = 0; r < rows; r++) {
        const int32_t *row = acc + r * acc_stride;
        for (size_t c = 0; c < cols; c += 64) {
            uint64_t word = 0;
            UNROLL for (size_t i = 0; i < 64; i += 16) {
                const __mmask16 mask = columns_from(cols, c + i);
                const __m512i value = _mm512_maskz_loadu_epi32(mask, row + c + i);
                const __m512i limit = _mm512_maskz_loadu_epi32(mask, thr + c + i);
                word |= (uint64_t)_mm512_mask_cmpge_epi32_mask(mask, value, limit) << i;
            }
            bits[r * bits_stride + c / 64] = word;
        }
    }
}

void xnor_kernels_fill_avx512(xnor_kernels *table) {
    XNOR_GEMM_FAMILIES(XNOR_FAMILY_ENTRY)
    XNOR_OTHER_FAMILIES(XNOR_FAMILY_ENTRY)
    XNOR_FAMILY_ENTRY(conv_prepare)
    XNOR_FAMILY_ENTRY(conv_acc)
    XNOR_FAMILY_ENTRY(conv_thr)
}

#else
typedef int xnor_empty_avx512;
#endif
