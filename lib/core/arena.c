#include "core/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/size.h"

enum { BLOCK_BYTES = 64 * 1024, ALIGNMENT = 64 };

struct xnor_arena_block {
    xnor_arena_block *next;
    size_t used;
    size_t capacity;
    _Alignas(ALIGNMENT) uint8_t bytes[];
};

static xnor_arena_block *add_block(xnor_arena *arena, size_t bytes) {
    size_t capacity = bytes > BLOCK_BYTES / 4 ? bytes : BLOCK_BYTES;
    size_t total;
    if (!xnor_size_add(capacity, sizeof(xnor_arena_block) + ALIGNMENT, &total)) return NULL;
    total = total / ALIGNMENT * ALIGNMENT;
    xnor_arena_block *block = aligned_alloc(ALIGNMENT, total);
    if (!block) return NULL;
    block->used = 0;
    block->capacity = total - sizeof *block;
    if (bytes > BLOCK_BYTES / 4 && arena->blocks) {
        // Large blocks go behind the current one, which still has room for small objects.
        block->next = arena->blocks->next;
        arena->blocks->next = block;
    } else {
        block->next = arena->blocks;
        arena->blocks = block;
    }
    return block;
}

void *xnor_arena_alloc(xnor_arena *arena, size_t bytes) {
    size_t alignment = bytes >= ALIGNMENT ? ALIGNMENT : 16;
    xnor_arena_block *block = arena->blocks;
    size_t offset = block ? xnor_align_up(block->used, alignment) : 0;
    if (!block || offset > block->capacity || bytes > block->capacity - offset) {
        block = add_block(arena, bytes);
        if (!block) return NULL;
        offset = 0;
    }
    block->used = offset + bytes;
    return memset(block->bytes + offset, 0, bytes);
}

void *xnor_arena_copy(xnor_arena *arena, const void *data, size_t bytes) {
    void *copy = xnor_arena_alloc(arena, bytes);
    if (copy && bytes) memcpy(copy, data, bytes);
    return copy;
}

char *xnor_arena_string(xnor_arena *arena, const char *text) {
    return xnor_arena_copy(arena, text, strlen(text) + 1);
}

void xnor_arena_free(xnor_arena *arena) {
    while (arena->blocks) {
        xnor_arena_block *next = arena->blocks->next;
        free(arena->blocks);
        arena->blocks = next;
    }
}
