// The calling thread's last failure: what xnord_last_error() and xnord_last_retry_ms() say.
#ifndef XNORD_FAILURE_H
#define XNORD_FAILURE_H

#include "include/xnord.h"

// Stores the message and returns `status`.
xnord_status xnord_fail(xnord_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
// The same with the server's advice when to ask again.
xnord_status xnord_fail_retry(xnord_status status, uint64_t retry_ms, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define XNORD_TRY(call)                                                                            \
    do {                                                                                           \
        xnord_status try_status = (call);                                                          \
        if (try_status != XNORD_OK) return try_status;                                             \
    } while (0)

#endif
