// Texts of the tests of readers.
#ifndef TEXT_SUPPORT_H
#define TEXT_SUPPORT_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// `text` with the first `old` replaced; lasts as long as the test.
static inline char *text_with(const char *text, const char *old, const char *new) {
    const char *at = strstr(text, old);
    cr_assert_not_null(at, "%s", old);
    char *out = malloc(strlen(text) + strlen(new) + 1);
    sprintf(out, "%.*s%s%s", (int)(at - text), text, new, at + strlen(old));
    return out;
}

#endif
