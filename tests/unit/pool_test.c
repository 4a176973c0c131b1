// The parallel-for: every row once, whatever the threads do.
#include <criterion/criterion.h>

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "exec/pool.h"

enum { ROWS = 1000 };

typedef struct rows {
    atomic_int times[ROWS];
    atomic_bool cancel;
    xnor_pool *inner; // for a job within the job
} rows;

static xnor_pool *new_pool(uint32_t threads) {
    xnor_pool *pool;
    cr_assert_eq(xnor_pool_create(threads, &pool), XNOR_OK);
    return pool;
}

static void mark(void *context, size_t begin, size_t end) {
    rows *r = context;
    for (size_t i = begin; i < end; i++) atomic_fetch_add(&r->times[i], 1);
}

static void expect_each(const rows *r, int times) {
    for (size_t i = 0; i < ROWS; i++) cr_assert_eq(atomic_load(&r->times[i]), times);
}

static void nap(long ns) {
    const struct timespec t = {0, ns};
    nanosleep(&t, NULL);
}

Test(pool, every_row_is_done_once_for_any_number_of_threads_and_tile_size) {
    for (uint32_t threads = 1; threads <= 5; threads++) {
        xnor_pool *pool = new_pool(threads);
        cr_assert_eq(xnor_pool_threads(pool), threads);
        for (size_t size = 1; size <= ROWS + 1; size += 37) {
            rows r = {0};
            xnor_parallel_for(pool, ROWS, size, NULL, mark, &r);
            expect_each(&r, 1);
        }
        xnor_pool_free(&pool);
        cr_assert_null(pool);
    }
}

Test(pool, a_thread_that_fell_asleep_takes_part_again) {
    xnor_pool *pool = new_pool(3);
    rows r = {0};
    for (int job = 0; job < 20; job++) {
        xnor_parallel_for(pool, ROWS, 10, NULL, mark, &r);
        nap(1000000);
    }
    expect_each(&r, 20);
    xnor_pool_free(&pool);
}

static void mark_slowly(void *context, size_t begin, size_t end) {
    nap(2000000);
    mark(context, begin, end);
}

Test(pool, the_caller_waits_for_a_thread_inside_a_tile) {
    xnor_pool *pool = new_pool(4);
    rows r = {0};
    for (int job = 0; job < 5; job++)
        xnor_parallel_for(pool, ROWS, ROWS / 7, NULL, mark_slowly, &r);
    expect_each(&r, 5);
    xnor_pool_free(&pool);
}

static void mark_and_cancel(void *context, size_t begin, size_t end) {
    rows *r = context;
    mark(r, begin, end);
    atomic_store(&r->cancel, true);
}

Test(pool, no_tile_starts_after_a_cancel) {
    xnor_pool *pool = new_pool(2);
    for (int threads = 0; threads < 2; threads++) {
        rows r = {0};
        int done = 0;
        xnor_parallel_for(threads ? pool : NULL, ROWS, 1, &r.cancel, mark_and_cancel, &r);
        for (size_t i = 0; i < ROWS; i++) done += atomic_load(&r.times[i]);
        cr_assert_geq(done, 1);
        cr_assert_leq(done, 2);
    }
    xnor_pool_free(&pool);
}

static void mark_within(void *context, size_t begin, size_t end) {
    rows *r = context;
    for (size_t i = begin; i < end; i++) xnor_parallel_for(r->inner, ROWS, 100, NULL, mark, r);
}

Test(pool, a_job_within_a_job_runs_on_its_own_thread) {
    xnor_pool *pool = new_pool(3);
    rows r = {.inner = pool};
    xnor_parallel_for(pool, 12, 1, NULL, mark_within, &r);
    expect_each(&r, 12);
    xnor_pool_free(&pool);
}

static void *run_jobs(void *context) {
    rows *r = context;
    for (int job = 0; job < 200; job++) xnor_parallel_for(r->inner, ROWS, 50, NULL, mark, r);
    return NULL;
}

Test(pool, two_callers_do_not_disturb_one_another) {
    static rows both[2];
    pthread_t threads[2];
    xnor_pool *pool = new_pool(3);
    for (int i = 0; i < 2; i++) {
        both[i].inner = pool;
        cr_assert_eq(pthread_create(&threads[i], NULL, run_jobs, &both[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        expect_each(&both[i], 200);
    }
    xnor_pool_free(&pool);
}

Test(pool, an_impossible_number_of_threads_is_refused) {
    xnor_pool *pool = NULL;
    cr_assert_eq(xnor_pool_create(0, &pool), XNOR_E_ARGUMENT);
    cr_assert_eq(xnor_pool_create(1025, &pool), XNOR_E_ARGUMENT);
    cr_assert_null(pool);
    xnor_pool_free(&pool);
}
