// The .xnor model file: header, section table (kind, offset, length, CRC-32C), sections aligned to
// 64 bytes. FORMAT.md beside this file is the normative description.
#ifndef XNOR_FORMAT_H
#define XNOR_FORMAT_H

#include "graph/graph.h"

// A golden pair: dense input and output tensors in graph order, for the self-test after loading.
typedef struct xnor_golden {
    uint32_t input_count;
    uint32_t output_count;
    xnor_tensor inputs[XNOR_MAX_PORTS];
    xnor_tensor outputs[XNOR_MAX_PORTS];
} xnor_golden;

#define XNOR_MAX_GOLDEN 8

// Contents of a model file. Read: everything points into the mapped file or into graph.arena.
typedef struct xnor_contents {
    xnor_graph graph;
    xnor_description description; // task XNOR_TASK_NONE when the file has none
    xnor_golden golden[XNOR_MAX_GOLDEN];
    uint32_t golden_count;
} xnor_contents;

// Writes PATH through a temporary file beside it and rename. Not thread-safe for one path.
XNOR_NODISCARD xnor_status xnor_format_write(const char *path, const xnor_contents *contents);
// Checks everything before use; on success the constants of out->graph point into `data` (which
// must outlive it and be 64-byte aligned), all else into out->graph.arena. Release with
// xnor_graph_free.
XNOR_NODISCARD xnor_status xnor_format_read(const void *data, size_t size, xnor_contents *out);

#endif
