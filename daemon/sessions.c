#include "sessions.h"

#include "tensor.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define ALIGNMENT 64

struct session_set {
    struct session_set_options options;
    uint32_t capacity;
    uint64_t uses; // a clock for last_used
    void *workspace;
    void *reserved; // for one request
    size_t reserved_bytes;
    struct session sessions[];
};

// ---- the budget ---------------------------------------------------------------------------------

static bool take(struct session_budget *budget, uint64_t bytes, uint64_t max, struct reason *why) {
    uint64_t used = atomic_load(&budget->used_bytes);
    do {
        if (used <= max && bytes <= max - used) continue;
        reason_set(why, XNOR_E_MEMORY,
                   "this needs %" PRIu64 " bytes, and %" PRIu64
                   " of workers.max_memory_bytes are left",
                   bytes, used > max ? 0 : max - used);
        return false;
    } while (!atomic_compare_exchange_weak(&budget->used_bytes, &used, used + bytes));
    return true;
}

static uint64_t without_reserve(const struct session_budget *budget) {
    return budget->max_bytes - budget->max_bytes / SESSION_BUDGET_RESERVE;
}

bool session_budget_take(struct session_budget *budget, uint64_t bytes, struct reason *why) {
    return take(budget, bytes, without_reserve(budget), why);
}

void session_budget_give(struct session_budget *budget, uint64_t bytes) {
    atomic_fetch_sub(&budget->used_bytes, bytes);
}

// ---- sets ---------------------------------------------------------------------------------------

xnor_status session_set_create(const struct session_set_options *options,
                               struct session_set **out) {
    uint32_t capacity = options->pinned + options->cached;
    struct session_set *set = calloc(1, sizeof *set + capacity * sizeof set->sessions[0]);
    if (set == NULL) return XNOR_E_MEMORY;
    set->options = *options;
    set->capacity = capacity;
    if (options->workspace_bytes > 0) {
        struct reason why;
        set->workspace = malloc(options->workspace_bytes);
        if (set->workspace == NULL ||
            !take(options->budget, options->workspace_bytes, options->budget->max_bytes, &why)) {
            free(set->workspace);
            free(set);
            return XNOR_E_MEMORY;
        }
    }
    *out = set;
    return XNOR_OK;
}

void *session_set_workspace(struct session_set *set) {
    return set->workspace;
}

static void release_reserved(struct session_set *set) {
    session_budget_give(set->options.budget, set->reserved_bytes);
    free(set->reserved);
    set->reserved = NULL;
    set->reserved_bytes = 0;
}

xnor_status session_set_reserve(struct session_set *set, size_t bytes, void **out,
                                struct reason *why) {
    bytes = (bytes + ALIGNMENT) / ALIGNMENT * ALIGNMENT;
    if (bytes > set->reserved_bytes) {
        release_reserved(set);
        if (!session_budget_take(set->options.budget, bytes, why)) return XNOR_E_MEMORY;
        set->reserved_bytes = bytes;
        set->reserved = aligned_alloc(ALIGNMENT, bytes);
        if (set->reserved == NULL) {
            release_reserved(set);
            return reason_set(why, XNOR_E_MEMORY, "no memory for %zu bytes of answers", bytes);
        }
    }
    *out = set->reserved;
    return XNOR_OK;
}

void session_set_trim(struct session_set *set) {
    if (set->reserved_bytes > SESSION_SET_KEPT_BYTES) release_reserved(set);
}

struct session_budget *session_set_budget(struct session_set *set) {
    return set->options.budget;
}

static void release(struct session_budget *budget, struct session *session) {
    atomic_fetch_sub(&budget->used_bytes, session->charged_bytes);
    session->charged_bytes = 0;
}

static void clear(struct session_set *set, struct session *session) {
    xnor_session_free(&session->run);
    free(session->memory);
    release(set->options.budget, session);
    *session = (struct session){0};
}

void session_set_free(struct session_set **set) {
    if (*set == NULL) return;
    for (uint32_t i = 0; i < (*set)->capacity; i++)
        if ((*set)->sessions[i].run != NULL) clear(*set, &(*set)->sessions[i]);
    release_reserved(*set);
    session_budget_give((*set)->options.budget, (*set)->options.workspace_bytes);
    free((*set)->workspace);
    free(*set);
    *set = NULL;
}

static size_t round_up(size_t bytes) {
    return (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

// Sizes every port of the plan. Sums cannot overflow: each addend is at most max_bytes.
static xnor_status measure(const struct session_set_options *options, const xnor_shape *shapes,
                           const xnor_plan *plan, struct session *session, size_t *memory_bytes,
                           struct reason *why) {
    uint32_t inputs = xnor_model_input_count(options->model);
    uint32_t outputs = xnor_model_output_count(options->model);
    uint64_t total = xnor_plan_arena_bytes(plan), ports = 0;
    for (uint32_t i = 0; i < inputs + outputs; i++) {
        bool input = i < inputs;
        uint32_t index = input ? i : i - inputs;
        const xnor_port *port = input ? xnor_model_input(options->model, index)
                                      : xnor_model_output(options->model, index);
        xnor_tensor *tensor = input ? &session->inputs[index] : &session->outputs[index];
        size_t *bytes = input ? &session->input_bytes[index] : &session->output_bytes[index];
        const xnor_shape *shape = input ? &shapes[index] : xnor_plan_output_shape(plan, index);
        *tensor = (xnor_tensor){.dtype = port->dtype};
        *bytes = 0;
        if (shape == NULL) continue; // not wanted
        tensor->shape = *shape;
        xnor_status status = xnor_tensor_bytes(tensor->dtype, &tensor->shape, bytes);
        if (status != XNOR_OK) return reason_set(why, status, "%s", xnor_last_error());
        if (*bytes <= options->max_bytes) ports += round_up(*bytes);
        if (*bytes > options->max_bytes || total > options->max_bytes ||
            total + ports > options->max_bytes)
            return reason_set(why, XNOR_E_LIMIT,
                              "running this shape needs more than the limit of %" PRIu64
                              " bytes of memory per session",
                              options->max_bytes);
    }
    *memory_bytes = (size_t)ports;
    return XNOR_OK;
}

static uint64_t evictable_bytes(const struct session_set *set) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < set->capacity; i++)
        if (!set->sessions[i].pinned) bytes += set->sessions[i].charged_bytes;
    return bytes;
}

static struct session *oldest_unpinned(struct session_set *set) {
    struct session *oldest = NULL;
    for (uint32_t i = 0; i < set->capacity; i++) {
        struct session *session = &set->sessions[i];
        if (session->run == NULL || session->pinned) continue;
        if (oldest == NULL || session->last_used < oldest->last_used) oldest = session;
    }
    return oldest;
}

// Takes `bytes` from the budget, of which at most `max` may then be used. Sessions of this set that are not pinned go for that, the others
// belong to other threads; but only if they make room enough.
static xnor_status charge(struct session_set *set, struct session *session, uint64_t bytes,
                          uint64_t max, struct reason *why) {
    struct session_budget *budget = set->options.budget;
    for (;;) {
        uint64_t used = atomic_load(&budget->used_bytes);
        uint64_t rest = used > max ? 0 : max - used;
        if (bytes <= rest) {
            if (!atomic_compare_exchange_weak(&budget->used_bytes, &used, used + bytes)) continue;
            session->charged_bytes = bytes;
            return XNOR_OK;
        }
        uint64_t evictable = evictable_bytes(set);
        uint64_t kept = used > evictable ? used - evictable : 0;
        if (kept > max || bytes > max - kept || evictable == 0)
            return reason_set(why, XNOR_E_MEMORY,
                              "running this shape needs %" PRIu64 " bytes, and %" PRIu64
                              " of workers.max_memory_bytes are left",
                              bytes, rest);
        clear(set, oldest_unpinned(set));
    }
}

static void place(const struct session_set_options *options, struct session *session) {
    char *next = session->memory;
    for (uint32_t i = 0; i < xnor_model_input_count(options->model); i++) {
        session->inputs[i].data = next;
        next += round_up(session->input_bytes[i]);
    }
    for (uint32_t i = 0; i < xnor_model_output_count(options->model); i++) {
        session->outputs[i].data = next;
        next += round_up(session->output_bytes[i]);
    }
}

static xnor_status make(struct session_set *set, const xnor_shape *shapes, uint32_t wanted,
                        uint64_t max, struct session *session, struct reason *why) {
    const struct session_set_options *options = &set->options;
    xnor_plan *plan = NULL;
    size_t memory_bytes = 0;
    const xnor_plan_options some = {.outputs = wanted};
    session->wanted = wanted;
    xnor_status status = xnor_plan_create_with(options->model, shapes, &some, &plan);
    if (status != XNOR_OK) return reason_set(why, status, "%s", xnor_last_error());
    status = measure(options, shapes, plan, session, &memory_bytes, why);
    if (status == XNOR_OK)
        status = charge(set, session, xnor_plan_arena_bytes(plan) + memory_bytes, max, why);
    if (status == XNOR_OK) {
        session->memory = aligned_alloc(ALIGNMENT, memory_bytes > 0 ? memory_bytes : ALIGNMENT);
        if (session->memory == NULL)
            status =
                reason_set(why, XNOR_E_MEMORY, "no memory for %zu bytes of tensors", memory_bytes);
    }
    if (status == XNOR_OK) {
        memset(session->memory, 0, memory_bytes); // pages are there before the first request
        place(options, session);
        status = xnor_session_create(plan, options->pool, &session->run);
        if (status != XNOR_OK) reason_set(why, status, "%s", xnor_last_error());
    }
    xnor_plan_unref(&plan); // the session holds its own reference
    if (status != XNOR_OK) {
        free(session->memory);
        release(options->budget, session);
    }
    return status;
}

static struct session *find(struct session_set *set, const xnor_shape *shapes, uint32_t wanted) {
    uint32_t inputs = xnor_model_input_count(set->options.model);
    for (uint32_t i = 0; i < set->capacity; i++) {
        struct session *session = &set->sessions[i];
        bool equal = session->run != NULL && session->wanted == wanted;
        for (uint32_t k = 0; equal && k < inputs; k++)
            equal = tensor_shape_equal(&session->inputs[k].shape, &shapes[k]);
        if (!equal) continue;
        session->last_used = ++set->uses;
        return session;
    }
    return NULL;
}

static uint32_t all_outputs(const struct session_set *set) {
    return (uint32_t)((UINT64_C(1) << xnor_model_output_count(set->options.model)) - 1);
}

struct session *session_set_find(struct session_set *set, const xnor_shape *shapes) {
    return find(set, shapes, all_outputs(set));
}

// A free place, or the one whose session was not used for longest.
static struct session *place_for_new(struct session_set *set) {
    for (uint32_t i = 0; i < set->capacity; i++)
        if (set->sessions[i].run == NULL) return &set->sessions[i];
    return oldest_unpinned(set);
}

static xnor_status get(struct session_set *set, const xnor_shape *shapes, uint32_t wanted,
                       uint64_t max, struct session **out, struct reason *why) {
    struct session *session = find(set, shapes, wanted);
    if (session == NULL) {
        session = place_for_new(set);
        if (session == NULL) return reason_set(why, XNOR_E_LIMIT, "every session is pinned");
        struct session made = {0}; // a shape that fails must not cost a session that works
        xnor_status status = make(set, shapes, wanted, max, &made, why);
        if (status != XNOR_OK) return status;
        if (session->run != NULL) clear(set, session);
        *session = made;
        session->last_used = ++set->uses;
    }
    *out = session;
    return XNOR_OK;
}

xnor_status session_set_get(struct session_set *set, const xnor_shape *shapes, struct session **out,
                            struct reason *why) {
    return session_set_get_some(set, shapes, all_outputs(set), out, why);
}

xnor_status session_set_get_some(struct session_set *set, const xnor_shape *shapes, uint32_t wanted,
                                 struct session **out, struct reason *why) {
    return get(set, shapes, wanted, without_reserve(set->options.budget), out, why);
}

static xnor_status pin(struct session_set *set, const xnor_shape *shapes, uint64_t max,
                       struct reason *why) {
    struct session *session = NULL;
    xnor_status status = get(set, shapes, all_outputs(set), max, &session, why);
    if (status == XNOR_OK) session->pinned = true;
    return status;
}

xnor_status session_set_pin(struct session_set *set, const xnor_shape *shapes, struct reason *why) {
    return pin(set, shapes, set->options.budget->max_bytes, why);
}

bool session_set_pin_spare(struct session_set *set, const xnor_shape *shapes) {
    struct reason ignored;
    return pin(set, shapes, set->options.budget->max_bytes / SESSION_BUDGET_SPARE, &ignored) ==
           XNOR_OK;
}
