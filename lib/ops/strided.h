// Operators that go through their input by fixed steps along each axis of the result.
#ifndef XNOR_OPS_STRIDED_H
#define XNOR_OPS_STRIDED_H

#include "ops/ops.h"

// Attribute "mode" of DepthToSpace: whether the block or the channel comes first in the depth.
enum { XNOR_DEPTH_COLUMN_ROW, XNOR_COLUMN_ROW_DEPTH };

// The walk over the result of a Transpose, DepthToSpace, SpaceToDepth or Slice of inputs of known shapes, in row-major
// order, though perhaps over more axes than the result has; its input 0 is where each element comes from. The data of
// in[0] is not looked at.
XNOR_NODISCARD xnor_status xnor_strided_walk(const xnor_node *node, const xnor_tensor *in,
                                             xnor_walk *out);

#endif
