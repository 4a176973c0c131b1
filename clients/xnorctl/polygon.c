#include "clients/xnorctl/polygon.h"

#include <math.h>
#include <stdbool.h>

#include "core/status.h"

xnor_status polygon_add_corner(const char *name, uint32_t corner, polygon *face) {
    if (face->count == POLYGON_MAX_CORNERS)
        return xnor_fail(XNOR_E_LIMIT, "%s: expected faces of at most %d corners, found more", name,
                         POLYGON_MAX_CORNERS);
    face->corners[face->count++] = corner;
    return XNOR_OK;
}

// The face seen along the axis that its normal is closest to, counter-clockwise. `ring` lists the
// corners that are left.
typedef struct flat_face {
    double x[POLYGON_MAX_CORNERS], y[POLYGON_MAX_CORNERS];
    uint16_t ring[POLYGON_MAX_CORNERS];
    size_t left;
} flat_face;

// Newell's normal: its components are twice the areas of the projections, also for faces that are
// not quite flat.
static void newell_normal(const polygon *face, const float *vertices, double normal[3]) {
    for (size_t axis = 0; axis < 3; axis++) {
        const size_t u = (axis + 1) % 3, v = (axis + 2) % 3;
        normal[axis] = 0;
        for (size_t i = 0; i < face->count; i++) {
            const float *a = vertices + 3 * (size_t)face->corners[i];
            const float *b = vertices + 3 * (size_t)face->corners[(i + 1) % face->count];
            normal[axis] += (double)a[u] * (double)b[v] - (double)a[v] * (double)b[u];
        }
    }
}

static void flatten(const polygon *face, const float *vertices, flat_face *flat) {
    double normal[3];
    newell_normal(face, vertices, normal);
    size_t axis = 0;
    for (size_t i = 1; i < 3; i++)
        if (fabs(normal[i]) > fabs(normal[axis])) axis = i;
    const double turn = normal[axis] < 0 ? -1 : 1;
    for (size_t i = 0; i < face->count; i++) {
        const float *p = vertices + 3 * (size_t)face->corners[i];
        flat->x[i] = turn * (double)p[(axis + 1) % 3];
        flat->y[i] = (double)p[(axis + 2) % 3];
        flat->ring[i] = (uint16_t)i;
    }
    flat->left = face->count;
}

// Twice the area of the triangle of corners a, b, c; negative if they turn clockwise.
static double turn_of(const flat_face *flat, size_t a, size_t b, size_t c) {
    return (flat->x[b] - flat->x[a]) * (flat->y[c] - flat->y[a]) -
           (flat->y[b] - flat->y[a]) * (flat->x[c] - flat->x[a]);
}

static size_t ring_at(const flat_face *flat, size_t place) {
    return flat->ring[place % flat->left];
}

static bool is_convex(const flat_face *flat) {
    for (size_t i = 0; i < flat->left; i++)
        if (turn_of(flat, ring_at(flat, i), ring_at(flat, i + 1), ring_at(flat, i + 2)) < 0)
            return false;
    return true;
}

static bool same_place(const flat_face *flat, size_t a, size_t b) {
    return flat->x[a] == flat->x[b] && flat->y[a] == flat->y[b];
}

// The corner at `place` + 1 can be cut off: it bulges outwards and no other corner lies in the
// triangle. Faces with holes come with bridges, whose corners lie in one place; those do not count.
static bool is_ear(const flat_face *flat, size_t place) {
    const size_t a = ring_at(flat, place), b = ring_at(flat, place + 1);
    const size_t c = ring_at(flat, place + 2);
    if (turn_of(flat, a, b, c) <= 0) return false;
    for (size_t i = place + 3; i < place + flat->left; i++) {
        const size_t p = ring_at(flat, i);
        if (same_place(flat, p, a) || same_place(flat, p, b) || same_place(flat, p, c)) continue;
        if (turn_of(flat, a, b, p) >= 0 && turn_of(flat, b, c, p) >= 0 &&
            turn_of(flat, c, a, p) >= 0)
            return false;
    }
    return true;
}

// Crossing sides may leave a ring without ears; cutting any corner keeps the loop finite.
static size_t find_ear(const flat_face *flat, size_t from) {
    for (size_t i = 0; i < flat->left; i++)
        if (is_ear(flat, from + i)) return (from + i) % flat->left;
    return from % flat->left;
}

static xnor_status cut_corner(const char *name, const polygon *face, flat_face *flat, size_t place,
                              mesh *out) {
    const size_t cut = (place + 1) % flat->left;
    XNOR_TRY(mesh_add_triangle(name, face->corners[ring_at(flat, place)],
                               face->corners[flat->ring[cut]],
                               face->corners[ring_at(flat, place + 2)], out));
    flat->left--;
    for (size_t i = cut; i < flat->left; i++) flat->ring[i] = flat->ring[i + 1];
    return XNOR_OK;
}

static xnor_status cut_ears(const char *name, const polygon *face, flat_face *flat, mesh *out) {
    size_t place = 0;
    while (flat->left > 3) {
        place = find_ear(flat, place);
        XNOR_TRY(cut_corner(name, face, flat, place, out));
        // Going on behind the cut spreads the triangles instead of making slivers.
    }
    return cut_corner(name, face, flat, 0, out);
}

xnor_status polygon_triangulate(const char *name, const polygon *face, mesh *out) {
    const uint32_t *corners = face->corners;
    bool fan = face->count <= 3;
    flat_face flat;
    if (!fan) {
        flatten(face, out->vertices, &flat);
        fan = is_convex(&flat);
    }
    if (!fan) return cut_ears(name, face, &flat, out);
    for (size_t i = 2; i < face->count; i++)
        XNOR_TRY(mesh_add_triangle(name, corners[0], corners[i - 1], corners[i], out));
    return XNOR_OK;
}
