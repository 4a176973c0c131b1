// Clouds as sensors deliver them -> what the network was trained on.
#include <math.h>
#include <string.h>

#include "core/status.h"

size_t xnor_cloud_prepared_count(const xnor_description *description, size_t count) {
    return description->points > 0 ? (size_t)description->points : count;
}

// Point i of n taken from a cloud of `count`: every (count / n)-th; fewer points are repeated in
// turn.
static size_t source_index(size_t i, size_t n, size_t count) {
    return count >= n ? i * (count / n) + i * (count % n) / n : i % count;
}

static xnor_status gather(const xnor_cloud *cloud, size_t n, float *out) {
    for (size_t i = 0; i < n; i++) {
        size_t from = source_index(i, n, cloud->count);
        // The data comes out of a message: any alignment.
        memcpy(&out[i * 3], (const uint8_t *)cloud->data + from * cloud->stride, 3 * sizeof *out);
    }
    return XNOR_OK;
}

// Every coordinate, used or not: a sensor that sends NaN should hear of it.
static xnor_status check_finite(const xnor_cloud *cloud) {
    for (size_t i = 0; i < cloud->count; i++) {
        float p[3];
        memcpy(p, (const uint8_t *)cloud->data + i * cloud->stride, sizeof p);
        // x - x is 0 for finite x and NaN otherwise.
        if ((p[0] - p[0]) + (p[1] - p[1]) + (p[2] - p[2]) == 0) continue;
        return xnor_fail(XNOR_E_ARGUMENT, "point %zu is not finite: (%g, %g, %g)", i, (double)p[0],
                         (double)p[1], (double)p[2]);
    }
    return XNOR_OK;
}

// Subtracts the mean, divides by the largest distance from it. A cloud of equal points becomes all
// 0.
static xnor_status to_unit_sphere(float *points, size_t n) {
    double mean[3] = {0};
    for (size_t i = 0; i < n; i++)
        for (int k = 0; k < 3; k++) mean[k] += (double)points[i * 3 + (size_t)k];
    for (int k = 0; k < 3; k++) mean[k] /= (double)n;
    double largest = 0;
    for (size_t i = 0; i < n; i++) {
        double d2 = 0;
        for (size_t k = 0; k < 3; k++) {
            double d = (double)points[i * 3 + k] - mean[k];
            d2 += d * d;
        }
        if (d2 > largest) largest = d2;
    }
    double scale = largest > 0 ? 1 / sqrt(largest) : 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < 3; k++)
            points[i * 3 + k] = (float)(((double)points[i * 3 + k] - mean[k]) * scale);
    return XNOR_OK;
}

xnor_status xnor_cloud_prepare(const xnor_description *description, const xnor_cloud *cloud,
                               float *out) {
    if (cloud->count == 0) return xnor_fail(XNOR_E_ARGUMENT, "the cloud has no points");
    if (cloud->stride < 3 * sizeof(float))
        return xnor_fail(XNOR_E_ARGUMENT, "points are %zu bytes apart, at least 12 are needed",
                         cloud->stride);
    if (description->max_points > 0 && cloud->count > (size_t)description->max_points)
        return xnor_fail(XNOR_E_LIMIT, "the cloud has %zu points, at most %lld are accepted",
                         cloud->count, (long long)description->max_points);
    size_t n = xnor_cloud_prepared_count(description, cloud->count);
    XNOR_TRY(check_finite(cloud));
    XNOR_TRY(gather(cloud, n, out));
    return description->unit_sphere ? to_unit_sphere(out, n) : XNOR_OK;
}
