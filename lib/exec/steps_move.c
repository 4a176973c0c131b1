// Steps that only move floats: permutations of axes and padding. Axes that stay side by side are moved as one.
#include <string.h>

#include "exec/tiles.h"
#include "ops/pad.h"
#include "ops/permutation.h"

enum { TILE_FLOATS = 16384 };

// ---- permutations -------------------------------------------------------------------------------

// [lines][count]: the walk is over the axes in front of the last one.
typedef struct permute_context {
    const xnor_step *step;
    const xnor_run *run;
    xnor_walk lines;
    size_t count, stride; // elements of a line, and from one to the next
} permute_context;

// Joins axes of which the outer one goes on where the inner one ends.
static void join(const xnor_walk *walk, permute_context *out) {
    xnor_walk *l = &out->lines;
    uint32_t last = 0;
    bool any = false;
    *l = (xnor_walk){.inputs = 1, .dims = {1}, .stride = {{1}}};
    for (uint32_t i = 0; i < walk->rank; i++) {
        const int64_t count = walk->dims[i], stride = walk->stride[0][i];
        if (count == 1) continue;
        if (any && l->stride[0][last] == stride * count) {
            l->dims[last] *= count;
        } else {
            last += any;
            l->dims[last] = count;
        }
        l->stride[0][last] = stride;
        any = true;
    }
    l->rank = last;
    out->count = (size_t)l->dims[last];
    out->stride = (size_t)l->stride[0][last];
}

static void tile_lines(void *context, size_t begin, size_t end) {
    const permute_context *c = context;
    xnor_walk walk = c->lines;
    int64_t rest = (int64_t)begin;
    for (uint32_t i = walk.rank; i-- > 0; rest /= walk.dims[i]) {
        walk.index[i] = rest % walk.dims[i];
        walk.offset[0] += walk.index[i] * walk.stride[0][i];
    }
    float *y = (float *)c->run->values[c->step->y] + begin * c->count;
    for (size_t line = begin; line < end; line++, y += c->count, xnor_walk_next(&walk)) {
        const float *x = (const float *)c->run->values[c->step->x] + walk.offset[0];
        if (c->stride == 1)
            memcpy(y, x, c->count * sizeof *y);
        else
            for (size_t k = 0; k < c->count; k++) y[k] = x[k * c->stride];
    }
}

xnor_status xnor_step_permute(const xnor_step *s, const xnor_run *run) {
    permute_context c = {.step = s, .run = run};
    xnor_walk walk;
    XNOR_TRY(xnor_permutation_walk(s->node, &s->graph->values[s->x].shape, &walk));
    join(&walk, &c);
    size_t count = 1;
    for (uint32_t i = 0; i < c.lines.rank; i++) count *= (size_t)c.lines.dims[i];
    xnor_parallel_for(run->pool, count, 1 + TILE_FLOATS / (c.count + 1), run->cancel, tile_lines,
                      &c);
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

static xnor_tensor constant(const xnor_step *s, uint32_t input) {
    if (input >= s->node->input_count || s->node->inputs[input] == XNOR_NO_VALUE)
        return (xnor_tensor){0};
    const xnor_value *value = &s->graph->values[s->node->inputs[input]];
    return (xnor_tensor){value->dtype, value->shape, value->data};
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
