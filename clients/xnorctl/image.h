// Images from files. Everything here may be called from any thread.
//
// A damaged file is an error whose message (xnor_last_error) names the file, what was expected and
// what was found. Files are at most FILES_MAX_BYTES, images at most IMAGE_MAX_PIXELS.
#ifndef XNORCTL_IMAGE_H
#define XNORCTL_IMAGE_H

#include "include/xnor.h"

#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
#define IMAGE_MAX_PIXELS ((size_t)1 << 18)
#else
#define IMAGE_MAX_PIXELS ((size_t)64 << 20)
#endif

// Red, green, blue of each pixel, upright, top row first.
typedef struct image {
    uint8_t *pixels; // [height, width, 3]
    size_t width, height;
} image;

// Reads a .png or .jpg file by its first bytes. Palettes, grey and 16 bits become 8-bit colours,
// transparent pixels are seen on white, and the orientation of its EXIF block is undone. On success
// release with image_free. XNOR_E_IO: the file cannot be read; XNOR_E_UNSUPPORTED: another format or
// variant; XNOR_E_FORMAT: damaged; XNOR_E_LIMIT: too large.
XNOR_NODISCARD xnor_status image_read(const char *path, image *out);
// The same from memory; `name` stands in messages.
XNOR_NODISCARD xnor_status image_read_memory(const char *name, const void *data, size_t size,
                                             image *out);
// Makes the image smaller, keeping its sides' ratio, until it has at most `pixels`; nothing if it has.
XNOR_NODISCARD xnor_status image_shrink(image *image, size_t pixels);
void image_free(image *image);

// Whether the extension of `path` is one of image_format_names.
bool image_is_readable(const char *path);
// ".png .jpg .jpeg" for help texts and messages.
const char *image_format_names(void);

#endif
