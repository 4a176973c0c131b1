// Chains: element-wise per-channel functions (and views that keep channels) between an accumulator
// and some value. Such a chain is a function of one integer per channel, whatever operators it is
// made of.
#ifndef XNOR_PASSES_CHAIN_H
#define XNOR_PASSES_CHAIN_H

#include "passes/rewrite.h"

enum { XNOR_CHAIN_MAX = 32 };

typedef struct xnor_chain {
    xnor_value_id acc;              // where it starts: a value of dtype acc
    uint32_t nodes[XNOR_CHAIN_MAX]; // node indices, from acc to the end
    uint32_t count;
    // Sums that acc can take: -bound, -bound + step, ..., bound
    int64_t bound, step;
} xnor_chain;

// Which input of a chain's node the chain runs through.
uint32_t xnor_chain_input(const xnor_graph *graph, const xnor_node *node);
// Finds the chain that ends in `value`; false when there is none.
bool xnor_chain_find(const xnor_graph *graph, xnor_value_id value, xnor_chain *out);
size_t xnor_chain_values(const xnor_chain *chain);
size_t xnor_chain_channels(const xnor_graph *graph, const xnor_chain *chain);
// Evaluates the chain in double at every reachable sum. *out: [values, channels] from graph->arena.
XNOR_NODISCARD xnor_status xnor_chain_evaluate(xnor_graph *graph, const xnor_chain *chain,
                                               double **out);
// Copies the chain's views (views = true) or its functions, in order, onto `x`.
XNOR_NODISCARD xnor_status xnor_chain_copy(xnor_graph *graph, uint32_t *at, const xnor_chain *chain,
                                           bool views, xnor_value_id x, xnor_value_id *out);
// The node that makes `acc`: an integer layer or a sum of such; UINT32_MAX when a reduction is
// between.
uint32_t xnor_chain_layer(const xnor_graph *graph, const xnor_chain *chain);
// A copy of what xnor_chain_layer found with the weights of channels where flip[c] is set negated,
// so that their sums are negated; the chain's accumulator views, if any, are not copied.
XNOR_NODISCARD xnor_status xnor_chain_flip(xnor_graph *graph, uint32_t *at, uint32_t layer,
                                           const bool *flip, xnor_value_id *out);

typedef enum xnor_slope { XNOR_FLAT, XNOR_RISES, XNOR_FALLS, XNOR_NEITHER } xnor_slope;
// The direction of a function of a chain in channel c, whatever its input: no sampling proves it of reals.
xnor_slope xnor_slope_of(const xnor_graph *graph, const xnor_node *node, size_t c);

#endif
