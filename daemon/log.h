// Structured log: one logfmt line per event on stderr, written with one write().
//
//   log_info("model ready", LOG_STRING("model", name), LOG_UINT("bytes", size));
//   -> ts=2026-01-02T03:04:05.678Z level=info event="model ready" model=pointnet bytes=530112
//
// Under the journal (stderr is the stream named by JOURNAL_STREAM) a line starts with its priority,
// "<6>", instead of a time stamp. Values are quoted and escaped, so hostile text cannot forge
// lines. Any thread may log. Nothing logs between admission and completion of a request.
#ifndef XNORD_LOG_H
#define XNORD_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

// Values are syslog priorities.
enum log_level {
    LOG_LEVEL_ERROR = 3,
    LOG_LEVEL_WARNING = 4,
    LOG_LEVEL_INFO = 6,
    LOG_LEVEL_DEBUG = 7
};

enum log_kind { LOG_KIND_END, LOG_KIND_STRING, LOG_KIND_UINT, LOG_KIND_INT };

struct log_field {
    enum log_kind kind;
    const char *key;
    const char *string;
    uint64_t number;
};

#define LOG_STRING(key_, value)                                                                    \
    { LOG_KIND_STRING, key_, value, 0 }
#define LOG_UINT(key_, value)                                                                      \
    { LOG_KIND_UINT, key_, NULL, (uint64_t)(value) }
#define LOG_INT(key_, value)                                                                       \
    { LOG_KIND_INT, key_, NULL, (uint64_t)(int64_t)(value) }

// Call before other threads start.
void log_init(enum log_level level);
bool log_enabled(enum log_level level);
// fields ends with LOG_KIND_END.
void log_write(enum log_level level, const char *event, const struct log_field *fields);

#define LOG_FIELDS(...) ((const struct log_field[]){__VA_ARGS__, {LOG_KIND_END, NULL, NULL, 0}})
#define log_error(event, ...) log_write(LOG_LEVEL_ERROR, event, LOG_FIELDS(__VA_ARGS__))
#define log_warning(event, ...) log_write(LOG_LEVEL_WARNING, event, LOG_FIELDS(__VA_ARGS__))
#define log_info(event, ...) log_write(LOG_LEVEL_INFO, event, LOG_FIELDS(__VA_ARGS__))
#define log_debug(event, ...) log_write(LOG_LEVEL_DEBUG, event, LOG_FIELDS(__VA_ARGS__))

// Limits what a hostile client can make us write: at most `burst` events per second through one
// limit. One thread at a time.
struct log_limit {
    uint64_t window_ns; // start of the current second
    uint32_t burst;
    uint32_t written;    // in this window
    uint64_t suppressed; // since the last written one
};

// True if the event may be written now; *suppressed is how many were swallowed before it.
bool log_limit_pass(struct log_limit *limit, uint64_t now_ns, uint64_t *suppressed);

#endif
