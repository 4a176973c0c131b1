// Bump allocator: many small objects with one lifetime, released together.
// One thread at a time. Memory is zeroed; alignment is 64 bytes for blocks of 64 bytes and more.
#ifndef XNOR_CORE_ARENA_H
#define XNOR_CORE_ARENA_H

#include <stddef.h>

typedef struct xnor_arena_block xnor_arena_block;

typedef struct xnor_arena {
    xnor_arena_block *blocks; // newest first
} xnor_arena;

// NULL when memory is exhausted.
void *xnor_arena_alloc(xnor_arena *arena, size_t bytes);
void *xnor_arena_copy(xnor_arena *arena, const void *data, size_t bytes);
char *xnor_arena_string(xnor_arena *arena, const char *text);
void xnor_arena_free(xnor_arena *arena);

#endif
