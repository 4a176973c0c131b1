// The input files of a command: which they are, and what is in them.
#ifndef XNORCTL_FILES_H
#define XNORCTL_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "include/xnor.h"

#define FILES_MAX_BYTES ((size_t)1 << 30)

typedef struct file_list {
    char **paths; // owned
    size_t count;
    size_t capacity;
    size_t failed; // operands that could not be listed; the reason is on stderr
} file_list;

// A folder stands for the files in it (not in its folders) that `is_wanted` accepts, sorted by
// name. Other operands are taken as they are, in the order given.
file_list files_expand(char *const *operands, size_t count, bool (*is_wanted)(const char *path));
void files_free(file_list *files);

// Reads a whole regular file into *data, to be freed by the caller. XNOR_E_IO, or XNOR_E_LIMIT
// above FILES_MAX_BYTES.
XNOR_NODISCARD xnor_status files_read(const char *path, uint8_t **data, size_t *size);

// What follows the last '/'.
const char *files_base_name(const char *path);

#endif
