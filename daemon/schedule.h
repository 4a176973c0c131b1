// The order in which admitted requests run: oldest first; a worker that becomes free may take
// several of one model at once. Never waits for a batch to fill.
// No lock of its own: the owner (workers.c) calls everything under its mutex.
#ifndef XNORD_SCHEDULE_H
#define XNORD_SCHEDULE_H

#include "request.h"

struct schedule {
    struct request *oldest;
    struct request *newest;
    uint32_t count;
};

void schedule_push(struct schedule *schedule, struct request *request);
// Takes the oldest request and up to limit - 1 younger ones that batch with it, in order, into
// batch[]. Returns how many; 0 when empty.
uint32_t schedule_take(struct schedule *schedule, uint32_t limit, struct request **batch);
// The same among brief requests.
uint32_t schedule_take_brief(struct schedule *schedule, uint32_t limit, struct request **batch);
// How many requests one of `idle` free workers should take, so that the others get work too.
uint32_t schedule_share(const struct schedule *schedule, uint32_t idle, uint32_t max_batch);

#endif
