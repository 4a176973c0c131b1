#include "network_builder.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "core/tensor.h"

static features with(features x, xnor_value_id id) {
    x.id = id;
    return x;
}

// The shape of a per-channel constant beside `x`.
static xnor_shape channel_shape(features x) {
    if (x.layout == CHANNELS_FIRST && x.rank == 3) return SHAPE(x.channels, 1);
    return SHAPE(x.channels);
}

static double pick(builder *b, const double *choices, uint32_t count) {
    return choices[builder_random(b, count)];
}

// ---- layers -------------------------------------------------------------------------------------

static xnor_value_id matrix(builder *b, uint32_t out, uint32_t in, const double *weights,
                            bool transposed, bool conv) {
    double *values = malloc(sizeof *values * out * in);
    cr_assert_not_null(values);
    for (uint32_t j = 0; j < out; j++)
        for (uint32_t l = 0; l < in; l++)
            values[transposed ? l * out + j : j * in + l] = weights[j * in + l];
    xnor_shape shape = transposed ? SHAPE(in, out) : conv ? SHAPE(out, in, 1) : SHAPE(out, in);
    xnor_value_id id = builder_floats(b, shape, values, (size_t)out * in);
    free(values);
    return id;
}

features network_linear(builder *b, features x, uint32_t out, const double *weights,
                        const double *bias) {
    features y = x;
    y.channels = out;
    bool conv = x.rank == 3 && x.layout == CHANNELS_FIRST;
    bool gemm = x.rank == 2 && builder_once_in(b, 2);
    xnor_value_id w = matrix(b, out, x.channels, weights, !conv && !gemm, conv);
    xnor_value_id c = bias ? builder_floats(b, SHAPE(out), bias, out) : XNOR_NO_VALUE;
    xnor_op op = conv ? XNOR_OP_CONV : gemm ? XNOR_OP_GEMM : XNOR_OP_MATMUL;
    if (op == XNOR_OP_MATMUL || !bias) {
        y.id = NODE(b, op, x.id, w);
        if (gemm) builder_attr(b, XNOR_ATTR_TRANS_B, I(1));
        return bias ? with(y, NODE(b, XNOR_OP_ADD, y.id, c)) : y;
    }
    y.id = NODE(b, op, x.id, w, c);
    if (gemm) builder_attr(b, XNOR_ATTR_TRANS_B, I(1));
    return y;
}

features network_float_layer(builder *b, features x, uint32_t out) {
    double *weights = malloc(sizeof *weights * (out * x.channels + out));
    cr_assert_not_null(weights);
    double *bias = weights + out * x.channels;
    for (uint32_t i = 0; i < out * x.channels; i++) weights[i] = (int)builder_random(b, 7) - 3;
    for (uint32_t i = 0; i < out; i++) bias[i] = (int)builder_random(b, 9) - 4 + 33.0 / 64;
    features y = network_linear(b, x, out, weights, bias);
    free(weights);
    return y;
}

features network_binary_layer(builder *b, features x, uint32_t out, bool scaled_after) {
    static const double scales[] = {0.25, 0.5, 1, 2};
    double *weights = malloc(sizeof *weights * (out * x.channels + out));
    cr_assert_not_null(weights);
    double *scale = weights + out * x.channels, common = pick(b, scales, 4);
    bool by_channel = builder_once_in(b, 2), negative = builder_once_in(b, 4);
    for (uint32_t j = 0; j < out; j++) {
        scale[j] = (by_channel ? pick(b, scales, 4) : common) * (negative ? -1 : 1);
        for (uint32_t l = 0; l < x.channels; l++)
            weights[j * x.channels + l] =
                (builder_once_in(b, 2) ? 1 : -1) * (scaled_after ? 1 : scale[j]);
    }
    features y = network_linear(b, x, out, weights, NULL);
    if (scaled_after && by_channel) y = network_per_channel(b, XNOR_OP_MUL, y, scale);
    if (scaled_after && !by_channel)
        y.id = NODE(b, XNOR_OP_MUL, builder_floats(b, SCALAR, scale, 1), y.id);
    free(weights);
    return y;
}

features network_per_channel(builder *b, xnor_op op, features x, const double *values) {
    xnor_value_id c = builder_floats(b, channel_shape(x), values, x.channels);
    return with(x, NODE(b, op, x.id, c));
}

features network_batch_norm(builder *b, features x, bool zeros) {
    static const double gammas[] = {0.5, 1, 2, -0.5, -1, -2}, variances[] = {0.25, 1, 4};
    double *p = malloc(sizeof *p * 4 * x.channels);
    cr_assert_not_null(p);
    xnor_value_id inputs[5];
    for (uint32_t c = 0; c < x.channels; c++) {
        p[c] = pick(b, gammas, 6);
        p[x.channels + c] = builder_once_in(b, 3) ? 0 : ((int)builder_random(b, 9) - 4) / 2.0;
        p[2 * x.channels + c] = ((int)builder_random(b, 17) - 8) / 2.0 + (zeros ? 0 : 1.0 / 128);
        p[3 * x.channels + c] = pick(b, variances, 3);
    }
    for (uint32_t i = 0; i < 4; i++)
        inputs[i + 1] = builder_floats(b, SHAPE(x.channels), p + i * x.channels, x.channels);
    free(p);
    bool transposed = x.rank == 3 && x.layout == CHANNELS_LAST, rows = transposed;
    xnor_value_id id = x.id, shape = XNOR_NO_VALUE;
    if (transposed && builder_once_in(b, 2)) {
        transposed = false;
        shape = NODE(b, XNOR_OP_SHAPE, id);
        id = NODE(b, XNOR_OP_RESHAPE, id, builder_ints(b, I(-1, x.channels)));
    } else if (transposed) {
        rows = false;
        id = NODE(b, XNOR_OP_TRANSPOSE, id);
        builder_attr(b, XNOR_ATTR_PERM, I(0, 2, 1));
    }
    inputs[0] = id;
    id = builder_node(b, XNOR_OP_BATCH_NORMALIZATION, inputs, 5, 1);
    builder_attr_float(b, XNOR_ATTR_EPSILON, 0);
    if (transposed) {
        id = NODE(b, XNOR_OP_TRANSPOSE, id);
        builder_attr(b, XNOR_ATTR_PERM, I(0, 2, 1));
    } else if (rows) {
        id = NODE(b, XNOR_OP_RESHAPE, id, shape);
    }
    return with(x, id);
}

features network_unary(builder *b, xnor_op op, features x) {
    return with(x, NODE(b, op, x.id));
}

features network_hardtanh(builder *b, features x) {
    xnor_value_id low = builder_floats(b, SCALAR, D(-1)), high = builder_floats(b, SCALAR, D(1));
    return with(x, NODE(b, XNOR_OP_CLIP, x.id, low, high));
}

features network_sign(builder *b, features x, sign_form form) {
    if (form == SIGN) return network_unary(b, XNOR_OP_SIGN, x);
    if (form == SIGN_STRAIGHT_THROUGH) {
        xnor_value_id soft = network_hardtanh(b, x).id;
        xnor_value_id rest = NODE(b, XNOR_OP_SUB, NODE(b, XNOR_OP_SIGN, x.id), soft);
        return with(x, NODE(b, XNOR_OP_ADD, rest, soft));
    }
    xnor_value_id zero = builder_floats(b, SCALAR, D(0)), one = builder_floats(b, SCALAR, D(1));
    xnor_value_id minus = builder_floats(b, SCALAR, D(-1));
    xnor_op op = form == WHERE_POSITIVE ? XNOR_OP_GREATER : XNOR_OP_GREATER_OR_EQUAL;
    return with(x, NODE(b, XNOR_OP_WHERE, NODE(b, op, x.id, zero), one, minus));
}

// Maximum over points, with a trailing axis of size 1 when keep is set.
static features pool(builder *b, features x, xnor_op op, bool keep) {
    if (x.layout == CHANNELS_FIRST && keep && op == XNOR_OP_REDUCE_MAX && builder_once_in(b, 2)) {
        x.id = NODE(b, XNOR_OP_GLOBAL_MAX_POOL, x.id);
        return x;
    }
    x.id = NODE(b, op, x.id);
    builder_attr(b, XNOR_ATTR_AXES, I(x.layout == CHANNELS_FIRST ? -1 : 1));
    builder_attr(b, XNOR_ATTR_KEEPDIMS, I(keep));
    if (!keep) x.rank = 2;
    return x;
}

features network_max(builder *b, features x) {
    return pool(b, x, XNOR_OP_REDUCE_MAX, false);
}

// [batch, channels, 1] or [batch, 1, channels] -> [batch, channels]
static features drop_points_axis(builder *b, features x) {
    switch (builder_random(b, 3)) {
    case 0:
        x.id = NODE(b, XNOR_OP_FLATTEN, x.id);
        break;
    case 1:
        x.id = NODE(b, XNOR_OP_RESHAPE, x.id, builder_ints(b, I(-1, x.channels)));
        break;
    default:
        x.id =
            NODE(b, XNOR_OP_SQUEEZE, x.id, builder_ints(b, I(x.layout == CHANNELS_FIRST ? 2 : 1)));
    }
    x.rank = 2;
    return x;
}

// ---- PointNet -----------------------------------------------------------------------------------

void network_pointnet(builder *b, int64_t batch, int64_t points, const uint32_t widths[5],
                      uint32_t classes) {
    features x = {builder_input(b, "points", XNOR_F32, SHAPE(batch, points, 3)), 3, 3,
                  CHANNELS_LAST};
    x = network_hardtanh(b, network_batch_norm(b, network_float_layer(b, x, widths[0]), false));
    x = network_binary_layer(b, network_sign(b, x, SIGN), widths[1], false);
    x = network_hardtanh(b, network_batch_norm(b, x, false));
    x = network_binary_layer(b, network_sign(b, x, SIGN), widths[2], false);
    x = network_max(b, network_batch_norm(b, x, false));
    for (int i = 3; i < 5; i++) {
        x = network_binary_layer(b, network_sign(b, x, SIGN), widths[i], false);
        x = network_hardtanh(b, network_batch_norm(b, x, false));
    }
    x = network_float_layer(b, x, classes);
    builder_output(b, NODE(b, XNOR_OP_LOG_SOFTMAX, x.id), "scores");
}

// ---- random networks ----------------------------------------------------------------------------

static features activation(builder *b, features x) {
    double values[128];
    cr_assert_leq(x.channels, 128);
    for (uint32_t c = 0; c < x.channels; c++) values[c] = ((int)builder_random(b, 9) - 2) / 4.0;
    switch (builder_random(b, 8)) {
    case 0:
    case 1:
        return network_hardtanh(b, x);
    case 2:
        return network_unary(b, XNOR_OP_RELU, x);
    case 3:
        return network_per_channel(b, XNOR_OP_PRELU, x, values); // some slopes are negative
    case 4:
        x = network_unary(b, XNOR_OP_LEAKY_RELU, x);
        builder_attr_float(b, XNOR_ATTR_ALPHA, 0.25);
        return x;
    case 5:
        x = network_unary(b, XNOR_OP_ABS, x); // not monotone
        return network_per_channel(b, XNOR_OP_SUB, x, values);
    default:
        return x;
    }
}

static features scaled(builder *b, features x) {
    if (builder_once_in(b, 4)) x.id = NODE(b, XNOR_OP_MUL, x.id, builder_floats(b, SCALAR, D(0.5)));
    return x;
}

static features random_binary_layer(builder *b, features x, uint32_t out) {
    features before = x;
    x = scaled(b, network_sign(b, x, (sign_form)builder_random(b, 4)));
    x = network_binary_layer(b, x, out, builder_once_in(b, 2));
    if (builder_once_in(b, 3)) {
        double bias[128];
        for (uint32_t c = 0; c < out; c++) bias[c] = ((int)builder_random(b, 9) - 4) / 4.0;
        x = network_per_channel(b, XNOR_OP_ADD, x, bias);
    }
    if (!builder_once_in(b, 4)) x = network_batch_norm(b, x, true);
    x = activation(b, x);
    if (before.channels == out && builder_once_in(b, 3)) // a residual keeps the real value in use
        x.id = NODE(b, XNOR_OP_ADD, x.id, before.id);
    return x;
}

// [batch, channels] for every point of `local`, beside its own features, as segmentation networks
// do.
static features beside(builder *b, features local, features global) {
    bool first = local.layout == CHANNELS_FIRST;
    xnor_value_id shape = NODE(b, XNOR_OP_SHAPE, local.id), one = builder_ints(b, I(1));
    xnor_value_id batch = NODE(b, XNOR_OP_SLICE, shape, builder_ints(b, I(0)), one);
    xnor_value_id points = NODE(b, XNOR_OP_GATHER, shape, builder_ints(b, I(first ? 2 : 1)));
    xnor_value_id target = first ? NODE(b, XNOR_OP_CONCAT, batch, one, points)
                                 : NODE(b, XNOR_OP_CONCAT, batch, points, one);
    builder_attr(b, XNOR_ATTR_AXIS, I(0));
    xnor_value_id wide = NODE(b, XNOR_OP_UNSQUEEZE, global.id, builder_ints(b, I(first ? 2 : 1)));
    wide = NODE(b, XNOR_OP_EXPAND, wide, target);
    local.id = NODE(b, XNOR_OP_CONCAT, local.id, wide);
    builder_attr(b, XNOR_ATTR_AXIS, I(first ? 1 : -1));
    local.channels += global.channels;
    return local;
}

// Points times a matrix [3, 3] of their cloud, computed from `global`.
static features transformed(builder *b, features points, features global) {
    // Whole numbers, so that products stay exact.
    features entries = network_unary(b, XNOR_OP_ROUND, network_float_layer(b, global, 9));
    xnor_value_id matrices = network_hardtanh(b, entries).id;
    matrices = NODE(b, XNOR_OP_RESHAPE, matrices, builder_ints(b, I(-1, 3, 3)));
    xnor_value_id rows = points.id;
    if (points.layout == CHANNELS_FIRST) {
        rows = NODE(b, XNOR_OP_TRANSPOSE, rows);
        builder_attr(b, XNOR_ATTR_PERM, I(0, 2, 1));
    }
    points.id = NODE(b, XNOR_OP_MATMUL, rows, matrices);
    if (points.layout == CHANNELS_FIRST) {
        points.id = NODE(b, XNOR_OP_TRANSPOSE, points.id);
        builder_attr(b, XNOR_ATTR_PERM, I(0, 2, 1));
    }
    return points;
}

random_network network_random(builder *b) {
    static const uint32_t widths[] = {5, 33, 64, 70, 128};
    random_network net = {.layout = (channel_layout)builder_random(b, 2)};
    bool dynamic = builder_once_in(b, 2);
    int64_t batch = dynamic ? -1 : 2, points = dynamic ? -1 : 4;
    xnor_shape shape =
        net.layout == CHANNELS_FIRST ? SHAPE(batch, 3, points) : SHAPE(batch, points, 3);
    features x = {builder_input(b, "points", XNOR_F32, shape), 3, 3, net.layout};
    if (builder_once_in(b, 4)) {
        x = transformed(b, x, pool(b, network_float_layer(b, x, 5), XNOR_OP_REDUCE_MAX, false));
        net.float_layers += 3;
    }
    x = network_float_layer(b, x, widths[builder_random(b, 5)]);
    net.float_layers++;
    if (builder_once_in(b, 2)) x = network_batch_norm(b, x, true);
    x = activation(b, x);
    uint32_t layers = 1 + builder_random(b, 3);
    for (uint32_t i = 0; i < layers; i++, net.binary_layers++)
        x = random_binary_layer(b, x,
                                builder_once_in(b, 2) ? x.channels : widths[builder_random(b, 5)]);

    features local = x;
    bool keep = builder_once_in(b, 2), late = builder_once_in(b, 2);
    xnor_value_id offset = builder_floats(b, SCALAR, D(-3.25)); // entropy-maximizing aggregation
    if (!late) x.id = NODE(b, XNOR_OP_ADD, x.id, offset);
    x = pool(b, x, builder_once_in(b, 5) ? XNOR_OP_REDUCE_MIN : XNOR_OP_REDUCE_MAX, keep);
    if (late) x.id = NODE(b, XNOR_OP_ADD, x.id, offset);
    if (keep && builder_once_in(b, 2)) {
        x = random_binary_layer(b, x, widths[builder_random(b, 5)]);
        net.binary_layers++;
    }
    if (x.rank == 3) x = drop_points_axis(b, x);
    if (builder_once_in(b, 4)) {
        features all = random_binary_layer(b, beside(b, local, x), widths[builder_random(b, 4)]);
        net.binary_layers++;
        builder_output(b, all.id, "points' scores");
    }
    for (uint32_t i = builder_random(b, 3); i > 0; i--, net.binary_layers++)
        x = random_binary_layer(b, x, widths[builder_random(b, 5)]);
    if (builder_once_in(b, 2)) {
        x = network_float_layer(b, x, 7);
        net.float_layers++;
        x = network_unary(b, XNOR_OP_LOG_SOFTMAX, x);
    }
    builder_output(b, x.id, "scores");
    if (builder_once_in(b, 4)) builder_output(b, local.id, "features");
    return net;
}

void network_points(builder *b, channel_layout layout, int64_t batch, int64_t points,
                    tensors *inputs) {
    *inputs = (tensors){0};
    xnor_shape shape = layout == CHANNELS_FIRST ? SHAPE(batch, 3, points) : SHAPE(batch, points, 3);
    xnor_tensor *t = tensors_add(inputs, XNOR_F32, shape);
    size_t count = xnor_tensor_count(t);
    for (size_t i = 0; i < count; i++) ((float *)t->data)[i] = (float)builder_random(b, 9) - 4;
}
