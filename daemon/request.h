// An admitted inference request and the fixed set of slots that hold them.
//
// Slots are acquired and released on the loop thread. Between, a request belongs to whoever its
// state says: QUEUED to the scheduler, RUNNING to one worker, DONE to the inbox and then the loop.
// Every admitted request is answered exactly once: request_release checks it.
#ifndef XNORD_REQUEST_H
#define XNORD_REQUEST_H

#include "inbox.h"
#include "proto.h"
#include "transport.h"
#include "xnor.h"

#include <stdint.h>

struct model;
struct version;

enum request_state {
    REQUEST_FREE,
    REQUEST_ADMITTED,
    REQUEST_QUEUED,
    REQUEST_RUNNING,
    REQUEST_DONE
};

enum request_kind {
    REQUEST_CLOUD,  // one cloud [points, 3] for the task layer
    REQUEST_SCENE,  // the same, each point of which gets a label: many runs of the network
    REQUEST_IMAGE,  // one image for the task layer
    REQUEST_TENSORS // one dense tensor per graph input
};

struct request {
    struct inbox_item item; // on the way back to the loop
    struct request *next;   // in the free list or the queue
    enum request_state state;
    uint32_t replies; // sent so far
    uint32_t client;  // connection that it came from
    bool held;        // acquired; only the loop looks, unlike at `state`
    struct exchange *exchange;
    uint64_t id;             // the client's
    struct model *model;     // whose statistics it counts in
    struct version *version; // what it runs on, one reference

    enum request_kind kind;
    xnor_cloud cloud;       // data points into the message
    xnor_image image;       // the same
    xnor_image_frame frame; // of the image
    uint32_t answer_count;  // IMAGE
    xnor_answer answers[XNORD_PROTO_MAX_TENSORS];
    char answer_names[XNORD_PROTO_MAX_TENSORS][XNOR_ANSWER_NAME_BYTES]; // as the client has them
    xnor_shape shapes[XNOR_MAX_PORTS];   // of the graph inputs, for one request
    const void *inputs[XNOR_MAX_PORTS];  // TENSORS: dense data in the message, unaligned
    uint32_t wanted_outputs;             // bit per graph output
    bool wants_labels, wants_confidence; // SCENE
    uint32_t top_k;                      // labels wanted

    uint64_t received_ns;
    uint64_t deadline_ns; // UINT64_MAX: none
    uint64_t started_ns;  // a worker took it; 0: never
    uint64_t computed_ns; // its result was there; 0: never
    uint64_t replied_ns;
    xnord_status status; // that it was answered with
};

#define REQUEST_CLIENT_PLACES 256

struct request_slots {
    struct request *slots;
    uint32_t capacity;
    uint32_t client_capacity; // slots that one client may hold
    // In flight by client % REQUEST_CLIENT_PLACES, so that hardly anybody has to be counted.
    uint32_t by_client[REQUEST_CLIENT_PLACES];
    uint32_t in_flight;
    struct request *free;
    uint64_t admitted;
    uint64_t answered;
};

// client_capacity 0: three quarters of the capacity, rounded up.
XNOR_NODISCARD xnor_status request_slots_create(struct request_slots *slots, uint32_t capacity,
                                                uint32_t client_capacity);
void request_slots_free(struct request_slots *slots);

// NULL: all slots are taken, or all that this client may hold; the answer is BUSY.
struct request *request_acquire(struct request_slots *slots, uint32_t client);
// Gives back a slot whose request was refused before it was admitted.
void request_abandon(struct request_slots *slots, struct request *request);
// Gives back a slot whose request was answered.
void request_release(struct request_slots *slots, struct request *request);

// Whether it takes one run of the network, so that others need not wait long for it.
static inline bool request_is_brief(const struct request *request) {
    return request->kind != REQUEST_SCENE;
}
// Whether two queued requests may run as rows of one batch.
bool request_batches_with(const struct request *a, const struct request *b);

#endif
