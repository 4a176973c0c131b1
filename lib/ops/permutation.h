// Operators whose result has every element of their input once, in another order.
#ifndef XNOR_OPS_PERMUTATION_H
#define XNOR_OPS_PERMUTATION_H

#include "ops/ops.h"

// Attribute "mode" of DepthToSpace: whether the block or the channel comes first in the depth.
enum { XNOR_DEPTH_COLUMN_ROW, XNOR_COLUMN_ROW_DEPTH };

// The walk over the result of a Transpose, DepthToSpace or SpaceToDepth of an input of known shape `x`, in row-major
// order, though perhaps over more axes than the result has; its input 0 is where each element comes from.
XNOR_NODISCARD xnor_status xnor_permutation_walk(const xnor_node *node, const xnor_shape *x,
                                                 xnor_walk *out);

#endif
