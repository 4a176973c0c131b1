// Images in: against a direct double sum over all pixels, against values that torch gave, and by hand.
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "xnor.h"

static xnor_description plain(int64_t width, int64_t height) {
    return (xnor_description){.task = XNOR_TASK_IMAGE,
                              .channels_first = true,
                              .image = {.pixels = XNOR_PIXELS_RGB,
                                        .deviation = {1, 1, 1},
                                        .width = width,
                                        .height = height,
                                        .resize = XNOR_RESIZE_STRETCH}};
}

// Memory of exactly the size that is asked for, so that the sanitizer sees every step beyond.
static float *prepare(const xnor_description *d, const xnor_image *image, xnor_image_frame *frame) {
    cr_assert_eq(xnor_image_frame_of(d, image->width, image->height, frame), XNOR_OK, "%s",
                 xnor_last_error());
    const xnor_shape shape = xnor_image_shape(d, frame);
    float *out = malloc((size_t)(shape.dims[1] * shape.dims[2] * shape.dims[3]) * sizeof *out);
    void *workspace = malloc(xnor_image_workspace_bytes(frame));
    cr_assert_eq(xnor_image_prepare(d, image, frame, workspace, out), XNOR_OK, "%s",
                 xnor_last_error());
    free(workspace);
    return out;
}

static xnor_status refused(const xnor_description *d, const xnor_image *image) {
    float out[64];
    char workspace[4096];
    xnor_image_frame frame;
    const xnor_status status = xnor_image_frame_of(d, image->width, image->height, &frame);
    return status == XNOR_OK ? xnor_image_prepare(d, image, &frame, workspace, out) : status;
}

// ---- resampling ---------------------------------------------------------------------------------

// The triangle around the centre of value i of `to`, seen in `from` values.
static double weight(size_t from, size_t to, size_t i, size_t source) {
    const double scale = (double)from / (double)to, wide = scale > 1 ? scale : 1;
    const double distance = fabs((double)source + 0.5 - ((double)i + 0.5) * scale);
    return distance < wide ? 1 - distance / wide : 0;
}

static double direct(const uint8_t *pixels, size_t channels, size_t from_w, size_t from_h,
                     size_t to_w, size_t to_h, size_t x, size_t y, size_t c) {
    double sum = 0, weights = 0;
    for (size_t v = 0; v < from_h; v++)
        for (size_t u = 0; u < from_w; u++) {
            const double w = weight(from_w, to_w, x, u) * weight(from_h, to_h, y, v);
            sum += w * pixels[(v * from_w + u) * channels + c];
            weights += w;
        }
    return sum / weights;
}

static uint8_t *noise(size_t bytes, uint32_t seed) {
    uint8_t *data = malloc(bytes);
    for (size_t i = 0; i < bytes; i++) {
        seed = seed * 1664525u + 1013904223u;
        data[i] = (uint8_t)(seed >> 24);
    }
    return data;
}

Test(image_task, every_size_becomes_every_other) {
    static const size_t sides[] = {1, 2, 3, 5, 8, 13, 31};
    enum { SIDES = sizeof sides / sizeof *sides };
    for (size_t k = 0; k < SIDES * SIDES; k++)
        for (size_t channels = 1; channels <= 3; channels += 2) {
            // Other combinations of height and width than of width and height.
            const size_t w = sides[k % SIDES], h = sides[(k + 3) % SIDES];
            const size_t to_w = sides[k / SIDES], to_h = sides[(k / SIDES + 5) % SIDES];
            uint8_t *pixels = noise(w * h * channels, (uint32_t)k);
            xnor_description d = plain((int64_t)to_w, (int64_t)to_h);
            const xnor_image image = {pixels, w, h, channels, w * channels, false};
            xnor_image_frame frame;
            float *out = prepare(&d, &image, &frame);
            for (size_t i = 0; i < 3 * to_w * to_h; i++) {
                const size_t c = i / (to_w * to_h), x = i % to_w, y = i / to_w % to_h;
                const double want =
                    direct(pixels, channels, w, h, to_w, to_h, x, y, channels == 1 ? 0 : c) / 255;
                cr_assert_float_eq((double)out[i], want, 1e-6,
                                   "%zu x %zu to %zu x %zu at %zu: %g, %g", w, h, to_w, to_h, i,
                                   (double)out[i], want);
            }
            free(out);
            free(pixels);
        }
}

// torch.nn.functional.interpolate(x[None, None], size, mode="bilinear", align_corners=False,
// antialias=True) of x[y][x] = (y * width + x) * 37 % 101; where nothing gets smaller antialias=False
// gives the same.
static const struct {
    size_t from_h, from_w, to_h, to_w;
    double values[35];
} torch_says[] = {
    {7,
     5,
     3,
     4,
     {43.37500, 37.84523, 59.97023, 39.41071, 51.82353, 45.48039, 47.05882, 65.47059, 49.87500,
      56.97024, 41.22024, 51.32143}},
    {7,
     5,
     2,
     9,
     {52.97674, 46.51938, 35.75710, 39.60982, 47.11628, 55.92765, 60.82429, 50.06201, 43.60465,
      47.02325, 49.96124, 54.85788, 53.49096, 50.55814, 42.40568, 39.21189, 55.85272, 65.83720}},
    {2, 3, 5, 7, {0.00000,  5.28571,  21.14286, 37.00000, 52.85714, 68.71429, 74.00000,
                  1.00000,  6.28571,  22.14286, 38.00000, 53.85714, 69.71429, 75.00000,
                  5.00000,  10.28571, 26.14286, 42.00000, 57.85714, 73.71429, 79.00000,
                  9.00000,  14.28571, 30.14286, 46.00000, 61.85714, 77.71429, 83.00000,
                  10.00000, 15.28572, 31.14286, 47.00000, 62.85714, 78.71429, 84.00000}},
    {9, 11, 1, 1, {50.62187}},
};

Test(image_task, resizing_is_that_of_torch_with_antialias) {
    for (size_t i = 0; i < sizeof torch_says / sizeof *torch_says; i++) {
        const size_t w = torch_says[i].from_w, h = torch_says[i].from_h;
        uint8_t pixels[99];
        for (size_t k = 0; k < w * h; k++) pixels[k] = (uint8_t)(k * 37 % 101);
        xnor_description d = plain((int64_t)torch_says[i].to_w, (int64_t)torch_says[i].to_h);
        d.image.pixels = XNOR_PIXELS_GREY;
        const xnor_image image = {pixels, w, h, 1, w, false};
        xnor_image_frame frame;
        float *out = prepare(&d, &image, &frame);
        for (size_t k = 0; k < torch_says[i].to_h * torch_says[i].to_w; k++)
            cr_assert_float_eq((double)out[k] * 255, torch_says[i].values[k], 2e-4, "%zu, %zu", i,
                               k);
        free(out);
    }
}

// ---- values -------------------------------------------------------------------------------------

Test(image_task, values_are_normalised_channel_by_channel) {
    static const uint8_t pixels[] = {255, 51, 0, 0, 102, 204};
    xnor_description d = plain(2, 1);
    memcpy(d.image.mean, (float[]){0.5f, 0.25f, 0}, sizeof d.image.mean);
    memcpy(d.image.deviation, (float[]){0.25f, 0.5f, 2}, sizeof d.image.deviation);
    const xnor_image image = {pixels, 2, 1, 3, 6, false};
    static const double red_first[] = {2, -2, -0.1, 0.3, 0, 0.4};
    xnor_image_frame frame;
    float *out = prepare(&d, &image, &frame);
    for (size_t i = 0; i < 6; i++) cr_assert_float_eq((double)out[i], red_first[i], 1e-6);
    free(out);

    d.channels_first = false;
    static const double channels_last[] = {2, -0.1, 0, -2, 0.3, 0.4};
    out = prepare(&d, &image, &frame);
    for (size_t i = 0; i < 6; i++) cr_assert_float_eq((double)out[i], channels_last[i], 1e-6);
    free(out);
}

Test(image_task, mean_and_deviation_are_in_the_order_of_the_pixels) {
    static const uint8_t pixels[] = {255, 51, 0};
    xnor_description d = plain(1, 1);
    d.image.pixels = XNOR_PIXELS_BGR;
    memcpy(d.image.mean, (float[]){0.5f, 0.25f, 0}, sizeof d.image.mean);
    const xnor_image image = {pixels, 1, 1, 3, 3, false};
    static const double expected[] = {0 - 0.5, 0.2 - 0.25, 1 - 0.0};
    xnor_image_frame frame;
    float *out = prepare(&d, &image, &frame);
    for (size_t i = 0; i < 3; i++) cr_assert_float_eq((double)out[i], expected[i], 1e-6);
    free(out);
}

Test(image_task, colours_become_grey_by_their_luma) {
    static const uint8_t pixels[] = {255, 0, 0, 0, 255, 0, 0, 0, 255, 51, 51, 51};
    xnor_description d = plain(4, 1);
    d.image.pixels = XNOR_PIXELS_GREY;
    const xnor_image image = {pixels, 4, 1, 3, 12, false};
    static const double expected[] = {0.299, 0.587, 0.114, 0.2};
    xnor_image_frame frame;
    float *out = prepare(&d, &image, &frame);
    for (size_t i = 0; i < 4; i++) cr_assert_float_eq((double)out[i], expected[i], 1e-6);
    free(out);
}

Test(image_task, rows_may_be_apart_and_anywhere) {
    uint8_t memory[64];
    memset(memory, 0xee, sizeof memory);
    // Two rows of two grey pixels, 7 bytes apart, at an odd address.
    memory[3] = 10, memory[4] = 20, memory[10] = 30, memory[11] = 40;
    xnor_description d = plain(2, 2);
    d.image.pixels = XNOR_PIXELS_GREY;
    const xnor_image image = {memory + 3, 2, 2, 1, 7, false};
    xnor_image_frame frame;
    float *out = prepare(&d, &image, &frame);
    for (size_t i = 0; i < 4; i++)
        cr_assert_float_eq((double)out[i] * 255, 10.0 * (double)(i + 1), 1e-4);
    free(out);
}

Test(image_task, floats_are_taken_as_0_to_1) {
    char memory[4 * 6 + 1];
    const float values[] = {0, 0.25f, 0.5f, 0.75f, 1, 2};
    memcpy(memory + 1, values, sizeof values);
    xnor_description d = plain(2, 1);
    d.image.mean[1] = 0.5f;
    const xnor_image image = {memory + 1, 2, 1, 3, 24, true};
    static const double expected[] = {0, 0.75, -0.25, 0.5, 0.5, 2};
    xnor_image_frame frame;
    float *out = prepare(&d, &image, &frame);
    for (size_t i = 0; i < 6; i++) cr_assert_float_eq((double)out[i], expected[i], 1e-6);
    free(out);
}

// ---- sizes --------------------------------------------------------------------------------------

static void expect_frame(const xnor_description *d, size_t width, size_t height,
                         xnor_image_frame want) {
    xnor_image_frame f;
    cr_assert_eq(xnor_image_frame_of(d, width, height, &f), XNOR_OK, "%s", xnor_last_error());
    cr_assert(f.image_width == width && f.image_height == height);
    cr_expect(f.width == want.width && f.height == want.height &&
                  f.shown_width == want.shown_width && f.shown_height == want.shown_height,
              "%zu x %zu: %zu x %zu with %zu x %zu", width, height, f.width, f.height,
              f.shown_width, f.shown_height);
}

#define SEEN(w, h, sw, sh)                                                                         \
    ((xnor_image_frame){.width = w, .height = h, .shown_width = sw, .shown_height = sh})

Test(image_task, stretching_fills_the_network) {
    const xnor_description d = plain(640, 480);
    expect_frame(&d, 640, 480, SEEN(640, 480, 640, 480));
    expect_frame(&d, 1, 16384, SEEN(640, 480, 640, 480));
}

Test(image_task, fitting_keeps_the_ratio_of_the_sides) {
    xnor_description d = plain(640, 480);
    d.image.resize = XNOR_RESIZE_FIT;
    expect_frame(&d, 1280, 960, SEEN(640, 480, 640, 480));
    expect_frame(&d, 1920, 1080, SEEN(640, 480, 640, 360));
    expect_frame(&d, 1080, 1920, SEEN(640, 480, 270, 480));
    expect_frame(&d, 64, 48, SEEN(640, 480, 640, 480)); // also made larger
    expect_frame(&d, 16384, 1, SEEN(640, 480, 640, 1)); // never nothing
}

Test(image_task, with_multiples_images_keep_their_size_if_they_are_not_too_large) {
    xnor_description d = plain(640, 480);
    d.image.multiple_of = 32;
    d.image.resize = XNOR_RESIZE_FIT;
    expect_frame(&d, 640, 480, SEEN(640, 480, 640, 480));
    expect_frame(&d, 480, 360, SEEN(480, 384, 480, 360)); // CamVid
    expect_frame(&d, 1, 1, SEEN(32, 32, 1, 1));
    expect_frame(&d, 641, 480, SEEN(640, 480, 640, 479));
    expect_frame(&d, 1000, 4000, SEEN(128, 480, 120, 480));
    d.image.resize = XNOR_RESIZE_STRETCH;
    expect_frame(&d, 480, 360, SEEN(480, 384, 480, 384));
}

Test(image_task, what_shows_no_image_is_the_mean) {
    const uint8_t *pixels = noise(5 * 3 * 3, 1);
    xnor_description d = plain(8, 8);
    d.image.multiple_of = 4;
    d.image.resize = XNOR_RESIZE_FIT;
    d.image.mean[0] = d.image.mean[1] = d.image.mean[2] = 0.5f;
    const xnor_image image = {pixels, 5, 3, 3, 15, false};
    xnor_image_frame frame;
    float *out = prepare(&d, &image, &frame);
    cr_assert(frame.width == 8 && frame.height == 4);
    for (size_t i = 0; i < 3 * 8 * 4; i++) {
        const size_t c = i / 32, y = i / 8 % 4, x = i % 8;
        const double want = x < 5 && y < 3 ? pixels[(y * 5 + x) * 3 + c] / 255.0 - 0.5 : 0;
        cr_assert_float_eq((double)out[i], want, 1e-6);
    }
    free(out);
    free((void *)(uintptr_t)pixels);
}

// ---- refusals -----------------------------------------------------------------------------------

Test(image_task, images_that_are_none_are_refused) {
    static const uint8_t pixels[12];
    const xnor_description d = plain(2, 2);
    xnor_image image = {pixels, 2, 2, 3, 6, false};
    cr_expect_eq(refused(&d, &image), XNOR_OK);
    image.stride = 5;
    cr_expect_eq(refused(&d, &image), XNOR_E_ARGUMENT);
    cr_expect_str_eq(xnor_last_error(), "rows are 5 bytes apart, at least 6 are needed");
    image = (xnor_image){pixels, 2, 2, 2, 6, false};
    cr_expect_eq(refused(&d, &image), XNOR_E_ARGUMENT);
    cr_expect_str_eq(xnor_last_error(), "the image has 2 channels, expected 1 or 3");
    image = (xnor_image){pixels, 0, 2, 3, 6, false};
    cr_expect_eq(refused(&d, &image), XNOR_E_ARGUMENT);
    image = (xnor_image){pixels, 2, XNOR_MAX_IMAGE_SIDE + 1, 3, 6, false};
    cr_expect_eq(refused(&d, &image), XNOR_E_LIMIT);
    image = (xnor_image){pixels, SIZE_MAX, SIZE_MAX, 3, 6, false};
    cr_expect_eq(refused(&d, &image), XNOR_E_LIMIT);
    image = (xnor_image){pixels, 1, 1, 1, 3, true};
    cr_expect_eq(refused(&d, &image), XNOR_E_ARGUMENT, "stride of floats");
}

Test(image_task, pixels_that_are_not_finite_are_refused_with_their_place) {
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    const xnor_description d = plain(2, 2);
    for (size_t i = 0; i < 3; i++) {
        float pixels[4] = {0, 0, 0, bad[i]};
        const xnor_image image = {pixels, 2, 2, 1, 8, true};
        cr_expect_eq(refused(&d, &image), XNOR_E_ARGUMENT);
        cr_expect(strstr(xnor_last_error(), "pixel at (1, 1)"), "%s", xnor_last_error());
    }
}

Test(image_task, a_frame_of_another_image_is_refused) {
    static const uint8_t pixels[12];
    const xnor_description d = plain(2, 2);
    const xnor_image image = {pixels, 2, 2, 3, 6, false};
    xnor_image_frame frame;
    float out[12];
    char workspace[1024];
    cr_assert_eq(xnor_image_frame_of(&d, 3, 2, &frame), XNOR_OK);
    cr_expect_eq(xnor_image_prepare(&d, &image, &frame, workspace, out), XNOR_E_ARGUMENT);
}
