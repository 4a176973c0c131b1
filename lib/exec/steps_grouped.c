// xnor_grouped: one integer product for each group, whose rows lie a whole point apart.
#include "core/size.h"
#include "exec/lower.h"
#include "exec/tiles.h"

xnor_status xnor_lower_grouped(lowering *l, uint32_t index) {
    const xnor_node *node = &l->graph->nodes[index];
    if (xnor_lower_is_conv(l, index)) return xnor_lower_conv(l, index);
    bool direct = is_model_constant(l, node->inputs[1]);
    xnor_step *step = xnor_add_step(l, direct ? xnor_step_grouped : xnor_step_reference, node);
    if (!direct) return XNOR_OK;
    const xnor_shape *w = &value_of(l, node->inputs[1])->shape;
    step->groups = (size_t)w->dims[0];
    step->n = (size_t)w->dims[1];
    step->k = (size_t)w->dims[2];
    step->rows = rows_of(l, node->outputs[0]);
    return xnor_model_pack_groups(l->plan->model, node->inputs[1], &step->packed);
}

static void tile_grouped(void *context, size_t begin, size_t end) {
    const tile_context *c = context;
    const xnor_step *s = c->step;
    const xnor_kernels *kernels = c->run->kernels;
    const bool ternary = s->graph->values[s->x].dtype == XNOR_TERNARY;
    const size_t words = xnor_words(s->k), stride = s->groups * words, columns = s->groups * s->n;
    const size_t bytes = kernels->gemm_packed_bytes(s->k, s->n);
    const uint64_t *x = (const uint64_t *)c->run->values[s->x] + begin * stride;
    int32_t *acc = (int32_t *)c->run->values[s->y] + begin * columns;
    for (size_t g = 0; g < s->groups; g++) {
        xnor_gemm_args args = {.rows = end - begin,
                               .k = s->k,
                               .n = s->n,
                               .n_end = s->n,
                               .a = x + g * words,
                               .a_stride = stride,
                               .packed = (const uint8_t *)s->packed + g * bytes};
        if (ternary) {
            args.mask = args.a + s->rows * stride;
            kernels->gemm_acc_ternary(&args, acc + g * s->n, columns);
        } else {
            kernels->gemm_acc(&args, acc + g * s->n, columns);
        }
    }
}

// x: signs [rows, groups, k] -> acc [rows, groups·n]
xnor_status xnor_step_grouped(const xnor_step *s, const xnor_run *run) {
    return over(s, run, s->rows, TILE_ROWS, tile_grouped);
}
