#include "request.h"

#include "tensor.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

xnor_status request_slots_create(struct request_slots *slots, uint32_t capacity) {
    *slots = (struct request_slots){.slots = calloc(capacity, sizeof(struct request)),
                                    .capacity = capacity};
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

struct request *request_acquire(struct request_slots *slots) {
    struct request *request = slots->free;
    if (request == NULL) return NULL;
    slots->free = request->next;
    slots->in_flight++;
    slots->admitted++;
    assert(request->state == REQUEST_FREE);
    memset(request, 0, sizeof *request);
    request->state = REQUEST_ADMITTED;
    return request;
}

static void give_back(struct request_slots *slots, struct request *request) {
    request->state = REQUEST_FREE;
    request->next = slots->free;
    slots->free = request;
    slots->in_flight--;
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
