// Where the elements of a Pad come from.
#ifndef XNOR_OPS_PAD_H
#define XNOR_OPS_PAD_H

#include "ops/ops.h"

// Attribute "mode".
enum { XNOR_PAD_CONSTANT, XNOR_PAD_EDGE, XNOR_PAD_REFLECT };

typedef struct xnor_padding {
    int64_t begin[XNOR_MAX_RANK],
        end[XNOR_MAX_RANK]; // elements along each axis; negative: left out
    int64_t mode;
} xnor_padding;

// pads: begins, then ends, of `axes`, or of every axis when axes->data is NULL. XNOR_E_SHAPE when they do not fit.
XNOR_NODISCARD xnor_status xnor_padding_read(const xnor_node *node, const xnor_shape *x,
                                             const xnor_tensor *pads, const xnor_tensor *axes,
                                             xnor_padding *out);

// The element of an axis of `size` elements that element `at` of the result is; -1: the padding's own value.
static inline int64_t xnor_padding_source(const xnor_padding *p, uint32_t axis, int64_t size,
                                          int64_t at) {
    const int64_t from = at - p->begin[axis];
    if (from >= 0 && from < size) return from;
    if (p->mode == XNOR_PAD_CONSTANT) return -1;
    if (p->mode == XNOR_PAD_EDGE) return from < 0 ? 0 : size - 1;
    return from < 0 ? -from : 2 * (size - 1) - from;
}

#endif
