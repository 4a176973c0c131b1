#include "exec/pool.h"

#include <pthreadpool.h>
#include <stdlib.h>

struct xnor_pool {
    pthreadpool_t threads; // NULL: one thread
    uint32_t count;
};

xnor_status xnor_pool_create(uint32_t threads, xnor_pool **out) {
    if (threads == 0 || threads > 1024)
        return xnor_fail(XNOR_E_ARGUMENT, "pool: expected 1 to 1024 threads, found %u", threads);
    xnor_pool *pool = calloc(1, sizeof *pool);
    if (!pool) return xnor_fail(XNOR_E_MEMORY, "pool: out of memory");
    pool->count = threads;
    if (threads > 1) {
        pool->threads = pthreadpool_create(threads);
        if (!pool->threads) {
            free(pool);
            return xnor_fail(XNOR_E_MEMORY, "pool: cannot start %u threads", threads);
        }
    }
    *out = pool;
    return XNOR_OK;
}

void xnor_pool_free(xnor_pool **pool) {
    if (!*pool) return;
    if ((*pool)->threads) pthreadpool_destroy((*pool)->threads);
    free(*pool);
    *pool = NULL;
}

uint32_t xnor_pool_threads(const xnor_pool *pool) {
    return pool ? pool->count : 1;
}

typedef struct job {
    xnor_tile tile;
    void *context;
    const atomic_bool *cancel;
} job;

static bool cancelled(const atomic_bool *cancel) {
    return cancel && atomic_load_explicit(cancel, memory_order_relaxed);
}

static void run_tile(void *context, size_t begin, size_t size) {
    const job *j = context;
    if (!cancelled(j->cancel)) j->tile(j->context, begin, begin + size);
}

void xnor_parallel_for(xnor_pool *pool, size_t count, size_t size, const atomic_bool *cancel,
                       xnor_tile tile, void *context) {
    job j = {tile, context, cancel};
    if (pool && pool->threads && count > size) {
        pthreadpool_parallelize_1d_tile_1d(pool->threads, run_tile, &j, count, size, 0);
        return;
    }
    for (size_t begin = 0; begin < count; begin += size)
        run_tile(&j, begin, count - begin < size ? count - begin : size);
}
