// How steps share their work: rows are tiled so that a cancel is seen soon and threads share the
// work; results do not depend on the tiling. Internal to lib/exec.
#ifndef XNOR_EXEC_TILES_H
#define XNOR_EXEC_TILES_H

#include "exec/plan.h"

enum { TILE_ROWS = 256 };

// What a tile function receives as its context.
typedef struct tile_context {
    const xnor_step *step;
    const xnor_run *run;
} tile_context;

static inline xnor_status over(const xnor_step *step, const xnor_run *run, size_t count,
                               size_t size, xnor_tile tile) {
    tile_context context = {step, run};
    xnor_parallel_for(run->pool, count, size, run->cancel, tile, &context);
    return XNOR_OK;
}

// Tiles over the rows of all groups, or the distinct ones of each.
xnor_status xnor_over_rows(const xnor_step *step, const xnor_run *run, xnor_tile tile);

// Rows of group `group` to compute: all, or as many as are distinct.
static inline size_t xnor_active_rows(const xnor_step *step, const xnor_run *run, size_t group) {
    if (step->active == XNOR_NO_VALUE) return step->rows;
    return (size_t)((const int32_t *)run->values[step->active])[group];
}

static inline bool is_cancelled(const xnor_run *run) {
    return run->cancel && atomic_load_explicit(run->cancel, memory_order_relaxed);
}

// Whether any of [rows, n] ternary values is 0, by their plane of what is not. Signs of reals may be 0 but hardly
// ever are: looking once through the plane costs less than masks do.
bool xnor_has_zero(size_t rows, size_t n, const uint64_t *nonzero);

// What steps do with sums acc [rows, n].
// Signs by a limit from which on they are +1, and one from which on they are 0.
void xnor_rows_thr_ternary(const xnor_kernels *kernels, size_t rows, size_t n, const int32_t *acc,
                           const int32_t *thr, const int32_t *zero, uint64_t *positive,
                           uint64_t *nonzero);
// Signs by table [n, columns] of xnor_table. nonzero: NULL where no sign is 0.
void xnor_rows_table(size_t rows, size_t n, const int32_t *acc, const uint8_t *table,
                     size_t columns, uint64_t *positive, uint64_t *nonzero);
// y = scale·acc + shift, rounded once.
void xnor_rows_affine(size_t rows, size_t n, const int32_t *acc, const float *scale,
                      const float *shift, float *y);

#endif
