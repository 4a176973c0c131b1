#include "clients/xnorctl/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "clients/xnorctl/utf8.h"

json json_start(FILE *stream) {
    return (json){.stream = stream, .needs_comma = false};
}

static void put_string(FILE *stream, const char *text) {
    fputc('"', stream);
    while (*text) {
        const size_t size = utf8_size(text);
        const unsigned char c = (unsigned char)*text;
        if (size == 0)
            fputs("\\ufffd", stream);
        else if (c == '"' || c == '\\')
            fprintf(stream, "\\%c", c);
        else if (c < 0x20 || c == 0x7f)
            fprintf(stream, "\\u%04x", c);
        else
            fwrite(text, 1, size, stream);
        text += size ? size : 1;
    }
    fputc('"', stream);
}

static void begin_value(json *j, const char *key) {
    if (j->needs_comma) fputs(", ", j->stream);
    j->needs_comma = true;
    if (!key) return;
    put_string(j->stream, key);
    fputs(": ", j->stream);
}

static void begin_nested(json *j, const char *key, char bracket) {
    begin_value(j, key);
    fputc(bracket, j->stream);
    j->needs_comma = false;
}

static void end_nested(json *j, char bracket) {
    fputc(bracket, j->stream);
    j->needs_comma = true;
}

void json_begin_object(json *j, const char *key) {
    begin_nested(j, key, '{');
}

void json_end_object(json *j) {
    end_nested(j, '}');
}

void json_begin_array(json *j, const char *key) {
    begin_nested(j, key, '[');
}

void json_end_array(json *j) {
    end_nested(j, ']');
}

void json_string(json *j, const char *key, const char *value) {
    begin_value(j, key);
    if (value)
        put_string(j->stream, value);
    else
        fputs("null", j->stream);
}

void json_int(json *j, const char *key, int64_t value) {
    begin_value(j, key);
    fprintf(j->stream, "%" PRId64, value);
}

void json_uint(json *j, const char *key, uint64_t value) {
    begin_value(j, key);
    fprintf(j->stream, "%" PRIu64, value);
}

void json_float(json *j, const char *key, float value) {
    begin_value(j, key);
    char text[32];
    if (!isfinite(value)) {
        fputs("null", j->stream);
        return;
    }
    for (int digits = 6; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)value);
        if (strtof(text, NULL) == value) break;
    }
    fputs(text, j->stream);
}

void json_bool(json *j, const char *key, bool value) {
    begin_value(j, key);
    fputs(value ? "true" : "false", j->stream);
}

void json_finish(json *j) {
    json_end_object(j);
    fputc('\n', j->stream);
    fflush(j->stream);
    j->needs_comma = false;
}
