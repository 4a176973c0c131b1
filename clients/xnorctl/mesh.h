// A triangle mesh, and points drawn evenly from its surface.
#ifndef XNORCTL_MESH_H
#define XNORCTL_MESH_H

#include "include/xnor.h"

typedef struct mesh {
    float *vertices; // [vertex_count, 3]
    size_t vertex_count;
    size_t vertex_capacity;
    uint32_t *triangles; // [triangle_count, 3], indices into vertices
    size_t triangle_count;
    size_t triangle_capacity;
} mesh;

// `name` stands in messages. XNOR_E_LIMIT above CLOUD_MAX_POINTS vertices.
XNOR_NODISCARD xnor_status mesh_add_vertex(const char *name, const double xyz[3], mesh *out);
// Makes room for `count` vertices in all, so that adding them does not copy.
XNOR_NODISCARD xnor_status mesh_reserve_vertices(const char *name, size_t count, mesh *out);
// The indices must be below vertex_count. XNOR_E_LIMIT above CLOUD_MAX_TRIANGLES.
XNOR_NODISCARD xnor_status mesh_add_triangle(const char *name, uint32_t a, uint32_t b, uint32_t c,
                                             mesh *out);
void mesh_free(mesh *m);

// Draws `count` points, uniformly by area and independently; the same seed gives the same points.
// out: [count, 3]. XNOR_E_FORMAT: a used vertex is not finite, or the triangles have no area.
// Source: Osada, Funkhouser, Chazelle, Dobkin: Shape Distributions, ACM TOG 21(4), 2002, eq. (1).
XNOR_NODISCARD xnor_status mesh_sample(const char *name, const mesh *m, size_t count, uint64_t seed,
                                       float *out);

#endif
