// How the time of a model grows with points and shrinks with threads: two sessions in alternating
// rounds of one run.
//   scaling points NAME MODEL.xnor FEW MANY CHANNELS CLOUD...
//   scaling threads NAME MODEL.xnor DIMS CLOUD...
// points: one cloud after the other, one thread. Prints for each its times and distinct codes, then
// the median ratio. threads: one and two threads. Times are the best quarter of the runs, which
// says more than the median where neighbours use the machine; the ratio of medians is printed too.
#include <stdio.h>
#include <string.h>

#include "bench/clock.h"
#include "bench/engine.h"

enum { ROUNDS = 20, ROUND_MS = 50, MAX_RUNS = 20000, MAX_CLOUDS = 64 };

typedef struct times {
    double *ms;
    size_t count;
} times;

// At least one run, and more for as long as `budget_ms` lasts.
static int run_for(engine *e, double budget_ms, times *t) {
    double until = bench_now_ms() + budget_ms;
    do {
        if (t->count == MAX_RUNS) return 0;
        if (engine_run(e, &t->ms[t->count++]) != XNOR_OK) return -1;
    } while (bench_now_ms() < until);
    return 0;
}

static int alternate(engine *a, engine *b, times *ta, times *tb) {
    double ms;
    for (int i = 0; i < 5; i++)
        if (engine_run(a, &ms) != XNOR_OK || engine_run(b, &ms) != XNOR_OK) return -1;
    for (int round = 0; round < ROUNDS; round++)
        if (run_for(a, ROUND_MS, ta) != 0 || run_for(b, ROUND_MS, tb) != 0) return -1;
    return 0;
}

static double best_quarter(times *t) {
    return bench_quantile(t->ms, t->count, 0.25);
}

static double median(times *t) {
    return bench_quantile(t->ms, t->count, 0.5);
}

static unsigned long long distinct_of(const engine *e) {
    uint64_t distinct, rows;
    xnor_session_distinct(e->session, &distinct, &rows);
    return distinct;
}

static int points(char **argv, times *few_times, times *many_times) {
    const long long few = strtoll(argv[2], NULL, 10), many = strtoll(argv[3], NULL, 10),
                    channels = strtoll(argv[4], NULL, 10);
    double ratios[MAX_CLOUDS];
    size_t count = 0;
    for (char **path = argv + 5; *path && count < MAX_CLOUDS; path++) {
        const char *const cloud[2] = {*path, NULL};
        const xnor_shape few_shape = {3, {1, few, channels}}, many_shape = {3, {1, many, channels}};
        engine a, b = {0};
        few_times->count = many_times->count = 0;
        if (engine_start(&a, argv[1], few_shape, cloud, NULL) != XNOR_OK ||
            engine_start(&b, argv[1], many_shape, cloud, NULL) != XNOR_OK ||
            alternate(&a, &b, few_times, many_times) != 0)
            return -1;
        double few_ms = best_quarter(few_times), many_ms = best_quarter(many_times);
        ratios[count++] = many_ms / few_ms;
        printf("bench %s cloud=%s points=%lld..%lld ms=%.4f..%.4f ratio=%.2f ratio_of_medians=%.2f "
               "distinct=%llu..%llu arena_bytes=%llu..%llu\n",
               argv[0], strrchr(*path, '/') ? strrchr(*path, '/') + 1 : *path, few, many, few_ms,
               many_ms, many_ms / few_ms, median(many_times) / median(few_times), distinct_of(&a),
               distinct_of(&b), (unsigned long long)xnor_plan_arena_bytes(a.plan),
               (unsigned long long)xnor_plan_arena_bytes(b.plan));
        fflush(stdout);
        engine_stop(&a);
        engine_stop(&b);
    }
    printf("bench %s clouds=%zu ratio_median=%.2f ratio_range=%.2f..%.2f\n", argv[0], count,
           bench_quantile(ratios, count, 0.5), bench_quantile(ratios, count, 0),
           bench_quantile(ratios, count, 1));
    return 0;
}

static int threads(char **argv, times *one_times, times *two_times) {
    const xnor_shape shape = engine_shape(argv[2]);
    xnor_pool *pool = NULL;
    engine one, two = {0};
    if (xnor_pool_create(2, &pool) != XNOR_OK ||
        engine_start(&one, argv[1], shape, (const char *const *)argv + 3, NULL) != XNOR_OK ||
        engine_start(&two, argv[1], shape, (const char *const *)argv + 3, pool) != XNOR_OK ||
        alternate(&one, &two, one_times, two_times) != 0)
        return -1;
    double one_ms = best_quarter(one_times), two_ms = best_quarter(two_times);
    printf("bench %s dims=%s one_ms=%.4f two_ms=%.4f ratio=%.2f ratio_of_medians=%.2f "
           "ratio_of_best=%.2f best=%.4f..%.4f\n",
           argv[0], argv[2], one_ms, two_ms, one_ms / two_ms, median(one_times) / median(two_times),
           one_times->ms[0] / two_times->ms[0], one_times->ms[0], two_times->ms[0]);
    fflush(stdout);
    engine_stop(&one);
    engine_stop(&two);
    xnor_pool_free(&pool);
    return 0;
}

int main(int argc, char **argv) {
    const int by_points = argc >= 8 && strcmp(argv[1], "points") == 0;
    const int by_threads = argc >= 6 && strcmp(argv[1], "threads") == 0;
    if (!by_points && !by_threads) {
        fprintf(stderr, "usage: scaling points NAME MODEL.xnor FEW MANY CHANNELS CLOUD...\n"
                        "       scaling threads NAME MODEL.xnor DIMS CLOUD...\n");
        return 2;
    }
    times a = {malloc(MAX_RUNS * sizeof(double)), 0}, b = {malloc(MAX_RUNS * sizeof(double)), 0};
    int failed = !a.ms || !b.ms || (by_points ? points : threads)(argv + 2, &a, &b) != 0;
    if (failed) fprintf(stderr, "%s: the run failed: %s\n", argv[2], xnor_last_error());
    free(a.ms);
    free(b.ms);
    return failed;
}
