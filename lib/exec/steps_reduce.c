// Reductions of neighbouring axes, [groups, rows, n] -> [groups, n], and the place of a maximum along an axis.
// Sums are made in double, in an order that does not depend on threads.
#include "exec/steps_reduce.h"

#include <math.h>
#include <string.h>

#include "exec/tiles.h"

// ---- sums ---------------------------------------------------------------------------------------

// Accumulators stay in the first cache; rows are shared between threads in parts.
enum { COLUMNS = 64, PART_ROWS = 4096 };

size_t xnor_reduce_parts(size_t groups, size_t rows, size_t n) {
    return n > 1 && groups * n < 16 * COLUMNS ? (rows + PART_ROWS - 1) / PART_ROWS : 1;
}

#define FOLD(type, expression)                                                                     \
    for (size_t row = 0; row < rows; row++) {                                                      \
        const type *x = (const type *)from + row * stride;                                         \
        for (size_t i = 0; i < count; i++) {                                                       \
            const double v = (double)x[i];                                                         \
            sum[i] = expression;                                                                   \
        }                                                                                          \
    }

#define FOLD_SUMS(type)                                                                            \
    switch (op) {                                                                                  \
    case XNOR_OP_REDUCE_L1:                                                                        \
        FOLD(type, sum[i] + fabs(v))                                                               \
        break;                                                                                     \
    case XNOR_OP_REDUCE_L2:                                                                        \
    case XNOR_OP_REDUCE_SUM_SQUARE:                                                                \
        FOLD(type, sum[i] + v * v)                                                                 \
        break;                                                                                     \
    default:                                                                                       \
        FOLD(type, sum[i] + v)                                                                     \
        break;                                                                                     \
    }

// Adds rows of `count` elements, `stride` elements apart.
static void add_rows(xnor_op op, xnor_dtype dtype, const void *from, size_t rows, size_t stride,
                     size_t count, double *sum) {
    if (dtype == XNOR_ACC) {
        FOLD_SUMS(int32_t)
    } else if (dtype == XNOR_F64) {
        FOLD_SUMS(double)
    } else {
        FOLD_SUMS(float)
    }
}

static float finish(const xnor_step *s, size_t rows, double sum) {
    if (s->node->op == XNOR_OP_REDUCE_MEAN) return (float)(sum / (double)rows);
    return (float)(s->node->op == XNOR_OP_REDUCE_L2 ? sqrt(sum) : sum);
}

static const float *row_of(const xnor_step *s, const xnor_run *run, size_t row) {
    // Integers have the size of reals.
    return (const float *)run->values[s->x] + row * s->n;
}

static size_t blocks_of(const xnor_step *s) {
    return (s->n + COLUMNS - 1) / COLUMNS;
}

// One part of one block of columns of one group.
static void tile_sum(void *context, size_t begin, size_t end) {
    const tile_context *c = context;
    const xnor_step *s = c->step;
    const size_t blocks = blocks_of(s), parts = xnor_reduce_parts(s->groups, s->rows, s->n);
    const xnor_dtype dtype = s->graph->values[s->x].dtype;
    for (size_t i = begin; i < end; i++) {
        const size_t block = i % blocks, part = i / blocks % parts, group = i / blocks / parts;
        const size_t first = block * COLUMNS, row = part * PART_ROWS;
        const size_t count = s->n - first < COLUMNS ? s->n - first : COLUMNS;
        size_t rows = parts == 1 ? s->rows : PART_ROWS;
        if (rows > s->rows - row) rows = s->rows - row;
        double sum[COLUMNS] = {0};
        add_rows(s->node->op, dtype, row_of(s, c->run, group * s->rows + row) + first, rows, s->n,
                 count, sum);
        if (parts > 1) {
            memcpy((double *)c->run->values[s->scratch] + (group * parts + part) * s->n + first,
                   sum, count * sizeof *sum);
            continue;
        }
        float *y = (float *)c->run->values[s->y] + group * s->n + first;
        for (size_t k = 0; k < count; k++) y[k] = finish(s, s->rows, sum[k]);
    }
}

#define SUM_ROW(type, expression)                                                                  \
    {                                                                                              \
        const type *x = from;                                                                      \
        for (size_t i = 0; i < count; i++) {                                                       \
            const double v = (double)x[i];                                                         \
            sum += expression;                                                                     \
        }                                                                                          \
        return sum;                                                                                \
    }

static double sum_row(xnor_op op, xnor_dtype dtype, const void *from, size_t count) {
    double sum = 0;
    const bool square = op == XNOR_OP_REDUCE_L2 || op == XNOR_OP_REDUCE_SUM_SQUARE;
    if (dtype == XNOR_ACC) {
        if (square) SUM_ROW(int32_t, v * v)
        if (op == XNOR_OP_REDUCE_L1) SUM_ROW(int32_t, fabs(v))
        SUM_ROW(int32_t, v)
    }
    if (square) SUM_ROW(float, v *v)
    if (op == XNOR_OP_REDUCE_L1) SUM_ROW(float, fabs(v))
    SUM_ROW(float, v)
}

// Groups whose rows have one element: side by side.
static void tile_sum_row(void *context, size_t begin, size_t end) {
    const tile_context *c = context;
    const xnor_step *s = c->step;
    const xnor_dtype dtype = s->graph->values[s->x].dtype;
    float *y = c->run->values[s->y];
    for (size_t group = begin; group < end; group++)
        y[group] = finish(s, s->rows,
                          sum_row(s->node->op, dtype, row_of(s, c->run, group * s->rows), s->rows));
}

xnor_status xnor_step_reduce(const xnor_step *s, const xnor_run *run) {
    const size_t parts = xnor_reduce_parts(s->groups, s->rows, s->n);
    if (s->n == 1) return over(s, run, s->groups, TILE_ROWS, tile_sum_row);
    XNOR_TRY(over(s, run, s->groups * parts * blocks_of(s), 1, tile_sum));
    for (size_t group = 0; parts > 1 && group < s->groups; group++) {
        double *sum = (double *)run->values[s->scratch] + group * parts * s->n;
        add_rows(XNOR_OP_REDUCE_SUM, XNOR_F64, sum + s->n, parts - 1, s->n, s->n, sum);
        float *y = (float *)run->values[s->y] + group * s->n;
        for (size_t k = 0; k < s->n; k++) y[k] = finish(s, s->rows, sum[k]);
    }
    return XNOR_OK;
}

// ---- the largest and the smallest ---------------------------------------------------------------

// Rows of `count` elements, `stride` elements apart, into best. NaN stays NaN.
#define EXTREME(name, type, better)                                                                \
    static void name(const void *from, size_t rows, size_t stride, size_t count, void *to) {       \
        const type *restrict x = from;                                                             \
        type *restrict best = to;                                                                  \
        for (size_t row = 0; row < rows; row++, x += stride)                                       \
            for (size_t k = 0; k < count; k++) best[k] = (better) ? x[k] : best[k];                \
    }
EXTREME(most_f32, float, (x[k] > best[k]) | (x[k] != x[k]))
EXTREME(least_f32, float, (x[k] < best[k]) | (x[k] != x[k]))
EXTREME(most_acc, int32_t, x[k] > best[k])
EXTREME(least_acc, int32_t, x[k] < best[k])

typedef void (*extreme)(const void *from, size_t rows, size_t stride, size_t count, void *to);

static extreme extreme_of(const xnor_step *s) {
    const bool most = s->node->op == XNOR_OP_REDUCE_MAX;
    if (s->graph->values[s->x].dtype == XNOR_ACC) return most ? most_acc : least_acc;
    return most ? most_f32 : least_f32;
}

static void tile_extreme(void *context, size_t begin, size_t end) {
    const tile_context *c = context;
    const xnor_step *s = c->step;
    const extreme fold = extreme_of(s);
    const size_t blocks = blocks_of(s);
    for (size_t i = begin; i < end; i++) {
        const size_t group = i / blocks, first = i % blocks * COLUMNS;
        const size_t count = s->n - first < COLUMNS ? s->n - first : COLUMNS;
        const float *x = row_of(s, c->run, group * s->rows) + first;
        float *best = (float *)c->run->values[s->y] + group * s->n + first;
        memcpy(best, x, count * sizeof *best);
        fold(x + s->n, xnor_active_rows(s, c->run, group) - 1, s->n, count, best);
    }
}

// Elements side by side: several running values, of which one is left in the end.
static void tile_extreme_row(void *context, size_t begin, size_t end) {
    enum { LANES = 16 };
    const tile_context *c = context;
    const xnor_step *s = c->step;
    const extreme fold = extreme_of(s);
    const size_t lanes = s->rows < LANES ? 1 : LANES, rows = s->rows / lanes;
    union {
        float real[LANES];
        int32_t sum[LANES];
    } best;
    for (size_t group = begin; group < end; group++) {
        const float *x = row_of(s, c->run, group * s->rows);
        memcpy(&best, x, lanes * sizeof *x);
        fold(x + lanes, rows - 1, lanes, lanes, &best);
        fold(x + rows * lanes, s->rows - rows * lanes, 1, 1, &best);
        for (size_t k = 1; k < lanes; k++) fold(best.real + k, 1, 1, 1, &best);
        memcpy((float *)c->run->values[s->y] + group, &best, sizeof *x);
    }
}

// Perhaps of the distinct rows only.
xnor_status xnor_step_extreme(const xnor_step *s, const xnor_run *run) {
    const size_t size = 1 + TILE_ROWS / s->rows;
    if (s->n == 1 && s->active == XNOR_NO_VALUE)
        return over(s, run, s->groups, TILE_ROWS, tile_extreme_row);
    return over(s, run, s->groups * blocks_of(s), size, tile_extreme);
}

// ---- the place of a maximum ---------------------------------------------------------------------

// With ties the first one, or the last one; what is no number is never larger.
static void places(size_t rows, size_t stride, size_t count, const float *x, float sign, bool last,
                   int64_t *y) {
    float best[COLUMNS];
    int32_t at[COLUMNS] = {0};
    for (size_t k = 0; k < count; k++) best[k] = sign * x[k];
    for (size_t row = 1; row < rows; row++) {
        x += stride;
        for (size_t k = 0; k < count; k++) {
            const float v = sign * x[k];
            const bool better = last ? v >= best[k] : v > best[k];
            best[k] = better ? v : best[k];
            at[k] = better ? (int32_t)row : at[k];
        }
    }
    for (size_t k = 0; k < count; k++) y[k] = at[k];
}

static void tile_place(void *context, size_t begin, size_t end) {
    const tile_context *c = context;
    const xnor_step *s = c->step;
    const float sign = s->node->op == XNOR_OP_ARG_MIN ? -1 : 1;
    const bool last = xnor_node_int(s->node, XNOR_ATTR_SELECT_LAST_INDEX, 0) != 0;
    const size_t blocks = blocks_of(s);
    for (size_t i = begin; i < end; i++) {
        const size_t group = i / blocks, first = i % blocks * COLUMNS;
        const size_t count = s->n - first < COLUMNS ? s->n - first : COLUMNS;
        places(s->rows, s->n, count, row_of(s, c->run, group * s->rows) + first, sign, last,
               (int64_t *)c->run->values[s->y] + group * s->n + first);
    }
}

// Scores side by side, one place for each row of them. Some rows at a time are turned, so that what is compared
// are vectors.
static void tile_place_row(void *context, size_t begin, size_t end) {
    enum { LANES = 16, SCORES = 64 };
    const tile_context *c = context;
    const xnor_step *s = c->step;
    const float sign = s->node->op == XNOR_OP_ARG_MIN ? -1 : 1;
    const bool last = xnor_node_int(s->node, XNOR_ATTR_SELECT_LAST_INDEX, 0) != 0;
    const size_t n = s->rows;
    int64_t *y = c->run->values[s->y];
    float turned[SCORES * LANES];
    for (size_t row = begin; row < end; row += LANES) {
        const float *x = row_of(s, c->run, row * n);
        const size_t count = end - row < LANES ? end - row : LANES;
        if (n > SCORES || count < LANES) {
            for (size_t i = 0; i < count; i++) places(n, 1, 1, x + i * n, sign, last, y + row + i);
            continue;
        }
        for (size_t i = 0; i < LANES; i++)
            for (size_t k = 0; k < n; k++) turned[k * LANES + i] = x[i * n + k];
        places(n, LANES, LANES, turned, sign, last, y + row);
    }
}

xnor_status xnor_step_place(const xnor_step *s, const xnor_run *run) {
    if (s->n == 1) return over(s, run, s->groups, TILE_ROWS * 4, tile_place_row);
    return over(s, run, s->groups * blocks_of(s), 1 + TILE_ROWS / s->rows, tile_place);
}
