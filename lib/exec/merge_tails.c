// Maps that one step stores for the tail of another never need to be: the later step makes the values itself.
//   a layer adds a map, which the tail of earlier layers stores   -> a step of all these layers
//   a step on a map, which the tail of an earlier step stores     -> that step's tail goes on
//   a float layer on such a map                                   -> that step's tail ends with the layer
// Sums of layers that stay in registers cost no memory; where the earlier step makes more than the map, its layers
// are computed twice if that is cheaper than a map that does not stay in the cache.
#include <stdlib.h>
#include <string.h>

#include "core/size.h"
#include "core/tensor.h"
#include "exec/plan.h"
#include "exec/tail.h"
#include "ops/ops.h"
#include "ops/patches.h"

enum {
    CACHED_BYTES = 1 << 20, // of a map that is still there when it is read
    TWICE_COLUMNS = 512,    // bits of all rows that may be multiplied a second time
};

// ---- who reads what -----------------------------------------------------------------------------

static bool step_reads(const xnor_step *s, xnor_value_id id) {
    if (s->x == id || s->w == id || s->v == id || s->active == id) return true;
    for (size_t k = 0; k < s->part_count; k++)
        if (s->parts[k].x == id) return true;
    for (size_t k = 0; s->tail && k < s->tail->count; k++)
        if (s->tail->ops[k].a == id) return true;
    // Which of its node's inputs a step without a tail reads is its own affair.
    for (uint32_t k = 0; !s->tail && k < s->node->input_count; k++)
        if (s->node->inputs[k] == id) return true;
    return false;
}

static bool is_seen_otherwise(const xnor_plan *plan, xnor_value_id id) {
    const xnor_graph *graph = &plan->graph;
    if (xnor_graph_is_output(graph, id)) return true;
    for (uint32_t i = 0; i < graph->node_count; i++)
        if (xnor_op_lookup(graph->nodes[i].op)->flags & XNOR_VIEW &&
            graph->nodes[i].inputs[0] == id)
            return true;
    return false;
}

// Steps first .. end read it.
static bool is_read(const xnor_plan *plan, uint32_t first, uint32_t end, xnor_value_id id) {
    for (uint32_t i = first; i < end; i++)
        if (step_reads(&plan->steps[i], id)) return true;
    return false;
}

static bool is_read_once(const xnor_plan *plan, xnor_value_id id) {
    size_t count = 0;
    for (uint32_t i = 0; i < plan->step_count; i++) count += step_reads(&plan->steps[i], id);
    return count == 1 && !is_seen_otherwise(plan, id);
}

// The step in front of `index` whose tail stores the map: UINT32_MAX if there is none; *op: where in its tail.
static uint32_t storing_step(const xnor_plan *plan, uint32_t index, xnor_value_id map, size_t *op) {
    for (uint32_t i = index; i-- > 0;) {
        const xnor_tail *tail = plan->steps[i].tail;
        for (size_t k = 0; tail && k < tail->count; k++)
            if (tail->ops[k].code == XNOR_POINTWISE_STORE && tail->ops[k].y == map) {
                *op = k;
                return i;
            }
    }
    return UINT32_MAX;
}

// ---- programs -----------------------------------------------------------------------------------

static bool writes(const xnor_tail_op *op) {
    return op->code >= XNOR_POINTWISE_STORE;
}

static void remove_op(xnor_tail *tail, size_t at) {
    for (size_t p = 0; p < 2; p++) free(tail->ops[at].parameters[p]);
    tail->count--;
    memmove(&tail->ops[at], &tail->ops[at + 1], (tail->count - at) * sizeof *tail->ops);
}

static xnor_status copy_parameters(xnor_tail_op *op, size_t period) {
    for (size_t p = 0; p < 2; p++) {
        const float *from = op->parameters[p];
        if (!from) continue;
        op->parameters[p] = malloc(period * sizeof *from);
        if (!op->parameters[p]) {
            op->parameters[1] = p == 0 ? NULL : op->parameters[1];
            return xnor_fail(XNOR_E_MEMORY, "plan: out of memory");
        }
        memcpy(op->parameters[p], from, period * sizeof *from);
    }
    return XNOR_OK;
}

static void count_planes(xnor_tail *tail) {
    tail->planes = 0;
    for (size_t k = 0; k < tail->count; k++) {
        const xnor_pointwise_code code = tail->ops[k].code;
        const bool two = code == XNOR_POINTWISE_TERNARY || code == XNOR_POINTWISE_AT_LEAST_TERNARY;
        if (code >= XNOR_POINTWISE_SIGNS_FIRST) tail->planes += two ? 2 : 1;
    }
}

static bool has_code(const xnor_tail *tail, size_t end, xnor_pointwise_code code) {
    for (size_t k = 0; k < end; k++)
        if (tail->ops[k].code == code) return true;
    return false;
}

static bool reads_maps(const xnor_tail *tail, size_t end) {
    for (size_t k = 0; k < end; k++)
        if (tail->ops[k].a != XNOR_NO_VALUE) return true;
    return false;
}

static bool fits(const xnor_tail *a, const xnor_tail *b, size_t planes) {
    return a->rows == b->rows && a->n == b->n && a->count + b->count + 2 <= XNOR_POINTWISE_OPS &&
           planes <= XNOR_POINTWISE_PLANES;
}

static void remove_step(xnor_plan *plan, uint32_t at) {
    plan->step_count--;
    memmove(&plan->steps[at], &plan->steps[at + 1], (plan->step_count - at) * sizeof *plan->steps);
}

// Operations behind the last one that writes have no effect.
static void trim(xnor_tail *tail) {
    while (tail->count && !writes(&tail->ops[tail->count - 1])) remove_op(tail, tail->count - 1);
}

// ---- layers that add a map of layers ------------------------------------------------------------

static bool has_layers(const xnor_step *s) {
    return s->run == xnor_step_gemm_tail || s->run == xnor_step_conv_tail;
}

// The step makes nothing but what its tail stores at `op`.
static bool makes_only(const xnor_tail *tail, size_t op) {
    for (size_t k = 0; k < tail->count; k++)
        if (k != op && writes(&tail->ops[k])) return false;
    return true;
}

static bool is_cheap_twice(const xnor_plan *plan, const xnor_step *s, xnor_value_id map) {
    size_t columns = 0, bytes;
    const xnor_value *value = &plan->graph.values[map];
    if (s->run != xnor_step_gemm_tail || reads_maps(s->tail, s->tail->count)) return false;
    for (size_t k = 0; k < s->part_count; k++) columns += s->parts[k].k;
    return columns <= TWICE_COLUMNS &&
           xnor_tensor_bytes(value->dtype, &value->shape, &bytes) == XNOR_OK &&
           bytes > CACHED_BYTES;
}

static xnor_status join_parts(xnor_step *from, xnor_step *into) {
    const size_t count = from->part_count + into->part_count;
    xnor_layer_part *parts = calloc(count ? count : 1, sizeof *parts);
    if (!parts) return xnor_fail(XNOR_E_MEMORY, "plan: out of memory");
    if (from->part_count) memcpy(parts, from->parts, from->part_count * sizeof *parts);
    for (size_t k = 0; k < into->part_count; k++) {
        xnor_layer_part *part = &parts[from->part_count + k];
        *part = into->parts[k];
        part->layer += from->layer_count;
    }
    free(into->parts);
    into->parts = parts;
    into->part_count = count;
    return XNOR_OK;
}

// Where a convolution is one of the layers, the joint step is one, with the convolution's fields.
static void join_convolution(const xnor_step *from, xnor_step *into) {
    if (into->run == xnor_step_conv_tail) {
        into->layer += from->layer_count;
        return;
    }
    if (from->run != xnor_step_conv_tail) return;
    const xnor_step layers = *into;
    *into = *from;
    into->tail = layers.tail;
    into->parts = layers.parts;
    into->part_count = layers.part_count;
}

// A convolution by windows of one pixel is a product of rows.
static xnor_status make_product(xnor_step *s) {
    if (s->run != xnor_step_conv_tail || s->groups != 1 || s->part_count) return XNOR_OK;
    xnor_patches p;
    XNOR_TRY(xnor_patches_read(s->patches, &p));
    const xnor_window *w = &p.window;
    if (w->kernel[0] != 1 || w->kernel[1] != 1 || w->pad_begin[0] || w->pad_begin[1] ||
        w->pad_end[0] || w->pad_end[1])
        return XNOR_OK;
    const int64_t *x = s->graph->values[s->x].shape.dims;
    const int64_t *windows = s->graph->values[s->patches->outputs[0]].shape.dims;
    s->parts = calloc(1, sizeof *s->parts);
    if (!s->parts) return xnor_fail(XNOR_E_MEMORY, "plan: out of memory");
    s->part_count = 1;
    *s->parts = (xnor_layer_part){.x = s->x,
                                  .k = s->k,
                                  .packed = s->packed,
                                  .height = (size_t)x[1],
                                  .width = (size_t)x[2],
                                  .out_height = (size_t)windows[1],
                                  .out_width = (size_t)windows[2],
                                  .stride = {(size_t)w->stride[0], (size_t)w->stride[1]}};
    s->run = xnor_step_gemm_tail;
    return XNOR_OK;
}

// The program of `from` up to `end`, then that of `into`, which adds the result where it stood at `add`.
static xnor_status join_programs(const xnor_step *from, size_t end, bool copy, xnor_step *into,
                                 size_t add) {
    xnor_tail *joint = calloc(1, sizeof *joint), *tail = into->tail;
    if (!joint) return xnor_fail(XNOR_E_MEMORY, "plan: out of memory");
    *joint =
        (xnor_tail){.rows = tail->rows, .n = tail->n, .period = tail->period, .layer = tail->layer};
    xnor_status status = XNOR_OK;
    for (size_t k = 0; k < end && status == XNOR_OK; k++) {
        if (writes(&from->tail->ops[k])) continue;
        xnor_tail_op *op = &joint->ops[joint->count++];
        *op = from->tail->ops[k];
        if (copy) status = copy_parameters(op, joint->period);
    }
    if (status != XNOR_OK) {
        xnor_tail_free(joint);
        return status;
    }
    joint->ops[joint->count++] = (xnor_tail_op){.code = XNOR_POINTWISE_LAYER,
                                                .a = XNOR_NO_VALUE,
                                                .y = XNOR_NO_VALUE,
                                                .layer = from->layer_count};
    for (size_t k = 0; k < tail->count; k++) {
        xnor_tail_op *op = &joint->ops[joint->count++];
        *op = tail->ops[k];
        if (op->code == XNOR_POINTWISE_LAYER) op->layer += from->layer_count;
        if (k == add) {
            op->code = XNOR_POINTWISE_ADD_KEPT;
            op->a = XNOR_NO_VALUE;
        }
    }
    count_planes(joint);
    free(tail);
    into->tail = joint;
    return XNOR_OK;
}

static xnor_status join_layers(xnor_plan *plan, uint32_t first, size_t end, uint32_t index,
                               size_t add) {
    xnor_step *from = &plan->steps[first], *into = &plan->steps[index];
    const bool alone = makes_only(from->tail, end);
    XNOR_TRY(join_parts(from, into)); // the first to fail
    XNOR_TRY(join_programs(from, end, !alone, into, add));
    const size_t layers = from->layer_count + into->layer_count;
    join_convolution(from, into);
    into->layer_count = layers;
    if (alone) {
        // Programs moved: parameters belong to `into`.
        free(from->tail);
        free(from->parts);
        remove_step(plan, first);
    } else {
        remove_op(from->tail, end);
        trim(from->tail);
    }
    return XNOR_OK;
}

// An addition in the tail of step `index` of what the tail of step *first stores at *end.
static bool finds_layers(const xnor_plan *plan, uint32_t index, size_t add, uint32_t *first,
                         size_t *end) {
    const xnor_step *into = &plan->steps[index];
    const xnor_value_id map = into->tail->ops[add].a;
    if (into->tail->ops[add].code != XNOR_POINTWISE_ADD || !is_read_once(plan, map) ||
        has_code(into->tail, add, XNOR_POINTWISE_LAYER))
        return false;
    *first = storing_step(plan, index, map, end);
    if (*first == UINT32_MAX) return false;
    const xnor_step *from = &plan->steps[*first];
    const bool convolutions = from->run == xnor_step_conv_tail && into->run == xnor_step_conv_tail;
    const size_t layers = from->layer_count + into->layer_count;
    return has_layers(from) && !convolutions && layers <= XNOR_MAX_PARTS &&
           layers * into->tail->n <= XNOR_POINTWISE_MAX &&
           fits(from->tail, into->tail, into->tail->planes) &&
           from->part_count + into->part_count <= XNOR_MAX_PARTS &&
           (makes_only(from->tail, *end) || is_cheap_twice(plan, from, map));
}

// ---- steps on a map -----------------------------------------------------------------------------

// Nothing between the steps reads what the first one makes.
static bool can_wait(const xnor_plan *plan, uint32_t first, uint32_t index) {
    const xnor_tail *tail = plan->steps[first].tail;
    for (size_t k = 0; k < tail->count; k++)
        if (tail->ops[k].y != XNOR_NO_VALUE && is_read(plan, first + 1, index, tail->ops[k].y))
            return false;
    return !tail->layer.packed;
}

static bool finds_source(const xnor_plan *plan, uint32_t index, uint32_t *first, size_t *store) {
    const xnor_step *into = &plan->steps[index];
    if ((into->run != xnor_step_pointwise && into->run != xnor_step_linear) ||
        plan->graph.values[into->x].dtype != XNOR_F32 || !is_read_once(plan, into->x))
        return false;
    *first = storing_step(plan, index, into->x, store);
    if (*first == UINT32_MAX || *store + 1 != plan->steps[*first].tail->count) return false;
    const xnor_tail *from = plan->steps[*first].tail;
    const bool fit = into->tail ? fits(from, into->tail, from->planes + into->tail->planes)
                                : into->active == XNOR_NO_VALUE && into->groups == 1 &&
                                      into->rows == from->rows && into->k == from->n;
    return fit && can_wait(plan, *first, index);
}

// The earlier step runs later, and its tail goes on.
static void join_source(xnor_plan *plan, uint32_t first, size_t store, uint32_t index) {
    xnor_step from = plan->steps[first], *into = &plan->steps[index];
    if (into->tail) {
        remove_op(from.tail, store);
        memcpy(&from.tail->ops[from.tail->count], into->tail->ops,
               into->tail->count * sizeof *into->tail->ops);
        from.tail->count += into->tail->count;
        from.tail->layer = into->tail->layer;
        count_planes(from.tail);
        free(into->tail);
    } else {
        from.tail->ops[store].code = XNOR_POINTWISE_STORE_TILE;
        from.tail->ops[store].y = XNOR_NO_VALUE;
        from.tail->layer = (xnor_tail_layer){into->packed, into->parameters[0], into->n, into->y};
    }
    *into = from;
    remove_step(plan, first);
}

xnor_status xnor_merge_tails(xnor_plan *plan) {
    for (uint32_t i = 0; i < plan->step_count; i++) XNOR_TRY(make_product(&plan->steps[i]));
    for (uint32_t index = 0; index < plan->step_count; index++) {
        uint32_t first;
        size_t op;
        while (finds_source(plan, index, &first, &op)) {
            join_source(plan, first, op, index);
            index--;
        }
        for (size_t add = 0; has_layers(&plan->steps[index]) && plan->steps[index].tail &&
                             add < plan->steps[index].tail->count;) {
            if (!finds_layers(plan, index, add, &first, &op)) {
                add++;
                continue;
            }
            const uint32_t steps = plan->step_count;
            XNOR_TRY(join_layers(plan, first, op, index, add));
            index -= steps - plan->step_count;
            add = 0;
        }
    }
    return XNOR_OK;
}
