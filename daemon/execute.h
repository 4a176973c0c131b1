// Runs a batch of admitted requests on one worker's sessions and answers them. Worker thread.
// Between admission and completion nothing here allocates, except for a raw-tensor shape that this
// worker sees for the first time.
#ifndef XNORD_EXECUTE_H
#define XNORD_EXECUTE_H

#include "inbox.h"
#include "request.h"

#include <stdatomic.h>

struct executor {
    uint32_t worker; // index of its session sets
    const atomic_bool *cancel;
    struct inbox *done;
    void (*wake)(void *context);
    void *wake_context;
    atomic_uint_fast64_t *advanced_ns; // set to the time at every step, for the watchdog
};

// Answers every request of batch[0 .. count), which batch with each other.
void execute_batch(const struct executor *executor, struct request **batch, uint32_t count);
// Answers one request without running it.
void execute_refuse(const struct executor *executor, struct request *request, xnord_status status,
                    const char *detail);

#endif
