// The AVX2 kernel set (AVX2, FMA, POPCNT, BMI2). The binary gemm is in avx2_bits.h, the float gemm
// in f32_gemm.h; here are the packers: per 8 inputs a load, a compare and a movemask, limited by
// the latter's single port.
#if defined(__x86_64__)

#include "kernels/avx2_bits.h"

typedef __m256 vf;
#define F32_LANES 8
#define F32_VECTORS 2
#define F32_WIDE_VECTORS 8

// All ones in the first `count` lanes.
ALWAYS_INLINE __m256i first_lanes(size_t count) {
    static const int32_t ones[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256((const __m256i *)(const void *)(ones + 8 - count));
}

ALWAYS_INLINE vf vf_zero(void) {
    return _mm256_setzero_ps();
}

ALWAYS_INLINE vf vf_set1(float x) {
    return _mm256_set1_ps(x);
}

ALWAYS_INLINE vf vf_load(const float *p) {
    return _mm256_loadu_ps(p);
}

ALWAYS_INLINE vf vf_load_part(const float *p, size_t count) {
    return _mm256_maskload_ps(p, first_lanes(count));
}

ALWAYS_INLINE void vf_store(float *p, vf v) {
    _mm256_storeu_ps(p, v);
}

ALWAYS_INLINE void vf_store_part(float *p, vf v, size_t count) {
    _mm256_maskstore_ps(p, first_lanes(count), v);
}

ALWAYS_INLINE vf vf_fma(vf a, vf b, vf c) {
    return _mm256_fmadd_ps(a, b, c);
}

ALWAYS_INLINE vf vf_sub(vf a, vf b) {
    return _mm256_sub_ps(a, b);
}

ALWAYS_INLINE vf vf_mul(vf a, vf b) {
    return _mm256_mul_ps(a, b);
}

ALWAYS_INLINE vf vf_add(vf a, vf b) {
    return _mm256_add_ps(a, b);
}

ALWAYS_INLINE vf vf_min(vf a, vf b) {
    return _mm256_min_ps(a, b);
}

ALWAYS_INLINE uint64_t vf_ge0(vf v) {
    return (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(v, _mm256_setzero_ps(), _CMP_GE_OQ));
}

#include "kernels/f32_gemm.h"

#include "kernels/depthwise.h"

ALWAYS_INLINE vf vf_max(vf a, vf b) {
    return _mm256_max_ps(a, b);
}

ALWAYS_INLINE uint64_t vf_lt(vf a, vf b) {
    return (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_LT_OQ));
}

typedef __m256i vi;
typedef __m256i vpairs;

ALWAYS_INLINE vi vi_zero(void) {
    return _mm256_setzero_si256();
}

ALWAYS_INLINE vpairs vpairs_load(const int16_t *p) {
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

ALWAYS_INLINE vpairs vpairs_same(const int16_t *p) {
    int32_t pair;
    memcpy(&pair, p, sizeof pair);
    return _mm256_set1_epi32(pair);
}

ALWAYS_INLINE vi vi_dot(vi sum, vpairs a, vpairs b) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
}

ALWAYS_INLINE vf vi_norms_minus_twice(int32_t norm, const int32_t *norms, vi sum) {
    const vi more = _mm256_loadu_si256((const __m256i *)(const void *)norms);
    const vi both = _mm256_add_epi32(_mm256_set1_epi32(norm), more);
    return _mm256_cvtepi32_ps(_mm256_sub_epi32(both, _mm256_slli_epi32(sum, 1)));
}

#include "kernels/nearest.h"
#include "kernels/points.h"

#include "kernels/edges.h"
ALWAYS_INLINE vf vf_load_i32(const int32_t *p) {
    return _mm256_cvtepi32_ps(_mm256_loadu_si256((const __m256i *)p));
}

ALWAYS_INLINE vf vf_pick(vf a, vf b) {
    return _mm256_max_ps(a, b);
}

#include "kernels/rows.h"

ALWAYS_INLINE vf vf_gate(vf v) {
    return _mm256_and_ps(_mm256_cmp_ps(v, _mm256_setzero_ps(), _CMP_GT_OQ), _mm256_set1_ps(1));
}

ALWAYS_INLINE uint64_t vf_ne0(vf v) {
    return (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(v, _mm256_setzero_ps(), _CMP_NEQ_UQ));
}

ALWAYS_INLINE uint64_t vf_join(const uint64_t *lanes) {
    uint64_t word = 0;
    UNROLL for (size_t k = 0; k < 64 / F32_LANES; k++) word |= lanes[k] << (k * F32_LANES);
    return word;
}

ALWAYS_INLINE vf vf_round(vf v) {
    return _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

#include "kernels/pointwise.h"

ALWAYS_INLINE vf vf_gather(const float *p, const int32_t *at) {
    return _mm256_i32gather_ps(p, _mm256_loadu_si256((const __m256i *)(const void *)at), 4);
}

typedef __m256i vlanes;

ALWAYS_INLINE vlanes vlanes_from(const int32_t *at, int32_t base) {
    const __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)at);
    return _mm256_sub_epi32(v, _mm256_set1_epi32(base));
}

ALWAYS_INLINE bool vlanes_exist(vlanes a, vlanes b) {
    return _mm256_testz_si256(_mm256_or_si256(a, b), _mm256_set1_epi32(~7)) != 0;
}

ALWAYS_INLINE vf vf_choose(vf v, vlanes lanes) {
    return _mm256_permutevar8x32_ps(v, lanes);
}

ALWAYS_INLINE void vf_stream(float *p, vf v) {
    _mm256_stream_ps(p, v);
}

ALWAYS_INLINE void vf_stream_end(void) {
    _mm_sfence();
}

#include "kernels/mix.h"
#include "kernels/winograd.h"

typedef __m256i vu;
#define U64_LANES 4

ALWAYS_INLINE vu vu_zero(void) {
    return _mm256_setzero_si256();
}

ALWAYS_INLINE vu vu_load(const uint64_t *p, size_t step) {
    if (step == 1) return _mm256_loadu_si256((const __m256i *)(const void *)p);
    const __m128i low =
        _mm_insert_epi64(_mm_loadl_epi64((const __m128i *)(const void *)p), (long long)p[step], 1);
    const __m128i high = _mm_insert_epi64(
        _mm_loadl_epi64((const __m128i *)(const void *)(p + 2 * step)), (long long)p[3 * step], 1);
    return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

ALWAYS_INLINE void vu_store(uint64_t *p, vu v) {
    _mm256_storeu_si256((__m256i *)(void *)p, v);
}

// Shifts by a negative number, which is a large one, give 0.
ALWAYS_INLINE vu vu_move(vu sum, vu v, int64_t shift, uint64_t mask) {
    const __m256i up = _mm256_sllv_epi64(v, _mm256_set1_epi64x(shift));
    const __m256i down = _mm256_srlv_epi64(v, _mm256_set1_epi64x(-shift));
    const __m256i moved =
        _mm256_and_si256(_mm256_or_si256(up, down), _mm256_set1_epi64x((long long)mask));
    return _mm256_or_si256(sum, moved);
}

#include "kernels/patches.h"

static void pack_f32(size_t rows, size_t cols, const float *x, size_t x_stride, uint64_t *bits,
                     size_t bits_stride) {
    for (size_t r = 0; r < rows; r++) {
        const float *row = x + r * x_stride;
        for (size_t c = 0; c < cols; c += 64) {
            uint64_t word = 0;
            for (size_t i = 0; i < 64 && c + i < cols; i += 8) {
                const size_t lanes = cols - c - i;
                uint64_t part = vf_ge0(f32_load(row + c + i, lanes));
                if (lanes < 8) part &= (1u << lanes) - 1;
                word |= part << i;
            }
            bits[r * bits_stride + c / 64] = word;
        }
    }
}

static bool pack_f32_ternary(size_t rows, size_t cols, const float *x, size_t x_stride,
                             uint64_t *positive, uint64_t *nonzero, size_t bits_stride) {
    const __m256 zero = _mm256_setzero_ps();
    uint64_t zeros = 0;
    for (size_t r = 0; r < rows; r++) {
        const float *row = x + r * x_stride;
        for (size_t c = 0; c < cols; c += 64) {
            uint64_t pos = 0;
            uint64_t non = 0;
            for (size_t i = 0; i < 64 && c + i < cols; i += 8) {
                const size_t lanes = cols - c - i;
                const __m256 value = f32_load(row + c + i, lanes); // missing lanes are 0
                const __m256 gt = _mm256_cmp_ps(value, zero, _CMP_GT_OQ);
                const __m256 ne = _mm256_cmp_ps(value, zero, _CMP_NEQ_UQ);
                pos |= (uint64_t)(uint32_t)_mm256_movemask_ps(gt) << i;
                non |= (uint64_t)(uint32_t)_mm256_movemask_ps(ne) << i;
            }
            const uint64_t used = cols - c < 64 ? ((uint64_t)1 << (cols - c)) - 1 : ~(uint64_t)0;
            zeros |= used & ~non;
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
            for (size_t i = 0; i < 64 && c + i < cols; i += 8) {
                const size_t lanes = cols - c - i;
                const __m256i mask = first_lanes(lanes < 8 ? lanes : 8);
                const __m256i value = _mm256_maskload_epi32(row + c + i, mask);
                const __m256i limit = _mm256_maskload_epi32(thr + c + i, mask);
                const __m256i below = _mm256_cmpgt_epi32(limit, value);
                const __m256i reached = _mm256_andnot_si256(below, mask);
                word |= (uint64_t)(uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(reached)) << i;
            }
            bits[r * bits_stride + c / 64] = word;
        }
    }
}

void xnor_kernels_fill_avx2(xnor_kernels *table) {
    XNOR_GEMM_FAMILIES(XNOR_FAMILY_ENTRY)
    XNOR_OTHER_FAMILIES(XNOR_FAMILY_ENTRY)
}

#else
typedef int xnor_empty_avx2;
#endif
