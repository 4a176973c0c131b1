// Runs: cancelling, threads, instruction sets, and that nothing is allocated.
#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/tensor.h"
#include "kernels/kernels.h"
#include "network_builder.h"

// ---- counting allocations -----------------------------------------------------------------------

// Sanitizers bring their own allocator, which these would replace.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COUNTS_ALLOCATIONS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define COUNTS_ALLOCATIONS 0
#endif
#endif
#if !defined(COUNTS_ALLOCATIONS) && defined(__GLIBC__)
#define COUNTS_ALLOCATIONS 1
#elif !defined(COUNTS_ALLOCATIONS)
#define COUNTS_ALLOCATIONS 0
#endif

static atomic_bool counting;
static atomic_uint allocations;

#if COUNTS_ALLOCATIONS
// The allocator of the C library under its other names.
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

#define REPLACES_LIBC __attribute__((visibility("default")))

static void count(void) {
    if (atomic_load_explicit(&counting, memory_order_relaxed)) atomic_fetch_add(&allocations, 1);
}

REPLACES_LIBC void *malloc(size_t size) {
    count();
    return __libc_malloc(size);
}

REPLACES_LIBC void *calloc(size_t n, size_t size) {
    count();
    return __libc_calloc(n, size);
}

REPLACES_LIBC void *realloc(void *memory, size_t size) {
    count();
    return __libc_realloc(memory, size);
}

REPLACES_LIBC void *aligned_alloc(size_t alignment, size_t size) {
    count();
    return __libc_memalign(alignment, size);
}
#endif

// ---- a network, its plan and inputs -------------------------------------------------------------

typedef struct fixture {
    builder b;
    xnor_model *model;
    xnor_plan *plan;
    tensors inputs, outputs;
} fixture;

static void open_network(fixture *f, const char *isa, int64_t batch, int64_t points) {
    static const uint32_t widths[5] = {64, 70, 256, 128, 64};
    *f = (fixture){0};
    builder_init(&f->b, 3);
    network_pointnet(&f->b, -1, -1, widths, 10);
    f->model = builder_compile(&f->b, isa, NULL);
    network_points(&f->b, CHANNELS_LAST, batch, points, &f->inputs);
    f->plan = builder_plan(f->model, &f->inputs);
    tensors_add(&f->outputs, XNOR_F32, *xnor_plan_output_shape(f->plan, 0));
}

static void close_network(fixture *f) {
    xnor_plan_unref(&f->plan);
    xnor_model_unref(&f->model);
    tensors_free(&f->inputs);
    tensors_free(&f->outputs);
    builder_free(&f->b);
}

static xnor_session *open_session(fixture *f, xnor_pool *pool) {
    xnor_session *session = NULL;
    cr_assert_eq(xnor_session_create(f->plan, pool, &session), XNOR_OK, "%s", xnor_last_error());
    return session;
}

static void run(fixture *f, xnor_session *session) {
    memset(f->outputs.items[0].data, 0xee, xnor_tensor_count(&f->outputs.items[0]) * sizeof(float));
    cr_assert_eq(xnor_session_run(session, f->inputs.items, f->outputs.items, NULL), XNOR_OK, "%s",
                 xnor_last_error());
}

static bool equal(const fixture *a, const fixture *b) {
    return memcmp(a->outputs.items[0].data, b->outputs.items[0].data,
                  xnor_tensor_count(&a->outputs.items[0]) * sizeof(float)) == 0;
}

// ---- tests --------------------------------------------------------------------------------------

Test(session, nothing_is_allocated_during_a_run) {
    if (!COUNTS_ALLOCATIONS) cr_skip_test("the sanitizer's allocator cannot be counted");
    fixture f;
    open_network(&f, NULL, 2, 300);
    for (uint32_t threads = 1; threads <= 2; threads++) {
        xnor_pool *pool = NULL;
        cr_assert_eq(xnor_pool_create(threads, &pool), XNOR_OK);
        xnor_session *session = open_session(&f, pool);
        atomic_store(&allocations, 0);
        atomic_store(&counting, true);
        xnor_status status = xnor_session_run(session, f.inputs.items, f.outputs.items, NULL);
        void *volatile proof = malloc(1);
        atomic_store(&counting, false);
        free(proof);
        cr_assert_eq(status, XNOR_OK);
        cr_assert_eq(atomic_load(&allocations), 1, "%u allocations with %u threads",
                     atomic_load(&allocations) - 1, threads);
        xnor_session_free(&session);
        xnor_pool_free(&pool);
    }
    close_network(&f);
}

Test(session, a_second_run_does_not_see_the_first) {
    fixture f, g;
    open_network(&f, NULL, 2, 300);
    open_network(&g, NULL, 2, 300);
    float *points = f.inputs.items[0].data;
    xnor_session *session = open_session(&f, NULL), *other = open_session(&g, NULL);
    run(&g, other);
    for (int i = 0; i < 1800; i++) points[i] = -points[i] + 1;
    run(&f, session);
    cr_assert_not(equal(&f, &g));
    memcpy(points, g.inputs.items[0].data, 1800 * sizeof *points);
    run(&f, session);
    cr_assert(equal(&f, &g));
    xnor_session_free(&session);
    xnor_session_free(&other);
    close_network(&f);
    close_network(&g);
}

Test(session, a_pool_of_two_threads_gives_the_same_bits) {
    fixture f, g;
    open_network(&f, NULL, 3, 700);
    open_network(&g, NULL, 3, 700);
    xnor_pool *pool = NULL;
    cr_assert_eq(xnor_pool_create(2, &pool), XNOR_OK);
    xnor_session *one = open_session(&f, NULL), *two = open_session(&g, pool);
    run(&f, one);
    run(&g, two);
    cr_assert(equal(&f, &g));
    xnor_session_free(&one);
    xnor_session_free(&two);
    xnor_pool_free(&pool);
    close_network(&f);
    close_network(&g);
}

Test(session, every_instruction_set_gives_the_same_bits) {
    fixture reference;
    open_network(&reference, "c", 2, 300);
    xnor_session *session = open_session(&reference, NULL);
    run(&reference, session);
    xnor_session_free(&session);
    for (const char *const *isa = xnor_kernels_available(); *isa; isa++) {
        fixture f;
        open_network(&f, *isa, 2, 300);
        cr_assert_str_eq(xnor_model_isa(f.model), *isa);
        session = open_session(&f, NULL);
        run(&f, session);
        cr_assert(equal(&f, &reference), "%s", *isa);
        xnor_session_free(&session);
        close_network(&f);
    }
    close_network(&reference);
}

Test(session, a_cloud_gives_the_same_in_any_batch) {
    fixture all, one;
    open_network(&all, NULL, 3, 300);
    open_network(&one, NULL, 1, 300);
    xnor_session *batch = open_session(&all, NULL), *single = open_session(&one, NULL);
    run(&all, batch);
    for (size_t i = 0; i < 3; i++) {
        memcpy(one.inputs.items[0].data, (float *)all.inputs.items[0].data + i * 900,
               900 * sizeof(float));
        run(&one, single);
        cr_assert_eq(memcmp(one.outputs.items[0].data, (float *)all.outputs.items[0].data + i * 10,
                            10 * sizeof(float)),
                     0, "cloud %zu", i);
    }
    xnor_session_free(&batch);
    xnor_session_free(&single);
    close_network(&all);
    close_network(&one);
}

typedef struct worker {
    fixture *f;
    xnor_session *session;
    float scores[20];
    xnor_status status;
} worker;

static void *work(void *context) {
    worker *w = context;
    xnor_tensor out = w->f->outputs.items[0];
    out.data = w->scores;
    for (int i = 0; i < 20 && w->status == XNOR_OK; i++)
        w->status = xnor_session_run(w->session, w->f->inputs.items, &out, NULL);
    return NULL;
}

Test(session, two_sessions_of_one_plan_run_at_the_same_time) {
    fixture f;
    open_network(&f, NULL, 2, 300);
    worker workers[2] = {{.f = &f}, {.f = &f}};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        workers[i].session = open_session(&f, NULL);
        cr_assert_eq(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        cr_assert_eq(workers[i].status, XNOR_OK);
    }
    run(&f, workers[0].session);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(memcmp(workers[i].scores, f.outputs.items[0].data, sizeof workers[i].scores),
                     0);
        xnor_session_free(&workers[i].session);
    }
    close_network(&f);
}

Test(session, a_cancelled_run_ends_and_the_session_stays_good) {
    fixture f;
    open_network(&f, NULL, 2, 300);
    xnor_session *session = open_session(&f, NULL);
    atomic_bool cancel = true;
    cr_assert_eq(xnor_session_run(session, f.inputs.items, f.outputs.items, &cancel),
                 XNOR_E_CANCELLED);
    cr_assert_not_null(strstr(xnor_last_error(), "run cancelled before step 0 of"));
    tensors want;
    builder_reference(&f.b.graph, &f.inputs, &want);
    atomic_store(&cancel, false);
    cr_assert_eq(xnor_session_run(session, f.inputs.items, f.outputs.items, &cancel), XNOR_OK);
    cr_assert_leq(tensors_distance(&want.items[0], &f.outputs.items[0]), 1e-4);
    tensors_free(&want);
    xnor_session_free(&session);
    close_network(&f);
}

static void *cancel_soon(void *context) {
    struct timespec wait = {0, 2000000};
    nanosleep(&wait, NULL);
    atomic_store((atomic_bool *)context, true);
    return NULL;
}

Test(session, a_cancel_during_a_run_leaves_no_half_result_behind) {
    fixture f;
    open_network(&f, "c", 1, 200000);
    xnor_session *session = open_session(&f, NULL);
    atomic_bool cancel = false;
    pthread_t thread;
    float *scores = f.outputs.items[0].data;
    scores[0] = 42;
    cr_assert_eq(pthread_create(&thread, NULL, cancel_soon, &cancel), 0);
    xnor_status status = xnor_session_run(session, f.inputs.items, f.outputs.items, &cancel);
    pthread_join(thread, NULL);
    // On a machine that is fast enough the run may be over before.
    cr_assert(status == XNOR_E_CANCELLED ? scores[0] == 42 : status == XNOR_OK);
    xnor_session_free(&session);
    close_network(&f);
}

Test(session, wrong_tensors_are_refused) {
    fixture f;
    open_network(&f, NULL, 1, 8);
    xnor_session *session = open_session(&f, NULL);
    xnor_tensor in = f.inputs.items[0], out = f.outputs.items[0];
    in.dtype = XNOR_F64;
    cr_assert_eq(xnor_session_run(session, &in, &out, NULL), XNOR_E_DTYPE);
    cr_assert_str_eq(xnor_last_error(), "input 'points': expected f32, found f64");
    in = f.inputs.items[0];
    in.shape.dims[1] = 9;
    cr_assert_eq(xnor_session_run(session, &in, &out, NULL), XNOR_E_SHAPE);
    cr_assert_str_eq(xnor_last_error(),
                     "input 'points': expected shape [1, 8, 3], found [1, 9, 3]");
    in = f.inputs.items[0];
    in.data = NULL;
    cr_assert_eq(xnor_session_run(session, &in, &out, NULL), XNOR_E_ARGUMENT);
    out.shape.rank = 1;
    cr_assert_eq(xnor_session_run(session, f.inputs.items, &out, NULL), XNOR_E_SHAPE);
    cr_assert_str_eq(xnor_last_error(), "output 'scores': expected shape [1, 10], found [1]");
    xnor_session_free(&session);
    close_network(&f);
}

Test(session, a_profile_adds_up_until_it_is_stopped) {
    fixture f;
    open_network(&f, NULL, 2, 300);
    xnor_session *session = open_session(&f, NULL);
    uint64_t times[64] = {0}, before[64];
    cr_assert_leq(xnor_plan_step_count(f.plan), 64);
    xnor_session_profile(session, times);
    run(&f, session);
    uint64_t total = 0;
    for (uint32_t i = 0; i < xnor_plan_step_count(f.plan); i++) total += times[i];
    cr_assert_gt(total, 0);
    xnor_session_profile(session, NULL);
    memcpy(before, times, sizeof times);
    run(&f, session);
    cr_assert_eq(memcmp(before, times, sizeof times), 0);
    xnor_session_free(&session);
    close_network(&f);
}

Test(session, outputs_may_be_inputs_constants_and_views) {
    builder b;
    builder_init(&b, 1);
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(-1, 2));
    builder_output(&b, NODE(&b, XNOR_OP_IDENTITY, x), "same");
    builder_output(&b, NODE(&b, XNOR_OP_RESHAPE, x, builder_ints(&b, I(2, -1))), "view");
    builder_output(&b, NODE(&b, XNOR_OP_NEG, builder_floats(&b, SHAPE(2), D(1, 2))), "constant");
    builder_output(&b, NODE(&b, XNOR_OP_SHAPE, x), "shape");
    tensors inputs, want, found;
    builder_inputs(&b, 4, &inputs);
    cr_assert_eq(xnor_graph_verify(&b.graph), XNOR_OK);
    builder_reference(&b.graph, &inputs, &want);
    xnor_model *model = builder_compile(&b, NULL, NULL);
    builder_run(model, NULL, &inputs, &found);
    for (uint32_t i = 0; i < 4; i++)
        cr_assert_eq(tensors_distance(&want.items[i], &found.items[i]), 0, "output %u", i);
    cr_assert_eq(xnor_model_output(model, 3)->dtype, XNOR_I64);
    xnor_model_unref(&model);
    tensors_free(&inputs);
    tensors_free(&want);
    tensors_free(&found);
    builder_free(&b);
}

Test(session, pools_take_at_least_one_thread) {
    xnor_pool *pool = NULL;
    cr_assert_eq(xnor_pool_create(0, &pool), XNOR_E_ARGUMENT);
    cr_assert_str_eq(xnor_last_error(), "pool: expected 1 to 1024 threads, found 0");
    xnor_pool_free(&pool);
}

// An output that other steps read, its view, one of the same value, and an input that is handed through.
Test(session, outputs_are_made_in_the_buffers_of_the_caller) {
    enum { COUNT = 6 };
    builder b;
    builder_init(&b, 4);
    xnor_value_id x = builder_input(&b, "x", XNOR_F32, SHAPE(2, 3));
    xnor_value_id y = NODE(&b, XNOR_OP_EXP, x);
    xnor_value_id view = NODE(&b, XNOR_OP_RESHAPE, y, builder_ints(&b, (int64_t[]){3, 2}, 2));
    xnor_value_id same = NODE(&b, XNOR_OP_RESHAPE, x, builder_ints(&b, (int64_t[]){6}, 1));
    builder_output(&b, y, "y");
    builder_output(&b, view, "view");
    builder_output(&b, NODE(&b, XNOR_OP_NEG, view), "negated");
    builder_output(&b, same, "same");
    xnor_model *model = builder_model(&b.graph, NULL);
    float in[COUNT] = {0, 1, -1, 2, 0.5f, -2}, out[2][4][COUNT];
    const xnor_tensor input = {XNOR_F32, SHAPE(2, 3), in};
    xnor_plan *plan = NULL;
    xnor_session *session = NULL;
    cr_assert_eq(xnor_plan_create(model, &input.shape, &plan), XNOR_OK);
    cr_expect_eq(xnor_plan_arena_bytes(plan), 0, "nothing is left to the arena");
    cr_assert_eq(xnor_session_create(plan, NULL, &session), XNOR_OK);
    for (size_t run = 0; run < 2; run++) {
        float(*to)[COUNT] = out[run];
        in[5] = (float)run;
        xnor_tensor outputs[] = {{XNOR_F32, SHAPE(2, 3), to[0]},
                                 {XNOR_F32, SHAPE(3, 2), to[1]},
                                 {XNOR_F32, SHAPE(3, 2), to[2]},
                                 {XNOR_F32, SHAPE(6), to[3]}};
        cr_assert_eq(xnor_session_run(session, &input, outputs, NULL), XNOR_OK);
    }
    for (size_t run = 0; run < 2; run++)
        for (size_t i = 0; i < COUNT; i++) {
            const float own = i == 5 ? (float)run : in[i];
            cr_expect_float_eq(out[run][0][i], expf(own), 1e-5);
            cr_expect_eq(out[run][1][i], out[run][0][i]);
            cr_expect_eq(out[run][2][i], -out[run][0][i]);
            cr_expect_eq(out[run][3][i], own);
        }
    xnor_session_free(&session);
    xnor_plan_unref(&plan);
    xnor_model_unref(&model);
    builder_free(&b);
}
