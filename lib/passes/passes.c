#include "passes/passes.h"

#include <string.h>

#include "graph/print.h"

static const struct {
    const char *name;
    xnor_status (*run)(xnor_graph *);
} passes[] = {
#define ROW(name, summary) {#name, xnor_pass_##name},
    XNOR_PASS_TABLE(ROW)
#undef ROW
};

enum { PASSES = sizeof passes / sizeof *passes };

static xnor_status check_name(const char *name) {
    if (!name || strcmp(name, "import") == 0) return XNOR_OK;
    for (size_t i = 0; i < PASSES; i++)
        if (strcmp(passes[i].name, name) == 0) return XNOR_OK;
    return xnor_fail(XNOR_E_ARGUMENT,
                     "no pass is called '%s'; there are: import"
#define NAME(name, summary) ", " #name
                     XNOR_PASS_TABLE(NAME)
#undef NAME
                         ,
                     name);
}

xnor_status xnor_passes_run(xnor_graph *graph, const char *dump_after, FILE *dump) {
    XNOR_TRY(check_name(dump_after));
    // No verifier before fold: some shapes are only known once their computation has been folded.
    if (dump_after && strcmp(dump_after, "import") == 0) xnor_graph_print(graph, dump);
    for (size_t i = 0; i < PASSES; i++) {
        XNOR_TRY(passes[i].run(graph));
        xnor_graph_compact(graph);
        XNOR_TRY(xnor_graph_verify(graph));
        if (dump_after && strcmp(dump_after, passes[i].name) == 0) xnor_graph_print(graph, dump);
    }
    return XNOR_OK;
}
