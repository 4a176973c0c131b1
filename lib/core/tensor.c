#include "core/tensor.h"

#include <stdio.h>
#include <string.h>

#include "core/size.h"

static const struct {
    const char *name;
    size_t bytes;
} dtypes[XNOR_DTYPE_COUNT] = {
#define ROW(name, text, size) [XNOR_##name] = {text, size},
    XNOR_DTYPE_TABLE(ROW)
#undef ROW
};

const char *xnor_dtype_name(xnor_dtype dtype) {
    return (size_t)dtype < XNOR_DTYPE_COUNT ? dtypes[dtype].name : "unknown";
}

size_t xnor_dtype_bytes(xnor_dtype dtype) {
    return dtypes[dtype].bytes;
}

xnor_status xnor_shape_count(const xnor_shape *shape, size_t *out) {
    size_t count = 1;
    for (uint32_t i = 0; i < shape->rank; i++) {
        if (shape->dims[i] < 0) return xnor_fail(XNOR_E_SHAPE, "dimension %u is unknown", i);
        if (!xnor_size_mul(count, (size_t)shape->dims[i], &count))
            return xnor_fail(XNOR_E_LIMIT, "number of elements overflows");
    }
    *out = count;
    return XNOR_OK;
}

bool xnor_shape_known(const xnor_shape *shape) {
    for (uint32_t i = 0; i < shape->rank; i++)
        if (shape->dims[i] < 0) return false;
    return true;
}

bool xnor_shape_equal(const xnor_shape *a, const xnor_shape *b) {
    if (a->rank != b->rank) return false;
    for (uint32_t i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i]) return false;
    return true;
}

int64_t xnor_shape_last(const xnor_shape *shape) {
    return shape->rank ? shape->dims[shape->rank - 1] : 1;
}

size_t xnor_shape_rows(const xnor_shape *shape) {
    size_t rows = 1;
    for (uint32_t i = 0; i + 1 < shape->rank; i++) rows *= (size_t)shape->dims[i];
    return rows;
}

char *xnor_shape_text(const xnor_shape *shape, char *buffer, size_t size) {
    size_t used = (size_t)snprintf(buffer, size, "[");
    for (uint32_t i = 0; i < shape->rank && used < size; i++) {
        const char *comma = i ? ", " : "";
        int written = shape->dims[i] < 0 ? snprintf(buffer + used, size - used, "%s?", comma)
                                         : snprintf(buffer + used, size - used, "%s%lld", comma,
                                                    (long long)shape->dims[i]);
        used += (size_t)written;
    }
    if (used < size) snprintf(buffer + used, size - used, "]");
    return buffer;
}

xnor_status xnor_tensor_bytes(xnor_dtype dtype, const xnor_shape *shape, size_t *out) {
    size_t count = 0;
    XNOR_TRY(xnor_shape_count(shape, &count));
    size_t bytes = 0;
    if (dtype == XNOR_BITS || dtype == XNOR_TERNARY) {
        size_t words = xnor_words((size_t)xnor_shape_last(shape));
        size_t planes = dtype == XNOR_TERNARY ? 2 : 1;
        if (!xnor_size_mul(xnor_shape_rows(shape), words * planes, &bytes) ||
            !xnor_size_mul(bytes, sizeof(uint64_t), &bytes))
            return xnor_fail(XNOR_E_LIMIT, "tensor size overflows");
    } else if (!xnor_size_mul(count, dtypes[dtype].bytes, &bytes)) {
        return xnor_fail(XNOR_E_LIMIT, "tensor size overflows");
    }
    *out = bytes;
    return XNOR_OK;
}

// Word and bit of element `index` in the first plane.
static size_t bit_position(const xnor_tensor *t, size_t index, uint64_t *bit) {
    size_t cols = (size_t)xnor_shape_last(&t->shape);
    size_t col = index % cols;
    *bit = UINT64_C(1) << (col % 64);
    return index / cols * xnor_words(cols) + col / 64;
}

static size_t plane_words(const xnor_tensor *t) {
    return xnor_shape_rows(&t->shape) * xnor_words((size_t)xnor_shape_last(&t->shape));
}

static void set_bit(uint64_t *words, size_t word, uint64_t bit, bool on) {
    words[word] = on ? words[word] | bit : words[word] & ~bit;
}

double xnor_tensor_get(const xnor_tensor *t, size_t index) {
    uint64_t bit;
    switch (t->dtype) {
    case XNOR_F32:
        return ((const float *)t->data)[index];
    case XNOR_F64:
        return ((const double *)t->data)[index];
    case XNOR_I32:
    case XNOR_ACC:
        return ((const int32_t *)t->data)[index];
    case XNOR_I64:
        return (double)((const int64_t *)t->data)[index];
    case XNOR_U8:
    case XNOR_BOOL:
        return ((const uint8_t *)t->data)[index];
    case XNOR_BITS: {
        size_t word = bit_position(t, index, &bit);
        return ((const uint64_t *)t->data)[word] & bit ? 1 : -1;
    }
    case XNOR_TERNARY: {
        size_t word = bit_position(t, index, &bit);
        const uint64_t *words = t->data;
        if (!(words[plane_words(t) + word] & bit)) return 0;
        return words[word] & bit ? 1 : -1;
    }
    case XNOR_DTYPE_COUNT:
        break;
    }
    return 0;
}

// The nearest integer in [low, high] towards 0; NaN becomes 0 (C leaves both undefined).
static int64_t to_integer(double value, double low, double high) {
    if (!(value > low)) return value == value ? (int64_t)low : 0;
    return value < high ? (int64_t)value : (int64_t)high;
}

void xnor_tensor_set(xnor_tensor *t, size_t index, double value) {
    uint64_t bit;
    switch (t->dtype) {
    case XNOR_F32:
        ((float *)t->data)[index] = (float)value;
        break;
    case XNOR_F64:
        ((double *)t->data)[index] = value;
        break;
    case XNOR_I32:
    case XNOR_ACC:
        ((int32_t *)t->data)[index] = (int32_t)to_integer(value, INT32_MIN, INT32_MAX);
        break;
    case XNOR_I64:
        // The largest double below 2^63.
        ((int64_t *)t->data)[index] =
            to_integer(value, -9223372036854775808.0, 9223372036854774784.0);
        break;
    case XNOR_U8:
        ((uint8_t *)t->data)[index] = (uint8_t)to_integer(value, 0, UINT8_MAX);
        break;
    case XNOR_BOOL:
        ((uint8_t *)t->data)[index] = value != 0;
        break;
    case XNOR_BITS: {
        size_t word = bit_position(t, index, &bit);
        set_bit(t->data, word, bit, value >= 0);
        break;
    }
    case XNOR_TERNARY: {
        size_t word = bit_position(t, index, &bit);
        set_bit(t->data, word, bit, value > 0);
        set_bit((uint64_t *)t->data + plane_words(t), word, bit, value != 0);
        break;
    }
    case XNOR_DTYPE_COUNT:
        break;
    }
}

int64_t xnor_tensor_get_int(const xnor_tensor *t, size_t index) {
    if (t->dtype == XNOR_I64) return ((const int64_t *)t->data)[index];
    double value = xnor_tensor_get(t, index);
    if (!(value > -9.2e18)) return INT64_MIN;
    return value < 9.2e18 ? (int64_t)value : INT64_MAX;
}

void xnor_tensor_move(xnor_tensor *to, size_t at, const xnor_tensor *from, size_t index) {
    size_t bytes = dtypes[to->dtype].bytes;
    if (to->dtype == from->dtype && bytes)
        memcpy((uint8_t *)to->data + at * bytes, (const uint8_t *)from->data + index * bytes,
               bytes);
    else
        xnor_tensor_set(to, at, xnor_tensor_get(from, index));
}

void xnor_tensor_move_run(xnor_tensor *to, size_t at, const xnor_tensor *from, size_t index,
                          size_t count) {
    size_t bytes = to->dtype == from->dtype ? dtypes[to->dtype].bytes : 0;
    if (bytes && count)
        memcpy((uint8_t *)to->data + at * bytes, (const uint8_t *)from->data + index * bytes,
               count * bytes);
    for (size_t i = 0; !bytes && i < count; i++) xnor_tensor_move(to, at + i, from, index + i);
}
