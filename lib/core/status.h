// Error reporting: a status code, and the calling thread's message for it.
#ifndef XNOR_CORE_STATUS_H
#define XNOR_CORE_STATUS_H

#include "include/xnor.h"

// Stores the message for xnor_last_error() and returns `status`, so that callers write
// `return xnor_fail(XNOR_E_SHAPE, "conv_12: expected %u channels, found %u", ...)`.
xnor_status xnor_fail(xnor_status status, const char *format, ...) XNOR_PRINTF(2, 3);

#define XNOR_TRY(call)                                                                             \
    do {                                                                                           \
        xnor_status try_status = (call);                                                           \
        if (try_status != XNOR_OK) return try_status;                                              \
    } while (0)

#endif
