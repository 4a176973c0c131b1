// The grid for nearest neighbours in space, against sorting all distances.
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "exec/knn_grid.h"

enum { POINTS = 5000, LENGTH = 20, QUERIES = 400 };

typedef struct candidate {
    float distance;
    int64_t index;
} candidate;

static int by_distance_and_index(const void *a, const void *b) {
    const candidate *p = a, *q = b;
    if (p->distance != q->distance) return p->distance < q->distance ? -1 : 1;
    return p->index < q->index ? -1 : p->index > q->index;
}

static void sort_all(const float *x, const float *q, int64_t *nearest) {
    static candidate all[POINTS];
    for (int64_t i = 0; i < POINTS; i++) {
        double d[3];
        for (int k = 0; k < 3; k++) d[k] = (double)q[k] - (double)x[3 * i + k];
        all[i] = (candidate){(float)((d[0] * d[0] + d[2] * d[2]) + d[1] * d[1]), i};
    }
    qsort(all, POINTS, sizeof *all, by_distance_and_index);
    for (int i = 0; i < LENGTH; i++) nearest[i] = all[i].index;
}

static float uniform(void) {
    return (float)rand() / (float)RAND_MAX;
}

// kind 0: a box; 1: a sphere's surface; 2: a lattice, full of equal distances; 3: a few places, each
// many times; 4: a line; 5: far from the origin.
static void fill(float *x, int kind) {
    for (int i = 0; i < POINTS; i++) {
        float *p = x + 3 * i;
        for (int k = 0; k < 3; k++) p[k] = uniform() - 0.5f;
        if (kind == 1) {
            float length = sqrtf(p[0] * p[0] + p[1] * p[1] + p[2] * p[2]) + 1e-6f;
            for (int k = 0; k < 3; k++) p[k] /= length;
        }
        if (kind == 2)
            for (int k = 0; k < 3; k++) p[k] = floorf(p[k] * 17);
        if (kind == 3)
            for (int k = 0; k < 3; k++) p[k] = floorf(p[k] * 6) * 0.37f;
        if (kind == 4) p[1] = p[2] = 2 * p[0];
        if (kind == 5)
            for (int k = 0; k < 3; k++) p[k] = p[k] * 4 + 1000;
    }
}

static bool build(xnor_knn_grid *grid, const float *x, float **memory) {
    *memory = malloc(xnor_knn_grid_floats(POINTS) * sizeof **memory);
    return xnor_knn_grid_build(grid, x, POINTS, LENGTH, *memory);
}

Test(knn_grid, finds_what_sorting_finds) {
    static float x[3 * POINTS];
    for (int kind = 0; kind < 6; kind++) {
        xnor_knn_grid grid;
        float *memory;
        srand(7);
        fill(x, kind);
        cr_assert(build(&grid, x, &memory), "kind %d", kind);
        for (int i = 0; i < QUERIES; i++) {
            float q[3];
            memcpy(q, x + 3 * (rand() % POINTS), sizeof q);
            if (i % 2) // a place of its own, sometimes far outside
                for (int k = 0; k < 3; k++) q[k] += (uniform() - 0.5f) * (i % 10 == 1 ? 50 : 0.3f);
            int64_t expected[LENGTH], found[LENGTH];
            sort_all(x, q, expected);
            xnor_knn_grid_search(&grid, q, LENGTH, found);
            cr_assert_arr_eq(found, expected, sizeof expected, "kind %d, query %d", kind, i);
        }
        free(memory);
    }
}

Test(knn_grid, leaves_uneven_and_infinite_clouds_alone) {
    static float x[3 * POINTS];
    xnor_knn_grid grid;
    float *memory;
    fill(x, 0);
    x[0] = 1e6f; // all others share a cube
    cr_expect(!build(&grid, x, &memory));
    free(memory);
    for (int kind = 0; kind < 3; kind++) {
        fill(x, 0);
        x[3 * 77 + 1] = kind == 0 ? NAN : kind == 1 ? INFINITY : 1e30f;
        cr_expect(!build(&grid, x, &memory));
        free(memory);
    }
    memset(x, 0, sizeof x);
    cr_expect(!build(&grid, x, &memory));
    free(memory);
}

Test(knn_grid, suits_many_points_and_short_lists) {
    cr_expect(xnor_knn_grid_suits(65536, 20));
    cr_expect(!xnor_knn_grid_suits(1024, 20));
    cr_expect(!xnor_knn_grid_suits(65536, 129));
    cr_expect(!xnor_knn_grid_suits((size_t)INT32_MAX, 20));
}
