#include "clients/xnorctl/scene_files.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/xnorctl/picture.h"
#include "core/status.h"

// ---- PLY ----------------------------------------------------------------------------------------

enum { RECORD_BYTES = 16, RECORDS = 4096 };

static void put_record(const float *p, uint8_t label, uint8_t *out) {
    for (size_t axis = 0; axis < 3; axis++) {
        uint32_t bits;
        memcpy(&bits, &p[axis], sizeof bits);
        for (size_t byte = 0; byte < 4; byte++) *out++ = (uint8_t)(bits >> (8 * byte));
    }
    const colour c = picture_class_colour(label);
    *out++ = c.red;
    *out++ = c.green;
    *out++ = c.blue;
    *out = label;
}

static void write_header(FILE *file, size_t count, uint32_t class_count,
                         const char *const *classes) {
    fprintf(file, "ply\nformat binary_little_endian 1.0\n");
    for (uint32_t i = 0; i < class_count; i++)
        fprintf(file, "comment label %u %s\n", i, classes[i]);
    fprintf(file,
            "element vertex %zu\nproperty float x\nproperty float y\nproperty float z\n"
            "property uchar red\nproperty uchar green\nproperty uchar blue\n"
            "property uchar label\nend_header\n",
            count);
}

xnor_status scene_write_ply(const char *path, const cloud *points, const uint8_t *labels,
                            uint32_t class_count, const char *const *classes) {
    uint8_t records[RECORDS][RECORD_BYTES];
    FILE *file = fopen(path, "wbe");
    if (!file) return xnor_fail(XNOR_E_IO, "%s: %s", path, strerror(errno));
    write_header(file, points->count, class_count, classes);
    for (size_t first = 0; first < points->count; first += RECORDS) {
        const size_t left = points->count - first, n = left < RECORDS ? left : RECORDS;
        for (size_t i = 0; i < n; i++)
            put_record(points->xyz + 3 * (first + i), labels[first + i], records[i]);
        fwrite(records, RECORD_BYTES, n, file);
    }
    const bool failed = ferror(file) != 0;
    if (fclose(file) == 0 && !failed) return XNOR_OK;
    return xnor_fail(XNOR_E_IO, "%s: cannot write: %s", path, strerror(errno));
}

// ---- top view -----------------------------------------------------------------------------------

enum {
    MAX_SIDE = 1024, // pixels
    MIN_SIDE = 160,
    SHOWN_SIDE = 640, // smaller pictures are enlarged
    MAX_ZOOM = 4,
    MARGIN = 8
};

static const colour background = {18, 20, 24};

// Pixels [width, height] of `metres` a side; y points up.
typedef struct view {
    size_t width, height;
    double low[3], metres;
    double height_range; // z
    size_t zoom;         // picture elements a pixel
} view;

static view fit(const cloud *points) {
    double low[3] = {INFINITY, INFINITY, INFINITY}, high[3] = {-INFINITY, -INFINITY, -INFINITY};
    for (size_t i = 0; i < points->count; i++)
        for (size_t axis = 0; axis < 3; axis++) {
            const double value = (double)points->xyz[3 * i + axis];
            low[axis] = fmin(low[axis], value);
            high[axis] = fmax(high[axis], value);
        }
    const double extent = fmax(fmax(high[0] - low[0], high[1] - low[1]), 1e-6);
    // About two points a pixel, so that the picture has few holes where the scan has none.
    const double side = fmin(MAX_SIDE, fmax(MIN_SIDE, sqrt((double)points->count / 2)));
    const double metres = extent / side;
    return (view){.width = (size_t)((high[0] - low[0]) / metres) + 1,
                  .height = (size_t)((high[1] - low[1]) / metres) + 1,
                  .low = {low[0], low[1], low[2]},
                  .metres = metres,
                  .height_range = fmax(high[2] - low[2], 1e-6),
                  .zoom = (size_t)fmax(1, fmin(MAX_ZOOM, SHOWN_SIDE / side))};
}

static size_t pixel_of(const view *v, const float *p) {
    const size_t x = (size_t)(((double)p[0] - v->low[0]) / v->metres);
    const size_t y = (size_t)(((double)p[1] - v->low[1]) / v->metres);
    return (v->height - 1 - (y < v->height ? y : v->height - 1)) * v->width +
           (x < v->width ? x : v->width - 1);
}

static colour shade(colour c, double share) {
    const double s = 0.55 + 0.45 * share;
    return (colour){(uint8_t)(c.red * s), (uint8_t)(c.green * s), (uint8_t)(c.blue * s)};
}

// highest: [width * height], point + 1 or 0.
static void draw_points(const view *v, const cloud *points, const uint8_t *labels,
                        const uint32_t *highest, picture *out) {
    for (size_t y = 0; y < v->height; y++)
        for (size_t x = 0; x < v->width; x++) {
            const uint32_t number = highest[y * v->width + x];
            if (number == 0) continue;
            const size_t point = number - 1;
            const double share = ((double)points->xyz[3 * point + 2] - v->low[2]) / v->height_range;
            picture_fill(out, MARGIN + x * v->zoom, MARGIN + y * v->zoom, v->zoom, v->zoom,
                         shade(picture_class_colour(labels[point]), share));
        }
}

xnor_status scene_write_top_view(const char *path, const cloud *points, const uint8_t *labels,
                                 uint32_t class_count, const char *const *classes) {
    const view v = fit(points);
    const uint32_t rows = class_count < PICTURE_MAX_LEGEND ? class_count : PICTURE_MAX_LEGEND;
    const size_t legend = picture_legend_width(rows, classes);
    colour colours[PICTURE_MAX_LEGEND];
    for (uint32_t i = 0; i < rows; i++) colours[i] = picture_class_colour(i);
    const size_t width = v.width * v.zoom, height = v.height * v.zoom;
    picture out = {0};
    uint32_t *highest = calloc(v.width * v.height, sizeof *highest);
    if (!highest) return xnor_fail(XNOR_E_MEMORY, "%s: no memory for a picture", path);
    for (size_t i = 0; i < points->count; i++) {
        uint32_t *pixel = &highest[pixel_of(&v, points->xyz + 3 * i)];
        if (*pixel == 0 || points->xyz[3 * i + 2] > points->xyz[3 * (size_t)(*pixel - 1) + 2])
            *pixel = (uint32_t)i + 1;
    }
    xnor_status status =
        picture_create((width > legend ? width : legend) + 2 * MARGIN,
                       height + 3 * MARGIN + rows * PICTURE_LEGEND_ROW, background, &out);
    if (status == XNOR_OK) {
        draw_points(&v, points, labels, highest, &out);
        picture_legend(&out, MARGIN, height + 2 * MARGIN, rows, classes, colours);
        status = picture_write_png(path, &out);
    }
    picture_free(&out);
    free(highest);
    return status;
}
