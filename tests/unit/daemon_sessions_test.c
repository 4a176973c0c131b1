// The memory of sessions: charged to one budget, given back, and refused when it is used up.
// Runs from the root of the source tree.
#include "daemon/sessions.h"
#include "daemon/store.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct reason why;
static void *image;
static xnor_model *model;
static struct session_budget budget;
static struct session_set *set;

static xnor_shape points(int64_t count) {
    return (xnor_shape){3, {1, count, 3}};
}

static uint64_t used(void) {
    return atomic_load(&budget.used_bytes);
}

static void open_model(const char *path) {
    size_t size = 0;
    cr_assert_eq(store_read(path, 1 << 24, &image, &size, &why), XNOR_OK, "%s", why.text);
    cr_assert_eq(xnor_model_open_memory(image, size, NULL, &model), XNOR_OK, "%s",
                 xnor_last_error());
    struct session_set_options options = {
        .model = model, .pinned = 1, .cached = 4, .max_bytes = 1 << 28, .budget = &budget};
    budget.max_bytes = UINT64_C(1) << 30;
    cr_assert_eq(session_set_create(&options, &set), XNOR_OK);
}

static void set_up(void) {
    open_model("models/pointnet-modelnet10/pointnet-modelnet10.xnor");
}

static void tear_down(void) {
    session_set_free(&set);
    cr_assert_eq(used(), 0, "%llu bytes are still charged", (unsigned long long)used());
    xnor_model_unref(&model);
    free(image);
}

TestSuite(sessions, .init = set_up, .fini = tear_down);

Test(sessions, are_charged_once_for_each_shape) {
    struct session *session = NULL;
    xnor_shape shape = points(64), other = points(128);
    cr_assert_eq(session_set_get(set, &shape, &session, &why), XNOR_OK, "%s", why.text);
    uint64_t one = used();
    cr_assert_geq(one, 64 * 3 * sizeof(float));
    cr_assert_eq(one, session->charged_bytes);
    cr_assert_eq(session_set_get(set, &shape, &session, &why), XNOR_OK);
    cr_assert_eq(used(), one);
    cr_assert_eq(session_set_get(set, &other, &session, &why), XNOR_OK);
    cr_assert_eq(used(), one + session->charged_bytes);
}

Test(sessions, that_are_not_pinned_make_room_for_others) {
    struct session *session = NULL;
    xnor_shape shape = points(64), other = points(65);
    cr_assert_eq(session_set_get(set, &shape, &session, &why), XNOR_OK);
    budget.max_bytes = used() * 2; // without the reserve one and a half fit
    cr_assert_eq(session_set_get(set, &other, &session, &why), XNOR_OK, "%s", why.text);
    cr_assert_null(session_set_find(set, &shape));
    cr_assert_eq(used(), session->charged_bytes);
}

Test(sessions, that_are_pinned_stay_and_the_request_is_refused) {
    struct session *session = NULL;
    xnor_shape shape = points(64), other = points(65);
    cr_assert_eq(session_set_pin(set, &shape, &why), XNOR_OK);
    uint64_t one = used();
    budget.max_bytes = one * 2;
    cr_assert_eq(session_set_get(set, &other, &session, &why), XNOR_E_MEMORY);
    cr_assert(strstr(why.text, "workers.max_memory_bytes") != NULL, "%s", why.text);
    cr_assert_not_null(session_set_find(set, &shape));
    cr_assert_eq(used(), one);
}

Test(sessions, a_shape_that_can_never_fit_costs_no_session_that_works) {
    struct session *session = NULL;
    xnor_shape shape = points(64), huge = points(4096);
    cr_assert_eq(session_set_get(set, &shape, &session, &why), XNOR_OK);
    uint64_t one = used();
    budget.max_bytes = one * 2;
    cr_assert_eq(session_set_get(set, &huge, &session, &why), XNOR_E_MEMORY);
    cr_assert_not_null(session_set_find(set, &shape));
    cr_assert_eq(used(), one);
}

Test(sessions, the_reserve_is_for_pinned_ones) {
    struct session *session = NULL;
    xnor_shape shape = points(64);
    cr_assert_eq(session_set_get(set, &shape, &session, &why), XNOR_OK);
    budget.max_bytes = used();
    session_set_free(&set);
    struct session_set_options options = {
        .model = model, .pinned = 1, .cached = 4, .max_bytes = 1 << 28, .budget = &budget};
    cr_assert_eq(session_set_create(&options, &set), XNOR_OK);
    cr_assert_eq(session_set_get(set, &shape, &session, &why), XNOR_E_MEMORY);
    cr_assert_eq(session_set_pin(set, &shape, &why), XNOR_OK, "%s", why.text);
}

Test(sessions, those_that_can_be_done_without_leave_half_of_the_budget) {
    xnor_shape shape = points(64), other = points(65);
    cr_assert_eq(session_set_pin(set, &shape, &why), XNOR_OK);
    uint64_t one = used();
    session_set_free(&set);
    struct session_set_options options = {
        .model = model, .pinned = 3, .cached = 4, .max_bytes = 1 << 28, .budget = &budget};
    cr_assert_eq(session_set_create(&options, &set), XNOR_OK);
    budget.max_bytes = one * 3;
    cr_assert(session_set_pin_spare(set, &shape));
    cr_assert_not(session_set_pin_spare(set, &other));
    cr_assert_eq(session_set_pin(set, &other, &why), XNOR_OK, "%s", why.text);
}

Test(sessions, other_memory_is_charged_too) {
    budget.max_bytes = 1000;
    cr_assert(session_budget_take(&budget, 700, &why));
    cr_assert_not(session_budget_take(&budget, 51, &why), "the reserve");
    cr_assert(strstr(why.text, "51 bytes, and 50") != NULL, "%s", why.text);
    cr_assert(session_budget_take(&budget, 50, &why));
    session_budget_give(&budget, 750);
}

Test(sessions, the_least_recently_used_goes) {
    struct session *session = NULL;
    for (int64_t count = 64; count < 69; count++) { // pinned place and four others
        xnor_shape shape = points(count);
        cr_assert_eq(session_set_get(set, &shape, &session, &why), XNOR_OK, "%s", why.text);
    }
    xnor_shape first = points(64), second = points(65), sixth = points(69);
    cr_assert_not_null(session_set_find(set, &first));
    cr_assert_eq(session_set_get(set, &sixth, &session, &why), XNOR_OK, "%s", why.text);
    cr_assert_not_null(session_set_find(set, &first), "it was used just before");
    cr_assert_null(session_set_find(set, &second));
}

Test(sessions, memory_for_one_request_is_kept_for_the_next) {
    void *first = NULL, *second = NULL;
    cr_assert_eq(session_set_reserve(set, 1000, &first, &why), XNOR_OK, "%s", why.text);
    memset(first, 1, 1000);
    cr_assert_eq((uintptr_t)first % 64, 0);
    const uint64_t charged = used();
    cr_assert(charged >= 1000 && charged < 1200);
    cr_assert_eq(session_set_reserve(set, 900, &second, &why), XNOR_OK);
    cr_assert(first == second && used() == charged);
    cr_assert_eq(session_set_reserve(set, 100000, &second, &why), XNOR_OK);
    memset(second, 1, 100000);
    cr_assert(used() >= 100000 && used() < 100000 + charged, "the smaller block is given back");
    session_set_trim(set);
    cr_assert_geq(used(), 100000);
    cr_assert_eq(session_set_reserve(set, SESSION_SET_KEPT_BYTES + 1, &second, &why), XNOR_OK);
    session_set_trim(set);
    cr_assert_eq(used(), 0, "so much is not kept");
}

Test(sessions, memory_for_one_request_keeps_to_the_budget) {
    void *memory = NULL;
    budget.max_bytes = 4096; // three quarters for requests
    cr_assert_eq(session_set_reserve(set, 4000, &memory, &why), XNOR_E_MEMORY);
    cr_assert(strstr(why.text, "max_memory_bytes"), "%s", why.text);
    cr_assert_eq(used(), 0);
    cr_assert_eq(session_set_reserve(set, 2000, &memory, &why), XNOR_OK);
}

// ---- some of the outputs ------------------------------------------------------------------------

enum { ROOMS_OUTPUTS = 4, SIDE = 32 };

static void open_rooms(void) {
    open_model("models/rooms/rooms.xnor");
    cr_assert_eq(xnor_model_output_count(model), ROOMS_OUTPUTS);
}

TestSuite(output_sets, .init = open_rooms, .fini = tear_down);

static struct session *some(uint32_t wanted) {
    struct session *session = NULL;
    const xnor_shape shape = {4, {1, 3, SIDE, SIDE}};
    cr_assert_eq(session_set_get_some(set, &shape, wanted, &session, &why), XNOR_OK, "%s",
                 why.text);
    return session;
}

static void run(struct session *session) {
    float *pixels = session->inputs[0].data;
    for (size_t i = 0; i < 3 * SIDE * SIDE; i++) pixels[i] = (float)(i * 7 % 31) / 10 - 1.5f;
    cr_assert_eq(xnor_session_run(session->run, session->inputs, session->outputs, NULL), XNOR_OK,
                 "%s", xnor_last_error());
}

Test(output_sets, have_a_session_each) {
    const struct session *depth = some(2), *two = some(6);
    const uint64_t charged = used();
    cr_expect(some(2) == depth && some(6) == two);
    cr_expect_eq(used(), charged, "nothing was made anew");
    cr_expect(depth != two);
    cr_expect_lt(depth->charged_bytes, two->charged_bytes);
    cr_expect_lt(two->charged_bytes, some(15)->charged_bytes);
}

Test(output_sets, of_all_outputs_are_the_session_of_the_shape) {
    struct session *whole = NULL;
    const xnor_shape shape = {4, {1, 3, SIDE, SIDE}};
    cr_assert_eq(session_set_get(set, &shape, &whole, &why), XNOR_OK, "%s", why.text);
    cr_expect(some(15) == whole && session_set_find(set, &shape) == whole);
}

Test(output_sets, give_what_all_outputs_together_give) {
    struct session *whole = some(15);
    run(whole);
    for (uint32_t wanted = 1; wanted < 15; wanted++) { // more than are kept: `whole` is used last
        struct session *session = some(wanted);
        run(session);
        cr_assert(some(15) == whole);
        for (uint32_t i = 0; i < ROOMS_OUTPUTS; i++) {
            if ((wanted & (1u << i)) == 0) {
                cr_expect_eq(session->output_bytes[i], 0, "%u of %u", i, wanted);
                continue;
            }
            cr_assert_eq(session->output_bytes[i], whole->output_bytes[i]);
            cr_expect_arr_eq(session->outputs[i].data, whole->outputs[i].data,
                             whole->output_bytes[i], "%u of %u", i, wanted);
        }
    }
}

Test(output_sets, make_room_for_each_other) {
    for (uint32_t wanted = 1; wanted <= 5; wanted++) some(wanted); // as many as there are places
    const uint64_t charged = used();
    const struct session *last = some(5);
    some(6); // in place of the first
    cr_expect(some(5) == last);
    cr_expect_lt(used(), charged + some(6)->charged_bytes);
}
