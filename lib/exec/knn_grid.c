#include "exec/knn_grid.h"

#include <math.h>
#include <string.h>

enum { MAX_SIDE = 64 };
// Points are assigned to cubes in float32, with an error of less than a thousandth of a side.
static const double MARGIN = 1e-3;

bool xnor_knn_grid_suits(size_t points, size_t length) {
    return points >= XNOR_KNN_GRID_MIN_POINTS && points <= INT32_MAX / 8 &&
           length <= XNOR_KNN_GRID_MAX_LIST && length <= points / 8;
}

static size_t most_cubes(size_t points) {
    return 4 * points;
}

size_t xnor_knn_grid_floats(size_t points) {
    return most_cubes(points) + 1 + points + 3 * points;
}

// Scans are surfaces: of n^3 cubes a few n^2 hold points. So many that 3 x 3 of them hold a list or two.
static bool measure(xnor_knn_grid *grid, const float *x, size_t length) {
    float high[3], extent = 0;
    memcpy(grid->low, x, sizeof grid->low);
    memcpy(high, x, sizeof high);
    for (size_t i = 0; i < grid->points; i++)
        for (size_t k = 0; k < 3; k++) {
            const float value = x[3 * i + k];
            if (!(fabsf(value) < 0x1p60f)) return false;
            if (value < grid->low[k]) grid->low[k] = value;
            if (value > high[k]) high[k] = value;
        }
    for (size_t k = 0; k < 3; k++) extent = fmaxf(extent, high[k] - grid->low[k]);
    if (extent < 0x1p-60f) return false;
    float along = sqrtf(2 * (float)grid->points / (float)length);
    along = fminf(fminf(along, MAX_SIDE), cbrtf((float)most_cubes(grid->points)));
    grid->side = extent / floorf(along);
    grid->per_side = 1 / grid->side;
    for (size_t k = 0; k < 3; k++) {
        grid->counts[k] = (int32_t)((high[k] - grid->low[k]) * grid->per_side) + 1;
        if (grid->counts[k] > (int32_t)along) grid->counts[k] = (int32_t)along;
    }
    return true;
}

static int32_t cube_along(const xnor_knn_grid *grid, float value, size_t axis) {
    const float at = (value - grid->low[axis]) * grid->per_side;
    const int32_t last = grid->counts[axis] - 1;
    if (!(at > 0)) return 0;
    return at < (float)last ? (int32_t)at : last;
}

static size_t cube_of(const xnor_knn_grid *grid, const float *x) {
    const size_t z = (size_t)cube_along(grid, x[2], 2), y = (size_t)cube_along(grid, x[1], 1);
    return (z * (size_t)grid->counts[1] + y) * (size_t)grid->counts[0] +
           (size_t)cube_along(grid, x[0], 0);
}

bool xnor_knn_grid_build(xnor_knn_grid *grid, const float *x, size_t points, size_t length,
                         float *memory) {
    grid->points = points;
    if (!measure(grid, x, length)) return false;
    const size_t cubes =
        (size_t)grid->counts[0] * (size_t)grid->counts[1] * (size_t)grid->counts[2];
    if (cubes > most_cubes(points)) return false; // a root that was rounded up
    uint32_t *starts = (uint32_t *)(void *)memory, *indices = starts + most_cubes(points) + 1;
    float *xyz = memory + most_cubes(points) + 1 + points;
    memset(starts, 0, (cubes + 1) * sizeof *starts);
    for (size_t i = 0; i < points; i++) starts[cube_of(grid, x + 3 * i)]++;
    uint32_t sum = 0, most = 0;
    for (size_t cube = 0; cube < cubes; cube++) {
        const uint32_t count = starts[cube];
        if (count > most) most = count;
        starts[cube] = sum += count; // the end of each, from where it is filled backwards
    }
    starts[cubes] = sum;
    if (most > 8 * length + points / 16) return false;
    for (size_t i = points; i-- > 0;) {
        const uint32_t place = --starts[cube_of(grid, x + 3 * i)];
        indices[place] = (uint32_t)i;
        memcpy(xyz + 3 * (size_t)place, x + 3 * i, 3 * sizeof *x);
    }
    grid->starts = starts;
    grid->indices = indices;
    grid->xyz = xyz;
    return true;
}

// The nearest so far. A key is the bits of a distance, which are in the order of the floats, and the index.
typedef struct near_list {
    size_t length, found;
    uint64_t keys[XNOR_KNN_GRID_MAX_LIST];
} near_list;

static void insert(near_list *list, uint64_t key) {
    size_t at = list->found < list->length ? list->found++ : list->length - 1;
    for (; at > 0 && list->keys[at - 1] > key; at--) list->keys[at] = list->keys[at - 1];
    list->keys[at] = key;
}

static uint64_t farthest(const near_list *list) {
    return list->found < list->length ? UINT64_MAX : list->keys[list->length - 1];
}

// Offers the points of cubes first .. last, neighbours along x.
static void offer(const xnor_knn_grid *grid, const double *q, size_t first, size_t last,
                  near_list *list) {
    uint64_t limit = farthest(list);
    for (size_t i = grid->starts[first]; i < grid->starts[last + 1]; i++) {
        const float *p = grid->xyz + 3 * i;
        const double x = q[0] - (double)p[0], y = q[1] - (double)p[1], z = q[2] - (double)p[2];
        const float distance = (float)((x * x + z * z) + y * y);
        uint32_t bits;
        memcpy(&bits, &distance, sizeof bits);
        const uint64_t key = (uint64_t)bits << 32 | grid->indices[i];
        if (key >= limit) continue;
        insert(list, key);
        limit = farthest(list);
    }
}

typedef struct block {
    int32_t low[3], high[3]; // cubes, inclusive
} block;

// All cubes that `reach` adds around the query's: the shell of a block. Rows along x are whole where y or z
// is at the border; else only their ends are new.
static block offer_shell(const xnor_knn_grid *grid, const int32_t *at, int32_t reach,
                         const double *q, near_list *list) {
    block b;
    for (size_t k = 0; k < 3; k++) {
        b.low[k] = at[k] - reach > 0 ? at[k] - reach : 0;
        b.high[k] = at[k] + reach < grid->counts[k] - 1 ? at[k] + reach : grid->counts[k] - 1;
    }
    for (int32_t z = b.low[2]; z <= b.high[2]; z++)
        for (int32_t y = b.low[1]; y <= b.high[1]; y++) {
            const size_t row =
                ((size_t)z * (size_t)grid->counts[1] + (size_t)y) * (size_t)grid->counts[0];
            const bool whole = reach <= 1 || z == at[2] - reach || z == at[2] + reach ||
                               y == at[1] - reach || y == at[1] + reach;
            if (whole) {
                offer(grid, q, row + (size_t)b.low[0], row + (size_t)b.high[0], list);
                continue;
            }
            const size_t left = row + (size_t)b.low[0], right = row + (size_t)b.high[0];
            if (b.low[0] == at[0] - reach) offer(grid, q, left, left, list);
            if (b.high[0] == at[0] + reach) offer(grid, q, right, right, list);
        }
    return b;
}

// How near a point outside of the block may be; infinite where there is none.
static double gap(const xnor_knn_grid *grid, const block *b, const double *q) {
    double least = INFINITY;
    for (size_t k = 0; k < 3; k++) {
        const double low = (double)grid->low[k], side = (double)grid->side;
        if (b->low[k] > 0) least = fmin(least, q[k] - (low + (double)b->low[k] * side));
        if (b->high[k] < grid->counts[k] - 1)
            least = fmin(least, low + (double)(b->high[k] + 1) * side - q[k]);
    }
    return least - MARGIN * (double)grid->side;
}

// A list is complete when its last distance is below that of all that was not looked at, with room for
// the rounding to float32.
static bool is_complete(const near_list *list, double beyond) {
    if (list->found < list->length || !(beyond > 0)) return false;
    const uint32_t bits = (uint32_t)(list->keys[list->length - 1] >> 32);
    float last;
    memcpy(&last, &bits, sizeof last);
    return (double)last < beyond * beyond * (1 - 1e-6);
}

void xnor_knn_grid_search(const xnor_knn_grid *grid, const float *query, size_t length,
                          int64_t *nearest) {
    const double q[3] = {(double)query[0], (double)query[1], (double)query[2]};
    int32_t at[3], reach = 1;
    near_list list = {.length = length};
    for (size_t k = 0; k < 3; k++) at[k] = cube_along(grid, query[k], k);
    for (;; reach++) {
        const block b = offer_shell(grid, at, reach, q, &list);
        const double beyond = gap(grid, &b, q);
        if (isinf(beyond) || is_complete(&list, beyond)) break;
    }
    for (size_t i = 0; i < length; i++) nearest[i] = (int64_t)(list.keys[i] & UINT32_MAX);
}
