// Numbers as they lie in point files: eleven types, both byte orders, no alignment.
#ifndef XNORCTL_SCALAR_H
#define XNORCTL_SCALAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCALAR_TABLE(X)                                                                            \
    X(I8, 1)                                                                                       \
    X(U8, 1)                                                                                       \
    X(I16, 2)                                                                                      \
    X(U16, 2)                                                                                      \
    X(I32, 4)                                                                                      \
    X(U32, 4)                                                                                      \
    X(I64, 8)                                                                                      \
    X(U64, 8)                                                                                      \
    X(F16, 2)                                                                                      \
    X(F32, 4)                                                                                      \
    X(F64, 8)

typedef enum scalar_type {
#define SCALAR_ENUM(name, size) SCALAR_##name,
    SCALAR_TABLE(SCALAR_ENUM)
#undef SCALAR_ENUM
        SCALAR_TYPE_COUNT
} scalar_type;

size_t scalar_size(scalar_type type);
bool scalar_is_integer(scalar_type type);
// Reads scalar_size(type) bytes. 64-bit integers beyond 2^53 are rounded.
double scalar_load(scalar_type type, const uint8_t *bytes, bool big_endian);

#endif
