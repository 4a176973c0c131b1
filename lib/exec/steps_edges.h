// Features of the edges between points and their neighbours.
#ifndef XNOR_EXEC_STEPS_EDGES_H
#define XNOR_EXEC_STEPS_EDGES_H

#include "exec/plan.h"

// Wider features are stored before a linear layer.
enum { XNOR_EDGES_MAX_FEATURES = 64 };
// Of a linear layer that takes a point's own features once.
enum { XNOR_EDGES_MAX_OUTPUTS = 256 };

static inline const xnor_attr *xnor_edges_parts(const xnor_node *node) {
    return xnor_node_attr(node, XNOR_ATTR_PARTS);
}

#endif
