// Steps for real functions of integer sums: factors per row (XNOR-Net), sign tables, means over points,
// and element-wise functions.
#include <math.h>
#include <string.h>

#include "core/size.h"
#include "core/tensor.h"
#include "exec/tiles.h"
#include "ops/ops.h"

// Sums of a few rows at a time stay in the first-level cache.
enum { SUMS = 8192 };

// ---- integer layers with a factor per row -------------------------------------------------------

// acc of rows [begin, begin + count) in channels [first, last).
static void sums_of(const tile_context *c, size_t begin, size_t count, size_t first, size_t last,
                    int32_t *acc) {
    const xnor_step *s = c->step;
    size_t words = xnor_words(s->k);
    xnor_gemm_args args = {.rows = count,
                           .k = s->k,
                           .n = s->n,
                           .n_begin = first,
                           .n_end = last,
                           .a = (const uint64_t *)c->run->values[s->x] + begin * words,
                           .a_stride = words,
                           .packed = s->packed};
    if (s->graph->values[s->x].dtype == XNOR_TERNARY) {
        args.mask = args.a + s->groups * s->rows * words;
        c->run->kernels->gemm_acc_ternary(&args, acc, s->n);
    } else {
        c->run->kernels->gemm_acc(&args, acc, s->n);
    }
}

static void tile_gemm_rows(void *context, size_t begin, size_t end) {
    const tile_context *c = context;
    const xnor_step *s = c->step;
    const float *factor = c->run->values[s->w];
    float *y = c->run->values[s->y];
    int32_t acc[SUMS];
    size_t most = SUMS / s->n;
    for (size_t count; begin < end; begin += count) {
        count = end - begin < most ? end - begin : most;
        sums_of(c, begin, count, 0, s->n, acc);
        c->run->kernels->rows_affine(count, s->n, acc, s->n, factor + begin, s->parameters[0],
                                     s->parameters[1], y + begin * s->n, s->n);
    }
}

// y = acc·factor[row]·scale[c] + shift[c]
xnor_status xnor_step_gemm_rows(const xnor_step *s, const xnor_run *run) {
    return over(s, run, s->groups * s->rows, TILE_ROWS, tile_gemm_rows);
}

static void tile_acc_rows(void *context, size_t begin, size_t end) {
    const tile_context *c = context;
    const xnor_step *s = c->step;
    c->run->kernels->rows_affine(
        end - begin, s->n, (const int32_t *)c->run->values[s->x] + begin * s->n, s->n,
        (const float *)c->run->values[s->w] + begin, s->parameters[0], s->parameters[1],
        (float *)c->run->values[s->y] + begin * s->n, s->n);
}

// The same of sums that are there: of several layers, or gathered.
xnor_status xnor_step_acc_rows(const xnor_step *s, const xnor_run *run) {
    return over(s, run, s->rows, TILE_ROWS, tile_acc_rows);
}

static bool all_numbers(const float *x, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (isnan(x[i])) return false;
    return true;
}

// Threads share the channels, so that each keeps its own running maximum.
static void tile_gemm_rows_max(void *context, size_t begin, size_t end) {
    const tile_context *c = context;
    const xnor_step *s = c->step;
    size_t first = begin * XNOR_GEMM_BLOCK, last = end * XNOR_GEMM_BLOCK, most = SUMS / s->n;
    int32_t acc[SUMS];
    if (last > s->n) last = s->n;
    for (size_t group = 0; group < s->groups; group++) {
        const float *factor = (const float *)c->run->values[s->w] + group * s->rows;
        float *max = (float *)c->run->values[s->y] + group * s->n;
        float start = all_numbers(factor, s->rows) ? -INFINITY : NAN;
        for (size_t i = first; i < last; i++) max[i] = start;
        for (size_t row = 0; row < s->rows && !isnan(start); row += most) {
            if (c->run->cancel && atomic_load_explicit(c->run->cancel, memory_order_relaxed))
                return;
            size_t count = s->rows - row < most ? s->rows - row : most;
            sums_of(c, group * s->rows + row, count, first, last, acc);
            c->run->kernels->rows_max(count, last - first, acc + first, s->n, factor + row,
                                      max + first);
        }
    }
}

// The maximum of acc·factor[row] over the rows of each group.
xnor_status xnor_step_gemm_rows_max(const xnor_step *s, const xnor_run *run) {
    size_t blocks = (s->n + XNOR_GEMM_BLOCK - 1) / XNOR_GEMM_BLOCK;
    size_t threads = xnor_pool_threads(run->pool);
    return over(s, run, blocks, (blocks + threads - 1) / threads, tile_gemm_rows_max);
}

static void tile_row_magnitude(void *context, size_t begin, size_t end) {
    const tile_context *c = context;
    const xnor_step *s = c->step;
    c->run->kernels->rows_magnitude(end - begin, s->n,
                                    (const float *)c->run->values[s->x] + begin * s->n, s->n,
                                    s->low, s->high, (float *)c->run->values[s->y] + begin);
}

// The mean of |x|, clipped to [low, high], of each row.
xnor_status xnor_step_row_magnitude(const xnor_step *s, const xnor_run *run) {
    return over(s, run, s->rows, TILE_ROWS, tile_row_magnitude);
}

// ---- means --------------------------------------------------------------------------------------

// The mean of the sums of an integer layer over rows needs no sums of single rows:
//   sum over rows of sum over k of x[row][k]·w[k] = sum over k of w[k]·(2·count[k] - rows)
// where count[k] rows have bit k set. The counts come as binary digits from adding bits word by word
// (a carry-save adder), digit d weighing 2^d, and with x = ±1 for each digit's bits t,
//   2·count[k] - rows = sum over d of 2^d·t_d[k] + (2^digits - 1) - rows
// so that the layer runs on as many rows as there are digits. The constant multiplies sum over k of w[k],
// which is the layer on a row of ones.
static void add_digits(uint64_t *digits, size_t words, size_t word, uint64_t carry) {
    for (size_t d = 0; carry; d++) {
        uint64_t sum = digits[d * words + word] ^ carry;
        carry &= digits[d * words + word];
        digits[d * words + word] = sum;
    }
}

// digits: [count of digits][words], zeroed; enough for `rows`.
static void count_bits(const uint64_t *x, size_t rows, size_t words, uint64_t *digits) {
    for (size_t word = 0; word < words; word++) {
        size_t row = 0;
        // Seven rows at a time make one, two and four of each bit with full adders.
        for (; row + 7 <= rows; row += 7) {
            const uint64_t *r = x + row * words + word;
            uint64_t a = r[0], b = r[words], c = r[2 * words], d = r[3 * words];
            uint64_t e = r[4 * words], f = r[5 * words], g = r[6 * words];
            uint64_t s0 = a ^ b ^ c, c0 = (a & b) | (c & (a ^ b));
            uint64_t s1 = d ^ e ^ f, c1 = (d & e) | (f & (d ^ e));
            uint64_t s2 = s0 ^ s1 ^ g, c2 = (s0 & s1) | (g & (s0 ^ s1));
            uint64_t twos = c0 ^ c1 ^ c2, fours = (c0 & c1) | (c2 & (c0 ^ c1));
            add_digits(digits, words, word, s2);
            add_digits(digits + words, words, word, twos);
            add_digits(digits + 2 * words, words, word, fours);
        }
        for (; row < rows; row++) add_digits(digits, words, word, x[row * words + word]);
    }
}

// scratch: [digits + 1][words] bits, then the sums of those rows.
static void mean_of_group(const xnor_step *s, const xnor_run *run, size_t group, size_t digits) {
    size_t words = xnor_words(s->k);
    uint64_t *bits = run->values[s->scratch];
    int32_t *sums = (int32_t *)(bits + (digits + 1) * words);
    memset(bits, 0, (digits + 1) * words * sizeof *bits);
    count_bits((const uint64_t *)run->values[s->x] + group * s->rows * words, s->rows, words, bits);
    for (size_t i = 0; i < s->k; i++) bits[digits * words + i / 64] |= UINT64_C(1) << (i % 64);
    const xnor_gemm_args args = {.rows = digits + 1,
                                 .k = s->k,
                                 .n = s->n,
                                 .n_end = s->n,
                                 .a = bits,
                                 .a_stride = words,
                                 .packed = s->packed};
    run->kernels->gemm_acc(&args, sums, s->n);
    float *y = (float *)run->values[s->y] + group * s->n;
    int64_t rest = ((int64_t)1 << digits) - 1 - (int64_t)s->rows;
    for (size_t c = 0; c < s->n; c++) {
        int64_t sum = rest * sums[digits * s->n + c];
        for (size_t d = 0; d < digits; d++) sum += (int64_t)sums[d * s->n + c] * ((int64_t)1 << d);
        y[c] = (float)((double)sum / (double)s->rows);
    }
}

size_t xnor_mean_digits(size_t rows) {
    size_t digits = 1;
    while (rows >> digits) digits++;
    return digits;
}

xnor_status xnor_step_gemm_mean(const xnor_step *s, const xnor_run *run) {
    size_t digits = xnor_mean_digits(s->rows);
    for (size_t group = 0; group < s->groups; group++) {
        if (run->cancel && atomic_load_explicit(run->cancel, memory_order_relaxed)) break;
        mean_of_group(s, run, group, digits);
    }
    return XNOR_OK;
}

// ---- signs of tables ----------------------------------------------------------------------------

void xnor_rows_table(size_t rows, size_t n, const int32_t *acc, const uint8_t *table,
                     size_t columns, uint64_t *positive, uint64_t *nonzero) {
    size_t words = xnor_words(n);
    int64_t bound = (int64_t)columns / 2;
    for (size_t row = 0; row < rows; row++)
        for (size_t word = 0; word < words; word++) {
            size_t first = word * 64, count = n - first < 64 ? n - first : 64;
            uint64_t plus = 0, any = 0;
            for (size_t i = 0; i < count; i++) {
                int64_t at = acc[row * n + first + i] + bound;
                at = at < 0 ? 0 : at >= (int64_t)columns ? (int64_t)columns - 1 : at;
                uint8_t entry = table[(first + i) * columns + (size_t)at];
                plus |= (uint64_t)(entry == 2) << i;
                any |= (uint64_t)(entry != 1) << i;
            }
            positive[row * words + word] = plus;
            if (nonzero) nonzero[row * words + word] = any;
        }
}

static void tile_table(void *context, size_t begin, size_t end) {
    const tile_context *c = context;
    const xnor_step *s = c->step;
    size_t words = xnor_words(s->n);
    bool ternary = s->graph->values[s->y].dtype == XNOR_TERNARY;
    uint64_t *positive = (uint64_t *)c->run->values[s->y] + begin * words;
    xnor_rows_table(end - begin, s->n, (const int32_t *)c->run->values[s->x] + begin * s->n,
                    s->parameters[0], s->k, positive,
                    ternary ? positive + s->groups * s->rows * words : NULL);
}

// k: columns of the table, one for each sum from -bound to bound.
xnor_status xnor_step_table(const xnor_step *s, const xnor_run *run) {
    return over(s, run, s->groups * s->rows, TILE_ROWS, tile_table);
}

// ---- element-wise functions ---------------------------------------------------------------------

static void tile_repeat(void *context, size_t begin, size_t end) {
    const tile_context *c = context;
    const xnor_step *s = c->step;
    for (size_t row = begin; row < end; row++)
        memcpy((float *)c->run->values[s->y] + row * s->n,
               (const float *)c->run->values[s->x] + row / s->rows * s->n, s->n * sizeof(float));
}

// [groups, 1, n] -> [groups, rows, n]
xnor_status xnor_step_repeat(const xnor_step *s, const xnor_run *run) {
    return over(s, run, s->groups * s->rows, TILE_ROWS, tile_repeat);
}

static void tile_prelu(void *context, size_t begin, size_t end) {
    const tile_context *c = context;
    const xnor_step *s = c->step;
    const float *slope = s->parameters[0];
    for (size_t row = begin; row < end; row++) {
        const float *x = (const float *)c->run->values[s->x] + row * s->n;
        float *y = (float *)c->run->values[s->y] + row * s->n;
        for (size_t i = 0; i < s->n; i++) {
            float below = x[i] * slope[i];
            y[i] = x[i] < 0 ? below : x[i];
        }
    }
}

// One slope for each channel.
xnor_status xnor_step_prelu(const xnor_step *s, const xnor_run *run) {
    return over(s, run, s->rows, TILE_ROWS, tile_prelu);
}
