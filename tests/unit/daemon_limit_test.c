// When a run is told to end.
#include "daemon/limit.h"

#include <criterion/criterion.h>

static bool cancelled(struct limit *limit) {
    return atomic_load(&limit->cancel);
}

Test(limit, a_run_ends_when_it_is_late_and_the_next_one_starts_anew) {
    struct limit limit;
    limit_init(&limit);
    limit_check(&limit, UINT64_MAX - 1);
    cr_assert_not(cancelled(&limit), "nothing runs");
    limit_begin(&limit, 100);
    limit_check(&limit, 99);
    cr_assert_not(cancelled(&limit));
    limit_check(&limit, 100);
    cr_assert(cancelled(&limit));
    limit_end(&limit);
    limit_begin(&limit, UINT64_MAX);
    cr_assert_not(cancelled(&limit));
    limit_check(&limit, UINT64_MAX - 1);
    cr_assert_not(cancelled(&limit), "it has no deadline");
    limit_end(&limit);
    limit_destroy(&limit);
}

Test(limit, a_check_after_the_end_does_not_reach_the_next_run) {
    struct limit limit;
    limit_init(&limit);
    limit_begin(&limit, 100);
    limit_end(&limit);
    limit_check(&limit, 200);
    limit_begin(&limit, 300);
    cr_assert_not(cancelled(&limit));
    limit_destroy(&limit);
}

Test(limit, after_the_stop_every_run_ends) {
    struct limit limit;
    limit_init(&limit);
    limit_begin(&limit, UINT64_MAX);
    limit_stop(&limit);
    cr_assert(cancelled(&limit));
    limit_end(&limit);
    limit_begin(&limit, UINT64_MAX);
    cr_assert(cancelled(&limit));
    limit_destroy(&limit);
}
