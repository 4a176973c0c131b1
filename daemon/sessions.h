// The sessions of one worker for one loaded model: those for the described shape, made when the
// model is loaded, and a few for other shapes, made when first asked for (least recently used
// goes).
//
// A set is filled by the loader thread, then used by its worker only. Its model and pool must
// outlive it.
#ifndef XNORD_SESSIONS_H
#define XNORD_SESSIONS_H

#include "reason.h"
#include "xnor.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

// The memory that all sessions of the daemon may take together. Any thread.
struct session_budget {
    uint64_t max_bytes; // set before use
    atomic_uint_fast64_t used_bytes;
};

// Sessions that are not pinned leave this part of the budget to those made when a model is loaded.
#define SESSION_BUDGET_RESERVE 4 // a quarter
// Sessions that only make batches faster stay below this part.
#define SESSION_BUDGET_SPARE 2 // half

// A plan with memory for its inputs and outputs: dense, 64-byte aligned.
struct session {
    xnor_session *run;
    xnor_tensor inputs[XNOR_MAX_PORTS];
    xnor_tensor outputs[XNOR_MAX_PORTS];
    size_t input_bytes[XNOR_MAX_PORTS];
    size_t output_bytes[XNOR_MAX_PORTS];
    void *memory;
    uint64_t charged_bytes; // of the budget
    uint64_t last_used;
    uint32_t wanted; // graph outputs that it computes, a bit for each
    bool pinned;     // never evicted
};

struct session_set;

struct session_set_options {
    xnor_model *model;
    xnor_pool *pool;               // NULL: the calling thread only
    uint32_t pinned;               // room for described shapes
    uint32_t cached;               // room for other shapes
    uint64_t max_bytes;            // of one session: arena, inputs and outputs
    size_t workspace_bytes;        // for preparing inputs
    struct session_budget *budget; // of all sets
};

// Takes memory that is none of a session's. False, and a reason: so much is not left.
bool session_budget_take(struct session_budget *budget, uint64_t bytes, struct reason *why);
void session_budget_give(struct session_budget *budget, uint64_t bytes);

XNOR_NODISCARD xnor_status session_set_create(const struct session_set_options *options,
                                              struct session_set **out);
void session_set_free(struct session_set **set);

// Makes a session that stays. `shapes`: one per graph input.
XNOR_NODISCARD xnor_status session_set_pin(struct session_set *set, const xnor_shape *shapes,
                                           struct reason *why);
// The same for one that can be done without: false when more than a part of the budget would be
// used.
bool session_set_pin_spare(struct session_set *set, const xnor_shape *shapes);
// Finds the session for `shapes` or makes it, which allocates. Valid until the next call.
// XNOR_E_SHAPE: the graph refuses the shapes; XNOR_E_LIMIT: it would need more than max_bytes.
// XNOR_E_MEMORY: the budget is used up, even without this set's sessions that are not pinned.
XNOR_NODISCARD xnor_status session_set_get(struct session_set *set, const xnor_shape *shapes,
                                           struct session **out, struct reason *why);
// The same for a session that computes only some graph outputs, a bit for each; the tensors of the others are
// empty.
XNOR_NODISCARD xnor_status session_set_get_some(struct session_set *set, const xnor_shape *shapes,
                                                uint32_t wanted, struct session **out,
                                                struct reason *why);
// Like session_set_get, but NULL instead of making one.
struct session *session_set_find(struct session_set *set, const xnor_shape *shapes);
// Memory of options.workspace_bytes, NULL for 0.
void *session_set_workspace(struct session_set *set);
// Memory of at least `bytes` for one request, 64-byte aligned; what it held is lost. It is kept for
// the next one, so that requests of one size allocate once. XNOR_E_MEMORY: the budget is used up.
XNOR_NODISCARD xnor_status session_set_reserve(struct session_set *set, size_t bytes, void **out,
                                               struct reason *why);
// Gives it back if it is so much that it had better not be kept.
#define SESSION_SET_KEPT_BYTES ((size_t)32 << 20)
void session_set_trim(struct session_set *set);
struct session_budget *session_set_budget(struct session_set *set);

#endif
