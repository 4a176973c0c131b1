// Decides whether an infer request may enter the queue, and binds it to a model version. Loop
// thread.
#ifndef XNORD_ADMIT_H
#define XNORD_ADMIT_H

#include "models.h"
#include "reason.h"
#include "request.h"

// Validates a decoded infer request against its model and fills the slot: everything a worker
// needs, with tensor data pointing into the message. Takes a reference to the model's active
// version. On refusal *why names the field, what was expected and what was found; the slot holds
// nothing. `model` gets the model the request names, if there is one, for its statistics.
xnord_status admit_infer(struct models *models, const xnord_proto_request *decoded, uint64_t now_ns,
                         uint64_t received_ns, struct request *slot, struct model **model,
                         struct reason *why);

#endif
