// Bounded reading of one section. The first failure sticks: later reads return 0, and the caller
// looks at `error` once per record.
#ifndef XNOR_FORMAT_CURSOR_H
#define XNOR_FORMAT_CURSOR_H

#include "core/arena.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct xnor_cursor {
    const uint8_t *at;
    const uint8_t *end;
    const char *error; // NULL so far
} xnor_cursor;

// NULL when fewer than `size` bytes are left.
const uint8_t *xnor_cursor_bytes(xnor_cursor *cursor, size_t size);
uint8_t xnor_cursor_byte(xnor_cursor *cursor);
// A varint in its shortest form, at most `max`.
uint64_t xnor_cursor_varint(xnor_cursor *cursor, uint64_t max);
int64_t xnor_cursor_signed(xnor_cursor *cursor);
double xnor_cursor_double(xnor_cursor *cursor);
// The number of records that follow, each at least one byte: so it cannot exceed the bytes left.
uint32_t xnor_cursor_count(xnor_cursor *cursor, uint32_t max);
// A copy of a length-prefixed name in `arena`, at most `max` bytes of valid text. NULL on failure.
char *xnor_cursor_text(xnor_cursor *cursor, xnor_arena *arena, size_t max);
// The same without the prefix.
char *xnor_cursor_text_bytes(xnor_cursor *cursor, xnor_arena *arena, size_t size);

#endif
