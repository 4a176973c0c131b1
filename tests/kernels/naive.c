// The definitions of kernels.h evaluated one bit at a time: independent of every kernel set.
#include "harness.h"

#include "core/size.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct packed_header {
    size_t words;
    const uint64_t *w;
    const int32_t *limit;
} packed_header;

static int bit_at(const uint64_t *row, size_t index) {
    return (int)(row[index / 64] >> index % 64 & 1);
}

static void store_bit(uint64_t *row, size_t index, bool value) {
    if (index % 64 == 0) row[index / 64] = 0;
    if (value) row[index / 64] |= 1ull << index % 64;
}

static void pack_f32(size_t rows, size_t cols, const float *x, size_t x_stride, uint64_t *bits,
                     size_t bits_stride) {
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < cols; c++) {
            store_bit(bits + r * bits_stride, c, x[r * x_stride + c] >= 0.0f);
        }
    }
}

static bool pack_f32_ternary(size_t rows, size_t cols, const float *x, size_t x_stride,
                             uint64_t *positive, uint64_t *nonzero, size_t bits_stride) {
    size_t zeros = 0;
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < cols; c++) {
            const float value = x[r * x_stride + c];
            const bool zero = fpclassify(value) == FP_ZERO;
            store_bit(positive + r * bits_stride, c, !isnan(value) && !zero && !signbit(value));
            store_bit(nonzero + r * bits_stride, c, !zero);
            zeros += zero;
        }
    }
    return zeros > 0;
}

static size_t gemm_packed_bytes(size_t k, size_t n) {
    (void)k;
    (void)n;
    return 64;
}

// Keeps pointers: the naive set lives only as long as the inputs of one case.
static void gemm_pack(size_t k, size_t n, const uint64_t *w, const int32_t *limit, void *packed) {
    (void)n;
    const packed_header header = {xnor_words(k), w, limit};
    memcpy(packed, &header, sizeof header);
}

static void gemm_limits(size_t k, size_t n, const int32_t *limit, void *packed) {
    (void)k;
    (void)n;
    packed_header header;
    memcpy(&header, packed, sizeof header);
    header.limit = limit;
    memcpy(packed, &header, sizeof header);
}

static int32_t dot(const xnor_gemm_args *args, size_t m, size_t c, const uint64_t *mask) {
    const packed_header *packed = args->packed;
    int32_t sum = 0;
    for (size_t i = 0; i < args->k; i++) {
        const int a = bit_at(args->a + m * args->a_stride, i) ? 1 : -1;
        const int w = bit_at(packed->w + c * packed->words, i) ? 1 : -1;
        if (!mask || bit_at(mask, i)) sum += a * w;
    }
    return sum;
}

static void gemm_acc(const xnor_gemm_args *args, int32_t *acc, size_t acc_stride) {
    for (size_t m = 0; m < args->rows; m++) {
        for (size_t c = args->n_begin; c < args->n_end; c++) {
            acc[m * acc_stride + c] = dot(args, m, c, NULL);
        }
    }
}

static void gemm_thr(const xnor_gemm_args *args, uint64_t *out, size_t out_stride) {
    const packed_header *packed = args->packed;
    for (size_t m = 0; m < args->rows; m++) {
        for (size_t c = args->n_begin; c < args->n_end; c++) {
            const int64_t different = ((int64_t)args->k - dot(args, m, c, NULL)) / 2;
            store_bit(out + m * out_stride, c, different <= packed->limit[c]);
        }
    }
}

static void gemm_max(const xnor_gemm_args *args, int32_t *max) {
    for (size_t m = 0; m < args->rows; m++) {
        for (size_t c = args->n_begin; c < args->n_end; c++) {
            const int32_t acc = dot(args, m, c, NULL);
            max[c] = acc > max[c] ? acc : max[c];
        }
    }
}

static void gemm_acc_ternary(const xnor_gemm_args *args, int32_t *acc, size_t acc_stride) {
    for (size_t m = 0; m < args->rows; m++) {
        for (size_t c = args->n_begin; c < args->n_end; c++) {
            acc[m * acc_stride + c] = dot(args, m, c, args->mask + m * args->a_stride);
        }
    }
}

static void gemm_max_ternary(const xnor_gemm_args *args, int32_t *max) {
    for (size_t m = 0; m < args->rows; m++) {
        for (size_t c = args->n_begin; c < args->n_end; c++) {
            const int32_t acc = dot(args, m, c, args->mask + m * args->a_stride);
            max[c] = acc > max[c] ? acc : max[c];
        }
    }
}

static void acc_thr(size_t rows, size_t cols, const int32_t *acc, size_t acc_stride,
                    const int32_t *thr, uint64_t *bits, size_t bits_stride) {
    for (size_t r = 0; r < rows; r++) {
        for (size_t c = 0; c < cols; c++) {
            store_bit(bits + r * bits_stride, c, acc[r * acc_stride + c] >= thr[c]);
        }
    }
}

static void patch_bits(const xnor_patch_args *args, size_t y, size_t x_begin, size_t count,
                       uint64_t *rows, size_t rows_stride) {
    const long height = (long)args->height, width = (long)args->width;
    for (size_t m = 0; m < count; m++) {
        size_t i = 0;
        for (size_t ky = 0; ky < args->kernel_h; ky++) {
            const long v = (long)(y * args->stride_h + ky * args->dilation_h - args->pad_top);
            for (size_t kx = 0; kx < args->kernel_w; kx++) {
                const long u =
                    (long)((x_begin + m) * args->stride_w + kx * args->dilation_w - args->pad_left);
                const bool inside = v >= 0 && v < height && u >= 0 && u < width;
                for (size_t c = 0; c < args->channels; c++, i++) {
                    const bool bit =
                        inside && bit_at(args->plane + (size_t)(v * width + u) * args->pixel_stride,
                                         args->channel_begin + c);
                    store_bit(rows + m * rows_stride, i, bit);
                }
            }
        }
    }
}

static float dot_f32(size_t k, const float *a, const float *b, size_t b_stride, const float *bias) {
    float sum = bias ? *bias : 0.0f;
    for (size_t i = 0; i < k; i++) sum = fmaf(a[i], b[i * b_stride], sum);
    return sum;
}

static void gemm_f32(size_t rows, size_t k, size_t n, const float *a, size_t a_stride,
                     const float *b, size_t b_stride, const float *bias, float *out,
                     size_t out_stride) {
    for (size_t m = 0; m < rows; m++) {
        for (size_t c = 0; c < n; c++) {
            out[m * out_stride + c] =
                dot_f32(k, a + m * a_stride, b + c, b_stride, bias ? bias + c : NULL);
        }
    }
}

static void gemm_f32_bits(size_t rows, size_t k, size_t n, const float *a, size_t a_stride,
                          const float *b, size_t b_stride, const float *bias, uint64_t *bits,
                          size_t bits_stride) {
    for (size_t m = 0; m < rows; m++) {
        for (size_t c = 0; c < n; c++) {
            const float value =
                dot_f32(k, a + m * a_stride, b + c, b_stride, bias ? bias + c : NULL);
            store_bit(bits + m * bits_stride, c, value >= 0.0f);
        }
    }
}

static float distance(const float *x, size_t stride, const float *query, size_t j) {
    float sum = 0;
    for (size_t c = 0; c < 3; c++) {
        const float d = query[c] - x[c * stride + j];
        const float square = d * d;
        sum += square;
    }
    return sum;
}

static size_t farthest_f32(size_t n, const float *x, size_t stride, const float *query,
                           float *nearest) {
    size_t best = 0;
    for (size_t j = 0; j < n; j++) {
        const float d = distance(x, stride, query, j);
        if (!isnan(d)) nearest[j] = fminf(nearest[j], d);
        if (nearest[j] > nearest[best]) best = j;
    }
    return best;
}

static size_t within_f32(size_t n, const float *x, size_t stride, const float *query, float limit,
                         size_t k, int64_t *found) {
    size_t count = 0;
    for (size_t j = 0; j < n; j++) {
        if (count < k && isless(distance(x, stride, query, j), limit)) found[count++] = (int64_t)j;
    }
    return count;
}

static void distances_f32(size_t rows, size_t panels, size_t channels, const float *query,
                          size_t query_stride, const float *points, float *d, size_t d_stride) {
    for (size_t r = 0; r < rows; r++)
        for (size_t panel = 0; panel < panels; panel++)
            for (size_t j = 0; j < XNOR_PANEL; j++) {
                float sum = 0;
                for (size_t c = 0; c < channels; c++) {
                    const float p = points[(panel * channels + c) * XNOR_PANEL + j];
                    const float difference = query[r * query_stride + c] - p;
                    sum = fmaf(difference, difference, sum);
                }
                d[r * d_stride + panel * XNOR_PANEL + j] = sum == sum ? sum : INFINITY;
            }
}

static void code_distances(size_t rows, size_t panels, size_t pairs, const int16_t *query,
                           const int32_t *query_norm, const int16_t *points,
                           const int32_t *point_norm, float scale, float *d, size_t d_stride) {
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < panels * XNOR_PANEL; j++) {
            int64_t sum = (int64_t)query_norm[r] + point_norm[j];
            for (size_t c = 0; c < 2 * pairs; c++) {
                const size_t pair = j / XNOR_PANEL * pairs + c / 2;
                const size_t at = 2 * (pair * XNOR_PANEL + j % XNOR_PANEL) + c % 2;
                sum -= (int64_t)2 * query[r * 2 * pairs + c] * points[at];
            }
            d[r * d_stride + j] = (float)sum * scale;
        }
}

static float rounded_distance(size_t channels, const float *a, const float *b) {
    double s[8] = {0};
    for (size_t c = 0; c < channels; c++)
        s[c % 8] += ((double)a[c] - (double)b[c]) * ((double)a[c] - (double)b[c]);
    const double sum = ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
    return isnan(sum) ? INFINITY : (float)sum;
}

// The list so far and the new points, of which the smallest is taken k times. No filter.
static void nearest_f32(size_t n, size_t channels, const float *query, const float *points,
                        const float *d, float slack, size_t first, size_t k, float *values,
                        int64_t *nearest) {
    (void)d;
    (void)slack;
    const size_t before = first < k ? first : k;
    float *left = malloc((before + n + 1) * sizeof *left);
    int64_t *names = malloc((before + n + 1) * sizeof *names);
    if (!left || !names) abort();
    for (size_t i = 0; i < before + n; i++) {
        left[i] = i < before ? values[i]
                             : rounded_distance(channels, query, points + (i - before) * channels);
        names[i] = i < before ? nearest[i] : (int64_t)(first + i - before);
    }
    for (size_t at = 0; at < k && at < before + n; at++) {
        size_t best = SIZE_MAX;
        for (size_t i = 0; i < before + n; i++)
            if (names[i] >= 0 && (best == SIZE_MAX || left[i] < left[best])) best = i;
        values[at] = left[best];
        nearest[at] = names[best];
        names[best] = -1;
    }
    free(left);
    free(names);
}

static void depthwise_f32(const xnor_depthwise_args *args, float *out) {
    for (size_t i = 0; i < args->count * args->channels; i++) {
        const size_t p = i / args->channels, c = i % args->channels;
        float *y = out + p * args->out_stride + c;
        *y = args->bias ? args->bias[c] : 0.0f;
        for (size_t t = 0; t < args->taps; t++) {
            const float *x = args->x + p * args->x_stride + args->x_offset[t];
            *y = fmaf(x[c], args->w[args->w_offset[t] + c], *y);
        }
    }
}

static void edge_signs_f32(size_t count, size_t cols, const float *x, size_t x_stride,
                           const int64_t *index, const float *own, uint64_t *positive,
                           uint64_t *nonzero, size_t bits_stride) {
    float *row = malloc(cols * sizeof *row);
    if (!row) abort();
    for (size_t r = 0; r < count; r++) {
        for (size_t c = 0; c < cols; c++) row[c] = x[(size_t)index[r] * x_stride + c] - own[c];
        pack_f32_ternary(1, cols, row, cols, positive + r * bits_stride, nonzero + r * bits_stride,
                         bits_stride);
    }
    free(row);
}

static void rows_affine(size_t rows, size_t n, const int32_t *acc, size_t acc_stride,
                        const float *factor, const float *scale, const float *shift, float *out,
                        size_t out_stride) {
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < n; c++) {
            const float x = (float)acc[r * acc_stride + c] * factor[r];
            out[r * out_stride + c] = fmaf(x, scale[c], shift[c]);
        }
}

static void rows_max(size_t rows, size_t n, const int32_t *acc, size_t acc_stride,
                     const float *factor, float *max) {
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < n; c++) {
            const float x = (float)acc[r * acc_stride + c] * factor[r];
            if (isgreater(x, max[c])) max[c] = x;
        }
}

static void rows_magnitude(size_t rows, size_t n, const float *x, size_t x_stride, float low,
                           float high, float *mean) {
    for (size_t r = 0; r < rows; r++) {
        float sums[16] = {0};
        double total = 0;
        for (size_t c = 0; c < n; c++) {
            float y = x[r * x_stride + c];
            if (isless(y, low)) y = low;
            if (isgreater(y, high)) y = high;
            sums[c % 16] += fabsf(y);
        }
        for (size_t i = 0; i < 16; i++) total += (double)sums[i];
        mean[r] = (float)(total / (double)n);
    }
}

static void mix_f32(size_t count, const float *a, const float *b, float share, float *out) {
    for (size_t i = 0; i < count; i++) out[i] = fmaf(share, b[i], (1 - share) * a[i]);
}

static void mix_pixels_f32(size_t pixels, size_t channels, const float *x, const int32_t *first,
                           const int32_t *second, const float *share, float *out) {
    for (size_t i = 0; i < pixels * channels; i++) {
        const size_t p = i / channels, c = i % channels;
        const float a = x[(size_t)first[p] * channels + c];
        out[i] = fmaf(share[p], x[(size_t)second[p] * channels + c], (1 - share[p]) * a);
    }
}

static void mix_lines_f32(const xnor_mix_lines_args *m, float *out) {
    for (size_t line = 0; line < m->lines; line++)
        mix_pixels_f32(m->pixels, 1, m->x + line * m->x_stride, m->first, m->second, m->share,
                       out + line * m->out_stride);
}

// Value by value.
static void pointwise(const xnor_pointwise *program, size_t first, size_t rows,
                      const int32_t *const *acc, const float *x) {
    const size_t n = program->n, words = xnor_words(n);
    for (size_t i = 0; i < program->op_count; i++) {
        const xnor_pointwise_op *op = &program->ops[i];
        const bool signs = op->code >= XNOR_POINTWISE_SIGNS_FIRST;
        if (signs) memset((uint64_t *)op->y + first * words, 0, rows * words * sizeof(uint64_t));
        if (signs && op->z)
            memset((uint64_t *)op->z + first * words, 0, rows * words * sizeof(uint64_t));
    }
    for (size_t j = 0; j < rows * n; j++) {
        const size_t row = first + j / n, c = j % n, at = row * n + c;
        float v = x ? x[j] : (float)acc[0][j], kept = 0;
        for (size_t i = 0; i < program->op_count; i++) {
            const xnor_pointwise_op *op = &program->ops[i];
            const float *a = op->a, *b = op->b;
            bool bit = false, second = false;
            if (op->code == XNOR_POINTWISE_ADD_SUM) v += (float)((const int32_t *)op->a)[at];
            if (op->code == XNOR_POINTWISE_AFFINE) v = fmaf(v, a[c], b[c]);
            if (op->code == XNOR_POINTWISE_ADD) v = v + a[at];
            if (op->code == XNOR_POINTWISE_MUL) v = v * a[at];
            if (op->code == XNOR_POINTWISE_CLIP && isless(v, op->low)) v = op->low;
            if (op->code == XNOR_POINTWISE_CLIP && isgreater(v, op->high)) v = op->high;
            if (op->code == XNOR_POINTWISE_GATE) v = isgreater(v, 0) ? 1 : 0;
            if (op->code == XNOR_POINTWISE_ROUND && fabsf(v) < 8388608.0f) {
                const float whole = floorf(v), part = v - whole;
                const bool up = part > 0.5f || (part == 0.5f && fmodf(whole, 2) != 0);
                v = copysignf(whole + (up ? 1 : 0), v);
            }
            if (op->code == XNOR_POINTWISE_LAYER) {
                kept = v;
                v = (float)acc[op->layer][j];
            }
            if (op->code == XNOR_POINTWISE_ADD_KEPT) v += kept;
            if (op->code == XNOR_POINTWISE_STORE) ((float *)op->y)[at] = v;
            if (op->code == XNOR_POINTWISE_STORE_TILE) ((float *)op->y)[j] = v;
            if (op->code == XNOR_POINTWISE_SIGNS) bit = isgreaterequal(v, 0);
            if (op->code == XNOR_POINTWISE_TERNARY) {
                bit = isgreater(v, 0);
                second = v != 0;
            }
            if (op->code == XNOR_POINTWISE_AT_LEAST) bit = isgreaterequal(v, a[c]);
            if (op->code == XNOR_POINTWISE_AT_LEAST_TERNARY) {
                bit = isgreaterequal(v, a[c]);
                second = bit || isless(v, b[c]);
            }
            if (bit) ((uint64_t *)op->y)[row * words + c / 64] |= UINT64_C(1) << c % 64;
            if (second) ((uint64_t *)op->z)[row * words + c / 64] |= UINT64_C(1) << c % 64;
        }
    }
}

const xnor_kernels naive_kernels = {
    .isa = "naive",
    .pack_f32 = pack_f32,
    .pack_f32_ternary = pack_f32_ternary,
    .gemm_packed_bytes = gemm_packed_bytes,
    .gemm_pack = gemm_pack,
    .gemm_limits = gemm_limits,
    .gemm_acc = gemm_acc,
    .gemm_thr = gemm_thr,
    .gemm_max = gemm_max,
    .gemm_acc_ternary = gemm_acc_ternary,
    .gemm_max_ternary = gemm_max_ternary,
    .acc_thr = acc_thr,
    .patch_bits = patch_bits,
    .gemm_f32 = gemm_f32,
    .gemm_f32_bits = gemm_f32_bits,
    .farthest_f32 = farthest_f32,
    .within_f32 = within_f32,
    .distances_f32 = distances_f32,
    .code_distances = code_distances,
    .nearest_f32 = nearest_f32,
    .edge_signs_f32 = edge_signs_f32,
    .depthwise_f32 = depthwise_f32,
    .rows_affine = rows_affine,
    .rows_max = rows_max,
    .rows_magnitude = rows_magnitude,
    .mix_f32 = mix_f32,
    .mix_pixels_f32 = mix_pixels_f32,
    .mix_lines_f32 = mix_lines_f32,
    .pointwise = pointwise,
};
