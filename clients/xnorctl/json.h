// Writes JSON to a stream: commas, escapes and numbers that every parser takes.
#ifndef XNORCTL_JSON_H
#define XNORCTL_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef struct json {
    FILE *stream;
    bool needs_comma;
} json;

json json_start(FILE *stream);
// `key` is NULL inside arrays and at the top.
void json_begin_object(json *j, const char *key);
void json_end_object(json *j);
void json_begin_array(json *j, const char *key);
void json_end_array(json *j);
// Bytes that are not UTF-8 become U+FFFD; NULL becomes null.
void json_string(json *j, const char *key, const char *value);
void json_int(json *j, const char *key, int64_t value);
void json_uint(json *j, const char *key, uint64_t value);
// Shortest form that gives the float back; NaN and infinities, which JSON lacks, become null.
void json_float(json *j, const char *key, float value);
void json_bool(json *j, const char *key, bool value);
// Ends the object at the top with a newline and flushes, so that a reader gets it at once.
void json_finish(json *j);

#endif
