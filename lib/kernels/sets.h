// Internal to lib/kernels: the kernel sets, each of which overwrites the entries it does better
// than the sets before it. The gemm entries share a private packed layout and are overwritten
// together.
#ifndef XNOR_KERNELS_SETS_H
#define XNOR_KERNELS_SETS_H

#include "kernels/kernels.h"

// The families, each a function of its name in a set's file.
#define XNOR_GEMM_FAMILIES(X)                                                                      \
    X(gemm_packed_bytes)                                                                           \
    X(gemm_pack)                                                                                   \
    X(gemm_limits)                                                                                 \
    X(gemm_acc)                                                                                    \
    X(gemm_thr)                                                                                    \
    X(gemm_max)                                                                                    \
    X(gemm_acc_ternary)                                                                            \
    X(gemm_max_ternary)
#define XNOR_OTHER_FAMILIES(X)                                                                     \
    X(pack_f32)                                                                                    \
    X(pack_f32_ternary)                                                                            \
    X(acc_thr)                                                                                     \
    X(patch_bits)                                                                                  \
    X(gemm_f32)                                                                                    \
    X(gemm_f32_add)                                                                                \
    X(gemm_f32_bits)                                                                               \
    X(depthwise_f32)                                                                               \
    X(winograd_in)                                                                                 \
    X(winograd_out)                                                                                \
    X(winograd_few)                                                                                \
    X(winograd_gather)                                                                             \
    X(winograd_scatter)                                                                            \
    X(distances_f32)                                                                               \
    X(code_distances)                                                                              \
    X(farthest_f32)                                                                                \
    X(within_f32)                                                                                  \
    X(nearest_f32)                                                                                 \
    X(edge_signs_f32)                                                                              \
    X(rows_affine)                                                                                 \
    X(rows_max)                                                                                    \
    X(rows_magnitude)                                                                              \
    X(mix_f32)                                                                                     \
    X(mix_pixels_f32)                                                                              \
    X(mix_lines_f32)                                                                               \
    X(pointwise)
#define XNOR_FAMILY_FIELD(name) .name = name,       // in an initialiser
#define XNOR_FAMILY_ENTRY(name) table->name = name; // in a fill function

// Also for what another set leaves to portable C, such as a k beyond its lanes.
extern const xnor_kernels xnor_kernels_c;
extern const xnor_kernels xnor_kernels_neon;

void xnor_kernels_fill_c(xnor_kernels *table);
void xnor_kernels_fill_avx2(xnor_kernels *table);
void xnor_kernels_fill_avx512(xnor_kernels *table);
void xnor_kernels_fill_neon(xnor_kernels *table);
void xnor_kernels_fill_neon_dotprod(xnor_kernels *table);

#endif
