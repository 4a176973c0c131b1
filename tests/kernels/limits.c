// The machine's own limits: loops that touch nothing but registers, run for a given number of
// units. Inline assembly, so that no compiler can improve on or spoil the measure.
#include "harness.h"

#include "limits.h"

#include <string.h>

#if defined(__x86_64__)

// One unit: 512 bit-MAC as xor + popcount + add, as a kernel without carry-save addition does it.
#define UNIT512(t, sum)                                                                            \
    "vpxorq %%zmm0, %%zmm1, %%zmm" t "\n\tvpopcntq %%zmm" t ", %%zmm" t "\n\t"                     \
    "vpaddq %%zmm" t ", %%zmm" sum ", %%zmm" sum "\n\t"
#define FMA512(sum) "vfmadd231ps %%zmm0, %%zmm1, %%zmm" sum "\n\t"
// One unit: 256 bit-MAC as two table look-ups and two additions of bytes.
#define UNIT256(t, u, sum)                                                                         \
    "vpshufb %%ymm0, %%ymm1, %%ymm" t "\n\tvpshufb %%ymm1, %%ymm0, %%ymm" u "\n\t"                 \
    "vpaddb %%ymm" t ", %%ymm" sum ", %%ymm" sum "\n\t"                                            \
    "vpaddb %%ymm" u ", %%ymm" sum ", %%ymm" sum "\n\t"
#define FMA256(sum) "vfmadd231ps %%ymm0, %%ymm1, %%ymm" sum "\n\t"
#define LOOP(body)                                                                                 \
    __asm__ volatile("1:\n\t" body "dec %0\n\tjnz 1b\n\tvzeroupper"                                \
                     : "+r"(rounds)                                                                \
                     :                                                                             \
                     : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",       \
                       "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15")

static void popcount_avx512(size_t rounds) {
    LOOP("vpxorq %%zmm0, %%zmm0, %%zmm0\n\tvpternlogd $255, %%zmm1, %%zmm1, %%zmm1\n\t" UNIT512(
        "2", "8") UNIT512("3", "9") UNIT512("4", "10") UNIT512("5", "11") UNIT512("6", "12")
             UNIT512("7", "13") UNIT512("2", "14") UNIT512("3", "15"));
}

static void fma_avx512(size_t rounds) {
    LOOP(FMA512("4") FMA512("5") FMA512("6") FMA512("7") FMA512("8") FMA512("9") FMA512("10")
             FMA512("11") FMA512("12") FMA512("13") FMA512("14") FMA512("15"));
}

static void popcount_avx2(size_t rounds) {
    LOOP(UNIT256("2", "3", "8") UNIT256("4", "5", "9") UNIT256("6", "7", "10")
             UNIT256("2", "3", "11") UNIT256("4", "5", "12") UNIT256("6", "7", "13")
                 UNIT256("2", "3", "14") UNIT256("4", "5", "15"));
}

static void fma_avx2(size_t rounds) {
    LOOP(FMA256("4") FMA256("5") FMA256("6") FMA256("7") FMA256("8") FMA256("9") FMA256("10")
             FMA256("11") FMA256("12") FMA256("13") FMA256("14") FMA256("15"));
}

static const limit_loops limits[] = {
    {"avx2", popcount_avx2, 8 * 256, fma_avx2, 12 * 8},
    {"avx512", popcount_avx512, 8 * 512, fma_avx512, 12 * 16},
};

#elif defined(__aarch64__)

#define UNIT128(t, sum)                                                                            \
    "eor v" t ".16b, v0.16b, v1.16b\n\tcnt v" t ".16b, v" t ".16b\n\t"                             \
    "add v" sum ".16b, v" sum ".16b, v" t ".16b\n\t"
#define FMLA(sum) "fmla v" sum ".4s, v0.4s, v1.4s\n\t"
#define LOOP(body)                                                                                 \
    __asm__ volatile("1:\n\t" body "subs %0, %0, #1\n\tb.ne 1b"                                    \
                     : "+r"(rounds)                                                                \
                     :                                                                             \
                     : "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v16", "v17", "v18",  \
                       "v19", "v20", "v21", "v22", "v23")

static void popcount_neon(size_t rounds) {
    LOOP(UNIT128("2", "16") UNIT128("3", "17") UNIT128("4", "18") UNIT128("5", "19")
             UNIT128("6", "20") UNIT128("7", "21") UNIT128("2", "22") UNIT128("3", "23"));
}

static void fma_neon(size_t rounds) {
    LOOP(FMLA("16") FMLA("17") FMLA("18") FMLA("19") FMLA("20") FMLA("21") FMLA("22") FMLA("23"));
}

static const limit_loops limits[] = {
    {"neon", popcount_neon, 8 * 128, fma_neon, 8 * 4},
    {"neon_dotprod", popcount_neon, 8 * 128, fma_neon, 8 * 4},
};

#else

static const limit_loops limits[1];

#endif

const limit_loops *limit_for(const char *isa) {
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        if (limits[i].isa && strcmp(limits[i].isa, isa) == 0) return &limits[i];
    }
    return NULL;
}
