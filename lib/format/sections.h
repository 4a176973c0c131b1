// Readers of single sections, on bytes whose checksum has been checked. Internal to lib/format.
// `name` in messages is the section's, so each failure says where the damage is.
#ifndef XNOR_FORMAT_SECTIONS_H
#define XNOR_FORMAT_SECTIONS_H

#include "format/cursor.h"
#include "format/format.h"

typedef struct xnor_bytes {
    const uint8_t *data;
    size_t size;
} xnor_bytes;

// Adds the values and nodes to an initialised, empty graph. Constants are not bound yet:
// `is_constant` gets a flag per value (in the graph's arena).
XNOR_NODISCARD xnor_status xnor_section_read_graph(xnor_bytes section, xnor_graph *graph,
                                                   uint8_t **is_constant);
// Points the constants of `graph` into the section and checks their contents.
XNOR_NODISCARD xnor_status xnor_section_read_constants(xnor_bytes section,
                                                       const uint8_t *is_constant,
                                                       xnor_graph *graph);
// Golden pairs for the ports of `contents->graph`.
XNOR_NODISCARD xnor_status xnor_section_read_golden(xnor_bytes section, xnor_contents *contents);

// Rank, then each dimension plus one: 0 is an unknown one.
xnor_shape xnor_section_read_shape(xnor_cursor *cursor);

// True when `size` bytes at `data` are 0.
bool xnor_bytes_are_zero(const uint8_t *data, size_t size);

#endif
