// Names from outside: what may be shown on a terminal or put into a log line or JSON string as it
// is.
#ifndef XNOR_CORE_TEXT_H
#define XNOR_CORE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

// Well-formed UTF-8 (RFC 3629) without control characters (U+0000..1F, U+7F..9F).
bool xnor_text_valid(const char *text, size_t bytes);

#endif
