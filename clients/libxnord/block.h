// One piece of memory that holds a reply's structs, arrays and strings, so that one free() releases
// it.
#ifndef XNORD_BLOCK_H
#define XNORD_BLOCK_H

#include <stddef.h>

#include "proto.h"

#define XNORD_BLOCK_ALIGNMENT 64

typedef struct xnord_block {
    char *start;
    size_t used;
    size_t size;
} xnord_block;

// Room for `structs` bytes of structs and arrays in `pieces` pieces, and for all strings and
// tensors of a body of `body` bytes: a string with its NUL takes no more than its encoding. false:
// no memory.
bool xnord_block_create(xnord_block *block, size_t structs, size_t pieces, size_t body);
// Zeroed memory at XNORD_BLOCK_ALIGNMENT. Never fails when the sizes given at the start were right.
void *xnord_block_take(xnord_block *block, size_t size);
// A NUL-terminated copy; "" for an absent string.
const char *xnord_block_text(xnord_block *block, xnord_proto_str text);
// An array of copies; NULL for none.
const char *const *xnord_block_texts(xnord_block *block, const xnord_proto_str *texts,
                                     uint32_t count);

#endif
