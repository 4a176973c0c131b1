#include "format/msgpack_read.h"

#include <string.h>

#include "format/layout.h"

void xnor_msgpack_wrong(xnor_msgpack *r, const char *error) {
    if (!r->cursor.error) r->cursor.error = error;
}

static uint64_t big_endian(xnor_msgpack *r, size_t size) {
    const uint8_t *bytes = xnor_cursor_bytes(&r->cursor, size);
    uint64_t value = 0;
    for (size_t i = 0; bytes && i < size; i++) value = value << 8 | bytes[i];
    return value;
}

uint64_t xnor_msgpack_uint(xnor_msgpack *r, uint64_t max) {
    uint8_t type = xnor_cursor_byte(&r->cursor);
    uint64_t value = type;
    if (type >= 0xcc && type <= 0xcf)
        value = big_endian(r, (size_t)1 << (type - 0xcc));
    else if (type > 0x7f)
        xnor_msgpack_wrong(r, "expected an unsigned integer");
    if (value > max) xnor_msgpack_wrong(r, "a number is out of range");
    return r->cursor.error ? 0 : value;
}

float xnor_msgpack_float(xnor_msgpack *r, double min, double max) {
    uint8_t type = xnor_cursor_byte(&r->cursor);
    uint32_t bits = (uint32_t)big_endian(r, sizeof bits);
    float value = 0;
    if (type != 0xca) xnor_msgpack_wrong(r, "expected a float32");
    memcpy(&value, &bits, sizeof value);
    if (!((double)value >= min && (double)value <= max))
        xnor_msgpack_wrong(r, "a number is out of range");
    return r->cursor.error ? 0 : value;
}

bool xnor_msgpack_bool(xnor_msgpack *r) {
    uint8_t type = xnor_cursor_byte(&r->cursor);
    if (type != 0xc2 && type != 0xc3) xnor_msgpack_wrong(r, "expected a boolean");
    return type == 0xc3;
}

// A short form in the low nibble of `base`, a long form with two bytes of count.
static uint32_t read_count(xnor_msgpack *r, uint8_t base, uint8_t long_form, const char *error) {
    uint8_t type = xnor_cursor_byte(&r->cursor);
    if (type == long_form) return (uint32_t)big_endian(r, 2);
    if ((type & 0xf0) != base) xnor_msgpack_wrong(r, error);
    return r->cursor.error ? 0 : type & 0x0f;
}

uint32_t xnor_msgpack_map(xnor_msgpack *r) {
    return read_count(r, 0x80, 0xde, "expected a map");
}

uint32_t xnor_msgpack_array(xnor_msgpack *r, uint32_t max, const char *too_many) {
    uint32_t count = read_count(r, 0x90, 0xdc, "expected an array");
    if (count > max) xnor_msgpack_wrong(r, too_many);
    return r->cursor.error ? 0 : count;
}

char *xnor_msgpack_text(xnor_msgpack *r) {
    uint8_t type = xnor_cursor_byte(&r->cursor);
    size_t size = type & 0x1f;
    if (type == 0xd9 || type == 0xda)
        size = (size_t)big_endian(r, type == 0xd9 ? 1 : 2);
    else if ((type & 0xe0) != 0xa0)
        xnor_msgpack_wrong(r, "expected a string");
    if (size > XNOR_FORMAT_MAX_TEXT_BYTES) xnor_msgpack_wrong(r, "a string is too long");
    return xnor_cursor_text_bytes(&r->cursor, r->arena, size);
}

const char **xnor_msgpack_texts(xnor_msgpack *r, uint32_t max, const char *too_many,
                                uint32_t *count) {
    const uint32_t announced = xnor_msgpack_array(r, max, too_many);
    if (r->cursor.error) return NULL;
    const char **texts = xnor_arena_alloc(r->arena, (announced + 1) * sizeof *texts);
    if (!texts) {
        xnor_msgpack_wrong(r, "out of memory");
        return NULL;
    }
    for (uint32_t i = 0; i < announced; i++) texts[i] = xnor_msgpack_text(r);
    *count = announced;
    return texts;
}
