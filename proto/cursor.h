// A position in a msgpack message. Reads one object's head at a time; every length and count is
// checked against the bytes that are left before it is believed.
#ifndef XNORD_PROTO_CURSOR_H
#define XNORD_PROTO_CURSOR_H

#include "proto.h"

typedef struct xnord_proto_cursor {
    const uint8_t *start;
    const uint8_t *at;
    const uint8_t *end;
} xnord_proto_cursor;

typedef enum xnord_proto_kind {
    XNORD_KIND_NIL,
    XNORD_KIND_BOOL,
    XNORD_KIND_UINT,     // any integer >= 0, whatever its encoding
    XNORD_KIND_NEGATIVE, // any integer < 0
    XNORD_KIND_FLOAT,
    XNORD_KIND_STR,
    XNORD_KIND_BIN,
    XNORD_KIND_ARRAY,
    XNORD_KIND_MAP,
} xnord_proto_kind;

typedef struct xnord_proto_token {
    xnord_proto_kind kind;
    union {
        bool boolean;
        uint64_t uint;
        int64_t negative;
        double real;
        xnord_proto_str bytes; // str, bin: zero copy
        uint32_t count;        // array: elements; map: pairs
    };
} xnord_proto_token;

// Reads the next object's head, and for str and bin also its bytes. XNORD_INVALID: the message ends
// too early, announces more than it holds, or has an ext or unassigned type.
xnord_status xnord_proto_next(xnord_proto_cursor *cursor, xnord_proto_token *token,
                              xnord_proto_error *error);
// Moves behind one whole object.
xnord_status xnord_proto_skip(xnord_proto_cursor *cursor, xnord_proto_error *error);

// "integer", "map": for messages.
const char *xnord_proto_kind_name(xnord_proto_kind kind);

// Whether the text is UTF-8 without control characters, as every string of the protocol must be:
// peers print names and texts on terminals and into logs.
bool xnord_proto_text_valid(xnord_proto_str text);

// Fills *error and returns `status`.
xnord_status xnord_proto_fail(xnord_proto_error *error, xnord_status status, const char *format,
                              ...) __attribute__((format(printf, 3, 4)));

#define XNORD_PROTO_TRY(call)                                                                      \
    do {                                                                                           \
        xnord_status try_status = (call);                                                          \
        if (try_status != XNORD_OK) return try_status;                                             \
    } while (0)

#endif
