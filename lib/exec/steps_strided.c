// Steps that only move floats: by fixed steps along each axis, and padding. Axes that stay side by side are moved as one.
#include <string.h>

#include "exec/tiles.h"
#include "ops/pad.h"
#include "ops/strided.h"

enum { TILE_FLOATS = 16384 };

// ---- fixed steps --------------------------------------------------------------------------------

// [.., rows, count]: the walk is over the axes in front of these.
typedef struct strided_context {
    const xnor_step *step;
    const xnor_run *run;
    xnor_walk outer;
    int64_t rows, row; // and elements from one row to the next
    int64_t count, at; // and from one element to the next
} strided_context;

// Joins axes of which the outer one goes on where the inner one ends.
static void join(xnor_walk *walk) {
    uint32_t rank = 0;
    for (uint32_t i = 0; i < walk->rank; i++) {
        const int64_t size = walk->dims[i], stride = walk->stride[0][i];
        if (size == 1) continue;
        const bool follows = rank && walk->stride[0][rank - 1] == stride * size;
        rank += !follows;
        walk->dims[rank - 1] = follows ? walk->dims[rank - 1] * size : size;
        walk->stride[0][rank - 1] = stride;
    }
    walk->rank = rank;
}

static void take_axis(xnor_walk *walk, int64_t *size, int64_t *stride) {
    *size = 1;
    *stride = 1;
    if (!walk->rank) return;
    walk->rank--;
    *size = walk->dims[walk->rank];
    *stride = walk->stride[0][walk->rank];
}

static void copy(const float *x, int64_t at, int64_t count, float *y) {
    if (at == 1 && count >= 16)
        memcpy(y, x, (size_t)count * sizeof *y);
    else
        for (int64_t i = 0; i < count; i++) y[i] = x[i * at];
}

static void tile_rows(void *context, size_t begin, size_t end) {
    const strided_context *c = context;
    int64_t row = (int64_t)begin;
    float *y = (float *)c->run->values[c->step->y] + row * c->count;
    while (row < (int64_t)end) {
        const float *x = (const float *)c->run->values[c->step->x] + c->outer.offset[0];
        int64_t rest = row / c->rows;
        for (uint32_t i = c->outer.rank; i-- > 0; rest /= c->outer.dims[i])
            x += rest % c->outer.dims[i] * c->outer.stride[0][i];
        const int64_t first = row % c->rows, left = (int64_t)end - row;
        const int64_t stop = left < c->rows - first ? first + left : c->rows;
        for (int64_t k = first; k < stop; k++, y += c->count)
            copy(x + k * c->row, c->at, c->count, y);
        row += stop - first;
    }
}

// Long rows of elements that lie apart: a part of all rows at a time, so that what is read with an element is used
// while it is in the cache.
static void tile_parts(void *context, size_t begin, size_t end) {
    const strided_context *c = context;
    xnor_walk walk = c->outer;
    size_t lines = 1;
    for (uint32_t i = 0; i < walk.rank; i++) lines *= (size_t)walk.dims[i];
    float *y = c->run->values[c->step->y];
    for (size_t line = 0; line < lines; line++, xnor_walk_next(&walk)) {
        const float *x = (const float *)c->run->values[c->step->x] + walk.offset[0];
        for (int64_t row = 0; row < c->rows; row++, x += c->row, y += c->count)
            for (size_t i = begin; i < end; i++) y[i] = x[(int64_t)i * c->at];
    }
}

static xnor_tensor constant(const xnor_step *s, uint32_t input) {
    if (input >= s->node->input_count || s->node->inputs[input] == XNOR_NO_VALUE)
        return (xnor_tensor){0};
    const xnor_value *value = &s->graph->values[s->node->inputs[input]];
    return (xnor_tensor){value->dtype, value->shape, value->data};
}

xnor_status xnor_step_strided(const xnor_step *s, const xnor_run *run) {
    enum { INPUTS = 5, PART = 64 };
    strided_context c = {.step = s, .run = run};
    xnor_tensor in[INPUTS];
    size_t rows = 1;
    for (uint32_t i = 0; i < INPUTS; i++) in[i] = constant(s, i);
    XNOR_TRY(xnor_strided_walk(s->node, in, &c.outer));
    join(&c.outer);
    take_axis(&c.outer, &c.count, &c.at);
    take_axis(&c.outer, &c.rows, &c.row);
    for (uint32_t i = 0; i < c.outer.rank; i++) rows *= (size_t)c.outer.dims[i];
    rows *= (size_t)c.rows;
    if (rows > 1 && c.count >= PART && c.at != 1) {
        xnor_parallel_for(run->pool, (size_t)c.count, PART, run->cancel, tile_parts, &c);
        return XNOR_OK;
    }
    xnor_parallel_for(run->pool, c.count ? rows : 0, 1 + TILE_FLOATS / ((size_t)c.count + 1),
                      run->cancel, tile_rows, &c);
    return XNOR_OK;
}

// ---- padding ------------------------------------------------------------------------------------

typedef struct pad_context {
    const xnor_step *step;
    const xnor_run *run;
    xnor_padding padding;
    const xnor_shape *x, *y;
    uint32_t last; // axis: the last one that is padded; what is behind it moves as one
    size_t unit;   // elements behind it
    float value;
} pad_context;

static void fill(float value, size_t count, float *y) {
    for (size_t i = 0; i < count; i++) y[i] = value;
}

// A line along the last axis that is padded.
static void pad_line(const pad_context *c, const float *x, float *y) {
    const int64_t in = c->x->dims[c->last], out = c->y->dims[c->last];
    const int64_t begin = c->padding.begin[c->last], end = c->padding.end[c->last];
    // What is not padding lies side by side.
    const int64_t first = begin > 0 ? begin : 0, stop = end > 0 ? out - end : out;
    for (int64_t i = 0; i < out; i++, y += c->unit) {
        const int64_t from = xnor_padding_source(&c->padding, c->last, in, i);
        size_t count = c->unit;
        if (i == first && i < stop) {
            count *= (size_t)(stop - first);
            memcpy(y, x + (size_t)from * c->unit, count * sizeof *y);
            y += count - c->unit;
            i = stop - 1;
        } else if (from < 0) {
            fill(c->value, count, y);
        } else {
            memcpy(y, x + (size_t)from * c->unit, count * sizeof *y);
        }
    }
}

static void tile_pad(void *context, size_t begin, size_t end) {
    const pad_context *c = context;
    const size_t length = (size_t)c->y->dims[c->last] * c->unit;
    float *y = (float *)c->run->values[c->step->y] + begin * length;
    for (size_t line = begin; line < end; line++, y += length) {
        size_t rest = line, stride = (size_t)c->x->dims[c->last] * c->unit, offset = 0;
        bool inside = true;
        for (uint32_t i = c->last; i-- > 0 && inside;) {
            const size_t size = (size_t)c->y->dims[i];
            const int64_t from =
                xnor_padding_source(&c->padding, i, c->x->dims[i], (int64_t)(rest % size));
            inside = from >= 0;
            if (inside) offset += (size_t)from * stride;
            stride *= (size_t)c->x->dims[i];
            rest /= size;
        }
        if (inside)
            pad_line(c, (const float *)c->run->values[c->step->x] + offset, y);
        else
            fill(c->value, length, y);
    }
}

xnor_status xnor_step_pad(const xnor_step *s, const xnor_run *run) {
    pad_context c = {.step = s, .run = run, .unit = 1, .value = s->low};
    const xnor_tensor pads = constant(s, 1), axes = constant(s, 3);
    c.x = &s->graph->values[s->x].shape;
    c.y = &s->graph->values[s->y].shape;
    XNOR_TRY(xnor_padding_read(s->node, c.x, &pads, &axes, &c.padding));
    c.last = c.x->rank - 1;
    while (c.last > 0 && c.padding.begin[c.last] == 0 && c.padding.end[c.last] == 0)
        c.unit *= (size_t)c.x->dims[c.last--];
    size_t count = 1;
    for (uint32_t i = 0; i < c.last; i++) count *= (size_t)c.y->dims[i];
    const size_t line = (size_t)c.y->dims[c.last] * c.unit;
    xnor_parallel_for(run->pool, count, 1 + TILE_FLOATS / (line + 1), run->cancel, tile_pad, &c);
    return XNOR_OK;
}
