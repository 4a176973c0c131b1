// Timing for the benchmarks: monotonic nanoseconds and order statistics.
#ifndef BENCH_CLOCK_H
#define BENCH_CLOCK_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

static inline double bench_now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static inline int bench_compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// Sorts `values`; quantile 0.5 is the median.
static inline double bench_quantile(double *values, size_t count, double quantile) {
    qsort(values, count, sizeof *values, bench_compare);
    return values[(size_t)(quantile * (double)(count - 1) + 0.5)];
}

#endif
