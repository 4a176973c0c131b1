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

static inline bool is_cancelled(const xnor_run *run) {
    return run->cancel && atomic_load_explicit(run->cancel, memory_order_relaxed);
}

#endif
