// A grid of cubes over points in space: the nearest to a query are found among the cubes around it.
#ifndef XNOR_EXEC_KNN_GRID_H
#define XNOR_EXEC_KNN_GRID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Of a list. Fewer points are compared with all others sooner, as vectors are.
enum { XNOR_KNN_GRID_MAX_LIST = 128, XNOR_KNN_GRID_MIN_POINTS = 4096 };

// Immutable once built: any thread may search.
typedef struct xnor_knn_grid {
    float low[3];            // corner of the first cube
    float side, per_side;    // of a cube; its inverse
    int32_t counts[3];       // cubes along x, y, z
    const uint32_t *starts;  // [cubes + 1] place of each cube's first point; x runs fastest
    const uint32_t *indices; // [points] which point stands at each place, in rising order in a cube
    const float *xyz;        // [points, 3] the points in this order
    size_t points;
} xnor_knn_grid;

// Whether lists of `length` of `points` points are searched in a grid, and the floats of memory it then takes.
bool xnor_knn_grid_suits(size_t points, size_t length);
size_t xnor_knn_grid_floats(size_t points);
// x: [points, 3]; memory: xnor_knn_grid_floats, is kept. false: a coordinate is not finite or far too large, or
// so many points share a cube that looking at all is as good.
bool xnor_knn_grid_build(xnor_knn_grid *grid, const float *x, size_t points, size_t length,
                         float *memory);
// nearest[length]: in order of (distance, index), squared distances in double as in the reference of
// KNearest, rounded to float32. length <= points. query: [3]
void xnor_knn_grid_search(const xnor_knn_grid *grid, const float *query, size_t length,
                          int64_t *nearest);

#endif
