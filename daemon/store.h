// The folder of model files: lists what is there and reads one file whole. Blocking file work, so
// loader threads only (and main before the loop runs). No state of its own.
#ifndef XNORD_STORE_H
#define XNORD_STORE_H

#include "reason.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_MAX_MODELS 64 // models of one reply
#define STORE_NAME_BYTES 65
#define STORE_PATH_BYTES 1280

// Equal identities mean an unchanged file, as far as its owner plays by the rules: replace it with
// rename(2), do not write into it.
struct store_identity {
    uint64_t device, inode, size;
    int64_t mtime_ns;
};

struct store_entry {
    char name[STORE_NAME_BYTES];
    char path[STORE_PATH_BYTES];
    struct store_identity identity;
};

struct store_listing {
    uint32_t count;
    uint32_t skipped; // files beyond the limit, second files of a name, names we cannot serve
    struct store_entry entries[STORE_MAX_MODELS]; // by name
};

// Lists directory/NAME.xnor and directory/NAME/NAME.xnor; the latter wins. Names consist of
// letters, digits, '.', '_' and '-' and start with a letter or digit.
XNOR_NODISCARD xnor_status store_scan(const char *directory, uint32_t max_models,
                                      struct store_listing *out, struct reason *why);
bool store_identity_equal(const struct store_identity *a, const struct store_identity *b);
// Reads a whole file into memory of 64-byte alignment; release *data with free.
// XNOR_E_LIMIT: larger than max_bytes. XNOR_E_IO: unreadable, or it changed while it was read.
XNOR_NODISCARD xnor_status store_read(const char *path, uint64_t max_bytes, void **data,
                                      size_t *size, struct reason *why);

#endif
