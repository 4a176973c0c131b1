// What a convolution node, transposed or not, says about its windows.
#ifndef XNOR_OPS_CONV_H
#define XNOR_OPS_CONV_H

#include "ops/window.h"

typedef struct xnor_conv {
    xnor_window window;
    int64_t group, outputs;                          // channels of the result
    uint32_t channel_axis, first_axis;               // of x and of the result
    uint32_t weight_channel_axis, first_weight_axis; // of w
    int64_t extra[2]; // transposed: pixels behind the last window, attribute output_padding
} xnor_conv;

// Reads and checks the attributes of a Conv, ConvTranspose, xnor_conv2d_f32 or xnor_conv_transpose2d_f32 against the
// shapes of its input and weight, in which the input's axes may be unknown.
XNOR_NODISCARD xnor_status xnor_conv_read(const xnor_node *node, const xnor_shape *x,
                                          const xnor_shape *w, xnor_conv *out);

// Transposed: the element along axis i that tap `tap` gives to element `at` of the result, of an input of `size`
// elements; -1 if there is none.
static inline int64_t xnor_conv_giver(const xnor_window *w, uint32_t i, int64_t size, int64_t at,
                                      int64_t tap) {
    const int64_t from = at + w->pad_begin[i] - tap * w->dilation[i];
    return from < 0 || from % w->stride[i] || from / w->stride[i] >= size ? -1
                                                                          : from / w->stride[i];
}

#endif
