#include "clients/xnorctl/mesh.h"

#include <math.h>
#include <stdlib.h>

#include "clients/xnorctl/cloud.h"
#include "core/status.h"

static xnor_status grow(const char *name, const char *what, size_t limit, size_t element_bytes,
                        size_t count, size_t *capacity, void **array) {
    if (count < *capacity) return XNOR_OK;
    if (count >= limit)
        return xnor_fail(XNOR_E_LIMIT, "%s: expected at most %zu %s, found more", name, limit,
                         what);
    size_t wanted = *capacity ? *capacity * 2 : 256;
    if (wanted > limit) wanted = limit;
    void *grown = realloc(*array, wanted * element_bytes);
    if (!grown) return xnor_fail(XNOR_E_MEMORY, "%s: no memory for %zu %s", name, wanted, what);
    *array = grown;
    *capacity = wanted;
    return XNOR_OK;
}

xnor_status mesh_reserve_vertices(const char *name, size_t count, mesh *out) {
    if (count > CLOUD_MAX_POINTS)
        return xnor_fail(XNOR_E_LIMIT, "%s: expected at most %zu vertices, found %zu", name,
                         CLOUD_MAX_POINTS, count);
    if (count <= out->vertex_capacity) return XNOR_OK;
    float *grown = realloc(out->vertices, count * 3 * sizeof *grown);
    if (!grown) return xnor_fail(XNOR_E_MEMORY, "%s: no memory for %zu vertices", name, count);
    out->vertices = grown;
    out->vertex_capacity = count;
    return XNOR_OK;
}

xnor_status mesh_add_vertex(const char *name, const double xyz[3], mesh *out) {
    void *array = out->vertices;
    XNOR_TRY(grow(name, "vertices", CLOUD_MAX_POINTS, 3 * sizeof(float), out->vertex_count,
                  &out->vertex_capacity, &array));
    out->vertices = array;
    float *slot = out->vertices + 3 * out->vertex_count++;
    for (int i = 0; i < 3; i++) slot[i] = (float)xyz[i];
    return XNOR_OK;
}

xnor_status mesh_add_triangle(const char *name, uint32_t a, uint32_t b, uint32_t c, mesh *out) {
    void *array = out->triangles;
    XNOR_TRY(grow(name, "triangles", CLOUD_MAX_TRIANGLES, 3 * sizeof(uint32_t), out->triangle_count,
                  &out->triangle_capacity, &array));
    out->triangles = array;
    uint32_t *slot = out->triangles + 3 * out->triangle_count++;
    slot[0] = a;
    slot[1] = b;
    slot[2] = c;
    return XNOR_OK;
}

void mesh_free(mesh *m) {
    free(m->vertices);
    free(m->triangles);
    *m = (mesh){0};
}

// xoshiro256++ 1.0 (Blackman and Vigna, 2019), seeded by splitmix64 as its authors advise: the same
// stream on every machine, which rand() does not promise.
typedef struct random_state {
    uint64_t s[4];
} random_state;

static uint64_t rotate_left(uint64_t x, int k) {
    return x << k | x >> (64 - k);
}

static random_state random_seed(uint64_t seed) {
    random_state state;
    for (int i = 0; i < 4; i++) {
        uint64_t z = seed += 0x9e3779b97f4a7c15u;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        state.s[i] = z ^ z >> 31;
    }
    return state;
}

// Uniform in [0, 1), 53 bits.
static double random_unit(random_state *state) {
    uint64_t *s = state->s;
    const uint64_t result = rotate_left(s[0] + s[3], 23) + s[0];
    const uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return (double)(result >> 11) * 0x1p-53;
}

static double triangle_area(const float *a, const float *b, const float *c) {
    double u[3], v[3];
    for (int i = 0; i < 3; i++) {
        u[i] = (double)b[i] - (double)a[i];
        v[i] = (double)c[i] - (double)a[i];
    }
    const double x = u[1] * v[2] - u[2] * v[1];
    const double y = u[2] * v[0] - u[0] * v[2];
    const double z = u[0] * v[1] - u[1] * v[0];
    return 0.5 * sqrt(x * x + y * y + z * z);
}

// cumulative[t] is the area of the triangles 0..t.
static xnor_status accumulate_areas(const char *name, const mesh *m, double *cumulative) {
    double total = 0;
    for (size_t t = 0; t < m->triangle_count; t++) {
        const float *corners[3];
        for (size_t i = 0; i < 3; i++) {
            const size_t index = m->triangles[3 * t + i];
            corners[i] = m->vertices + 3 * index;
            for (int axis = 0; axis < 3; axis++)
                if (!isfinite(corners[i][axis]))
                    return xnor_fail(XNOR_E_FORMAT,
                                     "%s: vertex %zu: expected finite coordinates, found %g", name,
                                     index, (double)corners[i][axis]);
        }
        total += triangle_area(corners[0], corners[1], corners[2]);
        cumulative[t] = total;
    }
    if (total > 0 && isfinite(total)) return XNOR_OK;
    return xnor_fail(XNOR_E_FORMAT,
                     "%s: expected a mesh with a surface, found %zu triangles of "
                     "total area %g",
                     name, m->triangle_count, total);
}

// First triangle whose cumulative area exceeds `area`; triangles without area are never chosen.
static size_t pick_triangle(const double *cumulative, size_t count, double area) {
    size_t low = 0, high = count - 1;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (cumulative[middle] > area)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

xnor_status mesh_sample(const char *name, const mesh *m, size_t count, uint64_t seed, float *out) {
    if (m->triangle_count == 0)
        return xnor_fail(XNOR_E_FORMAT, "%s: expected triangles, found none", name);
    double *cumulative = malloc(m->triangle_count * sizeof *cumulative);
    if (!cumulative)
        return xnor_fail(XNOR_E_MEMORY, "%s: no memory for %zu triangles", name, m->triangle_count);
    const xnor_status status = accumulate_areas(name, m, cumulative);
    random_state random = random_seed(seed);
    for (size_t i = 0; status == XNOR_OK && i < count; i++) {
        const double area = random_unit(&random) * cumulative[m->triangle_count - 1];
        const uint32_t *corner =
            m->triangles + 3 * pick_triangle(cumulative, m->triangle_count, area);
        // P = (1 - √r1) A + √r1 (1 - r2) B + √r1 r2 C; without the root, points crowd near A.
        const double root = sqrt(random_unit(&random));
        const double r2 = random_unit(&random);
        const double weights[3] = {1 - root, root * (1 - r2), root * r2};
        for (size_t axis = 0; axis < 3; axis++) {
            double sum = 0;
            for (size_t k = 0; k < 3; k++)
                sum += weights[k] * (double)m->vertices[3 * (size_t)corner[k] + axis];
            out[3 * i + axis] = (float)sum;
        }
    }
    free(cumulative);
    return status;
}
