// Maxima over windows of pictures, pictures resized to the nearest pixels, and signs.
#ifndef XNOR_PASSES_POOL_H
#define XNOR_PASSES_POOL_H

#include "passes/rewrite.h"

// True for a MaxPool of reals with channels last.
bool xnor_is_real_pool(const xnor_graph *graph, uint32_t index);
// True if no window of it lies in the padding alone.
bool xnor_pool_is_covered(const xnor_graph *graph, const xnor_node *pool);
// True for a Resize of reals with channels last that copies pixels.
bool xnor_is_nearest_resize(const xnor_graph *graph, uint32_t index);
// xnor_max_pool of the signs `bits` over the windows of `pool`. falls: [channels], those whose smallest is taken.
XNOR_NODISCARD xnor_status xnor_emit_pool(xnor_graph *graph, uint32_t *at, const xnor_node *pool,
                                          xnor_value_id bits, const bool *falls, size_t channels,
                                          xnor_value_id *out);

#endif
