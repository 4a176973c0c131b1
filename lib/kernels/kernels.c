#include "kernels/kernels.h"

#include "core/cpu.h"
#include "kernels/sets.h"

#include <stdlib.h>
#include <string.h>

typedef struct kernel_set {
    const char *name;
    uint32_t needs; // xnor_cpu_feature bits
    void (*fill)(xnor_kernels *table);
} kernel_set;

// Worst first. Every set needs all that the sets before it need, so the sets that a CPU offers are
// always a prefix of this table, and a set is filled by filling the whole prefix up to it.
static const kernel_set kernel_sets[] = {
    {"c", 0, xnor_kernels_fill_c},
#if defined(__x86_64__)
    {"avx2", XNOR_CPU_AVX2, xnor_kernels_fill_avx2},
    {"avx512", XNOR_CPU_AVX2 | XNOR_CPU_AVX512, xnor_kernels_fill_avx512},
#elif defined(__aarch64__)
    {"neon", XNOR_CPU_NEON, xnor_kernels_fill_neon},
    {"neon_dotprod", XNOR_CPU_NEON | XNOR_CPU_DOTPROD, xnor_kernels_fill_neon_dotprod},
#endif
};
#define SET_COUNT (sizeof kernel_sets / sizeof kernel_sets[0])
#define MAX_SETS 3

// Row i: the names of the first i + 1 sets. Constant, so that no thread ever initialises it.
static const char *const set_names[MAX_SETS][MAX_SETS + 1] = {
#if defined(__x86_64__)
    {"c"},
    {"c", "avx2"},
    {"c", "avx2", "avx512"},
#elif defined(__aarch64__)
    {"c"},
    {"c", "neon"},
    {"c", "neon", "neon_dotprod"},
#else
    {"c"},
#endif
};

static size_t offered_sets(void) {
    const uint32_t features = xnor_cpu_features();
    size_t count = 1;
    while (count < SET_COUNT && (kernel_sets[count].needs & ~features) == 0) count++;
    return count;
}

const char *const *xnor_kernels_available(void) {
    return set_names[offered_sets() - 1];
}

static xnor_status fail_unsupported(const char *isa, size_t offered) {
    char list[64] = "";
    for (size_t i = 0; i < offered; i++) {
        if (i > 0) strcat(list, ", ");
        strcat(list, kernel_sets[i].name);
    }
    return xnor_fail(XNOR_E_UNSUPPORTED, "kernel set '%s': unknown or not offered by this CPU (%s)",
                     isa, list);
}

xnor_status xnor_kernels_select(xnor_kernels *table, const char *isa) {
    const size_t offered = offered_sets();
    if (!isa) isa = getenv("XNOR_ISA");
    size_t chosen = offered - 1;
    if (isa && *isa) {
        chosen = 0;
        while (chosen < offered && strcmp(kernel_sets[chosen].name, isa) != 0) chosen++;
        if (chosen == offered) return fail_unsupported(isa, offered);
    }
    for (size_t i = 0; i <= chosen; i++) kernel_sets[i].fill(table);
    table->isa = kernel_sets[chosen].name;
    return XNOR_OK;
}
