#include "block.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static size_t round_up(size_t size) {
    return (size + XNORD_BLOCK_ALIGNMENT - 1) / XNORD_BLOCK_ALIGNMENT * XNORD_BLOCK_ALIGNMENT;
}

// No overflow: every term is bounded by the size of a message in memory.
bool xnord_block_create(xnord_block *block, size_t structs, size_t pieces, size_t body) {
    size_t size = round_up(structs + (pieces + 1) * XNORD_BLOCK_ALIGNMENT + body);
    *block = (xnord_block){.start = aligned_alloc(XNORD_BLOCK_ALIGNMENT, size), .size = size};
    return block->start != NULL;
}

void *xnord_block_take(xnord_block *block, size_t size) {
    size_t at = round_up(block->used);
    assert(size <= block->size && at <= block->size - size);
    block->used = at + size;
    return memset(block->start + at, 0, size);
}

const char *xnord_block_text(xnord_block *block, xnord_proto_str text) {
    if (text.size == 0) return "";
    assert(text.size + 1 <= block->size - block->used);
    char *copy = block->start + block->used;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    block->used += text.size + 1;
    return copy;
}

const char *const *xnord_block_texts(xnord_block *block, const xnord_proto_str *texts,
                                     uint32_t count) {
    if (count == 0) return NULL;
    const char **copies = xnord_block_take(block, count * sizeof *copies);
    for (uint32_t i = 0; i < count; i++) copies[i] = xnord_block_text(block, texts[i]);
    return copies;
}
