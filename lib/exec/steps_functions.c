// Element-wise functions of reals, and softmax.
#include "exec/functions.h"
#include "exec/tiles.h"
#include "ops/ops.h"

enum { CHUNK = 2048 }; // floats that stay in the first cache between one loop and the next

// ---- element-wise functions ---------------------------------------------------------------------

typedef void (*function)(size_t count, const float *restrict x, const xnor_node *node,
                         float *restrict y);

// Attributes are read once for many values.
#define FUNCTION(name, parameters, expression)                                                     \
    static void name(size_t count, const float *restrict x, const xnor_node *node,                 \
                     float *restrict y) {                                                          \
        (void)node;                                                                                \
        parameters;                                                                                \
        for (size_t i = 0; i < count; i++) {                                                       \
            const float v = x[i];                                                                  \
            y[i] = expression;                                                                     \
        }                                                                                          \
    }
#define PARAMETER(name, key, fallback)                                                             \
    const float name = (float)xnor_node_float(node, XNOR_ATTR_##key, fallback)
#define NONE (void)0

FUNCTION(function_abs, NONE, fabsf(v))
FUNCTION(function_elu, PARAMETER(alpha, ALPHA, 1), v < 0 ? alpha * (xnor_exp(v) - 1) : v)
FUNCTION(function_exp, NONE, xnor_exp(v))
FUNCTION(function_leaky_relu, PARAMETER(alpha, ALPHA, 0.01), v < 0 ? alpha * v : v)
FUNCTION(function_neg, NONE, -v)
FUNCTION(function_reciprocal, NONE, 1 / v)
FUNCTION(function_selu, PARAMETER(alpha, ALPHA, 1.67326319217681884765625);
         PARAMETER(gamma, GAMMA, 1.05070102214813232421875),
         gamma *(v > 0 ? v : alpha * (xnor_exp(v) - 1)))
FUNCTION(function_sigmoid, NONE, 1 / (1 + xnor_exp(-v)))
FUNCTION(function_sign, NONE, (float)((v > 0) - (v < 0)))
FUNCTION(function_sqrt, NONE, sqrtf(v))
FUNCTION(function_tanh, NONE, xnor_tanh(v))

static inline float clip01(float v) {
    const float low = v > 0 ? v : 0;
    return low < 1 ? low : 1;
}

FUNCTION(function_hard_sigmoid, PARAMETER(alpha, ALPHA, 0.2);
         PARAMETER(beta, BETA, 0.5), clip01(alpha *v + beta))
FUNCTION(function_hard_swish, NONE, v *clip01(v / 6 + 0.5f))

static const struct {
    xnor_op op;
    function apply;
} functions[] = {
    {XNOR_OP_ABS, function_abs},
    {XNOR_OP_ELU, function_elu},
    {XNOR_OP_EXP, function_exp},
    {XNOR_OP_HARD_SIGMOID, function_hard_sigmoid},
    {XNOR_OP_HARD_SWISH, function_hard_swish},
    {XNOR_OP_LEAKY_RELU, function_leaky_relu},
    {XNOR_OP_NEG, function_neg},
    {XNOR_OP_RECIPROCAL, function_reciprocal},
    {XNOR_OP_SELU, function_selu},
    {XNOR_OP_SIGMOID, function_sigmoid},
    {XNOR_OP_SIGN, function_sign},
    {XNOR_OP_SQRT, function_sqrt},
    {XNOR_OP_TANH, function_tanh},
};

// Others are evaluated one by one.
static void apply_reference(size_t count, const float *restrict x, const xnor_node *node,
                            float *restrict y) {
    const xnor_unary_function reference = xnor_unary_of(node->op);
    for (size_t i = 0; i < count; i++) y[i] = (float)reference((double)x[i], node);
}

static function function_of(xnor_op op) {
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        if (functions[i].op == op) return functions[i].apply;
    return apply_reference;
}

static void tile_unary(void *context, size_t begin, size_t end) {
    const tile_context *c = context;
    const xnor_step *s = c->step;
    function_of(s->node->op)((end - begin) * s->n,
                             (const float *)c->run->values[s->x] + begin * s->n, s->node,
                             (float *)c->run->values[s->y] + begin * s->n);
}

xnor_status xnor_step_unary(const xnor_step *s, const xnor_run *run) {
    return over(s, run, s->rows, 1 + CHUNK / (s->n + 1), tile_unary);
}

// ---- softmax ------------------------------------------------------------------------------------

// What is left after the largest element has been subtracted, in place. The largest adds 1 to the sum.
static void normalise_row(bool logarithm, size_t n, const float *x, float largest, float *y) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)y[i];
    if (!(sum > 0)) sum = 1;
    const float factor = (float)(1 / sum), shift = (float)log(sum);
    if (logarithm)
        for (size_t i = 0; i < n; i++) y[i] = (x[i] - largest) - shift;
    else
        for (size_t i = 0; i < n; i++) y[i] *= factor;
}

// Some rows [n] at a time.
static void softmax_rows(bool logarithm, size_t rows, size_t n, const float *restrict x,
                         float *restrict y) {
    float largest[CHUNK];
    for (size_t row = 0; row < rows; row++) {
        const float *from = x + row * n;
        float most = from[0];
        for (size_t i = 1; i < n; i++) most = from[i] > most ? from[i] : most;
        for (size_t i = 0; i < n; i++) y[row * n + i] = from[i] - most;
        largest[row] = most;
    }
    for (size_t i = 0; i < rows * n; i++) y[i] = xnor_exp(y[i]);
    for (size_t row = 0; row < rows; row++)
        normalise_row(logarithm, n, x + row * n, largest[row], y + row * n);
}

enum { COLUMNS = 64, SHORT = 16 };

// The rows of `count` columns of [rows, n]: column by column.
static void softmax_columns(bool logarithm, size_t rows, size_t n, size_t count,
                            const float *restrict x, float *restrict y) {
    float largest[COLUMNS], factor[COLUMNS];
    double sum[COLUMNS] = {0};
    memcpy(largest, x, count * sizeof *largest);
    for (size_t row = 1; row < rows; row++)
        for (size_t k = 0; k < count; k++)
            largest[k] = x[row * n + k] > largest[k] ? x[row * n + k] : largest[k];
    for (size_t row = 0; row < rows; row++)
        for (size_t k = 0; k < count; k++) {
            const float e = xnor_exp(x[row * n + k] - largest[k]);
            y[row * n + k] = e;
            sum[k] += (double)e;
        }
    for (size_t k = 0; k < count; k++) {
        if (!(sum[k] > 0)) sum[k] = 1;
        factor[k] = (float)(logarithm ? log(sum[k]) : 1 / sum[k]);
    }
    for (size_t row = 0; row < rows; row++)
        if (logarithm)
            for (size_t k = 0; k < count; k++)
                y[row * n + k] = (x[row * n + k] - largest[k]) - factor[k];
        else
            for (size_t k = 0; k < count; k++) y[row * n + k] *= factor[k];
}

// Short rows, some at a time: turned, so that what is done with one of them is done with vectors.
static void softmax_short_rows(bool logarithm, size_t rows, size_t n, const float *restrict x,
                               float *restrict y) {
    float in[SHORT * COLUMNS] = {0}, out[SHORT * COLUMNS];
    for (size_t row = 0; row < rows; row++)
        for (size_t i = 0; i < n; i++) in[i * COLUMNS + row] = x[row * n + i];
    softmax_columns(logarithm, n, COLUMNS, rows, in, out);
    for (size_t row = 0; row < rows; row++)
        for (size_t i = 0; i < n; i++) y[row * n + i] = out[i * COLUMNS + row];
}

// Rows of two, of which the larger has e^0, if it is a finite number.
static void softmax_pairs(size_t rows, const float *restrict x, float *restrict y) {
    for (size_t row = 0; row < rows; row++) {
        const float a = x[2 * row], b = x[2 * row + 1];
        const bool rises = b > a;
        const float largest = rises ? b : a, low = xnor_exp((rises ? a : b) - largest);
        const float high = 1 + (largest - largest);
        const double total = (double)low + (double)high, sum = total > 0 ? total : 1;
        const float factor = (float)(1 / sum);
        y[2 * row] = (rises ? low : high) * factor;
        y[2 * row + 1] = (rises ? high : low) * factor;
    }
}

static void tile_softmax(void *context, size_t begin, size_t end) {
    const tile_context *c = context;
    const xnor_step *s = c->step;
    const bool logarithm = s->node->op == XNOR_OP_LOG_SOFTMAX;
    const bool brief = s->n <= SHORT;
    if (s->n == 2 && !logarithm) {
        softmax_pairs(end - begin, (const float *)c->run->values[s->x] + begin * s->n,
                      (float *)c->run->values[s->y] + begin * s->n);
        return;
    }
    const size_t most = brief ? COLUMNS : s->n < CHUNK ? CHUNK / s->n : 1;
    for (size_t count; begin < end; begin += count) {
        count = end - begin < most ? end - begin : most;
        (brief ? softmax_short_rows : softmax_rows)(
            logarithm, count, s->n, (const float *)c->run->values[s->x] + begin * s->n,
            (float *)c->run->values[s->y] + begin * s->n);
    }
}

// Of each row of n.
xnor_status xnor_step_softmax(const xnor_step *s, const xnor_run *run) {
    return xnor_over_rows(s, run, tile_softmax);
}

static void tile_softmax_columns(void *context, size_t begin, size_t end) {
    const tile_context *c = context;
    const xnor_step *s = c->step;
    const size_t blocks = (s->n + COLUMNS - 1) / COLUMNS;
    for (size_t i = begin; i < end; i++) {
        const size_t first = i % blocks * COLUMNS, at = i / blocks * s->rows * s->n + first;
        softmax_columns(s->node->op == XNOR_OP_LOG_SOFTMAX, s->rows, s->n,
                        s->n - first < COLUMNS ? s->n - first : COLUMNS,
                        (const float *)c->run->values[s->x] + at,
                        (float *)c->run->values[s->y] + at);
    }
}

// [groups, rows, n], along the rows.
xnor_status xnor_step_softmax_columns(const xnor_step *s, const xnor_run *run) {
    const size_t blocks = (s->n + COLUMNS - 1) / COLUMNS;
    return over(s, run, s->groups * blocks, 1 + CHUNK / (s->rows * COLUMNS + 1),
                tile_softmax_columns);
}
