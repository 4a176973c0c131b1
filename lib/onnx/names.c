#include "onnx/names.h"

#include <stdlib.h>
#include <string.h>

typedef struct xnor_names_slot {
    const char *name; // NULL: free
    uint32_t number;
} slot;

void xnor_names_free(xnor_names *names) {
    free(names->slots);
    *names = (xnor_names){0};
}

// FNV-1a, 32 bits.
static uint32_t hash(const char *name) {
    uint32_t h = 2166136261u;
    for (; *name; name++) h = (h ^ (uint8_t)*name) * 16777619u;
    return h;
}

static slot *locate(slot *slots, uint32_t capacity, const char *name) {
    uint32_t i = hash(name) & (capacity - 1);
    while (slots[i].name && strcmp(slots[i].name, name) != 0) i = (i + 1) & (capacity - 1);
    return &slots[i];
}

static xnor_status grow(xnor_names *names) {
    uint32_t capacity = names->capacity ? names->capacity * 2 : 64;
    slot *slots = calloc(capacity, sizeof *slots);
    if (!slots) return xnor_fail(XNOR_E_MEMORY, "out of memory");
    for (uint32_t i = 0; i < names->capacity; i++)
        if (names->slots[i].name) *locate(slots, capacity, names->slots[i].name) = names->slots[i];
    free(names->slots);
    names->slots = slots;
    names->capacity = capacity;
    return XNOR_OK;
}

xnor_status xnor_names_add(xnor_names *names, const char *name, uint32_t number, bool *known) {
    if (names->count * 2 >= names->capacity) XNOR_TRY(grow(names));
    slot *found = locate(names->slots, names->capacity, name);
    *known = found->name != NULL;
    if (*known) return XNOR_OK;
    *found = (slot){name, number};
    names->count++;
    return XNOR_OK;
}

bool xnor_names_find(const xnor_names *names, const char *name, uint32_t *number) {
    if (names->capacity == 0) return false;
    const slot *found = locate(names->slots, names->capacity, name);
    if (found->name) *number = found->number;
    return found->name != NULL;
}
