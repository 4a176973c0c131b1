// The layer table of a compiled model: what became bits, what stayed float, what each costs.
#ifndef XNORCTL_LAYERS_H
#define XNORCTL_LAYERS_H

#include <stdbool.h>
#include <stdio.h>

#include "exec/plan.h"

typedef struct layer_totals {
    uint64_t binary_macs; // ±1 multiply-accumulates for one run at the plan's shapes
    uint64_t float_macs;
    uint64_t binary_weights; // number of 1-bit weights
    uint64_t constant_bytes; // all constants as stored
    uint64_t float32_bytes;  // the same network with float32 weights
} layer_totals;

layer_totals layers_count(const xnor_graph *graph);
// One row per operator, then the totals. The graph's shapes must be known (a plan's graph).
void layers_print(const xnor_graph *graph, uint64_t file_bytes, FILE *stream);
// The same as the members "layers" and "totals" of an open JSON object.
void layers_json(const xnor_graph *graph, uint64_t file_bytes, FILE *stream);

// Shapes for a plan of `model`: fixed ones as they are, the input of the description at its number of
// points or, of images, at its largest size, other unknown dimensions 1 for the first axis and `points` for the rest.
void layers_default_shapes(const xnor_model *model, int64_t points, xnor_shape *shapes);

#endif
