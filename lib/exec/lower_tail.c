// Which operations become the tail of a step: a line of them, each of which takes the result of the one before
// and constants, or maps that earlier steps have made. Results that others want, too, are stored on the way.
#include <stdlib.h>

#include "core/size.h"
#include "exec/lower.h"
#include "exec/tail.h"

typedef struct builder {
    lowering *l;
    xnor_tail *tail;
    uint32_t index; // of the step's node: what comes before it is there
} builder;

// ---- parameters ---------------------------------------------------------------------------------

// One number, or one for each channel.
static bool is_parameter(const lowering *l, xnor_value_id id, size_t n) {
    const xnor_value *value = value_of(l, id);
    size_t count;
    if (!value->data || value->dtype != XNOR_F32) return false;
    if (xnor_shape_count(&value->shape, &count) != XNOR_OK) return false;
    return count == 1 || (count == n && (size_t)xnor_shape_last(&value->shape) == n);
}

static double parameter_at(const lowering *l, xnor_value_id id, size_t channel) {
    const xnor_value *value = value_of(l, id);
    const xnor_tensor t = {value->dtype, value->shape, value->data};
    size_t count;
    if (xnor_shape_count(&value->shape, &count) != XNOR_OK || count == 0) return 0;
    return xnor_tensor_get(&t, channel % count);
}

static xnor_tail_op *append(builder *b, xnor_pointwise_code code) {
    xnor_tail_op *op = &b->tail->ops[b->tail->count++];
    *op = (xnor_tail_op){.code = code, .a = XNOR_NO_VALUE, .y = XNOR_NO_VALUE};
    return op;
}

// Repeated to the period. id: a parameter, or XNOR_NO_VALUE for the same number everywhere.
static xnor_status repeat(builder *b, xnor_value_id id, float same, float **out) {
    const xnor_tail *t = b->tail;
    *out = malloc(t->period * sizeof **out);
    if (!*out) return xnor_fail(XNOR_E_MEMORY, "plan: out of memory");
    for (size_t i = 0; i < t->period; i++)
        (*out)[i] = id == XNOR_NO_VALUE ? same : (float)parameter_at(b->l, id, i % t->n);
    return XNOR_OK;
}

static xnor_status append_affine(builder *b, xnor_value_id scale, xnor_value_id shift) {
    xnor_tail_op *op = append(b, XNOR_POINTWISE_AFFINE);
    XNOR_TRY(repeat(b, scale, 1, &op->parameters[0]));
    return repeat(b, shift, 0, &op->parameters[1]);
}

// Sums stay below 2^24, whatever the limits are: floats hold them.
static xnor_status append_limits(builder *b, const xnor_node *node) {
    const float most = (float)(1 << 24);
    const bool two = node->input_count > 2;
    xnor_tail_op *op = append(b, two ? XNOR_POINTWISE_AT_LEAST_TERNARY : XNOR_POINTWISE_AT_LEAST);
    op->y = node->outputs[0];
    for (uint32_t k = 1; k < node->input_count && k < 3; k++) {
        XNOR_TRY(repeat(b, XNOR_NO_VALUE, 0, &op->parameters[k - 1]));
        for (size_t i = 0; i < b->tail->period; i++) {
            const double limit = parameter_at(b->l, node->inputs[k], i % b->tail->n);
            op->parameters[k - 1][i] = limit > (double)most    ? most
                                       : limit < -(double)most ? -most
                                                               : (float)limit;
        }
    }
    b->tail->planes += two ? 2 : 1;
    return XNOR_OK;
}

// ---- which nodes --------------------------------------------------------------------------------

// Made by a step in front of the one of node `index`: by a node in front of it, or by an earlier tail.
static bool is_there(const lowering *l, xnor_value_id id, uint32_t index) {
    const uint32_t producer = xnor_graph_producer(l->graph, id);
    return producer == UINT32_MAX || producer < index ||
           (l->tail[producer] != 0 && l->tail[producer] != l->tails);
}

static void cover(lowering *l, uint32_t node) {
    l->done[node] = 1;
    l->tail[node] = l->tails;
}

// A map of the same shape that is there.
static bool is_map(const lowering *l, xnor_value_id id, xnor_value_id like, uint32_t index) {
    const xnor_value *value = value_of(l, id), *other = value_of(l, like);
    return value->dtype == other->dtype && xnor_shape_equal(&value->shape, &other->shape) &&
           l->active[id] == XNOR_NO_VALUE && is_there(l, id, index);
}

static uint32_t uses_in(const xnor_node *node, xnor_value_id id) {
    uint32_t count = 0;
    for (uint32_t k = 0; k < node->input_count; k++) count += node->inputs[k] == id;
    return count;
}

static bool is_zero(const lowering *l, xnor_value_id id) {
    size_t count;
    const xnor_value *value = value_of(l, id);
    return value->data && xnor_shape_count(&value->shape, &count) == XNOR_OK && count == 1 &&
           parameter_at(l, id, 0) == 0;
}

static bool is_real(const lowering *l, xnor_value_id id) {
    return value_of(l, id)->dtype == XNOR_F32;
}

// x > 0 as a number: the comparison is used by a Cast alone.
static uint32_t cast_of_gate(const lowering *l, const xnor_node *node, xnor_value_id x) {
    if (node->op != XNOR_OP_GREATER || node->inputs[0] != x || !is_zero(l, node->inputs[1]))
        return UINT32_MAX;
    const uint32_t cast = only_user(l, node->outputs[0]);
    if (cast == UINT32_MAX || l->graph->nodes[cast].op != XNOR_OP_CAST ||
        !is_real(l, l->graph->nodes[cast].outputs[0]))
        return UINT32_MAX;
    return cast;
}

static bool keeps_shape(const lowering *l, const xnor_node *node, xnor_value_id x) {
    return xnor_shape_equal(&value_of(l, node->outputs[0])->shape, &value_of(l, x)->shape);
}

// Magnitudes of clipped rows have a step of their own.
static bool has_magnitude(const lowering *l, xnor_value_id x) {
    for (uint32_t i = 0; i < l->graph->node_count; i++)
        if (l->graph->nodes[i].op == XNOR_OP_ABS && l->graph->nodes[i].inputs[0] == x) return true;
    return false;
}

// Appends what the node does to x, if a tail can: *out is the result, else XNOR_NO_VALUE.
static xnor_status take(builder *b, uint32_t index, xnor_value_id x, xnor_value_id *out) {
    lowering *l = b->l;
    const xnor_node *node = &l->graph->nodes[index];
    const size_t n = b->tail->n;
    double low, high;
    *out = XNOR_NO_VALUE;
    if (uses_in(node, x) != 1 || l->fused[index] != UINT32_MAX) return XNOR_OK;
    const uint32_t cast = cast_of_gate(l, node, x);
    if (is_real(l, x) && cast != UINT32_MAX) {
        append(b, XNOR_POINTWISE_GATE);
        cover(l, index);
        cover(l, cast);
        *out = l->graph->nodes[cast].outputs[0];
        return XNOR_OK;
    }
    if (!keeps_shape(l, node, x)) return XNOR_OK;
    if (node->op == XNOR_OP_AFFINE && node->inputs[0] == x && is_parameter(l, node->inputs[1], n) &&
        is_parameter(l, node->inputs[2], n)) {
        XNOR_TRY(append_affine(b, node->inputs[1], node->inputs[2]));
    } else if (is_real(l, x) && xnor_lower_clip_bounds(l, node, &low, &high) &&
               !has_magnitude(l, node->outputs[0])) {
        xnor_tail_op *op = append(b, XNOR_POINTWISE_CLIP);
        op->low = (float)low;
        op->high = (float)high;
    } else if (is_real(l, x) && node->op == XNOR_OP_ROUND) {
        append(b, XNOR_POINTWISE_ROUND);
    } else if (is_real(l, x) && (node->op == XNOR_OP_ADD || node->op == XNOR_OP_MUL)) {
        const bool adds = node->op == XNOR_OP_ADD;
        const xnor_value_id other = node->inputs[node->inputs[0] == x];
        if (is_parameter(l, other, n)) {
            XNOR_TRY(adds ? append_affine(b, XNOR_NO_VALUE, other)
                          : append_affine(b, other, XNOR_NO_VALUE));
        } else if (is_map(l, other, x, b->index)) {
            append(b, adds ? XNOR_POINTWISE_ADD : XNOR_POINTWISE_MUL)->a = other;
        } else {
            return XNOR_OK;
        }
    } else {
        return XNOR_OK;
    }
    cover(l, index);
    *out = node->outputs[0];
    return XNOR_OK;
}

// An addition of sums that are there already.
static bool takes_sum(const lowering *l, const xnor_node *node, xnor_value_id x, uint32_t index) {
    return node->op == XNOR_OP_XNOR_ADD && uses_in(node, x) == 1 && keeps_shape(l, node, x) &&
           is_map(l, node->inputs[node->inputs[0] == x], x, index);
}

static bool has_limits(const lowering *l, const xnor_node *node) {
    if (node->op != XNOR_OP_THRESHOLD) return false;
    for (uint32_t k = 1; k < node->input_count; k++)
        if (!value_of(l, node->inputs[k])->data) return false;
    return true;
}

// Appends the signs that the node makes of x: true.
static bool take_signs(builder *b, uint32_t index, xnor_value_id x, xnor_status *status) {
    lowering *l = b->l;
    const xnor_node *node = &l->graph->nodes[index];
    const double zero = xnor_node_float(node, XNOR_ATTR_ALPHA, 1);
    const size_t room = XNOR_POINTWISE_PLANES - b->tail->planes;
    *status = XNOR_OK;
    if (is_real(l, x) && node->op == XNOR_OP_BINARIZE && room >= 1 && zero == 1) {
        append(b, XNOR_POINTWISE_SIGNS)->y = node->outputs[0];
        b->tail->planes += 1;
    } else if (is_real(l, x) && node->op == XNOR_OP_BINARIZE && room >= 2 && zero == 0) {
        append(b, XNOR_POINTWISE_TERNARY)->y = node->outputs[0];
        b->tail->planes += 2;
    } else if (!is_real(l, x) && has_limits(l, node) && room >= 2) {
        *status = append_limits(b, node);
    } else {
        return false;
    }
    cover(l, index);
    return true;
}

// What becomes of x: *next is the result of the operation that follows, or XNOR_NO_VALUE.
static xnor_status follow(builder *b, xnor_value_id x, bool *stored, xnor_value_id *next) {
    lowering *l = b->l;
    uint32_t candidate = UINT32_MAX;
    *stored = xnor_graph_is_output(l->graph, x);
    *next = XNOR_NO_VALUE;
    for (uint32_t i = b->index + 1; i < l->graph->node_count; i++) {
        xnor_status status;
        if (l->done[i] || !uses_in(&l->graph->nodes[i], x)) continue;
        if (b->tail->count + 3 < XNOR_POINTWISE_OPS && take_signs(b, i, x, &status)) {
            XNOR_TRY(status);
            continue;
        }
        if (candidate == UINT32_MAX)
            candidate = i;
        else
            *stored = true;
    }
    if (candidate == UINT32_MAX) return XNOR_OK;
    const size_t store = b->tail->count;
    if (is_real(l, x)) append(b, XNOR_POINTWISE_STORE)->y = x; // in front of what follows
    if (b->tail->count + 2 < XNOR_POINTWISE_OPS) {
        const xnor_node *sum = &l->graph->nodes[candidate];
        if (takes_sum(l, sum, x, b->index)) {
            append(b, XNOR_POINTWISE_ADD_SUM)->a = sum->inputs[sum->inputs[0] == x];
            cover(l, candidate);
            *next = sum->outputs[0];
        } else {
            XNOR_TRY(take(b, candidate, x, next));
        }
    }
    if (*next == XNOR_NO_VALUE) *stored = true;
    if (!is_real(l, x) || *stored) return XNOR_OK;
    for (size_t i = store; i + 1 < b->tail->count; i++) b->tail->ops[i] = b->tail->ops[i + 1];
    b->tail->count--;
    return XNOR_OK;
}

// Sums cannot be stored: a tail on them needs all of their users, up to where reals are made of them.
bool xnor_lower_covers_sums(const lowering *l, xnor_value_id x, uint32_t index) {
    const size_t n = last_of(l, x);
    size_t planes = 0;
    if (n == 0 || n > XNOR_POINTWISE_MAX || l->active[x] != XNOR_NO_VALUE) return false;
    for (size_t sums = 0; sums < 4; sums++) {
        xnor_value_id next = XNOR_NO_VALUE;
        if (xnor_graph_is_output(l->graph, x)) return false;
        for (uint32_t i = 0; i < l->graph->node_count; i++) {
            const xnor_node *user = &l->graph->nodes[i];
            if (!uses_in(user, x)) continue;
            if (has_limits(l, user)) {
                planes += 2;
                continue;
            }
            const bool affine = user->op == XNOR_OP_AFFINE && user->inputs[0] == x &&
                                is_parameter(l, user->inputs[1], n) &&
                                is_parameter(l, user->inputs[2], n);
            if (next != XNOR_NO_VALUE || (!affine && !takes_sum(l, user, x, index)) ||
                l->fused[i] != UINT32_MAX || l->done[i])
                return false;
            next = user->outputs[0];
        }
        if (planes > XNOR_POINTWISE_PLANES || (next == XNOR_NO_VALUE && planes == 0)) return false;
        if (next == XNOR_NO_VALUE || is_real(l, next)) return true;
        x = next;
    }
    return false;
}

// A tail that begins with nothing.
static xnor_status begin(builder *b, xnor_value_id x) {
    const size_t n = last_of(b->l, x);
    if (n == 0 || n > XNOR_POINTWISE_MAX || b->l->active[x] != XNOR_NO_VALUE) return XNOR_OK;
    b->l->tails++;
    b->tail = calloc(1, sizeof *b->tail);
    if (!b->tail) return xnor_fail(XNOR_E_MEMORY, "plan: out of memory");
    *b->tail = (xnor_tail){.rows = rows_of(b->l, x), .n = n, .period = n};
    while (b->tail->period % XNOR_POINTWISE_BLOCK) b->tail->period += n;
    if (b->tail->period == XNOR_POINTWISE_BLOCK) b->tail->period *= 2; // two blocks may go at once
    return XNOR_OK;
}

// Takes x and what follows it, as far as it goes.
static xnor_status follow_all(builder *b, xnor_value_id x) {
    while (x != XNOR_NO_VALUE) {
        const xnor_value_id at = x;
        bool stored = false;
        XNOR_TRY(follow(b, at, &stored, &x));
        const xnor_tail_op *last = b->tail->count ? &b->tail->ops[b->tail->count - 1] : NULL;
        if (x == XNOR_NO_VALUE && stored && is_real(b->l, at) &&
            !(last && last->code == XNOR_POINTWISE_STORE && last->y == at))
            append(b, XNOR_POINTWISE_STORE)->y = at;
    }
    return XNOR_OK;
}

xnor_status xnor_lower_tail(lowering *l, xnor_step *step, uint32_t index) {
    builder b = {.l = l, .index = index};
    XNOR_TRY(begin(&b, step->y));
    if (!b.tail) return XNOR_OK;
    if (!is_real(l, step->y) && !xnor_lower_covers_sums(l, step->y, index)) {
        xnor_tail_free(b.tail);
        return XNOR_OK;
    }
    const xnor_value_id x = step->y;
    step->tail = b.tail; // the plan's from here on
    step->y = XNOR_NO_VALUE;
    return follow_all(&b, x);
}

xnor_status xnor_lower_line(lowering *l, uint32_t index, bool *done) {
    builder b = {.l = l, .index = index};
    const xnor_node *node = &l->graph->nodes[index];
    xnor_value_id next = XNOR_NO_VALUE;
    *done = false;
    for (uint32_t k = 0; k < node->input_count && k < 2 && next == XNOR_NO_VALUE; k++) {
        const xnor_value_id x = node->inputs[k];
        const xnor_value *value = value_of(l, x);
        if (x == XNOR_NO_VALUE || value->data ||
            (value->dtype != XNOR_F32 && value->dtype != XNOR_ACC))
            continue;
        XNOR_TRY(begin(&b, x));
        if (!b.tail) continue;
        xnor_status status = take(&b, index, x, &next);
        if (status != XNOR_OK || next == XNOR_NO_VALUE) {
            xnor_tail_free(b.tail);
            XNOR_TRY(status);
            continue;
        }
        xnor_step *step = xnor_add_step(l, xnor_step_pointwise, node);
        step->x = x;
        step->y = XNOR_NO_VALUE;
        step->tail = b.tail;
        *done = true;
        return follow_all(&b, next);
    }
    return XNOR_OK;
}
