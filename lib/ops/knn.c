// k nearest neighbours: for every row of x [.., N, C] the indices of the `size` rows at the
// smallest squared distance within its group, nearest first; equal distances by lower index.
//
// A squared distance is the float32 sum of squared differences in the order of the channels, each
// operation rounded by itself: what (x_i - x_j)² summed over few channels is in other runtimes, so
// that near ties are decided alike. The row itself is at distance 0.
// Where a coordinate is infinite or not a number, so is the distance; it counts as infinite, and as
// every comparison with others: such rows are nobody's neighbours before all others are.
// Fewer rows than neighbours: the nearest is repeated in the places left over, which changes no
// maximum over neighbours.
#include "ops/ops.h"

#include <math.h>

#include "core/tensor.h"

static xnor_status infer_knn(xnor_graph *graph, const xnor_node *node) {
    const xnor_value *x = xnor_in(graph, node, 0);
    int64_t k = xnor_node_int(node, XNOR_ATTR_SIZE, 0);
    uint32_t rank = x->shape.rank;
    if (rank < 2 || k < 1 || k > INT32_MAX || x->shape.dims[rank - 2] == 0) {
        char text[XNOR_SHAPE_TEXT];
        return xnor_fail(XNOR_E_SHAPE, "node '%s' (xnor_knn): %lld neighbours among the rows of %s",
                         node->name, (long long)k, xnor_shape_text(&x->shape, text, sizeof text));
    }
    xnor_shape shape = x->shape;
    shape.dims[rank - 1] = k;
    return xnor_set_output(graph, node, 0, XNOR_I64, &shape);
}

static float distance(const xnor_tensor *x, size_t i, size_t j, size_t channels) {
    float sum = 0;
    for (size_t c = 0; c < channels; c++) {
        float difference = (float)xnor_tensor_get(x, i * channels + c) -
                           (float)xnor_tensor_get(x, j * channels + c);
        float square = difference * difference;
        sum = sum + square;
    }
    return isnan(sum) ? INFINITY : sum;
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
            float d = distance(&in[0], i, first + j, channels);
            size_t at = found < k ? found++ : k;
            // Shift what is farther; a later row of equal distance stays behind.
            while (at > 0 && distance(&in[0], i, first + (size_t)nearest[at - 1], channels) > d) {
                if (at < k) nearest[at] = nearest[at - 1];
                at--;
            }
            if (at < k) nearest[at] = (int64_t)j;
        }
        while (found < k) nearest[found++] = nearest[0];
    }
    return XNOR_OK;
}

const xnor_op_row xnor_ops_knn[] = {
    {XNOR_OP_KNN, {1, 1, 1, 0, infer_knn, eval_knn}},
    XNOR_OPS_END,
};
