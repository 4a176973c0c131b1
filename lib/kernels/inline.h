// Internal to lib/kernels: tiles are written as loops over constant bounds inside functions that
// are always inlined, so that one text serves every tile size and all counters stay in registers.
#ifndef XNOR_KERNELS_INLINE_H
#define XNOR_KERNELS_INLINE_H

// UNROLL: completely, a loop over the tile. UNROLL_2: twice, where gcc alternates registers then
// instead of copying them at the end of a round; clang does so by itself. None of it under
// sanitizers, whose checks of thousands of unrolled accesses take minutes to compile.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(undefined_behavior_sanitizer)
#define XNOR_SANITIZED
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define XNOR_SANITIZED
#endif

#if defined(XNOR_SANITIZED)
#define ALWAYS_INLINE static inline
#else
#define ALWAYS_INLINE static inline __attribute__((always_inline))
#endif

#if defined(XNOR_SANITIZED)
#define UNROLL
#define UNROLL_2
#elif defined(__clang__)
// Whether a loop is unrolled in the pass that the pragma speaks of or was before is all the same.
#pragma clang diagnostic ignored "-Wpass-failed"
#define UNROLL _Pragma("clang loop unroll(full)")
#define UNROLL_2
#else
#define UNROLL _Pragma("GCC unroll 16")
#define UNROLL_2 _Pragma("GCC unroll 2")
#endif

#endif
