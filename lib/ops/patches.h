// The windows of xnor_patches, for its shape rule, its evaluation and its steps.
#ifndef XNOR_OPS_PATCHES_H
#define XNOR_OPS_PATCHES_H

#include "graph/graph.h"

// Axis 0 is the height, axis 1 the width. Output pixel y looks at the input pixels
// y·stride + tap·dilation - pad_begin for 0 <= tap < kernel.
typedef struct xnor_patches {
    int64_t kernel[2], stride[2], dilation[2], pad_begin[2], pad_end[2];
    int64_t group;
    int padded; // what a tap outside the image is: -1, 0 or +1
} xnor_patches;

// From the node's attributes kernel_shape, strides, dilations, pads, group, and alpha for `padded`.
// XNOR_E_SHAPE when one is out of range: afterwards none of them is larger than 65535.
XNOR_NODISCARD xnor_status xnor_patches_read(const xnor_node *node, xnor_patches *out);
// Output pixels along an axis with `in` input pixels: below 1 when the window does not fit.
int64_t xnor_patches_count(const xnor_patches *p, int axis, int64_t in);
// True when windows reach beyond the image.
bool xnor_patches_pad(const xnor_patches *p);

#endif
