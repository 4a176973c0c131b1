#include "task/points.h"

#include <math.h>

static xnor_status check_finite(const xnor_cloud *cloud) {
    for (size_t i = 0; i < cloud->count; i++) {
        float p[3];
        xnor_point(cloud, i, p);
        // x - x is 0 for finite x and NaN otherwise.
        if ((p[0] - p[0]) + (p[1] - p[1]) + (p[2] - p[2]) == 0) continue;
        return xnor_fail(XNOR_E_ARGUMENT, "point %zu is not finite: (%g, %g, %g)", i, (double)p[0],
                         (double)p[1], (double)p[2]);
    }
    return XNOR_OK;
}

xnor_status xnor_points_check(const xnor_description *description, const xnor_cloud *cloud) {
    if (cloud->count == 0) return xnor_fail(XNOR_E_ARGUMENT, "the cloud has no points");
    if (cloud->stride < 3 * sizeof(float))
        return xnor_fail(XNOR_E_ARGUMENT, "points are %zu bytes apart, at least 12 are needed",
                         cloud->stride);
    if (description->max_points > 0 && cloud->count > (size_t)description->max_points)
        return xnor_fail(XNOR_E_LIMIT, "the cloud has %zu points, at most %lld are accepted",
                         cloud->count, (long long)description->max_points);
    return check_finite(cloud);
}

void xnor_to_unit_sphere(float *points, size_t n, xnor_axes at) {
    double mean[3] = {0};
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < 3; k++) mean[k] += (double)points[i * at.point + k * at.axis];
    for (size_t k = 0; k < 3; k++) mean[k] /= (double)n;
    double largest = 0;
    for (size_t i = 0; i < n; i++) {
        double d2 = 0;
        for (size_t k = 0; k < 3; k++) {
            double d = (double)points[i * at.point + k * at.axis] - mean[k];
            d2 += d * d;
        }
        if (d2 > largest) largest = d2;
    }
    double scale = largest > 0 ? 1 / sqrt(largest) : 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < 3; k++) {
            float *p = &points[i * at.point + k * at.axis];
            *p = (float)(((double)*p - mean[k]) * scale);
        }
}
