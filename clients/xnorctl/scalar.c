#include "clients/xnorctl/scalar.h"

#include <math.h>
#include <string.h>

size_t scalar_size(scalar_type type) {
    static const size_t sizes[] = {
#define SIZE(name, size) [SCALAR_##name] = size,
        SCALAR_TABLE(SIZE)
#undef SIZE
    };
    return sizes[type];
}

bool scalar_is_integer(scalar_type type) {
    return type < SCALAR_F16;
}

// IEEE 754 binary16: 1 sign bit, 5 exponent bits with bias 15, 10 fraction bits.
static double half_to_double(uint16_t bits) {
    const int exponent = bits >> 10 & 31;
    const int fraction = bits & 1023;
    double magnitude;
    if (exponent == 31)
        magnitude = fraction ? (double)NAN : (double)INFINITY;
    else if (exponent == 0)
        magnitude = ldexp(fraction, -24);
    else
        magnitude = ldexp(1024 + fraction, exponent - 25);
    return bits & 0x8000 ? -magnitude : magnitude;
}

static double bits_to_double(scalar_type type, uint64_t bits) {
    float single;
    double wide;
    const uint32_t low = (uint32_t)bits;
    switch (type) {
    case SCALAR_I8:
        return (int8_t)bits;
    case SCALAR_I16:
        return (int16_t)bits;
    case SCALAR_I32:
        return (int32_t)bits;
    case SCALAR_I64:
        return (double)(int64_t)bits;
    case SCALAR_F16:
        return half_to_double((uint16_t)bits);
    case SCALAR_F32:
        memcpy(&single, &low, sizeof single);
        return (double)single;
    case SCALAR_F64:
        memcpy(&wide, &bits, sizeof wide);
        return wide;
    default:
        return (double)bits;
    }
}

double scalar_load(scalar_type type, const uint8_t *bytes, bool big_endian) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (type == SCALAR_F32 && !big_endian) { // nearly every file
        float single;
        memcpy(&single, bytes, sizeof single);
        return (double)single;
    }
#endif
    const size_t size = scalar_size(type);
    uint64_t bits = 0;
    for (size_t i = 0; i < size; i++) bits = bits << 8 | bytes[big_endian ? i : size - 1 - i];
    return bits_to_double(type, bits);
}
