// What the readers of image formats share.
#ifndef XNORCTL_IMAGE_FORMAT_H
#define XNORCTL_IMAGE_FORMAT_H

#include "clients/xnorctl/image.h"
#include "core/status.h"

typedef struct image_file {
    const char *name;
    const uint8_t *data;
    size_t size;
} image_file;

// How the stored rows must be turned to stand upright: 1 to 8, EXIF 2.32, tag 0x0112.
typedef int image_orientation;

xnor_status image_read_png(const image_file *file, image_orientation *orientation, image *out);
xnor_status image_read_jpeg(const image_file *file, image_orientation *orientation, image *out);

// Memory for the pixels. XNOR_E_LIMIT: more than IMAGE_MAX_PIXELS, or a side is too long.
XNOR_NODISCARD xnor_status image_create(const char *name, size_t width, size_t height, image *out);

// The orientation in a TIFF block as EXIF has it; 1 where none is found.
image_orientation exif_orientation(const uint8_t *tiff, size_t size);
// The same of a JPEG file: looks at its segments before the image data.
image_orientation exif_orientation_of_jpeg(const uint8_t *data, size_t size);

#endif
