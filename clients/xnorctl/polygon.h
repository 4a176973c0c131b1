// Splits polygons of meshes into triangles.
#ifndef XNORCTL_POLYGON_H
#define XNORCTL_POLYGON_H

#include "clients/xnorctl/mesh.h"

#define POLYGON_MAX_CORNERS 1024

// The corners of one face, as a reader collects them.
typedef struct polygon {
    uint32_t corners[POLYGON_MAX_CORNERS]; // indices of vertices
    size_t count;
} polygon;

// XNOR_E_LIMIT above POLYGON_MAX_CORNERS.
XNOR_NODISCARD xnor_status polygon_add_corner(const char *name, uint32_t corner, polygon *face);

// Adds the triangles of `face` to the mesh: a fan if it is convex, else its ears one by one
// (G. H. Meisters, Polygons have ears, 1975), so that exactly its surface is covered; a fan of a
// concave face would cover what lies outside of it. Fewer than 3 corners have no surface and add
// nothing. Every corner must be below mesh->vertex_count. Crossing sides give some triangles.
XNOR_NODISCARD xnor_status polygon_triangulate(const char *name, const polygon *face, mesh *out);

#endif
