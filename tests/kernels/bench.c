// Benchmark of every kernel set. Per shape, the limit loop, portable C and the sets take turns,
// round after round, and medians are compared: a neighbour's load hits all of them alike.
#define _POSIX_C_SOURCE 200809L
#include "harness.h"
#include "limits.h"

#include "core/size.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS 25
#define MIN_ROUND_NS 100000.0
#define MAX_SETS 4

typedef enum work_kind { WORK_BITS, WORK_FMA, WORK_MOVE } work_kind;

typedef struct bench_shape {
    const char *family;
    size_t rows, k, n;
    work_kind kind;
} bench_shape;

static const bench_shape shapes[] = {
    {"gemm_thr", 1024, 512, 512, WORK_BITS},
    {"gemm_thr", 1024, 64, 64, WORK_BITS},
    {"gemm_thr", 1024, 64, 128, WORK_BITS},
    {"gemm_thr", 1024, 128, 1024, WORK_BITS},
    {"gemm_thr", 1024, 1088, 512, WORK_BITS},
    {"gemm_thr", 1024, 2048, 256, WORK_BITS},
    {"gemm_thr", 1, 1024, 512, WORK_BITS},
    {"gemm_thr", 1, 256, 4096, WORK_BITS},
    {"gemm_thr", 3, 1024, 512, WORK_BITS},
    {"gemm_max", 1024, 128, 1024, WORK_BITS},
    {"gemm_max", 550, 128, 1024, WORK_BITS},
    {"gemm_max", 1024, 64, 64, WORK_BITS},
    {"gemm_acc", 1024, 64, 64, WORK_BITS},
    {"gemm_acc", 1024, 576, 64, WORK_BITS},
    {"gemm_acc", 1, 1024, 512, WORK_BITS},
    {"gemm_acc", 1, 256, 4096, WORK_BITS},
    {"gemm_acc_ternary", 1024, 576, 64, WORK_BITS},
    {"gemm_acc_ternary", 1, 1024, 512, WORK_BITS},
    {"gemm_max_ternary", 20, 64, 128, WORK_BITS},
    {"gemm_max_ternary", 1024, 64, 128, WORK_BITS},
    {"gemm_f32", 1024, 64, 64, WORK_FMA},
    {"gemm_f32", 1024, 3, 64, WORK_FMA},
    {"gemm_f32", 1024, 64, 9, WORK_FMA},
    {"gemm_f32", 1, 256, 4096, WORK_FMA},
    {"gemm_f32", 1, 256, 10, WORK_FMA},
    {"gemm_f32_bits", 1024, 3, 64, WORK_FMA},
    {"gemm_f32_bits", 16384, 3, 64, WORK_FMA},
    {"gemm_f32_bits", 1024, 64, 64, WORK_FMA},
    {"pack_f32", 1024, 1, 64, WORK_MOVE},
    {"pack_f32_ternary", 1024, 1, 64, WORK_MOVE},
    {"acc_thr", 1024, 1, 512, WORK_MOVE},
    {"distances_f32", 12, 3, 1024, WORK_FMA},
    {"distances_f32", 12, 64, 1024, WORK_FMA},
    {"code_distances", 12, 64, 1024, WORK_FMA},
    {"nearest_f32", 12, 20, 1024, WORK_MOVE},
    {"rows_affine", 256, 1, 128, WORK_MOVE},
    {"rows_max", 256, 1, 1024, WORK_MOVE},
    {"rows_magnitude", 256, 1, 128, WORK_MOVE},
};

typedef struct bench_data {
    uint64_t *bits_a, *bits_mask, *bits_w, *bits_out;
    int32_t *limit, *acc;
    float *a, *b, *bias, *out, *values;
    int64_t *nearest;
    void *packed[MAX_SETS];
} bench_data;

static void *aligned(size_t bytes) {
    void *memory = aligned_alloc(64, xnor_align_up(bytes + 1, 64));
    if (!memory) {
        perror("aligned_alloc");
        exit(1);
    }
    memset(memory, 0, bytes);
    return memory;
}

static void make_data(const bench_shape *s, bench_data *d) {
    const size_t k_words = xnor_words(s->k);
    const size_t n_words = xnor_words(s->n);
    d->bits_a = aligned(s->rows * k_words * sizeof(uint64_t));
    d->bits_mask = aligned(s->rows * k_words * sizeof(uint64_t));
    d->bits_w = aligned(s->n * k_words * sizeof(uint64_t));
    d->bits_out = aligned(2 * s->rows * n_words * sizeof(uint64_t));
    d->limit = aligned(s->n * sizeof(int32_t));
    d->acc = aligned(s->rows * s->n * sizeof(int32_t));
    d->a = aligned(s->rows * s->k * s->n * (s->kind == WORK_MOVE ? sizeof(float) : 0) +
                   s->rows * s->k * sizeof(float));
    d->b = aligned(s->k * s->n * sizeof(float));
    d->bias = aligned(s->n * sizeof(float));
    d->out = aligned(s->rows * s->n * sizeof(float));
    d->values = aligned(s->k * sizeof(float));
    d->nearest = aligned(s->k * sizeof(int64_t));
    random_seed(7);
    fill_bits(d->bits_a, s->rows, s->k, k_words, PATTERN_RANDOM);
    fill_bits(d->bits_mask, s->rows, s->k, k_words, PATTERN_RANDOM);
    fill_bits(d->bits_w, s->n, s->k, k_words, PATTERN_RANDOM);
    for (size_t i = 0; i < s->n; i++) d->limit[i] = (int32_t)s->k / 2;
    const size_t a_count = s->kind == WORK_MOVE ? s->rows * s->n : s->rows * s->k;
    for (size_t i = 0; i < a_count; i++) d->a[i] = random_float(false);
    if (strcmp(s->family, "nearest_f32") == 0)
        for (size_t i = 0; i < a_count; i++) d->a[i] = fabsf(d->a[i]);
    for (size_t i = 0; i < s->k * s->n; i++) d->b[i] = random_float(false);
    for (size_t i = 0; i < s->n; i++) d->bias[i] = random_float(false);
}

static void free_data(bench_data *d, size_t sets) {
    void *all[] = {d->bits_a, d->bits_mask, d->bits_w, d->bits_out, d->limit,
                   d->acc,    d->a,         d->b,      d->bias,     d->out};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) free(all[i]);
    for (size_t i = 0; i < sets; i++) free(d->packed[i]);
}

static void run_once(const xnor_kernels *set, const bench_shape *s, bench_data *d,
                     const void *packed) {
    const xnor_gemm_args args = {.rows = s->rows,
                                 .k = s->k,
                                 .n = s->n,
                                 .n_end = s->n,
                                 .a = d->bits_a,
                                 .mask = d->bits_mask,
                                 .a_stride = xnor_words(s->k),
                                 .packed = packed};
    const size_t n_words = xnor_words(s->n);
    const char *family = s->family;
    if (strcmp(family, "gemm_thr") == 0) {
        set->gemm_thr(&args, d->bits_out, n_words);
    } else if (strcmp(family, "gemm_max") == 0) {
        set->gemm_max(&args, d->acc);
    } else if (strcmp(family, "gemm_acc") == 0) {
        set->gemm_acc(&args, d->acc, s->n);
    } else if (strcmp(family, "gemm_acc_ternary") == 0) {
        set->gemm_acc_ternary(&args, d->acc, s->n);
    } else if (strcmp(family, "gemm_max_ternary") == 0) {
        set->gemm_max_ternary(&args, d->acc);
    } else if (strcmp(family, "gemm_f32") == 0) {
        set->gemm_f32(s->rows, s->k, s->n, d->a, s->k, d->b, s->n, d->bias, d->out, s->n);
    } else if (strcmp(family, "gemm_f32_bits") == 0) {
        set->gemm_f32_bits(s->rows, s->k, s->n, d->a, s->k, d->b, s->n, d->bias, d->bits_out,
                           n_words);
    } else if (strcmp(family, "pack_f32") == 0) {
        set->pack_f32(s->rows, s->n, d->a, s->n, d->bits_out, n_words);
    } else if (strcmp(family, "pack_f32_ternary") == 0) {
        set->pack_f32_ternary(s->rows, s->n, d->a, s->n, d->bits_out,
                              d->bits_out + s->rows * n_words, n_words);
    } else if (strcmp(family, "distances_f32") == 0) {
        set->distances_f32(s->rows, s->n / XNOR_PANEL, s->k, d->a, s->k, d->b, d->out, s->n);
    } else if (strcmp(family, "code_distances") == 0) {
        const int16_t *codes = (const int16_t *)(const void *)d->a;
        set->code_distances(s->rows, s->n / XNOR_PANEL, s->k / 2, codes, d->acc,
                            (const int16_t *)(const void *)d->b, d->acc, 1, d->out, s->n);
    } else if (strcmp(family, "nearest_f32") == 0) {
        for (size_t r = 0; r < s->rows; r++)
            set->nearest_f32(s->n, 1, d->bias, d->b, d->a + r * s->n, 0, 0, s->k, d->values,
                             d->nearest);
    } else if (strcmp(family, "rows_affine") == 0) {
        set->rows_affine(s->rows, s->n, d->acc, s->n, d->a, d->bias, d->bias, d->out, s->n);
    } else if (strcmp(family, "rows_max") == 0) {
        set->rows_max(s->rows, s->n, d->acc, s->n, d->a, d->out);
    } else if (strcmp(family, "rows_magnitude") == 0) {
        set->rows_magnitude(s->rows, s->n, d->a, s->n, -1, 1, d->out);
    } else {
        set->acc_thr(s->rows, s->n, d->acc, s->n, d->limit, d->bits_out, n_words);
    }
}

static double now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int compare_doubles(const void *a, const void *b) {
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t count) {
    qsort(values, count, sizeof *values, compare_doubles);
    return values[count / 2];
}

// ns of one call: `repeats` calls are timed together.
static double time_kernel(const xnor_kernels *set, const bench_shape *s, bench_data *d,
                          const void *packed, size_t repeats) {
    const double start = now_ns();
    for (size_t i = 0; i < repeats; i++) run_once(set, s, d, packed);
    return (now_ns() - start) / (double)repeats;
}

// ns per unit of work of the limit loop, over about a tenth of a millisecond.
static double time_limit(const limit_loops *limit, work_kind kind) {
    const size_t rounds = 10000;
    const double start = now_ns();
    if (kind == WORK_FMA)
        limit->fma(rounds);
    else
        limit->popcount(rounds);
    const double elapsed = now_ns() - start;
    return elapsed / (double)(rounds * (kind == WORK_FMA ? limit->fmas : limit->bit_macs));
}

static void bench_one(const bench_shape *s, const xnor_kernels *sets, size_t set_count) {
    bench_data d = {0};
    make_data(s, &d);
    size_t repeats[MAX_SETS];
    for (size_t i = 0; i < set_count; i++) {
        d.packed[i] = aligned(sets[i].gemm_packed_bytes(s->k, s->n));
        sets[i].gemm_pack(s->k, s->n, d.bits_w, d.limit, d.packed[i]);
        run_once(&sets[i], s, &d, d.packed[i]);
        const double once = time_kernel(&sets[i], s, &d, d.packed[i], 1);
        repeats[i] = once < MIN_ROUND_NS ? (size_t)(MIN_ROUND_NS / (once + 1)) + 1 : 1;
    }
    static double ns[MAX_SETS][ROUNDS];
    static double limit_ns[MAX_SETS][ROUNDS];
    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < set_count; i++) {
            const limit_loops *limit = limit_for(sets[i].isa);
            if (limit) limit_ns[i][round] = time_limit(limit, s->kind);
            ns[i][round] = time_kernel(&sets[i], s, &d, d.packed[i], repeats[i]);
        }
    }
    const double work = (double)s->rows * (double)s->k * (double)s->n;
    double c_ns = 0;
    for (size_t i = 0; i < set_count; i++) {
        const double median_ns = median(ns[i], ROUNDS);
        if (i == 0) c_ns = median_ns;
        printf("%-13s %-17s %5zu x %4zu x %4zu %12.0f ns %8.1f G/s", sets[i].isa, s->family,
               s->rows, s->k, s->n, median_ns, work / median_ns);
        if (limit_for(sets[i].isa) && s->kind != WORK_MOVE) {
            printf("  %5.1f %% of limit", 100 * work * median(limit_ns[i], ROUNDS) / median_ns);
        }
        printf("  %6.1f x c\n", c_ns / median_ns);
        fflush(stdout);
    }
    free_data(&d, set_count);
}

int run_benchmark(const char *isa) {
    xnor_kernels sets[MAX_SETS];
    size_t count = 0;
    for (const char *const *name = xnor_kernels_available(); *name && count < MAX_SETS; name++) {
        if (isa && strcmp(*name, isa) != 0 && strcmp(*name, "c") != 0) continue;
        if (xnor_kernels_select(&sets[count], *name) == XNOR_OK) count++;
    }
    puts("G/s: bit-MAC, fma or elements in thousands of millions per second; medians of turns");
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        bench_one(&shapes[i], sets, count);
    }
    return 0;
}
