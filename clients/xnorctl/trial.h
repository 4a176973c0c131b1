// Trials: runs of a model on made-up input, for golden pairs and for verification.
#ifndef XNORCTL_TRIAL_H
#define XNORCTL_TRIAL_H

#include "exec/reference.h"
#include "include/xnor.h"

typedef struct trial {
    uint32_t input_count, output_count;
    xnor_tensor inputs[XNOR_MAX_PORTS], outputs[XNOR_MAX_PORTS]; // data owned
} trial;

// Makes inputs: real ones uniform in [-1, 1), integer ones 0 or 1, from `seed`; open axes get
// `points` elements (1 for the first). Outputs are allocated for a plan of these shapes.
XNOR_NODISCARD xnor_status trial_prepare(xnor_model *model, int64_t points, uint64_t seed,
                                         trial *out);
XNOR_NODISCARD xnor_status trial_run(xnor_model *model, xnor_pool *pool, trial *t);
void trial_free(trial *t);

typedef struct trial_comparison {
    double largest;                // difference of any real output element
    uint64_t labels, labels_equal; // rows of [.., classes] outputs by their largest element
} trial_comparison;

// Runs `count` trials of the compiled model and of the graph as imported.
XNOR_NODISCARD xnor_status trial_compare(xnor_model *model, const xnor_graph *imported,
                                         uint64_t count, trial_comparison *out);

#endif
