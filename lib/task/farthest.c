#include <math.h>

#include "task/points.h"

// distance[i] = least squared distance of point i to a chosen one; returns the largest's number.
static size_t advance(const float *xyz, size_t count, const float chosen[3], float *distance) {
    const float *x = xyz, *y = xyz + count, *z = xyz + 2 * count;
    size_t best = 0;
    for (size_t i = 0; i < count; i++) {
        const float dx = x[i] - chosen[0], dy = y[i] - chosen[1], dz = z[i] - chosen[2];
        const float d = fmaf(dz, dz, fmaf(dy, dy, dx * dx));
        if (d < distance[i]) distance[i] = d;
        if (distance[i] > distance[best]) best = i;
    }
    return best;
}

void xnor_farthest_points(const xnor_cloud *cloud, size_t n, float *workspace, xnor_axes at,
                          float *out) {
    const size_t count = cloud->count;
    float *distance = workspace + 3 * count;
    for (size_t i = 0; i < count; i++) {
        float p[3];
        xnor_point(cloud, i, p);
        for (size_t k = 0; k < 3; k++) workspace[k * count + i] = p[k];
        distance[i] = INFINITY;
    }
    size_t next = 0;
    for (size_t i = 0; i < n; i++) {
        float p[3];
        xnor_point(cloud, next, p);
        xnor_put_point(out, at, i, p);
        if (i + 1 < n) next = advance(workspace, count, p, distance);
    }
}
