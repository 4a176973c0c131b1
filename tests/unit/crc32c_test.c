#include <criterion/criterion.h>
#include <string.h>

#include "core/crc32c.h"

typedef uint32_t (*crc_function)(uint32_t crc, const void *data, size_t size);

static const crc_function functions[] = {xnor_crc32c, xnor_crc32c_portable};

// RFC 3720, appendix B.4, and the check value of the CRC catalogue.
Test(crc32c, published_vectors) {
    uint8_t zeros[32] = {0}, ones[32], up[32], down[32];
    memset(ones, 0xff, sizeof ones);
    for (int i = 0; i < 32; i++) up[i] = (uint8_t)i, down[i] = (uint8_t)(31 - i);
    static const uint8_t read_command[48] = {
        0x01,        0xc0,        [17] = 0x00, [16] = 0x14, [22] = 0x04,
        [27] = 0x14, [31] = 0x18, [32] = 0x28, [40] = 0x02};
    for (size_t f = 0; f < 2; f++) {
        cr_assert_eq(functions[f](0, zeros, 32), 0x8a9136aa);
        cr_assert_eq(functions[f](0, ones, 32), 0x62a8ab43);
        cr_assert_eq(functions[f](0, up, 32), 0x46dd794e);
        cr_assert_eq(functions[f](0, down, 32), 0x113fdb5c);
        cr_assert_eq(functions[f](0, read_command, 48), 0xd9963a56);
        cr_assert_eq(functions[f](0, "123456789", 9), 0xe3069283);
        cr_assert_eq(functions[f](0, "", 0), 0);
    }
}

Test(crc32c, instructions_agree_with_the_definition_at_every_length_and_alignment) {
    uint8_t data[96];
    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i * 151 + 17);
    for (size_t begin = 0; begin < 16; begin++)
        for (size_t size = 0; begin + size <= sizeof data; size++)
            cr_assert_eq(xnor_crc32c(7, data + begin, size),
                         xnor_crc32c_portable(7, data + begin, size), "%zu bytes from %zu", size,
                         begin);
}

Test(crc32c, continues_over_parts) {
    const char text[] = "the quick brown fox jumps over the lazy dog";
    uint32_t whole = xnor_crc32c(0, text, sizeof text);
    for (size_t cut = 0; cut <= sizeof text; cut++)
        cr_assert_eq(xnor_crc32c(xnor_crc32c(0, text, cut), text + cut, sizeof text - cut), whole);
}
