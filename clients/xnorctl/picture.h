// Pictures of 8-bit red, green, blue: rectangles, small text, PNG files.
#ifndef XNORCTL_PICTURE_H
#define XNORCTL_PICTURE_H

#include <stddef.h>

#include "include/xnor.h"

typedef struct colour {
    uint8_t red, green, blue;
} colour;

typedef struct picture {
    size_t width, height;
    colour *pixels; // [height, width], top row first
} picture;

enum { PICTURE_TEXT_HEIGHT = 7, PICTURE_TEXT_ADVANCE = 6 };

// All of one colour. XNOR_E_MEMORY.
XNOR_NODISCARD xnor_status picture_create(size_t width, size_t height, colour background,
                                          picture *out);
void picture_free(picture *p);
// What lies outside is cut off.
void picture_fill(picture *p, size_t x, size_t y, size_t width, size_t height, colour c);
// Letters of 5 x 7 pixels, PICTURE_TEXT_ADVANCE apart; capitals as small ones, what is missing as
// '?'.
void picture_text(picture *p, size_t x, size_t y, const char *text, colour c);
XNOR_NODISCARD xnor_status picture_write_png(const char *path, const picture *p);

// Colour of class `id`: different ones, readable on dark ground.
colour picture_class_colour(uint32_t id);

#endif
