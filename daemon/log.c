#include "log.h"

#include "clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES 1024

static struct {
    enum log_level level;
    bool journal;
} sink = {LOG_LEVEL_INFO, false};

// A line being put together; what does not fit is cut, the final newline always fits.
struct line {
    char text[LINE_BYTES];
    size_t length;
};

// stderr is the journal only if it is the very stream the variable names: a child's redirected
// stderr inherits the variable but not the stream.
static bool stderr_is_journal(void) {
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat status;
    uint64_t device = 0, inode = 0;
    return stream != NULL && sscanf(stream, "%" SCNu64 ":%" SCNu64, &device, &inode) == 2 &&
           fstat(STDERR_FILENO, &status) == 0 && device == status.st_dev && inode == status.st_ino;
}

static void line_put(struct line *line, char byte) {
    if (line->length < LINE_BYTES - 1) line->text[line->length++] = byte;
}

static void line_puts(struct line *line, const char *text) {
    while (*text != '\0') line_put(line, *text++);
}

static bool needs_quotes(const char *text) {
    if (*text == '\0') return true;
    for (; *text != '\0'; text++)
        if (*text <= ' ' || *text == '"' || *text == '=' || *text == '\\' || *text > '~')
            return true;
    return false;
}

static void line_put_value(struct line *line, const char *text) {
    if (!needs_quotes(text)) {
        line_puts(line, text);
        return;
    }
    line_put(line, '"');
    for (; *text != '\0'; text++) {
        char escaped[8];
        if (*text == '"' || *text == '\\') {
            line_put(line, '\\');
            line_put(line, *text);
        } else if (*text < ' ' || *text > '~') {
            snprintf(escaped, sizeof escaped, "\\x%02x", (unsigned)(unsigned char)*text);
            line_puts(line, escaped);
        } else {
            line_put(line, *text);
        }
    }
    line_put(line, '"');
}

static const char *level_name(enum log_level level) {
    switch (level) {
    case LOG_LEVEL_ERROR:
        return "error";
    case LOG_LEVEL_WARNING:
        return "warning";
    case LOG_LEVEL_INFO:
        return "info";
    case LOG_LEVEL_DEBUG:
        return "debug";
    }
    return "?";
}

static void line_put_start(struct line *line, enum log_level level) {
    char start[64];
    if (sink.journal) {
        snprintf(start, sizeof start, "<%d>", (int)level);
    } else {
        struct timespec now;
        struct tm utc;
        clock_gettime(CLOCK_REALTIME, &now);
        gmtime_r(&now.tv_sec, &utc);
        size_t length = strftime(start, sizeof start, "ts=%Y-%m-%dT%H:%M:%S", &utc);
        snprintf(start + length, sizeof start - length, ".%03dZ ", (int)(now.tv_nsec / 1000000));
    }
    line_puts(line, start);
    line_puts(line, "level=");
    line_puts(line, level_name(level));
}

void log_init(enum log_level level) {
    sink.level = level;
    sink.journal = stderr_is_journal();
}

bool log_enabled(enum log_level level) {
    return level <= sink.level;
}

void log_write(enum log_level level, const char *event, const struct log_field *fields) {
    if (!log_enabled(level)) return;
    struct line line = {.length = 0};
    line_put_start(&line, level);
    line_puts(&line, " event=");
    line_put_value(&line, event);
    for (; fields->kind != LOG_KIND_END; fields++) {
        char number[24];
        line_put(&line, ' ');
        line_puts(&line, fields->key);
        line_put(&line, '=');
        if (fields->kind == LOG_KIND_STRING) {
            line_put_value(&line, fields->string != NULL ? fields->string : "");
        } else {
            if (fields->kind == LOG_KIND_UINT)
                snprintf(number, sizeof number, "%" PRIu64, fields->number);
            else
                snprintf(number, sizeof number, "%" PRId64, (int64_t)fields->number);
            line_puts(&line, number);
        }
    }
    line.text[line.length++] = '\n';
    // A log that cannot be written has nowhere to complain.
    ssize_t written = write(STDERR_FILENO, line.text, line.length);
    (void)written;
}

bool log_limit_pass(struct log_limit *limit, uint64_t now_ns, uint64_t *suppressed) {
    if (limit->window_ns == 0 || now_ns - limit->window_ns >= NS_PER_S) {
        limit->window_ns = now_ns;
        limit->written = 0;
    }
    if (limit->written >= limit->burst) {
        limit->suppressed++;
        return false;
    }
    limit->written++;
    *suppressed = limit->suppressed;
    limit->suppressed = 0;
    return true;
}
