// The array of four around every body: [version, operation or status, id, body].
#ifndef XNORD_PROTO_ENVELOPE_H
#define XNORD_PROTO_ENVELOPE_H

#include "cursor.h"

typedef struct xnord_proto_envelope {
    uint32_t ver;
    uint32_t second; // operation or status
    uint64_t id;
} xnord_proto_envelope;

// Reads the first three elements, then checks the whole message's structure; the cursor is left at
// the body. *out holds what could be read also on failure. `second` names its element in messages.
// XNORD_UNSUPPORTED: another major version.
xnord_status xnord_proto_open_envelope(xnord_proto_cursor *cursor, const char *second,
                                       uint32_t max_objects, xnord_proto_envelope *out,
                                       xnord_proto_error *error);

#endif
