#include "exec/tail.h"

#include <stdlib.h>

#include "core/size.h"

void xnor_tail_free(xnor_tail *tail) {
    if (!tail) return;
    for (size_t i = 0; i < tail->count; i++)
        for (size_t p = 0; p < 2; p++) free(tail->ops[i].parameters[p]);
    free(tail);
}

void xnor_tail_bind(const xnor_tail *tail, const xnor_run *run, xnor_pointwise *out) {
    const size_t plane = tail->rows * xnor_words(tail->n);
    out->n = tail->n;
    out->period = tail->period;
    out->op_count = tail->count;
    for (size_t i = 0; i < tail->count; i++) {
        const xnor_tail_op *op = &tail->ops[i];
        const bool two =
            op->code == XNOR_POINTWISE_TERNARY || op->code == XNOR_POINTWISE_AT_LEAST_TERNARY;
        void *y = op->y == XNOR_NO_VALUE ? NULL : run->values[op->y];
        out->ops[i] = (xnor_pointwise_op){
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
