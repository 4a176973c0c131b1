// Networks for tests: layers as exporters write them, a small PointNet, and random networks of the
// kind. All numbers are dyadic and inputs are small integers, so that every sum is exact in float32
// as well as in double, and a plan must agree with the reference even where a value is exactly 0.
#ifndef NETWORK_BUILDER_H
#define NETWORK_BUILDER_H

#include "graph_builder.h"

// Where channels are: the last axis (Linear layers) or axis 1 (Conv layers).
typedef enum channel_layout { CHANNELS_LAST, CHANNELS_FIRST } channel_layout;

// A value of shape [batch, points, channels] (or [batch, channels, points]), or [batch, channels].
typedef struct features {
    xnor_value_id id;
    uint32_t rank;
    uint32_t channels;
    channel_layout layout;
} features;

// What a sign looks like.
typedef enum sign_form {
    SIGN,
    WHERE_NOT_NEGATIVE,
    WHERE_POSITIVE,
    SIGN_STRAIGHT_THROUGH
} sign_form;

// weights: [out][in]. bias: [out] or NULL.
features network_linear(builder *b, features x, uint32_t out, const double *weights,
                        const double *bias);
// Integer weights in -3..3 and a bias that keeps every output away from 0.
features network_float_layer(builder *b, features x, uint32_t out);
// Weights ±1 times a power of two, by channel or for all; `scaled_after`: the scale is a Mul
// behind.
features network_binary_layer(builder *b, features x, uint32_t out, bool scaled_after);
// Statistics with exact square roots, scales of either sign. zeros: whether results may be exactly
// 0.
features network_batch_norm(builder *b, features x, bool zeros);
features network_sign(builder *b, features x, sign_form form);
// x op [channels], in the layout's shape.
features network_per_channel(builder *b, xnor_op op, features x, const double *values);
// Maximum over points: [batch, channels].
features network_max(builder *b, features x);
features network_unary(builder *b, xnor_op op, features x);
features network_hardtanh(builder *b, features x);

// A PointNet without T-Nets: [batch, points, 3] -> [batch, classes] log-probabilities. points may
// be -1; widths: of the three point layers (the first is float) and of the two behind the maximum.
void network_pointnet(builder *b, int64_t batch, int64_t points, const uint32_t widths[5],
                      uint32_t classes);

typedef struct random_network {
    uint32_t float_layers; // linear layers that have to stay float
    uint32_t binary_layers;
    channel_layout layout;
} random_network;

// Any network that the passes should be able to compile: input "points", output "scores" and
// perhaps "points' scores" and "features".
random_network network_random(builder *b);
// Points with integer coordinates for a network's first input.
void network_points(builder *b, channel_layout layout, int64_t batch, int64_t points,
                    tensors *inputs);

#endif
