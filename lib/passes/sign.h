// What is a sign. Networks write the binarization of an activation in many ways; all of them are a
// function of the sign of one value, that is, of three numbers: for x < 0, x = 0 and x > 0.
#ifndef XNOR_PASSES_SIGN_H
#define XNOR_PASSES_SIGN_H

#include "passes/rewrite.h"

// y[.., c] = scale[c]·s(x[.., c]) + shift[c] with s(x) = ±1 and s(0) = zero.
typedef struct xnor_sign {
    xnor_value_id x;
    double zero;                 // -1, 0 or +1
    const double *scale, *shift; // [channels], from graph->arena
} xnor_sign;

// Recognises `value` as a function of the sign of some x: *found tells. Comparisons with 0, Sign, and
// whatever element-wise operators with constants per channel are applied to their results (Where,
// Cast, 2·b - 1, ..), also where what is signed was rectified before ({0, 1} activations).
XNOR_NODISCARD xnor_status xnor_sign_find(xnor_graph *graph, xnor_value_id value, xnor_sign *out,
                                          bool *found);

// The earliest value with the same sign as `x`: functions that keep signs (Clip around 0, Tanh, a
// positive scale) are skipped.
xnor_value_id xnor_before_sign(const xnor_graph *graph, xnor_value_id x);
// Value that an xnor_binarize of `x` should have for 0: +1 (bits) when 0 is excluded, else `zero`.
// Signs of accumulators keep `zero`: the threshold pass decides.
double xnor_sign_of_zero(const xnor_graph *graph, xnor_value_id x, double zero);
// True when `x` is a function of one accumulator, perhaps after a maximum.
bool xnor_comes_from_acc(const xnor_graph *graph, xnor_value_id x);

#endif
