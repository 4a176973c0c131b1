// The memory plan: every value that a step writes gets a place in one arena for as long as a later
// step reads it. Places are chosen in the order of first use, each the lowest that no living value
// overlaps. What a tail stores takes the place of a map that it has read for the last time: half the
// memory goes through the caches.
#include <stdlib.h>
#include <string.h>

#include "core/size.h"
#include "core/tensor.h"
#include "exec/plan.h"
#include "exec/tail.h"
#include "ops/ops.h"

typedef struct lifetime {
    xnor_value_id value;
    size_t bytes;
    uint32_t first, last; // step indices
    xnor_value_id onto;   // whose place it takes, or XNOR_NO_VALUE
} lifetime;

static xnor_value_id root_of(const xnor_plan *plan, xnor_value_id id) {
    while (plan->root[id] != id) id = plan->root[id];
    return id;
}

// Views share the memory of what they look at.
static void find_roots(xnor_plan *plan) {
    for (uint32_t i = 0; i < plan->graph.value_count; i++) plan->root[i] = i;
    for (uint32_t i = 0; i < plan->graph.node_count; i++) {
        const xnor_node *node = &plan->graph.nodes[i];
        if (xnor_op_lookup(node->op)->flags & XNOR_VIEW)
            plan->root[node->outputs[0]] = root_of(plan, node->inputs[0]);
    }
}

static void touch(const xnor_plan *plan, lifetime *lives, xnor_value_id id, uint32_t step,
                  bool write) {
    if (id == XNOR_NO_VALUE) return;
    lifetime *life = &lives[root_of(plan, id)];
    if (write && life->first == UINT32_MAX) life->first = step;
    life->last = step;
}

// Nobody may want to know which row a point has got.
static void touch_distinct(const xnor_plan *plan, lifetime *lives, uint32_t step) {
    const xnor_value_id *outputs = plan->steps[step].node->outputs;
    touch(plan, lives, outputs[1], step, true);
    if (xnor_graph_uses(&plan->graph, outputs[2], NULL)) touch(plan, lives, outputs[2], step, true);
}

static void find_lifetimes(const xnor_plan *plan, lifetime *lives) {
    for (uint32_t i = 0; i < plan->graph.value_count; i++)
        lives[i] = (lifetime){i, 0, UINT32_MAX, 0, XNOR_NO_VALUE};
    for (uint32_t s = 0; s < plan->step_count; s++) {
        const xnor_step *step = &plan->steps[s];
        touch(plan, lives, step->x, s, false);
        touch(plan, lives, step->w, s, false);
        touch(plan, lives, step->v, s, false);
        touch(plan, lives, step->active, s, false);
        touch(plan, lives, step->scratch, s, true);
        touch(plan, lives, step->y, s, true);
        for (uint32_t k = 0; k < step->node->input_count; k++)
            touch(plan, lives, step->node->inputs[k], s, false);
        for (size_t k = 0; k < step->part_count; k++)
            touch(plan, lives, step->parts[k].x, s, false);
        for (size_t k = 0; step->tail && k < step->tail->count; k++) {
            touch(plan, lives, step->tail->ops[k].a, s, false);
            touch(plan, lives, step->tail->ops[k].y, s, true);
        }
        if (step->tail && step->tail->layer.packed)
            touch(plan, lives, step->tail->layer.y, s, true);
        if (step->run == xnor_step_reference)
            for (uint32_t k = 0; k < step->node->output_count; k++)
                touch(plan, lives, step->node->outputs[k], s, true);
        if (step->run == xnor_step_distinct) touch_distinct(plan, lives, s);
    }
    for (uint32_t i = 0; i < plan->graph.output_count; i++)
        lives[root_of(plan, plan->graph.outputs[i])].last = UINT32_MAX;
    // Counts of distinct rows are read after the run.
    for (uint32_t s = 0; s < plan->step_count; s++)
        if (plan->steps[s].run == xnor_step_distinct)
            lives[plan->steps[s].node->outputs[1]].last = UINT32_MAX;
}

// How often the step reads the memory of `root`.
static size_t reads_of(const xnor_plan *plan, const xnor_step *step, xnor_value_id root) {
    const xnor_value_id operands[] = {step->x, step->w, step->v, step->active, step->scratch};
    size_t count = 0;
    for (size_t k = 0; k < sizeof operands / sizeof *operands; k++)
        count += operands[k] != XNOR_NO_VALUE && root_of(plan, operands[k]) == root;
    for (size_t k = 0; k < step->part_count; k++) count += root_of(plan, step->parts[k].x) == root;
    for (size_t k = 0; k < step->tail->count; k++) {
        const xnor_value_id a = step->tail->ops[k].a;
        count += a != XNOR_NO_VALUE && root_of(plan, a) == root;
    }
    return count;
}

// Value by value the operation reads what the later one stores, and nobody else reads it from here on.
static bool can_replace(const xnor_plan *plan, const lifetime *lives, uint32_t s,
                        const xnor_tail_op *read, const xnor_tail_op *store) {
    if ((read->code != XNOR_POINTWISE_ADD && read->code != XNOR_POINTWISE_MUL) ||
        store->code != XNOR_POINTWISE_STORE || root_of(plan, store->y) != store->y)
        return false;
    const xnor_value_id root = root_of(plan, read->a);
    size_t old_bytes, new_bytes;
    const xnor_value *old = &plan->graph.values[root], *new = &plan->graph.values[store->y];
    return lives[root].first != UINT32_MAX && lives[root].last == s && lives[store->y].first == s &&
           xnor_tensor_bytes(old->dtype, &old->shape, &old_bytes) == XNOR_OK &&
           xnor_tensor_bytes(new->dtype, &new->shape, &new_bytes) == XNOR_OK &&
           old_bytes == new_bytes && reads_of(plan, &plan->steps[s], root) == 1;
}

static void find_replacements(const xnor_plan *plan, lifetime *lives) {
    for (uint32_t s = 0; s < plan->step_count; s++) {
        const xnor_tail *tail = plan->steps[s].tail;
        for (size_t r = 0; tail && r < tail->count; r++)
            for (size_t w = r + 1; w < tail->count; w++)
                if (can_replace(plan, lives, s, &tail->ops[r], &tail->ops[w])) {
                    lives[tail->ops[w].y].onto = root_of(plan, tail->ops[r].a);
                    break;
                }
    }
}

// Outputs are made where the caller wants them, unless they are another name of an input, of a constant or
// of another output, or are looked at after the run.
static void find_outside(const xnor_plan *plan, const lifetime *lives) {
    const xnor_graph *graph = &plan->graph;
    for (uint32_t i = 0; i < graph->output_count; i++) {
        const xnor_value_id root = root_of(plan, graph->outputs[i]);
        plan->outside[root] = lives[root].first != UINT32_MAX &&
                              graph->values[root].dtype == graph->values[graph->outputs[i]].dtype;
    }
    for (uint32_t s = 0; s < plan->step_count; s++)
        if (plan->steps[s].run == xnor_step_distinct)
            plan->outside[root_of(plan, plan->steps[s].node->outputs[1])] = false;
}

// Lowest offset where `bytes` fit between the placed values that live at the same time.
static size_t find_place(const xnor_plan *plan, const lifetime *placed, uint32_t count,
                         const lifetime *life) {
    size_t offset = 0;
    for (bool moved = true; moved;) {
        moved = false;
        for (uint32_t i = 0; i < count; i++) {
            size_t start = plan->offset[placed[i].value];
            bool together = placed[i].first <= life->last && life->first <= placed[i].last;
            if (together && offset < start + placed[i].bytes && start < offset + life->bytes) {
                offset = start + placed[i].bytes;
                moved = true;
            }
        }
    }
    return offset;
}

static int by_first(const void *a, const void *b) {
    const lifetime *x = a, *y = b;
    return (x->first > y->first) - (x->first < y->first);
}

xnor_status xnor_plan_memory(xnor_plan *plan) {
    uint32_t count = plan->graph.value_count, used = 0;
    plan->root = malloc((count + 1) * sizeof *plan->root);
    plan->offset = malloc((count + 1) * sizeof *plan->offset);
    plan->outside = calloc(count + 1, sizeof *plan->outside);
    lifetime *lives = malloc((count + 1) * sizeof *lives);
    xnor_status status = XNOR_OK;
    if (!plan->root || !plan->offset || !plan->outside || !lives) {
        status = xnor_fail(XNOR_E_MEMORY, "plan: out of memory");
        goto done;
    }
    for (uint32_t i = 0; i < count; i++) plan->offset[i] = SIZE_MAX;
    find_roots(plan);
    find_lifetimes(plan, lives);
    find_replacements(plan, lives);
    find_outside(plan, lives);
    for (uint32_t i = 0; i < count; i++)
        if (lives[i].first != UINT32_MAX && !plan->outside[i]) lives[used++] = lives[i];
    qsort(lives, used, sizeof *lives, by_first);
    for (uint32_t i = 0; i < used && status == XNOR_OK; i++) {
        const xnor_value *value = &plan->graph.values[lives[i].value];
        status = xnor_tensor_bytes(value->dtype, &value->shape, &lives[i].bytes);
        if (status != XNOR_OK || lives[i].bytes > SIZE_MAX / 4) {
            uint32_t producer = xnor_graph_producer(&plan->graph, lives[i].value);
            status = xnor_fail(XNOR_E_LIMIT, "plan: the result of node '%s' is too large",
                               producer == UINT32_MAX ? "?" : plan->graph.nodes[producer].name);
            break;
        }
        lives[i].bytes = xnor_align_up(lives[i].bytes ? lives[i].bytes : 1, 64);
        const xnor_value_id onto = lives[i].onto;
        size_t place =
            onto == XNOR_NO_VALUE ? find_place(plan, lives, i, &lives[i]) : plan->offset[onto];
        plan->offset[lives[i].value] = place;
        if (place + lives[i].bytes > plan->arena_bytes) plan->arena_bytes = place + lives[i].bytes;
    }
done:
    free(lives);
    return status;
}
