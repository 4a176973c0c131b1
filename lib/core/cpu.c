#include "core/cpu.h"

#if defined(__x86_64__)

#include <cpuid.h>
#include <stdbool.h>

// The states that XCR0 must show as saved by the operating system.
#define XCR0_YMM 0x06u // SSE and AVX
#define XCR0_ZMM 0xE6u // also opmask and both halves of the AVX-512 registers

static uint32_t read_xcr0(void) {
    uint32_t low = 0;
    uint32_t high = 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

static bool has_all(uint32_t value, uint32_t bits) {
    return (value & bits) == bits;
}

uint32_t xnor_cpu_features(void) {
    uint32_t a = 0, b = 0, c = 0, d = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
    const uint32_t fma = 1u << 12, popcnt = 1u << 23, osxsave = 1u << 27, avx = 1u << 28;
    if (!has_all(c, fma | popcnt | osxsave | avx)) return 0;
    const uint32_t xcr0 = read_xcr0();
    if (!has_all(xcr0, XCR0_YMM)) return 0;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;

    const uint32_t avx2 = 1u << 5, bmi2 = 1u << 8;
    if (!has_all(b, avx2 | bmi2)) return 0;
    uint32_t features = XNOR_CPU_AVX2;

    const uint32_t f = 1u << 16, dq = 1u << 17, bw = 1u << 30, vl = 1u << 31;
    const uint32_t vbmi = 1u << 1, vnni = 1u << 11, bitalg = 1u << 12, vpopcntdq = 1u << 14;
    if (has_all(xcr0, XCR0_ZMM) && has_all(b, f | dq | bw | vl) &&
        has_all(c, vbmi | vnni | bitalg | vpopcntdq)) {
        features |= XNOR_CPU_AVX512;
    }
    return features;
}

#elif defined(__aarch64__)

#include <sys/auxv.h>

#define HWCAP_BIT_ASIMD (1ul << 1)
#define HWCAP_BIT_ASIMDDP (1ul << 20)

uint32_t xnor_cpu_features(void) {
    const unsigned long hwcap = getauxval(AT_HWCAP);
    uint32_t features = 0;
    if (hwcap & HWCAP_BIT_ASIMD) {
        features |= XNOR_CPU_NEON;
        if (hwcap & HWCAP_BIT_ASIMDDP) features |= XNOR_CPU_DOTPROD;
    }
    return features;
}

#else

uint32_t xnor_cpu_features(void) {
    return 0;
}

#endif
