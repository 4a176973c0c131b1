// The metadata section: producer and task description as one msgpack map.
#ifndef XNOR_FORMAT_METADATA_H
#define XNOR_FORMAT_METADATA_H

#include "core/arena.h"
#include "core/status.h"
#include "format/buffer.h"

// Names of the enumerators, in model descriptions and in the file.
#define XNOR_TASK_TABLE(X) X(CLASSIFICATION, "classification")
#define XNOR_OUTPUT_KIND_TABLE(X)                                                                  \
    X(RAW, "raw")                                                                                  \
    X(LOG_PROBABILITIES, "log_probabilities")                                                      \
    X(LOGITS, "logits")                                                                            \
    X(PROBABILITIES, "probabilities")

// False when there is no such name.
bool xnor_task_find(const char *name, xnor_task *out);
bool xnor_output_kind_find(const char *name, xnor_output_kind *out);
const char *xnor_task_name(xnor_task task);
const char *xnor_output_kind_name(xnor_output_kind kind);

void xnor_metadata_write(const xnor_description *description, xnor_buffer *out);
// Strings are copied into `arena`. A map without "description" leaves task XNOR_TASK_NONE.
XNOR_NODISCARD xnor_status xnor_metadata_read(const uint8_t *data, size_t size, xnor_arena *arena,
                                              xnor_description *out);

#endif
