#include "check.h"

#include <string.h>

// A container whose end has not been reached.
typedef struct level {
    uint32_t pending; // objects to come; in a map, keys and values
    bool is_map;
    uint32_t key_count;
    xnord_proto_str keys[XNORD_PROTO_MAX_KEYS];
} level;

typedef struct walk {
    xnord_proto_cursor cursor;
    uint32_t budget; // objects that may still be announced
    uint32_t depth;
    level levels[XNORD_PROTO_MAX_DEPTH];
} walk;

static size_t offset(const walk *w) {
    return (size_t)(w->cursor.at - w->cursor.start);
}

static xnord_status check_text(const walk *w, xnord_proto_str text, xnord_proto_error *error) {
    if (text.size > XNORD_PROTO_MAX_STRING) {
        return xnord_proto_fail(error, XNORD_INVALID,
                                "byte %zu: str of %zu bytes, at most %d are accepted", offset(w),
                                text.size, XNORD_PROTO_MAX_STRING);
    }
    if (!xnord_proto_text_valid(text)) {
        return xnord_proto_fail(error, XNORD_INVALID,
                                "byte %zu: str is not UTF-8 without control characters", offset(w));
    }
    return XNORD_OK;
}

static xnord_status check_key(walk *w, level *map, const xnord_proto_token *token,
                              xnord_proto_error *error) {
    if (token->kind != XNORD_KIND_STR) {
        return xnord_proto_fail(error, XNORD_INVALID, "byte %zu: key: expected str, found %s",
                                offset(w), xnord_proto_kind_name(token->kind));
    }
    for (uint32_t i = 0; i < map->key_count; i++) {
        if (map->keys[i].size == token->bytes.size &&
            memcmp(map->keys[i].data, token->bytes.data, token->bytes.size) == 0) {
            return xnord_proto_fail(error, XNORD_INVALID, "byte %zu: duplicate key '%.*s'",
                                    offset(w), (int)token->bytes.size, token->bytes.data);
        }
    }
    map->keys[map->key_count++] = token->bytes;
    return XNORD_OK;
}

static xnord_status open_level(walk *w, const xnord_proto_token *token, xnord_proto_error *error) {
    bool is_map = token->kind == XNORD_KIND_MAP;
    // The cursor has checked count against the bytes left, so doubling fits 64 bits.
    uint64_t objects = (uint64_t)token->count * (is_map ? 2 : 1);
    if (objects > w->budget) {
        return xnord_proto_fail(error, XNORD_INVALID, "byte %zu: too many objects", offset(w));
    }
    if (w->depth == XNORD_PROTO_MAX_DEPTH) {
        return xnord_proto_fail(error, XNORD_INVALID, "byte %zu: nested deeper than %d", offset(w),
                                XNORD_PROTO_MAX_DEPTH);
    }
    if (is_map && token->count > XNORD_PROTO_MAX_KEYS) {
        return xnord_proto_fail(error, XNORD_INVALID,
                                "byte %zu: map of %u keys, at most %d are accepted", offset(w),
                                token->count, XNORD_PROTO_MAX_KEYS);
    }
    w->budget -= (uint32_t)objects;
    level *opened = &w->levels[w->depth++];
    opened->pending = (uint32_t)objects;
    opened->is_map = is_map;
    opened->key_count = 0;
    return XNORD_OK;
}

static xnord_status check_object(walk *w, xnord_proto_error *error) {
    level *parent = w->depth > 0 ? &w->levels[w->depth - 1] : NULL;
    bool is_key = parent && parent->is_map && parent->pending % 2 == 0;
    if (parent) parent->pending--;
    xnord_proto_token token;
    XNORD_PROTO_TRY(xnord_proto_next(&w->cursor, &token, error));
    if (token.kind == XNORD_KIND_STR) XNORD_PROTO_TRY(check_text(w, token.bytes, error));
    if (is_key) return check_key(w, parent, &token, error);
    bool is_container = token.kind == XNORD_KIND_ARRAY || token.kind == XNORD_KIND_MAP;
    return is_container ? open_level(w, &token, error) : XNORD_OK;
}

xnord_status xnord_proto_check(const void *message, size_t size, uint32_t max_objects,
                               xnord_proto_error *error) {
    walk w; // not initialised as a whole: 8 KiB per message would cost more than the walk
    w.cursor = (xnord_proto_cursor){message, message, (const uint8_t *)message + size};
    w.budget = max_objects - 1;
    w.depth = 0;
    do {
        XNORD_PROTO_TRY(check_object(&w, error));
        while (w.depth > 0 && w.levels[w.depth - 1].pending == 0) w.depth--;
    } while (w.depth > 0);
    if (w.cursor.at != w.cursor.end) {
        return xnord_proto_fail(error, XNORD_INVALID, "%zu trailing bytes",
                                (size_t)(w.cursor.end - w.cursor.at));
    }
    return XNORD_OK;
}
