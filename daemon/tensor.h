// Tensors between the wire and the engine: datatypes, shapes, texts about them. Pure functions.
#ifndef XNORD_TENSOR_H
#define XNORD_TENSOR_H

#include "proto.h"
#include "xnor.h"

#include <stdbool.h>
#include <stddef.h>

// The engine's name for a datatype of the wire. False: the engine has none.
bool tensor_dtype(xnord_datatype datatype, xnor_dtype *out);
// The wire's name for an engine type; INT32 for accumulators, BIT1 for bits.
xnord_datatype tensor_datatype(xnor_dtype dtype);

bool tensor_shape_equal(const xnor_shape *a, const xnor_shape *b);
// Whether `shape` has the rank of `port` and its known dimensions.
bool tensor_shape_fits(const xnor_shape *port, const xnor_shape *shape);
// "[1, 1024, 3]"; unknown dimensions are "?". Returns `text`.
const char *tensor_shape_text(const xnor_shape *shape, char *text, size_t size);
#define TENSOR_SHAPE_TEXT_BYTES 64

// Index of the first value of `count` unaligned float32 that is NaN or infinite; `count` if none
// is.
size_t tensor_first_not_finite(const void *data, size_t count);

#endif
