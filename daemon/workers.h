// The threads that run networks. A free worker takes the oldest queued request, and more of the
// same model if they wait, runs them on its own sessions, sends the replies, and puts the requests
// into the inbox for the loop to account.
//
// The reply leaves from the worker, not through the loop: that saves a thread hand-off, which costs
// more than encoding does. The request is in the inbox before its reply is sent, so a client that
// has its answer finds the slot free and the statistics complete.
//
// workers_create, workers_start, workers_submit, workers_end_late, workers_stop, workers_free
//     loop thread
// workers_count, workers_pool, workers_stalled                                any thread
#ifndef XNORD_WORKERS_H
#define XNORD_WORKERS_H

#include "inbox.h"
#include "reason.h"
#include "request.h"
#include "xnor.h"

#include <stdbool.h>
#include <stdint.h>

struct workers;

struct workers_options {
    uint32_t count;
    uint32_t pool_threads; // 1: no pool, runs stay on the worker
    uint32_t max_batch;
    struct inbox *done; // gets requests that were answered
    void (*wake)(void *context);
    void *wake_context;
};

XNOR_NODISCARD xnor_status workers_create(const struct workers_options *options,
                                          struct workers **out, struct reason *why);
XNOR_NODISCARD xnor_status workers_start(struct workers *workers, struct reason *why);
void workers_submit(struct workers *workers, struct request *request);
// Ends the runs whose deadline has passed; their requests are answered with ABORTED.
void workers_end_late(struct workers *workers, uint64_t now_ns);
// Makes running requests end early and answers everything queued with NOT_READY.
void workers_cancel(struct workers *workers);
// Joins the threads. The queue must be empty or cancelled.
void workers_stop(struct workers *workers);
void workers_free(struct workers **workers);

uint32_t workers_count(const struct workers *workers);
// Pool of one worker, NULL if it has none.
xnor_pool *workers_pool(const struct workers *workers, uint32_t index);
// Whether a worker has been busy since before now_ns - stall_ns without finishing anything.
bool workers_stalled(const struct workers *workers, uint64_t now_ns, uint64_t stall_ns,
                     uint32_t *index);

#endif
