// A map from names to numbers: value names to value ids, output names to node indices.
#ifndef XNOR_ONNX_NAMES_H
#define XNOR_ONNX_NAMES_H

#include "core/status.h"

typedef struct xnor_names {
    struct xnor_names_slot *slots; // capacity is a power of two, at most half of it used
    uint32_t count;
    uint32_t capacity;
} xnor_names;

void xnor_names_free(xnor_names *names);
// *known tells that the name was there before; then nothing is changed. `name` is not copied.
XNOR_NODISCARD xnor_status xnor_names_add(xnor_names *names, const char *name, uint32_t number,
                                          bool *known);
bool xnor_names_find(const xnor_names *names, const char *name, uint32_t *number);

#endif
