// Image files in, written by the libraries' encoders or by hand, and the pictures that come out.
#include <criterion/criterion.h>
#include <spng.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <turbojpeg.h>
#include <unistd.h>

#include "clients/xnorctl/image_files.h"
#include "clients/xnorctl/image_format.h"
#include "clients/xnorctl/picture.h"

typedef struct bytes {
    uint8_t *data;
    size_t size;
} bytes;

static bytes png(uint32_t width, uint32_t height, uint8_t bits, uint8_t type, bool interlaced,
                 const void *pixels, size_t size, const struct spng_plte *palette,
                 const struct spng_trns *transparent) {
    spng_ctx *context = spng_ctx_new(SPNG_CTX_ENCODER);
    struct spng_ihdr header = {width, height, bits, type, 0, 0, interlaced};
    bytes out = {0};
    int error = 0;
    cr_assert_eq(spng_set_option(context, SPNG_ENCODE_TO_BUFFER, 1), 0);
    cr_assert_eq(spng_set_ihdr(context, &header), 0);
    if (palette) cr_assert_eq(spng_set_plte(context, (struct spng_plte *)(uintptr_t)palette), 0);
    if (transparent)
        cr_assert_eq(spng_set_trns(context, (struct spng_trns *)(uintptr_t)transparent), 0);
    error = spng_encode_image(context, pixels, size, SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE);
    cr_assert_eq(error, 0, "%s", spng_strerror(error));
    out.data = spng_get_png_buffer(context, &out.size, &error);
    cr_assert_not_null(out.data);
    spng_ctx_free(context);
    return out;
}

static bytes jpeg(int width, int height, const uint8_t *rgb, int format, int subsampling) {
    tjhandle encoder = tjInitCompress();
    unsigned char *data = NULL;
    unsigned long size = 0;
    cr_assert_eq(
        tjCompress2(encoder, rgb, width, 0, height, format, &data, &size, subsampling, 95, 0), 0,
        "%s", tjGetErrorStr2(encoder));
    bytes out = {malloc(size), size};
    memcpy(out.data, data, size);
    tjFree(data);
    tjDestroy(encoder);
    return out;
}

static image opened(bytes file) {
    image i;
    // A block of its own, so that the sanitizer sees its end.
    uint8_t *copy = malloc(file.size);
    memcpy(copy, file.data, file.size);
    cr_assert_eq(image_read_memory("f", copy, file.size, &i), XNOR_OK, "%s", xnor_last_error());
    free(copy);
    return i;
}

static void refused(const void *data, size_t size, xnor_status status, const char *text) {
    image i;
    uint8_t *copy = malloc(size + 1);
    memcpy(copy, data, size);
    cr_expect_eq(image_read_memory("f", copy, size, &i), status, "expected '%s'", text);
    cr_expect(strstr(xnor_last_error(), text), "'%s' in '%s'", text, xnor_last_error());
    cr_expect_eq(strncmp(xnor_last_error(), "f: ", 3), 0);
    free(copy);
}

static void expect_pixels(image i, size_t width, size_t height, const uint8_t *rgb) {
    cr_assert(i.width == width && i.height == height, "%zu x %zu", i.width, i.height);
    for (size_t k = 0; k < width * height * 3; k++)
        cr_expect_eq(i.pixels[k], rgb[k], "%zu: %u, %u", k, i.pixels[k], rgb[k]);
    image_free(&i);
}

// ---- PNG ----------------------------------------------------------------------------------------

static const uint8_t colours[] = {255, 0, 0, 0, 255, 0, 0, 0, 255, 1, 2, 3, 40, 50, 60, 7, 8, 9};

Test(image_files, png_of_colours_plain_or_interlaced) {
    for (int interlaced = 0; interlaced < 2; interlaced++)
        expect_pixels(
            opened(png(3, 2, 8, SPNG_COLOR_TYPE_TRUECOLOR, interlaced, colours, 18, NULL, NULL)), 3,
            2, colours);
}

Test(image_files, png_of_16_bits_loses_the_lower_ones) {
    const uint16_t pixels[] = {0xffff, 0x8000, 0x0100, 0x00ff, 0x7fff, 0xfe01};
    static const uint8_t expected[] = {255, 128, 1, 0, 127, 254};
    expect_pixels(opened(png(2, 1, 16, SPNG_COLOR_TYPE_TRUECOLOR, false, pixels, 12, NULL, NULL)),
                  2, 1, expected);
}

Test(image_files, png_of_grey_has_three_equal_channels) {
    static const uint8_t pixels[] = {0, 128, 255}, bits[] = {0xa0};
    static const uint8_t expected[] = {0, 0, 0, 128, 128, 128, 255, 255, 255};
    static const uint8_t black_white[] = {255, 255, 255, 0, 0, 0, 255, 255, 255};
    expect_pixels(opened(png(3, 1, 8, SPNG_COLOR_TYPE_GRAYSCALE, false, pixels, 3, NULL, NULL)), 3,
                  1, expected);
    expect_pixels(opened(png(3, 1, 1, SPNG_COLOR_TYPE_GRAYSCALE, false, bits, 1, NULL, NULL)), 3, 1,
                  black_white);
}

Test(image_files, png_with_a_palette) {
    struct spng_plte palette = {.n_entries = 3,
                                .entries = {{.red = 10, .green = 20, .blue = 30},
                                            {.red = 200, .green = 0, .blue = 100},
                                            {.red = 1, .green = 1, .blue = 1}}};
    struct spng_trns transparent = {.n_type3_entries = 3, .type3_alpha = {255, 0, 255}};
    static const uint8_t indexes[] = {1, 0, 2};
    static const uint8_t expected[] = {200, 0, 100, 10, 20, 30, 1, 1, 1};
    static const uint8_t on_white[] = {255, 255, 255, 10, 20, 30, 1, 1, 1};
    expect_pixels(opened(png(3, 1, 8, SPNG_COLOR_TYPE_INDEXED, false, indexes, 3, &palette, NULL)),
                  3, 1, expected);
    expect_pixels(
        opened(png(3, 1, 8, SPNG_COLOR_TYPE_INDEXED, false, indexes, 3, &palette, &transparent)), 3,
        1, on_white);
}

Test(image_files, transparent_pixels_are_seen_on_white) {
    static const uint8_t pixels[] = {100, 0, 0, 0, 100, 0, 50, 255, 100, 0, 200, 51};
    // 0.2 of (100, 0, 200) and 0.8 of white.
    static const uint8_t expected[] = {255, 255, 255, 100, 0, 50, 224, 204, 244};
    expect_pixels(
        opened(png(3, 1, 8, SPNG_COLOR_TYPE_TRUECOLOR_ALPHA, false, pixels, 12, NULL, NULL)), 3, 1,
        expected);
}

Test(image_files, every_prefix_of_a_png_is_refused) {
    const bytes file = png(3, 2, 8, SPNG_COLOR_TYPE_TRUECOLOR, false, colours, 18, NULL, NULL);
    // The last 12 bytes are the chunk IEND, without which every pixel is there.
    for (size_t size = 0; size < file.size - 12; size++)
        refused(file.data, size, size < 8 ? XNOR_E_UNSUPPORTED : XNOR_E_FORMAT,
                size < 8 ? "expected a PNG or JPEG image" : "damaged PNG");
}

Test(image_files, a_png_with_a_wrong_checksum_is_refused) {
    const bytes file = png(3, 2, 8, SPNG_COLOR_TYPE_TRUECOLOR, false, colours, 18, NULL, NULL);
    file.data[18] ^= 1; // in the header's width
    refused(file.data, file.size, XNOR_E_FORMAT, "damaged PNG");
}

static uint32_t crc32(const uint8_t *data, size_t size) {
    uint32_t crc = UINT32_MAX;
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int k = 0; k < 8; k++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

Test(image_files, a_png_that_announces_too_many_pixels_is_refused) {
    static const uint32_t sizes[][2] = {{16385, 1}, {1, 0x7fffffff}, {16384, 16384}};
    for (size_t i = 0; i < 3; i++) {
        const bytes file = png(3, 2, 8, SPNG_COLOR_TYPE_TRUECOLOR, false, colours, 18, NULL, NULL);
        for (int k = 0; k < 4; k++) {
            file.data[16 + k] = (uint8_t)(sizes[i][0] >> (24 - 8 * k));
            file.data[20 + k] = (uint8_t)(sizes[i][1] >> (24 - 8 * k));
        }
        const uint32_t crc = crc32(file.data + 12, 17);
        for (int k = 0; k < 4; k++) file.data[29 + k] = (uint8_t)(crc >> (24 - 8 * k));
        refused(file.data, file.size, XNOR_E_LIMIT, "expected at most 67108864 pixels");
    }
}

// ---- JPEG ---------------------------------------------------------------------------------------

// 32 x 16: the left upper quarter red, the right upper green, the left lower blue, the rest white.
static bytes quarters(void) {
    static uint8_t rgb[16][32][3];
    static const uint8_t values[4][3] = {{255, 0, 0}, {0, 255, 0}, {0, 0, 255}, {255, 255, 255}};
    for (size_t y = 0; y < 16; y++)
        for (size_t x = 0; x < 32; x++) memcpy(rgb[y][x], values[y / 8 * 2 + x / 16], 3);
    return jpeg(32, 16, rgb[0][0], TJPF_RGB, TJSAMP_444);
}

// Corners in reading order as letters: r, g, b, w.
static void expect_corners(image i, size_t width, size_t height, const char *letters) {
    cr_assert(i.width == width && i.height == height, "%zu x %zu", i.width, i.height);
    for (size_t k = 0; k < 4; k++) {
        const size_t x = k % 2 ? width - 1 : 0, y = k / 2 ? height - 1 : 0;
        const uint8_t *p = i.pixels + 3 * (y * width + x);
        const bool r = p[0] > 200, g = p[1] > 200, b = p[2] > 200;
        const char found = r && g && b ? 'w' : r ? 'r' : g ? 'g' : 'b';
        cr_expect_eq(found, letters[k], "corner %zu of %s: %c", k, letters, found);
    }
    image_free(&i);
}

Test(image_files, jpeg_of_colours) {
    expect_corners(opened(quarters()), 32, 16, "rgbw");
}

Test(image_files, jpeg_of_grey) {
    static uint8_t grey[64];
    memset(grey, 77, sizeof grey);
    image i = opened(jpeg(8, 8, grey, TJPF_GRAY, TJSAMP_GRAY));
    cr_assert(i.width == 8 && i.height == 8);
    for (size_t k = 0; k < 192; k++) cr_expect(abs(i.pixels[k] - 77) <= 1);
    image_free(&i);
}

Test(image_files, jpeg_of_four_inks_is_refused) {
    static uint8_t inks[256];
    const bytes file = jpeg(8, 8, inks, TJPF_CMYK, TJSAMP_444);
    refused(file.data, file.size, XNOR_E_UNSUPPORTED, "JPEG with CMYK colours");
}

Test(image_files, a_jpeg_that_ends_early_is_refused) {
    const bytes file = quarters();
    for (size_t size = 3; size < file.size - 2; size++)
        refused(file.data, size, XNOR_E_FORMAT, "damaged JPEG");
}

Test(image_files, another_format_is_refused) {
    refused("GIF89a..", 8, XNOR_E_UNSUPPORTED, "expected a PNG or JPEG image");
    refused("", 0, XNOR_E_UNSUPPORTED, "expected a PNG or JPEG image");
}

// ---- orientation --------------------------------------------------------------------------------

// A TIFF block with another entry before the orientation.
static size_t tiff(bool big, uint16_t type, uint32_t count, uint16_t value, uint8_t *out) {
    const uint32_t words[] = {42, 2, 0x0110, 2, 0x0112, type, value};
    uint8_t w[7][2];
    for (size_t i = 0; i < 7; i++) {
        w[i][big] = (uint8_t)words[i];
        w[i][!big] = (uint8_t)(words[i] >> 8);
    }
    memset(out, 0, 38);
    memcpy(out, big ? "MM" : "II", 2);
    memcpy(out + 2, w[0], 2);
    out[big ? 7 : 4] = 8; // the directory
    memcpy(out + 8, w[1], 2);
    memcpy(out + 10, w[2], 2);
    memcpy(out + 12, w[3], 2);
    memcpy(out + 22, w[4], 2);
    memcpy(out + 24, w[5], 2);
    out[big ? 29 : 26] = (uint8_t)count;
    memcpy(out + 30, w[6], 2);
    return 38;
}

static bytes with_exif(bytes file, const uint8_t *block, size_t size) {
    static const uint8_t filling[] = {0xff, 0xff, 0xfe, 0, 4, 'h', 'i'}; // a comment comes before
    bytes out = {malloc(file.size + size + 64), 0};
    const size_t length = size + 8;
    const uint8_t head[] = {0xff, 0xe1, (uint8_t)(length >> 8), (uint8_t)length, 'E', 'x', 'i', 'f',
                            0,    0};
    memcpy(out.data, file.data, 2);
    memcpy(out.data + 2, filling, sizeof filling);
    memcpy(out.data + 9, head, sizeof head);
    memcpy(out.data + 19, block, size);
    memcpy(out.data + 19 + size, file.data + 2, file.size - 2);
    out.size = file.size + 17 + size;
    return out;
}

// How the corners r g / b w stand when the stored picture is turned, EXIF 2.32, tag 0x0112: 1 as it
// is, 2 mirrored, 3 half a turn, 4 upside down, 5 transposed, 6 a quarter turn to the right, 7 transposed
// the other way, 8 a quarter turn to the left.
static const char *const turned[] = {NULL,   "rgbw", "grwb", "wbgr", "bwrg",
                                     "rbgw", "brwg", "wgbr", "gwrb"};

Test(image_files, orientations_of_a_jpeg_are_undone) {
    for (uint16_t orientation = 1; orientation <= 8; orientation++)
        for (int big = 0; big < 2; big++) {
            uint8_t block[64];
            const size_t size = tiff(big, 3, 1, orientation, block);
            const bool exchanged = orientation >= 5;
            expect_corners(opened(with_exif(quarters(), block, size)), exchanged ? 16 : 32,
                           exchanged ? 32 : 16, turned[orientation]);
        }
}

Test(image_files, orientation_of_a_png_is_undone) {
    uint8_t block[64];
    struct spng_exif exif = {tiff(true, 3, 1, 6, block), (char *)block};
    spng_ctx *context = spng_ctx_new(SPNG_CTX_ENCODER);
    struct spng_ihdr header = {3, 2, 8, SPNG_COLOR_TYPE_TRUECOLOR, 0, 0, 0};
    bytes file = {0};
    int error;
    spng_set_option(context, SPNG_ENCODE_TO_BUFFER, 1);
    spng_set_ihdr(context, &header);
    cr_assert_eq(spng_set_exif(context, &exif), 0);
    cr_assert_eq(spng_encode_image(context, colours, 18, SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE), 0);
    file.data = spng_get_png_buffer(context, &file.size, &error);
    // A quarter turn to the right: the left column, from the bottom, becomes the top row.
    static const uint8_t expected[] = {1, 2,   3, 255, 0, 0, 40, 50, 60,
                                       0, 255, 0, 7,   8, 9, 0,  0,  255};
    expect_pixels(opened(file), 2, 3, expected);
    spng_ctx_free(context);
}

Test(image_files, orientations_that_make_no_sense_are_none) {
    uint8_t block[64];
    static const struct {
        uint16_t type;
        uint32_t count;
        uint16_t value;
    } wrong[] = {{3, 1, 0}, {3, 1, 9}, {3, 1, 0xffff}, {4, 1, 6}, {3, 2, 6}, {3, 0, 6}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const size_t size = tiff(false, wrong[i].type, wrong[i].count, wrong[i].value, block);
        cr_expect_eq(exif_orientation(block, size), 1, "%zu", i);
    }
    const size_t size = tiff(false, 3, 1, 6, block);
    cr_assert_eq(exif_orientation(block, size), 6);
    for (size_t cut = 0; cut < size; cut++) {
        uint8_t *copy = malloc(cut + 1);
        memcpy(copy, block, cut);
        const image_orientation found = exif_orientation(copy, cut);
        cr_expect_eq(found, cut < 34 ? 1 : 6, "%zu bytes: %d", cut, found);
        free(copy);
    }
    block[3] = 1; // not 42
    cr_expect_eq(exif_orientation(block, size), 1);
    tiff(false, 3, 1, 6, block);
    memset(block + 4, 0xff, 4); // a directory far outside
    cr_expect_eq(exif_orientation(block, size), 1);
    tiff(false, 3, 1, 6, block);
    block[8] = block[9] = 0xff; // more entries than there are bytes
    cr_expect_eq(exif_orientation(block, size), 6);
}

// ---- smaller, and out again ---------------------------------------------------------------------

Test(image_files, shrinking_keeps_the_ratio_and_the_mean) {
    image i = {malloc(100 * 40 * 3), 100, 40};
    for (size_t k = 0; k < 100 * 40; k++)
        for (size_t c = 0; c < 3; c++) i.pixels[3 * k + c] = k % 2 ? 200 : 100;
    cr_assert_eq(image_shrink(&i, 4000), XNOR_OK);
    cr_assert(i.width == 100 && i.height == 40);
    cr_assert_eq(image_shrink(&i, 1000), XNOR_OK);
    cr_assert(i.width == 50 && i.height == 20, "%zu x %zu", i.width, i.height);
    for (size_t k = 3; k < 50 * 20 * 3 - 3; k++)
        if (k / 3 % 50 != 0 && k / 3 % 50 != 49)
            cr_expect(abs(i.pixels[k] - 150) <= 1, "%zu: %u", k, i.pixels[k]);
    image_free(&i);
}

static const char *temporary(const char *suffix) {
    static char path[64];
    snprintf(path, sizeof path, "/tmp/image_files_test.%ld%s", (long)getpid(), suffix);
    return path;
}

static struct spng_ihdr read_back(const char *path, int format, void *pixels, size_t size,
                                  struct spng_plte *palette) {
    struct spng_ihdr header;
    FILE *file = fopen(path, "rb");
    spng_ctx *context = spng_ctx_new(0);
    cr_assert_not_null(file);
    spng_set_png_file(context, file);
    cr_assert_eq(spng_get_ihdr(context, &header), 0);
    size_t needed;
    cr_assert_eq(spng_decoded_image_size(context, format, &needed), 0);
    cr_assert_eq(needed, size);
    cr_assert_eq(spng_decode_image(context, pixels, size, format, 0), 0);
    if (palette) cr_assert_eq(spng_get_plte(context, palette), 0);
    spng_ctx_free(context);
    fclose(file);
    unlink(path);
    return header;
}

static uint8_t dark[2 * 3 * 3];
static const image small = {dark, 3, 2};

Test(image_files, labels_are_written_as_indexes_of_their_colours) {
    static const char *const names[] = {"a", "b"};
    static const uint32_t palette[] = {0x102030, 0xff8000};
    const xnord_image_output output = {
        .name = "x", .class_count = 2, .classes = names, .palette = palette};
    static const uint8_t labels[] = {0, 1, 1, 0, 0, 1};
    uint8_t found[6];
    struct spng_plte plte;
    cr_assert_eq(image_write_labels(temporary(".png"), &small, labels, &output), XNOR_OK);
    const struct spng_ihdr header =
        read_back(temporary(".png"), SPNG_FMT_PNG, found, sizeof found, &plte);
    cr_assert(header.width == 3 && header.height == 2);
    cr_assert_eq(header.color_type, SPNG_COLOR_TYPE_INDEXED);
    cr_assert_arr_eq(found, labels, 6);
    cr_assert_eq(plte.n_entries, 2);
    cr_assert(plte.entries[1].red == 255 && plte.entries[1].green == 128 &&
              plte.entries[1].blue == 0);
}

Test(image_files, millimetres_are_written_with_16_bits) {
    static const uint16_t depth[] = {0, 1, 255, 256, 4000, 65535};
    uint16_t found[6];
    cr_assert_eq(image_write_millimetres(temporary(".png"), &small, depth), XNOR_OK);
    const struct spng_ihdr header =
        read_back(temporary(".png"), SPNG_FMT_PNG, found, sizeof found, NULL);
    cr_assert_eq(header.bit_depth, 16);
    cr_assert_arr_eq(found, depth, sizeof depth);
}

Test(image_files, normals_and_edges_are_written_as_bytes) {
    static const float normals[] = {0, 0, 0, 1, 0, 0, -1, 0, 0, 0, 0.5f, 0, 0, 0, -0.5f, 0, 0, 1};
    static const uint8_t expected[] = {128, 128, 128, 255, 128, 128, 1,   128, 128,
                                       128, 192, 128, 128, 128, 64,  128, 128, 255};
    static const float edges[] = {0, 1, 0.5f, 0.25f, 2, -1};
    static const uint8_t grey[] = {0, 255, 128, 64, 255, 0};
    uint8_t found[18];
    cr_assert_eq(image_write_normals(temporary(".png"), &small, normals), XNOR_OK);
    read_back(temporary(".png"), SPNG_FMT_RGB8, found, 18, NULL);
    for (size_t i = 0; i < 18; i++)
        cr_expect(abs(found[i] - expected[i]) <= 1, "%zu: %u", i, found[i]);
    cr_assert_eq(image_write_edges(temporary(".png"), &small, edges), XNOR_OK);
    read_back(temporary(".png"), SPNG_FMT_PNG, found, 6, NULL);
    for (size_t i = 0; i < 6; i++) cr_expect_eq(found[i], grey[i], "%zu: %u", i, found[i]);
}

Test(image_files, an_overlay_is_half_image_half_colour) {
    static const char *const names[] = {"a", "b"};
    static const uint32_t palette[] = {0x102030, 0xff8000};
    const xnord_image_output output = {
        .name = "x", .class_count = 2, .classes = names, .palette = palette};
    static const uint8_t labels[] = {1, 1, 1, 1, 1, 0};
    cr_assert_eq(image_write_overlay(temporary(".png"), &small, labels, &output), XNOR_OK);
    image found;
    cr_assert_eq(image_read(temporary(".png"), &found), XNOR_OK);
    unlink(temporary(".png"));
    cr_assert(found.width > 3 && found.height > 2, "no legend");
    static const uint8_t b[] = {127, 64, 0}, a[] = {8, 16, 24};
    cr_expect_arr_eq(found.pixels, b, 3);
    cr_expect_arr_eq(found.pixels + 3 * (found.width + 2), a, 3);
    image_free(&found);
}
