// Windows that slide over one or two spatial axes: those of convolutions, pools and unfolded signs.
#ifndef XNOR_OPS_WINDOW_H
#define XNOR_OPS_WINDOW_H

#include "graph/graph.h"

// Tap k of window i along an axis looks at element i·stride + k·dilation - pad_begin.
typedef struct xnor_window {
    uint32_t axes; // 1 or 2; of one the second below has one element and a window of one
    int64_t kernel[2], stride[2], dilation[2], pad_begin[2], pad_end[2];
    bool ceil; // a last window that reaches beyond the padding counts
} xnor_window;

// From the node's attributes strides, dilations, pads and ceil_mode. kernel: one size for each axis, or NULL
// for attribute kernel_shape. XNOR_E_SHAPE when one is out of range: afterwards none is above INT32_MAX.
XNOR_NODISCARD xnor_status xnor_window_read(const xnor_node *node, uint32_t axes,
                                            const int64_t *kernel, xnor_window *out);

// Puts the number of windows in the place of the size of each spatial axis, first_axis and the one behind it;
// unknown sizes stay unknown. XNOR_E_SHAPE when no window fits.
XNOR_NODISCARD xnor_status xnor_window_slide(const xnor_node *node, const xnor_window *window,
                                             uint32_t first_axis, xnor_shape *shape);

// The taps of one window along one axis: tap k looks at element begin + k·dilation; first .. last lie inside.
typedef struct xnor_taps {
    int64_t begin, first, last;
    int64_t padded; // how many lie inside or in the padding
} xnor_taps;

// Window `at` along axis i, which has `size` elements.
xnor_taps xnor_window_taps(const xnor_window *window, uint32_t i, int64_t at, int64_t size);

// The windows begin .. end - 1 along axis i, of `count` over `size` elements, that lie inside.
void xnor_window_inside(const xnor_window *window, uint32_t i, int64_t size, int64_t count,
                        int64_t *begin, int64_t *end);

#endif
