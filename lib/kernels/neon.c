// The NEON kernel set, plain ARMv8. The binary gemm is in neon_bits.h, the float gemm in
// f32_gemm.h; here are the packers: per 16 inputs four loads, four compares and seven operations
// that gather the masks, limited by the vector pipes.
#if defined(__aarch64__)

#include "kernels/neon_bits.h"

typedef float32x4_t vf;
#define F32_LANES 4
#define F32_VECTORS 4
#define F32_WIDE_VECTORS 8

ALWAYS_INLINE vf vf_zero(void) {
    return vdupq_n_f32(0.0f);
}

ALWAYS_INLINE vf vf_set1(float x) {
    return vdupq_n_f32(x);
}

ALWAYS_INLINE vf vf_load(const float *p) {
    return vld1q_f32(p);
}

ALWAYS_INLINE vf vf_load_part(const float *p, size_t count) {
    float32x4_t v = vld1q_lane_f32(p, vdupq_n_f32(0.0f), 0);
    if (count > 1) v = vld1q_lane_f32(p + 1, v, 1);
    if (count > 2) v = vld1q_lane_f32(p + 2, v, 2);
    return v;
}

ALWAYS_INLINE void vf_store(float *p, vf v) {
    vst1q_f32(p, v);
}

ALWAYS_INLINE void vf_store_part(float *p, vf v, size_t count) {
    vst1q_lane_f32(p, v, 0);
    if (count > 1) vst1q_lane_f32(p + 1, v, 1);
    if (count > 2) vst1q_lane_f32(p + 2, v, 2);
}

ALWAYS_INLINE vf vf_fma(vf a, vf b, vf c) {
    return vfmaq_f32(c, a, b);
}

ALWAYS_INLINE vf vf_sub(vf a, vf b) {
    return vsubq_f32(a, b);
}

ALWAYS_INLINE vf vf_mul(vf a, vf b) {
    return vmulq_f32(a, b);
}

ALWAYS_INLINE vf vf_add(vf a, vf b) {
    return vaddq_f32(a, b);
}

ALWAYS_INLINE vf vf_min(vf a, vf b) {
    return vbslq_f32(vcltq_f32(a, b), a, b);
}

ALWAYS_INLINE uint64_t vf_ge0(vf v) {
    const uint32x4_t weight = {1, 2, 4, 8};
    return vaddvq_u32(vandq_u32(vcgezq_f32(v), weight));
}

#include "kernels/f32_gemm.h"

#include "kernels/depthwise.h"

ALWAYS_INLINE vf vf_max(vf a, vf b) {
    return vmaxnmq_f32(a, b);
}

ALWAYS_INLINE uint64_t vf_lt(vf a, vf b) {
    const uint32x4_t weight = {1, 2, 4, 8};
    return vaddvq_u32(vandq_u32(vcltq_f32(a, b), weight));
}

typedef int32x4_t vi;
typedef int16x4x2_t vpairs;

ALWAYS_INLINE vi vi_zero(void) {
    return vdupq_n_s32(0);
}

ALWAYS_INLINE vpairs vpairs_load(const int16_t *p) {
    return vld2_s16(p);
}

ALWAYS_INLINE vpairs vpairs_same(const int16_t *p) {
    return vld2_dup_s16(p);
}

ALWAYS_INLINE vi vi_dot(vi sum, vpairs a, vpairs b) {
    return vmlal_s16(vmlal_s16(sum, a.val[0], b.val[0]), a.val[1], b.val[1]);
}

ALWAYS_INLINE vf vi_norms_minus_twice(int32_t norm, const int32_t *norms, vi sum) {
    const vi both = vaddq_s32(vdupq_n_s32(norm), vld1q_s32(norms));
    return vcvtq_f32_s32(vsubq_s32(both, vshlq_n_s32(sum, 1)));
}

#include "kernels/nearest.h"
#include "kernels/points.h"

#include "kernels/edges.h"
ALWAYS_INLINE vf vf_load_i32(const int32_t *p) {
    return vcvtq_f32_s32(vld1q_s32(p));
}

ALWAYS_INLINE vf vf_pick(vf a, vf b) {
    return vbslq_f32(vcgtq_f32(a, b), a, b);
}

#include "kernels/rows.h"

ALWAYS_INLINE vf vf_gate(vf v) {
    const uint32x4_t one = vreinterpretq_u32_f32(vdupq_n_f32(1));
    return vreinterpretq_f32_u32(vandq_u32(vcgtq_f32(v, vdupq_n_f32(0)), one));
}

ALWAYS_INLINE uint64_t vf_ne0(vf v) {
    const uint32x4_t weight = {1, 2, 4, 8};
    return vaddvq_u32(vbicq_u32(weight, vceqzq_f32(v)));
}

ALWAYS_INLINE uint64_t vf_join(const uint64_t *lanes) {
    uint64_t word = 0;
    UNROLL for (size_t k = 0; k < 64 / F32_LANES; k++) word |= lanes[k] << (k * F32_LANES);
    return word;
}

ALWAYS_INLINE vf vf_round(vf v) {
    return vrndnq_f32(v);
}

#include "kernels/pointwise.h"

ALWAYS_INLINE vf vf_gather(const float *p, const int32_t *at) {
    const float lanes[4] = {p[at[0]], p[at[1]], p[at[2]], p[at[3]]};
    return vld1q_f32(lanes);
}

typedef uint32x4_t vlanes;

ALWAYS_INLINE vlanes vlanes_from(const int32_t *at, int32_t base) {
    return vreinterpretq_u32_s32(vsubq_s32(vld1q_s32(at), vdupq_n_s32(base)));
}

ALWAYS_INLINE bool vlanes_exist(vlanes a, vlanes b) {
    return vmaxvq_u32(vorrq_u32(a, b)) < 4;
}

// By the bytes 4l, 4l + 1, 4l + 2 and 4l + 3 of lane l.
ALWAYS_INLINE vf vf_choose(vf v, vlanes lanes) {
    const uint32x4_t bytes = vmlaq_u32(vdupq_n_u32(0x03020100), lanes, vdupq_n_u32(0x04040404));
    const uint8x16_t chosen = vqtbl1q_u8(vreinterpretq_u8_f32(v), vreinterpretq_u8_u32(bytes));
    return vreinterpretq_f32_u8(chosen);
}

ALWAYS_INLINE void vf_stream(float *p, vf v) {
    vst1q_f32(p, v);
}

ALWAYS_INLINE void vf_stream_end(void) {
}

#include "kernels/mix.h"
#include "kernels/winograd.h"

typedef uint64x2_t vu;
#define U64_LANES 2

ALWAYS_INLINE vu vu_zero(void) {
    return vdupq_n_u64(0);
}

ALWAYS_INLINE vu vu_load(const uint64_t *p, size_t step) {
    return step == 1 ? vld1q_u64(p) : vcombine_u64(vld1_u64(p), vld1_u64(p + step));
}

ALWAYS_INLINE void vu_store(uint64_t *p, vu v) {
    vst1q_u64(p, v);
}

ALWAYS_INLINE vu vu_move(vu sum, vu v, int64_t shift, uint64_t mask) {
    return vbslq_u64(vdupq_n_u64(mask), vshlq_u64(v, vdupq_n_s64(shift)), sum);
}

#include "kernels/patches.h"

// Bit i of the result is set where lane i of the 16 is all ones.
ALWAYS_INLINE uint64_t gather16(uint32x4_t m0, uint32x4_t m1, uint32x4_t m2, uint32x4_t m3) {
    const uint16x8_t low = vuzp1q_u16(vreinterpretq_u16_u32(m0), vreinterpretq_u16_u32(m1));
    const uint16x8_t high = vuzp1q_u16(vreinterpretq_u16_u32(m2), vreinterpretq_u16_u32(m3));
    const uint8x16_t weight = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201u));
    const uint8x16_t bits =
        vandq_u8(vuzp1q_u8(vreinterpretq_u8_u16(low), vreinterpretq_u8_u16(high)), weight);
    return (uint64_t)vaddv_u8(vget_low_u8(bits)) | (uint64_t)vaddv_u8(vget_high_u8(bits)) << 8;
}

static void pack_f32(size_t rows, size_t cols, const float *x, size_t x_stride, uint64_t *bits,
                     size_t bits_stride) {
    for (size_t r = 0; r < rows; r++) {
        const float *row = x + r * x_stride;
        uint64_t word = 0;
        size_t c = 0;
        for (; c + 16 <= cols; c += 16) {
            const uint64_t part =
                gather16(vcgezq_f32(vld1q_f32(row + c)), vcgezq_f32(vld1q_f32(row + c + 4)),
                         vcgezq_f32(vld1q_f32(row + c + 8)), vcgezq_f32(vld1q_f32(row + c + 12)));
            word = c % 64 ? word | part << c % 64 : part;
            bits[r * bits_stride + c / 64] = word;
        }
        for (; c < cols; c++) {
            if (c % 64 == 0) word = 0;
            word |= (uint64_t)(row[c] >= 0.0f) << c % 64;
            bits[r * bits_stride + c / 64] = word;
        }
    }
}

static bool pack_f32_ternary(size_t rows, size_t cols, const float *x, size_t x_stride,
                             uint64_t *positive, uint64_t *nonzero, size_t bits_stride) {
    bool any_zero = false;
    for (size_t r = 0; r < rows; r++) {
        const float *row = x + r * x_stride;
        uint64_t pos = 0;
        uint64_t zero = 0;
        size_t c = 0;
        for (; c < cols; c++) {
            if (c % 64 == 0) pos = zero = 0;
            if (c + 16 <= cols && c % 16 == 0) {
                const float32x4_t x0 = vld1q_f32(row + c);
                const float32x4_t x1 = vld1q_f32(row + c + 4);
                const float32x4_t x2 = vld1q_f32(row + c + 8);
                const float32x4_t x3 = vld1q_f32(row + c + 12);
                pos |= gather16(vcgtzq_f32(x0), vcgtzq_f32(x1), vcgtzq_f32(x2), vcgtzq_f32(x3))
                       << c % 64;
                zero |= gather16(vceqzq_f32(x0), vceqzq_f32(x1), vceqzq_f32(x2), vceqzq_f32(x3))
                        << c % 64;
                c += 15;
            } else {
                pos |= (uint64_t)(row[c] > 0.0f) << c % 64;
                zero |= (uint64_t)(row[c] == 0.0f) << c % 64;
            }
            if (c % 64 == 63 || c + 1 == cols) {
                const uint64_t used = ~(uint64_t)0 >> (63 - c % 64);
                positive[r * bits_stride + c / 64] = pos;
                nonzero[r * bits_stride + c / 64] = ~zero & used;
                any_zero |= zero != 0;
            }
        }
    }
    return any_zero;
}

static void acc_thr(size_t rows, size_t cols, const int32_t *acc, size_t acc_stride,
                    const int32_t *thr, uint64_t *bits, size_t bits_stride) {
    for (size_t r = 0; r < rows; r++) {
        const int32_t *row = acc + r * acc_stride;
        uint64_t word = 0;
        size_t c = 0;
        for (; c + 16 <= cols; c += 16) {
            uint32x4_t mask[4];
            UNROLL for (size_t i = 0; i < 4; i++) {
                mask[i] = vcgeq_s32(vld1q_s32(row + c + 4 * i), vld1q_s32(thr + c + 4 * i));
            }
            const uint64_t part = gather16(mask[0], mask[1], mask[2], mask[3]);
            word = c % 64 ? word | part << c % 64 : part;
            bits[r * bits_stride + c / 64] = word;
        }
        for (; c < cols; c++) {
            if (c % 64 == 0) word = 0;
            word |= (uint64_t)(row[c] >= thr[c]) << c % 64;
            bits[r * bits_stride + c / 64] = word;
        }
    }
}

const xnor_kernels xnor_kernels_neon = {
    .isa = "neon", XNOR_GEMM_FAMILIES(XNOR_FAMILY_FIELD) XNOR_OTHER_FAMILIES(XNOR_FAMILY_FIELD)};

void xnor_kernels_fill_neon(xnor_kernels *table) {
    *table = xnor_kernels_neon;
}

#else
typedef int xnor_empty_neon;
#endif
