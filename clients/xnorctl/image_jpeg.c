#include <string.h>
#include <turbojpeg.h>

#include "clients/xnorctl/image_format.h"

// Bytes between segments are left out without harm, and some cameras write them.
static bool is_harmless(tjhandle decoder) {
    return tjGetErrorCode(decoder) == TJERR_WARNING &&
           strstr(tjGetErrorStr2(decoder), "extraneous bytes") != NULL;
}

static xnor_status fail(const image_file *file, tjhandle decoder) {
    return xnor_fail(XNOR_E_FORMAT, "%s: damaged JPEG: %s", file->name, tjGetErrorStr2(decoder));
}

static xnor_status read_jpeg(tjhandle decoder, const image_file *file, image *out) {
    int width = 0, height = 0, subsampling = 0, colours = 0;
    if (tjDecompressHeader3(decoder, file->data, file->size, &width, &height, &subsampling,
                            &colours) != 0 &&
        !is_harmless(decoder))
        return fail(file, decoder);
    if (width <= 0 || height <= 0) // tables only, without an image
        return xnor_fail(XNOR_E_FORMAT, "%s: damaged JPEG: it has no image", file->name);
    if (colours == TJCS_CMYK || colours == TJCS_YCCK)
        return xnor_fail(XNOR_E_UNSUPPORTED, "%s: JPEG with CMYK colours, expected RGB or grey",
                         file->name);
    XNOR_TRY(image_create(file->name, (size_t)width, (size_t)height, out));
    // A file of few bytes may announce scans without end.
    if (tjDecompress2(decoder, file->data, file->size, out->pixels, width, 0, height, TJPF_RGB,
                      TJFLAG_LIMITSCANS) != 0 &&
        !is_harmless(decoder))
        return fail(file, decoder);
    return XNOR_OK;
}

xnor_status image_read_jpeg(const image_file *file, image_orientation *orientation, image *out) {
    tjhandle decoder = tjInitDecompress();
    if (!decoder) return xnor_fail(XNOR_E_MEMORY, "%s: no memory", file->name);
    const xnor_status status = read_jpeg(decoder, file, out);
    tjDestroy(decoder);
    if (status == XNOR_OK) *orientation = exif_orientation_of_jpeg(file->data, file->size);
    return status;
}
