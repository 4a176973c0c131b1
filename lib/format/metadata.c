#include "format/metadata.h"

#include <string.h>

#include "format/layout.h"
#include "format/metadata_image.h"

typedef struct name {
    const char *text;
    unsigned value;
} name;

static const name *by_text(const name *names, size_t count, const char *text) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i].text, text) == 0) return &names[i];
    return NULL;
}

static const char *by_value(const name *names, size_t count, unsigned value) {
    for (size_t i = 0; i < count; i++)
        if (names[i].value == value) return names[i].text;
    return "?";
}

// xnor_THING_find and xnor_THING_name from the table of THING.
#define NAMES(thing, ROWS)                                                                         \
    static const name thing##_names[] = {ROWS};                                                    \
    bool xnor_##thing##_find(const char *text, xnor_##thing *out) {                                \
        const name *found =                                                                        \
            by_text(thing##_names, sizeof thing##_names / sizeof *thing##_names, text);            \
        if (found) *out = (xnor_##thing)found->value;                                              \
        return found != NULL;                                                                      \
    }                                                                                              \
    const char *xnor_##thing##_name(xnor_##thing value) {                                          \
        return by_value(thing##_names, sizeof thing##_names / sizeof *thing##_names,               \
                        (unsigned)value);                                                          \
    }

#define TASK_ROW(id, text) {text, XNOR_TASK_##id},
NAMES(task, XNOR_TASK_TABLE(TASK_ROW))
#define OUTPUT_KIND_ROW(id, text) {text, XNOR_OUTPUT_##id},
NAMES(output_kind, XNOR_OUTPUT_KIND_TABLE(OUTPUT_KIND_ROW))
#define NORMALISE_ROW(id, text) {text, XNOR_NORMALISE_##id},
NAMES(normalise, XNOR_NORMALISE_TABLE(NORMALISE_ROW))
#define CHANNEL_ROW(id, text) {text, XNOR_CHANNEL_##id},
NAMES(channel, XNOR_CHANNEL_TABLE(CHANNEL_ROW))
#define RESAMPLE_ROW(id, text) {text, XNOR_RESAMPLE_##id},
NAMES(resample, XNOR_RESAMPLE_TABLE(RESAMPLE_ROW))
#define PIXELS_ROW(id, text) {text, XNOR_PIXELS_##id},
NAMES(pixels, XNOR_PIXELS_TABLE(PIXELS_ROW))
#define RESIZE_ROW(id, text) {text, XNOR_RESIZE_##id},
NAMES(resize, XNOR_RESIZE_TABLE(RESIZE_ROW))
#define IMAGE_KIND_ROW(id, text) {text, XNOR_IMAGE_##id},
NAMES(image_kind, XNOR_IMAGE_KIND_TABLE(IMAGE_KIND_ROW))

void xnor_description_default_channels(xnor_description *d) {
    if (d->channel_count > 0 || d->task == XNOR_TASK_IMAGE) return;
    d->channel_count = 3;
    for (uint32_t i = 0; i < 3; i++) d->channels[i] = (xnor_channel)(XNOR_CHANNEL_X + i);
}

static bool only_coordinates(const xnor_description *d) {
    for (uint32_t i = 0; i < d->channel_count; i++)
        if (d->channels[i] != (xnor_channel)(XNOR_CHANNEL_X + i)) return false;
    return d->channel_count == 3;
}

static bool has_channel(const xnor_description *d, xnor_channel least) {
    for (uint32_t i = 0; i < d->channel_count; i++)
        if (d->channels[i] >= least) return true;
    return false;
}

const char *xnor_description_flaw(const xnor_description *d) {
    if (d->task == XNOR_TASK_IMAGE) return xnor_metadata_image_flaw(d);
    const bool segments = d->task == XNOR_TASK_SEGMENTATION;
    const bool blocks = d->block > 0;
    if (!segments && blocks) return "blocks are for segmentation";
    if (!blocks && !only_coordinates(d)) return "channels other than x, y, z need block";
    if (segments && d->resample != XNOR_RESAMPLE_STRIDE)
        return "resample is for classification: a segmentation sees every point";
    if (d->normalise == XNOR_NORMALISE_BLOCK && !blocks)
        return "normalise: block needs the size of the block";
    if (blocks && d->normalise == XNOR_NORMALISE_UNIT_SPHERE)
        return "blocks are normalised as block or none";
    if (has_channel(d, XNOR_CHANNEL_HEIGHT) && !(d->scale > 0)) return "heights need scale";
    if (has_channel(d, XNOR_CHANNEL_CELL_HEIGHT) && d->cells == 0)
        return "heights in cells need cells";
    if (d->resample == XNOR_RESAMPLE_FARTHEST && d->max_points == 0)
        return "resample: farthest needs max_points";
    if (segments && d->class_count > XNOR_MAX_POINT_CLASSES)
        return "a segmentation has at most 256 classes";
    return NULL;
}

// ---- writing ------------------------------------------------------------------------------------

static int append(void *buffer, const char *data, size_t size) {
    xnor_buffer_bytes(buffer, data, size);
    return 0;
}

void xnor_metadata_text(msgpack_packer *packer, const char *text) {
    size_t size = strlen(text);
    msgpack_pack_str(packer, size);
    msgpack_pack_str_body(packer, text, size);
}

static void pack_pair(msgpack_packer *packer, const char *key, const char *text) {
    xnor_metadata_text(packer, key);
    xnor_metadata_text(packer, text);
}

void xnor_metadata_texts(msgpack_packer *packer, const char *const *texts, uint32_t count) {
    msgpack_pack_array(packer, count);
    for (uint32_t i = 0; i < count; i++) xnor_metadata_text(packer, texts[i]);
}

static void pack_cloud(msgpack_packer *packer, const xnor_description *d) {
    xnor_metadata_text(packer, "points");
    msgpack_pack_int64(packer, d->points);
    xnor_metadata_text(packer, "max_points");
    msgpack_pack_int64(packer, d->max_points);
    pack_pair(packer, "resample", xnor_resample_name(d->resample));
    pack_pair(packer, "normalise", xnor_normalise_name(d->normalise));
    if (d->block > 0) {
        xnor_metadata_text(packer, "block");
        msgpack_pack_float(packer, d->block);
        xnor_metadata_text(packer, "cells");
        msgpack_pack_uint32(packer, d->cells);
        xnor_metadata_text(packer, "scale");
        msgpack_pack_float(packer, d->scale);
        xnor_metadata_text(packer, "channels");
        msgpack_pack_array(packer, d->channel_count);
        for (uint32_t i = 0; i < d->channel_count; i++)
            xnor_metadata_text(packer, xnor_channel_name(d->channels[i]));
    }
    pack_pair(packer, "output", d->output_name);
    pack_pair(packer, "output_kind", xnor_output_kind_name(d->output_kind));
    xnor_metadata_text(packer, "classes");
    xnor_metadata_texts(packer, d->classes, d->class_count);
}

void xnor_metadata_write(const xnor_description *d, xnor_buffer *out) {
    enum { COMMON = 4, CLOUD = 7, BLOCKS = 4, IMAGE = 2 }; // keys
    msgpack_packer packer;
    msgpack_packer_init(&packer, out, append);
    msgpack_pack_map(&packer, d->task == XNOR_TASK_NONE ? 1 : 2);
    pack_pair(&packer, "producer", "xnord " XNOR_VERSION);
    if (d->task == XNOR_TASK_NONE) return;
    const bool image = d->task == XNOR_TASK_IMAGE;
    xnor_metadata_text(&packer, "description");
    msgpack_pack_map(&packer, COMMON + (image ? IMAGE : CLOUD + (d->block > 0 ? BLOCKS : 0)));
    pack_pair(&packer, "name", d->name);
    pack_pair(&packer, "version", d->version);
    pack_pair(&packer, "task", xnor_task_name(d->task));
    pack_pair(&packer, "input", d->input_name);
    if (image)
        xnor_metadata_image_write(&packer, d);
    else
        pack_cloud(&packer, d);
}

// ---- reading ----------------------------------------------------------------------------------------

#define READ_NAME(thing, member, error)                                                            \
    static void read_##thing(xnor_msgpack *r, xnor_description *out) {                             \
        const char *text = xnor_msgpack_text(r);                                                   \
        if (text && !xnor_##thing##_find(text, &out->member)) xnor_msgpack_wrong(r, error);        \
    }
READ_NAME(task, task, "unknown task")
READ_NAME(output_kind, output_kind, "unknown kind of output")
READ_NAME(normalise, normalise, "unknown normalisation")
READ_NAME(resample, resample, "unknown resampling")

// What files of version 0.1.0 hold instead of `normalise`.
static void read_unit_sphere(xnor_msgpack *r, xnor_description *out) {
    out->normalise = xnor_msgpack_bool(r) ? XNOR_NORMALISE_UNIT_SPHERE : XNOR_NORMALISE_NONE;
}

static void read_channels(xnor_msgpack *r, xnor_description *out) {
    uint32_t count = xnor_msgpack_array(r, XNOR_MAX_CHANNELS, "too many channels");
    for (uint32_t i = 0; i < count && !r->cursor.error; i++) {
        const char *text = xnor_msgpack_text(r);
        if (text && !xnor_channel_find(text, &out->channels[i]))
            xnor_msgpack_wrong(r, "unknown channel");
    }
    if (!r->cursor.error) out->channel_count = count;
}

static void read_classes(xnor_msgpack *r, xnor_description *out) {
    out->classes = xnor_msgpack_texts(r, XNOR_MAX_CLASSES, "too many classes", &out->class_count);
}

// A length in metres; 0 stands for none.
static float read_length(xnor_msgpack *r) {
    const float value = xnor_msgpack_float(r, 0, (double)XNOR_MAX_LENGTH);
    if (value != 0 && value < XNOR_MIN_LENGTH) xnor_msgpack_wrong(r, "a number is out of range");
    return value;
}

// X(key, group, whose, statement). Of each group of a description exactly one key must be there; keys
// of group 0 may be. whose: for clouds, for images, or for both.
#define FIELD_TABLE(X)                                                                             \
    X("name", 1, BOTH, out->name = xnor_msgpack_text(r))                                           \
    X("version", 2, BOTH, out->version = xnor_msgpack_text(r))                                     \
    X("task", 3, BOTH, read_task(r, out))                                                          \
    X("input", 4, BOTH, out->input_name = xnor_msgpack_text(r))                                    \
    X("points", 5, CLOUD, out->points = (int64_t)xnor_msgpack_uint(r, INT32_MAX))                  \
    X("max_points", 6, CLOUD, out->max_points = (int64_t)xnor_msgpack_uint(r, INT32_MAX))          \
    X("normalise", 7, CLOUD, read_normalise(r, out))                                               \
    X("unit_sphere", 7, CLOUD, read_unit_sphere(r, out))                                           \
    X("output", 8, CLOUD, out->output_name = xnor_msgpack_text(r))                                 \
    X("output_kind", 9, CLOUD, read_output_kind(r, out))                                           \
    X("classes", 10, CLOUD, read_classes(r, out))                                                  \
    X("resample", 0, CLOUD, read_resample(r, out))                                                 \
    X("block", 0, CLOUD, out->block = read_length(r))                                              \
    X("cells", 0, CLOUD, out->cells = (uint32_t)xnor_msgpack_uint(r, XNOR_MAX_CELLS))              \
    X("scale", 0, CLOUD, out->scale = read_length(r))                                              \
    X("channels", 0, CLOUD, read_channels(r, out))                                                 \
    X("image", 11, IMAGE, xnor_metadata_image_read(r, &out->image))                                \
    X("outputs", 12, IMAGE, xnor_metadata_outputs_read(r, out))

enum { CLOUD = 1, IMAGE = 2, BOTH = CLOUD | IMAGE };

typedef struct seen_keys {
    uint32_t keys, groups;
    int others; // whose cannot have all of these keys
} seen_keys;

static void read_field(xnor_msgpack *r, const char *key, seen_keys *seen, xnor_description *out) {
    uint32_t bit = 1;
#define FIELD(text, group, whose, read)                                                            \
    if (strcmp(key, text) == 0) {                                                                  \
        const uint32_t group_bit = group ? UINT32_C(1) << (group) : 0;                             \
        if ((seen->keys & bit) || (seen->groups & group_bit))                                      \
            xnor_msgpack_wrong(r, "a key occurs twice");                                           \
        seen->keys |= bit;                                                                         \
        seen->groups |= group_bit;                                                                 \
        seen->others |= BOTH & ~whose;                                                             \
        read;                                                                                      \
        return;                                                                                    \
    }                                                                                              \
    bit <<= 1;
    FIELD_TABLE(FIELD)
#undef FIELD
    xnor_msgpack_wrong(r, "unknown key in the description");
}

static void read_description(xnor_msgpack *r, xnor_description *out) {
    seen_keys seen = {0, 0, 0};
    uint32_t all = 0;
    uint32_t count = xnor_msgpack_map(r);
    for (uint32_t i = 0; i < count && !r->cursor.error; i++) {
        const char *key = xnor_msgpack_text(r);
        if (key) read_field(r, key, &seen, out);
    }
    const int kind = out->task == XNOR_TASK_IMAGE ? IMAGE : CLOUD;
#define BIT(text, group, whose, read) all |= group && (whose & kind) ? UINT32_C(1) << (group) : 0;
    FIELD_TABLE(BIT)
#undef BIT
    if (seen.others & kind) xnor_msgpack_wrong(r, "a key of another task in the description");
    if (seen.groups != all) xnor_msgpack_wrong(r, "the description is incomplete");
}

xnor_status xnor_metadata_read(const uint8_t *data, size_t size, xnor_arena *arena,
                               xnor_description *out) {
    xnor_msgpack r = {.cursor = {data, data + size, NULL}, .arena = arena};
    xnor_description description = {0};
    bool producer = false, described = false;
    uint32_t count = xnor_msgpack_map(&r);
    for (uint32_t i = 0; i < count && !r.cursor.error; i++) {
        const char *key = xnor_msgpack_text(&r);
        if (!key) break;
        if (strcmp(key, "producer") == 0 && !producer)
            producer = xnor_msgpack_text(&r) != NULL;
        else if (strcmp(key, "description") == 0 && !described)
            described = (read_description(&r, &description), true);
        else
            xnor_msgpack_wrong(&r, "unknown or repeated key");
    }
    if (!r.cursor.error && r.cursor.at != r.cursor.end) r.cursor.error = "bytes follow the map";
    if (r.cursor.error) return xnor_fail(XNOR_E_FORMAT, "section 'metadata': %s", r.cursor.error);
    xnor_description_default_channels(&description);
    *out = description;
    return XNOR_OK;
}
