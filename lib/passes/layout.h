// Rules that move transposes through the graph until they cancel.
#ifndef XNOR_PASSES_LAYOUT_H
#define XNOR_PASSES_LAYOUT_H

#include "passes/rewrite.h"

// Permutations from channels first ([B, C, ...]) to channels last ([B, ..., C]) and back.
void xnor_layout_perms(uint32_t rank, uint32_t *to_last, uint32_t *to_first);
bool xnor_layout_is_reduction(xnor_op op);
// Operators on pictures that say in attribute axis where the channels are.
bool xnor_layout_is_picture(xnor_op op);

// Transpose of a transpose; identity.
xnor_status xnor_layout_simplify(xnor_graph *graph, uint32_t index, bool *changed);
// A transpose that only moves axes of size 1 is a Reshape: to be asked once transposes have sunk,
// because a Reshape moves no further.
xnor_status xnor_layout_settle(xnor_graph *graph, uint32_t index, bool *changed);
// view(view(x)) -> Reshape(x): what is between may hide that channels stay the last axis.
xnor_status xnor_layout_join_views(xnor_graph *graph, uint32_t index, bool *changed);
// f(transpose(x)) -> transpose(f(x))
xnor_status xnor_layout_sink(xnor_graph *graph, uint32_t index, bool *changed);
// transpose(f(x)) -> f(transpose(x)), f element-wise
xnor_status xnor_layout_raise(xnor_graph *graph, uint32_t index, bool *changed);

// ---- shared by these rules ----------------------------------------------------------------------

// The transpose that makes `value`: true, its input and its permutation.
bool xnor_layout_transposed(const xnor_graph *graph, xnor_value_id value, xnor_value_id *x,
                            uint32_t *perm);
// A constant that broadcasts against transpose(x) as one that broadcasts against x.
XNOR_NODISCARD xnor_status xnor_layout_constant(xnor_graph *graph, xnor_value_id id,
                                                const uint32_t *perm, uint32_t rank,
                                                xnor_value_id *out);
// A Tile or Expand with one count, or size, for each axis of its input.
bool xnor_layout_repeats_axes(const xnor_graph *graph, const xnor_node *repeat);
// The counts of a repeat in the order of `perm`, which may be computed.
XNOR_NODISCARD xnor_status xnor_layout_emit_counts(xnor_graph *graph, uint32_t *at,
                                                   const xnor_node *repeat, const uint32_t *perm,
                                                   xnor_value_id *out);

#endif
