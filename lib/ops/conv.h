// What a convolution node says about its windows.
#ifndef XNOR_OPS_CONV_H
#define XNOR_OPS_CONV_H

#include "graph/graph.h"

typedef struct xnor_conv {
    int64_t group;
    uint32_t spatial;                  // 1 or 2 axes; of one the second is missing below
    uint32_t channel_axis, first_axis; // of x and of the result
    uint32_t weight_channel_axis, first_weight_axis; // of w
    int64_t kernel[2], stride[2], pad_begin[2], pad_end[2], dilation[2];
} xnor_conv;

// Reads and checks the attributes of a Conv or xnor_conv2d_f32 against the shapes of its input and weight,
// in which the input's axes may be unknown.
XNOR_NODISCARD xnor_status xnor_conv_read(const xnor_node *node, const xnor_shape *x,
                                          const xnor_shape *w, xnor_conv *out);

#endif
