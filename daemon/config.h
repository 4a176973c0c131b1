// The daemon's settings: a plain struct, one table of keys that drives parsing, defaults, help text
// and the tests of config/xnord.yaml. Read once at start; immutable afterwards, so any thread
// reads.
#ifndef XNORD_CONFIG_H
#define XNORD_CONFIG_H

#include "reason.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define CONFIG_PATH "/etc/xnord/xnord.yaml"
#define CONFIG_MAX_FILE_BYTES 65536
#define CONFIG_MAX_DEPTH 8
#define CONFIG_MAX_LISTEN 8
#define CONFIG_URL_BYTES 128
#define CONFIG_PATH_BYTES 1024

struct config_urls {
    uint32_t count;
    char url[CONFIG_MAX_LISTEN][CONFIG_URL_BYTES];
};

struct config {
    struct config_urls listen; // empty: the default socket, see paths.h
    int64_t socket_mode;
    int64_t max_message_bytes;
    int64_t max_peers;
    int64_t queue_capacity;
    int64_t client_capacity; // 0: three quarters of queue_capacity
    int64_t worker_count;    // 0: one per CPU this process may use
    int64_t pool_threads;
    int64_t max_batch;
    int64_t session_cache;
    int64_t max_session_bytes;
    int64_t max_memory_bytes;
    char models_directory[CONFIG_PATH_BYTES];
    char isa[32]; // "": the best one
    int64_t max_models;
    int64_t max_file_bytes;
    bool self_test;
    int64_t stall_ms;
    int64_t grace_ms;
    int64_t log_level; // enum log_level
    int64_t log_burst;
};

enum config_type {
    CONFIG_NUMBER,  // decimal integer in [min, max]
    CONFIG_OCTAL,   // file mode in [min, max]
    CONFIG_BOOLEAN, // true or false
    CONFIG_TEXT,    // at most max bytes
    CONFIG_CHOICE,  // one of `choices`, stored as its value
    CONFIG_URLS     // list of nng URLs
};

struct config_choice {
    const char *name;
    int64_t value;
};

struct config_key {
    const char *path; // "section.key"
    enum config_type type;
    size_t offset;       // in struct config
    const char *initial; // default, in the same notation as in the file
    int64_t min, max;
    const struct config_choice *choices; // ends with a NULL name
    const char *unit;                    // "" for none
    const char *help;
};

extern const struct config_key config_keys[];
extern const size_t config_key_count;

// Every key at its default.
void config_defaults(struct config *config);
// Sets one key from its notation in the file. XNOR_E_ARGUMENT says what was expected.
XNOR_NODISCARD xnor_status config_set(struct config *config, const struct config_key *key,
                                      const char *text, struct reason *why);
// Appends one URL to a CONFIG_URLS key.
XNOR_NODISCARD xnor_status config_add_url(struct config_urls *urls, const char *text,
                                          struct reason *why);
// What a value of this key looks like, e.g. "an integer from 1 to 4096".
void config_expected(const struct config_key *key, char *text, size_t size);
// The table as text for --help.
void config_print_keys(FILE *stream);

// Reads `path` over what *config holds. Refuses aliases, anchors, tags, duplicate and unknown keys,
// several documents, more than CONFIG_MAX_FILE_BYTES and CONFIG_MAX_DEPTH.
// The reason starts with FILE:LINE:COLUMN. XNOR_E_NOT_FOUND: no such file.
XNOR_NODISCARD xnor_status config_read(struct config *config, const char *path, struct reason *why);
// The same from memory; `path` only names it in messages.
XNOR_NODISCARD xnor_status config_parse(struct config *config, const char *path, const void *data,
                                        size_t size, struct reason *why);

#endif
