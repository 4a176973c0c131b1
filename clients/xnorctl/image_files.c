#include "clients/xnorctl/image_files.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/xnorctl/npy.h"
#include "clients/xnorctl/picture.h"
#include "core/status.h"

enum { MARGIN = 8, LINE = 2 };

static const colour background = {18, 20, 24};

static colour colour_of(const xnord_image_output *output, uint32_t id) {
    if (!output->palette) return picture_class_colour(id);
    const uint32_t rgb = output->palette[id];
    return (colour){(uint8_t)(rgb >> 16), (uint8_t)(rgb >> 8), (uint8_t)rgb};
}

static colour pixel_of(const image *in, size_t i) {
    return (colour){in->pixels[3 * i], in->pixels[3 * i + 1], in->pixels[3 * i + 2]};
}

xnor_status image_write_labels(const char *path, const image *in, const uint8_t *labels,
                               const xnord_image_output *output) {
    colour palette[256];
    for (uint32_t c = 0; c < output->class_count; c++) palette[c] = colour_of(output, c);
    return picture_write_indexed(path, in->width, in->height, labels, palette, output->class_count);
}

xnor_status image_write_millimetres(const char *path, const image *in,
                                    const uint16_t *millimetres) {
    return picture_write_grey(path, in->width, in->height, 16, millimetres);
}

// ---- overlays -----------------------------------------------------------------------------------

static colour mix(colour a, colour b) {
    return (colour){(uint8_t)((a.red + b.red) / 2), (uint8_t)((a.green + b.green) / 2),
                    (uint8_t)((a.blue + b.blue) / 2)};
}

// Names and colours of the classes that occur.
static uint32_t make_legend(const xnord_image_output *output, const bool *occurs,
                            const char **names, colour *colours) {
    uint32_t rows = 0;
    for (uint32_t c = 0; c < output->class_count && rows < PICTURE_MAX_LEGEND; c++) {
        if (!occurs[c]) continue;
        names[rows] = output->classes[c];
        colours[rows++] = colour_of(output, c);
    }
    return rows;
}

// The image at the top, room for the legend below.
static xnor_status create(const image *in, uint32_t rows, const char *const *names, picture *out) {
    const size_t legend = picture_legend_width(rows, names) + 2 * MARGIN;
    XNOR_TRY(picture_create(in->width > legend ? in->width : legend,
                            in->height + 2 * MARGIN + rows * PICTURE_LEGEND_ROW, background, out));
    for (size_t y = 0; y < in->height; y++)
        for (size_t x = 0; x < in->width; x++)
            out->pixels[y * out->width + x] = pixel_of(in, y * in->width + x);
    return XNOR_OK;
}

xnor_status image_write_overlay(const char *path, const image *in, const uint8_t *labels,
                                const xnord_image_output *output) {
    const char *names[PICTURE_MAX_LEGEND];
    colour colours[PICTURE_MAX_LEGEND];
    bool occurs[256] = {false};
    picture out = {0};
    for (size_t i = 0; i < in->width * in->height; i++) occurs[labels[i]] = true;
    const uint32_t rows = make_legend(output, occurs, names, colours);
    XNOR_TRY(create(in, rows, names, &out));
    for (size_t y = 0; y < in->height; y++)
        for (size_t x = 0; x < in->width; x++) {
            colour *pixel = &out.pixels[y * out.width + x];
            *pixel = mix(*pixel, colour_of(output, labels[y * in->width + x]));
        }
    picture_legend(&out, MARGIN, in->height + MARGIN, rows, names, colours);
    const xnor_status status = picture_write_png(path, &out);
    picture_free(&out);
    return status;
}

static void draw_frame(picture *out, const image *in, const xnord_box *box, colour c) {
    const size_t left = (size_t)box->left, top = (size_t)box->top;
    const size_t right = (size_t)ceilf(box->right), bottom = (size_t)ceilf(box->bottom);
    const size_t width = (right < in->width ? right : in->width) - left;
    const size_t height = (bottom < in->height ? bottom : in->height) - top;
    const size_t across = LINE < width ? LINE : width, down = LINE < height ? LINE : height;
    picture_fill(out, left, top, width, down, c);
    picture_fill(out, left, top + height - down, width, down, c);
    picture_fill(out, left, top, across, height, c);
    picture_fill(out, left + width - across, top, across, height, c);
}

static bool is_inside(const image *in, const xnord_box *box) {
    return box->left >= 0 && box->top >= 0 && box->left < box->right && box->top < box->bottom &&
           box->right <= (float)in->width && box->bottom <= (float)in->height;
}

xnor_status image_write_boxes(const char *path, const image *in, const xnord_box *boxes,
                              size_t count, const xnord_image_output *output) {
    const char *names[PICTURE_MAX_LEGEND];
    colour colours[PICTURE_MAX_LEGEND];
    bool occurs[256] = {false};
    picture out = {0};
    for (size_t i = 0; i < count; i++) occurs[(uint32_t)boxes[i].class_id] = true;
    const uint32_t rows = make_legend(output, occurs, names, colours);
    XNOR_TRY(create(in, rows, names, &out));
    for (size_t i = count; i-- > 0;) // the best on top
        if (is_inside(in, &boxes[i]))
            draw_frame(&out, in, &boxes[i], colour_of(output, (uint32_t)boxes[i].class_id));
    picture_legend(&out, MARGIN, in->height + MARGIN, rows, names, colours);
    const xnor_status status = picture_write_png(path, &out);
    picture_free(&out);
    return status;
}

// ---- maps of numbers ----------------------------------------------------------------------------

xnor_status image_write_normals(const char *path, const image *in, const float *normals) {
    picture out = {0};
    XNOR_TRY(picture_create(in->width, in->height, background, &out));
    for (size_t i = 0; i < in->width * in->height; i++) {
        uint8_t channels[3];
        for (size_t k = 0; k < 3; k++) {
            const float n = normals[3 * i + k];
            channels[k] = (uint8_t)lrintf(128 + 127 * fminf(fmaxf(n, -1), 1));
        }
        out.pixels[i] = (colour){channels[0], channels[1], channels[2]};
    }
    const xnor_status status = picture_write_png(path, &out);
    picture_free(&out);
    return status;
}

xnor_status image_write_edges(const char *path, const image *in, const float *edges) {
    const size_t count = in->width * in->height;
    uint8_t *grey = malloc(count);
    if (!grey) return xnor_fail(XNOR_E_MEMORY, "%s: no memory for a picture", path);
    for (size_t i = 0; i < count; i++)
        grey[i] = (uint8_t)lrintf(255 * fminf(fmaxf(edges[i], 0), 1));
    const xnor_status status = picture_write_grey(path, in->width, in->height, 8, grey);
    free(grey);
    return status;
}

xnor_status image_write_npy(const char *path, const xnord_tensor *tensor) {
    xnor_tensor copy = {.dtype = tensor->datatype == XNORD_FP32 ? XNOR_F32 : XNOR_U8,
                        .shape = {.rank = tensor->rank},
                        .data = (void *)(uintptr_t)tensor->data};
    if (tensor->datatype != XNORD_FP32 && tensor->datatype != XNORD_UINT8)
        return xnor_fail(XNOR_E_UNSUPPORTED, "%s: expected FP32 or UINT8, found %s", path,
                         xnord_datatype_name(tensor->datatype));
    memcpy(copy.shape.dims, tensor->shape, sizeof copy.shape.dims);
    return npy_write(path, &copy);
}
