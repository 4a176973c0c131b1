// Counters and latency histograms of one model. Fixed size; recording is a few additions.
// Loop thread only: requests are recorded when the loop takes their completion.
#ifndef XNORD_STATS_H
#define XNORD_STATS_H

#include "proto.h"

#include <stdint.h>

// Log-linear buckets: two per octave from 16 µs to 0.79 s, so a bucket is at most 50 % wide.
// counts[0] holds durations below 16 µs, the last one those above the last edge.
#define STATS_EDGES XNORD_PROTO_MAX_EDGES
#define STATS_FIRST_EDGE_LOG2 4

struct histogram {
    uint64_t sum_us;
    uint64_t max_us;
    uint64_t counts[STATS_EDGES + 1];
};

// A request waits (arrival to start), computes (start to result) and is answered (arrival to
// reply).
#define STATS_STAGE_TABLE(X) X(queue) X(compute) X(total)

struct stats {
    uint64_t statuses[XNORD_STATUS_COUNT]; // infer requests answered, by status
#define STATS_STAGE_MEMBER(name) struct histogram name;
    STATS_STAGE_TABLE(STATS_STAGE_MEMBER)
#undef STATS_STAGE_MEMBER
};

// Lower bound of bucket `index` + 1, for index < STATS_EDGES.
uint64_t histogram_edge_us(uint32_t index);
// Bucket that a duration falls into: edge(i - 1) <= us < edge(i).
uint32_t histogram_bucket(uint64_t us);
void histogram_record(struct histogram *histogram, uint64_t duration_ns);

void stats_count(struct stats *stats, xnord_status status);
void stats_reset(struct stats *stats);
void stats_edges(xnord_proto_model_stats *out);
// Fills the counters of one model; name and version are the caller's.
void stats_export(const struct stats *stats, xnord_proto_model_counters *out);

#endif
