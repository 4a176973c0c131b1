// lib/onnx/OPERATORS.md against the table of operators and the limits that the conformance tests meet.
// Runs in the repository's root.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "graph/op.h"
#include "ops/ops.h"

static char *text;

static void begin(void) {
    FILE *file = fopen("lib/onnx/OPERATORS.md", "r");
    cr_assert_not_null(file, "the tests run in the root of the repository");
    text = calloc(1, 1 << 16);
    cr_assert_gt(fread(text, 1, (1 << 16) - 1, file), 0);
    fclose(file);
}

static void end(void) {
    free(text);
}

TestSuite(operators, .init = begin, .fini = end);

// The row of the operator up to its end, or NULL.
static const char *row_of(const char *op, size_t *length) {
    char start[64];
    snprintf(start, sizeof start, "\n| %s |", op);
    const char *row = strstr(text, start);
    if (row) *length = strcspn(row + 1, "\n") + 1;
    return row;
}

static const struct {
    const char *name, *domain;
} ops[] = {
#define OP(id, name, domain) {name, domain},
    XNOR_OP_TABLE(OP)
#undef OP
};
enum { OPS = sizeof ops / sizeof *ops };

Test(operators, every_standard_operator_has_a_row) {
    size_t length;
    for (size_t i = 0; i < OPS; i++)
        if (!*ops[i].domain) cr_assert_not_null(row_of(ops[i].name, &length), "%s", ops[i].name);
}

Test(operators, every_row_is_an_operator_and_the_text_counts_them) {
    unsigned rows = 0, stated = 0;
    const char *number = strstr(text, "reads: the ");
    cr_assert(number && sscanf(number, "reads: the %u operators", &stated) == 1);
    for (const char *row = strstr(text, "\n|---|---|"); (row = strstr(row + 1, "\n| ")); rows++) {
        char name[64];
        cr_assert_eq(sscanf(row, " | %63s |", name), 1);
        bool own = strcmp(name, "Constant") == 0 || strcmp(name, "Dropout") == 0;
        cr_assert(own || xnor_op_find(name) != XNOR_OP_COUNT, "%s is no operator", name);
    }
    cr_assert_eq(rows, stated);
}

Test(operators, what_conformance_tests_meet_is_documented) {
    static const struct {
        const char *op, *documented;
    } limits[] = {
#define LIMIT(op, message, documented) {op, documented},
#include "tests/onnx/limits.h"
#undef LIMIT
    };
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        size_t length = 0;
        const char *row = row_of(limits[i].op, &length);
        cr_assert_not_null(row, "%s", limits[i].op);
        const char *found = strstr(row, limits[i].documented);
        cr_assert(found && found < row + length, "%s: '%s' is not in its row", limits[i].op,
                  limits[i].documented);
    }
}
