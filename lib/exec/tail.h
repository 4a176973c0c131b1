// Tails: what a step does to its results, value by value, before anything is stored. Internal to lib/exec.
#ifndef XNOR_EXEC_TAIL_H
#define XNOR_EXEC_TAIL_H

#include "exec/plan.h"

// As xnor_pointwise_op, with values of the graph for maps.
typedef struct xnor_tail_op {
    xnor_pointwise_code code;
    xnor_value_id a, y;   // map that is read, or written; XNOR_NO_VALUE if none
    float *parameters[2]; // [period], owned; NULL if none
    float low, high;
    size_t layer; // of the step's layers: whose sums
} xnor_tail_op;

// A float layer on what STORE_TILE keeps: y [rows][n].
typedef struct xnor_tail_layer {
    const float *packed, *bias; // packed: NULL if there is none; bias may be
    size_t n;
    xnor_value_id y;
} xnor_tail_layer;

struct xnor_tail {
    size_t rows, n, period;
    size_t count, planes;
    xnor_tail_op ops[XNOR_POINTWISE_OPS];
    xnor_tail_layer layer;
};

// A tail with the addresses of a run.
typedef struct xnor_bound_tail {
    const xnor_tail *tail;
    const xnor_run *run;
    xnor_pointwise program;
} xnor_bound_tail;

void xnor_tail_free(xnor_tail *tail);
void xnor_tail_bind(const xnor_tail *tail, const xnor_run *run, xnor_bound_tail *out);
// Of rows first .. first + rows, whose values x, or sums acc of all layers, are there: as xnor_kernels' pointwise.
void xnor_tail_apply(const xnor_bound_tail *bound, size_t first, size_t rows,
                     const int32_t *const *acc, const float *x);

// Which parts of the step's layers have rows with zeros.
void xnor_layers_masked(const xnor_step *step, const xnor_run *run, bool masked[XNOR_MAX_PARTS]);
// The sums of the step's layers that are parts, rows begin .. end: those of layer i lie i · stride behind `sums`.
// At most XNOR_POINTWISE_MAX of a layer.
void xnor_layers(const xnor_step *step, const xnor_run *run, const bool masked[XNOR_MAX_PARTS],
                 size_t begin, size_t end, int32_t *sums, size_t stride);

#endif
