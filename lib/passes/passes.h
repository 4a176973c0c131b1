// Graph rewrites, one file each, run in the fixed order of XNOR_PASS_TABLE by xnor_passes_run; the
// verifier runs after each. A pass leaves the graph's meaning as it was in exact real arithmetic.
#ifndef XNOR_PASSES_H
#define XNOR_PASSES_H

#include <stdio.h>

#include "graph/graph.h"

// X(name, summary)
#define XNOR_PASS_TABLE(X)                                                                         \
    X(fold, "evaluate constants in double; shapes that are known become constants")                \
    X(canonicalise, "linear layers, affine for per-channel arithmetic, channels last")             \
    X(gather, "rows picked by index, in whatever form, become GatherRows")                         \
    X(knn, "pairwise distances and TopK become k nearest neighbours")                              \
    X(binarize, "signs become bits or ternary, ±scale weights become bits")                        \
    X(grouped, "convolutions of signs over their whole input: a layer of bits for each group")     \
    X(check,                                                                                       \
      "layers that cannot be meant are refused: untrained scales, weights that are no numbers")    \
    X(split, "layers over a concatenation: each part by itself, constant parts once per cloud")    \
    X(regather, "what is done with rows by themselves is done before neighbours are gathered")     \
    X(aggregate, "max over points moves before monotone chains: integer maximum")                  \
    X(pool, "signs of pooled or enlarged pictures are taken first")                                \
    X(threshold, "chains from accumulators to signs become integer thresholds or tables")          \
    X(join, "layers that all look at every point become one layer over joined bits")               \
    X(merge, "affine into affine and into float linear layers")

#define XNOR_PASS_DECLARE(name, summary) XNOR_NODISCARD xnor_status xnor_pass_##name(xnor_graph *);
XNOR_PASS_TABLE(XNOR_PASS_DECLARE)
#undef XNOR_PASS_DECLARE

// fold with a limit on the bytes of the constants that it makes: XNOR_E_LIMIT names the node. Plans use
// it, because a client's shapes decide how large they become.
XNOR_NODISCARD xnor_status xnor_fold_within(xnor_graph *graph, size_t limit);
// Runs when a plan is made, on a graph whose shapes are known: equal codes of points are evaluated
// once.
XNOR_NODISCARD xnor_status xnor_pass_distinct(xnor_graph *graph);
// Runs when a plan is made: gathers of neighbours and what EdgeConv makes of them.
XNOR_NODISCARD xnor_status xnor_pass_edges(xnor_graph *graph);

// Runs when a plan is made: nodes move right in front of what needs them, operands from left to right.
XNOR_NODISCARD xnor_status xnor_order(xnor_graph *graph);

// Runs every pass. dump_after: name of the pass after which the graph is printed to `dump`,
// "import" for the graph as it came, or NULL. XNOR_E_ARGUMENT lists the names when there is no such
// pass.
XNOR_NODISCARD xnor_status xnor_passes_run(xnor_graph *graph, const char *dump_after, FILE *dump);

#endif
