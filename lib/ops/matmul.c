// Matrix products: MatMul, Gemm and the compiler's linear layers.
#include "ops/ops.h"

#include "core/tensor.h"

// ---- MatMul (numpy semantics) -------------------------------------------------------------------

// A vector becomes a matrix with one row (left) or one column (right).
static xnor_shape as_matrix(const xnor_shape *shape, bool left) {
    if (shape->rank != 1) return *shape;
    xnor_shape result = {2, {1, shape->dims[0]}};
    if (!left) result = (xnor_shape){2, {shape->dims[0], 1}};
    return result;
}

static xnor_status matmul_shape(const xnor_node *node, const xnor_shape *a, const xnor_shape *b,
                                xnor_shape *out) {
    char ta[XNOR_SHAPE_TEXT], tb[XNOR_SHAPE_TEXT];
    if (a->rank == 0 || b->rank == 0)
        return xnor_fail(XNOR_E_SHAPE, "node '%s' (MatMul): scalar input", node->name);
    xnor_shape ma = as_matrix(a, true), mb = as_matrix(b, false);
    int64_t k = ma.dims[ma.rank - 1], rows = mb.dims[mb.rank - 2];
    if (k >= 0 && rows >= 0 && k != rows)
        return xnor_fail(XNOR_E_SHAPE, "node '%s' (MatMul): %s by %s", node->name,
                         xnor_shape_text(a, ta, sizeof ta), xnor_shape_text(b, tb, sizeof tb));
    xnor_shape batch_a = ma, batch_b = mb;
    batch_a.rank -= 2;
    batch_b.rank -= 2;
    XNOR_TRY(xnor_broadcast(node, &batch_a, &batch_b, out));
    if (out->rank + 2 > XNOR_MAX_RANK)
        return xnor_fail(XNOR_E_LIMIT, "node '%s' (MatMul): rank too high", node->name);
    if (a->rank > 1) out->dims[out->rank++] = ma.dims[ma.rank - 2];
    if (b->rank > 1) out->dims[out->rank++] = mb.dims[mb.rank - 1];
    return XNOR_OK;
}

static xnor_dtype product_dtype(xnor_dtype a, xnor_dtype b) {
    if (a == XNOR_F64 && b == XNOR_F64) return XNOR_F64;
    if (a == XNOR_I64 && b == XNOR_I64) return XNOR_I64;
    if (a == XNOR_I32 && b == XNOR_I32) return XNOR_I32;
    return XNOR_F32;
}

static xnor_status infer_matmul(xnor_graph *graph, const xnor_node *node) {
    const xnor_value *a = xnor_in(graph, node, 0), *b = xnor_in(graph, node, 1);
    xnor_shape shape;
    XNOR_TRY(matmul_shape(node, &a->shape, &b->shape, &shape));
    return xnor_set_output(graph, node, 0, product_dtype(a->dtype, b->dtype), &shape);
}

static xnor_status eval_matmul(const xnor_node *node, const xnor_tensor *in, xnor_tensor *out) {
    (void)node;
    xnor_shape a = as_matrix(&in[0].shape, true), b = as_matrix(&in[1].shape, false);
    size_t m = (size_t)a.dims[a.rank - 2], k = (size_t)a.dims[a.rank - 1];
    size_t n = (size_t)b.dims[b.rank - 1];
    xnor_shape batch_a = a, batch_b = b, batch;
    batch_a.rank -= 2;
    batch_b.rank -= 2;
    XNOR_TRY(xnor_broadcast(node, &batch_a, &batch_b, &batch));
    xnor_walk walk;
    xnor_walk_init(&walk, &batch);
    xnor_walk_add(&walk, &batch_a);
    xnor_walk_add(&walk, &batch_b);
    size_t batches = 1, at = 0;
    for (uint32_t i = 0; i < batch.rank; i++) batches *= (size_t)batch.dims[i];
    for (size_t g = 0; g < batches; g++, xnor_walk_next(&walk)) {
        size_t base_a = (size_t)walk.offset[0] * m * k, base_b = (size_t)walk.offset[1] * k * n;
        for (size_t i = 0; i < m; i++)
            for (size_t j = 0; j < n; j++) {
                double sum = 0;
                for (size_t l = 0; l < k; l++)
                    sum += xnor_tensor_get(&in[0], base_a + i * k + l) *
                           xnor_tensor_get(&in[1], base_b + l * n + j);
                xnor_tensor_set(&out[0], at++, sum);
            }
    }
    return XNOR_OK;
}

// ---- Gemm ---------------------------------------------------------------------------------------

static xnor_status infer_gemm(xnor_graph *graph, const xnor_node *node) {
    const xnor_value *a = xnor_in(graph, node, 0), *b = xnor_in(graph, node, 1);
    if (a->shape.rank != 2 || b->shape.rank != 2)
        return xnor_fail(XNOR_E_SHAPE, "node '%s' (Gemm): expected rank 2, found %u and %u",
                         node->name, a->shape.rank, b->shape.rank);
    bool ta = xnor_node_int(node, XNOR_ATTR_TRANS_A, 0) != 0;
    bool tb = xnor_node_int(node, XNOR_ATTR_TRANS_B, 0) != 0;
    int64_t k = a->shape.dims[ta ? 0 : 1], rows = b->shape.dims[tb ? 1 : 0];
    if (k >= 0 && rows >= 0 && k != rows)
        return xnor_fail(XNOR_E_SHAPE, "node '%s' (Gemm): inner sizes %lld and %lld", node->name,
                         (long long)k, (long long)rows);
    xnor_shape shape = {2, {a->shape.dims[ta ? 1 : 0], b->shape.dims[tb ? 0 : 1]}};
    const xnor_value *c = xnor_in(graph, node, 2);
    if (c) {
        xnor_shape with_c;
        XNOR_TRY(xnor_broadcast(node, &shape, &c->shape, &with_c));
        if (with_c.rank != 2)
            return xnor_fail(XNOR_E_SHAPE, "node '%s' (Gemm): bias of rank %u", node->name,
                             c->shape.rank);
    }
    return xnor_set_output(graph, node, 0, product_dtype(a->dtype, b->dtype), &shape);
}

static xnor_status eval_gemm(const xnor_node *node, const xnor_tensor *in, xnor_tensor *out) {
    bool ta = xnor_node_int(node, XNOR_ATTR_TRANS_A, 0) != 0;
    bool tb = xnor_node_int(node, XNOR_ATTR_TRANS_B, 0) != 0;
    double alpha = xnor_node_float(node, XNOR_ATTR_ALPHA, 1);
    double beta = xnor_node_float(node, XNOR_ATTR_BETA, 1);
    size_t m = (size_t)out[0].shape.dims[0], n = (size_t)out[0].shape.dims[1];
    size_t k = (size_t)in[0].shape.dims[ta ? 0 : 1];
    bool bias = node->input_count > 2 && in[2].data;
    xnor_walk walk;
    xnor_walk_init(&walk, &out[0].shape);
    if (bias) xnor_walk_add(&walk, &in[2].shape);
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++, xnor_walk_next(&walk)) {
            double sum = 0;
            for (size_t l = 0; l < k; l++)
                sum += xnor_tensor_get(&in[0], ta ? l * m + i : i * k + l) *
                       xnor_tensor_get(&in[1], tb ? j * k + l : l * n + j);
            double c = bias ? xnor_tensor_get(&in[2], (size_t)walk.offset[0]) : 0;
            xnor_tensor_set(&out[0], i * n + j, alpha * sum + beta * c);
        }
    return XNOR_OK;
}

// ---- the compiler's linear layers: x [.., k], w [n, k], optional bias [n] -> [.., n] ------------

static xnor_status linear_shape(xnor_graph *graph, const xnor_node *node, xnor_dtype dtype) {
    const xnor_value *x = xnor_in(graph, node, 0), *w = xnor_in(graph, node, 1);
    const xnor_value *bias = xnor_in(graph, node, 2);
    char tx[XNOR_SHAPE_TEXT], tw[XNOR_SHAPE_TEXT];
    if (w->shape.rank != 2 || x->shape.rank < 1 ||
        (xnor_shape_last(&x->shape) >= 0 && xnor_shape_last(&x->shape) != w->shape.dims[1]))
        return xnor_fail(XNOR_E_SHAPE, "node '%s' (%s): input %s, weight %s", node->name,
                         xnor_op_name(node->op), xnor_shape_text(&x->shape, tx, sizeof tx),
                         xnor_shape_text(&w->shape, tw, sizeof tw));
    if (bias && (bias->shape.rank != 1 || bias->shape.dims[0] != w->shape.dims[0]))
        return xnor_fail(XNOR_E_SHAPE, "node '%s' (%s): weight %s, bias %s", node->name,
                         xnor_op_name(node->op), xnor_shape_text(&w->shape, tw, sizeof tw),
                         xnor_shape_text(&bias->shape, tx, sizeof tx));
    xnor_shape shape = x->shape;
    shape.dims[shape.rank - 1] = w->shape.dims[0];
    return xnor_set_output(graph, node, 0, dtype, &shape);
}

static xnor_status infer_linear(xnor_graph *graph, const xnor_node *node) {
    bool folding = xnor_in(graph, node, 0)->dtype == XNOR_F64;
    return linear_shape(graph, node, folding ? XNOR_F64 : XNOR_F32);
}

static xnor_status infer_xnor_linear(xnor_graph *graph, const xnor_node *node) {
    const xnor_value *x = xnor_in(graph, node, 0), *w = xnor_in(graph, node, 1);
    if ((x->dtype != XNOR_BITS && x->dtype != XNOR_TERNARY) || w->dtype != XNOR_BITS)
        return xnor_fail(
            XNOR_E_DTYPE,
            "node '%s' (xnor_linear): expected bits or ternary by bits, found %s by %s", node->name,
            xnor_dtype_name(x->dtype), xnor_dtype_name(w->dtype));
    return linear_shape(graph, node, XNOR_ACC);
}

static xnor_status eval_linear(const xnor_node *node, const xnor_tensor *in, xnor_tensor *out) {
    size_t n = (size_t)in[1].shape.dims[0], k = (size_t)in[1].shape.dims[1];
    size_t rows = xnor_shape_rows(&out[0].shape);
    bool bias = node->input_count > 2 && in[2].data;
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < n; j++) {
            double sum = bias ? xnor_tensor_get(&in[2], j) : 0;
            for (size_t l = 0; l < k; l++)
                sum += xnor_tensor_get(&in[0], i * k + l) * xnor_tensor_get(&in[1], j * k + l);
            xnor_tensor_set(&out[0], i * n + j, sum);
        }
    return XNOR_OK;
}

const xnor_op_row xnor_ops_matmul[] = {
    {XNOR_OP_MATMUL, {2, 2, 1, 0, infer_matmul, eval_matmul}},
    {XNOR_OP_GEMM, {2, 3, 1, 0, infer_gemm, eval_gemm}},
    {XNOR_OP_LINEAR, {2, 3, 1, 0, infer_linear, eval_linear}},
    {XNOR_OP_XNOR_LINEAR, {2, 2, 1, 0, infer_xnor_linear, eval_linear}},
    XNOR_OPS_END,
};
