// Point sets: which points to keep (farthest point sampling), which are near each other (ball query,
// k nearest), and rows by index. What the domain "xnor" promises is written in
// lib/onnx/XNOR_DOMAIN.md.
//
// A squared distance is the float32 sum of squared differences in the order of the channels, each
// operation rounded by itself; that of k nearest is summed in double. One that is not a number counts
// as infinite.
#include "ops/ops.h"

#include <math.h>
#include <string.h>

#include "core/tensor.h"

static float distance(const xnor_tensor *a, size_t i, const xnor_tensor *b, size_t j) {
    size_t channels = (size_t)xnor_shape_last(&a->shape);
    float sum = 0;
    for (size_t c = 0; c < channels; c++) {
        float d = (float)xnor_tensor_get(a, i * channels + c) -
                  (float)xnor_tensor_get(b, j * channels + c);
        float square = d * d;
        sum = sum + square;
    }
    return isnan(sum) ? INFINITY : sum;
}

static xnor_status shape_error(const xnor_graph *graph, const xnor_node *node, const char *what) {
    char text[2][XNOR_SHAPE_TEXT] = {"", ""};
    for (uint32_t i = 0; i < 2 && xnor_in(graph, node, i); i++)
        xnor_shape_text(&xnor_in(graph, node, i)->shape, text[i], sizeof text[i]);
    return xnor_fail(XNOR_E_SHAPE, "node '%s' (%s): %s%s%s: %s", node->name, xnor_op_name(node->op),
                     text[0], *text[1] ? " and " : "", text[1], what);
}

static bool is_real(const xnor_value *value) {
    return value->dtype == XNOR_F32 || value->dtype == XNOR_F64;
}

// points: real [.., N, channels], N > 0 (or unknown); channels 0: any.
static bool are_points(const xnor_value *value, int64_t channels) {
    uint32_t rank = value->shape.rank;
    if (!is_real(value) || rank < 2 || rank >= XNOR_MAX_RANK) return false;
    int64_t last = value->shape.dims[rank - 1];
    return value->shape.dims[rank - 2] != 0 && last != 0 &&
           (last < 0 || channels == 0 || last == channels);
}

static bool dims_agree(int64_t a, int64_t b) {
    return a == b || a < 0 || b < 0;
}

// a [lead.., N, C] and b [lead.., M, C]
static bool are_together(const xnor_shape *a, const xnor_shape *b) {
    if (a->rank != b->rank) return false;
    for (uint32_t i = 0; i < a->rank; i++)
        if (i != a->rank - 2 && !dims_agree(a->dims[i], b->dims[i])) return false;
    return true;
}

// ---- farthest point sampling --------------------------------------------------------------------

// M of attribute count, or ceil(ratio·N) of the product in float32 (0.2·1000 is 200, as in
// torch_cluster); -1 when N is not known yet.
static xnor_status sample_count(const xnor_graph *graph, const xnor_node *node, int64_t n,
                                int64_t *out) {
    bool has_count = xnor_node_attr(node, XNOR_ATTR_COUNT);
    bool has_ratio = xnor_node_attr(node, XNOR_ATTR_RATIO);
    int64_t count = xnor_node_int(node, XNOR_ATTR_COUNT, 0);
    float ratio = (float)xnor_node_float(node, XNOR_ATTR_RATIO, 0);
    if (has_count == has_ratio)
        return shape_error(graph, node, "either attribute 'count' or 'ratio' is needed");
    if (has_count ? count < 1 || count > INT32_MAX : !(ratio > 0) || ratio > 1)
        return shape_error(graph, node, "'count' must be positive, 'ratio' in (0, 1]");
    float product = ratio * (float)n;
    *out = has_count ? count : n < 0 ? -1 : (int64_t)ceilf(product);
    return XNOR_OK;
}

static xnor_status infer_sampling(xnor_graph *graph, const xnor_node *node) {
    const xnor_value *points = xnor_in(graph, node, 0);
    if (!are_points(points, 3)) return shape_error(graph, node, "expected points f32 [.., N, 3]");
    xnor_shape shape = points->shape;
    shape.rank--;
    XNOR_TRY(sample_count(graph, node, shape.dims[shape.rank - 1], &shape.dims[shape.rank - 1]));
    return xnor_set_output(graph, node, 0, XNOR_I64, &shape);
}

// Squared distance of point j to the nearest of the `count` points taken so far, or any number that
// is at most `enough` when that is known.
static float to_nearest(const xnor_tensor *points, size_t first, size_t j, const int64_t *taken,
                        size_t count, float enough) {
    float nearest = INFINITY;
    for (size_t m = 0; m < count && nearest > enough; m++) {
        if ((size_t)taken[m] == j) return 0;
        float d = distance(points, first + j, points, first + (size_t)taken[m]);
        nearest = d < nearest ? d : nearest;
    }
    return nearest;
}

// index[0] = 0; index[m] = the point that is farthest from all before (Eldar et al., "The farthest
// point strategy for progressive image sampling", 1997), the lowest index among equals. Beyond N
// points every distance is 0, so that index 0 repeats.
static xnor_status eval_sampling(const xnor_node *node, const xnor_tensor *in, xnor_tensor *out) {
    (void)node;
    size_t n = (size_t)in[0].shape.dims[in[0].shape.rank - 2];
    size_t count = (size_t)xnor_shape_last(&out[0].shape);
    size_t groups = xnor_shape_rows(&in[0].shape) / n;
    for (size_t g = 0; g < groups; g++) {
        int64_t *taken = (int64_t *)out[0].data + g * count;
        if (count) taken[0] = 0;
        for (size_t m = 1; m < count; m++) {
            float best = 0;
            taken[m] = 0;
            for (size_t j = 0; j < n; j++) {
                float d = to_nearest(&in[0], g * n, j, taken, m, best);
                if (d <= best) continue;
                best = d;
                taken[m] = (int64_t)j;
            }
        }
    }
    return XNOR_OK;
}

// ---- neighbours ---------------------------------------------------------------------------------

// points [.., N, C] and queries [.., M, C] -> indices [.., M, K]
static xnor_status infer_neighbours(xnor_graph *graph, const xnor_node *node, int64_t channels) {
    const xnor_value *points = xnor_in(graph, node, 0), *queries = xnor_in(graph, node, 1);
    int64_t k = xnor_node_int(node, XNOR_ATTR_COUNT, 0);
    if (!are_points(points, channels) || !is_real(queries) ||
        !are_together(&points->shape, &queries->shape))
        return shape_error(graph, node,
                           "expected points f32 [.., N, C] and queries f32 [.., M, C]");
    if (k < 1 || k > INT32_MAX) return shape_error(graph, node, "'count' must be positive");
    xnor_shape shape = queries->shape;
    for (uint32_t i = 0; i + 2 < shape.rank; i++)
        if (shape.dims[i] < 0) shape.dims[i] = points->shape.dims[i];
    shape.dims[shape.rank - 1] = k;
    return xnor_set_output(graph, node, 0, XNOR_I64, &shape);
}

static xnor_status infer_ball_query(xnor_graph *graph, const xnor_node *node) {
    double radius = xnor_node_float(node, XNOR_ATTR_RADIUS, 0);
    if (!(radius > 0) || isinf(radius))
        return shape_error(graph, node, "'radius' must be positive");
    return infer_neighbours(graph, node, 3);
}

typedef float metric(const xnor_tensor *a, size_t row, const xnor_tensor *b, size_t other);

// Summed in double, so that the rounding to float32 at the end makes equal what is. Eight sums, of
// every eighth channel each, are what vectors can do in the same order.
static float rounded_distance(const xnor_tensor *a, size_t row, const xnor_tensor *b,
                              size_t other) {
    size_t channels = (size_t)xnor_shape_last(&a->shape);
    double s[8] = {0};
    for (size_t c = 0; c < channels; c++) {
        double difference = (double)(float)xnor_tensor_get(a, row * channels + c) -
                            (double)(float)xnor_tensor_get(b, other * channels + c);
        s[c % 8] += difference * difference;
    }
    double sum = ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
    return isnan(sum) ? INFINITY : (float)sum;
}

// The neighbour with the smallest (distance, index) above the previous one; n when there is none.
static size_t next_nearest(const xnor_tensor *points, size_t first, size_t n,
                           const xnor_tensor *queries, size_t query, size_t previous,
                           metric *distance_of) {
    float least = 0, before = 0;
    size_t best = n;
    if (previous < n) before = distance_of(queries, query, points, first + previous);
    for (size_t j = 0; j < n; j++) {
        float d = distance_of(queries, query, points, first + j);
        bool after = previous == n || d > before || (d == before && j > previous);
        if (!after || (best < n && d >= least)) continue;
        best = j;
        least = d;
    }
    return best;
}

// The first K points, in index order, nearer than the radius (d² < r², r² the float32 square of the
// float32 radius); places left over repeat the first. Without any: the nearest point.
static xnor_status eval_ball_query(const xnor_node *node, const xnor_tensor *in, xnor_tensor *out) {
    size_t n = (size_t)in[0].shape.dims[in[0].shape.rank - 2];
    size_t queries = xnor_shape_rows(&in[1].shape), k = (size_t)xnor_shape_last(&out[0].shape);
    size_t per_group = (size_t)in[1].shape.dims[in[1].shape.rank - 2];
    float radius = (float)xnor_node_float(node, XNOR_ATTR_RADIUS, 0), limit = radius * radius;
    for (size_t i = 0; i < queries; i++) {
        int64_t *found = (int64_t *)out[0].data + i * k;
        size_t first = i / per_group * n, count = 0;
        for (size_t j = 0; j < n && count < k; j++)
            if (distance(&in[1], i, &in[0], first + j) < limit) found[count++] = (int64_t)j;
        if (count == 0)
            found[count++] = (int64_t)next_nearest(&in[0], first, n, &in[1], i, n, distance);
        for (; count < k; count++) found[count] = found[0];
    }
    return XNOR_OK;
}

static xnor_status infer_nearest(xnor_graph *graph, const xnor_node *node) {
    int64_t dilation = xnor_node_int(node, XNOR_ATTR_DILATION, 1);
    if (dilation < 1 || dilation > INT32_MAX)
        return shape_error(graph, node, "'dilation' must be positive");
    return infer_neighbours(graph, node, 0);
}

// Numbers 0, d, 2d .. of the d·K nearest points by (distance, index), d the dilation (PointCNN, Li et
// al., NeurIPS 2018, with a fixed choice); places beyond the last point repeat the nearest.
static xnor_status eval_nearest(const xnor_node *node, const xnor_tensor *in, xnor_tensor *out) {
    size_t n = (size_t)in[0].shape.dims[in[0].shape.rank - 2];
    size_t queries = xnor_shape_rows(&in[1].shape), k = (size_t)xnor_shape_last(&out[0].shape);
    size_t per_group = (size_t)in[1].shape.dims[in[1].shape.rank - 2];
    size_t dilation = (size_t)xnor_node_int(node, XNOR_ATTR_DILATION, 1);
    for (size_t i = 0; i < queries; i++) {
        int64_t *found = (int64_t *)out[0].data + i * k;
        size_t first = i / per_group * n, at = n;
        for (size_t p = 0; p < k; p++) {
            for (size_t step = 0; step < (p ? dilation : 1) && (p == 0 || at < n); step++)
                at = next_nearest(&in[0], first, n, &in[1], i, at, rounded_distance);
            found[p] = at < n ? (int64_t)at : found[0];
        }
    }
    return XNOR_OK;
}

// ---- rows by index ------------------------------------------------------------------------------

// x [lead.., N, C], index [lead.., M..] -> [lead.., M.., C]
static xnor_status infer_gather_rows(xnor_graph *graph, const xnor_node *node) {
    const xnor_value *x = xnor_in(graph, node, 0), *index = xnor_in(graph, node, 1);
    uint32_t lead = x->shape.rank - 2;
    bool fits = x->shape.rank >= 2 && index->shape.rank > lead &&
                index->shape.rank < XNOR_MAX_RANK &&
                (index->dtype == XNOR_I64 || index->dtype == XNOR_I32);
    for (uint32_t i = 0; fits && i < lead; i++)
        fits = dims_agree(x->shape.dims[i], index->shape.dims[i]);
    if (!fits)
        return shape_error(graph, node, "expected x [.., N, C] and integer indices [.., M..]");
    xnor_shape shape = index->shape;
    for (uint32_t i = 0; i < lead; i++)
        if (shape.dims[i] < 0) shape.dims[i] = x->shape.dims[i];
    shape.dims[shape.rank++] = xnor_shape_last(&x->shape);
    return xnor_set_output(graph, node, 0, x->dtype, &shape);
}

xnor_status xnor_row_error(const xnor_node *node, int64_t index, size_t rows) {
    return xnor_fail(XNOR_E_ARGUMENT, "node '%s' (%s): index %lld of %zu rows", node->name,
                     xnor_op_name(node->op), (long long)index, rows);
}

static xnor_status eval_gather_rows(const xnor_node *node, const xnor_tensor *in,
                                    xnor_tensor *out) {
    size_t n = (size_t)in[0].shape.dims[in[0].shape.rank - 2], bytes = 0;
    size_t picks = xnor_tensor_count(&in[1]), rows = xnor_shape_rows(&in[0].shape);
    size_t groups = n ? rows / n : 0, planes = in[0].dtype == XNOR_TERNARY ? 2 : 1;
    if (picks == 0) return XNOR_OK;
    if (n == 0) return xnor_row_error(node, 0, n);
    XNOR_TRY(xnor_tensor_bytes(in[0].dtype, &in[0].shape, &bytes));
    size_t row = bytes / planes / rows;
    for (size_t i = 0; i < picks; i++) {
        int64_t from = xnor_tensor_get_int(&in[1], i);
        if (from < -(int64_t)n || from >= (int64_t)n) return xnor_row_error(node, from, n);
        size_t at = i / (picks / groups) * n + (size_t)(from < 0 ? from + (int64_t)n : from);
        for (size_t p = 0; p < planes; p++)
            memcpy((uint8_t *)out[0].data + (p * picks + i) * row,
                   (const uint8_t *)in[0].data + (p * rows + at) * row, row);
    }
    return XNOR_OK;
}

const xnor_op_row xnor_ops_points[] = {
    {XNOR_OP_FARTHEST_POINT_SAMPLING, {1, 1, 1, 0, infer_sampling, eval_sampling}},
    {XNOR_OP_BALL_QUERY, {2, 2, 1, 0, infer_ball_query, eval_ball_query}},
    {XNOR_OP_K_NEAREST, {2, 2, 1, 0, infer_nearest, eval_nearest}},
    {XNOR_OP_GATHER_ROWS, {2, 2, 1, XNOR_MOVES, infer_gather_rows, eval_gather_rows}},
    XNOR_OPS_END,
};
