// Small tools that rewrites share.
#ifndef XNOR_PASSES_REWRITE_H
#define XNOR_PASSES_REWRITE_H

#include "graph/graph.h"
#include "ops/ops.h"

// A rule looks at node `index` and may rewrite it; *changed tells. Node indices are invalid
// afterwards.
typedef xnor_status (*xnor_rule)(xnor_graph *graph, uint32_t index, bool *changed);

// Applies `rules` (NULL-terminated) to every node, first nodes first, until none changes anything;
// runs shape rules after each change.
XNOR_NODISCARD xnor_status xnor_rewrite(xnor_graph *graph, const xnor_rule *rules);

// Inserts a node before index *at and advances *at. *out: its new value; pass an existing id in
// *out (not XNOR_NO_VALUE) to let the node make that value instead. Runs the shape rule.
XNOR_NODISCARD xnor_status xnor_emit(xnor_graph *graph, uint32_t *at, xnor_op op, const char *name,
                                     const xnor_value_id *inputs, uint32_t input_count,
                                     xnor_value_id *out);
XNOR_NODISCARD xnor_status xnor_emit_transpose(xnor_graph *graph, uint32_t *at, const char *name,
                                               xnor_value_id x, const uint32_t *perm,
                                               xnor_value_id *out);
// y = scale·x + shift along the last axis; scale and shift are copied ([channels]) and stay in
// double until the merge pass, so that thresholds are computed from unrounded parameters.
XNOR_NODISCARD xnor_status xnor_emit_affine(xnor_graph *graph, uint32_t *at, const char *name,
                                            xnor_value_id x, const double *scale,
                                            const double *shift, size_t channels,
                                            xnor_value_id *out);
// The node `node` as operator `op` with its attributes and other inputs, inserted before *at.
XNOR_NODISCARD xnor_status xnor_emit_as(xnor_graph *graph, uint32_t *at, xnor_op op,
                                        const xnor_node *node, const xnor_value_id *inputs,
                                        uint32_t input_count, xnor_value_id *out);
// Copies node `index` (op and attributes) with other inputs, inserted before *at.
XNOR_NODISCARD xnor_status xnor_emit_copy(xnor_graph *graph, uint32_t *at, uint32_t index,
                                          const xnor_value_id *inputs, xnor_value_id *out);

// Removes a node whose output equals its input `x`.
XNOR_NODISCARD xnor_status xnor_bypass(xnor_graph *graph, uint32_t index, xnor_value_id x);

// Rule: removes nodes whose output equals their input.
xnor_status xnor_drop_noop(xnor_graph *graph, uint32_t index, bool *changed);
// Rule: a node equal to an earlier one is replaced by it.
xnor_status xnor_drop_duplicate(xnor_graph *graph, uint32_t index, bool *changed);
// Rounds every constant held in double to float32.
XNOR_NODISCARD xnor_status xnor_narrow_constants(xnor_graph *graph);

// Element of a constant.
double xnor_constant_get(const xnor_graph *graph, xnor_value_id id, size_t index);
bool xnor_is_constant(const xnor_graph *graph, xnor_value_id id);
size_t xnor_constant_count(const xnor_graph *graph, xnor_value_id id);
// True when constant `id`, broadcast against a value of rank `rank`, varies only along `axis`.
bool xnor_constant_along(const xnor_graph *graph, xnor_value_id id, uint32_t rank, uint32_t axis);

// True for a view that leaves the last axis as it is, so per-channel meaning survives.
bool xnor_keeps_channels(const xnor_graph *graph, const xnor_node *node);
// Index of the node's only non-constant input; UINT32_MAX when there is none or more than one.
uint32_t xnor_only_variable(const xnor_graph *graph, const xnor_node *node);
// True when the node maps each element of its one variable input by a function that depends on the
// channel (last axis) only.
bool xnor_is_per_channel(const xnor_graph *graph, const xnor_node *node);

#endif
