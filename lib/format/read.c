#include <string.h>

#include "core/crc32c.h"
#include "core/size.h"
#include "format/format.h"
#include "format/layout.h"
#include "format/metadata.h"
#include "format/sections.h"

static const char *section_name(uint32_t kind) {
    static const char *const names[XNOR_SECTION_END] = {
#define NAME(id, number, text) [number] = text,
        XNOR_SECTION_TABLE(NAME)
#undef NAME
    };
    return kind < XNOR_SECTION_END ? names[kind] : NULL;
}

bool xnor_bytes_are_zero(const uint8_t *data, size_t size) {
    uint8_t any = 0;
    for (size_t i = 0; i < size; i++) any |= data[i];
    return any == 0;
}

// The fuzzer builds files that get past the checksums, to reach what lies behind them.
static bool crc_matches(uint32_t expected, const void *data, size_t size) {
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
    (void)expected, (void)data, (void)size;
    return true;
#else
    return expected == xnor_crc32c(0, data, size);
#endif
}

static xnor_status check_header(const uint8_t *data, size_t size, xnor_file_header *header) {
    size_t magic_bytes = sizeof header->magic;
    if (memcmp(data, XNOR_FORMAT_MAGIC, size < magic_bytes ? size : magic_bytes) != 0)
        return xnor_fail(XNOR_E_FORMAT, "header: this is not a .xnor file");
    if (size < sizeof *header)
        return xnor_fail(XNOR_E_FORMAT,
                         "header: expected %zu bytes, found %zu: the file is truncated",
                         sizeof *header, size);
    memcpy(header, data, sizeof *header);
    if (header->byte_order != XNOR_FORMAT_BYTE_ORDER)
        return xnor_fail(XNOR_E_FORMAT, "header: byte order mark is 0x%08x, expected 0x%08x",
                         header->byte_order, XNOR_FORMAT_BYTE_ORDER);
    if (header->version != XNOR_FORMAT_VERSION)
        return xnor_fail(XNOR_E_FORMAT,
                         "header: format version is %u, this program reads version %d",
                         header->version, XNOR_FORMAT_VERSION);
    if (!crc_matches(header->header_crc, data, offsetof(xnor_file_header, header_crc)))
        return xnor_fail(XNOR_E_FORMAT, "header: checksum mismatch");
    if (!xnor_bytes_are_zero(header->reserved, sizeof header->reserved))
        return xnor_fail(XNOR_E_FORMAT, "header: reserved bytes are not 0");
    if (header->section_count == 0 || header->section_count >= XNOR_SECTION_END)
        return xnor_fail(XNOR_E_FORMAT, "header: expected 1 to %d sections, found %u",
                         XNOR_SECTION_END - 1, header->section_count);
    return XNOR_OK;
}

// Kinds ascend, and each section begins at the first aligned byte after the one before: so sections
// cannot overlap, and no byte of the file lies outside all checks.
static xnor_status check_table(const uint8_t *data, size_t size, const xnor_file_header *header,
                               xnor_file_section *sections) {
    size_t table_bytes = header->section_count * sizeof *sections;
    size_t end = sizeof *header + table_bytes;
    if (size < end)
        return xnor_fail(XNOR_E_FORMAT, "section table: the file is truncated: %zu of %llu bytes",
                         size, (unsigned long long)header->file_bytes);
    if (!crc_matches(header->table_crc, data + sizeof *header, table_bytes))
        return xnor_fail(XNOR_E_FORMAT, "section table: checksum mismatch");
    memcpy(sections, data + sizeof *header, table_bytes);
    uint32_t kind_before = 0;
    for (uint32_t i = 0; i < header->section_count; i++) {
        const xnor_file_section *section = &sections[i];
        const char *name = section_name(section->kind);
        if (!name || section->kind <= kind_before)
            return xnor_fail(XNOR_E_FORMAT, "section table: entry %u has unexpected kind %u", i,
                             section->kind);
        kind_before = section->kind;
        size_t begin = xnor_align_up(end, XNOR_FORMAT_ALIGNMENT);
        if (section->offset != begin)
            return xnor_fail(XNOR_E_FORMAT, "section table: '%s' begins at %llu, expected %zu",
                             name, (unsigned long long)section->offset, begin);
        if (section->offset > size || section->length > size - section->offset)
            return xnor_fail(
                XNOR_E_FORMAT,
                "section '%s': %llu bytes at %llu exceed the file, which has %zu of %llu "
                "bytes",
                name, (unsigned long long)section->length, (unsigned long long)section->offset,
                size, (unsigned long long)header->file_bytes);
        if (!xnor_bytes_are_zero(data + end, begin - end))
            return xnor_fail(XNOR_E_FORMAT, "section '%s': the padding before it is not 0", name);
        end = begin + (size_t)section->length;
    }
    if (header->file_bytes != end || size != end)
        return xnor_fail(
            XNOR_E_FORMAT,
            "header: sections end at %zu, the header says %llu, the file has %zu bytes", end,
            (unsigned long long)header->file_bytes, size);
    return XNOR_OK;
}

static xnor_status check_sections(const uint8_t *data, const xnor_file_header *header,
                                  const xnor_file_section *sections, xnor_bytes *found) {
    for (uint32_t i = 0; i < header->section_count; i++) {
        const xnor_file_section *section = &sections[i];
        xnor_bytes bytes = {data + section->offset, (size_t)section->length};
        if (!crc_matches(section->crc, bytes.data, bytes.size))
            return xnor_fail(XNOR_E_FORMAT, "section '%s': checksum mismatch",
                             section_name(section->kind));
        found[section->kind] = bytes;
    }
    static const struct {
        xnor_section kind;
        size_t max_bytes;
    } mandatory[] = {{XNOR_SECTION_METADATA, XNOR_FORMAT_MAX_METADATA_BYTES},
                     {XNOR_SECTION_GRAPH, XNOR_FORMAT_MAX_GRAPH_BYTES},
                     {XNOR_SECTION_CONSTANTS, SIZE_MAX}};
    for (size_t i = 0; i < sizeof mandatory / sizeof *mandatory; i++) {
        const char *name = section_name(mandatory[i].kind);
        xnor_bytes bytes = found[mandatory[i].kind];
        if (!bytes.data) return xnor_fail(XNOR_E_FORMAT, "section '%s': missing", name);
        if (bytes.size > mandatory[i].max_bytes)
            return xnor_fail(XNOR_E_FORMAT,
                             "section '%s': at most %zu bytes are allowed, found %zu", name,
                             mandatory[i].max_bytes, bytes.size);
    }
    return XNOR_OK;
}

static bool has_port(const xnor_graph *graph, const xnor_value_id *ids, uint32_t count,
                     const char *name) {
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(graph->values[ids[i]].name, name) == 0) return true;
    return false;
}

static xnor_status check_output(const xnor_graph *graph, const char *name) {
    if (has_port(graph, graph->outputs, graph->output_count, name)) return XNOR_OK;
    return xnor_fail(XNOR_E_FORMAT, "section 'metadata': the graph has no output '%s'", name);
}

static xnor_status check_description(const xnor_description *description, const xnor_graph *graph) {
    if (description->task == XNOR_TASK_NONE) return XNOR_OK;
    if (!has_port(graph, graph->inputs, graph->input_count, description->input_name))
        return xnor_fail(XNOR_E_FORMAT, "section 'metadata': the graph has no input '%s'",
                         description->input_name);
    if (description->task != XNOR_TASK_IMAGE) return check_output(graph, description->output_name);
    for (uint32_t i = 0; i < description->image_output_count; i++)
        for (uint32_t k = 0; k < description->image_outputs[i].port_count; k++)
            XNOR_TRY(check_output(graph, description->image_outputs[i].port_names[k]));
    return XNOR_OK;
}

static xnor_status read_sections(const xnor_bytes *sections, xnor_contents *out) {
    uint8_t *is_constant;
    XNOR_TRY(xnor_section_read_graph(sections[XNOR_SECTION_GRAPH], &out->graph, &is_constant));
    XNOR_TRY(
        xnor_section_read_constants(sections[XNOR_SECTION_CONSTANTS], is_constant, &out->graph));
    xnor_bytes metadata = sections[XNOR_SECTION_METADATA];
    XNOR_TRY(
        xnor_metadata_read(metadata.data, metadata.size, &out->graph.arena, &out->description));
    XNOR_TRY(check_description(&out->description, &out->graph));
    if (sections[XNOR_SECTION_GOLDEN].data)
        XNOR_TRY(xnor_section_read_golden(sections[XNOR_SECTION_GOLDEN], out));
    return XNOR_OK;
}

xnor_status xnor_format_read(const void *data, size_t size, xnor_contents *out) {
    if ((uintptr_t)data % XNOR_FORMAT_ALIGNMENT != 0)
        return xnor_fail(XNOR_E_ARGUMENT, "a model file must lie at an address that %d divides",
                         XNOR_FORMAT_ALIGNMENT);
    xnor_file_header header = {0};
    xnor_file_section sections[XNOR_SECTION_END] = {{0}};
    xnor_bytes found[XNOR_SECTION_END] = {{NULL, 0}};
    XNOR_TRY(check_header(data, size, &header));
    XNOR_TRY(check_table(data, size, &header, sections));
    XNOR_TRY(check_sections(data, &header, sections, found));
    xnor_contents contents = {0};
    xnor_graph_init(&contents.graph);
    xnor_status status = read_sections(found, &contents);
    if (status == XNOR_OK)
        *out = contents;
    else
        xnor_graph_free(&contents.graph);
    return status;
}
