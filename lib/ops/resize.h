// How a Resize finds the elements that it mixes.
#ifndef XNOR_OPS_RESIZE_H
#define XNOR_OPS_RESIZE_H

#include "graph/graph.h"

// Attribute "mode".
enum { XNOR_RESIZE_NEAREST, XNOR_RESIZE_LINEAR };
// Attribute "coordinate_transformation_mode".
enum {
    XNOR_RESIZE_HALF_PIXEL,
    XNOR_RESIZE_PYTORCH_HALF_PIXEL,
    XNOR_RESIZE_ALIGN_CORNERS,
    XNOR_RESIZE_ASYMMETRIC,
    XNOR_RESIZE_TF_HALF_PIXEL_FOR_NN
};
// Attribute "nearest_mode".
enum {
    XNOR_RESIZE_ROUND_PREFER_FLOOR,
    XNOR_RESIZE_ROUND_PREFER_CEIL,
    XNOR_RESIZE_FLOOR,
    XNOR_RESIZE_CEIL
};

// One axis of a Resize.
typedef struct xnor_resize_axis {
    int64_t in, out; // elements
    double scale;
    int64_t mode, coordinates, nearest;
} xnor_resize_axis;

// Axis `axis` of a node whose parameters are known; scales and sizes: its inputs 2 and 3, data NULL where
// omitted.
xnor_resize_axis xnor_resize_axis_of(const xnor_node *node, uint32_t axis,
                                     const xnor_tensor *scales, const xnor_tensor *sizes,
                                     int64_t in, int64_t out);
// Element `at` of the result is (1 - *part)·x[*first] + *part·x[*second] (ONNX, Resize).
void xnor_resize_source(const xnor_resize_axis *axis, int64_t at, int64_t *first, int64_t *second,
                        double *part);

#endif
