#include "config.h"

#include "log.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MIB (INT64_C(1) << 20)

static const struct config_choice log_levels[] = {{"error", LOG_LEVEL_ERROR},
                                                  {"warning", LOG_LEVEL_WARNING},
                                                  {"info", LOG_LEVEL_INFO},
                                                  {"debug", LOG_LEVEL_DEBUG},
                                                  {NULL, 0}};

static const struct config_choice booleans[] = {{"false", 0}, {"true", 1}, {NULL, 0}};

#define NUMBER(path, member, initial, min, max, unit, help)                                        \
    { path, CONFIG_NUMBER, offsetof(struct config, member), initial, min, max, NULL, unit, help }
#define TEXT(path, member, initial, help)                                                          \
    {                                                                                              \
        path, CONFIG_TEXT, offsetof(struct config, member), initial, 0,                            \
            (int64_t)sizeof(((struct config *)0)->member) - 1, NULL, "", help                      \
    }

const struct config_key config_keys[] = {
    {"listen", CONFIG_URLS, offsetof(struct config, listen), "[]", 0, CONFIG_MAX_LISTEN, NULL, "",
     "sockets to serve on; empty means the default socket"},
    {"socket_mode", CONFIG_OCTAL, offsetof(struct config, socket_mode), "0660", 0, 0777, NULL, "",
     "file mode of ipc sockets"},
    NUMBER("limits.max_message_bytes", max_message_bytes, "4194304", 4096, 256 * MIB, "bytes",
           "largest request that is served"),
    NUMBER("limits.max_peers", max_peers, "128", 1, 4096, "connections",
           "connections served at the same time"),
    NUMBER("queue.capacity", queue_capacity, "64", 1, 4096, "requests",
           "inference requests admitted at the same time, running ones included"),
    NUMBER("queue.client_capacity", client_capacity, "0", 0, 4096, "requests",
           "requests of one connection among them; 0 means three quarters"),
    NUMBER("workers.count", worker_count, "0", 0, 256, "threads",
           "threads that run networks; 0 means one per usable CPU"),
    NUMBER("workers.pool_threads", pool_threads, "1", 1, 64, "threads",
           "threads that share the work of one run"),
    NUMBER("workers.max_batch", max_batch, "4", 1, 64, "requests",
           "queued requests of one model that a free worker may run together"),
    NUMBER("workers.session_cache", session_cache, "4", 1, 64, "sessions",
           "raw-tensor shapes that each worker keeps ready per model"),
    NUMBER("workers.max_session_bytes", max_session_bytes, "268435456", MIB, 65536 * MIB, "bytes",
           "memory that one shape of one model may take per worker"),
    NUMBER("workers.max_memory_bytes", max_memory_bytes, "268435456", MIB, 65536 * MIB, "bytes",
           "memory that all shapes of all models may take on all workers together"),
    TEXT("models.directory", models_directory, "/var/lib/xnord/models",
         "folder with NAME.xnor or NAME/NAME.xnor files"),
    TEXT("models.isa", isa, "", "kernel set to use instead of the best one"),
    NUMBER("models.max_models", max_models, "32", 1, 64, "models", "models served at most"),
    NUMBER("models.max_file_bytes", max_file_bytes, "268435456", 1024, 4096 * MIB, "bytes",
           "largest model file that is loaded"),
    {"models.self_test", CONFIG_BOOLEAN, offsetof(struct config, self_test), "true", 0, 1, booleans,
     "", "reproduce the stored golden results before a model is served"},
    NUMBER("health.stall_ms", stall_ms, "1500", 10, 600000, "ms",
           "a worker busy this long without progress stops the watchdog"),
    NUMBER("shutdown.grace_ms", grace_ms, "2000", 0, 60000, "ms",
           "time for requests in flight when told to stop"),
    {"log.level", CONFIG_CHOICE, offsetof(struct config, log_level), "info", 0, 0, log_levels, "",
     "least important event that is written"},
    NUMBER("log.client_events_per_s", log_burst, "5", 1, 1000, "events/s",
           "log lines that malformed requests may cause"),
};
const size_t config_key_count = sizeof config_keys / sizeof config_keys[0];

void config_expected(const struct config_key *key, char *text, size_t size) {
    switch (key->type) {
    case CONFIG_NUMBER:
        snprintf(text, size, "an integer from %" PRId64 " to %" PRId64, key->min, key->max);
        break;
    case CONFIG_OCTAL:
        snprintf(text, size, "an octal file mode from 0 to %04" PRIo64, (uint64_t)key->max);
        break;
    case CONFIG_TEXT:
        snprintf(text, size, "text of at most %" PRId64 " bytes", key->max);
        break;
    case CONFIG_URLS:
        snprintf(text, size, "a list of at most %" PRId64 " URLs", key->max);
        break;
    case CONFIG_BOOLEAN:
    case CONFIG_CHOICE: {
        size_t length = (size_t)snprintf(text, size, "one of");
        for (const struct config_choice *choice = key->choices; choice->name != NULL; choice++)
            if (length < size)
                length += (size_t)snprintf(text + length, size - length, " %s", choice->name);
        break;
    }
    }
}

static bool parse_number(const char *text, int base, int64_t min, int64_t max, int64_t *out) {
    const char *digits = base == 8 ? "01234567" : "0123456789";
    size_t length = strlen(text);
    if (length == 0 || length > 18 || strspn(text, digits) != length) return false;
    int64_t value = strtoll(text, NULL, base);
    if (value < min || value > max) return false;
    *out = value;
    return true;
}

static bool parse_choice(const struct config_choice *choices, const char *text, int64_t *out) {
    for (; choices->name != NULL; choices++) {
        if (strcmp(choices->name, text) != 0) continue;
        *out = choices->value;
        return true;
    }
    return false;
}

xnor_status config_add_url(struct config_urls *urls, const char *text, struct reason *why) {
    // The protocol has no authentication: beyond this machine it is not for us to serve.
    static const char *const starts[] = {"ipc:///", "tcp://127.0.0.1:", "tcp://[::1]:"};
    bool known = false;
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++)
        known = known || strncmp(text, starts[i], strlen(starts[i])) == 0;
    if (!known)
        return reason_set(why, XNOR_E_ARGUMENT,
                          "expected ipc:///PATH or tcp://127.0.0.1:PORT, found '%.100s'", text);
    if (strlen(text) >= CONFIG_URL_BYTES)
        return reason_set(why, XNOR_E_ARGUMENT, "expected a URL of at most %d bytes, found %zu",
                          CONFIG_URL_BYTES - 1, strlen(text));
    if (urls->count == CONFIG_MAX_LISTEN)
        return reason_set(why, XNOR_E_ARGUMENT, "expected at most %d URLs", CONFIG_MAX_LISTEN);
    strcpy(urls->url[urls->count++], text);
    return XNOR_OK;
}

xnor_status config_set(struct config *config, const struct config_key *key, const char *text,
                       struct reason *why) {
    char *member = (char *)config + key->offset;
    int64_t number = 0;
    bool valid = false;
    switch (key->type) {
    case CONFIG_NUMBER:
    case CONFIG_OCTAL:
        valid = parse_number(text, key->type == CONFIG_OCTAL ? 8 : 10, key->min, key->max, &number);
        if (valid) memcpy(member, &number, sizeof number);
        break;
    case CONFIG_CHOICE:
        valid = parse_choice(key->choices, text, &number);
        if (valid) memcpy(member, &number, sizeof number);
        break;
    case CONFIG_BOOLEAN: {
        valid = parse_choice(key->choices, text, &number);
        bool flag = number != 0;
        if (valid) memcpy(member, &flag, sizeof flag);
        break;
    }
    case CONFIG_TEXT:
        valid = strlen(text) <= (size_t)key->max;
        if (valid) strcpy(member, text);
        break;
    case CONFIG_URLS:
        valid = false;
        break; // a list, never a scalar
    }
    if (valid) return XNOR_OK;
    char expected[128];
    config_expected(key, expected, sizeof expected);
    return reason_set(why, XNOR_E_ARGUMENT, "%s: expected %s, found '%.60s'", key->path, expected,
                      text);
}

void config_defaults(struct config *config) {
    memset(config, 0, sizeof *config);
    for (size_t i = 0; i < config_key_count; i++) {
        struct reason why;
        if (config_keys[i].type == CONFIG_URLS) continue; // empty
        if (config_set(config, &config_keys[i], config_keys[i].initial, &why) != XNOR_OK) abort();
    }
}

void config_print_keys(FILE *stream) {
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];
        char expected[128];
        config_expected(key, expected, sizeof expected);
        const char *initial = key->initial[0] != '\0' ? key->initial : "\"\"";
        fprintf(stream, "  %s: %s%s%s\n      %s\n      %s\n", key->path, initial,
                key->unit[0] != '\0' ? " " : "", key->unit, key->help, expected);
    }
}
