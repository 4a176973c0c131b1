// Steps of xnor_edges: x [groups, rows, C], index [groups, rows, k] of rows in the same group, as
// operators on neighbours make them.
#include "exec/steps_edges.h"

#include <string.h>

#include "core/size.h"
#include "core/tensor.h"
#include "exec/tiles.h"

enum { TILE_POINTS = 32, BLOCK_FLOATS = 4096 };

typedef struct edge_source {
    const float *x; // of the group
    const float *own;
    const int64_t *index; // [k]
    size_t channels;
} edge_source;

static edge_source source_of(const xnor_step *s, const xnor_run *run, size_t point) {
    edge_source e = {.channels = (size_t)xnor_shape_last(&s->graph->values[s->x].shape)};
    e.x = (const float *)run->values[s->x] + point / s->rows * s->rows * e.channels;
    e.own = e.x + point % s->rows * e.channels;
    e.index = (const int64_t *)run->values[s->w] + point * s->k;
    return e;
}

// Features of edges first .. first + count - 1 of a point: [count][parts·channels]
static void write_features(const edge_source *e, const xnor_attr *parts, size_t first, size_t count,
                           float *out) {
    for (size_t i = first; i < first + count; i++) {
        const float *other = e->x + (size_t)e->index[i] * e->channels;
        for (uint32_t p = 0; p < parts->count; p++, out += e->channels)
            if (parts->ints[p])
                for (size_t c = 0; c < e->channels; c++) out[c] = other[c] - e->own[c];
            else
                memcpy(out, e->own, e->channels * sizeof *out);
    }
}

static void tile_edges(void *context, size_t begin, size_t end) {
    const tile_context *c = context;
    const xnor_step *s = c->step;
    const xnor_attr *parts = xnor_edges_parts(s->node);
    size_t features = s->n * parts->count;
    for (size_t point = begin; point < end; point++) {
        edge_source e = source_of(s, c->run, point);
        write_features(&e, parts, 0, s->k, (float *)c->run->values[s->y] + point * s->k * features);
    }
}

xnor_status xnor_step_edges(const xnor_step *s, const xnor_run *run) {
    return over(s, run, s->groups * s->rows, TILE_POINTS, tile_edges);
}

static void tile_signs(void *context, size_t begin, size_t end) {
    const tile_context *c = context;
    const xnor_step *s = c->step;
    size_t words = xnor_words(s->n), plane = s->groups * s->rows * s->k * words;
    for (size_t point = begin; point < end; point++) {
        edge_source e = source_of(s, c->run, point);
        uint64_t *positive = (uint64_t *)c->run->values[s->y] + point * s->k * words;
        c->run->kernels->edge_signs_f32(s->k, s->n, e.x, s->n, e.index, e.own, positive,
                                        positive + plane, words);
    }
}

xnor_status xnor_step_edges_signs(const xnor_step *s, const xnor_run *run) {
    return over(s, run, s->groups * s->rows, TILE_POINTS, tile_signs);
}

// A linear layer on features that are made a block at a time. n: channels of the result.
static void tile_linear(void *context, size_t begin, size_t end) {
    const tile_context *c = context;
    const xnor_step *s = c->step;
    const xnor_attr *parts = xnor_edges_parts(s->node);
    bool bits = s->run == xnor_step_edges_linear_bits;
    size_t width = (size_t)xnor_shape_last(&s->graph->values[s->x].shape) * parts->count;
    size_t most = BLOCK_FLOATS / width, words = xnor_words(s->n);
    float features[BLOCK_FLOATS];
    for (size_t edge = begin * s->k; edge < end * s->k;) {
        size_t count = end * s->k - edge < most ? end * s->k - edge : most;
        for (size_t done = 0; done < count;) {
            size_t point = (edge + done) / s->k, first = (edge + done) % s->k;
            size_t take = s->k - first < count - done ? s->k - first : count - done;
            edge_source e = source_of(s, c->run, point);
            write_features(&e, parts, first, take, features + done * width);
            done += take;
        }
        if (bits)
            c->run->kernels->gemm_f32_bits(count, width, s->n, features, width, s->packed, s->n,
                                           s->parameters[0],
                                           (uint64_t *)c->run->values[s->y] + edge * words, words);
        else
            c->run->kernels->gemm_f32(count, width, s->n, features, width, s->packed, s->n,
                                      s->parameters[0], (float *)c->run->values[s->y] + edge * s->n,
                                      s->n);
        edge += count;
    }
}

xnor_status xnor_step_edges_linear(const xnor_step *s, const xnor_run *run) {
    return over(s, run, s->groups * s->rows, TILE_POINTS, tile_linear);
}

xnor_status xnor_step_edges_linear_bits(const xnor_step *s, const xnor_run *run) {
    return over(s, run, s->groups * s->rows, TILE_POINTS, tile_linear);
}
