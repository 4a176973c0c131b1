// Heat maps of object centres -> boxes.
#include <math.h>

#include "task/map.h"

static float value_at(const xnor_map *map, size_t channel, size_t y, size_t x) {
    return map->data[channel * map->channel + y * map->row + x * map->pixel];
}

// Of equal neighbours the first in reading order is the peak.
static bool is_peak(const xnor_map *heat, size_t c, size_t y, size_t x) {
    const float value = value_at(heat, c, y, x);
    if (isnan(value)) return false;
    for (size_t v = y > 0 ? y - 1 : 0; v <= y + 1 && v < heat->height; v++)
        for (size_t u = x > 0 ? x - 1 : 0; u <= x + 1 && u < heat->width; u++) {
            const float other = value_at(heat, c, v, u);
            const bool before = v < y || (v == y && u < x);
            if (other > value || (before && other == value)) return false;
        }
    return true;
}

static float score_of(xnor_output_kind kind, float value) {
    return kind == XNOR_OUTPUT_LOGITS ? (float)(1 / (1 + exp(-(double)value))) : value;
}

// Into a list that descends by score; equal ones stay in the order in which they came.
static size_t insert(float (*boxes)[6], size_t count, const float box[6]) {
    size_t at = count;
    while (at > 0 && boxes[at - 1][4] < box[4]) at--;
    if (at == XNOR_MAX_BOXES) return count;
    if (count < XNOR_MAX_BOXES) count++;
    for (size_t i = count - 1; i > at; i--)
        for (int k = 0; k < 6; k++) boxes[i][k] = boxes[i - 1][k];
    for (int k = 0; k < 6; k++) boxes[at][k] = box[k];
    return count;
}

static float inside(double value, double most) {
    return (float)fmin(fmax(value, 0), most);
}

size_t xnor_boxes_find(const xnor_image_output *output, const xnor_map *heat, const xnor_map *size,
                       const xnor_map *offset, double to_x, double to_y, double width,
                       double height, float (*boxes)[6]) {
    size_t count = 0;
    for (size_t c = 0; c < heat->channels; c++)
        for (size_t y = 0; y < heat->height; y++)
            for (size_t x = 0; x < heat->width; x++) {
                const float score = score_of(output->scores, value_at(heat, c, y, x));
                if (!(score >= output->min_score) || !is_peak(heat, c, y, x)) continue;
                const double middle_x = (double)x + (double)value_at(offset, 0, y, x);
                const double middle_y = (double)y + (double)value_at(offset, 1, y, x);
                const double half_width = (double)value_at(size, 0, y, x) / 2;
                const double half_height = (double)value_at(size, 1, y, x) / 2;
                // Of NaN, or of no extent, nothing is left.
                if (!(half_width > 0 && half_height > 0) || isnan(middle_x) || isnan(middle_y))
                    continue;
                const float box[6] = {inside((middle_x - half_width) * to_x, width),
                                      inside((middle_y - half_height) * to_y, height),
                                      inside((middle_x + half_width) * to_x, width),
                                      inside((middle_y + half_height) * to_y, height),
                                      score,
                                      (float)c};
                if (box[2] > box[0] && box[3] > box[1]) count = insert(boxes, count, box);
            }
    return count;
}
