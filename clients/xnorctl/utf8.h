// Just enough UTF-8 to print names from elsewhere safely.
#ifndef XNORCTL_UTF8_H
#define XNORCTL_UTF8_H

#include <stddef.h>

// Bytes of the character at `text` (not ""), or 0 if the bytes there are not UTF-8. RFC 3629: no
// overlong forms, no surrogates, nothing above U+10FFFF.
size_t utf8_size(const char *text);
// Characters of `text`; a byte that is not UTF-8 counts as one. Wide and combining characters count
// as one too, so a column may be off by them.
size_t utf8_length(const char *text);

#endif
