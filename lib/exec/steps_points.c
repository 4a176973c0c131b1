// Steps on point sets: sampling, neighbours and rows by index. Coordinates are laid down as columns
// once for each cloud, so that kernels compare one point with a vector of others.
#include <math.h>
#include <string.h>

#include "core/size.h"
#include "core/tensor.h"
#include "exec/tiles.h"
#include "ops/ops.h"

// [rows][3] -> [3][rows]
static void to_columns(const float *x, size_t rows, float *columns) {
    for (size_t c = 0; c < 3; c++)
        for (size_t i = 0; i < rows; i++) columns[c * rows + i] = x[i * 3 + c];
}

// scratch of a group: columns [3][rows], distances to the nearest point taken [rows]
static void tile_sampling(void *context, size_t begin, size_t end) {
    const tile_context *c = context;
    const xnor_step *s = c->step;
    for (size_t group = begin; group < end; group++) {
        const float *x = (const float *)c->run->values[s->x] + group * s->rows * 3;
        float *columns = (float *)c->run->values[s->scratch] + group * s->rows * 4;
        float *nearest = columns + s->rows * 3;
        int64_t *taken = (int64_t *)c->run->values[s->y] + group * s->k;
        to_columns(x, s->rows, columns);
        for (size_t i = 0; i < s->rows; i++) nearest[i] = INFINITY;
        size_t last = 0;
        for (size_t m = 0; m < s->k; m++) {
            taken[m] = (int64_t)last;
            if (m + 1 == s->k || (m % 64 == 0 && is_cancelled(c->run))) break;
            // Also where the point's coordinates are no numbers, so that it is not taken again.
            nearest[last] = 0;
            last = c->run->kernels->farthest_f32(s->rows, columns, s->rows, x + last * 3, nearest);
        }
    }
}

xnor_status xnor_step_sampling(const xnor_step *s, const xnor_run *run) {
    return over(s, run, s->groups, 1, tile_sampling);
}

static size_t nearest_point(const float *columns, size_t rows, const float *query) {
    size_t best = 0;
    float least = INFINITY;
    for (size_t j = 0; j < rows; j++) {
        float d = 0;
        for (size_t c = 0; c < 3; c++) {
            float difference = query[c] - columns[c * rows + j], square = difference * difference;
            d = d + square;
        }
        if (!(d < least)) continue;
        least = d;
        best = j;
    }
    return best;
}

static void tile_ball_query(void *context, size_t begin, size_t end) {
    const tile_context *c = context;
    const xnor_step *s = c->step;
    for (size_t i = begin; i < end; i++) {
        const float *columns = (const float *)c->run->values[s->scratch] + i / s->n * s->rows * 3;
        const float *query = (const float *)c->run->values[s->w] + i * 3;
        int64_t *found = (int64_t *)c->run->values[s->y] + i * s->k;
        size_t count =
            c->run->kernels->within_f32(s->rows, columns, s->rows, query, s->low, s->k, found);
        if (count == 0) found[count++] = (int64_t)nearest_point(columns, s->rows, query);
        for (; count < s->k; count++) found[count] = found[0];
    }
}

// n: queries of each group; low: squared radius
xnor_status xnor_step_ball_query(const xnor_step *s, const xnor_run *run) {
    for (size_t group = 0; group < s->groups; group++)
        to_columns((const float *)run->values[s->x] + group * s->rows * 3, s->rows,
                   (float *)run->values[s->scratch] + group * s->rows * 3);
    return over(s, run, s->groups * s->n, TILE_ROWS, tile_ball_query);
}

// ---- rows by index ------------------------------------------------------------------------------

static int64_t index_at(const void *indices, xnor_dtype dtype, size_t i) {
    return dtype == XNOR_I64 ? ((const int64_t *)indices)[i] : ((const int32_t *)indices)[i];
}

// Index i of a step as a row of its group. base: the group's first row
static size_t row_at(const xnor_step *s, const void *indices, xnor_dtype dtype, size_t i,
                     size_t base) {
    int64_t index = index_at(indices, dtype, i);
    return base + (size_t)(index < 0 ? index + (int64_t)s->rows : index);
}

// End of the run of indices from i on that belong to the same group.
static size_t group_end(const xnor_step *s, size_t i, size_t end, size_t *base) {
    const size_t group = i / s->k, stop = (group + 1) * s->k;
    *base = group * s->rows;
    return stop < end ? stop : end;
}

// Indices may come from outside: all are looked at before any row is read.
static xnor_status check_indices(const xnor_step *s, const void *indices, xnor_dtype dtype) {
    const int64_t rows = (int64_t)s->rows;
    const size_t count = s->groups * s->k;
    int64_t least = 0, most = 0;
    for (size_t i = 0; i < count; i++) {
        const int64_t index = index_at(indices, dtype, i);
        least = index < least ? index : least;
        most = index > most ? index : most;
    }
    if (least < -rows) return xnor_row_error(s->node, least, s->rows);
    return most >= rows ? xnor_row_error(s->node, most, s->rows) : XNOR_OK;
}

// Whole 32-bit elements are the common case, and rows of points are short.
static void copy_row(uint8_t *to, const uint8_t *from, size_t bytes) {
    switch (bytes) {
    case 8:
        memcpy(to, from, 8);
        break;
    case 12:
        memcpy(to, from, 12);
        break;
    case 16:
        memcpy(to, from, 16);
        break;
    case 24:
        memcpy(to, from, 24);
        break;
    default:
        memcpy(to, from, bytes);
    }
}

static void tile_gather_rows(void *context, size_t begin, size_t end) {
    const tile_context *c = context;
    const xnor_step *s = c->step;
    const xnor_value *x = &s->graph->values[s->x];
    const xnor_dtype dtype = s->graph->values[s->w].dtype;
    const size_t planes = x->dtype == XNOR_TERNARY ? 2 : 1;
    const void *indices = c->run->values[s->w];
    for (size_t p = 0; p < planes; p++) {
        const uint8_t *from =
            (const uint8_t *)c->run->values[s->x] + p * s->groups * s->rows * s->n;
        uint8_t *to = (uint8_t *)c->run->values[s->y] + p * s->groups * s->k * s->n;
        for (size_t i = begin, base; i < end;) {
            const size_t stop = group_end(s, i, end, &base);
            for (; i < stop; i++)
                copy_row(to + i * s->n, from + row_at(s, indices, dtype, i, base) * s->n, s->n);
        }
    }
}

// k: rows to pick for each group; n: bytes of a row
xnor_status xnor_step_gather_rows(const xnor_step *s, const xnor_run *run) {
    XNOR_TRY(check_indices(s, run->values[s->w], s->graph->values[s->w].dtype));
    return over(s, run, s->groups * s->k, TILE_ROWS * 4, tile_gather_rows);
}

static void tile_gather_differences(void *context, size_t begin, size_t end) {
    const tile_context *c = context;
    const xnor_step *s = c->step;
    const xnor_shape *shape = &s->graph->values[s->y].shape;
    const xnor_dtype dtype = s->graph->values[s->w].dtype;
    const size_t picks = (size_t)shape->dims[shape->rank - 2], n = s->n;
    const float *x = c->run->values[s->x], *v = c->run->values[s->v];
    const void *indices = c->run->values[s->w];
    float *y = c->run->values[s->y];
    for (size_t i = begin, base; i < end;) {
        // The indices of one query.
        size_t stop = group_end(s, i, end, &base);
        const size_t query = i / picks;
        if ((query + 1) * picks < stop) stop = (query + 1) * picks;
        const float *own = v + query * n;
        for (; i < stop; i++) {
            const float *row = x + row_at(s, indices, dtype, i, base) * n;
            if (n == 3)
                for (size_t k = 0; k < 3; k++) y[i * 3 + k] = row[k] - own[k];
            else
                for (size_t k = 0; k < n; k++) y[i * n + k] = row[k] - own[k];
        }
    }
}

// x [groups, rows, n] at indices w, minus row i / picks of v
xnor_status xnor_step_gather_differences(const xnor_step *s, const xnor_run *run) {
    XNOR_TRY(check_indices(s, run->values[s->w], s->graph->values[s->w].dtype));
    return over(s, run, s->groups * s->k, TILE_ROWS * 4, tile_gather_differences);
}

// ---- layers over features and relative positions ------------------------------------------------

// The threshold on what is gathered, for each code of signs: t[c] - sum over k of ±1 · w[c][k].
static void fill_thresholds(const xnor_step *s, size_t width, int32_t *table) {
    const int32_t *thresholds = s->parameters[0];
    const uint64_t *weights = s->parameters[1];
    for (size_t code = 0; code < XNOR_EDGE_CODES; code++) {
        const uint64_t positive = code & 7, nonzero = code >> 3;
        if (positive & ~nonzero || nonzero >> width) continue; // does not occur
        for (size_t c = 0; c < s->n; c++) {
            const int sum = __builtin_popcountll(nonzero) -
                            2 * __builtin_popcountll((positive ^ weights[c]) & nonzero);
            table[code * s->n + c] = thresholds[c] - sum;
        }
    }
}

static void tile_edge_thr(void *context, size_t begin, size_t end) {
    const tile_context *c = context;
    const xnor_step *s = c->step;
    const xnor_dtype dtype = s->graph->values[s->w].dtype;
    const size_t words = xnor_words(s->n);
    const int32_t *acc = c->run->values[s->x], *table = c->run->values[s->scratch];
    const uint64_t *positive = c->run->values[s->v], *nonzero = positive + s->groups * s->k;
    uint64_t *bits = c->run->values[s->y];
    const void *indices = c->run->values[s->w];
    for (size_t i = begin, base; i < end;) {
        const size_t stop = group_end(s, i, end, &base);
        for (; i < stop; i++) {
            const size_t at = row_at(s, indices, dtype, i, base);
            const size_t code = (size_t)(positive[i] | nonzero[i] << 3);
            c->run->kernels->acc_thr(1, s->n, acc + at * s->n, s->n, table + code * s->n,
                                     bits + i * words, words);
        }
    }
}

// x: sums of each point [groups, rows, n]; w: indices [groups, k]; v: signs of differences
xnor_status xnor_step_edge_thr(const xnor_step *s, const xnor_run *run) {
    XNOR_TRY(check_indices(s, run->values[s->w], s->graph->values[s->w].dtype));
    fill_thresholds(s, (size_t)xnor_shape_last(&s->graph->values[s->v].shape),
                    run->values[s->scratch]);
    return over(s, run, s->groups * s->k, TILE_ROWS, tile_edge_thr);
}
