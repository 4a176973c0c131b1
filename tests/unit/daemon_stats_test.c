// Latency histograms and status counters of a model.
#include "daemon/stats.h"

#include "daemon/clock.h"

#include <criterion/criterion.h>

Test(stats, edges_ascend_two_per_octave) {
    const uint64_t first[] = {16, 24, 32, 48, 64, 96};
    for (uint32_t i = 0; i < sizeof first / sizeof first[0]; i++)
        cr_assert_eq(histogram_edge_us(i), first[i]);
    for (uint32_t i = 2; i < STATS_EDGES; i++)
        cr_assert_eq(histogram_edge_us(i), 2 * histogram_edge_us(i - 2));
}

// Against the definition: the number of edges that are not above the duration.
Test(stats, bucket_is_the_number_of_edges_passed) {
    for (uint64_t us = 0; us < 3 * histogram_edge_us(STATS_EDGES - 1); us += 1 + us / 97) {
        uint32_t passed = 0;
        while (passed < STATS_EDGES && histogram_edge_us(passed) <= us) passed++;
        cr_assert_eq(histogram_bucket(us), passed, "%lu us", (unsigned long)us);
    }
    cr_assert_eq(histogram_bucket(UINT64_MAX), STATS_EDGES);
}

Test(stats, records_sum_maximum_and_count) {
    struct histogram histogram = {0};
    histogram_record(&histogram, 15 * NS_PER_US + 999);
    histogram_record(&histogram, 16 * NS_PER_US);
    histogram_record(&histogram, 40 * NS_PER_US);
    cr_assert_eq(histogram.sum_us, 71);
    cr_assert_eq(histogram.max_us, 40);
    cr_assert_eq(histogram.counts[0], 1);
    cr_assert_eq(histogram.counts[1], 1);
    cr_assert_eq(histogram.counts[3], 1);
}

Test(stats, export_carries_every_stage_and_reset_clears_them) {
    struct stats stats = {0};
    xnord_proto_model_counters out = {0};
    histogram_record(&stats.queue, 20 * NS_PER_US);
    histogram_record(&stats.compute, 200 * NS_PER_US);
    histogram_record(&stats.total, 220 * NS_PER_US);
    stats_count(&stats, XNORD_OK);
    stats_count(&stats, XNORD_BUSY);
    stats_export(&stats, &out);
    cr_assert_eq(out.queue.sum_us, 20);
    cr_assert_eq(out.compute.sum_us, 200);
    cr_assert_eq(out.total.max_us, 220);
    cr_assert_eq(out.total.bucket_count, STATS_EDGES + 1);
    cr_assert_eq(out.status_count, XNORD_STATUS_COUNT);
    cr_assert_eq(out.statuses[XNORD_OK], 1);
    cr_assert_eq(out.statuses[XNORD_BUSY], 1);
    stats_reset(&stats);
    stats_export(&stats, &out);
    cr_assert_eq(out.total.sum_us, 0);
    cr_assert_eq(out.statuses[XNORD_OK], 0);
}
