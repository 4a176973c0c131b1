// Inference: what the transport's thread does when an asynchronous request has ended.
#ifndef XNORD_INFER_H
#define XNORD_INFER_H

#include "client.h"

// Opens the reply, stores the status in the request and calls its callback.
void xnord_infer_complete(xnord_request *request);

#endif
