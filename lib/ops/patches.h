// The windows of xnor_patches, for its shape rule, its evaluation and its steps.
#ifndef XNOR_OPS_PATCHES_H
#define XNOR_OPS_PATCHES_H

#include "ops/window.h"

typedef struct xnor_patches {
    xnor_window window; // axis 0 is the height, axis 1 the width
    int64_t group;
    int padded; // what a tap outside the image is: -1, 0 or +1
} xnor_patches;

// From the node's attributes of windows, group, and alpha for `padded`. XNOR_E_SHAPE when one is out of range.
XNOR_NODISCARD xnor_status xnor_patches_read(const xnor_node *node, xnor_patches *out);

#endif
