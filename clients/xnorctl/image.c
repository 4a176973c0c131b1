#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "clients/xnorctl/files.h"
#include "clients/xnorctl/image_format.h"

static const char *const extensions[] = {".png", ".jpg", ".jpeg"};

const char *image_format_names(void) {
    return ".png .jpg .jpeg";
}

bool image_is_readable(const char *path) {
    const char *dot = strrchr(files_base_name(path), '.');
    for (size_t i = 0; dot && i < sizeof extensions / sizeof *extensions; i++)
        if (strcasecmp(dot, extensions[i]) == 0) return true;
    return false;
}

xnor_status image_create(const char *name, size_t width, size_t height, image *out) {
    if (width == 0 || height == 0)
        return xnor_fail(XNOR_E_FORMAT, "%s: expected pixels, found %zu x %zu", name, width,
                         height);
    if (width > XNOR_MAX_IMAGE_SIDE || height > XNOR_MAX_IMAGE_SIDE ||
        width * height > IMAGE_MAX_PIXELS)
        return xnor_fail(XNOR_E_LIMIT,
                         "%s: expected at most %zu pixels, %d a side, found %zu x %zu", name,
                         IMAGE_MAX_PIXELS, XNOR_MAX_IMAGE_SIDE, width, height);
    uint8_t *pixels = malloc(width * height * 3);
    if (!pixels)
        return xnor_fail(XNOR_E_MEMORY, "%s: no memory for %zu x %zu pixels", name, width, height);
    *out = (image){.width = width, .height = height};
    out->pixels = pixels;
    return XNOR_OK;
}

void image_free(image *i) {
    free(i->pixels);
    *i = (image){0};
}

// ---- orientation --------------------------------------------------------------------------------

// The stored pixel that is seen at (x, y); orientations from 5 on exchange the axes.
static size_t stored(const image *in, image_orientation orientation, size_t x, size_t y) {
    const bool exchanged = orientation >= 5;
    size_t across = exchanged ? y : x, down = exchanged ? x : y;
    if (orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8)
        across = in->width - 1 - across;
    if (orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7)
        down = in->height - 1 - down;
    return down * in->width + across;
}

static xnor_status turn_upright(const char *name, image_orientation orientation, image *in) {
    image out = {0};
    const bool exchanged = orientation >= 5;
    if (orientation <= 1) return XNOR_OK;
    XNOR_TRY(image_create(name, exchanged ? in->height : in->width,
                          exchanged ? in->width : in->height, &out));
    for (size_t y = 0; y < out.height; y++)
        for (size_t x = 0; x < out.width; x++)
            memcpy(out.pixels + 3 * (y * out.width + x),
                   in->pixels + 3 * stored(in, orientation, x, y), 3);
    image_free(in);
    *in = out;
    return XNOR_OK;
}

// ---- reading ------------------------------------------------------------------------------------

static const struct {
    uint8_t magic[8];
    size_t magic_size;
    xnor_status (*read)(const image_file *file, image_orientation *orientation, image *out);
} formats[] = {
    {{0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'}, 8, image_read_png},
    {{0xff, 0xd8, 0xff}, 3, image_read_jpeg},
};

xnor_status image_read_memory(const char *name, const void *data, size_t size, image *out) {
    const image_file file = {name, data, size};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        if (size < formats[i].magic_size ||
            memcmp(data, formats[i].magic, formats[i].magic_size) != 0)
            continue;
        image read = {0};
        image_orientation orientation = 1;
        xnor_status status = formats[i].read(&file, &orientation, &read);
        if (status == XNOR_OK) status = turn_upright(name, orientation, &read);
        if (status == XNOR_OK)
            *out = read;
        else
            image_free(&read);
        return status;
    }
    return xnor_fail(XNOR_E_UNSUPPORTED, "%s: expected a PNG or JPEG image, found something else",
                     name);
}

xnor_status image_read(const char *path, image *out) {
    uint8_t *data = NULL;
    size_t size = 0;
    XNOR_TRY(files_read(path, &data, &size));
    const xnor_status status = image_read_memory(path, data, size, out);
    free(data);
    return status;
}

// ---- smaller ------------------------------------------------------------------------------------

// By what the daemon does to images too.
static xnor_status resample(const image *in, size_t width, size_t height, image *out) {
    const xnor_description d = {.task = XNOR_TASK_IMAGE,
                                .image = {.pixels = XNOR_PIXELS_RGB,
                                          .deviation = {1, 1, 1},
                                          .width = (int64_t)width,
                                          .height = (int64_t)height,
                                          .resize = XNOR_RESIZE_STRETCH}};
    const xnor_image from = {in->pixels, in->width, in->height, 3, 3 * in->width, false};
    xnor_image_frame frame;
    XNOR_TRY(xnor_image_frame_of(&d, in->width, in->height, &frame));
    XNOR_TRY(image_create("image", width, height, out));
    void *workspace = malloc(xnor_image_workspace_bytes(&frame));
    float *values = malloc(width * height * 3 * sizeof *values);
    xnor_status status = workspace && values
                             ? xnor_image_prepare(&d, &from, &frame, workspace, values)
                             : xnor_fail(XNOR_E_MEMORY, "no memory to make an image smaller");
    for (size_t i = 0; i < width * height * 3 && status == XNOR_OK; i++)
        out->pixels[i] = (uint8_t)lrintf(fminf(fmaxf(values[i] * 255, 0), 255));
    free(workspace);
    free(values);
    if (status != XNOR_OK) image_free(out);
    return status;
}

xnor_status image_shrink(image *i, size_t pixels) {
    if (i->width * i->height <= pixels) return XNOR_OK;
    const double scale = sqrt((double)pixels / ((double)i->width * (double)i->height));
    size_t width = (size_t)fmax(1, floor((double)i->width * scale));
    size_t height = (size_t)fmax(1, floor((double)i->height * scale));
    // A side of one pixel cannot shrink with the other.
    if (width * height > pixels) *(width > height ? &width : &height) = pixels;
    image out = {0};
    XNOR_TRY(resample(i, width, height, &out));
    image_free(i);
    *i = out;
    return XNOR_OK;
}
