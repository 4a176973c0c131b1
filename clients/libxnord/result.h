// The answer to one infer, copied out of the reply.
#ifndef XNORD_RESULT_H
#define XNORD_RESULT_H

#include "client.h"

// XNORD_E_MEMORY; XNORD_E_PROTOCOL: the body is malformed.
xnord_status xnord_result_create(const xnord_request *request, const xnord_proto_reply *reply,
                                 xnord_result **out);

#endif
