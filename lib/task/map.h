// A network's output as planes of values, and rows of it at another resolution.
#ifndef XNOR_TASK_MAP_H
#define XNOR_TASK_MAP_H

#include "core/status.h"

// Value (c, y, x) stands at data[c * channel + y * row + x * pixel]. Only the upper left part of
// width x height shows the image.
typedef struct xnor_map {
    const float *data;
    size_t channels, width, height;
    size_t channel, row, pixel;
    double columns, rows; // that show the image, not rounded
    size_t whole_width, whole_height;
} xnor_map;

// The output as `channels` planes. XNOR_E_SHAPE: it is not [1, channels, h, w] (or [1, h, w,
// channels]).
XNOR_NODISCARD xnor_status xnor_map_of(const xnor_tensor *output, bool channels_first,
                                       size_t channels, const xnor_image_frame *frame,
                                       xnor_map *out);

// Where value i of a row or column lies between two of the map: at[i][0] + share[i] of the way to
// at[i][1].
typedef struct xnor_places {
    uint32_t (*at)[2];
    float *share;
} xnor_places;

// `count` values over `extent` of the map's first `size` ones; with count == size and extent ==
// size they lie on the map's own.
void xnor_places_fill(size_t count, double extent, size_t size, xnor_places *out);

// Row between two of the map: out [channels, width].
void xnor_map_row(const xnor_map *map, const uint32_t at[2], float share, float *out);

static inline float xnor_between(float a, float b, float share) {
    return share > 0 ? a + (b - a) * share : a;
}

// Peaks of a heat map as boxes, see xnor_answer_make. Returns how many.
size_t xnor_boxes_find(const xnor_image_output *output, const xnor_map *heat, const xnor_map *size,
                       const xnor_map *offset, double to_x, double to_y, double width,
                       double height, float (*boxes)[6]);

#endif
