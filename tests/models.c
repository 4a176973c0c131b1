// Runs the golden pairs of model files with the kernels that XNOR_ISA names (or the best): a plain
// main(), so that it also runs on boards and under qemu.
//   models MODEL.xnor...    prints "N passed, N failed"
//   models --isas           lists the kernel sets that this CPU offers
#include <stdio.h>
#include <string.h>

#include "kernels/kernels.h"

int main(int argc, char **argv) {
    int passed = 0, failed = 0;
    if (argc == 2 && strcmp(argv[1], "--isas") == 0) {
        for (const char *const *isa = xnor_kernels_available(); *isa; isa++) puts(*isa);
        return 0;
    }
    for (int i = 1; i < argc; i++) {
        xnor_model *model = NULL;
        uint32_t pairs = 0;
        xnor_status status = xnor_model_open(argv[i], NULL, &model);
        if (status == XNOR_OK) status = xnor_model_self_test(model, &pairs);
        bool good = status == XNOR_OK && pairs > 0;
        passed += good;
        failed += !good;
        printf("%s %s: %u golden pairs%s%s\n", good ? "ok" : "FAIL", argv[i], pairs,
               status == XNOR_OK ? "" : ": ", status == XNOR_OK ? "" : xnor_last_error());
        if (model) xnor_model_unref(&model);
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed != 0 || passed == 0;
}
