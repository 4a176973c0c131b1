// Which triangle is seen in each pixel of a picture: a z-buffer.
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { MAX_CORNERS = 4 }; // of a triangle cut by the near plane

typedef struct target {
    int width, height;
    float *inverse_depth; // [height, width], 0: nothing seen
    int32_t *triangle;    // [height, width], -1: nothing seen
} target;

// x, y in pixels, inverse z.
typedef struct corner {
    float x, y, w;
} corner;

static float edge(corner a, corner b, float x, float y) {
    return (b.x - a.x) * (y - a.y) - (b.y - a.y) * (x - a.x);
}

// Inverse depth is linear in the picture. Pixel (i, j) is sampled at (i + 0.5, j + 0.5).
static void fill(const target *t, corner a, corner b, corner c, int32_t id) {
    float area = edge(a, b, c.x, c.y);
    if (!(fabsf(area) > 1e-12f)) return;
    if (area < 0) {
        corner swap = b;
        b = c;
        c = swap;
        area = -area;
    }
    float left = fminf(a.x, fminf(b.x, c.x)), right = fmaxf(a.x, fmaxf(b.x, c.x));
    float top = fminf(a.y, fminf(b.y, c.y)), bottom = fmaxf(a.y, fmaxf(b.y, c.y));
    if (!(right > 0 && bottom > 0 && left < (float)t->width && top < (float)t->height)) return;
    int x0 = left > 0 ? (int)left : 0, y0 = top > 0 ? (int)top : 0;
    int x1 = right < (float)(t->width - 1) ? (int)right : t->width - 1;
    int y1 = bottom < (float)(t->height - 1) ? (int)bottom : t->height - 1;
    for (int y = y0; y <= y1; y++) {
        float *row = t->inverse_depth + (ptrdiff_t)y * t->width;
        int32_t *ids = t->triangle + (ptrdiff_t)y * t->width;
        for (int x = x0; x <= x1; x++) {
            float px = (float)x + 0.5f, py = (float)y + 0.5f;
            float u = edge(b, c, px, py), v = edge(c, a, px, py), s = edge(a, b, px, py);
            if (u < 0 || v < 0 || s < 0) continue;
            float w = (u * a.w + v * b.w + s * c.w) / area;
            if (w <= row[x]) continue;
            row[x] = w;
            ids[x] = id;
        }
    }
}

// points: [count, 3 corners, x y z] in the camera's axes (x right, y down, z forward); focal length and centre in pixels;
// what is nearer than `near` is cut off. inverse_depth, triangle: [height, width], written whole.
void rooms_visible(size_t count, const float *points, float focal_x, float focal_y, float centre_x,
                   float centre_y, float near, int width, int height, float *inverse_depth,
                   int32_t *triangle) {
    target t = {width, height, inverse_depth, triangle};
    size_t pixels = (size_t)width * (size_t)height;
    memset(inverse_depth, 0, pixels * sizeof *inverse_depth);
    memset(triangle, 0xff, pixels * sizeof *triangle);
    for (size_t i = 0; i < count; i++) {
        const float *p = points + i * 9;
        corner seen[MAX_CORNERS];
        int corners = 0;
        for (int k = 0; k < 3; k++) {
            const float *a = p + 3 * k, *b = p + 3 * ((k + 1) % 3);
            if (a[2] >= near)
                seen[corners++] = (corner){a[0] / a[2] * focal_x + centre_x,
                                           a[1] / a[2] * focal_y + centre_y, 1 / a[2]};
            if ((a[2] >= near) == (b[2] >= near)) continue;
            float part = (near - a[2]) / (b[2] - a[2]);
            float x = a[0] + part * (b[0] - a[0]), y = a[1] + part * (b[1] - a[1]);
            seen[corners++] =
                (corner){x / near * focal_x + centre_x, y / near * focal_y + centre_y, 1 / near};
        }
        for (int k = 2; k < corners; k++) fill(&t, seen[0], seen[k - 1], seen[k], (int32_t)i);
    }
}
