// Windows of MaxPool and AveragePool.
#ifndef XNOR_OPS_POOLING_H
#define XNOR_OPS_POOLING_H

#include "graph/graph.h"

typedef struct xnor_pooling {
    uint32_t spatial; // 1 or 2 axes; of one the second has one element and a window of one
    uint32_t channel_axis, first_axis; // of x and of the result
    int64_t kernel[2], stride[2], pad_begin[2], pad_end[2], dilation[2];
    bool ceil, counts_padding;
} xnor_pooling;

// Reads and checks the attributes against the shape of the input. Attribute axis says where the channels are: 1, as
// in ONNX, or the last axis.
XNOR_NODISCARD xnor_status xnor_pooling_read(const xnor_node *node, const xnor_shape *x,
                                             xnor_pooling *out);

// The taps of one window along one axis: tap k looks at element begin + k·dilation; first .. last lie inside.
typedef struct xnor_pooling_taps {
    int64_t begin, first, last;
    int64_t counted; // that an average is over: what rounding up adds is no padding
} xnor_pooling_taps;

// Window `at` along spatial axis i, which has `size` elements.
xnor_pooling_taps xnor_pooling_taps_along(const xnor_pooling *windows, uint32_t i, int64_t at,
                                          int64_t size);

#endif
