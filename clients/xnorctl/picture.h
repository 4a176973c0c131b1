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
// A PNG of one channel of 8 or 16 bits: uint8_t or uint16_t values.
XNOR_NODISCARD xnor_status picture_write_grey(const char *path, size_t width, size_t height,
                                              unsigned bits, const void *values);
// A PNG of indexes below `count`, at most 256, into a palette.
XNOR_NODISCARD xnor_status picture_write_indexed(const char *path, size_t width, size_t height,
                                                 const uint8_t *indexes, const colour *palette,
                                                 size_t count);

// A column of coloured squares with names, each cut to PICTURE_MAX_LEGEND letters.
enum { PICTURE_LEGEND_ROW = 12, PICTURE_MAX_LEGEND = 40 };
size_t picture_legend_width(uint32_t rows, const char *const *names);
void picture_legend(picture *p, size_t x, size_t y, uint32_t rows, const char *const *names,
                    const colour *colours);

// Colour of class `id`: different ones, readable on dark ground.
colour picture_class_colour(uint32_t id);

#endif
