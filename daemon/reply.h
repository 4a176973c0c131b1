// Encodes replies into the memory of the request they answer, and maps engine failures to the
// statuses of the protocol. Whoever holds the exchange calls, on any thread.
#ifndef XNORD_REPLY_H
#define XNORD_REPLY_H

#include "proto.h"
#include "transport.h"
#include "xnor.h"

// The status a client sees when the engine fails with `status` on its request.
xnord_status reply_status(xnor_status status);

// An encoded reply that waits in its exchange for exchange_reply. size 0: not even a refusal found
// memory, the exchange is to be dropped.
struct reply {
    size_t size;
    xnord_status status; // what the reply says
};

// A refusal; detail says what was expected and what was found.
struct reply reply_error(struct exchange *exchange, uint64_t id, xnord_status status,
                         const char *detail);
// The same with a hint when to ask again.
struct reply reply_retry(struct exchange *exchange, uint64_t id, xnord_status status,
                         const char *detail, uint64_t retry_ms);

// reply_NAME(exchange, id, body): an OK reply per operation, or a refusal when the body breaks a
// limit of the protocol or no memory is left. `body` must not point into the request.
#define REPLY_FUNCTION(suffix, op, type)                                                           \
    struct reply reply_##suffix(struct exchange *exchange, uint64_t id, const type *body);
XNORD_PROTO_BODY_TABLE(REPLY_FUNCTION)
#undef REPLY_FUNCTION

// Sends (or drops, when there is nothing to send).
void reply_send(struct exchange *exchange, struct reply reply);

#endif
