#include "clients/xnorctl/utf8.h"

#include <stdint.h>

size_t utf8_size(const char *text) {
    const uint8_t *s = (const uint8_t *)text;
    if (s[0] < 0x80) return 1;
    const size_t size = s[0] >= 0xc2 && s[0] <= 0xdf   ? 2
                        : s[0] >= 0xe0 && s[0] <= 0xef ? 3
                        : s[0] >= 0xf0 && s[0] <= 0xf4 ? 4
                                                       : 0;
    for (size_t i = 1; i < size; i++) // stops at the final zero byte
        if ((s[i] & 0xc0) != 0x80) return 0;
    if (s[0] == 0xe0 && s[1] < 0xa0) return 0;
    if (s[0] == 0xed && s[1] > 0x9f) return 0;
    if (s[0] == 0xf0 && s[1] < 0x90) return 0;
    if (s[0] == 0xf4 && s[1] > 0x8f) return 0;
    return size;
}

size_t utf8_length(const char *text) {
    size_t length = 0;
    while (*text) {
        const size_t size = utf8_size(text);
        text += size ? size : 1;
        length++;
    }
    return length;
}
