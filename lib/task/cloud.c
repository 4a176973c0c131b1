// Clouds as sensors deliver them -> what the network was trained on.
#include <math.h>
#include <string.h>

#include "core/status.h"

size_t xnor_cloud_prepared_count(const xnor_description *description, size_t count) {
    return description->points > 0 ? (size_t)description->points : count;
}

xnor_shape xnor_cloud_shape(const xnor_description *description, size_t count, size_t clouds) {
    int64_t points = (int64_t)xnor_cloud_prepared_count(description, count);
    if (description->channels_first) return (xnor_shape){3, {(int64_t)clouds, 3, points}};
    return (xnor_shape){3, {(int64_t)clouds, points, 3}};
}

// Point i of n taken from a cloud of `count`: every (count / n)-th; fewer points are repeated in
// turn.
static size_t source_index(size_t i, size_t n, size_t count) {
    return count >= n ? i * (count / n) + i * (count % n) / n : i % count;
}

// Where coordinate `axis` of point `i` stands in the output.
typedef struct layout {
    size_t point, axis;
} layout;

static void gather(const xnor_cloud *cloud, size_t n, layout at, float *out) {
    for (size_t i = 0; i < n; i++) {
        size_t from = source_index(i, n, cloud->count);
        float p[3]; // the data comes out of a message: any alignment
        memcpy(p, (const uint8_t *)cloud->data + from * cloud->stride, sizeof p);
        for (size_t k = 0; k < 3; k++) out[i * at.point + k * at.axis] = p[k];
    }
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
static void to_unit_sphere(float *points, size_t n, layout at) {
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
    const layout at = description->channels_first ? (layout){1, n} : (layout){3, 1};
    gather(cloud, n, at, out);
    if (description->unit_sphere) to_unit_sphere(out, n, at);
    return XNOR_OK;
}
