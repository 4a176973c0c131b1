// Why something failed, in words for the operator: what was expected, what was found, where.
// A plain value owned by the caller; no thread rules.
#ifndef XNORD_REASON_H
#define XNORD_REASON_H

#include "xnor.h"

#define REASON_BYTES 256

struct reason {
    char text[REASON_BYTES];
};

// Writes the text (cut to fit) and returns `status`, so that failing is one statement.
xnor_status reason_set(struct reason *why, xnor_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
