// Images as cameras deliver them -> what the network was trained on.
#include <math.h>
#include <string.h>

#include "core/status.h"

// ---- sizes --------------------------------------------------------------------------------------

// round(a * b / c), at least 1.
static size_t share(size_t a, size_t b, size_t c) {
    const size_t rounded = (2 * a * b + c) / (2 * c);
    return rounded > 0 ? rounded : 1;
}

static void fit(size_t width, size_t height, xnor_image_frame *f) {
    const bool wide = f->image_width * height >= f->image_height * width;
    f->shown_width = wide ? width : share(f->image_width, height, f->image_height);
    f->shown_height = wide ? share(f->image_height, width, f->image_width) : height;
}

xnor_status xnor_image_frame_of(const xnor_description *description, size_t width, size_t height,
                                xnor_image_frame *out) {
    const xnor_image_input *in = &description->image;
    const size_t most_width = (size_t)in->width, most_height = (size_t)in->height;
    const size_t step = (size_t)in->multiple_of;
    if (width == 0 || height == 0)
        return xnor_fail(XNOR_E_ARGUMENT, "the image has no pixels: %zu x %zu", width, height);
    if (width > XNOR_MAX_IMAGE_SIDE || height > XNOR_MAX_IMAGE_SIDE)
        return xnor_fail(XNOR_E_LIMIT,
                         "the image has %zu x %zu pixels, at most %d a side are accepted", width,
                         height, XNOR_MAX_IMAGE_SIDE);
    xnor_image_frame f = {width, height, most_width, most_height, width, height};
    if (step == 0 || width > most_width || height > most_height) fit(most_width, most_height, &f);
    if (step > 0) {
        f.width = (f.shown_width + step - 1) / step * step;
        f.height = (f.shown_height + step - 1) / step * step;
    }
    if (in->resize == XNOR_RESIZE_STRETCH) {
        f.shown_width = f.width;
        f.shown_height = f.height;
    }
    *out = f;
    return XNOR_OK;
}

static size_t channels_of(const xnor_image_input *in) {
    return in->pixels == XNOR_PIXELS_GREY ? 1 : 3;
}

xnor_shape xnor_image_shape(const xnor_description *description, const xnor_image_frame *frame) {
    const int64_t channels = (int64_t)channels_of(&description->image);
    const int64_t width = (int64_t)frame->width, height = (int64_t)frame->height;
    if (description->channels_first) return (xnor_shape){4, {1, channels, height, width}};
    return (xnor_shape){4, {1, height, width, channels}};
}

// ---- resampling ---------------------------------------------------------------------------------

enum { MAX_CHANNELS = 3 };

// Value i of the result is the sum of weights[i * taps + k] times value first[i] + k of the source.
typedef struct axis {
    size_t count, taps;
    uint32_t *first;
    float *weights;
} axis;

// Half the width of the triangle.
static double support_of(size_t from, size_t to) {
    return fmax(1, (double)from / (double)to);
}

static size_t taps_of(size_t from, size_t to) {
    const size_t taps = from == to ? 1 : (size_t)ceil(2 * support_of(from, to)) + 1;
    return taps < from ? taps : from;
}

// In words of 4 bytes.
static size_t axis_words(size_t from, size_t to) {
    return to * (taps_of(from, to) + 1);
}

static uint32_t *make_axis(size_t from, size_t to, uint32_t *memory, axis *out) {
    const double scale = (double)from / (double)to, support = support_of(from, to);
    const size_t taps = taps_of(from, to);
    *out = (axis){to, taps, memory, (float *)(void *)(memory + to)};
    for (size_t i = 0; i < to; i++) {
        const double centre = ((double)i + 0.5) * scale;
        const double begin = fmax(0, floor(centre - support + 0.5));
        const size_t first = (size_t)begin + taps <= from ? (size_t)begin : from - taps;
        double sum = 0;
        for (size_t k = 0; k < taps; k++)
            sum += fmax(0, 1 - fabs((double)(first + k) + 0.5 - centre) / support);
        for (size_t k = 0; k < taps; k++)
            out->weights[i * taps + k] =
                (float)(fmax(0, 1 - fabs((double)(first + k) + 0.5 - centre) / support) / sum);
        out->first[i] = (uint32_t)first;
    }
    return memory + axis_words(from, to);
}

size_t xnor_image_workspace_bytes(const xnor_image_frame *f) {
    return (MAX_CHANNELS * (f->image_width + f->shown_width) +
            axis_words(f->image_width, f->shown_width) +
            axis_words(f->image_height, f->shown_height)) *
           sizeof(float);
}

static void add_bytes(const uint8_t *restrict row, float weight, size_t count,
                      float *restrict sums) {
    for (size_t i = 0; i < count; i++) sums[i] += weight * (float)row[i];
}

static void add_floats(const uint8_t *restrict row, float weight, size_t count,
                       float *restrict sums) {
    for (size_t i = 0; i < count; i++) {
        float value;
        memcpy(&value, row + i * sizeof value, sizeof value);
        sums[i] += weight * value;
    }
}

// Row y of the result at the width of the image.
static void resample_rows(const xnor_image *image, const axis *vertical, size_t y, float *out) {
    const size_t count = image->width * image->channels;
    memset(out, 0, count * sizeof *out);
    for (size_t k = 0; k < vertical->taps; k++) {
        const float weight = vertical->weights[y * vertical->taps + k];
        const uint8_t *row =
            (const uint8_t *)image->data + (vertical->first[y] + k) * image->stride;
        if (weight == 0) continue;
        if (image->is_float)
            add_floats(row, weight, count, out);
        else
            add_bytes(row, weight, count, out);
    }
}

// The row at the width of the result.
static void resample_columns(const float *restrict row, size_t channels, const axis *horizontal,
                             float *restrict out) {
    const size_t taps = horizontal->taps;
    for (size_t x = 0; x < horizontal->count; x++) {
        const float *weights = horizontal->weights + x * taps;
        const float *from = row + horizontal->first[x] * channels;
        float sums[MAX_CHANNELS] = {0};
        if (channels == 3)
            for (size_t k = 0; k < taps; k++)
                for (size_t c = 0; c < 3; c++) sums[c] += weights[k] * from[3 * k + c];
        else
            for (size_t k = 0; k < taps; k++) sums[0] += weights[k] * from[k];
        for (size_t c = 0; c < channels; c++) out[x * channels + c] = sums[c];
    }
}

// ---- pixels -------------------------------------------------------------------------------------

// ITU-R BT.601.
static void make_grey(float *line, size_t width) {
    for (size_t x = 0; x < width; x++)
        line[x] = 0.299f * line[3 * x] + 0.587f * line[3 * x + 1] + 0.114f * line[3 * x + 2];
}

// line: [width, channels]. Channels of the network's input, one after the other.
static void put_line(const xnor_description *d, const xnor_image *image,
                     const xnor_image_frame *frame, size_t y, float *line, float *out) {
    const xnor_image_input *in = &d->image;
    const size_t wanted = channels_of(in), width = frame->shown_width;
    size_t given = image->channels;
    if (wanted == 1 && given == 3) {
        make_grey(line, width);
        given = 1;
    }
    for (size_t c = 0; c < wanted; c++) {
        const size_t from = given == 1 ? 0 : in->pixels == XNOR_PIXELS_BGR ? 2 - c : c;
        const float mean = in->mean[c], deviation = in->deviation[c];
        const float one = image->is_float ? 1 : 255;
        const size_t step = d->channels_first ? 1 : wanted;
        float *to = d->channels_first ? out + (c * frame->height + y) * frame->width
                                      : out + y * frame->width * wanted + c;
        // In the order in which training code does it, each operation rounded: signs behind may hang on it.
        for (size_t x = 0; x < width; x++)
            to[x * step] = (line[x * given + from] / one - mean) / deviation;
    }
}

static xnor_status check_finite(const xnor_image *image) {
    const size_t count = image->width * image->channels;
    for (size_t y = 0; y < image->height; y++)
        for (size_t i = 0; i < count; i++) {
            float v;
            memcpy(&v, (const uint8_t *)image->data + y * image->stride + i * sizeof v, sizeof v);
            if (v - v != 0)
                return xnor_fail(XNOR_E_ARGUMENT, "the pixel at (%zu, %zu) is not finite: %g",
                                 i / image->channels, y, (double)v);
        }
    return XNOR_OK;
}

static xnor_status check(const xnor_image *image, const xnor_image_frame *frame) {
    const size_t bytes = image->width * image->channels * (image->is_float ? sizeof(float) : 1);
    if (image->width != frame->image_width || image->height != frame->image_height)
        return xnor_fail(XNOR_E_ARGUMENT, "the frame is one of %zu x %zu pixels, not %zu x %zu",
                         frame->image_width, frame->image_height, image->width, image->height);
    if (image->channels != 1 && image->channels != 3)
        return xnor_fail(XNOR_E_ARGUMENT, "the image has %zu channels, expected 1 or 3",
                         image->channels);
    if (image->stride < bytes)
        return xnor_fail(XNOR_E_ARGUMENT, "rows are %zu bytes apart, at least %zu are needed",
                         image->stride, bytes);
    return image->is_float ? check_finite(image) : XNOR_OK;
}

xnor_status xnor_image_prepare(const xnor_description *description, const xnor_image *image,
                               const xnor_image_frame *frame, void *workspace, float *out) {
    XNOR_TRY(check(image, frame));
    axis horizontal, vertical;
    float *row = workspace, *line = row + MAX_CHANNELS * frame->image_width;
    uint32_t *axes = (uint32_t *)(void *)(line + MAX_CHANNELS * frame->shown_width);
    axes = make_axis(frame->image_width, frame->shown_width, axes, &horizontal);
    make_axis(frame->image_height, frame->shown_height, axes, &vertical);
    const bool resampled = frame->image_width != frame->shown_width;
    if (frame->shown_width != frame->width || frame->shown_height != frame->height)
        memset(out, 0,
               channels_of(&description->image) * frame->width * frame->height * sizeof *out);
    for (size_t y = 0; y < frame->shown_height; y++) {
        resample_rows(image, &vertical, y, row);
        if (resampled) resample_columns(row, image->channels, &horizontal, line);
        put_line(description, image, frame, y, resampled ? line : row, out);
    }
    return XNOR_OK;
}
