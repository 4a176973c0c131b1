// Windows of MaxPool and AveragePool.
#ifndef XNOR_OPS_POOLING_H
#define XNOR_OPS_POOLING_H

#include "ops/window.h"

typedef struct xnor_pooling {
    xnor_window window;
    uint32_t channel_axis, first_axis; // of x and of the result
    bool counts_padding;               // in an average
} xnor_pooling;

// Reads and checks the attributes against the shape of the input. Attribute axis says where the channels are: 1, as
// in ONNX, or the last axis.
XNOR_NODISCARD xnor_status xnor_pooling_read(const xnor_node *node, const xnor_shape *x,
                                             xnor_pooling *out);

// What an average of these taps is over; what rounding up adds is no padding.
static inline int64_t xnor_pooling_count(const xnor_pooling *p, const xnor_taps *y,
                                         const xnor_taps *x) {
    if (p->counts_padding) return y->padded * x->padded;
    return y->last < y->first || x->last < x->first
               ? 0
               : (y->last - y->first + 1) * (x->last - x->first + 1);
}

#endif
