#include "workers.h"

#include "execute.h"
#include "schedule.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_BATCH 64

struct worker {
    struct workers *owner;
    uint32_t index;
    pthread_t thread;
    bool started;
    xnor_pool *pool;
    struct limit limit;
    atomic_uint_fast64_t advanced_ns; // when it last got on with its work; 0 while idle
};

// `mutex` guards schedule, idle and stopping. Nothing blocks or runs a network while it is held.
struct workers {
    struct workers_options options;
    pthread_mutex_t mutex;
    pthread_cond_t work;
    struct schedule schedule;
    uint32_t idle;
    bool stopping;
    struct worker workers[];
};

xnor_status workers_create(const struct workers_options *options, struct workers **out,
                           struct reason *why) {
    struct workers *workers =
        calloc(1, sizeof *workers + options->count * sizeof workers->workers[0]);
    if (workers == NULL) return reason_set(why, XNOR_E_MEMORY, "no memory for workers");
    workers->options = *options;
    pthread_mutex_init(&workers->mutex, NULL);
    pthread_cond_init(&workers->work, NULL);
    for (uint32_t i = 0; i < options->count; i++) {
        struct worker *worker = &workers->workers[i];
        worker->owner = workers;
        worker->index = i;
        limit_init(&worker->limit);
        if (options->pool_threads <= 1) continue;
        xnor_status status = xnor_pool_create(options->pool_threads, &worker->pool);
        if (status != XNOR_OK) {
            reason_set(why, status, "worker %u: %s", i, xnor_last_error());
            workers_free(&workers);
            return status;
        }
    }
    *out = workers;
    return XNOR_OK;
}

// Only when no other worker is free: one that is has been woken for it.
static void let_others(const struct executor *executor, void *context) {
    struct workers *workers = context;
    struct request *batch[MAX_BATCH];
    pthread_mutex_lock(&workers->mutex);
    uint32_t count = 0;
    if (workers->idle == 0)
        count = schedule_take_brief(&workers->schedule, workers->options.max_batch, batch);
    pthread_mutex_unlock(&workers->mutex);
    if (count > 0) execute_batch(executor, batch, count);
}

static struct executor executor_of(struct workers *workers, struct worker *worker) {
    return (struct executor){.worker = worker->index,
                             .limit = &worker->limit,
                             .done = workers->options.done,
                             .wake = workers->options.wake,
                             .wake_context = workers->options.wake_context,
                             .advanced_ns = &worker->advanced_ns,
                             .let_others = let_others,
                             .let_others_context = workers};
}

// Waits for work. Returns how many requests are in batch[]; 0 when it is time to end.
static uint32_t take(struct workers *workers, struct request **batch) {
    pthread_mutex_lock(&workers->mutex);
    workers->idle++;
    while (workers->schedule.count == 0 && !workers->stopping)
        pthread_cond_wait(&workers->work, &workers->mutex);
    uint32_t limit = schedule_share(&workers->schedule, workers->idle, workers->options.max_batch);
    uint32_t count = schedule_take(&workers->schedule, limit, batch);
    workers->idle--;
    pthread_mutex_unlock(&workers->mutex);
    return count;
}

static void *work(void *argument) {
    struct worker *worker = argument;
    struct workers *workers = worker->owner;
    struct executor executor = executor_of(workers, worker);
    struct request *batch[MAX_BATCH];
    for (;;) {
        uint32_t count = take(workers, batch);
        if (count == 0) return NULL;
        execute_batch(&executor, batch, count);
        atomic_store(&worker->advanced_ns, 0);
    }
}

xnor_status workers_start(struct workers *workers, struct reason *why) {
    for (uint32_t i = 0; i < workers->options.count; i++) {
        struct worker *worker = &workers->workers[i];
        int error = pthread_create(&worker->thread, NULL, work, worker);
        if (error != 0)
            return reason_set(why, XNOR_E_MEMORY, "cannot start worker %u: %s", i, strerror(error));
        worker->started = true;
        char name[16];
        snprintf(name, sizeof name, "xnord-run%u", i % 1000);
        pthread_setname_np(worker->thread, name);
    }
    return XNOR_OK;
}

void workers_submit(struct workers *workers, struct request *request) {
    pthread_mutex_lock(&workers->mutex);
    schedule_push(&workers->schedule, request);
    pthread_mutex_unlock(&workers->mutex);
    pthread_cond_signal(&workers->work);
}

void workers_end_late(struct workers *workers, uint64_t now_ns) {
    for (uint32_t i = 0; i < workers->options.count; i++)
        limit_check(&workers->workers[i].limit, now_ns);
}

void workers_cancel(struct workers *workers) {
    struct executor executor = executor_of(workers, &workers->workers[0]);
    for (uint32_t i = 0; i < workers->options.count; i++) limit_stop(&workers->workers[i].limit);
    for (;;) {
        struct request *request = NULL;
        pthread_mutex_lock(&workers->mutex);
        uint32_t count = schedule_take(&workers->schedule, 1, &request);
        pthread_mutex_unlock(&workers->mutex);
        if (count == 0) return;
        execute_refuse(&executor, request, XNORD_NOT_READY, "the daemon is stopping");
    }
}

void workers_stop(struct workers *workers) {
    pthread_mutex_lock(&workers->mutex);
    workers->stopping = true;
    pthread_mutex_unlock(&workers->mutex);
    pthread_cond_broadcast(&workers->work);
    for (uint32_t i = 0; i < workers->options.count; i++) {
        struct worker *worker = &workers->workers[i];
        if (worker->started) pthread_join(worker->thread, NULL);
        worker->started = false;
    }
}

void workers_free(struct workers **workers) {
    if (*workers == NULL) return;
    for (uint32_t i = 0; i < (*workers)->options.count; i++) {
        struct worker *worker = &(*workers)->workers[i];
        if (worker->owner == NULL) continue; // never set up
        if (worker->pool != NULL) xnor_pool_free(&worker->pool);
        limit_destroy(&worker->limit);
    }
    pthread_cond_destroy(&(*workers)->work);
    pthread_mutex_destroy(&(*workers)->mutex);
    free(*workers);
    *workers = NULL;
}

uint32_t workers_count(const struct workers *workers) {
    return workers->options.count;
}

xnor_pool *workers_pool(const struct workers *workers, uint32_t index) {
    return workers->workers[index].pool;
}

bool workers_stalled(const struct workers *workers, uint64_t now_ns, uint64_t stall_ns,
                     uint32_t *index) {
    for (uint32_t i = 0; i < workers->options.count; i++) {
        uint64_t advanced_ns = atomic_load(&workers->workers[i].advanced_ns);
        if (advanced_ns == 0 || now_ns < advanced_ns || now_ns - advanced_ns <= stall_ns) continue;
        *index = i;
        return true;
    }
    return false;
}
