#include "stats.h"

#include "clock.h"

#include <string.h>

uint64_t histogram_edge_us(uint32_t index) {
    uint64_t octave = UINT64_C(1) << (STATS_FIRST_EDGE_LOG2 + index / 2);
    return octave + (index % 2) * (octave / 2);
}

uint32_t histogram_bucket(uint64_t us) {
    if (us >> STATS_FIRST_EDGE_LOG2 == 0) return 0;
    uint32_t log2 = 63u - (uint32_t)__builtin_clzll(us);
    uint32_t upper_half = (uint32_t)(us >> (log2 - 1)) & 1u;
    uint32_t bucket = 2 * (log2 - STATS_FIRST_EDGE_LOG2) + upper_half + 1;
    return bucket < STATS_EDGES ? bucket : STATS_EDGES;
}

void histogram_record(struct histogram *histogram, uint64_t duration_ns) {
    uint64_t us = duration_ns / NS_PER_US;
    histogram->counts[histogram_bucket(us)]++;
    histogram->sum_us += us;
    if (us > histogram->max_us) histogram->max_us = us;
}

void stats_count(struct stats *stats, xnord_status status) {
    stats->statuses[(unsigned)status < XNORD_STATUS_COUNT ? status : XNORD_INTERNAL]++;
}

void stats_reset(struct stats *stats) {
    memset(stats, 0, sizeof *stats);
}

void stats_edges(xnord_proto_model_stats *out) {
    out->edge_count = STATS_EDGES;
    for (uint32_t i = 0; i < STATS_EDGES; i++) out->edges_us[i] = histogram_edge_us(i);
}

static void export_stage(const struct histogram *histogram, xnord_proto_stage *out) {
    out->sum_us = histogram->sum_us;
    out->max_us = histogram->max_us;
    out->bucket_count = STATS_EDGES + 1;
    memcpy(out->counts, histogram->counts, sizeof histogram->counts);
}

void stats_export(const struct stats *stats, xnord_proto_model_counters *out) {
    out->status_count = XNORD_STATUS_COUNT;
    memcpy(out->statuses, stats->statuses, sizeof stats->statuses);
#define EXPORT(name) export_stage(&stats->name, &out->name);
    STATS_STAGE_TABLE(EXPORT)
#undef EXPORT
}
