// Evaluates a whole graph with the operators' references, in double: the slow truth that compiled
// models are verified against.
#ifndef XNOR_EXEC_REFERENCE_H
#define XNOR_EXEC_REFERENCE_H

#include "graph/graph.h"

// inputs: one dense tensor per graph input. outputs[i].data: caller's buffers; shapes and dtypes
// are set and must fit what the caller allocated (capacity in bytes).
XNOR_NODISCARD xnor_status xnor_reference_run(const xnor_graph *graph, const xnor_tensor *inputs,
                                              xnor_tensor *outputs, const size_t *capacity);

#endif
