// Answers to questions about the daemon and its models: every operation but infer. They are
// answered on the loop, at once. Loop thread.
#ifndef XNORD_ANSWERS_H
#define XNORD_ANSWERS_H

#include "reply.h"
#include "server.h"

// Memory for the largest reply bodies.
XNOR_NODISCARD xnor_status answers_create(struct answers **out);
void answers_free(struct answers **answers);

// Answers server->decoded, which must not be an infer request, in `exchange`; the caller sends.
struct reply answers_make(struct server *server, struct exchange *exchange);

#endif
