// Model descriptions: NAME.yaml beside a model says what it is for. `xnorctl compile --describe`
// stores it in the .xnor file. The schema is the table in describe.c.
#ifndef XNORCTL_DESCRIBE_H
#define XNORCTL_DESCRIBE_H

#include "core/arena.h"
#include "core/status.h"

// Strings are copied into `arena`. XNOR_E_FORMAT: xnor_last_error() is "FILE:LINE:COLUMN: what is
// wrong".
XNOR_NODISCARD xnor_status describe_read_file(const char *path, xnor_arena *arena,
                                              xnor_description *out);
// The same from memory; `path` only names the text in messages.
XNOR_NODISCARD xnor_status describe_read(const char *path, const char *text, size_t size,
                                         xnor_arena *arena, xnor_description *out);

#endif
