#include "format/metadata.h"

#include <msgpack/pack.h>
#include <string.h>

#include "format/cursor.h"
#include "format/layout.h"

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

void xnor_description_default_channels(xnor_description *d) {
    if (d->channel_count > 0) return;
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

static void pack_text(msgpack_packer *packer, const char *text) {
    size_t size = strlen(text);
    msgpack_pack_str(packer, size);
    msgpack_pack_str_body(packer, text, size);
}

void xnor_metadata_write(const xnor_description *d, xnor_buffer *out) {
    msgpack_packer packer;
    msgpack_packer_init(&packer, out, append);
    msgpack_pack_map(&packer, d->task == XNOR_TASK_NONE ? 1 : 2);
    pack_text(&packer, "producer");
    pack_text(&packer, "xnord " XNOR_VERSION);
    if (d->task == XNOR_TASK_NONE) return;
    pack_text(&packer, "description");
    const bool blocks = d->block > 0;
    msgpack_pack_map(&packer, blocks ? 15 : 11);
    pack_text(&packer, "name");
    pack_text(&packer, d->name);
    pack_text(&packer, "version");
    pack_text(&packer, d->version);
    pack_text(&packer, "task");
    pack_text(&packer, xnor_task_name(d->task));
    pack_text(&packer, "input");
    pack_text(&packer, d->input_name);
    pack_text(&packer, "points");
    msgpack_pack_int64(&packer, d->points);
    pack_text(&packer, "max_points");
    msgpack_pack_int64(&packer, d->max_points);
    pack_text(&packer, "resample");
    pack_text(&packer, xnor_resample_name(d->resample));
    pack_text(&packer, "normalise");
    pack_text(&packer, xnor_normalise_name(d->normalise));
    if (blocks) {
        pack_text(&packer, "block");
        msgpack_pack_float(&packer, d->block);
        pack_text(&packer, "cells");
        msgpack_pack_uint32(&packer, d->cells);
        pack_text(&packer, "scale");
        msgpack_pack_float(&packer, d->scale);
        pack_text(&packer, "channels");
        msgpack_pack_array(&packer, d->channel_count);
        for (uint32_t i = 0; i < d->channel_count; i++)
            pack_text(&packer, xnor_channel_name(d->channels[i]));
    }
    pack_text(&packer, "output");
    pack_text(&packer, d->output_name);
    pack_text(&packer, "output_kind");
    pack_text(&packer, xnor_output_kind_name(d->output_kind));
    pack_text(&packer, "classes");
    msgpack_pack_array(&packer, d->class_count);
    for (uint32_t i = 0; i < d->class_count; i++) pack_text(&packer, d->classes[i]);
}

// ---- reading: the few msgpack types that the section uses ---------------------------------------

typedef struct reader {
    xnor_cursor cursor;
    xnor_arena *arena;
} reader;

static void wrong_type(reader *r, const char *error) {
    if (!r->cursor.error) r->cursor.error = error;
}

static uint64_t big_endian(reader *r, size_t size) {
    const uint8_t *bytes = xnor_cursor_bytes(&r->cursor, size);
    uint64_t value = 0;
    for (size_t i = 0; bytes && i < size; i++) value = value << 8 | bytes[i];
    return value;
}

static uint64_t read_uint(reader *r, uint64_t max) {
    uint8_t type = xnor_cursor_byte(&r->cursor);
    uint64_t value = type;
    if (type >= 0xcc && type <= 0xcf)
        value = big_endian(r, (size_t)1 << (type - 0xcc));
    else if (type > 0x7f)
        wrong_type(r, "expected an unsigned integer");
    if (value > max) wrong_type(r, "a number is out of range");
    return r->cursor.error ? 0 : value;
}

// A length in metres as float32; 0 stands for none.
static float read_length(reader *r) {
    uint8_t type = xnor_cursor_byte(&r->cursor);
    uint32_t bits = (uint32_t)big_endian(r, sizeof bits);
    float value = 0;
    if (type != 0xca) wrong_type(r, "expected a float32");
    memcpy(&value, &bits, sizeof value);
    if (value != 0 && !(value >= XNOR_MIN_LENGTH && value <= XNOR_MAX_LENGTH))
        wrong_type(r, "a length is out of range");
    return r->cursor.error ? 0 : value;
}

static bool read_bool(reader *r) {
    uint8_t type = xnor_cursor_byte(&r->cursor);
    if (type != 0xc2 && type != 0xc3) wrong_type(r, "expected a boolean");
    return type == 0xc3;
}

// Maps and arrays: a short form in the low nibble of `base`, a long form with two bytes of count.
static uint32_t read_count(reader *r, uint8_t base, uint8_t long_form, const char *error) {
    uint8_t type = xnor_cursor_byte(&r->cursor);
    if (type == long_form) return (uint32_t)big_endian(r, 2);
    if ((type & 0xf0) != base) wrong_type(r, error);
    return r->cursor.error ? 0 : type & 0x0f;
}

static char *read_text(reader *r) {
    uint8_t type = xnor_cursor_byte(&r->cursor);
    size_t size = type & 0x1f;
    if (type == 0xd9 || type == 0xda)
        size = (size_t)big_endian(r, type == 0xd9 ? 1 : 2);
    else if ((type & 0xe0) != 0xa0)
        wrong_type(r, "expected a string");
    if (size > XNOR_FORMAT_MAX_TEXT_BYTES) wrong_type(r, "a string is too long");
    return xnor_cursor_text_bytes(&r->cursor, r->arena, size);
}

#define READ_NAME(thing, member, error)                                                            \
    static void read_##thing(reader *r, xnor_description *out) {                                   \
        const char *text = read_text(r);                                                           \
        if (text && !xnor_##thing##_find(text, &out->member)) wrong_type(r, error);                \
    }
READ_NAME(task, task, "unknown task")
READ_NAME(output_kind, output_kind, "unknown kind of output")
READ_NAME(normalise, normalise, "unknown normalisation")
READ_NAME(resample, resample, "unknown resampling")

// What files of version 0.1.0 hold instead of `normalise`.
static void read_unit_sphere(reader *r, xnor_description *out) {
    out->normalise = read_bool(r) ? XNOR_NORMALISE_UNIT_SPHERE : XNOR_NORMALISE_NONE;
}

static void read_channels(reader *r, xnor_description *out) {
    uint32_t count = read_count(r, 0x90, 0xdc, "expected an array");
    if (count > XNOR_MAX_CHANNELS) wrong_type(r, "too many channels");
    for (uint32_t i = 0; i < count && !r->cursor.error; i++) {
        const char *text = read_text(r);
        if (text && !xnor_channel_find(text, &out->channels[i])) wrong_type(r, "unknown channel");
    }
    if (!r->cursor.error) out->channel_count = count;
}

static void read_classes(reader *r, xnor_description *out) {
    uint32_t count = read_count(r, 0x90, 0xdc, "expected an array");
    if (count > XNOR_MAX_CLASSES) wrong_type(r, "too many classes");
    if (r->cursor.error) return;
    const char **classes = xnor_arena_alloc(r->arena, (count + 1) * sizeof *classes);
    if (!classes) {
        wrong_type(r, "out of memory");
        return;
    }
    for (uint32_t i = 0; i < count; i++) classes[i] = read_text(r);
    out->classes = classes;
    out->class_count = count;
}

// X(key, group, statement). Of each group exactly one key must be there; keys of group 0 may be.
#define FIELD_TABLE(X)                                                                             \
    X("name", 1, out->name = read_text(r))                                                         \
    X("version", 2, out->version = read_text(r))                                                   \
    X("task", 3, read_task(r, out))                                                                \
    X("input", 4, out->input_name = read_text(r))                                                  \
    X("points", 5, out->points = (int64_t)read_uint(r, INT32_MAX))                                 \
    X("max_points", 6, out->max_points = (int64_t)read_uint(r, INT32_MAX))                         \
    X("normalise", 7, read_normalise(r, out))                                                      \
    X("unit_sphere", 7, read_unit_sphere(r, out))                                                  \
    X("output", 8, out->output_name = read_text(r))                                                \
    X("output_kind", 9, read_output_kind(r, out))                                                  \
    X("classes", 10, read_classes(r, out))                                                         \
    X("resample", 0, read_resample(r, out))                                                        \
    X("block", 0, out->block = read_length(r))                                                     \
    X("cells", 0, out->cells = (uint32_t)read_uint(r, XNOR_MAX_CELLS))                             \
    X("scale", 0, out->scale = read_length(r))                                                     \
    X("channels", 0, read_channels(r, out))

typedef struct seen_keys {
    uint32_t keys, groups;
} seen_keys;

static void read_field(reader *r, const char *key, seen_keys *seen, xnor_description *out) {
    uint32_t bit = 1;
#define FIELD(text, group, read)                                                                   \
    if (strcmp(key, text) == 0) {                                                                  \
        const uint32_t group_bit = group ? UINT32_C(1) << (group) : 0;                             \
        if ((seen->keys & bit) || (seen->groups & group_bit)) wrong_type(r, "a key occurs twice"); \
        seen->keys |= bit;                                                                         \
        seen->groups |= group_bit;                                                                 \
        read;                                                                                      \
        return;                                                                                    \
    }                                                                                              \
    bit <<= 1;
    FIELD_TABLE(FIELD)
#undef FIELD
    wrong_type(r, "unknown key in the description");
}

static void read_description(reader *r, xnor_description *out) {
    seen_keys seen = {0, 0};
    uint32_t all = 0;
#define BIT(text, group, read) all |= group ? UINT32_C(1) << (group) : 0;
    FIELD_TABLE(BIT)
#undef BIT
    uint32_t count = read_count(r, 0x80, 0xde, "expected a map");
    for (uint32_t i = 0; i < count && !r->cursor.error; i++) {
        const char *key = read_text(r);
        if (key) read_field(r, key, &seen, out);
    }
    if (seen.groups != all) wrong_type(r, "the description is incomplete");
}

xnor_status xnor_metadata_read(const uint8_t *data, size_t size, xnor_arena *arena,
                               xnor_description *out) {
    reader r = {.cursor = {data, data + size, NULL}, .arena = arena};
    xnor_description description = {0};
    bool producer = false, described = false;
    uint32_t count = read_count(&r, 0x80, 0xde, "expected a map");
    for (uint32_t i = 0; i < count && !r.cursor.error; i++) {
        const char *key = read_text(&r);
        if (!key) break;
        if (strcmp(key, "producer") == 0 && !producer)
            producer = read_text(&r) != NULL;
        else if (strcmp(key, "description") == 0 && !described)
            described = (read_description(&r, &description), true);
        else
            wrong_type(&r, "unknown or repeated key");
    }
    if (!r.cursor.error && r.cursor.at != r.cursor.end) r.cursor.error = "bytes follow the map";
    if (r.cursor.error) return xnor_fail(XNOR_E_FORMAT, "section 'metadata': %s", r.cursor.error);
    xnor_description_default_channels(&description);
    *out = description;
    return XNOR_OK;
}
