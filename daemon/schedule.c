#include "schedule.h"

#include <assert.h>

void schedule_push(struct schedule *schedule, struct request *request) {
    assert(request->state == REQUEST_ADMITTED);
    request->state = REQUEST_QUEUED;
    request->next = NULL;
    if (schedule->newest != NULL)
        schedule->newest->next = request;
    else
        schedule->oldest = request;
    schedule->newest = request;
    schedule->count++;
}

static uint32_t take(struct schedule *schedule, bool brief, uint32_t limit,
                     struct request **batch) {
    uint32_t taken = 0;
    struct request *previous = NULL;
    struct request *request = schedule->oldest;
    while (request != NULL && taken < limit) {
        struct request *next = request->next;
        bool fits = taken == 0 ? !brief || request_is_brief(request)
                               : request_batches_with(batch[0], request);
        if (fits) {
            if (previous != NULL)
                previous->next = next;
            else
                schedule->oldest = next;
            if (schedule->newest == request) schedule->newest = previous;
            request->next = NULL;
            request->state = REQUEST_RUNNING;
            batch[taken++] = request;
        } else {
            previous = request;
        }
        request = next;
    }
    schedule->count -= taken;
    return taken;
}

uint32_t schedule_take(struct schedule *schedule, uint32_t limit, struct request **batch) {
    return take(schedule, false, limit, batch);
}

uint32_t schedule_take_brief(struct schedule *schedule, uint32_t limit, struct request **batch) {
    return take(schedule, true, limit, batch);
}

uint32_t schedule_share(const struct schedule *schedule, uint32_t idle, uint32_t max_batch) {
    uint32_t share = idle > 1 ? (schedule->count + idle - 1) / idle : schedule->count;
    if (share == 0) share = 1;
    return share < max_batch ? share : max_batch;
}
