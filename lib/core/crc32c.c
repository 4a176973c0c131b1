#include "core/crc32c.h"

#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

// Remainders of the 16 nibbles by the reflected polynomial 0x82f63b78. Two steps per byte are a
// quarter of the speed of a full table, but only CPUs of before 2008 come here.
static const uint32_t nibbles[16] = {
    0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
    0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

uint32_t xnor_crc32c_portable(uint32_t crc, const void *data, size_t size) {
    const uint8_t *bytes = data;
    crc = ~crc;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        crc = crc >> 4 ^ nibbles[crc & 15];
        crc = crc >> 4 ^ nibbles[crc & 15];
    }
    return ~crc;
}

#if defined(__x86_64__)

static bool have_instructions(void) {
    return __builtin_cpu_supports("sse4.2");
}

__attribute__((target("sse4.2"))) static uint32_t
with_instructions(uint32_t crc, const uint8_t *bytes, size_t size) {
    uint64_t state = ~crc;
    for (; size >= 8; bytes += 8, size -= 8) {
        uint64_t word;
        memcpy(&word, bytes, sizeof word);
        state = _mm_crc32_u64(state, word);
    }
    uint32_t tail = (uint32_t)state;
    for (; size; bytes++, size--) tail = _mm_crc32_u8(tail, *bytes);
    return ~tail;
}

#elif defined(__aarch64__)

static bool have_instructions(void) {
    return (getauxval(AT_HWCAP) & (1UL << 7)) != 0; // HWCAP_CRC32
}

// Assembly, because arm_acle.h offers the intrinsics only to a file compiled with +crc throughout.
static uint32_t with_instructions(uint32_t crc, const uint8_t *bytes, size_t size) {
    uint32_t state = ~crc;
    for (; size >= 8; bytes += 8, size -= 8) {
        uint64_t word;
        memcpy(&word, bytes, sizeof word);
        __asm__(".arch_extension crc\n\tcrc32cx %w0, %w0, %x1" : "+r"(state) : "r"(word));
    }
    for (; size; bytes++, size--)
        __asm__(".arch_extension crc\n\tcrc32cb %w0, %w0, %w1"
                : "+r"(state)
                : "r"((uint32_t)*bytes));
    return ~state;
}

#else

static bool have_instructions(void) {
    return false;
}

static uint32_t with_instructions(uint32_t crc, const uint8_t *bytes, size_t size) {
    return xnor_crc32c_portable(crc, bytes, size);
}

#endif

uint32_t xnor_crc32c(uint32_t crc, const void *data, size_t size) {
    if (have_instructions()) return with_instructions(crc, data, size);
    return xnor_crc32c_portable(crc, data, size);
}
