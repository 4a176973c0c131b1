#include "format/cursor.h"

#include <string.h>

#include "core/text.h"

static void fail(xnor_cursor *cursor, const char *error) {
    if (!cursor->error) cursor->error = error;
    cursor->at = cursor->end;
}

const uint8_t *xnor_cursor_bytes(xnor_cursor *cursor, size_t size) {
    if (cursor->error || size > (size_t)(cursor->end - cursor->at)) {
        fail(cursor, "it ends too early");
        return NULL;
    }
    const uint8_t *bytes = cursor->at;
    cursor->at += size;
    return bytes;
}

uint8_t xnor_cursor_byte(xnor_cursor *cursor) {
    const uint8_t *byte = xnor_cursor_bytes(cursor, 1);
    return byte ? *byte : 0;
}

uint64_t xnor_cursor_varint(xnor_cursor *cursor, uint64_t max) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        uint8_t byte = xnor_cursor_byte(cursor);
        if (cursor->error) return 0;
        bool overflows = shift == 63 && byte > 1;
        bool longer_than_needed = byte == 0 && shift > 0;
        if (overflows || longer_than_needed) break;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte & 0x80) continue;
        if (value <= max) return value;
        fail(cursor, "a number is out of range");
        return 0;
    }
    fail(cursor, "a number is malformed");
    return 0;
}

int64_t xnor_cursor_signed(xnor_cursor *cursor) {
    uint64_t value = xnor_cursor_varint(cursor, UINT64_MAX);
    uint64_t bits = value >> 1 ^ (value & 1 ? UINT64_MAX : 0);
    int64_t out;
    memcpy(&out, &bits, sizeof out);
    return out;
}

double xnor_cursor_double(xnor_cursor *cursor) {
    double value = 0;
    const uint8_t *bytes = xnor_cursor_bytes(cursor, sizeof value);
    if (bytes) memcpy(&value, bytes, sizeof value);
    return value;
}

uint32_t xnor_cursor_count(xnor_cursor *cursor, uint32_t max) {
    uint64_t count = xnor_cursor_varint(cursor, max);
    if (count > (size_t)(cursor->end - cursor->at)) {
        fail(cursor, "a count exceeds what follows it");
        return 0;
    }
    return (uint32_t)count;
}

char *xnor_cursor_text_bytes(xnor_cursor *cursor, xnor_arena *arena, size_t size) {
    const uint8_t *bytes = xnor_cursor_bytes(cursor, size);
    if (!bytes) return NULL;
    if (!xnor_text_valid((const char *)bytes, size)) {
        fail(cursor, "a name is not printable UTF-8");
        return NULL;
    }
    char *text = xnor_arena_alloc(arena, size + 1);
    if (!text) {
        fail(cursor, "out of memory");
        return NULL;
    }
    memcpy(text, bytes, size);
    return text;
}

char *xnor_cursor_text(xnor_cursor *cursor, xnor_arena *arena, size_t max) {
    uint64_t size = xnor_cursor_varint(cursor, UINT64_MAX);
    if (size > max) fail(cursor, "a name is longer than is allowed");
    return cursor->error ? NULL : xnor_cursor_text_bytes(cursor, arena, (size_t)size);
}
