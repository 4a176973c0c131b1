// a op b of reals with broadcasting: rows along the last axis, along which an operand advances or stays.
#include "exec/tiles.h"
#include "ops/ops.h"

typedef struct arithmetic_context {
    const xnor_step *step;
    const xnor_run *run;
    xnor_walk outer;      // over the axes in front of the last two
    size_t rows, n;       // sizes of the last two
    size_t row[2], at[2]; // steps of both operands from one row, or element, to the next
} arithmetic_context;

#define ROW(expression, i_a, i_b)                                                                  \
    for (size_t i = 0; i < n; i++) {                                                               \
        const float a = x[i_a], b = w[i_b];                                                        \
        y[i] = expression;                                                                         \
    }
#define ROWS(expression)                                                                           \
    if (step_a && step_b) {                                                                        \
        ROW(expression, i, i)                                                                      \
    } else if (step_a) {                                                                           \
        ROW(expression, i, 0)                                                                      \
    } else {                                                                                       \
        ROW(expression, 0, i *step_b)                                                              \
    }                                                                                              \
    break;

static void arithmetic_row(xnor_op op, size_t n, const float *x, size_t step_a, const float *w,
                           size_t step_b, float *y) {
    switch (op) {
    case XNOR_OP_ADD:
        ROWS(a + b)
    case XNOR_OP_SUB:
        ROWS(a - b)
    case XNOR_OP_MUL:
    case XNOR_OP_POW: // of 2: by itself
        ROWS(a * b)
    default:
        ROWS(a / b)
    }
}

// The walk without axes of size 1, and with axes joined where both operands go on.
static void join(xnor_walk *walk) {
    uint32_t rank = 0;
    for (uint32_t i = 0; i < walk->rank; i++) {
        const int64_t size = walk->dims[i];
        if (size == 1) continue;
        const bool follows = rank && walk->stride[0][rank - 1] == walk->stride[0][i] * size &&
                             walk->stride[1][rank - 1] == walk->stride[1][i] * size;
        rank += !follows;
        walk->dims[rank - 1] = follows ? walk->dims[rank - 1] * size : size;
        for (int k = 0; k < 2; k++) walk->stride[k][rank - 1] = walk->stride[k][i];
    }
    walk->rank = rank;
}

static void take_axis(xnor_walk *walk, size_t *size, size_t steps[2]) {
    *size = 1;
    steps[0] = steps[1] = 0;
    if (!walk->rank) return;
    walk->rank--;
    *size = (size_t)walk->dims[walk->rank];
    for (int k = 0; k < 2; k++) steps[k] = (size_t)walk->stride[k][walk->rank];
}

static void tile_rows(void *context, size_t begin, size_t end) {
    const arithmetic_context *c = context;
    const xnor_step *s = c->step;
    float *y = (float *)c->run->values[s->y] + begin * c->n;
    while (begin < end) {
        size_t rest = begin / c->rows, offset[2] = {0, 0};
        for (uint32_t i = c->outer.rank; i-- > 0; rest /= (size_t)c->outer.dims[i])
            for (int k = 0; k < 2; k++)
                offset[k] += rest % (size_t)c->outer.dims[i] * (size_t)c->outer.stride[k][i];
        const float *x = (const float *)c->run->values[s->x] + offset[0];
        const float *w = (const float *)c->run->values[s->w] + offset[1];
        const size_t first = begin % c->rows;
        const size_t stop = end - begin < c->rows - first ? first + (end - begin) : c->rows;
        for (size_t row = first; row < stop; row++, y += c->n)
            arithmetic_row(s->node->op, c->n, x + row * c->row[0], c->at[0], w + row * c->row[1],
                           c->at[1], y);
        begin += stop - first;
    }
}

xnor_status xnor_step_arithmetic(const xnor_step *s, const xnor_run *run) {
    enum { TILE_FLOATS = 8192 };
    arithmetic_context c = {.step = s, .run = run};
    size_t count = 1;
    xnor_walk_init(&c.outer, &s->graph->values[s->y].shape);
    xnor_walk_add(&c.outer, &s->graph->values[s->x].shape);
    xnor_walk_add(&c.outer, &s->graph->values[s->w].shape);
    for (uint32_t i = 0; i < c.outer.rank; i++) count *= (size_t)c.outer.dims[i];
    if (count == 0) return XNOR_OK;
    join(&c.outer);
    take_axis(&c.outer, &c.n, c.at);
    take_axis(&c.outer, &c.rows, c.row);
    xnor_parallel_for(run->pool, count / c.n, 1 + TILE_FLOATS / c.n, run->cancel, tile_rows, &c);
    return XNOR_OK;
}
