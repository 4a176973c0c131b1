// Encodes a struct into a map by its schema, with msgpack-c's packer over a fixed buffer.
#ifndef XNORD_PROTO_PACK_H
#define XNORD_PROTO_PACK_H

#include <msgpack/pack.h>

#include "schema.h"

typedef struct xnord_proto_writer {
    msgpack_packer packer;
    char *buffer;
    size_t capacity;
    size_t size; // of the encoding so far, also what did not fit
    bool failed; // a value exceeds a limit
} xnord_proto_writer;

// Opens the envelope [version, second, id, ...]: the body is to follow. `second` is the operation
// or the status.
void xnord_proto_writer_begin(xnord_proto_writer *writer, void *buffer, size_t capacity,
                              uint32_t second, uint64_t id);
void xnord_proto_pack_map(xnord_proto_writer *writer, const xnord_proto_schema *schema,
                          const void *in);
// Size of the encoding, 0 if a value exceeds a limit.
size_t xnord_proto_writer_end(const xnord_proto_writer *writer);

#endif
