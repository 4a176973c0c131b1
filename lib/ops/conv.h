// What a convolution node says about its windows.
#ifndef XNOR_OPS_CONV_H
#define XNOR_OPS_CONV_H

#include "ops/window.h"

typedef struct xnor_conv {
    xnor_window window;
    int64_t group;
    uint32_t channel_axis, first_axis;               // of x and of the result
    uint32_t weight_channel_axis, first_weight_axis; // of w
} xnor_conv;

// Reads and checks the attributes of a Conv or xnor_conv2d_f32 against the shapes of its input and weight,
// in which the input's axes may be unknown.
XNOR_NODISCARD xnor_status xnor_conv_read(const xnor_node *node, const xnor_shape *x,
                                          const xnor_shape *w, xnor_conv *out);

#endif
