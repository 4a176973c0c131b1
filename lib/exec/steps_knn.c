#include "exec/steps_knn.h"

#include <string.h>

#include "exec/tiles.h"

// A tile's distances to a chunk of points stay in the caches next to the processor.
enum { QUERIES = 12, CHUNK = 1024, TILE_PANELS = 8 };

typedef struct knn_context {
    const xnor_step *step;
    const xnor_run *run;
    const float *x;   // [rows, n] of the group
    int64_t *nearest; // [rows, k]
    float *panels;    // [panels][n][XNOR_PANEL]
    float *values;    // [rows, k] distances of the nearest
} knn_context;

static size_t panels_of(const xnor_step *s) {
    return (s->rows + XNOR_PANEL - 1) / XNOR_PANEL;
}

size_t xnor_knn_scratch(const xnor_step *s) {
    return panels_of(s) * XNOR_PANEL * s->n + s->rows * s->k;
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

static void tile_queries(void *context, size_t begin, size_t end) {
    const knn_context *c = context;
    const xnor_step *s = c->step;
    const xnor_kernels *kernels = c->run->kernels;
    // Where there are fewer points than neighbours, the nearest is repeated.
    const size_t k = s->k < s->rows ? s->k : s->rows;
    _Alignas(64) float d[QUERIES * CHUNK];
    for (size_t first = 0; first < s->rows; first += CHUNK) {
        size_t count = s->rows - first < CHUNK ? s->rows - first : CHUNK;
        kernels->distances_f32(end - begin, (count + XNOR_PANEL - 1) / XNOR_PANEL, s->n,
                               c->x + begin * s->n, s->n, c->panels + first * s->n, d, CHUNK);
        for (size_t i = begin; i < end; i++)
            kernels->nearest_f32(count, d + (i - begin) * CHUNK, first, k, c->values + i * s->k,
                                 c->nearest + i * s->k);
        if (is_cancelled(c->run)) return;
    }
    for (size_t i = begin; i < end; i++)
        for (size_t j = k; j < s->k; j++) c->nearest[i * s->k + j] = c->nearest[i * s->k];
}

// x [groups, rows, n] -> indices [groups, rows, k]
xnor_status xnor_step_knn(const xnor_step *s, const xnor_run *run) {
    knn_context c = {.step = s, .run = run, .panels = run->values[s->scratch]};
    c.values = c.panels + panels_of(s) * XNOR_PANEL * s->n;
    for (size_t group = 0; group < s->groups && !is_cancelled(run); group++) {
        c.x = (const float *)run->values[s->x] + group * s->rows * s->n;
        c.nearest = (int64_t *)run->values[s->y] + group * s->rows * s->k;
        xnor_parallel_for(run->pool, panels_of(s), TILE_PANELS, run->cancel, tile_panels, &c);
        xnor_parallel_for(run->pool, s->rows, QUERIES, run->cancel, tile_queries, &c);
    }
    return XNOR_OK;
}
