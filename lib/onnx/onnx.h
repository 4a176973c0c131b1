// ONNX importer: one ONNX node becomes one graph node, nothing clever happens here.
// A static library of its own (protobuf-c); only the compiler links it.
#ifndef XNOR_ONNX_H
#define XNOR_ONNX_H

#include "graph/graph.h"

// Reads MODEL.onnx into an initialised, empty graph. XNOR_E_UNSUPPORTED names the node and the
// operator (and the attribute or opset that is not supported); XNOR_E_FORMAT says what is damaged.
XNOR_NODISCARD xnor_status xnor_onnx_read_file(const char *path, xnor_graph *graph);
XNOR_NODISCARD xnor_status xnor_onnx_read(const void *data, size_t size, xnor_graph *graph);

#endif
