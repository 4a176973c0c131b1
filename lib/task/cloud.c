// Clouds as sensors deliver them -> what the network was trained on.
#include "task/points.h"

size_t xnor_cloud_prepared_count(const xnor_description *description, size_t count) {
    return description->points > 0 ? (size_t)description->points : count;
}

xnor_shape xnor_cloud_shape(const xnor_description *description, size_t count, size_t clouds) {
    int64_t points = (int64_t)xnor_cloud_prepared_count(description, count);
    int64_t channels = (int64_t)xnor_channels(description);
    if (description->channels_first) return (xnor_shape){3, {(int64_t)clouds, channels, points}};
    return (xnor_shape){3, {(int64_t)clouds, points, channels}};
}

static bool needs_farthest(const xnor_description *description, size_t count) {
    return description->resample == XNOR_RESAMPLE_FARTHEST &&
           count > xnor_cloud_prepared_count(description, count);
}

size_t xnor_cloud_workspace_bytes(const xnor_description *description, size_t count) {
    return needs_farthest(description, count) ? count * XNOR_FARTHEST_FLOATS * sizeof(float) : 0;
}

// Point i of n taken from a cloud of `count`: every (count / n)-th; fewer points are repeated in
// turn.
static size_t source_index(size_t i, size_t n, size_t count) {
    return count >= n ? i * (count / n) + i * (count % n) / n : i % count;
}

static void gather(const xnor_cloud *cloud, size_t n, xnor_axes at, float *out) {
    for (size_t i = 0; i < n; i++) {
        float p[3];
        xnor_point(cloud, source_index(i, n, cloud->count), p);
        xnor_put_point(out, at, i, p);
    }
}

xnor_status xnor_cloud_prepare(const xnor_description *description, const xnor_cloud *cloud,
                               void *workspace, float *out) {
    XNOR_TRY(xnor_points_check(description, cloud));
    size_t n = xnor_cloud_prepared_count(description, cloud->count);
    const xnor_axes at = xnor_axes_of(description, n);
    if (needs_farthest(description, cloud->count))
        XNOR_TRY(xnor_farthest_points(cloud, n, workspace, at, out));
    else
        gather(cloud, n, at, out);
    if (description->normalise == XNOR_NORMALISE_UNIT_SPHERE) xnor_to_unit_sphere(out, n, at);
    return XNOR_OK;
}
