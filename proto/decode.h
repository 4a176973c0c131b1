// Decodes a map into a struct by its schema.
#ifndef XNORD_PROTO_DECODE_H
#define XNORD_PROTO_DECODE_H

#include "cursor.h"
#include "schema.h"

// The cursor is at a map of a message that xnord_proto_check has accepted. *out is zeroed first
// (only where the schema has fields). `name` stands first in messages, e.g. "infer".
xnord_status xnord_proto_decode_map(xnord_proto_cursor *cursor, const char *name,
                                    const xnord_proto_schema *schema, void *out,
                                    xnord_proto_error *error);

// Reads an unsigned integer of at most `max`; `name` stands first in messages.
xnord_status xnord_proto_decode_uint(xnord_proto_cursor *cursor, const char *name, uint64_t max,
                                     uint64_t *out, xnord_proto_error *error);

// Checks that the data of decoded tensors has the size of their shapes, and that names are unique.
xnord_status xnord_proto_check_tensors(const char *name, const xnord_proto_tensor *tensors,
                                       uint32_t count, xnord_proto_error *error);

#endif
