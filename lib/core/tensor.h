// Shapes and element access for tensors of every dtype.
#ifndef XNOR_CORE_TENSOR_H
#define XNOR_CORE_TENSOR_H

#include "core/status.h"

// Number of elements; XNOR_E_SHAPE when a dimension is unknown, XNOR_E_LIMIT on overflow.
XNOR_NODISCARD xnor_status xnor_shape_count(const xnor_shape *shape, size_t *out);
bool xnor_shape_known(const xnor_shape *shape);
bool xnor_shape_equal(const xnor_shape *a, const xnor_shape *b);
// Last dimension; 1 for a scalar.
int64_t xnor_shape_last(const xnor_shape *shape);
// Elements / last dimension, for a known shape.
size_t xnor_shape_rows(const xnor_shape *shape);
// "[1, 1024, ?]" into a caller's buffer; returns the buffer.
char *xnor_shape_text(const xnor_shape *shape, char *buffer, size_t size);
enum { XNOR_SHAPE_TEXT = 160 };

size_t xnor_dtype_bytes(xnor_dtype dtype); // 0 for packed types

// Elements of a dense known-shape tensor.
static inline size_t xnor_tensor_count(const xnor_tensor *t) {
    size_t count = 1;
    for (uint32_t i = 0; i < t->shape.rank; i++) count *= (size_t)t->shape.dims[i];
    return count;
}

// The one obvious way to read or write element `index` (row-major) of any tensor as a number.
// Bits read as -1 or +1, ternary as -1, 0 or +1. Writing stores the sign (bits: value >= 0).
double xnor_tensor_get(const xnor_tensor *t, size_t index);
void xnor_tensor_set(xnor_tensor *t, size_t index, double value);
// Exact for i64, where double is not; truncates real values.
int64_t xnor_tensor_get_int(const xnor_tensor *t, size_t index);
// to[at] = from[index]; exact when the dtypes are equal.
void xnor_tensor_move(xnor_tensor *to, size_t at, const xnor_tensor *from, size_t index);
// The same for `count` consecutive elements.
void xnor_tensor_move_run(xnor_tensor *to, size_t at, const xnor_tensor *from, size_t index,
                          size_t count);

#endif
