#include "task/map.h"

#include <math.h>

#include "core/tensor.h"

xnor_status xnor_map_of(const xnor_tensor *output, bool channels_first, size_t channels,
                        const xnor_image_frame *frame, xnor_map *out) {
    char text[XNOR_SHAPE_TEXT];
    const xnor_shape *shape = &output->shape;
    const int64_t *dims = shape->dims;
    const int axis = channels_first ? 1 : 3;
    if (shape->rank != 4 || dims[0] != 1 || dims[axis] != (int64_t)channels || dims[1] < 1 ||
        dims[2] < 1 || dims[3] < 1)
        return xnor_fail(XNOR_E_SHAPE, "expected a map with %zu channels, the network gives %s",
                         channels, xnor_shape_text(shape, text, sizeof text));
    xnor_map m = {.data = output->data,
                  .channels = channels,
                  .whole_width = (size_t)dims[channels_first ? 3 : 2],
                  .whole_height = (size_t)dims[channels_first ? 2 : 1]};
    m.columns = (double)frame->shown_width * (double)m.whole_width / (double)frame->width;
    m.rows = (double)frame->shown_height * (double)m.whole_height / (double)frame->height;
    m.width = (size_t)ceil(m.columns);
    m.height = (size_t)ceil(m.rows);
    m.pixel = channels_first ? 1 : channels;
    m.row = m.pixel * m.whole_width;
    m.channel = channels_first ? m.whole_width * m.whole_height : 1;
    *out = m;
    return XNOR_OK;
}

void xnor_places_fill(size_t count, double extent, size_t size, xnor_places *out) {
    for (size_t i = 0; i < count; i++) {
        const double at = ((double)i + 0.5) * (extent / (double)count) - 0.5;
        const double inside = fmin(fmax(at, 0), (double)(size - 1));
        const size_t low = (size_t)inside;
        out->at[i][0] = (uint32_t)low;
        out->at[i][1] = (uint32_t)(low + 1 < size ? low + 1 : low);
        out->share[i] = (float)(inside - (double)low);
    }
}

void xnor_map_row(const xnor_map *map, const uint32_t at[2], float share, float *out) {
    for (size_t c = 0; c < map->channels; c++) {
        const float *a = map->data + c * map->channel + at[0] * map->row;
        const float *b = map->data + c * map->channel + at[1] * map->row;
        float *to = out + c * map->width;
        if (map->pixel == 1)
            for (size_t x = 0; x < map->width; x++) to[x] = xnor_between(a[x], b[x], share);
        else
            for (size_t x = 0; x < map->width; x++)
                to[x] = xnor_between(a[x * map->pixel], b[x * map->pixel], share);
    }
}
