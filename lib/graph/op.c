#include "graph/op.h"

#include <string.h>

static const char *const names[XNOR_OP_COUNT] = {
#define NAME(id, text, domain) [XNOR_OP_##id] = text,
    XNOR_OP_TABLE(NAME)
#undef NAME
};

const char *xnor_op_name(xnor_op op) {
    return (unsigned)op < XNOR_OP_COUNT ? names[op] : "?";
}

xnor_op xnor_op_find(const char *name) {
    for (unsigned i = 0; i < XNOR_OP_COUNT; i++)
        if (strcmp(names[i], name) == 0) return (xnor_op)i;
    return XNOR_OP_COUNT;
}
