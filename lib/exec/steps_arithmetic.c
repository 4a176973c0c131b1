// a op b of reals with broadcasting.
#include "exec/broadcast.h"

#define XNOR_ELEMENT float

static void arithmetic_row(xnor_op op, size_t n, const void *const *operands, const size_t *step,
                           void *y) {
    const float *x = operands[0], *w = operands[1];
    float *out = y;
    switch (op) {
    case XNOR_OP_ADD:
        XNOR_BROADCAST_LOOPS(a + b)
    case XNOR_OP_SUB:
        XNOR_BROADCAST_LOOPS(a - b)
    case XNOR_OP_MUL:
    case XNOR_OP_POW: // of 2: by itself
        XNOR_BROADCAST_LOOPS(a * b)
    default:
        XNOR_BROADCAST_LOOPS(a / b)
    }
}

xnor_status xnor_step_arithmetic(const xnor_step *s, const xnor_run *run) {
    const xnor_value_id operands[2] = {s->x, s->w};
    const size_t bytes[2] = {sizeof(float), sizeof(float)};
    return xnor_over_broadcast(s, run, 2, operands, bytes, sizeof(float), arithmetic_row);
}
