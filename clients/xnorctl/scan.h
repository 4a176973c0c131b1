// A bounded cursor over text that need not end in a zero byte: lines, words, numbers.
#ifndef XNORCTL_SCAN_H
#define XNORCTL_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct scan_span {
    const char *text;
    size_t size;
} scan_span;

typedef struct scan {
    const char *next;
    const char *end;
    size_t line; // number of the line that scan_line returned last, from 1
} scan;

scan scan_start(const void *data, size_t size);
// The next line without its line end (LF or CR LF); false at the end of the text.
bool scan_line(scan *cursor, scan_span *line);
// The next line that holds a word after everything from `comment` on is cut off; 0: no comments.
bool scan_filled_line(scan *cursor, char comment, scan_span *line);
// Takes the first word off the line. Words are separated by blanks and by the characters in
// `separators`; false if there is none left.
bool scan_word(scan_span *line, const char *separators, scan_span *word);
size_t scan_word_count(scan_span line, const char *separators);
bool scan_equal(scan_span word, const char *text);
// Whole word as a number; "nan" and "inf" are numbers too.
bool scan_real(scan_span word, double *out);
// Whole word as decimal digits that fit into size_t.
bool scan_size(scan_span word, size_t *out);

// Text from a file as it may be shown in a message: cut to 40 bytes, unprintable bytes as '?'.
typedef struct scan_shown {
    char text[44];
} scan_shown;
scan_shown scan_show(scan_span span);

#endif
