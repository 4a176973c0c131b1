// Steps that are little more than their tail: one on a map, and integer layers whose sums stay in a tile.
#include "core/size.h"
#include "exec/tail.h"
#include "exec/tiles.h"

typedef struct tail_context {
    const xnor_step *step;
    const xnor_run *run;
    xnor_pointwise program;
    bool masked[XNOR_MAX_PARTS]; // parts with zeros
} tail_context;

enum { GEMM_ROWS = 64 };

static xnor_status over_tail(const xnor_step *s, const xnor_run *run, size_t most, xnor_tile tile) {
    tail_context c = {.step = s, .run = run};
    for (size_t i = 0; i < s->part_count; i++) {
        const xnor_layer_part *part = &s->parts[i];
        const uint64_t *plane = run->values[part->x];
        c.masked[i] =
            s->graph->values[part->x].dtype == XNOR_TERNARY &&
            xnor_has_zero(s->tail->rows, part->k, plane + s->tail->rows * xnor_words(part->k));
    }
    const size_t fit = XNOR_POINTWISE_MAX / s->tail->n;
    xnor_tail_bind(s->tail, run, &c.program);
    xnor_parallel_for(run->pool, s->tail->rows, fit < most ? fit : most, run->cancel, tile, &c);
    return XNOR_OK;
}

static void tile_pointwise(void *context, size_t begin, size_t end) {
    const tail_context *c = context;
    const void *x = c->run->values[c->step->x];
    const size_t first = begin * c->step->tail->n;
    const bool sums = c->step->graph->values[c->step->x].dtype == XNOR_ACC;
    c->run->kernels->pointwise(&c->program, begin, end - begin,
                               sums ? (const int32_t *)x + first : NULL,
                               sums ? NULL : (const float *)x + first);
}

xnor_status xnor_step_pointwise(const xnor_step *s, const xnor_run *run) {
    return over_tail(s, run, XNOR_POINTWISE_MAX, tile_pointwise);
}

static void multiply(const tail_context *c, size_t index, size_t begin, size_t end, int32_t *acc) {
    const xnor_step *s = c->step;
    const xnor_layer_part *part = &s->parts[index];
    const size_t words = xnor_words(part->k);
    const uint64_t *bits = c->run->values[part->x];
    xnor_gemm_args args = {.rows = end - begin,
                           .k = part->k,
                           .n = s->n,
                           .n_end = s->n,
                           .a = bits + begin * words,
                           .a_stride = words,
                           .packed = part->packed};
    if (c->masked[index]) {
        args.mask = args.a + s->tail->rows * words;
        c->run->kernels->gemm_acc_ternary(&args, acc, s->n);
    } else {
        c->run->kernels->gemm_acc(&args, acc, s->n);
    }
}

static void tile_gemm(void *context, size_t begin, size_t end) {
    const tail_context *c = context;
    const xnor_step *s = c->step;
    int32_t sum[XNOR_POINTWISE_MAX], acc[XNOR_POINTWISE_MAX];
    multiply(c, 0, begin, end, sum);
    for (size_t k = 1; k < s->part_count; k++) {
        multiply(c, k, begin, end, acc);
        for (size_t i = 0; i < (end - begin) * s->n; i++) sum[i] += acc[i];
    }
    c->run->kernels->pointwise(&c->program, begin, end - begin, sum, NULL);
}

xnor_status xnor_step_gemm_tail(const xnor_step *s, const xnor_run *run) {
    return over_tail(s, run, GEMM_ROWS, tile_gemm);
}
