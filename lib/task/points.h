// What the parts of the task layer share: points of a cloud, and where coordinates stand in a
// network's input.
#ifndef XNOR_TASK_POINTS_H
#define XNOR_TASK_POINTS_H

#include <string.h>

#include "core/status.h"

// Channel `c` of point `i` stands at i * point + c * axis.
typedef struct xnor_axes {
    size_t point, axis;
} xnor_axes;

// A description made by hand may leave out that they are x, y, z.
static inline size_t xnor_channels(const xnor_description *description) {
    return description->channel_count > 0 ? description->channel_count : 3;
}

static inline xnor_channel xnor_channel_at(const xnor_description *description, size_t c) {
    return description->channel_count > 0 ? description->channels[c]
                                          : (xnor_channel)(XNOR_CHANNEL_X + c);
}

static inline xnor_axes xnor_axes_of(const xnor_description *description, size_t points) {
    return description->channels_first ? (xnor_axes){1, points}
                                       : (xnor_axes){xnor_channels(description), 1};
}

// Point `i`; the data comes out of a message: any alignment.
static inline void xnor_point(const xnor_cloud *cloud, size_t i, float out[3]) {
    memcpy(out, (const uint8_t *)cloud->data + i * cloud->stride, 3 * sizeof *out);
}

static inline void xnor_put_point(float *out, xnor_axes at, size_t i, const float p[3]) {
    for (size_t k = 0; k < 3; k++) out[i * at.point + k * at.axis] = p[k];
}

// Number, stride and coordinates of the points. Every coordinate, used or not: a sensor that sends
// NaN should hear of it.
XNOR_NODISCARD xnor_status xnor_points_check(const xnor_description *description,
                                             const xnor_cloud *cloud);

// Subtracts the mean, divides by the largest distance from it. A cloud of equal points becomes all
// 0.
void xnor_to_unit_sphere(float *points, size_t n, xnor_axes at);

// Farthest point sampling: the first point, then always the one whose nearest chosen point is
// farthest away, the lowest number on ties; with the distances of kernels.h, farthest_f32. Copies the `n` <= cloud->count points to `out`.
// workspace: XNOR_FARTHEST_FLOATS floats a point.
// Source: Eldar et al., The Farthest Point Strategy for Progressive Image Sampling, IEEE TIP 1997.
#define XNOR_FARTHEST_FLOATS 4
XNOR_NODISCARD xnor_status xnor_farthest_points(const xnor_cloud *cloud, size_t n, float *workspace,
                                                xnor_axes at, float *out);

// Confidence of class `c` given the scores of all.
double xnor_confidence(xnor_output_kind kind, const float *scores, uint32_t count, uint32_t c);

#endif
