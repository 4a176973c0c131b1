#include "exec/steps_knn.h"

#include <math.h>
#include <string.h>

#include "core/size.h"
#include "exec/knn_grid.h"
#include "exec/tiles.h"

// A tile's distances to a chunk of points stay in the caches next to the processor. For few channels
// codes gain nothing.
enum {
    QUERIES = 12,
    CHUNK = 1024,
    TILE_PANELS = 8,
    TILE_GRID = 64,
    MIN_CODED = 16,
    MAX_CODED = 256
};

typedef struct knn_context {
    const xnor_step *step;
    const xnor_run *run;
    const float *x;       // [rows, n] of the group
    const float *queries; // [queries, n] of the group
    size_t query_count;
    size_t length;    // of the lists: k times the dilation, or the number of points
    int64_t *lists;   // [queries, length], nearest first; the indices themselves without dilation
    int64_t *indices; // [queries, k]
    float *panels;    // [panels][n][XNOR_PANEL]
    float *values;    // [queries, length] distances of the nearest
    // Where points look for their like among themselves the panels may hold codes instead, integers that
    // times `unit` are the coordinates minus the middle, up to half a unit.
    bool coded;
    int16_t *rows, *columns; // [panels * XNOR_PANEL][pairs][2], [panels][pairs][XNOR_PANEL][2]
    int32_t *norms;          // [panels * XNOR_PANEL] sums of squares of a point's codes
    float *middle;           // [n]
    float unit;
    xnor_knn_grid grid; // of coordinates in space
    float *grid_memory;
} knn_context;

static size_t panels_of(const xnor_step *s) {
    return (s->rows + XNOR_PANEL - 1) / XNOR_PANEL;
}

static size_t dilation_of(const xnor_step *s) {
    return (size_t)xnor_node_int(s->node, XNOR_ATTR_DILATION, 1);
}

static size_t queries_of(const xnor_step *s) {
    const xnor_shape *shape = &s->graph->values[s->w].shape;
    return (size_t)shape->dims[shape->rank - 2];
}

// With dilation the list of a query has the last one to be taken at its end.
static size_t length_of(const xnor_step *s) {
    const size_t dilation = dilation_of(s);
    if (dilation == 1) return s->k;
    const size_t needed = (s->k - 1) * dilation + 1; // both below 2^31
    return needed < s->rows ? needed : s->rows;
}

static bool may_code(const xnor_step *s) {
    return s->w == s->x && s->n >= MIN_CODED && s->n <= MAX_CODED;
}

static size_t pairs_of(const xnor_step *s) {
    return (s->n + 1) / 2;
}

static bool may_grid(const xnor_step *s) {
    return s->n == 3 && xnor_knn_grid_suits(s->rows, length_of(s));
}

// Rows and columns of codes take the place of the panels of floats; a grid stands behind the lists.
bool xnor_knn_scratch(const xnor_step *s, size_t *floats) {
    size_t panels, lists, each = dilation_of(s) == 1 ? 1 : 3; // an index has the size of two floats
    size_t channels = may_code(s) ? 2 * pairs_of(s) : s->n;
    size_t more = may_code(s) ? panels_of(s) * XNOR_PANEL + MAX_CODED : 0;
    return xnor_size_mul(panels_of(s) * XNOR_PANEL, channels, &panels) &&
           xnor_size_mul(queries_of(s), length_of(s), &lists) &&
           xnor_size_mul(lists, each, &lists) && xnor_size_add(panels, more, &panels) &&
           xnor_size_add(panels, may_grid(s) ? xnor_knn_grid_floats(s->rows) : 0, &panels) &&
           xnor_size_add(panels, lists, floats);
}

// Channels of neighbouring points side by side. The last panel is filled up with zeros, which
// nobody looks at.
static void tile_panels(void *context, size_t begin, size_t end) {
    const knn_context *c = context;
    const xnor_step *s = c->step;
    for (size_t panel = begin; panel < end; panel++) {
        float *out = c->panels + panel * XNOR_PANEL * s->n;
        const float *x = c->x + panel * XNOR_PANEL * s->n;
        size_t left = s->rows - panel * XNOR_PANEL, count = left < XNOR_PANEL ? left : XNOR_PANEL;
        if (count < XNOR_PANEL) memset(out, 0, XNOR_PANEL * s->n * sizeof *out);
        for (size_t i = 0; i < count; i++)
            for (size_t channel = 0; channel < s->n; channel++)
                out[channel * XNOR_PANEL + i] = x[i * s->n + channel];
    }
}

// The largest code of which the distance of two points with n channels, 4·n times its square, still fits
// int32; never more than 5792, so that no rounding goes beyond it.
static float largest_code(size_t n) {
    return floorf(sqrtf((float)(1 << 29) / (float)n)) - 1;
}

// Added to a float below 2^22 it leaves the nearest integer in the low bits.
static const float ROUNDER = 0x1.8p23f;

static void tile_codes(void *context, size_t begin, size_t end) {
    const knn_context *c = context;
    const size_t n = c->step->n, pairs = pairs_of(c->step), count = c->step->rows;
    const float per_unit = 1 / c->unit, *restrict middle = c->middle;
    for (size_t i = begin * XNOR_PANEL; i < end * XNOR_PANEL; i++) {
        const float *restrict x = c->x + i * n;
        int16_t codes[MAX_CODED + 1] = {0};
        int32_t norm = 0;
        for (size_t k = 0; k < n && i < count; k++) {
            const float rounded = (x[k] - middle[k]) * per_unit + ROUNDER;
            int32_t bits;
            memcpy(&bits, &rounded, sizeof bits);
            const int16_t code = (int16_t)bits; // the rest belongs to ROUNDER
            codes[k] = code;
            norm += code * code;
        }
        c->norms[i] = norm;
        int16_t *column = c->columns + 2 * (i / XNOR_PANEL * XNOR_PANEL * pairs + i % XNOR_PANEL);
        memcpy(c->rows + 2 * i * pairs, codes, 2 * pairs * sizeof *codes);
        for (size_t p = 0; p < pairs; p++)
            memcpy(column + 2 * p * XNOR_PANEL, codes + 2 * p, 2 * sizeof *codes);
    }
}

// Rounds the coordinates, unless they are not finite or all the same.
static bool encode(knn_context *c) {
    const xnor_step *s = c->step;
    float middle[MAX_CODED] = {0}, largest[MAX_CODED] = {0}, most = 0;
    for (size_t i = 0; i < s->rows; i++)
        for (size_t k = 0; k < s->n; k++) middle[k] += c->x[i * s->n + k];
    for (size_t k = 0; k < s->n; k++) middle[k] /= (float)s->rows;
    for (size_t i = 0; i < s->rows; i++)
        for (size_t k = 0; k < s->n; k++) {
            const float length = fabsf(c->x[i * s->n + k] - middle[k]);
            largest[k] = length <= largest[k] ? largest[k] : length;
        }
    // One coordinate that is not finite leaves no finite middle, so no finite length.
    for (size_t k = 0; k < s->n; k++) {
        if (!(largest[k] < 0x1p60f)) return false;
        if (largest[k] > most) most = largest[k];
    }
    if (most < 0x1p-60f) return false;
    memcpy(c->middle, middle, s->n * sizeof *middle);
    c->unit = most / largest_code(s->n);
    xnor_parallel_for(c->run->pool, panels_of(s), TILE_PANELS, c->run->cancel, tile_codes, c);
    return true;
}

// How far the root of a distance of codes is from that of the true one: either point is moved by half a unit
// in every channel at most, and by a little more where subtraction and product rounded, less than 2^-11
// units for codes below 2^13.
static float slack_of(const knn_context *c) {
    return c->coded ? c->unit * sqrtf((float)c->step->n) * 1.01f : 0;
}

// Of queries begin..end to `count` points from `first` on. d: [end - begin][CHUNK]
static void distances(const knn_context *c, size_t begin, size_t end, size_t first, size_t count,
                      float *d) {
    const xnor_step *s = c->step;
    const size_t panels = (count + XNOR_PANEL - 1) / XNOR_PANEL;
    if (c->coded)
        c->run->kernels->code_distances(
            end - begin, panels, pairs_of(s), c->rows + 2 * begin * pairs_of(s), c->norms + begin,
            c->columns + 2 * first * pairs_of(s), c->norms + first, c->unit * c->unit, d, CHUNK);
    else
        c->run->kernels->distances_f32(end - begin, panels, s->n, c->queries + begin * s->n, s->n,
                                       c->panels + first * s->n, d, CHUNK);
}

// Every dilation-th of the list. Where there are fewer points, the nearest is repeated.
static void take(const knn_context *c, size_t query, size_t found, size_t dilation) {
    const int64_t *list = c->lists + query * c->length;
    int64_t *indices = c->indices + query * c->step->k;
    for (size_t j = 0; j < c->step->k; j++)
        indices[j] = j * dilation < found ? list[j * dilation] : list[0];
}

static void tile_queries(void *context, size_t begin, size_t end) {
    const knn_context *c = context;
    const xnor_step *s = c->step;
    const xnor_kernels *kernels = c->run->kernels;
    const size_t k = c->length < s->rows ? c->length : s->rows, dilation = dilation_of(s);
    _Alignas(64) float d[QUERIES * CHUNK];
    for (size_t first = 0; first < s->rows; first += CHUNK) {
        size_t count = s->rows - first < CHUNK ? s->rows - first : CHUNK;
        distances(c, begin, end, first, count, d);
        for (size_t i = begin; i < end; i++)
            kernels->nearest_f32(count, s->n, c->queries + i * s->n, c->x + first * s->n,
                                 d + (i - begin) * CHUNK, slack_of(c), first, k,
                                 c->values + i * c->length, c->lists + i * c->length);
        if (is_cancelled(c->run)) return;
    }
    for (size_t i = begin; i < end; i++) take(c, i, k, dilation);
}

static void tile_grid(void *context, size_t begin, size_t end) {
    const knn_context *c = context;
    const xnor_step *s = c->step;
    for (size_t i = begin; i < end; i++) {
        // In the order of the cubes, so that those of one stay in the cache for the next.
        const size_t query = s->w == s->x ? c->grid.indices[i] : i;
        const float *q = c->queries + query * 3;
        if (isfinite(q[0]) && isfinite(q[1]) && isfinite(q[2])) {
            xnor_knn_grid_search(&c->grid, q, c->length, c->lists + query * c->length);
        } else { // all are as far
            for (size_t j = 0; j < c->length; j++) c->lists[query * c->length + j] = (int64_t)j;
        }
        take(c, query, c->length, dilation_of(s));
    }
}

static void search(knn_context *c) {
    const xnor_step *s = c->step;
    xnor_pool *pool = c->run->pool;
    if (may_grid(s) && xnor_knn_grid_build(&c->grid, c->x, s->rows, c->length, c->grid_memory)) {
        xnor_parallel_for(pool, c->query_count, TILE_GRID, c->run->cancel, tile_grid, c);
        return;
    }
    c->coded = may_code(s) && encode(c);
    if (!c->coded)
        xnor_parallel_for(pool, panels_of(s), TILE_PANELS, c->run->cancel, tile_panels, c);
    xnor_parallel_for(pool, c->query_count, QUERIES, c->run->cancel, tile_queries, c);
}

// x [groups, rows, n], w [groups, queries, n] -> indices [groups, queries, k]
xnor_status xnor_step_knn(const xnor_step *s, const xnor_run *run) {
    knn_context c = {.step = s,
                     .run = run,
                     .query_count = queries_of(s),
                     .length = length_of(s),
                     .panels = run->values[s->scratch]};
    c.values = c.panels + panels_of(s) * XNOR_PANEL * s->n;
    if (may_code(s)) {
        const size_t codes = panels_of(s) * XNOR_PANEL * 2 * pairs_of(s);
        c.rows = run->values[s->scratch];
        c.columns = c.rows + codes;
        c.norms = (int32_t *)(void *)(c.panels + codes);
        c.middle = c.panels + codes + panels_of(s) * XNOR_PANEL;
        c.values = c.middle + MAX_CODED;
    }
    const bool dilated = dilation_of(s) != 1;
    // Panels take a multiple of 256 bytes, so the lists behind them are aligned.
    if (dilated) {
        c.lists = (int64_t *)(void *)c.values;
        c.values += 2 * c.query_count * c.length;
    }
    c.grid_memory = c.values + c.query_count * c.length;
    for (size_t group = 0; group < s->groups && !is_cancelled(run); group++) {
        c.x = (const float *)run->values[s->x] + group * s->rows * s->n;
        c.queries = (const float *)run->values[s->w] + group * c.query_count * s->n;
        c.indices = (int64_t *)run->values[s->y] + group * c.query_count * s->k;
        if (!dilated) c.lists = c.indices;
        search(&c);
    }
    return XNOR_OK;
}
