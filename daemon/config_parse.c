// Reads the configuration file with libyaml's event API. Iterative, bounded, and strict: what the
// key table does not know is an error with its place, because a setting that is silently ignored on
// a vehicle is a setting that fails in the field.
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>

#define PATH_BYTES 128
#define MAX_SECTIONS 32

struct parse {
    struct config *config;
    const char *file;
    struct reason *why;
    yaml_parser_t yaml;
    yaml_event_t event;
    char path[PATH_BYTES];                   // of the mapping or key being read, "section.key"
    size_t lengths[CONFIG_MAX_DEPTH];        // of `path` at each open mapping
    uint32_t depth;                          // open mappings
    char sections[MAX_SECTIONS][PATH_BYTES]; // already read, to find duplicates
    uint32_t section_count;
    bool seen[64]; // keys already read, by index in the table
};

static xnor_status fail_at(struct parse *parse, const yaml_mark_t *mark, const char *text) {
    return reason_set(parse->why, XNOR_E_FORMAT, "%s:%zu:%zu: %s", parse->file, mark->line + 1,
                      mark->column + 1, text);
}

// Fetches the next event into parse->event. Everything that has no place in a flat settings file is
// refused here, before anything looks at it.
static xnor_status next(struct parse *parse) {
    yaml_event_delete(&parse->event);
    if (yaml_parser_parse(&parse->yaml, &parse->event) != 1) {
        char text[160];
        snprintf(text, sizeof text, "%s%s%s",
                 parse->yaml.problem ? parse->yaml.problem : "not YAML",
                 parse->yaml.context ? " " : "", parse->yaml.context ? parse->yaml.context : "");
        return fail_at(parse, &parse->yaml.problem_mark, text);
    }
    const yaml_event_t *event = &parse->event;
    bool anchor = false, tag = false;
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return fail_at(parse, &event->start_mark, "aliases are not allowed");
    case YAML_SCALAR_EVENT:
        anchor = event->data.scalar.anchor != NULL;
        tag = event->data.scalar.tag != NULL;
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = event->data.sequence_start.anchor != NULL;
        tag = event->data.sequence_start.tag != NULL;
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = event->data.mapping_start.anchor != NULL;
        tag = event->data.mapping_start.tag != NULL;
        break;
    default:
        break;
    }
    if (anchor) return fail_at(parse, &event->start_mark, "anchors are not allowed");
    if (tag) return fail_at(parse, &event->start_mark, "tags are not allowed");
    return XNOR_OK;
}

static const char *scalar_text(const yaml_event_t *event) {
    return (const char *)event->data.scalar.value;
}

// A scalar may hold zero bytes ("\0" in double quotes); as C text it would be silently cut.
static bool scalar_is_text(const yaml_event_t *event) {
    return strlen(scalar_text(event)) == event->data.scalar.length;
}

static const struct config_key *find_key(const char *path) {
    for (size_t i = 0; i < config_key_count; i++)
        if (strcmp(config_keys[i].path, path) == 0) return &config_keys[i];
    return NULL;
}

static bool is_section(const char *path) {
    size_t length = strlen(path);
    for (size_t i = 0; i < config_key_count; i++)
        if (strncmp(config_keys[i].path, path, length) == 0 && config_keys[i].path[length] == '.')
            return true;
    return false;
}

// Names what would have been accepted beside the unknown key.
static xnor_status fail_unknown(struct parse *parse, size_t parent) {
    char text[200];
    size_t length =
        (size_t)snprintf(text, sizeof text, "unknown key '%.60s', expected one of", parse->path);
    const char *previous = "";
    for (size_t i = 0; i < config_key_count; i++) {
        const char *path = config_keys[i].path;
        if (strncmp(path, parse->path, parent) != 0) continue;
        const char *name = path + parent;
        size_t size = strcspn(name, ".");
        if (strncmp(name, previous, size) == 0 && previous[size] == '.') continue;
        previous = name;
        if (length < sizeof text)
            length +=
                (size_t)snprintf(text + length, sizeof text - length, " %.*s", (int)size, name);
    }
    return fail_at(parse, &parse->event.start_mark, text);
}

static xnor_status enter_section(struct parse *parse, const yaml_mark_t *mark) {
    if (parse->depth == CONFIG_MAX_DEPTH) return fail_at(parse, mark, "nested too deeply");
    for (uint32_t i = 0; i < parse->section_count; i++)
        if (strcmp(parse->sections[i], parse->path) == 0)
            return fail_at(parse, mark, "this section appeared before");
    if (parse->section_count == MAX_SECTIONS) return fail_at(parse, mark, "too many sections");
    strcpy(parse->sections[parse->section_count++], parse->path);
    parse->lengths[parse->depth++] = strlen(parse->path);
    return XNOR_OK;
}

static xnor_status read_list(struct parse *parse, struct config_urls *urls) {
    urls->count = 0;
    for (;;) {
        xnor_status status = next(parse);
        if (status != XNOR_OK) return status;
        if (parse->event.type == YAML_SEQUENCE_END_EVENT) return XNOR_OK;
        struct reason why;
        if (parse->event.type != YAML_SCALAR_EVENT || !scalar_is_text(&parse->event))
            return fail_at(parse, &parse->event.start_mark, "expected a URL");
        if (config_add_url(urls, scalar_text(&parse->event), &why) != XNOR_OK)
            return fail_at(parse, &parse->event.start_mark, why.text);
    }
}

static xnor_status read_value(struct parse *parse, const struct config_key *key) {
    const yaml_event_t *event = &parse->event;
    struct reason why;
    bool list = event->type == YAML_SEQUENCE_START_EVENT;
    if (list && key->type == CONFIG_URLS)
        return read_list(parse,
                         (struct config_urls *)(void *)((char *)parse->config + key->offset));
    if (event->type != YAML_SCALAR_EVENT || key->type == CONFIG_URLS || !scalar_is_text(event)) {
        char expected[128], text[200];
        config_expected(key, expected, sizeof expected);
        snprintf(text, sizeof text, "%s: expected %s", key->path, expected);
        return fail_at(parse, &event->start_mark, text);
    }
    if (config_set(parse->config, key, scalar_text(event), &why) != XNOR_OK)
        return fail_at(parse, &event->start_mark, why.text);
    return XNOR_OK;
}

// The current event is a key inside the innermost mapping; reads it and its value, or opens the
// section it names.
static xnor_status read_pair(struct parse *parse) {
    size_t parent = parse->lengths[parse->depth - 1];
    if (parse->event.type != YAML_SCALAR_EVENT || !scalar_is_text(&parse->event))
        return fail_at(parse, &parse->event.start_mark, "expected a key");
    parse->path[parent] = '\0';
    if (parent > 0) parse->path[parent++] = '.';
    size_t room = PATH_BYTES - parent;
    snprintf(parse->path + parent, room, "%.*s", (int)room - 1, scalar_text(&parse->event));

    const struct config_key *key = find_key(parse->path);
    yaml_mark_t mark = parse->event.start_mark;
    if (key == NULL && !is_section(parse->path)) return fail_unknown(parse, parent);
    if (key != NULL) {
        bool *seen = &parse->seen[key - config_keys];
        if (*seen) return fail_at(parse, &mark, "this key appeared before");
        *seen = true;
    }
    xnor_status status = next(parse);
    if (status != XNOR_OK) return status;
    if (key != NULL) return read_value(parse, key);
    if (parse->event.type != YAML_MAPPING_START_EVENT)
        return fail_at(parse, &parse->event.start_mark, "expected a section with indented keys");
    return enter_section(parse, &mark);
}

static xnor_status read_document(struct parse *parse) {
    xnor_status status = next(parse);
    if (status != XNOR_OK) return status;
    if (parse->event.type != YAML_MAPPING_START_EVENT)
        return fail_at(parse, &parse->event.start_mark, "expected 'key: value' lines");
    parse->path[0] = '\0';
    parse->lengths[parse->depth++] = 0;
    while (parse->depth > 0) {
        status = next(parse);
        if (status != XNOR_OK) return status;
        if (parse->event.type == YAML_MAPPING_END_EVENT)
            parse->depth--;
        else
            status = read_pair(parse);
        if (status != XNOR_OK) return status;
    }
    return next(parse); // end of the document
}

static xnor_status read_stream(struct parse *parse) {
    xnor_status status = next(parse); // start of the stream
    if (status == XNOR_OK) status = next(parse);
    if (status != XNOR_OK || parse->event.type == YAML_STREAM_END_EVENT) return status;
    status = read_document(parse);
    if (status == XNOR_OK) status = next(parse);
    if (status != XNOR_OK || parse->event.type == YAML_STREAM_END_EVENT) return status;
    return fail_at(parse, &parse->event.start_mark, "expected one document only");
}

xnor_status config_parse(struct config *config, const char *path, const void *data, size_t size,
                         struct reason *why) {
    struct parse parse = {.config = config, .file = path, .why = why};
    if (config_key_count > sizeof parse.seen / sizeof parse.seen[0]) abort();
    if (yaml_parser_initialize(&parse.yaml) != 1)
        return reason_set(why, XNOR_E_MEMORY, "%s: out of memory", path);
    yaml_parser_set_input_string(&parse.yaml, data, size);
    xnor_status status = read_stream(&parse);
    yaml_event_delete(&parse.event);
    yaml_parser_delete(&parse.yaml);
    return status;
}

xnor_status config_read(struct config *config, const char *path, struct reason *why) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return reason_set(why, errno == ENOENT ? XNOR_E_NOT_FOUND : XNOR_E_IO, "%s: %s", path,
                          strerror(errno));
    char *data = malloc(CONFIG_MAX_FILE_BYTES + 1);
    xnor_status status = XNOR_OK;
    size_t size = 0;
    if (data == NULL) status = reason_set(why, XNOR_E_MEMORY, "%s: out of memory", path);
    while (status == XNOR_OK && size <= CONFIG_MAX_FILE_BYTES) {
        ssize_t got = read(fd, data + size, CONFIG_MAX_FILE_BYTES + 1 - size);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) status = reason_set(why, XNOR_E_IO, "%s: %s", path, strerror(errno));
        if (got <= 0) break;
        size += (size_t)got;
    }
    if (status == XNOR_OK && size > CONFIG_MAX_FILE_BYTES)
        status = reason_set(why, XNOR_E_LIMIT, "%s: expected at most %d bytes", path,
                            CONFIG_MAX_FILE_BYTES);
    if (status == XNOR_OK) status = config_parse(config, path, data, size, why);
    free(data);
    close(fd);
    return status;
}
