#include <string.h>

#include "decode.h"
#include "envelope.h"
#include "pack.h"

static xnord_status check_request(const xnord_proto_request *request, xnord_proto_error *error) {
    if (request->op == XNORD_OP_HELLO && request->proto_count == 1) {
        return xnord_proto_fail(error, XNORD_INVALID,
                                "hello.proto: expected [lowest, highest], found one version");
    }
    if (request->op != XNORD_OP_INFER) return XNORD_OK;
    if (request->input_count == 0) {
        return xnord_proto_fail(error, XNORD_INVALID, "infer.inputs: expected at least one tensor");
    }
    return xnord_proto_check_tensors("infer.inputs", request->inputs, request->input_count, error);
}

xnord_status xnord_proto_decode_request(const void *message, size_t size, xnord_proto_request *out,
                                        xnord_proto_error *error) {
    const uint8_t *bytes = message;
    xnord_proto_cursor cursor = {bytes, bytes, bytes + size};
    xnord_proto_envelope envelope;
    xnord_status status =
        xnord_proto_open_envelope(&cursor, "operation", XNORD_PROTO_MAX_OBJECTS, &envelope, error);
    memset(out, 0, sizeof *out);
    out->ver = envelope.ver;
    out->op = envelope.second;
    out->id = envelope.id;
    if (status != XNORD_OK) return status;
    const xnord_proto_schema *schema = xnord_proto_request_schema(out->op);
    if (!schema) {
        return xnord_proto_fail(error, XNORD_UNSUPPORTED, "operation %u is not supported", out->op);
    }
    XNORD_PROTO_TRY(xnord_proto_decode_map(&cursor, xnord_op_name(out->op), schema, out, error));
    return check_request(out, error);
}

size_t xnord_proto_encode_request(const xnord_proto_request *request, void *buffer,
                                  size_t capacity) {
    const xnord_proto_schema *schema = xnord_proto_request_schema(request->op);
    xnord_proto_error ignored;
    if (!schema || check_request(request, &ignored) != XNORD_OK) return 0;
    xnord_proto_writer writer;
    xnord_proto_writer_begin(&writer, buffer, capacity, request->op, request->id);
    xnord_proto_pack_map(&writer, schema, request);
    return xnord_proto_writer_end(&writer);
}
