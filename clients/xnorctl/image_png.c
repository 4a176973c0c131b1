#include <spng.h>
#include <stdlib.h>

#include "clients/xnorctl/image_format.h"

#define MAX_CHUNK_BYTES ((size_t)16 << 20) // of texts, profiles and the like
#define MAX_CACHED_BYTES ((size_t)32 << 20)

static xnor_status fail(const image_file *file, int error) {
    const xnor_status status = error == SPNG_EMEM ? XNOR_E_MEMORY : XNOR_E_FORMAT;
    return xnor_fail(status, "%s: damaged PNG: %s", file->name, spng_strerror(error));
}

// On white: what a transparent pixel is coloured like is not meant to be seen.
static void flatten(const uint8_t *rgba, size_t count, uint8_t *rgb) {
    for (size_t i = 0; i < count; i++) {
        const uint32_t alpha = rgba[4 * i + 3];
        for (size_t c = 0; c < 3; c++)
            rgb[3 * i + c] = (uint8_t)((rgba[4 * i + c] * alpha + 255 * (255 - alpha) + 127) / 255);
    }
}

static xnor_status decode(spng_ctx *context, const image_file *file, image *out) {
    size_t bytes = 0;
    int error = spng_decoded_image_size(context, SPNG_FMT_RGBA8, &bytes);
    if (error) return fail(file, error);
    uint8_t *rgba = malloc(bytes);
    if (!rgba) return xnor_fail(XNOR_E_MEMORY, "%s: no memory for %zu bytes", file->name, bytes);
    error = spng_decode_image(context, rgba, bytes, SPNG_FMT_RGBA8, SPNG_DECODE_TRNS);
    if (!error) flatten(rgba, out->width * out->height, out->pixels);
    free(rgba);
    return error ? fail(file, error) : XNOR_OK;
}

static xnor_status read_png(spng_ctx *context, const image_file *file,
                            image_orientation *orientation, image *out) {
    struct spng_ihdr header;
    struct spng_exif exif;
    int error = spng_set_chunk_limits(context, MAX_CHUNK_BYTES, MAX_CACHED_BYTES);
    if (!error) error = spng_set_png_buffer(context, file->data, file->size);
    if (!error) error = spng_get_ihdr(context, &header);
    if (error) return fail(file, error);
    XNOR_TRY(image_create(file->name, header.width, header.height, out));
    XNOR_TRY(decode(context, file, out));
    error = spng_decode_chunks(context); // what follows the pixels, their checksum first
    if (error) return fail(file, error);
    if (spng_get_exif(context, &exif) == 0)
        *orientation = exif_orientation((const uint8_t *)exif.data, exif.length);
    return XNOR_OK;
}

xnor_status image_read_png(const image_file *file, image_orientation *orientation, image *out) {
    spng_ctx *context = spng_ctx_new(0);
    if (!context) return xnor_fail(XNOR_E_MEMORY, "%s: no memory", file->name);
    const xnor_status status = read_png(context, file, orientation, out);
    spng_ctx_free(context);
    return status;
}
