// Internal to lib/kernels: tiles are written as loops over constant bounds inside functions that are
// always inlined, so that one text serves every tile size and all counters stay in registers.
#ifndef XNOR_KERNELS_INLINE_H
#define XNOR_KERNELS_INLINE_H

#define ALWAYS_INLINE static inline __attribute__((always_inline))

// UNROLL: completely, a loop over the tile. UNROLL_2: twice, where gcc alternates registers then
// instead of copying them at the end of a round; clang does so by itself.
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#define UNROLL_2
#else
#define UNROLL _Pragma("GCC unroll 16")
#define UNROLL_2 _Pragma("GCC unroll 2")
#endif

#endif
