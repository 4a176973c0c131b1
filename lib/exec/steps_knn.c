#include "exec/steps_knn.h"

#include <string.h>

#include "core/size.h"
#include "exec/tiles.h"

// A tile's distances to a chunk of points stay in the caches next to the processor.
enum { QUERIES = 12, CHUNK = 1024, TILE_PANELS = 8 };

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

bool xnor_knn_scratch(const xnor_step *s, size_t *floats) {
    size_t panels, lists, each = dilation_of(s) == 1 ? 1 : 3; // an index has the size of two floats
    return xnor_size_mul(panels_of(s) * XNOR_PANEL, s->n, &panels) &&
           xnor_size_mul(queries_of(s), length_of(s), &lists) &&
           xnor_size_mul(lists, each, &lists) && xnor_size_add(panels, lists, floats);
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
        kernels->distances_f32(end - begin, (count + XNOR_PANEL - 1) / XNOR_PANEL, s->n,
                               c->queries + begin * s->n, s->n, c->panels + first * s->n, d, CHUNK);
        for (size_t i = begin; i < end; i++)
            kernels->nearest_f32(count, s->n, c->queries + i * s->n, c->x + first * s->n,
                                 d + (i - begin) * CHUNK, first, k, c->values + i * c->length,
                                 c->lists + i * c->length);
        if (is_cancelled(c->run)) return;
    }
    for (size_t i = begin; i < end; i++) take(c, i, k, dilation);
}

// x [groups, rows, n], w [groups, queries, n] -> indices [groups, queries, k]
xnor_status xnor_step_knn(const xnor_step *s, const xnor_run *run) {
    knn_context c = {.step = s,
                     .run = run,
                     .query_count = queries_of(s),
                     .length = length_of(s),
                     .panels = run->values[s->scratch]};
    c.values = c.panels + panels_of(s) * XNOR_PANEL * s->n;
    const bool dilated = dilation_of(s) != 1;
    // Panels take a multiple of 256 bytes, so the lists behind them are aligned.
    if (dilated) {
        c.lists = (int64_t *)(void *)c.values;
        c.values += 2 * c.query_count * c.length;
    }
    for (size_t group = 0; group < s->groups && !is_cancelled(run); group++) {
        c.x = (const float *)run->values[s->x] + group * s->rows * s->n;
        c.queries = (const float *)run->values[s->w] + group * c.query_count * s->n;
        c.indices = (int64_t *)run->values[s->y] + group * c.query_count * s->k;
        if (!dilated) c.lists = c.indices;
        xnor_parallel_for(run->pool, panels_of(s), TILE_PANELS, run->cancel, tile_panels, &c);
        xnor_parallel_for(run->pool, c.query_count, QUERIES, run->cancel, tile_queries, &c);
    }
    return XNOR_OK;
}
