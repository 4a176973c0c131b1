#include "format/metadata.h"

#include <msgpack/pack.h>
#include <string.h>

#include "format/cursor.h"
#include "format/layout.h"

typedef struct name {
    const char *text;
    unsigned value;
} name;

static const name tasks[] = {
#define ROW(id, text) {text, XNOR_TASK_##id},
    XNOR_TASK_TABLE(ROW)
#undef ROW
};

static const name output_kinds[] = {
#define ROW(id, text) {text, XNOR_OUTPUT_##id},
    XNOR_OUTPUT_KIND_TABLE(ROW)
#undef ROW
};

enum {
    TASKS = sizeof tasks / sizeof *tasks,
    OUTPUT_KINDS = sizeof output_kinds / sizeof *output_kinds
};

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

bool xnor_task_find(const char *text, xnor_task *out) {
    const name *found = by_text(tasks, TASKS, text);
    if (found) *out = (xnor_task)found->value;
    return found != NULL;
}

bool xnor_output_kind_find(const char *text, xnor_output_kind *out) {
    const name *found = by_text(output_kinds, OUTPUT_KINDS, text);
    if (found) *out = (xnor_output_kind)found->value;
    return found != NULL;
}

const char *xnor_task_name(xnor_task task) {
    return by_value(tasks, TASKS, (unsigned)task);
}

const char *xnor_output_kind_name(xnor_output_kind kind) {
    return by_value(output_kinds, OUTPUT_KINDS, (unsigned)kind);
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
    msgpack_pack_map(&packer, 10);
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
    pack_text(&packer, "unit_sphere");
    if (d->unit_sphere)
        msgpack_pack_true(&packer);
    else
        msgpack_pack_false(&packer);
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

static void read_task(reader *r, xnor_description *out) {
    const char *text = read_text(r);
    if (text && !xnor_task_find(text, &out->task)) wrong_type(r, "unknown task");
}

static void read_output_kind(reader *r, xnor_description *out) {
    const char *text = read_text(r);
    if (text && !xnor_output_kind_find(text, &out->output_kind))
        wrong_type(r, "unknown kind of output");
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

// Keys of the description in the order of their bits in `seen`.
#define FIELD_TABLE(X)                                                                             \
    X("name", out->name = read_text(r))                                                            \
    X("version", out->version = read_text(r))                                                      \
    X("task", read_task(r, out))                                                                   \
    X("input", out->input_name = read_text(r))                                                     \
    X("points", out->points = (int64_t)read_uint(r, INT32_MAX))                                    \
    X("max_points", out->max_points = (int64_t)read_uint(r, INT32_MAX))                            \
    X("unit_sphere", out->unit_sphere = read_bool(r))                                              \
    X("output", out->output_name = read_text(r))                                                   \
    X("output_kind", read_output_kind(r, out))                                                     \
    X("classes", read_classes(r, out))

static void read_field(reader *r, const char *key, uint32_t *seen, xnor_description *out) {
    uint32_t bit = 1;
#define FIELD(text, read)                                                                          \
    if (strcmp(key, text) == 0) {                                                                  \
        if (*seen & bit) wrong_type(r, "a key occurs twice");                                      \
        *seen |= bit;                                                                              \
        read;                                                                                      \
        return;                                                                                    \
    }                                                                                              \
    bit <<= 1;
    FIELD_TABLE(FIELD)
#undef FIELD
    wrong_type(r, "unknown key in the description");
}

static void read_description(reader *r, xnor_description *out) {
    uint32_t seen = 0;
    uint32_t all = 0;
#define BIT(text, read) all = all << 1 | 1;
    FIELD_TABLE(BIT)
#undef BIT
    uint32_t count = read_count(r, 0x80, 0xde, "expected a map");
    for (uint32_t i = 0; i < count && !r->cursor.error; i++) {
        const char *key = read_text(r);
        if (key) read_field(r, key, &seen, out);
    }
    if (seen != all) wrong_type(r, "the description is incomplete");
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
    *out = description;
    return XNOR_OK;
}
