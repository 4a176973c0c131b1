// Comparisons of reals or indices, logic, and choices by it, with broadcasting. A truth is a byte, 0 or 1.
#include "exec/broadcast.h"

#define COMPARISONS                                                                                \
    switch (op) {                                                                                  \
    case XNOR_OP_EQUAL:                                                                            \
        XNOR_BROADCAST_LOOPS(a == b)                                                               \
    case XNOR_OP_GREATER:                                                                          \
        XNOR_BROADCAST_LOOPS(a > b)                                                                \
    case XNOR_OP_GREATER_OR_EQUAL:                                                                 \
        XNOR_BROADCAST_LOOPS(a >= b)                                                               \
    case XNOR_OP_LESS:                                                                             \
        XNOR_BROADCAST_LOOPS(a < b)                                                                \
    default:                                                                                       \
        XNOR_BROADCAST_LOOPS(a <= b)                                                               \
    }

#define COMPARE(name, type)                                                                        \
    static void name(xnor_op op, size_t n, const void *const *operands, const size_t *step,        \
                     void *y) {                                                                    \
        const type *x = operands[0], *w = operands[1];                                             \
        uint8_t *out = y;                                                                          \
        COMPARISONS                                                                                \
    }
#define XNOR_ELEMENT float
COMPARE(compare_reals, float)
#undef XNOR_ELEMENT
#define XNOR_ELEMENT int64_t
COMPARE(compare_indices, int64_t)
#undef XNOR_ELEMENT

#define XNOR_ELEMENT uint8_t
static void logic_row(xnor_op op, size_t n, const void *const *operands, const size_t *step,
                      void *y) {
    const uint8_t *x = operands[0], *w = operands[1];
    uint8_t *out = y;
    switch (op) {
    case XNOR_OP_AND:
        XNOR_BROADCAST_LOOPS((a != 0) & (b != 0))
    case XNOR_OP_OR:
        XNOR_BROADCAST_LOOPS((a | b) != 0)
    case XNOR_OP_XOR:
    case XNOR_OP_EQUAL:
        XNOR_BROADCAST_LOOPS(((a != 0) ^ (b != 0)) ^ (op == XNOR_OP_EQUAL))
    default: // Not: of both operands, which are one
        XNOR_BROADCAST_LOOPS((a | b) == 0)
    }
}

xnor_status xnor_step_truth(const xnor_step *s, const xnor_run *run) {
    const xnor_value_id operands[2] = {s->x, s->w};
    const xnor_dtype dtype = s->graph->values[s->x].dtype;
    const size_t size = dtype == XNOR_F32   ? sizeof(float)
                        : dtype == XNOR_I64 ? sizeof(int64_t)
                                            : sizeof(uint8_t);
    const size_t bytes[2] = {size, size};
    return xnor_over_broadcast(s, run, 2, operands, bytes, sizeof(uint8_t),
                               dtype == XNOR_F32   ? compare_reals
                               : dtype == XNOR_I64 ? compare_indices
                                                   : logic_row);
}

// ---- Where --------------------------------------------------------------------------------------

#define CHOOSE(i_a, i_b)                                                                           \
    for (size_t i = 0; i < n; i++) {                                                               \
        const float then = a[i_a], otherwise = b[i_b];                                             \
        out[i] = truth[i] ? then : otherwise;                                                      \
    }

static void where_row(xnor_op op, size_t n, const void *const *operands, const size_t *step,
                      void *y) {
    const uint8_t *truth = operands[0];
    const float *a = operands[1], *b = operands[2];
    float *out = y;
    (void)op;
    if (!step[0]) { // one truth for all
        const float *from = *truth ? a : b;
        const size_t advance = step[*truth ? 1 : 2];
        for (size_t i = 0; i < n; i++) out[i] = from[i * advance];
    } else if (step[1] && step[2]) {
        CHOOSE(i, i)
    } else if (step[1]) {
        CHOOSE(i, 0)
    } else {
        CHOOSE(0, i * step[2])
    }
}

xnor_status xnor_step_where(const xnor_step *s, const xnor_run *run) {
    const xnor_value_id operands[3] = {s->x, s->w, s->v};
    const size_t bytes[3] = {sizeof(uint8_t), sizeof(float), sizeof(float)};
    return xnor_over_broadcast(s, run, 3, operands, bytes, sizeof(float), where_row);
}

// ---- truths as numbers --------------------------------------------------------------------------

static void number_row(xnor_op op, size_t n, const void *const *operands, const size_t *step,
                       void *y) {
    const uint8_t *truth = operands[0];
    float *out = y;
    (void)op;
    for (size_t i = 0; i < n; i++) out[i] = truth[i * step[0]];
}

xnor_status xnor_step_number(const xnor_step *s, const xnor_run *run) {
    const size_t bytes = sizeof(uint8_t);
    return xnor_over_broadcast(s, run, 1, &s->x, &bytes, sizeof(float), number_row);
}
