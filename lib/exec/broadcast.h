// Operands of shapes that broadcast to that of a result: rows along the last axis, along which an operand advances or
// stays. Internal to lib/exec.
#ifndef XNOR_EXEC_BROADCAST_H
#define XNOR_EXEC_BROADCAST_H

#include "exec/tiles.h"
#include "ops/ops.h"

// What makes one row: n elements of y from the operands, which advance by step[k] (0 or 1) elements.
typedef void (*xnor_broadcast_row)(xnor_op op, size_t n, const void *const *operands,
                                   const size_t *step, void *y);

// Runs `row` over the rows of value s->y. operands: ids and bytes of an element of each, of which there are at most
// XNOR_WALK_INPUTS; y_bytes: of an element of y.
xnor_status xnor_over_broadcast(const xnor_step *s, const xnor_run *run, uint32_t count,
                                const xnor_value_id *operands, const size_t *bytes, size_t y_bytes,
                                xnor_broadcast_row row);

// A loop for every choice of operands that advance, so that compilers can use vectors. Of a and b in `expression`.
#define XNOR_BROADCAST_LOOP(expression, i_a, i_b)                                                  \
    for (size_t i = 0; i < n; i++) {                                                               \
        const XNOR_ELEMENT a = x[i_a], b = w[i_b];                                                 \
        out[i] = expression;                                                                       \
    }
#define XNOR_BROADCAST_LOOPS(expression)                                                           \
    if (step[0] && step[1]) {                                                                      \
        XNOR_BROADCAST_LOOP(expression, i, i)                                                      \
    } else if (step[0]) {                                                                          \
        XNOR_BROADCAST_LOOP(expression, i, 0)                                                      \
    } else {                                                                                       \
        XNOR_BROADCAST_LOOP(expression, 0, i *step[1])                                             \
    }                                                                                              \
    break;

#endif
