#include "request.h"

#include "tensor.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

xnor_status request_slots_create(struct request_slots *slots, uint32_t capacity,
                                 uint32_t client_capacity) {
    if (client_capacity == 0) client_capacity = capacity - capacity / 4;
    *slots = (struct request_slots){.slots = calloc(capacity, sizeof(struct request)),
                                    .capacity = capacity,
                                    .client_capacity = client_capacity};
    if (slots->slots == NULL) return XNOR_E_MEMORY;
    for (uint32_t i = 0; i < capacity; i++) {
        slots->slots[i].next = slots->free;
        slots->free = &slots->slots[i];
    }
    return XNOR_OK;
}

void request_slots_free(struct request_slots *slots) {
    free(slots->slots);
    *slots = (struct request_slots){0};
}

static uint32_t *place_of(struct request_slots *slots, uint32_t client) {
    return &slots->by_client[client % REQUEST_CLIENT_PLACES];
}

static bool holds_enough(struct request_slots *slots, uint32_t client) {
    uint32_t held = 0;
    if (*place_of(slots, client) < slots->client_capacity) return false;
    for (uint32_t i = 0; i < slots->capacity; i++)
        held += slots->slots[i].held && slots->slots[i].client == client;
    return held >= slots->client_capacity;
}

struct request *request_acquire(struct request_slots *slots, uint32_t client) {
    struct request *request = slots->free;
    if (request == NULL || holds_enough(slots, client)) return NULL;
    slots->free = request->next;
    slots->in_flight++;
    slots->admitted++;
    assert(request->state == REQUEST_FREE);
    memset(request, 0, sizeof *request);
    request->state = REQUEST_ADMITTED;
    request->client = client;
    request->held = true;
    ++*place_of(slots, client);
    return request;
}

static void give_back(struct request_slots *slots, struct request *request) {
    request->state = REQUEST_FREE;
    request->held = false;
    request->next = slots->free;
    slots->free = request;
    slots->in_flight--;
    --*place_of(slots, request->client);
}

void request_abandon(struct request_slots *slots, struct request *request) {
    assert(request->state == REQUEST_ADMITTED && request->replies == 0);
    slots->admitted--;
    give_back(slots, request);
}

void request_release(struct request_slots *slots, struct request *request) {
    assert(request->state == REQUEST_DONE);
    assert(request->replies == 1 && "an admitted request is answered exactly once");
    slots->answered++;
    give_back(slots, request);
}

bool request_batches_with(const struct request *a, const struct request *b) {
    return a->kind == REQUEST_CLOUD && b->kind == REQUEST_CLOUD && a->version == b->version &&
           tensor_shape_equal(&a->shapes[0], &b->shapes[0]);
}
