#include "format/metadata_image.h"

#include <string.h>

// ---- contradictions -----------------------------------------------------------------------------

static bool name_is_plain(const char *name) {
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    const size_t length = strlen(name);
    return length > 0 && length < XNOR_IMAGE_NAME_BYTES && strspn(name, letters) == length;
}

static const char *input_flaw(const xnor_image_input *image) {
    for (int c = 0; c < (image->pixels == XNOR_PIXELS_GREY ? 1 : 3); c++) {
        if (!(image->deviation[c] >= XNOR_MIN_DEVIATION && image->deviation[c] <= XNOR_MAX_PIXEL))
            return "a deviation of pixels must lie between 1e-6 and 1e6";
        if (!(image->mean[c] >= -XNOR_MAX_PIXEL && image->mean[c] <= XNOR_MAX_PIXEL))
            return "a mean of pixels must lie between -1e6 and 1e6";
    }
    if (image->width < 1 || image->width > XNOR_MAX_IMAGE_SIDE || image->height < 1 ||
        image->height > XNOR_MAX_IMAGE_SIDE)
        return "an image needs width and height from 1 to 16384";
    if (image->multiple_of > 0 &&
        (image->width % image->multiple_of != 0 || image->height % image->multiple_of != 0))
        return "width and height must be multiples of multiple_of";
    return NULL;
}

static const char *output_flaw(const xnor_image_output *o) {
    const bool has_classes = o->kind == XNOR_IMAGE_SEGMENTATION || o->kind == XNOR_IMAGE_BOXES;
    const bool has_scores = has_classes || o->kind == XNOR_IMAGE_EDGES;
    if (!name_is_plain(o->name))
        return "the name of an output has 1 to 63 letters, digits, '_' and '-'";
    if (o->port_count != (o->kind == XNOR_IMAGE_BOXES ? 3 : 1))
        return "boxes take three graph outputs (heat, size, offset), other kinds one";
    if (has_classes != (o->class_count > 0))
        return "classes are for segmentation and boxes, which need them";
    if (!has_classes && o->palette) return "a palette is for classes";
    if (!has_scores && o->scores != XNOR_OUTPUT_RAW)
        return "scores are for segmentation, edges and boxes";
    if (has_scores && o->scores == XNOR_OUTPUT_RAW)
        return "segmentation, edges and boxes need scores: logits or probabilities";
    if (o->scores == XNOR_OUTPUT_LOG_PROBABILITIES && o->kind != XNOR_IMAGE_SEGMENTATION)
        return "log_probabilities are for segmentation";
    if (o->kind == XNOR_IMAGE_DEPTH
            ? !(o->low >= 0 && o->low < o->high && o->high <= XNOR_MAX_LENGTH)
            : o->low != 0 || o->high != 0)
        return "depth, and nothing else, needs a range of metres, the lower end first";
    if (o->kind == XNOR_IMAGE_BOXES ? !(o->min_score >= 0 && o->min_score <= 1) : o->min_score != 0)
        return "min_score is for boxes, from 0 to 1";
    return NULL;
}

const char *xnor_metadata_image_flaw(const xnor_description *d) {
    const char *flaw = input_flaw(&d->image);
    if (!flaw && d->image_output_count == 0) flaw = "an image model needs outputs";
    for (uint32_t i = 0; i < d->image_output_count && !flaw; i++) {
        flaw = output_flaw(&d->image_outputs[i]);
        for (uint32_t j = 0; j < i && !flaw; j++)
            if (strcmp(d->image_outputs[i].name, d->image_outputs[j].name) == 0)
                flaw = "two outputs have the same name";
    }
    return flaw;
}

// ---- writing ------------------------------------------------------------------------------------

static void pack_floats(msgpack_packer *packer, const char *key, const float *values,
                        uint32_t count) {
    xnor_metadata_text(packer, key);
    msgpack_pack_array(packer, count);
    for (uint32_t i = 0; i < count; i++) msgpack_pack_float(packer, values[i]);
}

static void pack_number(msgpack_packer *packer, const char *key, int64_t value) {
    xnor_metadata_text(packer, key);
    msgpack_pack_int64(packer, value);
}

static void pack_pair(msgpack_packer *packer, const char *key, const char *text) {
    xnor_metadata_text(packer, key);
    xnor_metadata_text(packer, text);
}

static void pack_output(msgpack_packer *packer, const xnor_image_output *o) {
    const float range[] = {o->low, o->high};
    const bool depth = o->kind == XNOR_IMAGE_DEPTH, boxes = o->kind == XNOR_IMAGE_BOXES;
    msgpack_pack_map(packer,
                     (size_t)4 + (o->class_count > 0) + (o->palette != NULL) + depth + boxes);
    pack_pair(packer, "name", o->name);
    pack_pair(packer, "kind", xnor_image_kind_name(o->kind));
    xnor_metadata_text(packer, "ports");
    xnor_metadata_texts(packer, o->port_names, o->port_count);
    pack_pair(packer, "scores", xnor_output_kind_name(o->scores));
    if (o->class_count > 0) {
        xnor_metadata_text(packer, "classes");
        xnor_metadata_texts(packer, o->classes, o->class_count);
    }
    if (o->palette) {
        xnor_metadata_text(packer, "palette");
        msgpack_pack_array(packer, o->class_count);
        for (uint32_t i = 0; i < o->class_count; i++) msgpack_pack_uint32(packer, o->palette[i]);
    }
    if (depth) pack_floats(packer, "range", range, 2);
    if (boxes) {
        xnor_metadata_text(packer, "min_score");
        msgpack_pack_float(packer, o->min_score);
    }
}

void xnor_metadata_image_write(msgpack_packer *packer, const xnor_description *d) {
    const xnor_image_input *image = &d->image;
    const uint32_t channels = image->pixels == XNOR_PIXELS_GREY ? 1 : 3;
    xnor_metadata_text(packer, "image");
    msgpack_pack_map(packer, 7);
    pack_pair(packer, "pixels", xnor_pixels_name(image->pixels));
    pack_floats(packer, "mean", image->mean, channels);
    pack_floats(packer, "deviation", image->deviation, channels);
    pack_number(packer, "width", image->width);
    pack_number(packer, "height", image->height);
    pack_number(packer, "multiple_of", image->multiple_of);
    pack_pair(packer, "resize", xnor_resize_name(image->resize));
    xnor_metadata_text(packer, "outputs");
    msgpack_pack_array(packer, d->image_output_count);
    for (uint32_t i = 0; i < d->image_output_count; i++) pack_output(packer, &d->image_outputs[i]);
}

// ---- reading ------------------------------------------------------------------------------------

typedef struct key {
    const char *name;
    bool required;
} key;

// The place of the next key among `keys`; `count` of them after a failure.
static uint32_t next_key(xnor_msgpack *r, const key *keys, uint32_t count, uint32_t *seen) {
    const char *text = xnor_msgpack_text(r);
    uint32_t i = 0;
    while (text && i < count && strcmp(keys[i].name, text) != 0) i++;
    if (!text) return count;
    if (i == count) {
        xnor_msgpack_wrong(r, "unknown key in the description of images");
    } else {
        if (*seen >> i & 1) xnor_msgpack_wrong(r, "a key occurs twice");
        *seen |= UINT32_C(1) << i;
    }
    return i;
}

static void check_complete(xnor_msgpack *r, const key *keys, uint32_t count, uint32_t seen) {
    for (uint32_t i = 0; i < count; i++)
        if (keys[i].required && !(seen >> i & 1))
            xnor_msgpack_wrong(r, "the description of images is incomplete");
}

static void read_floats(xnor_msgpack *r, float *out, uint32_t max, double limit, uint32_t *count) {
    *count = xnor_msgpack_array(r, max, "too many numbers");
    for (uint32_t i = 0; i < *count; i++) out[i] = xnor_msgpack_float(r, -limit, limit);
}

#define FIND(thing, r, out, error)                                                                 \
    do {                                                                                           \
        const char *text = xnor_msgpack_text(r);                                                   \
        if (text && !xnor_##thing##_find(text, out)) xnor_msgpack_wrong(r, error);                 \
    } while (0)

void xnor_metadata_image_read(xnor_msgpack *r, xnor_image_input *out) {
    enum { PIXELS, MEAN, DEVIATION, WIDTH, HEIGHT, MULTIPLE_OF, RESIZE, KEYS };
    static const key keys[KEYS] = {{"pixels", true}, {"mean", true},   {"deviation", true},
                                   {"width", true},  {"height", true}, {"multiple_of", true},
                                   {"resize", true}};
    uint32_t seen = 0, means = 0, deviations = 0;
    const uint32_t count = xnor_msgpack_map(r);
    for (uint32_t i = 0; i < count && !r->cursor.error; i++) {
        switch (next_key(r, keys, KEYS, &seen)) {
        case PIXELS:
            FIND(pixels, r, &out->pixels, "unknown pixels");
            break;
        case MEAN:
            read_floats(r, out->mean, 3, (double)XNOR_MAX_PIXEL, &means);
            break;
        case DEVIATION:
            read_floats(r, out->deviation, 3, (double)XNOR_MAX_PIXEL, &deviations);
            break;
        case WIDTH:
            out->width = (int64_t)xnor_msgpack_uint(r, XNOR_MAX_IMAGE_SIDE);
            break;
        case HEIGHT:
            out->height = (int64_t)xnor_msgpack_uint(r, XNOR_MAX_IMAGE_SIDE);
            break;
        case MULTIPLE_OF:
            out->multiple_of = (int64_t)xnor_msgpack_uint(r, XNOR_MAX_IMAGE_SIDE);
            break;
        case RESIZE:
            FIND(resize, r, &out->resize, "unknown resizing");
            break;
        }
    }
    check_complete(r, keys, KEYS, seen);
    const uint32_t channels = out->pixels == XNOR_PIXELS_GREY ? 1 : 3;
    if (means != channels || deviations != channels)
        xnor_msgpack_wrong(r, "expected a mean and a deviation for every channel");
}

static const uint32_t *read_palette(xnor_msgpack *r, uint32_t *count) {
    *count = xnor_msgpack_array(r, XNOR_MAX_IMAGE_CLASSES, "too many colours");
    if (r->cursor.error) return NULL;
    uint32_t *palette = xnor_arena_alloc(r->arena, (*count + 1) * sizeof *palette);
    if (!palette) xnor_msgpack_wrong(r, "out of memory");
    for (uint32_t i = 0; palette && i < *count; i++)
        palette[i] = (uint32_t)xnor_msgpack_uint(r, 0xffffff);
    return palette;
}

static void read_ports(xnor_msgpack *r, xnor_image_output *out) {
    out->port_count = xnor_msgpack_array(r, XNOR_IMAGE_MAX_PORTS, "too many ports");
    for (uint32_t i = 0; i < out->port_count; i++) out->port_names[i] = xnor_msgpack_text(r);
}

static void read_output(xnor_msgpack *r, xnor_image_output *out) {
    enum { NAME, KIND, PORTS, SCORES, CLASSES, PALETTE, RANGE, MIN_SCORE, KEYS };
    static const key keys[KEYS] = {{"name", true},   {"kind", true},      {"ports", true},
                                   {"scores", true}, {"classes", false},  {"palette", false},
                                   {"range", false}, {"min_score", false}};
    uint32_t seen = 0, colours = 0, bounds = 0;
    float range[2] = {0, 0};
    const uint32_t count = xnor_msgpack_map(r);
    for (uint32_t i = 0; i < count && !r->cursor.error; i++) {
        switch (next_key(r, keys, KEYS, &seen)) {
        case NAME:
            out->name = xnor_msgpack_text(r);
            break;
        case KIND:
            FIND(image_kind, r, &out->kind, "unknown kind of output");
            break;
        case PORTS:
            read_ports(r, out);
            break;
        case SCORES:
            FIND(output_kind, r, &out->scores, "unknown kind of scores");
            break;
        case CLASSES:
            out->classes = xnor_msgpack_texts(r, XNOR_MAX_IMAGE_CLASSES, "too many classes",
                                              &out->class_count);
            break;
        case PALETTE:
            out->palette = read_palette(r, &colours);
            break;
        case RANGE:
            read_floats(r, range, 2, (double)XNOR_MAX_LENGTH, &bounds);
            break;
        case MIN_SCORE:
            out->min_score = xnor_msgpack_float(r, 0, 1);
            break;
        }
    }
    out->low = range[0];
    out->high = range[1];
    check_complete(r, keys, KEYS, seen);
    if (out->palette && colours != out->class_count)
        xnor_msgpack_wrong(r, "expected a colour for every class");
}

void xnor_metadata_outputs_read(xnor_msgpack *r, xnor_description *out) {
    const uint32_t count = xnor_msgpack_array(r, XNOR_MAX_PORTS, "too many outputs");
    if (r->cursor.error) return;
    out->image_outputs = xnor_arena_alloc(r->arena, (count + 1) * sizeof *out->image_outputs);
    if (!out->image_outputs) {
        xnor_msgpack_wrong(r, "out of memory");
        return;
    }
    out->image_output_count = count;
    for (uint32_t i = 0; i < count && !r->cursor.error; i++) read_output(r, &out->image_outputs[i]);
}
