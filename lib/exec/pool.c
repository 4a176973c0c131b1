// A range is cut into tiles and every thread, the caller included, takes the next one from a shared
// counter. The caller waits only for threads that are inside a tile, never for one that has not
// started: on a busy machine a run is then as fast as on one thread, not slower by a time slice.
// A thread without work looks for some for a moment, because steps follow one another within
// microseconds, and then sleeps.
#include "exec/pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

// How long a thread looks for work before it sleeps: longer than the caller takes between steps,
// shorter than a scheduler's time slice by far.
enum { SPIN_NS = 50000, LOOKS_PER_CLOCK = 32 };

struct xnor_pool {
    uint32_t count;     // threads, the caller included
    pthread_t *threads; // the other count - 1

    // The job. Written by the caller while nobody is inside.
    xnor_tile tile;
    void *context;
    const atomic_bool *cancel;
    size_t rows, size;
    atomic_size_t next; // first row that nobody has taken
    atomic_int cpu;     // where the caller runs

    cpu_set_t cpus; // where the pool may run

    atomic_bool busy;    // a caller has the pool
    atomic_bool open;    // tiles may be taken
    atomic_uint inside;  // threads that may be looking at the job, besides the caller
    atomic_uint started; // jobs so far: what idle threads watch
    atomic_bool stop;

    // Sleep. A thread says that it sleeps before it looks at the condition for the last time, and
    // the condition changes before the other side looks for sleepers: one of them sees the other.
    pthread_mutex_t lock;
    pthread_cond_t work, left;
    atomic_uint sleepers;
    atomic_bool caller_sleeps;
};

static inline void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb" ::: "memory");
#endif
}

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

typedef bool (*condition)(const xnor_pool *pool, uint32_t seen);

static bool has_work(const xnor_pool *pool, uint32_t seen) {
    return atomic_load(&pool->started) != seen || atomic_load(&pool->stop);
}

static bool all_left(const xnor_pool *pool, uint32_t unused) {
    (void)unused;
    return atomic_load(&pool->inside) == 0;
}

// True as soon as the condition holds, false when it has not for SPIN_NS.
static bool spin(const xnor_pool *pool, condition holds, uint32_t seen) {
    uint64_t end = 0;
    for (;;) {
        for (int i = 0; i < LOOKS_PER_CLOCK; i++) {
            if (holds(pool, seen)) return true;
            relax();
        }
        uint64_t now = now_ns();
        if (end == 0) end = now + SPIN_NS;
        if (now >= end) return false;
    }
}

static void take_tiles(xnor_pool *pool) {
    for (;;) {
        if (pool->cancel && atomic_load_explicit(pool->cancel, memory_order_relaxed)) return;
        size_t begin = atomic_fetch_add_explicit(&pool->next, pool->size, memory_order_relaxed);
        if (begin >= pool->rows) return;
        size_t end = pool->rows - begin < pool->size ? pool->rows : begin + pool->size;
        pool->tile(pool->context, begin, end);
    }
}

// A woken thread may be put behind the caller on the same core and would start when the work is
// done. It keeps off that core from then on, if there is another.
static void keep_off(const xnor_pool *pool, int cpu) {
    cpu_set_t others = pool->cpus;
    if (cpu < 0 || cpu != sched_getcpu()) return;
    CPU_CLR((size_t)cpu, &others);
    if (CPU_COUNT(&others) > 0)
        (void)pthread_setaffinity_np(pthread_self(), sizeof others, &others);
}

static void wait_for_work(xnor_pool *pool, uint32_t seen) {
    if (spin(pool, has_work, seen)) return;
    pthread_mutex_lock(&pool->lock);
    atomic_fetch_add(&pool->sleepers, 1);
    while (!has_work(pool, seen)) pthread_cond_wait(&pool->work, &pool->lock);
    atomic_fetch_sub(&pool->sleepers, 1);
    pthread_mutex_unlock(&pool->lock);
}

static void *worker(void *context) {
    xnor_pool *pool = context;
    uint32_t seen = 0;
    for (;;) {
        wait_for_work(pool, seen);
        if (atomic_load(&pool->stop)) return NULL;
        seen = atomic_load(&pool->started);
        keep_off(pool, atomic_load_explicit(&pool->cpu, memory_order_relaxed));
        atomic_fetch_add(&pool->inside, 1);
        // A job that is still open now stays as it is until this thread has left.
        if (atomic_load(&pool->open)) take_tiles(pool);
        if (atomic_fetch_sub(&pool->inside, 1) == 1 && atomic_load(&pool->caller_sleeps)) {
            pthread_mutex_lock(&pool->lock);
            pthread_cond_signal(&pool->left);
            pthread_mutex_unlock(&pool->lock);
        }
    }
}

static void wake_sleepers(xnor_pool *pool) {
    if (atomic_load(&pool->sleepers) == 0) return;
    pthread_mutex_lock(&pool->lock);
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
}

static void wait_until_left(xnor_pool *pool) {
    if (spin(pool, all_left, 0)) return;
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->caller_sleeps, true);
    while (!all_left(pool, 0)) pthread_cond_wait(&pool->left, &pool->lock);
    atomic_store(&pool->caller_sleeps, false);
    pthread_mutex_unlock(&pool->lock);
}

void xnor_parallel_for(xnor_pool *pool, size_t count, size_t size, const atomic_bool *cancel,
                       xnor_tile tile, void *context) {
    // A job within a job, or beside one of another session, runs on its own thread.
    if (!pool || pool->count == 1 || count <= size || atomic_exchange(&pool->busy, true)) {
        for (size_t begin = 0; begin < count; begin += size) {
            if (cancel && atomic_load_explicit(cancel, memory_order_relaxed)) return;
            tile(context, begin, count - begin < size ? count : begin + size);
        }
        return;
    }
    pool->tile = tile;
    pool->context = context;
    pool->cancel = cancel;
    pool->rows = count;
    pool->size = size;
    atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
    atomic_store_explicit(&pool->cpu, sched_getcpu(), memory_order_relaxed);
    atomic_store(&pool->open, true);
    atomic_fetch_add(&pool->started, 1);
    wake_sleepers(pool);
    take_tiles(pool);
    atomic_store(&pool->open, false);
    wait_until_left(pool);
    atomic_store(&pool->busy, false);
}

uint32_t xnor_pool_threads(const xnor_pool *pool) {
    return pool ? pool->count : 1;
}

// Signals are the caller's business.
static int start_thread(xnor_pool *pool, pthread_t *thread) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(thread, NULL, worker, pool);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

xnor_status xnor_pool_create(uint32_t threads, xnor_pool **out) {
    if (threads == 0 || threads > 1024)
        return xnor_fail(XNOR_E_ARGUMENT, "pool: expected 1 to 1024 threads, found %u", threads);
    xnor_pool *pool = calloc(1, sizeof *pool);
    if (!pool) return xnor_fail(XNOR_E_MEMORY, "pool: out of memory");
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->left, NULL);
    pool->count = 1;
    if (sched_getaffinity(0, sizeof pool->cpus, &pool->cpus) != 0) CPU_ZERO(&pool->cpus);
    pool->threads = calloc(threads, sizeof *pool->threads);
    while (pool->threads && pool->count < threads &&
           start_thread(pool, &pool->threads[pool->count - 1]) == 0)
        pool->count++;
    if (pool->count < threads || !pool->threads) {
        xnor_pool_free(&pool);
        return xnor_fail(XNOR_E_MEMORY, "pool: cannot start %u threads", threads);
    }
    *out = pool;
    return XNOR_OK;
}

void xnor_pool_free(xnor_pool **reference) {
    xnor_pool *pool = *reference;
    *reference = NULL;
    if (!pool) return;
    atomic_store(&pool->stop, true);
    wake_sleepers(pool);
    for (uint32_t i = 0; i + 1 < pool->count; i++) pthread_join(pool->threads[i], NULL);
    pthread_mutex_destroy(&pool->lock);
    pthread_cond_destroy(&pool->work);
    pthread_cond_destroy(&pool->left);
    free(pool->threads);
    free(pool);
}
