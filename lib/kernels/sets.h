// Internal to lib/kernels: the kernel sets, each of which overwrites the entries it does better
// than the sets before it. The gemm entries share a private packed layout and are overwritten
// together.
#ifndef XNOR_KERNELS_SETS_H
#define XNOR_KERNELS_SETS_H

#include "kernels/kernels.h"

// Also for what another set leaves to portable C, such as a k beyond its lanes.
extern const xnor_kernels xnor_kernels_c;
extern const xnor_kernels xnor_kernels_neon;

void xnor_kernels_fill_c(xnor_kernels *table);
void xnor_kernels_fill_avx2(xnor_kernels *table);
void xnor_kernels_fill_avx512(xnor_kernels *table);
void xnor_kernels_fill_neon(xnor_kernels *table);
void xnor_kernels_fill_neon_dotprod(xnor_kernels *table);

#endif
