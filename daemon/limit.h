// When a run has to end: at its deadline, or for good because the daemon stops. One per worker.
#ifndef XNORD_LIMIT_H
#define XNORD_LIMIT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

// `mutex` guards late_ns and stopped, and keeps a check from cancelling the run after the late one.
struct limit {
    pthread_mutex_t mutex;
    uint64_t late_ns; // UINT64_MAX: no run, or one without a deadline
    bool stopped;
    atomic_bool cancel; // what the engine polls
};

void limit_init(struct limit *limit);
void limit_destroy(struct limit *limit);
// The worker, around each run. late_ns UINT64_MAX: none.
void limit_begin(struct limit *limit, uint64_t late_ns);
void limit_end(struct limit *limit);
// Any thread: cancels the run if it is late.
void limit_check(struct limit *limit, uint64_t now_ns);
// Any thread: cancels this run and all to come.
void limit_stop(struct limit *limit);

#endif
