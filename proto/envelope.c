#include "envelope.h"

#include "check.h"
#include "decode.h"

xnord_status xnord_proto_open_envelope(xnord_proto_cursor *cursor, const char *second,
                                       uint32_t max_objects, xnord_proto_envelope *out,
                                       xnord_proto_error *error) {
    *out = (xnord_proto_envelope){0};
    xnord_proto_token token;
    XNORD_PROTO_TRY(xnord_proto_next(cursor, &token, error));
    if (token.kind != XNORD_KIND_ARRAY) {
        return xnord_proto_fail(error, XNORD_INVALID, "envelope: expected array of 4, found %s",
                                xnord_proto_kind_name(token.kind));
    }
    if (token.count != 4) {
        return xnord_proto_fail(error, XNORD_INVALID, "envelope: expected array of 4, found %u",
                                token.count);
    }
    uint64_t value;
    XNORD_PROTO_TRY(xnord_proto_decode_uint(cursor, "version", UINT16_MAX, &value, error));
    out->ver = (uint32_t)value;
    XNORD_PROTO_TRY(xnord_proto_decode_uint(cursor, second, UINT32_MAX, &value, error));
    out->second = (uint32_t)value;
    XNORD_PROTO_TRY(xnord_proto_decode_uint(cursor, "id", UINT64_MAX, &out->id, error));
    if (out->ver / 256 != XNORD_PROTO_MAJOR) {
        return xnord_proto_fail(error, XNORD_UNSUPPORTED,
                                "version: expected major version %u, found %u", XNORD_PROTO_MAJOR,
                                out->ver / 256);
    }
    return xnord_proto_check(cursor->start, (size_t)(cursor->end - cursor->start), max_objects,
                             error);
}
