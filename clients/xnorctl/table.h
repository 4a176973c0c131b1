// A table on stdout with aligned columns: collect the rows, then print.
#ifndef XNORCTL_TABLE_H
#define XNORCTL_TABLE_H

#include <stddef.h>
#include <stdio.h>

#define TABLE_MAX_COLUMNS 12

// A title that starts with '>' aligns its column to the right; the '>' is not printed.
typedef struct table {
    size_t column_count;
    const char *titles[TABLE_MAX_COLUMNS];
    char **cells; // [row_count * column_count], owned
    size_t cell_count;
    size_t cell_capacity;
} table;

// `titles` must outlive the table; at most TABLE_MAX_COLUMNS.
table table_start(const char *const *titles, size_t column_count);
// Appends one cell, row by row from the left. Control characters become '?', so that a file name
// cannot steer the terminal.
void table_cell(table *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void table_print(const table *t, FILE *stream);
void table_free(table *t);

#endif
