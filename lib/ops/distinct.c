// Merging equal rows of bits; GatherRows undoes it.
#include "ops/ops.h"

#include <string.h>

#include "core/size.h"
#include "core/tensor.h"

static xnor_status shape_error(const xnor_node *node, const xnor_value *x) {
    char text[XNOR_SHAPE_TEXT];
    return xnor_fail(XNOR_E_SHAPE, "node '%s' (%s): %s%s", node->name, xnor_op_name(node->op),
                     xnor_dtype_name(x->dtype), xnor_shape_text(&x->shape, text, sizeof text));
}

// x: bits [.., N, C]. Outputs:
//   rows   bits [.., N, C]: every row of x occurs among the first `count` of its group; the others
//          are copies of the first, so a maximum over all rows is one over the first `count`
//   count  i32 [.., 1]
//   index  i32 [.., N]: x[n] = rows[index[n]]
static xnor_status infer_distinct(xnor_graph *graph, const xnor_node *node) {
    const xnor_value *x = xnor_in(graph, node, 0);
    if (x->dtype != XNOR_BITS || x->shape.rank < 2 || node->output_count != 3)
        return shape_error(node, x);
    const xnor_shape rows = x->shape;
    xnor_shape count = rows, index = rows;
    index.rank--;
    count.rank--;
    count.dims[count.rank - 1] = 1;
    XNOR_TRY(xnor_set_output(graph, node, 0, XNOR_BITS, &rows));
    XNOR_TRY(xnor_set_output(graph, node, 1, XNOR_I32, &count));
    return xnor_set_output(graph, node, 2, XNOR_I32, &index);
}

static xnor_status eval_distinct(const xnor_node *node, const xnor_tensor *in, xnor_tensor *out) {
    (void)node;
    const xnor_shape *shape = &in[0].shape;
    size_t words = xnor_words((size_t)xnor_shape_last(shape));
    size_t n = (size_t)shape->dims[shape->rank - 2], groups = xnor_shape_rows(shape) / n;
    for (size_t g = 0; g < groups; g++) {
        const uint64_t *x = (const uint64_t *)in[0].data + g * n * words;
        uint64_t *rows = (uint64_t *)out[0].data + g * n * words;
        int32_t *index = (int32_t *)out[2].data + g * n;
        size_t count = 0;
        for (size_t i = 0; i < n; i++) {
            size_t k = 0;
            while (k < count && memcmp(rows + k * words, x + i * words, words * 8) != 0) k++;
            if (k == count) memcpy(rows + count++ * words, x + i * words, words * 8);
            index[i] = (int32_t)k;
        }
        for (size_t k = count; k < n; k++) memcpy(rows + k * words, rows, words * 8);
        ((int32_t *)out[1].data)[g] = (int32_t)count;
    }
    return XNOR_OK;
}

const xnor_op_row xnor_ops_distinct[] = {
    {XNOR_OP_DISTINCT, {1, 1, 3, 0, infer_distinct, eval_distinct}},
    XNOR_OPS_END,
};
