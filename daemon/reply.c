#include "reply.h"

xnord_status reply_status(xnor_status status) {
    switch (status) {
    case XNOR_OK:
        return XNORD_OK;
    case XNOR_E_ARGUMENT:
    case XNOR_E_SHAPE:
    case XNOR_E_DTYPE:
        return XNORD_INVALID;
    case XNOR_E_UNSUPPORTED:
        return XNORD_UNSUPPORTED;
    case XNOR_E_LIMIT:
        return XNORD_TOO_LARGE;
    case XNOR_E_MEMORY:
        return XNORD_RESOURCE;
    case XNOR_E_NOT_FOUND:
        return XNORD_NOT_FOUND;
    case XNOR_E_CANCELLED:
        return XNORD_NOT_READY; // only a daemon that stops cancels runs
    case XNOR_E_FORMAT:
    case XNOR_E_IO:
    case XNOR_E_INTERNAL:
        break;
    }
    return XNORD_INTERNAL;
}

struct reply reply_retry(struct exchange *exchange, uint64_t id, xnord_status status,
                         const char *detail, uint64_t retry_ms) {
    xnord_proto_reply refusal = {.ver = XNORD_PROTO_VERSION,
                                 .status = status,
                                 .id = id,
                                 .detail = xnord_proto_str_from(detail),
                                 .retry_ms = retry_ms};
    size_t capacity = 0;
    void *buffer = exchange_reply_buffer(exchange, XNORD_PROTO_ERROR_BYTES, &capacity);
    if (buffer == NULL) return (struct reply){0, XNORD_RESOURCE};
    return (struct reply){xnord_proto_encode_error_reply(&refusal, buffer, capacity), status};
}

struct reply reply_error(struct exchange *exchange, uint64_t id, xnord_status status,
                         const char *detail) {
    return reply_retry(exchange, id, status, detail, 0);
}

// Encodes into the memory at hand first: most replies are smaller than their request.
#define REPLY_FUNCTION(suffix, op, type)                                                           \
    struct reply reply_##suffix(struct exchange *exchange, uint64_t id, const type *body) {        \
        size_t capacity = 0, size = 0;                                                             \
        void *buffer = exchange_reply_buffer(exchange, XNORD_PROTO_ERROR_BYTES, &capacity);        \
        if (buffer != NULL)                                                                        \
            size = xnord_proto_encode_##suffix##_reply(id, body, buffer, capacity);                \
        if (size > capacity) {                                                                     \
            buffer = exchange_reply_buffer(exchange, size, &capacity);                             \
            if (buffer != NULL)                                                                    \
                size = xnord_proto_encode_##suffix##_reply(id, body, buffer, capacity);            \
        }                                                                                          \
        if (buffer == NULL)                                                                        \
            return reply_error(exchange, id, XNORD_RESOURCE, "no memory to reply");                \
        if (size == 0)                                                                             \
            return reply_error(exchange, id, XNORD_INTERNAL,                                       \
                               "the reply exceeds a protocol limit");                              \
        return (struct reply){size, XNORD_OK};                                                     \
    }
XNORD_PROTO_BODY_TABLE(REPLY_FUNCTION)
#undef REPLY_FUNCTION

void reply_send(struct exchange *exchange, struct reply reply) {
    if (reply.size > 0)
        exchange_reply(exchange, reply.size);
    else
        exchange_drop(exchange);
}
