#include "clients/xnorctl/scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

scan scan_start(const void *data, size_t size) {
    const char *text = data;
    return (scan){.next = text, .end = text + size, .line = 0};
}

bool scan_line(scan *cursor, scan_span *line) {
    if (cursor->next == cursor->end) return false;
    const size_t left = (size_t)(cursor->end - cursor->next);
    const char *feed = memchr(cursor->next, '\n', left);
    size_t size = feed ? (size_t)(feed - cursor->next) : left;
    *line = (scan_span){cursor->next, size};
    if (size > 0 && line->text[size - 1] == '\r') line->size--;
    cursor->next = feed ? feed + 1 : cursor->end;
    cursor->line++;
    return true;
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

bool scan_filled_line(scan *cursor, char comment, scan_span *line) {
    while (scan_line(cursor, line)) {
        const char *cut = comment && line->size ? memchr(line->text, comment, line->size) : NULL;
        if (cut) line->size = (size_t)(cut - line->text);
        for (size_t i = 0; i < line->size; i++)
            if (!is_blank(line->text[i])) return true;
    }
    return false;
}

static bool is_separator(char c, const char *separators) {
    return is_blank(c) || (c != '\0' && strchr(separators, c) != NULL);
}

bool scan_word(scan_span *line, const char *separators, scan_span *word) {
    size_t start = 0;
    while (start < line->size && is_separator(line->text[start], separators)) start++;
    size_t end = start;
    while (end < line->size && !is_separator(line->text[end], separators)) end++;
    *word = (scan_span){line->text + start, end - start};
    *line = (scan_span){line->text + end, line->size - end};
    return word->size > 0;
}

size_t scan_word_count(scan_span line, const char *separators) {
    scan_span word;
    size_t count = 0;
    while (scan_word(&line, separators, &word)) count++;
    return count;
}

bool scan_equal(scan_span word, const char *text) {
    return word.size == strlen(text) && memcmp(word.text, text, word.size) == 0;
}

// Plain decimals of at most 15 digits, "-12.345": the digits and the power of ten are exact doubles,
// so one division rounds as strtod does (Clinger, How to Read Floating Point Numbers Accurately,
// PLDI 1990). False: not of that form.
static bool plain_real(scan_span word, double *out) {
    static const double powers[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    const bool negative = word.size > 0 && *word.text == '-';
    uint64_t digits = 0;
    size_t count = 0, decimals = 0;
    bool point = false;
    for (size_t i = negative; i < word.size; i++) {
        const char c = word.text[i];
        if (c == '.' && !point) {
            point = true;
            continue;
        }
        if (c < '0' || c > '9' || ++count > 15) return false;
        digits = digits * 10 + (uint64_t)(c - '0');
        decimals += point;
    }
    if (count == 0) return false;
    const double value = (double)digits / powers[decimals];
    *out = negative ? -value : value;
    return true;
}

bool scan_real(scan_span word, double *out) {
    if (plain_real(word, out)) return true;
    char copy[64]; // strtod needs a terminator; no sensible number is longer
    if (word.size == 0 || word.size >= sizeof copy) return false;
    memcpy(copy, word.text, word.size);
    copy[word.size] = '\0';
    char *end;
    *out = strtod(copy, &end);
    return end == copy + word.size;
}

bool scan_size(scan_span word, size_t *out) {
    size_t value = 0;
    for (size_t i = 0; i < word.size; i++) {
        const char c = word.text[i];
        if (c < '0' || c > '9') return false;
        if (__builtin_mul_overflow(value, (size_t)10, &value) ||
            __builtin_add_overflow(value, (size_t)(c - '0'), &value))
            return false;
    }
    *out = value;
    return word.size > 0;
}

scan_shown scan_show(scan_span span) {
    scan_shown shown = {{0}};
    const size_t size = span.size < 40 ? span.size : 40;
    for (size_t i = 0; i < size; i++) {
        const char c = span.text[i];
        shown.text[i] = c >= ' ' && c <= '~' ? c : '?';
    }
    if (span.size > size) memcpy(shown.text + size, "...", 3);
    return shown;
}
