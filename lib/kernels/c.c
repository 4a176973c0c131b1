// Portable C kernels: the meaning of every entry, in the most obvious form. The other sets are
// checked against this one.
//
// Packed weights: uint64_t w[n][words] as given, then int32_t limit[n].
// One word of 64 bit-MAC costs about 15 integer instructions (the SWAR popcount is the limit).
#include "kernels/depthwise.h"
#include "kernels/edges.h"
#include "kernels/mix.h"
#include "kernels/nearest.h"
#include "kernels/patches.h"
#include "kernels/points.h"
#include "kernels/rows.h"
#include "kernels/sets.h"
#include "kernels/winograd.h"

#include "core/size.h"

#include <math.h>
#include <string.h>

static uint32_t popcount64(uint64_t x) {
    x -= (x >> 1) & 0x5555555555555555u;
    x = (x & 0x3333333333333333u) + ((x >> 2) & 0x3333333333333333u);
    x = (x + (x >> 4)) & 0x0F0F0F0F0F0F0F0Fu;
    return (uint32_t)((x * 0x0101010101010101u) >> 56);
}

static void pack_f32(size_t rows, size_t cols, const float *x, size_t x_stride, uint64_t *bits,
                     size_t bits_stride) {
    for (size_t r = 0; r < rows; r++) {
        uint64_t *row = bits + r * bits_stride;
        memset(row, 0, xnor_words(cols) * sizeof *row);
        for (size_t c = 0; c < cols; c++) {
            row[c / 64] |= (uint64_t)(x[r * x_stride + c] >= 0.0f) << (c % 64);
        }
    }
}

static bool pack_f32_ternary(size_t rows, size_t cols, const float *x, size_t x_stride,
                             uint64_t *positive, uint64_t *nonzero, size_t bits_stride) {
    bool any_zero = false;
    for (size_t r = 0; r < rows; r++) {
        uint64_t *pos = positive + r * bits_stride;
        uint64_t *non = nonzero + r * bits_stride;
        memset(pos, 0, xnor_words(cols) * sizeof *pos);
        memset(non, 0, xnor_words(cols) * sizeof *non);
        for (size_t c = 0; c < cols; c++) {
            const float value = x[r * x_stride + c];
            pos[c / 64] |= (uint64_t)(value > 0.0f) << (c % 64);
            non[c / 64] |= (uint64_t)(value != 0.0f) << (c % 64); // NaN is not equal to 0
            any_zero |= value == 0.0f;
        }
    }
    return any_zero;
}

// Of at most 64 channels from `channel` on of a row, of which v are the values; `in_tile`: where they lie in it.
static void pointwise_op_of(const xnor_pointwise_op *op, size_t element, size_t in_tile,
                            size_t channel, size_t word, size_t count, const int32_t *layer,
                            float *v, float *kept) {
    const float *a = op->a, *b = op->b;
    uint64_t positive = 0, nonzero = 0;
    switch (op->code) {
    case XNOR_POINTWISE_ADD_SUM:
        for (size_t i = 0; i < count; i++) v[i] += (float)((const int32_t *)op->a)[element + i];
        return;
    case XNOR_POINTWISE_AFFINE:
        for (size_t i = 0; i < count; i++) v[i] = fmaf(v[i], a[channel + i], b[channel + i]);
        return;
    case XNOR_POINTWISE_ADD:
        for (size_t i = 0; i < count; i++) v[i] += a[element + i];
        return;
    case XNOR_POINTWISE_MUL:
        for (size_t i = 0; i < count; i++) v[i] *= a[element + i];
        return;
    case XNOR_POINTWISE_CLIP:
        for (size_t i = 0; i < count; i++) {
            const float low = op->low > v[i] ? op->low : v[i];
            v[i] = op->high < low ? op->high : low;
        }
        return;
    case XNOR_POINTWISE_GATE:
        for (size_t i = 0; i < count; i++) v[i] = v[i] > 0 ? 1 : 0;
        return;
    case XNOR_POINTWISE_ROUND:
        for (size_t i = 0; i < count; i++) v[i] = rintf(v[i]);
        return;
    case XNOR_POINTWISE_LAYER:
        for (size_t i = 0; i < count; i++) {
            kept[i] = v[i];
            v[i] = (float)layer[i];
        }
        return;
    case XNOR_POINTWISE_ADD_KEPT:
        for (size_t i = 0; i < count; i++) v[i] += kept[i];
        return;
    case XNOR_POINTWISE_STORE:
        memcpy((float *)op->y + element, v, count * sizeof *v);
        return;
    case XNOR_POINTWISE_STORE_TILE:
        memcpy((float *)op->y + in_tile, v, count * sizeof *v);
        return;
    case XNOR_POINTWISE_SIGNS:
        for (size_t i = 0; i < count; i++) positive |= (uint64_t)(v[i] >= 0) << i;
        break;
    case XNOR_POINTWISE_TERNARY:
        for (size_t i = 0; i < count; i++) {
            positive |= (uint64_t)(v[i] > 0) << i;
            nonzero |= (uint64_t)(v[i] != 0) << i;
        }
        break;
    case XNOR_POINTWISE_AT_LEAST:
        for (size_t i = 0; i < count; i++) positive |= (uint64_t)(v[i] >= a[channel + i]) << i;
        break;
    case XNOR_POINTWISE_AT_LEAST_TERNARY:
        for (size_t i = 0; i < count; i++) {
            positive |= (uint64_t)(v[i] >= a[channel + i]) << i;
            nonzero |= (uint64_t)(v[i] >= a[channel + i] || v[i] < b[channel + i]) << i;
        }
        break;
    }
    ((uint64_t *)op->y)[word] = positive;
    if (op->z) ((uint64_t *)op->z)[word] = nonzero;
}

static void pointwise(const xnor_pointwise *program, size_t first, size_t rows,
                      const int32_t *const *acc, const float *x) {
    const size_t n = program->n;
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < n; c += 64) {
            const size_t count = n - c < 64 ? n - c : 64,
                         word = (first + r) * xnor_words(n) + c / 64;
            const size_t at = r * n + c;
            float v[64], kept[64];
            for (size_t i = 0; i < count; i++) v[i] = x ? x[at + i] : (float)acc[0][at + i];
            for (size_t i = 0; i < program->op_count; i++) {
                const xnor_pointwise_op *op = &program->ops[i];
                const int32_t *layer =
                    op->code == XNOR_POINTWISE_LAYER ? acc[op->layer] + at : NULL;
                pointwise_op_of(op, first * n + at, at, c, word, count, layer, v, kept);
            }
        }
}

static size_t gemm_packed_bytes(size_t k, size_t n) {
    return xnor_align_up(n * xnor_words(k) * sizeof(uint64_t) + n * sizeof(int32_t), 64);
}

static const int32_t *limits(const xnor_gemm_args *args) {
    return (const int32_t *)((const uint64_t *)args->packed + args->n * xnor_words(args->k));
}

static void gemm_limits(size_t k, size_t n, const int32_t *limit, void *packed) {
    memcpy((uint64_t *)packed + n * xnor_words(k), limit, n * sizeof *limit);
}

static void gemm_pack(size_t k, size_t n, const uint64_t *w, const int32_t *limit, void *packed) {
    const size_t weight_bytes = n * xnor_words(k) * sizeof *w;
    memset(packed, 0, gemm_packed_bytes(k, n));
    memcpy(packed, w, weight_bytes);
    if (limit) gemm_limits(k, n, limit, packed);
}

// popcount(a[m] XOR w[c])
static int32_t distance(const xnor_gemm_args *args, size_t m, size_t c) {
    const size_t words = xnor_words(args->k);
    const uint64_t *a = args->a + m * args->a_stride;
    const uint64_t *w = (const uint64_t *)args->packed + c * words;
    uint32_t count = 0;
    for (size_t j = 0; j < words; j++) count += popcount64(a[j] ^ w[j]);
    return (int32_t)count;
}

static void gemm_acc(const xnor_gemm_args *args, int32_t *acc, size_t acc_stride) {
    for (size_t m = 0; m < args->rows; m++) {
        for (size_t c = args->n_begin; c < args->n_end; c++) {
            acc[m * acc_stride + c] = (int32_t)args->k - 2 * distance(args, m, c);
        }
    }
}

static void gemm_thr(const xnor_gemm_args *args, uint64_t *out, size_t out_stride) {
    const int32_t *limit = limits(args);
    for (size_t m = 0; m < args->rows; m++) {
        for (size_t begin = args->n_begin; begin < args->n_end; begin += 64) {
            const size_t count = args->n_end - begin < 64 ? args->n_end - begin : 64;
            uint64_t word = 0;
            for (size_t i = 0; i < count; i++) {
                word |= (uint64_t)(distance(args, m, begin + i) <= limit[begin + i]) << i;
            }
            out[m * out_stride + begin / 64] = word;
        }
    }
}

static void gemm_max(const xnor_gemm_args *args, int32_t *max) {
    for (size_t m = 0; m < args->rows; m++) {
        for (size_t c = args->n_begin; c < args->n_end; c++) {
            const int32_t acc = (int32_t)args->k - 2 * distance(args, m, c);
            if (acc > max[c]) max[c] = acc;
        }
    }
}

static int32_t ternary_acc(const xnor_gemm_args *args, size_t m, size_t c) {
    const size_t words = xnor_words(args->k);
    const uint64_t *a = args->a + m * args->a_stride;
    const uint64_t *mask = args->mask + m * args->a_stride;
    const uint64_t *w = (const uint64_t *)args->packed + c * words;
    int32_t sum = 0;
    for (size_t j = 0; j < words; j++) {
        sum += (int32_t)popcount64(mask[j]);
        sum -= 2 * (int32_t)popcount64((a[j] ^ w[j]) & mask[j]);
    }
    return sum;
}

static void gemm_acc_ternary(const xnor_gemm_args *args, int32_t *acc, size_t acc_stride) {
    for (size_t m = 0; m < args->rows; m++)
        for (size_t c = args->n_begin; c < args->n_end; c++)
            acc[m * acc_stride + c] = ternary_acc(args, m, c);
}

static void gemm_max_ternary(const xnor_gemm_args *args, int32_t *max) {
    for (size_t m = 0; m < args->rows; m++)
        for (size_t c = args->n_begin; c < args->n_end; c++) {
            const int32_t acc = ternary_acc(args, m, c);
            if (acc > max[c]) max[c] = acc;
        }
}

static void acc_thr(size_t rows, size_t cols, const int32_t *acc, size_t acc_stride,
                    const int32_t *thr, uint64_t *bits, size_t bits_stride) {
    for (size_t r = 0; r < rows; r++) {
        uint64_t *row = bits + r * bits_stride;
        memset(row, 0, xnor_words(cols) * sizeof *row);
        for (size_t c = 0; c < cols; c++) {
            row[c / 64] |= (uint64_t)(acc[r * acc_stride + c] >= thr[c]) << (c % 64);
        }
    }
}

static void gemm_f32(size_t rows, size_t k, size_t n, const float *a, size_t a_stride,
                     const float *b, size_t b_stride, const float *bias, float *out,
                     size_t out_stride) {
    for (size_t m = 0; m < rows; m++) {
        for (size_t c = 0; c < n; c++) {
            float sum = bias ? bias[c] : 0.0f;
            for (size_t i = 0; i < k; i++) {
                sum = fmaf(a[m * a_stride + i], b[i * b_stride + c], sum);
            }
            out[m * out_stride + c] = sum;
        }
    }
}

static void gemm_f32_add(size_t rows, size_t k, size_t n, const float *a, size_t a_stride,
                         const float *b, size_t b_stride, float *out, size_t out_stride) {
    for (size_t m = 0; m < rows; m++) {
        for (size_t c = 0; c < n; c++) {
            float sum = out[m * out_stride + c];
            for (size_t i = 0; i < k; i++) {
                sum = fmaf(a[m * a_stride + i], b[i * b_stride + c], sum);
            }
            out[m * out_stride + c] = sum;
        }
    }
}

static void gemm_f32_bits(size_t rows, size_t k, size_t n, const float *a, size_t a_stride,
                          const float *b, size_t b_stride, const float *bias, uint64_t *bits,
                          size_t bits_stride) {
    for (size_t m = 0; m < rows; m++) {
        uint64_t *row = bits + m * bits_stride;
        memset(row, 0, xnor_words(n) * sizeof *row);
        for (size_t c = 0; c < n; c++) {
            float sum = bias ? bias[c] : 0.0f;
            for (size_t i = 0; i < k; i++) {
                sum = fmaf(a[m * a_stride + i], b[i * b_stride + c], sum);
            }
            row[c / 64] |= (uint64_t)(sum >= 0.0f) << (c % 64);
        }
    }
}

const xnor_kernels xnor_kernels_c = {
    .isa = "c", XNOR_GEMM_FAMILIES(XNOR_FAMILY_FIELD) XNOR_OTHER_FAMILIES(XNOR_FAMILY_FIELD)};

void xnor_kernels_fill_c(xnor_kernels *table) {
    *table = xnor_kernels_c;
}
