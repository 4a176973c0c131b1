#include <string.h>

#include "decode.h"
#include "envelope.h"
#include "pack.h"

xnord_proto_str xnord_proto_str_from(const char *text) {
    return (xnord_proto_str){text, text ? strlen(text) : 0};
}

bool xnord_proto_str_equal(xnord_proto_str string, const char *text) {
    size_t size = strlen(text);
    return string.size == size && (size == 0 || memcmp(string.data, text, size) == 0);
}

xnord_status xnord_proto_decode_reply(const void *message, size_t size, xnord_proto_reply *out,
                                      xnord_proto_error *error) {
    const uint8_t *bytes = message;
    xnord_proto_cursor cursor = {bytes, bytes, bytes + size};
    xnord_proto_envelope envelope;
    xnord_status status = xnord_proto_open_envelope(
        &cursor, "status", XNORD_PROTO_MAX_REPLY_OBJECTS, &envelope, error);
    memset(out, 0, sizeof *out);
    out->ver = envelope.ver;
    out->id = envelope.id;
    if (status != XNORD_OK) return status;
    if (envelope.second >= XNORD_STATUS_COUNT) {
        return xnord_proto_fail(error, XNORD_INVALID, "status: expected at most %d, found %u",
                                XNORD_STATUS_COUNT - 1, envelope.second);
    }
    out->status = (xnord_status)envelope.second;
    out->body = cursor.at;
    out->body_size = (size_t)(cursor.end - cursor.at);
    if (out->status == XNORD_OK) return XNORD_OK;
    return xnord_proto_decode_map(&cursor, "error", xnord_proto_error_schema(), out, error);
}

static xnord_status decode_body(const xnord_proto_reply *reply, uint32_t op, void *out,
                                xnord_proto_error *error) {
    if (reply->status != XNORD_OK) {
        return xnord_proto_fail(error, XNORD_INVALID, "%s: the reply is a refusal",
                                xnord_op_name(op));
    }
    const uint8_t *bytes = reply->body;
    xnord_proto_cursor cursor = {bytes, bytes, bytes + reply->body_size};
    const xnord_proto_schema *schema = xnord_proto_reply_schema(op);
    memset(out, 0, schema->size);
    return xnord_proto_decode_map(&cursor, xnord_op_name(op), schema, out, error);
}

static size_t encode_body(uint64_t id, uint32_t op, const void *body, void *buffer,
                          size_t capacity) {
    xnord_proto_writer writer;
    xnord_proto_writer_begin(&writer, buffer, capacity, XNORD_OK, id);
    xnord_proto_pack_map(&writer, xnord_proto_reply_schema(op), body);
    return xnord_proto_writer_end(&writer);
}

// What a schema cannot say. Also applied before encoding, so that a peer never has to refuse our
// reply.
static xnord_status check_hello(const xnord_proto_hello *hello, xnord_proto_error *error) {
    if (hello->proto_count == 2) return XNORD_OK;
    return xnord_proto_fail(error, XNORD_INVALID, "hello.proto: expected [lowest, highest]");
}

static xnord_status check_stage(const xnord_proto_model_stats *stats,
                                const xnord_proto_stage *stage, xnord_proto_error *error) {
    if (stage->bucket_count == 0 || stage->bucket_count == stats->edge_count + 1) return XNORD_OK;
    return xnord_proto_fail(error, XNORD_INVALID,
                            "model_stats: %u buckets for %u edges, expected one more than edges",
                            stage->bucket_count, stats->edge_count);
}

static xnord_status check_model_stats(const xnord_proto_model_stats *stats,
                                      xnord_proto_error *error) {
    for (uint32_t i = 0; i < stats->model_count && i < XNORD_PROTO_MAX_MODELS; i++) {
        XNORD_PROTO_TRY(check_stage(stats, &stats->models[i].queue, error));
        XNORD_PROTO_TRY(check_stage(stats, &stats->models[i].compute, error));
        XNORD_PROTO_TRY(check_stage(stats, &stats->models[i].total, error));
    }
    return XNORD_OK;
}

static xnord_status check_infer(const xnord_proto_infer_reply *infer, xnord_proto_error *error) {
    return xnord_proto_check_tensors("infer.outputs", infer->outputs, infer->output_count, error);
}

#define check_live(body, error) XNORD_OK
#define check_ready(body, error) XNORD_OK
#define check_server_metadata(body, error) XNORD_OK
#define check_model_index(body, error) XNORD_OK
#define check_model_metadata(body, error) XNORD_OK

#define BODY(suffix, op, type)                                                                     \
    xnord_status xnord_proto_decode_##suffix##_reply(const xnord_proto_reply *reply, type *out,    \
                                                     xnord_proto_error *error) {                   \
        XNORD_PROTO_TRY(decode_body(reply, XNORD_OP_##op, out, error));                            \
        return check_##suffix(out, error);                                                         \
    }                                                                                              \
    size_t xnord_proto_encode_##suffix##_reply(uint64_t id, const type *body, void *buffer,        \
                                               size_t capacity) {                                  \
        xnord_proto_error ignored;                                                                 \
        (void)ignored;                                                                             \
        if (check_##suffix(body, &ignored) != XNORD_OK) return 0;                                  \
        return encode_body(id, XNORD_OP_##op, body, buffer, capacity);                             \
    }
XNORD_PROTO_BODY_TABLE(BODY)
#undef BODY

// A text that any peer accepts: what is not valid becomes '?', and it ends between two characters.
static xnord_proto_str clean(xnord_proto_str text, char *buffer) {
    size_t size = text.size < XNORD_PROTO_MAX_STRING ? text.size : XNORD_PROTO_MAX_STRING;
    if (size < text.size) {
        while (size > 0 && ((uint8_t)text.data[size] & 0xc0) == 0x80) size--;
    }
    xnord_proto_str cut = {text.data, size};
    if (xnord_proto_text_valid(cut)) return cut;
    for (size_t i = 0; i < size; i++) {
        bool plain = text.data[i] >= 0x20 && text.data[i] < 0x7f;
        buffer[i] = plain ? text.data[i] : '?';
    }
    return (xnord_proto_str){buffer, size};
}

size_t xnord_proto_encode_error_reply(const xnord_proto_reply *reply, void *buffer,
                                      size_t capacity) {
    if (reply->status == XNORD_OK || reply->status >= XNORD_STATUS_COUNT) return 0;
    char text[XNORD_PROTO_MAX_STRING];
    xnord_proto_reply body = *reply;
    body.detail = clean(reply->detail, text);
    body.speaks_count = 0;
    if (reply->status == XNORD_UNSUPPORTED) {
        body.speaks[0] = XNORD_PROTO_MAJOR;
        body.speaks_count = 1;
    }
    xnord_proto_writer writer;
    xnord_proto_writer_begin(&writer, buffer, capacity, reply->status, reply->id);
    xnord_proto_pack_map(&writer, xnord_proto_error_schema(), &body);
    return xnord_proto_writer_end(&writer);
}
