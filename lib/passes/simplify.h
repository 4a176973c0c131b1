// Rules of algebra: what training code and exporters leave in a graph without need.
#ifndef XNOR_PASSES_SIMPLIFY_H
#define XNOR_PASSES_SIMPLIFY_H

#include "passes/rewrite.h"

// Terms of a sum that cancel: (s - f) + f, s + f - f, (f - f) + s, s - 2·f + 2·f. In floats a
// rounding error would be left of them.
xnor_status xnor_simplify_sum(xnor_graph *graph, uint32_t index, bool *changed);
// c < x -> x > c; x > c -> x - c > 0: one form of comparison with a constant.
xnor_status xnor_simplify_comparison(xnor_graph *graph, uint32_t index, bool *changed);
// f(ConstantOfShape(s)) -> ConstantOfShape(s) of another value.
xnor_status xnor_simplify_uniform(xnor_graph *graph, uint32_t index, bool *changed);
// An operand that is one value in the shape of another operand (ones_like, zeros_like) -> a scalar.
xnor_status xnor_simplify_like(xnor_graph *graph, uint32_t index, bool *changed);
// f(x, Expand(r)) -> f(x, r) where x has the shape that r is expanded to.
xnor_status xnor_simplify_expand(xnor_graph *graph, uint32_t index, bool *changed);

#endif
