// The parallel-for: tiles of a range over the threads of a pool.
#ifndef XNOR_EXEC_POOL_H
#define XNOR_EXEC_POOL_H

#include "core/status.h"

typedef void (*xnor_tile)(void *context, size_t begin, size_t end);

// Calls `tile` for consecutive pieces of [0, count), each of `size` elements or fewer, on the
// pool's threads (pool NULL: on this one, in order). Stops handing out tiles once *cancel is true
// (may be NULL).
void xnor_parallel_for(xnor_pool *pool, size_t count, size_t size, const atomic_bool *cancel,
                       xnor_tile tile, void *context);
uint32_t xnor_pool_threads(const xnor_pool *pool);

#endif
