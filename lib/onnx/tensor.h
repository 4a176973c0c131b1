// TensorProto and element types. Types that the engine lacks become the nearest that holds all
// values: float16 and bfloat16 f32, int8, int16 and uint16 i32, uint32 i64.
#ifndef XNOR_ONNX_TENSOR_H
#define XNOR_ONNX_TENSOR_H

#include "graph/graph.h"
#include "onnx/unpack.h"

// Element type of a graph input or of a Cast: only types that compute the same afterwards, and the
// half-precision floats, which compute in f32.
XNOR_NODISCARD xnor_status xnor_onnx_dtype(const char *where, int32_t type, xnor_dtype *out);
// Adds a constant. `where` begins the error message: "initializer 'conv1.weight'".
XNOR_NODISCARD xnor_status xnor_onnx_add_tensor(xnor_graph *graph, const char *where,
                                                const char *name, const Onnx__TensorProto *tensor,
                                                xnor_value_id *out);

#endif
