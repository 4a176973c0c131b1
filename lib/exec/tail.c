#include "exec/tail.h"

#include <stdlib.h>

#include "core/size.h"

void xnor_tail_free(xnor_tail *tail) {
    if (!tail) return;
    for (size_t i = 0; i < tail->count; i++)
        for (size_t p = 0; p < 2; p++) free(tail->ops[i].parameters[p]);
    free(tail);
}

void xnor_tail_bind(const xnor_tail *tail, const xnor_run *run, xnor_bound_tail *out) {
    const size_t plane = tail->rows * xnor_words(tail->n);
    xnor_pointwise *program = &out->program;
    out->tail = tail;
    out->run = run;
    program->n = tail->n;
    program->period = tail->period;
    program->op_count = tail->count;
    for (size_t i = 0; i < tail->count; i++) {
        const xnor_tail_op *op = &tail->ops[i];
        const bool two =
            op->code == XNOR_POINTWISE_TERNARY || op->code == XNOR_POINTWISE_AT_LEAST_TERNARY;
        void *y = op->y == XNOR_NO_VALUE ? NULL : run->values[op->y];
        program->ops[i] = (xnor_pointwise_op){
            .code = op->code,
            .a = op->a == XNOR_NO_VALUE ? (const void *)op->parameters[0] : run->values[op->a],
            .b = op->parameters[1],
            .y = y,
            .z = two ? (uint64_t *)y + plane : NULL,
            .low = op->low,
            .high = op->high,
            .layer = op->layer};
    }
}

// The last operation keeps what the layer takes.
static void apply_layer(const xnor_bound_tail *bound, size_t first, size_t rows,
                        const int32_t *const *acc, const float *x) {
    const xnor_tail_layer *layer = &bound->tail->layer;
    const size_t k = bound->tail->n;
    float tile[XNOR_POINTWISE_MAX];
    xnor_pointwise program = bound->program;
    program.ops[program.op_count - 1].y = tile;
    bound->run->kernels->pointwise(&program, first, rows, acc, x);
    bound->run->kernels->gemm_f32(rows, k, layer->n, tile, k, layer->packed, layer->n, layer->bias,
                                  (float *)bound->run->values[layer->y] + first * layer->n,
                                  layer->n);
}

void xnor_tail_apply(const xnor_bound_tail *bound, size_t first, size_t rows,
                     const int32_t *const *acc, const float *x) {
    if (bound->tail->layer.packed)
        apply_layer(bound, first, rows, acc, x);
    else
        bound->run->kernels->pointwise(&bound->program, first, rows, acc, x);
}
