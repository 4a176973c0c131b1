#include "clients/xnorctl/describe.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "core/text.h"
#include "format/metadata.h"

enum {
    MAX_FILE_BYTES = 1 << 20,
    MAX_TEXT_BYTES = 256,
    MAX_POINTS = 1 << 24,
    DEFAULT_MAX_POINTS = 262144,
};
#define DEFAULT_MIN_SCORE 0.3f // of boxes

typedef enum mapping { ROOT, INPUT, OUTPUT, IMAGE_OUTPUT } mapping;
// What goes in: keys are for one or for both.
typedef enum subject { CLOUD = 1, IMAGE = 2, BOTH = CLOUD | IMAGE } subject;
typedef enum kind {
    TEXT,
    INTEGER,
    LENGTH,
    CELLS,
    CHANNELS,
    TASK,
    INPUT_KIND,
    RESAMPLE,
    NORMALISE,
    OUTPUT_KIND,
    CLASSES,
    PIXELS,
    RESIZE,
    SIDE,
    FLOATS,
    SHARE,
    PALETTE,
    IMAGE_KIND,
    SCORES,
    OUTPUTS,
    MAPPING
} kind;

typedef struct field {
    mapping section;
    const char *key;
    kind kind;
    subject subject;
    bool required;
    size_t offset; // into the description, of IMAGE_OUTPUT into the output; MAPPING: the section
    int64_t count; // INTEGER: the least; FLOATS: how many, at most
} field;

#define AT(member) offsetof(xnor_description, member)
#define OF(member) offsetof(xnor_image_output, member)

static const field fields[] = {
    {ROOT, "name", TEXT, BOTH, true, AT(name), 0},
    {ROOT, "version", TEXT, BOTH, true, AT(version), 0},
    {ROOT, "task", TASK, BOTH, true, 0, 0},
    {ROOT, "input", MAPPING, BOTH, true, INPUT, 0},
    {INPUT, "name", TEXT, BOTH, true, AT(input_name), 0},
    {INPUT, "kind", INPUT_KIND, BOTH, true, 0, 0},
    {INPUT, "points", INTEGER, CLOUD, false, AT(points), 0},
    {INPUT, "max_points", INTEGER, CLOUD, false, AT(max_points), 1},
    {INPUT, "resample", RESAMPLE, CLOUD, false, 0, 0},
    {INPUT, "block", LENGTH, CLOUD, false, AT(block), 0},
    {INPUT, "cells", CELLS, CLOUD, false, 0, 0},
    {INPUT, "scale", LENGTH, CLOUD, false, AT(scale), 0},
    {INPUT, "channels", CHANNELS, CLOUD, false, 0, 0},
    // No default: clouds scaled otherwise than in training give wrong labels, and nothing tells.
    // The same goes for mean, deviation and resize of images.
    {INPUT, "normalise", NORMALISE, CLOUD, true, 0, 0},
    {INPUT, "pixels", PIXELS, IMAGE, true, 0, 0},
    {INPUT, "mean", FLOATS, IMAGE, true, AT(image.mean), 3},
    {INPUT, "deviation", FLOATS, IMAGE, true, AT(image.deviation), 3},
    {INPUT, "width", SIDE, IMAGE, true, AT(image.width), 0},
    {INPUT, "height", SIDE, IMAGE, true, AT(image.height), 0},
    {INPUT, "multiple_of", SIDE, IMAGE, false, AT(image.multiple_of), 0},
    {INPUT, "resize", RESIZE, IMAGE, true, 0, 0},
    {ROOT, "output", MAPPING, CLOUD, true, OUTPUT, 0},
    {OUTPUT, "name", TEXT, CLOUD, true, AT(output_name), 0},
    {OUTPUT, "kind", OUTPUT_KIND, CLOUD, true, 0, 0},
    {ROOT, "classes", CLASSES, CLOUD, true, 0, 0},
    {ROOT, "outputs", OUTPUTS, IMAGE, true, 0, 0},
    {IMAGE_OUTPUT, "name", TEXT, IMAGE, true, OF(name), 0},
    {IMAGE_OUTPUT, "kind", IMAGE_KIND, IMAGE, true, 0, 0},
    {IMAGE_OUTPUT, "port", TEXT, IMAGE, false, OF(port_names[0]), 0},
    {IMAGE_OUTPUT, "heat", TEXT, IMAGE, false, OF(port_names[0]), 0},
    {IMAGE_OUTPUT, "size", TEXT, IMAGE, false, OF(port_names[1]), 0},
    {IMAGE_OUTPUT, "offset", TEXT, IMAGE, false, OF(port_names[2]), 0},
    {IMAGE_OUTPUT, "scores", SCORES, IMAGE, false, 0, 0},
    {IMAGE_OUTPUT, "classes", CLASSES, IMAGE, false, 0, 0},
    {IMAGE_OUTPUT, "palette", PALETTE, IMAGE, false, 0, 0},
    {IMAGE_OUTPUT, "range", FLOATS, IMAGE, false, OF(low), 2},
    {IMAGE_OUTPUT, "min_score", SHARE, IMAGE, false, OF(min_score), 0},
};
_Static_assert(OF(high) == OF(low) + sizeof(float), "range is read into low and high");

enum { FIELDS = sizeof fields / sizeof *fields };

static const char *const prefixes[] = {
    [ROOT] = "", [INPUT] = "input.", [OUTPUT] = "output.", [IMAGE_OUTPUT] = "outputs."};

typedef struct parser {
    yaml_parser_t yaml;
    yaml_event_t event; // the current one
    const char *path;
    xnor_arena *arena;
    xnor_description out;
    xnor_image_output *output; // the one that is being read
    subject subject;           // 0 as long as input.kind has not come
    bool seen[FIELDS];
    uint32_t floats[FIELDS]; // how many there were
    uint32_t colours;
} parser;

static xnor_status fail_at(const parser *p, yaml_mark_t mark, const char *format, ...)
    XNOR_PRINTF(3, 4);

static xnor_status fail_at(const parser *p, yaml_mark_t mark, const char *format, ...) {
    char message[384];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return xnor_fail(XNOR_E_FORMAT, "%s:%zu:%zu: %s", p->path, mark.line + 1, mark.column + 1,
                     message);
}

// ---- events -------------------------------------------------------------------------------------

static xnor_status check_plain(const parser *p, const void *anchor, const void *tag) {
    if (anchor) return fail_at(p, p->event.start_mark, "anchors are not allowed");
    return tag ? fail_at(p, p->event.start_mark, "tags are not allowed") : XNOR_OK;
}

static xnor_status next(parser *p) {
    yaml_event_delete(&p->event);
    if (!yaml_parser_parse(&p->yaml, &p->event)) {
        if (p->yaml.error == YAML_MEMORY_ERROR) return xnor_fail(XNOR_E_MEMORY, "out of memory");
        const char *problem = p->yaml.problem ? p->yaml.problem : "it cannot be read";
        return fail_at(p, p->yaml.problem_mark, "not valid YAML: %s", problem);
    }
    switch (p->event.type) {
    case YAML_ALIAS_EVENT:
        return fail_at(p, p->event.start_mark, "aliases are not allowed");
    case YAML_SCALAR_EVENT:
        return check_plain(p, p->event.data.scalar.anchor, p->event.data.scalar.tag);
    case YAML_SEQUENCE_START_EVENT:
        return check_plain(p, p->event.data.sequence_start.anchor,
                           p->event.data.sequence_start.tag);
    case YAML_MAPPING_START_EVENT:
        return check_plain(p, p->event.data.mapping_start.anchor, p->event.data.mapping_start.tag);
    default:
        return XNOR_OK;
    }
}

static xnor_status expect(parser *p, yaml_event_type_t type, const char *what) {
    XNOR_TRY(next(p));
    return p->event.type == type ? XNOR_OK : fail_at(p, p->event.start_mark, "expected %s", what);
}

// The current scalar; libyaml has checked that it is UTF-8.
static xnor_status scalar(const parser *p, const char *what, const char **out) {
    if (p->event.type != YAML_SCALAR_EVENT)
        return fail_at(p, p->event.start_mark, "%s must be a single value", what);
    const char *text = (const char *)p->event.data.scalar.value;
    size_t size = p->event.data.scalar.length;
    if (size == 0) return fail_at(p, p->event.start_mark, "%s is empty", what);
    if (size > MAX_TEXT_BYTES)
        return fail_at(p, p->event.start_mark, "%s has %zu bytes, at most %d are allowed", what,
                       size, MAX_TEXT_BYTES);
    if (!xnor_text_valid(text, size))
        return fail_at(p, p->event.start_mark, "%s contains control characters", what);
    *out = text;
    return XNOR_OK;
}

static xnor_status copy_text(parser *p, const char *what, const char **out) {
    const char *text;
    XNOR_TRY(scalar(p, what, &text));
    *out = xnor_arena_string(p->arena, text);
    return *out ? XNOR_OK : xnor_fail(XNOR_E_MEMORY, "out of memory");
}

// ---- values -------------------------------------------------------------------------------------

static xnor_status read_integer(parser *p, const char *what, int64_t min, int64_t max,
                                int64_t *out) {
    const char *text;
    char *end;
    XNOR_TRY(scalar(p, what, &text));
    errno = 0;
    long long value = strtoll(text, &end, 10);
    bool is_number = (*text >= '0' && *text <= '9') && *end == '\0' && errno == 0;
    if (!is_number || value < min || value > max)
        return fail_at(p, p->event.start_mark,
                       "%s must be a whole number from %lld to %lld, found '%s'", what,
                       (long long)min, (long long)max, text);
    *out = value;
    return XNOR_OK;
}

static bool parse_float(const char *text, float *out) {
    char *end;
    const float value = strtof(text, &end);
    const bool is_number = strspn(text, "+-.0123456789eE") == strlen(text) && *end == '\0';
    if (is_number) *out = value;
    return is_number && value - value == 0;
}

static xnor_status read_floats(parser *p, const char *what, const field *f, float *out) {
    uint32_t *count = &p->floats[f - fields];
    if (p->event.type != YAML_SEQUENCE_START_EVENT)
        return fail_at(p, p->event.start_mark, "%s must be a list of numbers", what);
    for (*count = 0;; ++*count) {
        const char *text = NULL;
        XNOR_TRY(next(p));
        if (p->event.type == YAML_SEQUENCE_END_EVENT) return XNOR_OK;
        XNOR_TRY(scalar(p, what, &text));
        if (*count == (uint32_t)f->count)
            return fail_at(p, p->event.start_mark, "%s has at most %lld numbers", what,
                           (long long)f->count);
        if (!parse_float(text, &out[*count]))
            return fail_at(p, p->event.start_mark, "%s must be numbers, found '%s'", what, text);
    }
}

static xnor_status read_palette(parser *p, const char *what) {
    if (p->event.type != YAML_SEQUENCE_START_EVENT)
        return fail_at(p, p->event.start_mark, "%s must be a list of colours", what);
    uint32_t *palette = xnor_arena_alloc(p->arena, XNOR_MAX_IMAGE_CLASSES * sizeof *palette);
    if (!palette) return xnor_fail(XNOR_E_MEMORY, "out of memory");
    p->output->palette = palette;
    for (p->colours = 0;; p->colours++) {
        const char *text = NULL;
        XNOR_TRY(next(p));
        if (p->event.type == YAML_SEQUENCE_END_EVENT) return XNOR_OK;
        XNOR_TRY(scalar(p, what, &text));
        if (p->colours == XNOR_MAX_IMAGE_CLASSES)
            return fail_at(p, p->event.start_mark, "more than %d colours", XNOR_MAX_IMAGE_CLASSES);
        if (strlen(text) != 7 || *text != '#' || strspn(text + 1, "0123456789abcdefABCDEF") != 6)
            return fail_at(p, p->event.start_mark, "a colour must be \"#rrggbb\", found '%s'",
                           text);
        palette[p->colours] = (uint32_t)strtoul(text + 1, NULL, 16);
    }
}

// Metres, kept as float32 so that everybody who reads the file divides by the same number.
static xnor_status read_length(parser *p, const char *what, float *out) {
    const char *text;
    char *end;
    XNOR_TRY(scalar(p, what, &text));
    const float value = strtof(text, &end);
    const bool is_number = (*text >= '0' && *text <= '9') && *end == '\0';
    if (!is_number || !(value >= XNOR_MIN_LENGTH && value <= XNOR_MAX_LENGTH))
        return fail_at(p, p->event.start_mark,
                       "%s must be a number of metres from %g to %g, found '%s'", what,
                       (double)XNOR_MIN_LENGTH, (double)XNOR_MAX_LENGTH, text);
    *out = value;
    return XNOR_OK;
}

static xnor_status wrong_choice(const parser *p, const char *what, const char *choices,
                                const char *found) {
    return fail_at(p, p->event.start_mark, "%s must be %s, found '%s'", what, choices, found);
}

static xnor_status read_channels(parser *p) {
    if (p->event.type != YAML_SEQUENCE_START_EVENT)
        return fail_at(p, p->event.start_mark, "input.channels must be a list of names");
    for (uint32_t count = 0;;) {
        const char *text = NULL;
        XNOR_TRY(next(p));
        if (p->event.type == YAML_SEQUENCE_END_EVENT) return XNOR_OK;
        XNOR_TRY(scalar(p, "a channel", &text));
        if (count == XNOR_MAX_CHANNELS)
            return fail_at(p, p->event.start_mark, "more than %d channels", XNOR_MAX_CHANNELS);
        if (!xnor_channel_find(text, &p->out.channels[count]))
            return wrong_choice(p, "a channel",
                                "x, y, z, height, cell_height, cell_low, cell_top or cell_storey",
                                text);
        p->out.channel_count = ++count;
    }
}

// Of the description, or of an output of images.
static xnor_status read_classes(parser *p, mapping section) {
    const uint32_t most = section == ROOT ? XNOR_MAX_CLASSES : XNOR_MAX_IMAGE_CLASSES;
    if (p->event.type != YAML_SEQUENCE_START_EVENT)
        return fail_at(p, p->event.start_mark, "classes must be a list of names");
    const yaml_mark_t begin = p->event.start_mark;
    const char **classes = xnor_arena_alloc(p->arena, XNOR_MAX_CLASSES * sizeof *classes);
    if (!classes) return xnor_fail(XNOR_E_MEMORY, "out of memory");
    uint32_t count = 0;
    for (;;) {
        XNOR_TRY(next(p));
        if (p->event.type == YAML_SEQUENCE_END_EVENT) break;
        if (count == most) return fail_at(p, p->event.start_mark, "more than %u classes", most);
        XNOR_TRY(copy_text(p, "a class", &classes[count]));
        for (uint32_t i = 0; i < count; i++)
            if (strcmp(classes[i], classes[count]) == 0)
                return fail_at(p, p->event.start_mark, "class '%s' is listed twice", classes[i]);
        count++;
    }
    if (count == 0) return fail_at(p, begin, "classes must not be empty");
    *(section == ROOT ? &p->out.classes : &p->output->classes) = classes;
    *(section == ROOT ? &p->out.class_count : &p->output->class_count) = count;
    return XNOR_OK;
}

static xnor_status read_mapping(parser *p, mapping section);
static xnor_status read_outputs(parser *p);

static xnor_status read_value(parser *p, const field *f) {
    char what[64];
    const char *text = NULL;
    int64_t cells = 0;
    char *base = f->section == IMAGE_OUTPUT ? (char *)p->output : (char *)&p->out;
    snprintf(what, sizeof what, "%s%s", prefixes[f->section], f->key);
    XNOR_TRY(next(p));
    switch (f->kind) {
    case TEXT:
        return copy_text(p, what, (const char **)(void *)(base + f->offset));
    case INTEGER:
        return read_integer(p, what, f->count, MAX_POINTS, (int64_t *)(void *)(base + f->offset));
    case CELLS:
        XNOR_TRY(read_integer(p, what, 1, XNOR_MAX_CELLS, &cells));
        p->out.cells = (uint32_t)cells;
        return XNOR_OK;
    case CHANNELS:
        return read_channels(p);
    case LENGTH:
        return read_length(p, what, (float *)(void *)(base + f->offset));
    case RESAMPLE:
        XNOR_TRY(scalar(p, what, &text));
        if (xnor_resample_find(text, &p->out.resample)) return XNOR_OK;
        return wrong_choice(p, what, "stride or farthest", text);
    case NORMALISE:
        XNOR_TRY(scalar(p, what, &text));
        if (xnor_normalise_find(text, &p->out.normalise)) return XNOR_OK;
        return wrong_choice(p, what, "unit_sphere, block or none", text);
    case CLASSES:
        return read_classes(p, f->section);
    case PIXELS:
        XNOR_TRY(scalar(p, what, &text));
        if (xnor_pixels_find(text, &p->out.image.pixels)) return XNOR_OK;
        return wrong_choice(p, what, "rgb, bgr or grey", text);
    case RESIZE:
        XNOR_TRY(scalar(p, what, &text));
        if (xnor_resize_find(text, &p->out.image.resize)) return XNOR_OK;
        return wrong_choice(p, what, "stretch or fit", text);
    case SIDE:
        return read_integer(p, what, 1, XNOR_MAX_IMAGE_SIDE, (int64_t *)(void *)(base + f->offset));
    case FLOATS:
        return read_floats(p, what, f, (float *)(void *)(base + f->offset));
    case SHARE:
        XNOR_TRY(scalar(p, what, &text));
        if (parse_float(text, (float *)(void *)(base + f->offset))) return XNOR_OK;
        return wrong_choice(p, what, "a number from 0 to 1", text);
    case PALETTE:
        return read_palette(p, what);
    case IMAGE_KIND:
        XNOR_TRY(scalar(p, what, &text));
        if (xnor_image_kind_find(text, &p->output->kind)) return XNOR_OK;
        return wrong_choice(p, what, "segmentation, depth, normals, edges, boxes or raw", text);
    case SCORES:
        XNOR_TRY(scalar(p, what, &text));
        if (xnor_output_kind_find(text, &p->output->scores)) return XNOR_OK;
        return wrong_choice(p, what, "logits, probabilities or log_probabilities", text);
    case OUTPUTS:
        return read_outputs(p);
    case MAPPING:
        return read_mapping(p, (mapping)f->offset);
    case TASK:
        XNOR_TRY(scalar(p, what, &text));
        if (xnor_task_find(text, &p->out.task)) return XNOR_OK;
        return wrong_choice(p, what, "classification, segmentation or image", text);
    case INPUT_KIND:
        XNOR_TRY(scalar(p, what, &text));
        if (strcmp(text, "cloud") == 0) p->subject = CLOUD;
        if (strcmp(text, "image") == 0) p->subject = IMAGE;
        return p->subject ? XNOR_OK : wrong_choice(p, what, "cloud or image", text);
    case OUTPUT_KIND:
        XNOR_TRY(scalar(p, what, &text));
        if (xnor_output_kind_find(text, &p->out.output_kind)) return XNOR_OK;
        return wrong_choice(p, what, "log_probabilities, logits, probabilities or raw", text);
    }
    return XNOR_OK;
}

static const field *find_field(mapping section, const char *key) {
    for (size_t i = 0; i < FIELDS; i++)
        if (fields[i].section == section && strcmp(fields[i].key, key) == 0) return &fields[i];
    return NULL;
}

// Calls itself for the inner mappings of the schema, which hold no further ones.
static xnor_status read_mapping(parser *p, mapping section) {
    const yaml_mark_t begin = p->event.start_mark;
    if (p->event.type != YAML_MAPPING_START_EVENT)
        return fail_at(p, begin, "expected keys and values");
    for (;;) {
        const char *key;
        XNOR_TRY(next(p));
        if (p->event.type == YAML_MAPPING_END_EVENT) break;
        XNOR_TRY(scalar(p, "a key", &key));
        const field *f = find_field(section, key);
        if (!f)
            return fail_at(p, p->event.start_mark, "unknown key '%s%s'", prefixes[section], key);
        if (p->seen[f - fields])
            return fail_at(p, p->event.start_mark, "key '%s%s' is given twice", prefixes[section],
                           key);
        p->seen[f - fields] = true;
        XNOR_TRY(read_value(p, f));
    }
    for (size_t i = 0; i < FIELDS; i++) {
        const field *f = &fields[i];
        const bool fits = p->subject == 0 || (f->subject & p->subject) != 0;
        if (f->section != section) continue;
        if (f->required && fits && !p->seen[i])
            return fail_at(p, begin, "key '%s%s' is missing", prefixes[section], f->key);
        if (!fits && p->seen[i])
            return fail_at(p, begin, "key '%s%s' is for %s", prefixes[section], f->key,
                           f->subject == CLOUD ? "clouds" : "images");
    }
    return XNOR_OK;
}

static bool has(const parser *p, const char *key) {
    return p->seen[find_field(IMAGE_OUTPUT, key) - fields];
}

static xnor_status finish_output(parser *p, yaml_mark_t begin) {
    xnor_image_output *o = p->output;
    const bool boxes = o->kind == XNOR_IMAGE_BOXES;
    if (boxes && !(has(p, "heat") && has(p, "size") && has(p, "offset")))
        return fail_at(p, begin, "boxes need the keys 'heat', 'size' and 'offset'");
    if (has(p, boxes ? "port" : "heat") || (!boxes && (has(p, "size") || has(p, "offset"))))
        return fail_at(p, begin,
                       "the keys 'heat', 'size' and 'offset' are for boxes, 'port' is not");
    if (!boxes && !has(p, "port")) o->port_names[0] = o->name;
    o->port_count = boxes ? 3 : 1;
    if (boxes && !has(p, "min_score")) o->min_score = DEFAULT_MIN_SCORE;
    if (has(p, "palette") && p->colours != o->class_count)
        return fail_at(p, begin, "%u colours for %u classes", p->colours, o->class_count);
    if (has(p, "range") && p->floats[find_field(IMAGE_OUTPUT, "range") - fields] != 2)
        return fail_at(p, begin, "outputs.range must be two numbers of metres");
    return XNOR_OK;
}

static xnor_status read_outputs(parser *p) {
    if (p->event.type != YAML_SEQUENCE_START_EVENT)
        return fail_at(p, p->event.start_mark, "outputs must be a list");
    p->out.image_outputs =
        xnor_arena_alloc(p->arena, XNOR_MAX_PORTS * sizeof *p->out.image_outputs);
    if (!p->out.image_outputs) return xnor_fail(XNOR_E_MEMORY, "out of memory");
    for (;;) {
        XNOR_TRY(next(p));
        if (p->event.type == YAML_SEQUENCE_END_EVENT) return XNOR_OK;
        const yaml_mark_t begin = p->event.start_mark;
        if (p->out.image_output_count == XNOR_MAX_PORTS)
            return fail_at(p, begin, "more than %d outputs", XNOR_MAX_PORTS);
        p->output = &p->out.image_outputs[p->out.image_output_count++];
        for (size_t i = 0; i < FIELDS; i++)
            if (fields[i].section == IMAGE_OUTPUT) p->seen[i] = false;
        XNOR_TRY(read_mapping(p, IMAGE_OUTPUT));
        XNOR_TRY(finish_output(p, begin));
    }
}

static xnor_status check_subject(const parser *p, yaml_mark_t begin) {
    const uint32_t channels = p->out.image.pixels == XNOR_PIXELS_GREY ? 1 : 3;
    if ((p->subject == IMAGE) != (p->out.task == XNOR_TASK_IMAGE))
        return fail_at(p, begin, "task: image goes with input.kind: image");
    if (p->subject == IMAGE && (p->floats[find_field(INPUT, "mean") - fields] != channels ||
                                p->floats[find_field(INPUT, "deviation") - fields] != channels))
        return fail_at(p, begin, "input.mean and input.deviation need %u numbers", channels);
    return XNOR_OK;
}

// ---- documents ----------------------------------------------------------------------------------

static xnor_status read_document(parser *p) {
    XNOR_TRY(expect(p, YAML_STREAM_START_EVENT, "text"));
    XNOR_TRY(expect(p, YAML_DOCUMENT_START_EVENT, "a model description, the file is empty"));
    XNOR_TRY(next(p));
    const yaml_mark_t begin = p->event.start_mark;
    XNOR_TRY(read_mapping(p, ROOT));
    XNOR_TRY(check_subject(p, begin));
    xnor_description_default_channels(&p->out);
    const char *flaw = xnor_description_flaw(&p->out);
    if (flaw) return fail_at(p, begin, "%s", flaw);
    if (p->out.max_points == 0 && p->subject == CLOUD)
        p->out.max_points = p->out.task == XNOR_TASK_SEGMENTATION ? MAX_POINTS : DEFAULT_MAX_POINTS;
    XNOR_TRY(expect(p, YAML_DOCUMENT_END_EVENT, "the end of the description"));
    return expect(p, YAML_STREAM_END_EVENT, "one document only");
}

xnor_status describe_read(const char *path, const char *text, size_t size, xnor_arena *arena,
                          xnor_description *out) {
    parser p = {.path = path, .arena = arena};
    if (!yaml_parser_initialize(&p.yaml)) return xnor_fail(XNOR_E_MEMORY, "out of memory");
    yaml_parser_set_input_string(&p.yaml, (const unsigned char *)text, size);
    xnor_status status = read_document(&p);
    yaml_event_delete(&p.event);
    yaml_parser_delete(&p.yaml);
    if (status == XNOR_OK) *out = p.out;
    return status;
}

xnor_status describe_read_file(const char *path, xnor_arena *arena, xnor_description *out) {
    FILE *file = fopen(path, "rb");
    if (!file) return xnor_fail(XNOR_E_IO, "%s: %s", path, strerror(errno));
    xnor_status status;
    char *text = malloc(MAX_FILE_BYTES + 1);
    size_t size = text ? fread(text, 1, MAX_FILE_BYTES + 1, file) : 0;
    if (!text)
        status = xnor_fail(XNOR_E_MEMORY, "out of memory");
    else if (ferror(file))
        status = xnor_fail(XNOR_E_IO, "%s: %s", path, strerror(errno));
    else if (size > MAX_FILE_BYTES)
        status = xnor_fail(XNOR_E_LIMIT, "%s: more than %d bytes", path, MAX_FILE_BYTES);
    else
        status = describe_read(path, text, size, arena, out);
    free(text);
    fclose(file);
    return status;
}
