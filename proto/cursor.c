#include "cursor.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static size_t left(const xnord_proto_cursor *cursor) {
    return (size_t)(cursor->end - cursor->at);
}

static xnord_status fail_short(const xnord_proto_cursor *cursor, xnord_proto_error *error,
                               const char *what, uint64_t wanted) {
    return xnord_proto_fail(
        error, XNORD_INVALID, "byte %zu: %s of %llu announced, %zu bytes are left",
        (size_t)(cursor->at - cursor->start), what, (unsigned long long)wanted, left(cursor));
}

static xnord_status read_big_endian(xnord_proto_cursor *cursor, size_t size, uint64_t *out,
                                    xnord_proto_error *error) {
    if (left(cursor) < size) return fail_short(cursor, error, "number", size);
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) value = value << 8 | cursor->at[i];
    cursor->at += size;
    *out = value;
    return XNORD_OK;
}

static xnord_status take_bytes(xnord_proto_cursor *cursor, xnord_proto_kind kind, uint64_t size,
                               xnord_proto_token *token, xnord_proto_error *error) {
    if (size > left(cursor)) return fail_short(cursor, error, xnord_proto_kind_name(kind), size);
    token->kind = kind;
    token->bytes = (xnord_proto_str){(const char *)cursor->at, (size_t)size};
    cursor->at += size;
    return XNORD_OK;
}

// An element takes at least one byte, so a larger count is a lie; a count that passes can cost at
// most as many steps as the message has bytes.
static xnord_status take_count(const xnord_proto_cursor *cursor, xnord_proto_kind kind,
                               uint64_t count, xnord_proto_token *token, xnord_proto_error *error) {
    size_t per_entry = kind == XNORD_KIND_MAP ? 2 : 1;
    if (count > left(cursor) / per_entry) {
        return fail_short(cursor, error, xnord_proto_kind_name(kind), count);
    }
    token->kind = kind;
    token->count = (uint32_t)count;
    return XNORD_OK;
}

static void take_integer(uint64_t raw, size_t size, bool is_signed, xnord_proto_token *token) {
    uint64_t sign = UINT64_C(1) << (size * 8 - 1);
    if (!is_signed || !(raw & sign)) {
        token->kind = XNORD_KIND_UINT;
        token->uint = raw;
        return;
    }
    uint64_t extended = raw | ~(sign - 1);
    token->kind = XNORD_KIND_NEGATIVE;
    memcpy(&token->negative, &extended, sizeof extended);
}

static void take_float(uint64_t raw, size_t size, xnord_proto_token *token) {
    token->kind = XNORD_KIND_FLOAT;
    if (size == 8) {
        memcpy(&token->real, &raw, sizeof raw);
        return;
    }
    uint32_t narrow = (uint32_t)raw;
    float value;
    memcpy(&value, &narrow, sizeof value);
    token->real = (double)value;
}

// What follows a first byte of 0xc4 .. 0xdf: a big-endian number of `size` bytes, meant as `kind`.
typedef struct head {
    uint8_t size; // 0: not accepted
    xnord_proto_kind kind;
} head;

static const head heads[0x20] = {
    [0xc4 - 0xc0] = {1, XNORD_KIND_BIN},      [0xc5 - 0xc0] = {2, XNORD_KIND_BIN},
    [0xc6 - 0xc0] = {4, XNORD_KIND_BIN},      [0xca - 0xc0] = {4, XNORD_KIND_FLOAT},
    [0xcb - 0xc0] = {8, XNORD_KIND_FLOAT},    [0xcc - 0xc0] = {1, XNORD_KIND_UINT},
    [0xcd - 0xc0] = {2, XNORD_KIND_UINT},     [0xce - 0xc0] = {4, XNORD_KIND_UINT},
    [0xcf - 0xc0] = {8, XNORD_KIND_UINT},     [0xd0 - 0xc0] = {1, XNORD_KIND_NEGATIVE},
    [0xd1 - 0xc0] = {2, XNORD_KIND_NEGATIVE}, [0xd2 - 0xc0] = {4, XNORD_KIND_NEGATIVE},
    [0xd3 - 0xc0] = {8, XNORD_KIND_NEGATIVE}, [0xd9 - 0xc0] = {1, XNORD_KIND_STR},
    [0xda - 0xc0] = {2, XNORD_KIND_STR},      [0xdb - 0xc0] = {4, XNORD_KIND_STR},
    [0xdc - 0xc0] = {2, XNORD_KIND_ARRAY},    [0xdd - 0xc0] = {4, XNORD_KIND_ARRAY},
    [0xde - 0xc0] = {2, XNORD_KIND_MAP},      [0xdf - 0xc0] = {4, XNORD_KIND_MAP},
};

static xnord_status next_long(xnord_proto_cursor *cursor, uint8_t first, xnord_proto_token *token,
                              xnord_proto_error *error) {
    const head *entry = &heads[first - 0xc0];
    if (entry->size == 0) {
        return xnord_proto_fail(error, XNORD_INVALID, "byte %zu: %s 0x%02x is not accepted",
                                (size_t)(cursor->at - cursor->start) - 1,
                                first == 0xc1 ? "unassigned type" : "ext type", first);
    }
    uint64_t value = 0;
    XNORD_PROTO_TRY(read_big_endian(cursor, entry->size, &value, error));
    switch (entry->kind) {
    case XNORD_KIND_STR:
    case XNORD_KIND_BIN:
        return take_bytes(cursor, entry->kind, value, token, error);
    case XNORD_KIND_ARRAY:
    case XNORD_KIND_MAP:
        return take_count(cursor, entry->kind, value, token, error);
    case XNORD_KIND_FLOAT:
        take_float(value, entry->size, token);
        return XNORD_OK;
    default:
        take_integer(value, entry->size, entry->kind == XNORD_KIND_NEGATIVE, token);
        return XNORD_OK;
    }
}

xnord_status xnord_proto_next(xnord_proto_cursor *cursor, xnord_proto_token *token,
                              xnord_proto_error *error) {
    if (cursor->at == cursor->end) {
        return xnord_proto_fail(error, XNORD_INVALID, "byte %zu: the message ends too early",
                                (size_t)(cursor->at - cursor->start));
    }
    uint8_t first = *cursor->at++;
    if (first < 0x80 || first >= 0xe0) {
        take_integer(first, 1, true, token);
        return XNORD_OK;
    }
    if (first < 0x90) return take_count(cursor, XNORD_KIND_MAP, first & 0x0f, token, error);
    if (first < 0xa0) return take_count(cursor, XNORD_KIND_ARRAY, first & 0x0f, token, error);
    if (first < 0xc0) return take_bytes(cursor, XNORD_KIND_STR, first & 0x1f, token, error);
    if (first == 0xc0) {
        token->kind = XNORD_KIND_NIL;
        return XNORD_OK;
    }
    if (first == 0xc2 || first == 0xc3) {
        token->kind = XNORD_KIND_BOOL;
        token->boolean = first == 0xc3;
        return XNORD_OK;
    }
    return next_long(cursor, first, token, error);
}

xnord_status xnord_proto_skip(xnord_proto_cursor *cursor, xnord_proto_error *error) {
    for (uint64_t pending = 1; pending > 0; pending--) {
        xnord_proto_token token;
        XNORD_PROTO_TRY(xnord_proto_next(cursor, &token, error));
        if (token.kind == XNORD_KIND_ARRAY) pending += token.count;
        if (token.kind == XNORD_KIND_MAP) pending += UINT64_C(2) * token.count;
    }
    return XNORD_OK;
}

const char *xnord_proto_kind_name(xnord_proto_kind kind) {
    static const char *const names[] = {
        [XNORD_KIND_NIL] = "nil",      [XNORD_KIND_BOOL] = "bool",
        [XNORD_KIND_UINT] = "integer", [XNORD_KIND_NEGATIVE] = "negative integer",
        [XNORD_KIND_FLOAT] = "float",  [XNORD_KIND_STR] = "str",
        [XNORD_KIND_BIN] = "bin",      [XNORD_KIND_ARRAY] = "array",
        [XNORD_KIND_MAP] = "map",
    };
    return names[kind];
}

// Length of the UTF-8 sequence at `at`, 0 if there is none. RFC 3629: no overlong forms, no
// surrogates, nothing above U+10FFFF.
static size_t utf8_length(const uint8_t *at, size_t size) {
    size_t length = at[0] < 0x80 ? 1 : at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    if (length == 0 || at[0] > 0xf4 || length > size) return 0;
    for (size_t i = 1; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80) return 0;
    }
    if (at[0] == 0xe0 && at[1] < 0xa0) return 0;
    if (at[0] == 0xed && at[1] > 0x9f) return 0;
    if (at[0] == 0xf0 && at[1] < 0x90) return 0;
    if (at[0] == 0xf4 && at[1] > 0x8f) return 0;
    return length;
}

bool xnord_proto_text_valid(xnord_proto_str text) {
    const uint8_t *bytes = (const uint8_t *)text.data;
    for (size_t i = 0; i < text.size;) {
        size_t length = utf8_length(bytes + i, text.size - i);
        // C0 controls and DEL; C1 controls are 0xc2 0x80 .. 0x9f.
        bool control = bytes[i] < 0x20 || bytes[i] == 0x7f ||
                       (length == 2 && bytes[i] == 0xc2 && bytes[i + 1] < 0xa0);
        if (length == 0 || control) return false;
        i += length;
    }
    return true;
}

xnord_status xnord_proto_fail(xnord_proto_error *error, xnord_status status, const char *format,
                              ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    error->status = status;
    return status;
}
