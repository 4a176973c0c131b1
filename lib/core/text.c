#include "core/text.h"

#include <stdint.h>

// Leading byte ranges and what they allow: RFC 3629 section 4. `low` and `high` bound the second
// byte, which is where overlong forms, surrogates and values above U+10FFFF show; U+80..9F are
// controls.
static const struct {
    uint8_t first, last, low, high, following;
} sequences[] = {
    {0x20, 0x7e, 0, 0, 0},       {0xc2, 0xc2, 0xa0, 0xbf, 1}, {0xc3, 0xdf, 0x80, 0xbf, 1},
    {0xe0, 0xe0, 0xa0, 0xbf, 2}, {0xe1, 0xec, 0x80, 0xbf, 2}, {0xed, 0xed, 0x80, 0x9f, 2},
    {0xee, 0xef, 0x80, 0xbf, 2}, {0xf0, 0xf0, 0x90, 0xbf, 3}, {0xf1, 0xf3, 0x80, 0xbf, 3},
    {0xf4, 0xf4, 0x80, 0x8f, 3},
};

// Bytes of the character at `at`, or 0 when it is not allowed.
static size_t character_bytes(const uint8_t *at, size_t left) {
    for (size_t i = 0; i < sizeof sequences / sizeof *sequences; i++) {
        if (*at < sequences[i].first || *at > sequences[i].last) continue;
        size_t following = sequences[i].following;
        if (following == 0) return 1;
        if (following >= left || at[1] < sequences[i].low || at[1] > sequences[i].high) return 0;
        for (size_t j = 2; j <= following; j++)
            if (at[j] < 0x80 || at[j] > 0xbf) return 0;
        return following + 1;
    }
    return 0;
}

bool xnor_text_valid(const char *text, size_t bytes) {
    const uint8_t *at = (const uint8_t *)text;
    while (bytes) {
        size_t length = character_bytes(at, bytes);
        if (length == 0) return false;
        at += length;
        bytes -= length;
    }
    return true;
}
