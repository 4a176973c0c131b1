// Operators: one table of ids and names. Standard operators carry their ONNX name; the compiler's
// own start with "xnor_". What each means is its reference evaluation in lib/ops.
#ifndef XNOR_GRAPH_OP_H
#define XNOR_GRAPH_OP_H

#include "core/status.h"

// X(id, text, domain): domain "" is ONNX, "xnor" our own.
#define XNOR_OP_TABLE(X)                                                                                   \
    X(ABS, "Abs", "")                                                                                      \
    X(ADD, "Add", "")                                                                                      \
    X(AND, "And", "")                                                                                      \
    X(ARG_MAX, "ArgMax", "")                                                                               \
    X(ARG_MIN, "ArgMin", "")                                                                               \
    X(AVERAGE_POOL, "AveragePool", "")                                                                     \
    X(BATCH_NORMALIZATION, "BatchNormalization", "")                                                       \
    X(CAST, "Cast", "")                                                                                    \
    X(CEIL, "Ceil", "")                                                                                    \
    X(CLIP, "Clip", "")                                                                                    \
    X(CONCAT, "Concat", "")                                                                                \
    X(CONSTANT_OF_SHAPE, "ConstantOfShape", "")                                                            \
    X(CONV, "Conv", "")                                                                                    \
    X(CONV_TRANSPOSE, "ConvTranspose", "")                                                                 \
    X(DEPTH_TO_SPACE, "DepthToSpace", "")                                                                  \
    X(DIV, "Div", "")                                                                                      \
    X(ELU, "Elu", "")                                                                                      \
    X(EQUAL, "Equal", "")                                                                                  \
    X(ERF, "Erf", "")                                                                                      \
    X(EXP, "Exp", "")                                                                                      \
    X(EXPAND, "Expand", "")                                                                                \
    X(FLATTEN, "Flatten", "")                                                                              \
    X(FLOOR, "Floor", "")                                                                                  \
    X(GATHER, "Gather", "")                                                                                \
    X(GATHER_ELEMENTS, "GatherElements", "")                                                               \
    X(GATHER_ND, "GatherND", "")                                                                           \
    X(GEMM, "Gemm", "")                                                                                    \
    X(GLOBAL_AVERAGE_POOL, "GlobalAveragePool", "")                                                        \
    X(GLOBAL_MAX_POOL, "GlobalMaxPool", "")                                                                \
    X(GREATER, "Greater", "")                                                                              \
    X(GREATER_OR_EQUAL, "GreaterOrEqual", "")                                                              \
    X(HARD_SIGMOID, "HardSigmoid", "")                                                                     \
    X(HARD_SWISH, "HardSwish", "")                                                                         \
    X(IDENTITY, "Identity", "")                                                                            \
    X(LEAKY_RELU, "LeakyRelu", "")                                                                         \
    X(LESS, "Less", "")                                                                                    \
    X(LESS_OR_EQUAL, "LessOrEqual", "")                                                                    \
    X(LOG, "Log", "")                                                                                      \
    X(LOG_SOFTMAX, "LogSoftmax", "")                                                                       \
    X(MATMUL, "MatMul", "")                                                                                \
    X(MAX, "Max", "")                                                                                      \
    X(MAX_POOL, "MaxPool", "")                                                                             \
    X(MEAN, "Mean", "")                                                                                    \
    X(MIN, "Min", "")                                                                                      \
    X(MUL, "Mul", "")                                                                                      \
    X(NEG, "Neg", "")                                                                                      \
    X(NOT, "Not", "")                                                                                      \
    X(OR, "Or", "")                                                                                        \
    X(PAD, "Pad", "")                                                                                      \
    X(POW, "Pow", "")                                                                                      \
    X(PRELU, "PRelu", "")                                                                                  \
    X(RANGE, "Range", "")                                                                                  \
    X(RECIPROCAL, "Reciprocal", "")                                                                        \
    X(REDUCE_L1, "ReduceL1", "")                                                                           \
    X(REDUCE_L2, "ReduceL2", "")                                                                           \
    X(REDUCE_MAX, "ReduceMax", "")                                                                         \
    X(REDUCE_MEAN, "ReduceMean", "")                                                                       \
    X(REDUCE_MIN, "ReduceMin", "")                                                                         \
    X(REDUCE_PROD, "ReduceProd", "")                                                                       \
    X(REDUCE_SUM, "ReduceSum", "")                                                                         \
    X(REDUCE_SUM_SQUARE, "ReduceSumSquare", "")                                                            \
    X(RELU, "Relu", "")                                                                                    \
    X(RESHAPE, "Reshape", "")                                                                              \
    X(RESIZE, "Resize", "")                                                                                \
    X(ROUND, "Round", "")                                                                                  \
    X(SELU, "Selu", "")                                                                                    \
    X(SHAPE, "Shape", "")                                                                                  \
    X(SIGMOID, "Sigmoid", "")                                                                              \
    X(SIGN, "Sign", "")                                                                                    \
    X(SIZE, "Size", "")                                                                                    \
    X(SLICE, "Slice", "")                                                                                  \
    X(SOFTMAX, "Softmax", "")                                                                              \
    X(SOFTPLUS, "Softplus", "")                                                                            \
    X(SPACE_TO_DEPTH, "SpaceToDepth", "")                                                                  \
    X(SPLIT, "Split", "")                                                                                  \
    X(SQRT, "Sqrt", "")                                                                                    \
    X(SQUEEZE, "Squeeze", "")                                                                              \
    X(SUB, "Sub", "")                                                                                      \
    X(SUM, "Sum", "")                                                                                      \
    X(TANH, "Tanh", "")                                                                                    \
    X(TILE, "Tile", "")                                                                                    \
    X(TOP_K, "TopK", "")                                                                                   \
    X(TRANSPOSE, "Transpose", "")                                                                          \
    X(UNSQUEEZE, "Unsqueeze", "")                                                                          \
    X(WHERE, "Where", "")                                                                                  \
    X(XOR, "Xor", "")                                                                                      \
    /* y[.., c] = scale[c]·x[.., c] + shift[c] */                                                         \
    X(AFFINE, "xnor_affine", "xnor")                                                                       \
    /* y[.., n] = sum over k of x[.., k]·w[n][k] (+ bias[n]), all float */                                \
    X(LINEAR, "xnor_linear_f32", "xnor")                                                                   \
    /* y[b, i, j, m] = sum over taps and channels of x [B, H, W, C] and w [M, kh, kw, C / group] */        \
    X(CONV2D, "xnor_conv2d_f32", "xnor")                                                                   \
    /* its transpose: x [B, H, W, C] and w [C, kh, kw, M / group] -> [B, H', W', M] */                     \
    X(CONV_TRANSPOSE2D, "xnor_conv_transpose2d_f32", "xnor")                                               \
    /* acc[.., n] = sum over k of x[.., k]·w[n][k], x bits or ternary, w bits [n, k] */                   \
    X(XNOR_LINEAR, "xnor_linear", "xnor")                                                                  \
    /* acc[.., g·O + o] = sum over k of x[.., g, k]·w[g, o, k], x bits or ternary, w bits [G, O, K] */   \
    X(GROUPED, "xnor_grouped", "xnor")                                                                     \
    /* x [B, H, W, C] bits or ternary -> the windows of a convolution [B, Ho, Wo, taps·C] */              \
    X(PATCHES, "xnor_patches", "xnor")                                                                     \
    /* MaxPool of signs [B, H, W, C] bits or ternary; the smallest of channels whose bit of w [C] is -1 */ \
    X(POOL_SIGNS, "xnor_max_pool", "xnor")                                                                 \
    /* f32 -> bits (x >= 0) or, when zero can occur, ternary sign */                                       \
    X(BINARIZE, "xnor_binarize", "xnor")                                                                   \
    /* acc -> bits: acc[.., c] >= threshold[c]; with a second limit ternary */                             \
    X(THRESHOLD, "xnor_threshold", "xnor")                                                                 \
    /* acc -> bits or ternary: table[c][(acc + bound) ] in {-1, 0, +1} */                                  \
    X(TABLE, "xnor_table", "xnor")                                                                         \
    /* acc + acc, the second broadcast over axes where it has one element */                               \
    X(XNOR_ADD, "xnor_add", "xnor")                                                                        \
    /* x [.., N, C], indices [.., N, k] -> x_i and x_j - x_i of all neighbours j */                        \
    X(EDGES, "xnor_edges", "xnor")                                                                         \
    /* bits [.., N, C] -> the distinct rows first, their number, and each row's place among them   \
     */       \
    X(DISTINCT, "xnor_distinct", "xnor")                                                                   \
    /* The operators of the domain's version 1, for exporters: lib/onnx/XNOR_DOMAIN.md */                  \
    X(FARTHEST_POINT_SAMPLING, "FarthestPointSampling", "xnor")                                            \
    X(BALL_QUERY, "BallQuery", "xnor")                                                                     \
    X(K_NEAREST, "KNearest", "xnor")                                                                       \
    X(GATHER_ROWS, "GatherRows", "xnor")

typedef enum xnor_op {
#define XNOR_OP_ENUM(id, text, domain) XNOR_OP_##id,
    XNOR_OP_TABLE(XNOR_OP_ENUM)
#undef XNOR_OP_ENUM
        XNOR_OP_COUNT
} xnor_op;

// "?" for an invalid id.
const char *xnor_op_name(xnor_op op);
// XNOR_OP_COUNT when there is no such operator.
xnor_op xnor_op_find(const char *name);

#endif
