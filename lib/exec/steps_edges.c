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

static void linear(const tile_context *c, size_t edges, size_t k, const float *x, const float *w,
                   const float *bias, size_t first) {
    const xnor_step *s = c->step;
    const xnor_kernels *kernels = c->run->kernels;
    size_t words = xnor_words(s->n);
    if (s->run == xnor_step_edges_linear_bits)
        kernels->gemm_f32_bits(edges, k, s->n, x, k, w, s->n, bias,
                               (uint64_t *)c->run->values[s->y] + first * words, words);
    else
        kernels->gemm_f32(edges, k, s->n, x, k, w, s->n, bias,
                          (float *)c->run->values[s->y] + first * s->n, s->n);
}

// Where a point's own features come first, the sums of all its edges begin with the same ones: they are
// taken once and stand for the bias, as sums go on in order.
static void tile_linear_own_first(const tile_context *c, size_t begin, size_t end,
                                  size_t channels) {
    static const xnor_attr difference = {.count = 1, .ints = {1}};
    const xnor_step *s = c->step;
    float features[BLOCK_FLOATS], own[XNOR_EDGES_MAX_OUTPUTS];
    for (size_t point = begin; point < end; point++) {
        edge_source e = source_of(s, c->run, point);
        c->run->kernels->gemm_f32(1, channels, s->n, e.own, channels, s->packed, s->n,
                                  s->parameters[0], own, s->n);
        write_features(&e, &difference, 0, s->k, features);
        linear(c, s->k, channels, features, (const float *)s->packed + channels * s->n, own,
               point * s->k);
    }
}

// A linear layer on features that are made a block at a time. n: channels of the result.
static void tile_linear(void *context, size_t begin, size_t end) {
    const tile_context *c = context;
    const xnor_step *s = c->step;
    const xnor_attr *parts = xnor_edges_parts(s->node);
    size_t channels = (size_t)xnor_shape_last(&s->graph->values[s->x].shape);
    size_t width = channels * parts->count, most = BLOCK_FLOATS / width;
    float features[BLOCK_FLOATS];
    if (parts->count == 2 && !parts->ints[0] && parts->ints[1] && s->n <= XNOR_EDGES_MAX_OUTPUTS &&
        s->k <= BLOCK_FLOATS / channels) {
        tile_linear_own_first(c, begin, end, channels);
        return;
    }
    for (size_t edge = begin * s->k; edge < end * s->k;) {
        size_t count = end * s->k - edge < most ? end * s->k - edge : most;
        for (size_t done = 0; done < count;) {
            size_t point = (edge + done) / s->k, first = (edge + done) % s->k;
            size_t take = s->k - first < count - done ? s->k - first : count - done;
            edge_source e = source_of(s, c->run, point);
            write_features(&e, parts, first, take, features + done * width);
            done += take;
        }
        linear(c, count, width, features, s->packed, s->parameters[0], edge);
        edge += count;
    }
}

xnor_status xnor_step_edges_linear(const xnor_step *s, const xnor_run *run) {
    return over(s, run, s->groups * s->rows, TILE_POINTS, tile_linear);
}

xnor_status xnor_step_edges_linear_bits(const xnor_step *s, const xnor_run *run) {
    return over(s, run, s->groups * s->rows, TILE_POINTS, tile_linear);
}
