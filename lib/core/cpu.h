// What the CPU we run on offers to the kernels. Asked from the processor (x86) or from the
// auxiliary vector (Linux on ARM), never from /proc, so that it works in any sandbox.
#ifndef XNOR_CORE_CPU_H
#define XNOR_CORE_CPU_H

#include <stdint.h>

// Each flag stands for everything that the kernel set of that name uses, and includes that the
// operating system saves the registers.
typedef enum xnor_cpu_feature {
    XNOR_CPU_AVX2 = 1 << 0,   // AVX2, FMA, BMI2, POPCNT
    XNOR_CPU_AVX512 = 1 << 1, // F, BW, VL, DQ, VPOPCNTDQ, BITALG, VBMI; implies XNOR_CPU_AVX2
    XNOR_CPU_NEON = 1 << 2,   // ARMv8 Advanced SIMD
    XNOR_CPU_DOTPROD = 1 << 3 // ARMv8.2 dot product; implies XNOR_CPU_NEON
} xnor_cpu_feature;

// Set of xnor_cpu_feature bits. Any thread.
uint32_t xnor_cpu_features(void);

#endif
