// The structure of a whole message, before anything in it is interpreted.
#ifndef XNORD_PROTO_CHECK_H
#define XNORD_PROTO_CHECK_H

#include "cursor.h"

// XNORD_OK: the message is exactly one msgpack object with at most `max_objects` objects in it
// (keys count), nested at most XNORD_PROTO_MAX_DEPTH deep; every map has at most
// XNORD_PROTO_MAX_KEYS distinct str keys; every str is valid text of at most XNORD_PROTO_MAX_STRING
// bytes.
xnord_status xnord_proto_check(const void *message, size_t size, uint32_t max_objects,
                               xnord_proto_error *error);

#endif
