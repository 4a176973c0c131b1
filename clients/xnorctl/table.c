#include "clients/xnorctl/table.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>

#include "clients/xnorctl/memory.h"
#include "clients/xnorctl/utf8.h"

table table_start(const char *const *titles, size_t column_count) {
    table t = {.column_count = column_count};
    if (column_count > TABLE_MAX_COLUMNS) abort();
    for (size_t i = 0; i < column_count; i++) t.titles[i] = titles[i];
    return t;
}

void table_cell(table *t, const char *format, ...) {
    char *text;
    va_list args;
    va_start(args, format);
    if (vasprintf(&text, format, args) < 0) text = NULL;
    va_end(args);
    text = memory_check(text);
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f) *c = '?';
    if (t->cell_count == t->cell_capacity) {
        t->cell_capacity = t->cell_capacity ? 2 * t->cell_capacity : 64;
        t->cells = memory_check(realloc(t->cells, t->cell_capacity * sizeof *t->cells));
    }
    t->cells[t->cell_count++] = text;
}

static bool is_right(const table *t, size_t column) {
    return t->titles[column][0] == '>';
}

static const char *title_of(const table *t, size_t column) {
    return t->titles[column] + is_right(t, column);
}

// The last column, if aligned left, gets no blanks behind it.
static void print_cell(const table *t, size_t column, const char *text, size_t width,
                       FILE *stream) {
    const size_t length = utf8_length(text);
    const int padding = (int)(width > length ? width - length : 0);
    const bool last = column + 1 == t->column_count;
    if (is_right(t, column))
        fprintf(stream, "%*s%s", padding, "", text);
    else if (last)
        fputs(text, stream);
    else
        fprintf(stream, "%s%*s", text, padding, "");
    fputs(last ? "\n" : "  ", stream);
}

void table_print(const table *t, FILE *stream) {
    size_t widths[TABLE_MAX_COLUMNS];
    for (size_t c = 0; c < t->column_count; c++) {
        widths[c] = utf8_length(title_of(t, c));
        for (size_t i = c; i < t->cell_count; i += t->column_count) {
            const size_t length = utf8_length(t->cells[i]);
            if (length > widths[c]) widths[c] = length;
        }
    }
    for (size_t c = 0; c < t->column_count; c++)
        print_cell(t, c, title_of(t, c), widths[c], stream);
    for (size_t i = 0; i < t->cell_count; i++)
        print_cell(t, i % t->column_count, t->cells[i], widths[i % t->column_count], stream);
}

void table_free(table *t) {
    for (size_t i = 0; i < t->cell_count; i++) free(t->cells[i]);
    free(t->cells);
    *t = (table){0};
}
