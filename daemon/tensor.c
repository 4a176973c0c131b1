#include "tensor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct {
    xnord_datatype datatype;
    xnor_dtype dtype;
} pairs[] = {
    {XNORD_FP32, XNOR_F32},  {XNORD_FP64, XNOR_F64},  {XNORD_INT32, XNOR_I32},
    {XNORD_INT64, XNOR_I64}, {XNORD_UINT8, XNOR_U8},  {XNORD_BOOL, XNOR_BOOL},
    {XNORD_INT32, XNOR_ACC}, {XNORD_BIT1, XNOR_BITS},
};
#define PAIR_COUNT (sizeof pairs / sizeof pairs[0])

bool tensor_dtype(xnord_datatype datatype, xnor_dtype *out) {
    for (size_t i = 0; i < PAIR_COUNT; i++) {
        if (pairs[i].datatype != datatype) continue;
        *out = pairs[i].dtype;
        return true;
    }
    return false;
}

xnord_datatype tensor_datatype(xnor_dtype dtype) {
    for (size_t i = 0; i < PAIR_COUNT; i++)
        if (pairs[i].dtype == dtype) return pairs[i].datatype;
    return XNORD_BIT1;
}

bool tensor_shape_equal(const xnor_shape *a, const xnor_shape *b) {
    return a->rank == b->rank && memcmp(a->dims, b->dims, a->rank * sizeof a->dims[0]) == 0;
}

bool tensor_shape_fits(const xnor_shape *port, const xnor_shape *shape) {
    if (port->rank != shape->rank) return false;
    for (uint32_t i = 0; i < port->rank; i++)
        if (port->dims[i] >= 0 && port->dims[i] != shape->dims[i]) return false;
    return true;
}

const char *tensor_shape_text(const xnor_shape *shape, char *text, size_t size) {
    size_t length = (size_t)snprintf(text, size, "[");
    for (uint32_t i = 0; i < shape->rank && length < size; i++) {
        const char *comma = i > 0 ? ", " : "";
        int written = shape->dims[i] < 0 ? snprintf(text + length, size - length, "%s?", comma)
                                         : snprintf(text + length, size - length, "%s%" PRId64,
                                                    comma, shape->dims[i]);
        length += (size_t)written;
    }
    if (length < size) snprintf(text + length, size - length, "]");
    return text;
}

size_t tensor_first_not_finite(const void *data, size_t count) {
    const unsigned char *bytes = data;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, bytes + i * sizeof bits, sizeof bits);
        if ((bits & 0x7F800000u) == 0x7F800000u) return i; // exponent of infinities and NaNs
    }
    return count;
}
