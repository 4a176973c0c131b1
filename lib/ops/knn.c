// k nearest neighbours: for every row of x [.., N, C] the indices of the `size` rows at the
// smallest squared distance within its group, nearest first; equal distances by lower index. The
// row itself is among them.
#include "ops/ops.h"

#include <math.h>

#include "core/tensor.h"

static xnor_status infer_knn(xnor_graph *graph, const xnor_node *node) {
    const xnor_value *x = xnor_in(graph, node, 0);
    int64_t k = xnor_node_int(node, XNOR_ATTR_SIZE, 0);
    uint32_t rank = x->shape.rank;
    if (rank < 2 || k < 1 || (x->shape.dims[rank - 2] >= 0 && k > x->shape.dims[rank - 2])) {
        char text[XNOR_SHAPE_TEXT];
        return xnor_fail(XNOR_E_SHAPE, "node '%s' (xnor_knn): %lld neighbours among the rows of %s",
                         node->name, (long long)k, xnor_shape_text(&x->shape, text, sizeof text));
    }
    xnor_shape shape = x->shape;
    shape.dims[rank - 1] = k;
    return xnor_set_output(graph, node, 0, XNOR_I64, &shape);
}

static double distance(const xnor_tensor *x, size_t i, size_t j, size_t channels) {
    double sum = 0;
    for (size_t c = 0; c < channels; c++) {
        double d = xnor_tensor_get(x, i * channels + c) - xnor_tensor_get(x, j * channels + c);
        sum += d * d;
    }
    return sum;
}

static xnor_status eval_knn(const xnor_node *node, const xnor_tensor *in, xnor_tensor *out) {
    (void)node;
    size_t channels = (size_t)xnor_shape_last(&in[0].shape), rows = xnor_shape_rows(&in[0].shape);
    size_t n = (size_t)in[0].shape.dims[in[0].shape.rank - 2];
    size_t k = (size_t)xnor_shape_last(&out[0].shape);
    int64_t *indices = out[0].data;
    for (size_t i = 0; i < rows; i++) {
        size_t first = i / n * n, found = 0;
        int64_t *nearest = indices + i * k;
        for (size_t j = 0; j < n; j++) {
            double d = distance(&in[0], i, first + j, channels);
            size_t at = found < k ? found++ : k;
            // Shift what is farther; a later row of equal distance stays behind.
            while (at > 0 && distance(&in[0], i, first + (size_t)nearest[at - 1], channels) > d) {
                if (at < k) nearest[at] = nearest[at - 1];
                at--;
            }
            if (at < k) nearest[at] = (int64_t)j;
        }
    }
    return XNOR_OK;
}

const xnor_op_row xnor_ops_knn[] = {
    {XNOR_OP_KNN, {1, 1, 1, 0, infer_knn, eval_knn}},
    XNOR_OPS_END,
};
