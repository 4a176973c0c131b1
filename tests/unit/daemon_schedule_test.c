// The order of requests, batches, and the slots that hold them.
#include "daemon/schedule.h"

#include <criterion/criterion.h>
#include <signal.h>

static struct version *version_at(uintptr_t number) {
    return (struct version *)number; // only compared, never looked into
}

static void admit(struct request *request, uintptr_t version, int64_t points) {
    *request = (struct request){.state = REQUEST_ADMITTED,
                                .kind = REQUEST_CLOUD,
                                .version = version_at(version),
                                .shapes[0] = {3, {1, points, 3}}};
}

Test(schedule, takes_the_oldest_first) {
    struct schedule schedule = {0};
    struct request requests[3], *batch[8];
    for (size_t i = 0; i < 3; i++) {
        admit(&requests[i], 1, 1024);
        schedule_push(&schedule, &requests[i]);
    }
    for (size_t i = 0; i < 3; i++) {
        cr_assert_eq(schedule_take(&schedule, 1, batch), 1);
        cr_assert_eq(batch[0], &requests[i]);
        cr_assert_eq(batch[0]->state, REQUEST_RUNNING);
    }
    cr_assert_eq(schedule_take(&schedule, 1, batch), 0);
}

Test(schedule, batches_one_model_and_shape_and_keeps_the_order_of_the_rest) {
    struct schedule schedule = {0};
    struct request requests[6], *batch[8];
    const uintptr_t versions[6] = {1, 2, 1, 1, 2, 1};
    const int64_t points[6] = {1024, 1024, 512, 1024, 1024, 1024};
    for (size_t i = 0; i < 6; i++) {
        admit(&requests[i], versions[i], points[i]);
        schedule_push(&schedule, &requests[i]);
    }
    cr_assert_eq(schedule_take(&schedule, 8, batch), 3);
    cr_assert_eq(batch[0], &requests[0]);
    cr_assert_eq(batch[1], &requests[3]);
    cr_assert_eq(batch[2], &requests[5]);
    cr_assert_eq(schedule.count, 3);
    cr_assert_eq(schedule_take(&schedule, 8, batch), 2);
    cr_assert_eq(batch[0], &requests[1]);
    cr_assert_eq(batch[1], &requests[4]);
    cr_assert_eq(schedule_take(&schedule, 8, batch), 1);
    cr_assert_eq(batch[0], &requests[2]);
    cr_assert_null(schedule.oldest);
    cr_assert_null(schedule.newest);
    schedule_push(&schedule, (admit(&requests[0], 1, 1024), &requests[0]));
    cr_assert_eq(schedule_take(&schedule, 8, batch), 1, "works on after it was empty");
}

Test(schedule, raw_tensors_run_alone) {
    struct schedule schedule = {0};
    struct request requests[2], *batch[8];
    for (size_t i = 0; i < 2; i++) {
        admit(&requests[i], 1, 1024);
        requests[i].kind = REQUEST_TENSORS;
        schedule_push(&schedule, &requests[i]);
    }
    cr_assert_eq(schedule_take(&schedule, 8, batch), 1);
}

Test(schedule, shares_the_queue_among_idle_workers) {
    struct schedule schedule = {.count = 8};
    cr_assert_eq(schedule_share(&schedule, 1, 16), 8);
    cr_assert_eq(schedule_share(&schedule, 3, 16), 3);
    cr_assert_eq(schedule_share(&schedule, 2, 2), 2);
    schedule.count = 0;
    cr_assert_eq(schedule_share(&schedule, 2, 4), 1);
}

Test(request, slots_run_out_and_come_back) {
    struct request_slots slots;
    cr_assert_eq(request_slots_create(&slots, 2, 2), XNOR_OK);
    struct request *a = request_acquire(&slots, 7), *b = request_acquire(&slots, 7);
    cr_assert_not_null(a);
    cr_assert_not_null(b);
    cr_assert_neq(a, b);
    cr_assert_null(request_acquire(&slots, 7));
    request_abandon(&slots, b);
    cr_assert_eq(request_acquire(&slots, 7), b);
    a->state = REQUEST_DONE;
    a->replies = 1;
    request_release(&slots, a);
    cr_assert_eq(slots.in_flight, 1);
    cr_assert_eq(slots.admitted, 2);
    cr_assert_eq(slots.answered, 1);
    request_slots_free(&slots);
}

Test(request, releasing_an_unanswered_request_is_caught, .signal = SIGABRT) {
    struct request_slots slots;
    cr_assert_eq(request_slots_create(&slots, 1, 1), XNOR_OK);
    struct request *request = request_acquire(&slots, 7);
    request->state = REQUEST_DONE;
    request_release(&slots, request);
}

Test(request, one_client_cannot_take_every_slot) {
    struct request_slots slots;
    cr_assert_eq(request_slots_create(&slots, 8, 0), XNOR_OK);
    cr_assert_eq(slots.client_capacity, 6);
    struct request *last = NULL;
    for (int i = 0; i < 6; i++) cr_assert_not_null(last = request_acquire(&slots, 7));
    cr_assert_null(request_acquire(&slots, 7));
    struct request *other = request_acquire(&slots, 7 + REQUEST_CLIENT_PLACES); // the same place
    cr_assert_not_null(other);
    cr_assert_null(request_acquire(&slots, 7));
    request_abandon(&slots, last);
    cr_assert_not_null(request_acquire(&slots, 7));
    cr_assert_not_null(request_acquire(&slots, 8));
    cr_assert_null(request_acquire(&slots, 9), "all are taken");
    request_slots_free(&slots);
}

Test(schedule, brief_requests_go_before_scenes_when_only_they_may_run) {
    struct schedule schedule = {0};
    struct request requests[4], *batch[8];
    for (size_t i = 0; i < 4; i++) {
        admit(&requests[i], 1, 1024);
        if (i < 2) requests[i].kind = REQUEST_SCENE;
        schedule_push(&schedule, &requests[i]);
    }
    cr_assert_eq(schedule_take_brief(&schedule, 8, batch), 2);
    cr_assert_eq(batch[0], &requests[2]);
    cr_assert_eq(schedule_take_brief(&schedule, 8, batch), 0);
    cr_assert_eq(schedule.count, 2);
    cr_assert_eq(schedule_take(&schedule, 8, batch), 1, "scenes run alone");
    cr_assert_eq(batch[0], &requests[0]);
    cr_assert_eq(schedule_take(&schedule, 8, batch), 1);
    cr_assert_eq(batch[0], &requests[1]);
    cr_assert_null(schedule.newest);
}
