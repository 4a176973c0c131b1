// Reading the few msgpack types that the metadata section uses. Like a cursor: the first failure
// sticks, later reads give 0.
#ifndef XNOR_FORMAT_MSGPACK_READ_H
#define XNOR_FORMAT_MSGPACK_READ_H

#include "format/cursor.h"

typedef struct xnor_msgpack {
    xnor_cursor cursor;
    xnor_arena *arena; // of texts
} xnor_msgpack;

// Fails with this text unless it has failed before.
void xnor_msgpack_wrong(xnor_msgpack *r, const char *error);
uint64_t xnor_msgpack_uint(xnor_msgpack *r, uint64_t max);
// A float32 from min to max; NaN is out of range.
float xnor_msgpack_float(xnor_msgpack *r, double min, double max);
bool xnor_msgpack_bool(xnor_msgpack *r);
// Number of pairs.
uint32_t xnor_msgpack_map(xnor_msgpack *r);
// Number of elements.
uint32_t xnor_msgpack_array(xnor_msgpack *r, uint32_t max, const char *too_many);
// NULL on failure.
char *xnor_msgpack_text(xnor_msgpack *r);
// An array of texts, in the arena.
const char **xnor_msgpack_texts(xnor_msgpack *r, uint32_t max, const char *too_many,
                                uint32_t *count);

#endif
