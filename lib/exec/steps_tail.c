// Steps that are little more than their tail: one on a map, and integer layers whose sums stay in a tile.
#include "core/size.h"
#include "exec/tail.h"
#include "exec/tiles.h"

typedef struct tail_context {
    const xnor_step *step;
    const xnor_run *run;
    xnor_bound_tail tail;
    bool masked[XNOR_MAX_PARTS];
} tail_context;

enum { GEMM_ROWS = 64 };

// ---- layers -------------------------------------------------------------------------------------

static size_t rows_of_part(const xnor_step *step, const xnor_layer_part *part) {
    return step->tail->rows / (part->out_height * part->out_width) * part->height * part->width;
}

void xnor_layers_masked(const xnor_step *step, const xnor_run *run, bool masked[XNOR_MAX_PARTS]) {
    for (size_t i = 0; i < step->part_count; i++) {
        const xnor_layer_part *part = &step->parts[i];
        const size_t rows = rows_of_part(step, part);
        masked[i] =
            step->graph->values[part->x].dtype == XNOR_TERNARY &&
            xnor_has_zero(rows, part->k,
                          (const uint64_t *)run->values[part->x] + rows * xnor_words(part->k));
    }
}

// Rows that lie one stride apart.
static void multiply_line(const xnor_step *s, const xnor_run *run, const xnor_layer_part *part,
                          bool masked, size_t first, size_t count, int32_t *acc) {
    const size_t words = xnor_words(part->k), n = s->tail->n;
    const uint64_t *bits = run->values[part->x];
    xnor_gemm_args args = {.rows = count,
                           .k = part->k,
                           .n = n,
                           .n_end = n,
                           .a = bits + first * words,
                           .a_stride = words * part->stride[1],
                           .packed = part->packed};
    if (masked) {
        args.mask = args.a + rows_of_part(s, part) * words;
        run->kernels->gemm_acc_ternary(&args, acc, n);
    } else {
        run->kernels->gemm_acc(&args, acc, n);
    }
}

static void multiply(const xnor_step *s, const xnor_run *run, size_t index, bool masked,
                     size_t begin, size_t end, int32_t *acc) {
    const xnor_layer_part *part = &s->parts[index];
    for (size_t row = begin, count; row < end; row += count) {
        const size_t line = row / part->out_width, column = row % part->out_width;
        const size_t picture = line / part->out_height, y = line % part->out_height;
        const size_t from = (picture * part->height + y * part->stride[0]) * part->width;
        count = part->out_width - column;
        if (count > end - row) count = end - row;
        multiply_line(s, run, part, masked, from + column * part->stride[1], count,
                      acc + (row - begin) * s->tail->n);
    }
}

void xnor_layers(const xnor_step *step, const xnor_run *run, const bool masked[XNOR_MAX_PARTS],
                 size_t begin, size_t end, int32_t *sums, size_t stride) {
    int32_t acc[XNOR_POINTWISE_MAX];
    for (size_t k = 0; k < step->part_count; k++) {
        int32_t *sum = sums + step->parts[k].layer * stride;
        if (k == 0 || step->parts[k].layer != step->parts[k - 1].layer) {
            multiply(step, run, k, masked[k], begin, end, sum);
            continue;
        }
        multiply(step, run, k, masked[k], begin, end, acc);
        for (size_t i = 0; i < (end - begin) * step->tail->n; i++) sum[i] += acc[i];
    }
}

// ---- steps --------------------------------------------------------------------------------------

static xnor_status over_tail(const xnor_step *s, const xnor_run *run, size_t most, xnor_tile tile) {
    tail_context c = {.step = s, .run = run};
    const size_t layers = s->layer_count ? s->layer_count : 1;
    const size_t fit = XNOR_POINTWISE_MAX / (s->tail->n * layers);
    xnor_layers_masked(s, run, c.masked);
    xnor_tail_bind(s->tail, run, &c.tail);
    xnor_parallel_for(run->pool, s->tail->rows, fit < most ? fit : most, run->cancel, tile, &c);
    return XNOR_OK;
}

static void tile_pointwise(void *context, size_t begin, size_t end) {
    const tail_context *c = context;
    const void *x = c->run->values[c->step->x];
    const size_t first = begin * c->step->tail->n;
    const int32_t *const sums = (const int32_t *)x + first;
    const bool real = c->step->graph->values[c->step->x].dtype == XNOR_F32;
    xnor_tail_apply(&c->tail, begin, end - begin, &sums, real ? (const float *)x + first : NULL);
}

xnor_status xnor_step_pointwise(const xnor_step *s, const xnor_run *run) {
    return over_tail(s, run, XNOR_POINTWISE_MAX, tile_pointwise);
}

static void tile_gemm(void *context, size_t begin, size_t end) {
    const tail_context *c = context;
    const size_t stride = (end - begin) * c->step->tail->n;
    int32_t sums[XNOR_POINTWISE_MAX];
    const int32_t *layers[XNOR_MAX_PARTS];
    for (size_t i = 0; i < c->step->layer_count; i++) layers[i] = sums + i * stride;
    xnor_layers(c->step, c->run, c->masked, begin, end, sums, stride);
    xnor_tail_apply(&c->tail, begin, end - begin, layers, NULL);
}

xnor_status xnor_step_gemm_tail(const xnor_step *s, const xnor_run *run) {
    return over_tail(s, run, GEMM_ROWS, tile_gemm);
}
