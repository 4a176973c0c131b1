// Asynchronous requests: exactly one callback, whatever happens.
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "xnord_fake.h"

static fake *server;
static xnord_client *client;

static void begin(void) {
    server = fake_start((fake_options){0});
    xnord_status status = xnord_client_open(fake_url(), NULL, &client);
    cr_assert_eq(status, XNORD_OK, "%s", xnord_last_error());
}

static void end(void) {
    xnord_client_close(&client);
    fake_stop(server);
}

TestSuite(xnord_async, .init = begin, .fini = end, .timeout = 60);

static double now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

typedef struct outcome {
    atomic_int calls;
    xnord_status status;
    uint32_t labels;
    char error[128];
    xnord_request *request; // freed by the callback if set
} outcome;

static void on_result(void *user, xnord_status status, xnord_result *result) {
    outcome *o = user;
    o->status = status;
    o->labels = result ? xnord_result_label_count(result) : 0;
    strncpy(o->error, xnord_last_error(), sizeof o->error - 1);
    if (o->request) xnord_request_free(&o->request);
    if (result) xnord_result_free(&result);
    atomic_fetch_add(&o->calls, 1);
}

static xnord_status start(const char *model, outcome *o, xnord_request **handle) {
    xnord_tensor tensor = {"x", XNORD_UINT8, 1, {1}, "a", 1, 0};
    xnord_infer_request request = {.model = model, .input_count = 1, .inputs = &tensor, .top_k = 3};
    return xnord_infer_async(client, &request, on_result, o, handle);
}

static void wait_for(const outcome *o) {
    while (atomic_load(&o->calls) == 0) usleep(1000);
}

Test(xnord_async, callback_gets_the_result) {
    outcome o = {0};
    xnord_request *request;
    cr_assert_eq(start("echo", &o, &request), XNORD_OK);
    cr_assert_eq(xnord_request_wait(request), XNORD_OK);
    cr_assert_eq(atomic_load(&o.calls), 1);
    cr_assert_eq(o.status, XNORD_OK);
    cr_assert_eq(o.labels, 3);
    xnord_request_cancel(request); // too late: nothing happens
    cr_assert_eq(xnord_request_wait(request), XNORD_OK);
    xnord_request_free(&request);
    cr_assert_null(request);
}

Test(xnord_async, callback_gets_the_refusal_and_its_words) {
    outcome o = {0};
    xnord_request *request;
    cr_assert_eq(start("busy", &o, &request), XNORD_OK);
    cr_assert_eq(xnord_request_wait(request), XNORD_BUSY);
    cr_assert_str_eq(o.error, "infer: queue full: queue of 8 is full");
    xnord_request_free(&request);
}

Test(xnord_async, rejected_request_has_no_callback) {
    outcome o = {0};
    xnord_request *request = NULL;
    cr_assert_eq(start(NULL, &o, &request), XNORD_E_ARGUMENT);
    cr_assert_eq(start("new\nline", &o, &request), XNORD_E_ARGUMENT);
    cr_assert_null(request);
    cr_assert_eq(atomic_load(&o.calls), 0);
}

Test(xnord_async, cancel_ends_the_wait) {
    for (int i = 0; i < 200; i++) {
        outcome o = {0};
        xnord_request *request;
        cr_assert_eq(start("silent", &o, &request), XNORD_OK);
        if (i % 2) usleep((unsigned)i * 10); // before, while and after it is sent
        xnord_request_cancel(request);
        cr_assert_eq(xnord_request_wait(request), XNORD_E_CANCELLED, "%d", i);
        cr_assert_eq(atomic_load(&o.calls), 1);
        xnord_request_free(&request);
    }
    outcome o = {0};
    cr_assert_eq(start("echo", &o, NULL), XNORD_OK);
    wait_for(&o);
    cr_assert_eq(o.status, XNORD_OK);
}

Test(xnord_async, handle_may_be_freed_early_or_never_taken) {
    enum { COUNT = 300 };
    static outcome o[COUNT];
    for (int i = 0; i < COUNT; i++) {
        xnord_request *request;
        if (i % 3 == 0) cr_assert_eq(start("echo", &o[i], NULL), XNORD_OK);
        if (i % 3 == 1) {
            cr_assert_eq(start("echo", &o[i], &request), XNORD_OK);
            xnord_request_free(&request);
        }
        if (i % 3 == 2) cr_assert_eq(start("busy", &o[i], &o[i].request), XNORD_OK);
    }
    for (int i = 0; i < COUNT; i++) wait_for(&o[i]);
    xnord_client_close(&client);
    for (int i = 0; i < COUNT; i++) {
        cr_assert_eq(atomic_load(&o[i].calls), 1);
        cr_assert_eq(o[i].status, i % 3 == 2 ? XNORD_BUSY : XNORD_OK, "%d", i);
    }
}

static atomic_int chain_left = 100;
static atomic_int chain_calls;

// Starts the next request from the callback, until the client refuses because it is being closed.
static void on_link(void *user, xnord_status status, xnord_result *result) {
    xnord_result_free(&result);
    atomic_fetch_add(&chain_calls, 1);
    if (status != XNORD_OK || atomic_fetch_sub(&chain_left, 1) <= 1) return;
    xnord_tensor tensor = {"x", XNORD_UINT8, 1, {1}, "a", 1, 0};
    xnord_infer_request request = {.model = "echo", .input_count = 1, .inputs = &tensor};
    if (xnord_infer_async(client, &request, on_link, user, NULL) != XNORD_OK) {
        atomic_store(&chain_left, 0);
    }
}

Test(xnord_async, callback_may_start_the_next_request) {
    on_link(NULL, XNORD_OK, NULL);
    while (atomic_load(&chain_left) > 0) usleep(1000);
    cr_assert_eq(atomic_load(&chain_calls), 100);
}

Test(xnord_async, close_ends_a_chain_of_requests) {
    atomic_store(&chain_left, 1 << 30);
    on_link(NULL, XNORD_OK, NULL);
    usleep(20000);
    xnord_client_close(&client);
    int calls = atomic_load(&chain_calls);
    usleep(50000);
    cr_assert_eq(atomic_load(&chain_calls), calls);
}

Test(xnord_async, close_cancels_what_is_under_way) {
    enum { COUNT = 50 };
    static outcome o[COUNT];
    for (int i = 0; i < COUNT; i++) cr_assert_eq(start("silent", &o[i], NULL), XNORD_OK);
    xnord_client_close(&client);
    for (int i = 0; i < COUNT; i++) {
        cr_assert_eq(atomic_load(&o[i].calls), 1);
        cr_assert_eq(o[i].status, XNORD_E_CANCELLED, "%s", o[i].error);
    }
}

static atomic_bool gate_open;
static atomic_int gate_passed;

static void wait_at_gate(void *user, xnord_status status, xnord_result *result) {
    (void)user, (void)status;
    while (!atomic_load(&gate_open)) usleep(1000);
    if (result) xnord_result_free(&result);
    atomic_fetch_add(&gate_passed, 1);
}

static void *open_gate_in_500_ms(void *unused) {
    usleep(500000);
    atomic_store(&gate_open, true);
    return unused;
}

// While callbacks hold all threads of nng, the reply to a request that was given up is read, but not
// looked at. A connection that is closed then must not be lost to nng, nor everything after it.
Test(xnord_async, close_waits_for_a_reply_that_is_being_read) {
    enum { COUNT = 40 }; // nng has at most 16
    xnord_client *other;
    xnord_request *late;
    pthread_t opener;
    xnord_tensor tensor = {"x", XNORD_UINT8, 1, {1}, "a", 1, 0};
    xnord_infer_request request = {.model = "late", .input_count = 1, .inputs = &tensor};
    outcome o = {0};
    cr_assert_eq(xnord_client_open(fake_url(), NULL, &other), XNORD_OK);
    cr_assert_eq(xnord_infer_async(other, &request, on_result, &o, &late), XNORD_OK);
    usleep(50000); // it has been sent
    xnord_request_cancel(late);
    cr_assert_eq(xnord_request_wait(late), XNORD_E_CANCELLED);
    xnord_request_free(&late);

    request.model = "echo";
    pthread_create(&opener, NULL, open_gate_in_500_ms, NULL);
    for (int i = 0; i < COUNT; i++)
        cr_assert_eq(xnord_infer_async(client, &request, wait_at_gate, NULL, NULL), XNORD_OK);
    usleep(300000);
    double start = now_ms();
    xnord_client_close(&other);
    cr_assert_lt(now_ms() - start,
                 2000); // it gives nng up, who would never return, only after 2250
    pthread_join(opener, NULL);
    while (atomic_load(&gate_passed) < COUNT) usleep(1000);
}
