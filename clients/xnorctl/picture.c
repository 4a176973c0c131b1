#include "clients/xnorctl/picture.h"

#include <errno.h>
#include <math.h>
#include <spng.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/size.h"
#include "core/status.h"

enum { GLYPH_WIDTH = 5, GLYPH_HEIGHT = PICTURE_TEXT_HEIGHT };

// One byte a row from the top, bit 4 is the left column.
static const struct glyph {
    char character;
    uint8_t rows[GLYPH_HEIGHT];
} glyphs[] = {
    {'?', {0x0e, 0x11, 0x01, 0x02, 0x04, 0x00, 0x04}},
    {'a', {0x00, 0x00, 0x0e, 0x01, 0x0f, 0x11, 0x0f}},
    {'b', {0x10, 0x10, 0x1e, 0x11, 0x11, 0x11, 0x1e}},
    {'c', {0x00, 0x00, 0x0e, 0x10, 0x10, 0x11, 0x0e}},
    {'d', {0x01, 0x01, 0x0f, 0x11, 0x11, 0x11, 0x0f}},
    {'e', {0x00, 0x00, 0x0e, 0x11, 0x1f, 0x10, 0x0e}},
    {'f', {0x06, 0x08, 0x1e, 0x08, 0x08, 0x08, 0x08}},
    {'g', {0x00, 0x0f, 0x11, 0x11, 0x0f, 0x01, 0x0e}},
    {'h', {0x10, 0x10, 0x1e, 0x11, 0x11, 0x11, 0x11}},
    {'i', {0x04, 0x00, 0x0c, 0x04, 0x04, 0x04, 0x0e}},
    {'j', {0x02, 0x00, 0x06, 0x02, 0x02, 0x12, 0x0c}},
    {'k', {0x10, 0x10, 0x12, 0x14, 0x18, 0x14, 0x12}},
    {'l', {0x0c, 0x04, 0x04, 0x04, 0x04, 0x04, 0x0e}},
    {'m', {0x00, 0x00, 0x1a, 0x15, 0x15, 0x15, 0x15}},
    {'n', {0x00, 0x00, 0x1e, 0x11, 0x11, 0x11, 0x11}},
    {'o', {0x00, 0x00, 0x0e, 0x11, 0x11, 0x11, 0x0e}},
    {'p', {0x00, 0x00, 0x1e, 0x11, 0x1e, 0x10, 0x10}},
    {'q', {0x00, 0x00, 0x0f, 0x11, 0x0f, 0x01, 0x01}},
    {'r', {0x00, 0x00, 0x16, 0x18, 0x10, 0x10, 0x10}},
    {'s', {0x00, 0x00, 0x0f, 0x10, 0x0e, 0x01, 0x1e}},
    {'t', {0x08, 0x08, 0x1e, 0x08, 0x08, 0x09, 0x06}},
    {'u', {0x00, 0x00, 0x11, 0x11, 0x11, 0x11, 0x0f}},
    {'v', {0x00, 0x00, 0x11, 0x11, 0x11, 0x0a, 0x04}},
    {'w', {0x00, 0x00, 0x11, 0x15, 0x15, 0x15, 0x0a}},
    {'x', {0x00, 0x00, 0x11, 0x0a, 0x04, 0x0a, 0x11}},
    {'y', {0x00, 0x00, 0x11, 0x11, 0x0f, 0x01, 0x0e}},
    {'z', {0x00, 0x00, 0x1f, 0x02, 0x04, 0x08, 0x1f}},
    {'0', {0x0e, 0x11, 0x13, 0x15, 0x19, 0x11, 0x0e}},
    {'1', {0x04, 0x0c, 0x04, 0x04, 0x04, 0x04, 0x0e}},
    {'2', {0x0e, 0x11, 0x01, 0x06, 0x08, 0x10, 0x1f}},
    {'3', {0x0e, 0x11, 0x01, 0x06, 0x01, 0x11, 0x0e}},
    {'4', {0x02, 0x06, 0x0a, 0x12, 0x1f, 0x02, 0x02}},
    {'5', {0x1f, 0x10, 0x1e, 0x01, 0x01, 0x11, 0x0e}},
    {'6', {0x06, 0x08, 0x10, 0x1e, 0x11, 0x11, 0x0e}},
    {'7', {0x1f, 0x01, 0x02, 0x04, 0x08, 0x08, 0x08}},
    {'8', {0x0e, 0x11, 0x11, 0x0e, 0x11, 0x11, 0x0e}},
    {'9', {0x0e, 0x11, 0x11, 0x0f, 0x01, 0x02, 0x0c}},
    {'_', {0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x1f}},
    {'-', {0x00, 0x00, 0x00, 0x1f, 0x00, 0x00, 0x00}},
    {'.', {0x00, 0x00, 0x00, 0x00, 0x00, 0x0c, 0x0c}},
    {'%', {0x19, 0x19, 0x02, 0x04, 0x08, 0x13, 0x13}},
    {' ', {0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00}},
};
enum { GLYPHS = sizeof glyphs / sizeof *glyphs };

xnor_status picture_create(size_t width, size_t height, colour background, picture *out) {
    size_t count, bytes;
    if (!xnor_size_mul(width, height, &count) || !xnor_size_mul(count, sizeof(colour), &bytes))
        return xnor_fail(XNOR_E_LIMIT, "a picture of %zu x %zu is too large", width, height);
    colour *pixels = malloc(bytes ? bytes : 1);
    if (!pixels) return xnor_fail(XNOR_E_MEMORY, "no memory for a picture of %zu bytes", bytes);
    for (size_t i = 0; i < count; i++) pixels[i] = background;
    *out = (picture){width, height, pixels};
    return XNOR_OK;
}

void picture_free(picture *p) {
    free(p->pixels);
    *p = (picture){0};
}

void picture_fill(picture *p, size_t x, size_t y, size_t width, size_t height, colour c) {
    for (size_t row = y; row < y + height && row < p->height; row++)
        for (size_t column = x; column < x + width && column < p->width; column++)
            p->pixels[row * p->width + column] = c;
}

static const struct glyph *find_glyph(char character) {
    const struct glyph *found = &glyphs[0]; // '?'
    if (character >= 'A' && character <= 'Z') character = (char)(character - 'A' + 'a');
    for (size_t i = 0; i < GLYPHS; i++)
        if (glyphs[i].character == character) found = &glyphs[i];
    return found;
}

void picture_text(picture *p, size_t x, size_t y, const char *text, colour c) {
    for (; *text; text++, x += PICTURE_TEXT_ADVANCE) {
        const struct glyph *glyph = find_glyph(*text);
        for (size_t row = 0; row < GLYPH_HEIGHT; row++)
            for (size_t column = 0; column < GLYPH_WIDTH; column++)
                if (glyph->rows[row] >> (GLYPH_WIDTH - 1 - column) & 1)
                    picture_fill(p, x + column, y + row, 1, 1, c);
    }
}

// ---- files --------------------------------------------------------------------------------------

typedef struct png {
    struct spng_ihdr header;
    struct spng_plte palette; // of indexes
    const void *data;
    size_t bytes;
} png;

static int encode(spng_ctx *context, png *p, FILE *file) {
    int error = spng_set_png_file(context, file);
    if (!error) error = spng_set_ihdr(context, &p->header);
    if (!error && p->palette.n_entries > 0) error = spng_set_plte(context, &p->palette);
    if (!error)
        error = spng_encode_image(context, p->data, p->bytes, SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE);
    return error;
}

static xnor_status write_file(const char *path, png *p) {
    FILE *file = fopen(path, "wbe");
    if (!file) return xnor_fail(XNOR_E_IO, "%s: %s", path, strerror(errno));
    spng_ctx *context = spng_ctx_new(SPNG_CTX_ENCODER);
    const int error = context ? encode(context, p, file) : SPNG_EMEM;
    if (context) spng_ctx_free(context);
    if (fclose(file) == 0 && !error) return XNOR_OK;
    return xnor_fail(XNOR_E_IO, "%s: cannot write: %s", path,
                     error ? spng_strerror(error) : strerror(errno));
}

static struct spng_ihdr header_of(size_t width, size_t height, unsigned bits, uint8_t type) {
    return (struct spng_ihdr){.width = (uint32_t)width,
                              .height = (uint32_t)height,
                              .bit_depth = (uint8_t)bits,
                              .color_type = type};
}

xnor_status picture_write_png(const char *path, const picture *p) {
    png file = {.header = header_of(p->width, p->height, 8, SPNG_COLOR_TYPE_TRUECOLOR),
                .data = p->pixels,
                .bytes = p->width * p->height * sizeof(colour)};
    return write_file(path, &file);
}

xnor_status picture_write_grey(const char *path, size_t width, size_t height, unsigned bits,
                               const void *values) {
    png file = {.header = header_of(width, height, bits, SPNG_COLOR_TYPE_GRAYSCALE),
                .data = values,
                .bytes = width * height * (bits / 8)};
    return write_file(path, &file);
}

xnor_status picture_write_indexed(const char *path, size_t width, size_t height,
                                  const uint8_t *indexes, const colour *palette, size_t count) {
    png file = {.header = header_of(width, height, 8, SPNG_COLOR_TYPE_INDEXED),
                .palette.n_entries = (uint32_t)count,
                .data = indexes,
                .bytes = width * height};
    for (size_t i = 0; i < count; i++)
        file.palette.entries[i] = (struct spng_plte_entry){
            .red = palette[i].red, .green = palette[i].green, .blue = palette[i].blue};
    return write_file(path, &file);
}

// ---- legends ------------------------------------------------------------------------------------

static const colour ink = {225, 225, 225};

size_t picture_legend_width(uint32_t rows, const char *const *names) {
    size_t longest = 0;
    for (uint32_t i = 0; i < rows; i++)
        if (strlen(names[i]) > longest) longest = strlen(names[i]);
    if (longest > PICTURE_MAX_LEGEND) longest = PICTURE_MAX_LEGEND;
    return PICTURE_LEGEND_ROW + longest * PICTURE_TEXT_ADVANCE;
}

void picture_legend(picture *p, size_t x, size_t y, uint32_t rows, const char *const *names,
                    const colour *colours) {
    for (uint32_t i = 0; i < rows; i++, y += PICTURE_LEGEND_ROW) {
        char name[PICTURE_MAX_LEGEND + 1];
        snprintf(name, sizeof name, "%.*s", PICTURE_MAX_LEGEND, names[i]);
        picture_fill(p, x, y, PICTURE_TEXT_HEIGHT, PICTURE_TEXT_HEIGHT, colours[i]);
        picture_text(p, x + PICTURE_LEGEND_ROW, y, name, ink);
    }
}

// ---- colours ------------------------------------------------------------------------------------

// Hues a golden angle apart, so that any number of classes gets different ones.
static colour from_hue(double hue, double value) {
    uint8_t channels[3];
    for (int i = 0; i < 3; i++) {
        const double k = fmod(5 - 2 * i + hue / 60, 6);
        const double share = value * (1 - 0.75 * fmax(0, fmin(fmin(k, 4 - k), 1)));
        channels[i] = (uint8_t)lround(255 * share);
    }
    return (colour){channels[0], channels[1], channels[2]};
}

colour picture_class_colour(uint32_t id) {
    static const colour first[] = {{166, 130, 92},  {62, 160, 70},   {230, 96, 54},
                                   {70, 140, 220},  {240, 200, 60},  {170, 100, 210},
                                   {90, 205, 205},  {240, 140, 190}, {150, 190, 60},
                                   {190, 190, 190}, {120, 110, 240}, {200, 60, 110}};
    const uint32_t count = sizeof first / sizeof *first;
    return id < count ? first[id] : from_hue(fmod(id * 137.508, 360), 0.95);
}
