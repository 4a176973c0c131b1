// Merging equal codes, and giving every point its row back.
//
// The codes come from memory, or a float layer is evaluated tile by tile and only its signs are
// looked at: then no code is ever stored twice. Threads fill sets of their own, from their own part
// of a cloud, which are merged at the end; of a batch each takes whole clouds.
#include <string.h>

#include "exec/tiles.h"

// Codes of one word. Open addressing; 0 marks a free place, so code 0 is kept apart. A set that is
// half full takes no more: further codes are appended as they come, and one may then occur twice,
// which costs time but changes nothing.
typedef struct code_set {
    uint64_t *table; // [entries]
    uint32_t *ids;   // [entries] row of each code; NULL: nobody asks
    uint64_t *rows;
    size_t count, limit, mask;
    unsigned shift;
    int64_t zero; // row of code 0, or -1
} code_set;

static size_t table_entries(size_t points) {
    size_t entries = 64;
    while (entries < 2 * points && entries < XNOR_DISTINCT_MAX_ENTRIES) entries *= 2;
    return entries;
}

static size_t table_bytes(size_t entries, bool indexed) {
    return entries * (sizeof(uint64_t) + (indexed ? sizeof(uint32_t) : 0));
}

size_t xnor_distinct_scratch_bytes(size_t groups, size_t points, bool indexed) {
    size_t tables = groups > 1 || points >= XNOR_DISTINCT_MIN_SPLIT ? XNOR_DISTINCT_TABLES : 1;
    return tables * table_bytes(table_entries(points), indexed) +
           (indexed ? points * sizeof(uint32_t) : 0);
}

static void set_init(code_set *set, void *memory, size_t points, bool indexed, uint64_t *rows) {
    size_t entries = table_entries(points);
    *set = (code_set){.table = memory,
                      .ids = indexed ? (uint32_t *)((uint64_t *)memory + entries) : NULL,
                      .rows = rows,
                      .limit = entries / 2,
                      .mask = entries - 1,
                      .shift = 64 - (unsigned)__builtin_ctzll(entries),
                      .zero = -1};
    memset(set->table, 0, entries * sizeof *set->table);
}

// Fibonacci hashing (Knuth, TAOCP vol. 3, 6.4)
static inline size_t first_place(const code_set *set, uint64_t code) {
    return (size_t)((code * UINT64_C(0x9e3779b97f4a7c15)) >> set->shift);
}

// Row of a code that is not where it was first looked for.
__attribute__((noinline)) static uint32_t add_elsewhere(code_set *set, uint64_t code) {
    if (code == 0) {
        if (set->zero >= 0) return (uint32_t)set->zero;
        set->zero = (int64_t)set->count;
    } else {
        size_t at = first_place(set, code);
        while (set->table[at] != 0) {
            if (set->table[at] == code) return set->ids ? set->ids[at] : 0;
            at = (at + 1) & set->mask;
        }
        if (set->count < set->limit) {
            set->table[at] = code;
            if (set->ids) set->ids[at] = (uint32_t)set->count;
        }
    }
    set->rows[set->count] = code;
    return (uint32_t)set->count++;
}

// Most codes are known and in their first place.
static inline void add_codes(code_set *set, const uint64_t *codes, size_t count) {
    const uint64_t *table = set->table;
    for (size_t i = 0; i < count; i++)
        if (table[first_place(set, codes[i])] != codes[i] || codes[i] == 0)
            add_elsewhere(set, codes[i]);
}

static inline void add_codes_indexed(code_set *set, const uint64_t *codes, size_t count,
                                     int32_t *index) {
    for (size_t i = 0; i < count; i++) {
        size_t at = first_place(set, codes[i]);
        bool here = set->table[at] == codes[i] && codes[i] != 0;
        index[i] = (int32_t)(here ? set->ids[at] : add_elsewhere(set, codes[i]));
    }
}

typedef struct merging {
    const xnor_step *step;
    const xnor_run *run;
    size_t workers;
    size_t group; // the one that the workers share
    code_set sets[XNOR_DISTINCT_TABLES];
    uint32_t *renamed; // [points] row in the cloud of row k of a worker, at first_of(worker) + k
} merging;

static size_t first_of(const merging *m, size_t worker) {
    return m->step->rows * worker / m->workers;
}

static int32_t *index_of(const merging *m, size_t group) {
    int32_t *index = m->run->values[m->step->node->outputs[2]];
    return index ? index + group * m->step->rows : NULL;
}

static void start_set(merging *m, size_t worker, size_t group, size_t first) {
    const xnor_step *s = m->step;
    bool indexed = index_of(m, group) != NULL;
    uint8_t *memory = m->run->values[s->scratch];
    size_t bytes = table_bytes(table_entries(s->rows), indexed);
    set_init(&m->sets[worker], memory + worker * bytes, s->rows, indexed,
             (uint64_t *)m->run->values[s->y] + group * s->rows + first);
}

// Codes of points [begin, end) of a group, in memory or in `buffer`.
static const uint64_t *codes_of(const merging *m, size_t group, size_t begin, size_t end,
                                uint64_t *buffer) {
    const xnor_step *s = m->step;
    size_t first = group * s->rows + begin;
    if (s->graph->values[s->x].dtype == XNOR_BITS)
        return (const uint64_t *)m->run->values[s->x] + first;
    const float *x = (const float *)m->run->values[s->x] + first * s->k;
    if (!s->packed && s->w == XNOR_NO_VALUE) {
        m->run->kernels->pack_f32(end - begin, s->k, x, s->k, buffer, 1);
        return buffer;
    }
    const float *b = s->packed;
    if (s->w != XNOR_NO_VALUE) b = (const float *)m->run->values[s->w] + group * s->offset;
    m->run->kernels->gemm_f32_bits(end - begin, s->k, s->n, x, s->k, b, s->n, s->parameters[0],
                                   buffer, 1);
    return buffer;
}

static void collect(merging *m, size_t worker, size_t group, size_t begin, size_t end) {
    uint64_t buffer[TILE_ROWS];
    code_set *set = &m->sets[worker];
    int32_t *index = index_of(m, group);
    for (size_t i = begin; i < end; i += TILE_ROWS) {
        if (is_cancelled(m->run)) return;
        size_t stop = i + TILE_ROWS < end ? i + TILE_ROWS : end;
        const uint64_t *codes = codes_of(m, group, i, stop, buffer);
        if (index)
            add_codes_indexed(set, codes, stop - i, index + i);
        else
            add_codes(set, codes, stop - i);
    }
}

static void set_count(const merging *m, size_t group, size_t count) {
    ((int32_t *)m->run->values[m->step->node->outputs[1]])[group] = (int32_t)count;
}

static void tile_groups(void *context, size_t begin, size_t end) {
    merging *m = context;
    for (size_t worker = begin; worker < end; worker++) {
        size_t last = m->step->groups * (worker + 1) / m->workers;
        for (size_t group = m->step->groups * worker / m->workers; group < last; group++) {
            start_set(m, worker, group, 0);
            collect(m, worker, group, 0, m->step->rows);
            set_count(m, group, m->sets[worker].count);
        }
    }
}

static void tile_part(void *context, size_t begin, size_t end) {
    merging *m = context;
    for (size_t worker = begin; worker < end; worker++) {
        start_set(m, worker, m->group, first_of(m, worker));
        collect(m, worker, m->group, first_of(m, worker), first_of(m, worker + 1));
    }
}

static void tile_rename(void *context, size_t begin, size_t end) {
    const merging *m = context;
    int32_t *index = index_of(m, m->group);
    for (size_t worker = begin + 1; worker < end + 1; worker++)
        for (size_t i = first_of(m, worker); i < first_of(m, worker + 1); i++)
            index[i] = (int32_t)m->renamed[first_of(m, worker) + (size_t)index[i]];
}

// Puts the workers' rows one after the other, each code once. They are written before the place
// that is read, as no worker has more rows than points.
static void merge_sets(merging *m) {
    code_set *all = &m->sets[0];
    for (size_t worker = 1; worker < m->workers; worker++) {
        const code_set *part = &m->sets[worker];
        uint32_t *renamed = m->renamed + first_of(m, worker);
        for (size_t k = 0; k < part->count; k++) {
            uint64_t code = part->rows[k];
            if (all->ids)
                add_codes_indexed(all, &code, 1, (int32_t *)&renamed[k]);
            else
                add_codes(all, &code, 1);
        }
    }
    set_count(m, m->group, all->count);
}

xnor_status xnor_step_distinct(const xnor_step *s, const xnor_run *run) {
    merging m = {.step = s, .run = run, .workers = xnor_pool_threads(run->pool)};
    bool indexed = index_of(&m, 0) != NULL;
    if (m.workers > XNOR_DISTINCT_TABLES) m.workers = XNOR_DISTINCT_TABLES;
    if (s->groups >= m.workers) {
        xnor_parallel_for(run->pool, m.workers, 1, run->cancel, tile_groups, &m);
        return XNOR_OK;
    }
    if (s->rows < XNOR_DISTINCT_MIN_SPLIT) m.workers = 1;
    if (indexed)
        m.renamed =
            (uint32_t *)((uint8_t *)run->values[s->scratch] +
                         XNOR_DISTINCT_TABLES * table_bytes(table_entries(s->rows), indexed));
    for (m.group = 0; m.group < s->groups; m.group++) {
        for (size_t worker = 0; worker < m.workers; worker++) m.sets[worker].count = 0;
        xnor_parallel_for(run->pool, m.workers, 1, run->cancel, tile_part, &m);
        if (is_cancelled(run)) break;
        merge_sets(&m);
        if (indexed && m.workers > 1)
            xnor_parallel_for(run->pool, m.workers - 1, 1, run->cancel, tile_rename, &m);
    }
    return XNOR_OK;
}
