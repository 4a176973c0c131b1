#include <math.h>

#include "kernels/kernels.h"
#include "task/points.h"

xnor_status xnor_farthest_points(const xnor_cloud *cloud, size_t n, float *workspace, xnor_axes at,
                                 float *out) {
    const size_t count = cloud->count;
    float *nearest = workspace + 3 * count;
    xnor_kernels kernels;
    XNOR_TRY(xnor_kernels_select(&kernels, NULL)); // all give the same
    for (size_t i = 0; i < count; i++) {
        float p[3];
        xnor_point(cloud, i, p);
        for (size_t k = 0; k < 3; k++) workspace[k * count + i] = p[k];
        nearest[i] = INFINITY;
    }
    for (size_t i = 0, next = 0; i < n; i++) {
        float p[3];
        xnor_point(cloud, next, p);
        xnor_put_point(out, at, i, p);
        if (i + 1 < n) next = kernels.farthest_f32(count, workspace, count, p, nearest);
    }
    return XNOR_OK;
}
