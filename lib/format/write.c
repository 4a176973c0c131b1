#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/crc32c.h"
#include "core/tensor.h"
#include "format/buffer.h"
#include "format/format.h"
#include "format/layout.h"
#include "format/metadata.h"

// Values get new numbers in the order in which the file uses them: unused values and second copies
// of a constant are left out.
typedef struct writer {
    const xnor_contents *contents;
    const xnor_graph *graph;
    uint32_t *numbers;    // by value id: number in the file + 1, or 0
    xnor_value_id *order; // by number
    uint32_t *crcs;       // by number, of constants
    uint32_t count;
    uint8_t symbols[XNOR_OP_COUNT + XNOR_ATTR_KEYS]; // index in the file + 1, or 0
    xnor_buffer out;
    xnor_file_section sections[XNOR_SECTION_END];
    uint32_t section_count;
} writer;

_Static_assert(XNOR_OP_COUNT + XNOR_ATTR_KEYS < 256, "symbol numbers fit a byte");

static bool same_constant(const xnor_value *a, const xnor_value *b, size_t bytes) {
    return b->data && a->dtype == b->dtype && xnor_shape_equal(&a->shape, &b->shape) &&
           memcmp(a->data, b->data, bytes) == 0;
}

static xnor_status number_value(writer *w, xnor_value_id id) {
    if (id == XNOR_NO_VALUE) return XNOR_OK;
    if (id >= w->graph->value_count)
        return xnor_fail(XNOR_E_ARGUMENT, "graph: value %u does not exist", id);
    if (w->numbers[id]) return XNOR_OK;
    const xnor_value *value = &w->graph->values[id];
    if (value->data) {
        size_t bytes;
        XNOR_TRY(xnor_tensor_bytes(value->dtype, &value->shape, &bytes));
        w->crcs[w->count] = xnor_crc32c(0, value->data, bytes);
        for (uint32_t i = 0; i < w->count; i++) {
            if (w->crcs[i] != w->crcs[w->count]) continue;
            if (!same_constant(value, &w->graph->values[w->order[i]], bytes)) continue;
            w->numbers[id] = i + 1;
            return XNOR_OK;
        }
    }
    w->order[w->count++] = id;
    w->numbers[id] = w->count;
    return XNOR_OK;
}

static xnor_status number_values(writer *w) {
    const xnor_graph *graph = w->graph;
    w->numbers = calloc(graph->value_count + 1, sizeof *w->numbers);
    w->order = calloc(graph->value_count + 1, sizeof *w->order);
    w->crcs = calloc(graph->value_count + 1, sizeof *w->crcs);
    if (!w->numbers || !w->order || !w->crcs) return xnor_fail(XNOR_E_MEMORY, "out of memory");
    for (uint32_t i = 0; i < graph->input_count; i++) XNOR_TRY(number_value(w, graph->inputs[i]));
    for (uint32_t i = 0; i < graph->node_count; i++) {
        const xnor_node *node = &graph->nodes[i];
        for (uint32_t j = 0; j < node->input_count; j++) XNOR_TRY(number_value(w, node->inputs[j]));
        for (uint32_t j = 0; j < node->output_count; j++)
            XNOR_TRY(number_value(w, node->outputs[j]));
    }
    for (uint32_t i = 0; i < graph->output_count; i++) XNOR_TRY(number_value(w, graph->outputs[i]));
    return XNOR_OK;
}

// ---- sections -----------------------------------------------------------------------------------

static void begin_section(writer *w, xnor_section kind) {
    xnor_buffer_align(&w->out, XNOR_FORMAT_ALIGNMENT);
    w->sections[w->section_count] = (xnor_file_section){.kind = kind, .offset = w->out.size};
}

static void end_section(writer *w) {
    xnor_file_section *section = &w->sections[w->section_count++];
    section->length = w->out.size - section->offset;
    if (!w->out.failed)
        section->crc = xnor_crc32c(0, w->out.data + section->offset, (size_t)section->length);
}

static void write_shape(writer *w, const xnor_shape *shape) {
    xnor_buffer_varint(&w->out, shape->rank);
    for (uint32_t i = 0; i < shape->rank; i++)
        xnor_buffer_varint(&w->out, shape->dims[i] < 0 ? 0 : (uint64_t)shape->dims[i] + 1);
}

static void add_symbol(writer *w, unsigned symbol, uint8_t *count) {
    if (w->symbols[symbol] == 0) w->symbols[symbol] = ++*count;
}

// Operators and attributes are stored by name, so that a longer table in a later version of the
// program does not change what old files mean.
static void write_symbols(writer *w) {
    uint8_t count = 0;
    for (uint32_t i = 0; i < w->graph->node_count; i++) {
        const xnor_node *node = &w->graph->nodes[i];
        if (node->output_count) add_symbol(w, node->op, &count);
        for (uint32_t j = 0; node->output_count && j < node->attr_count; j++)
            add_symbol(w, XNOR_OP_COUNT + node->attrs[j].key, &count);
    }
    xnor_buffer_varint(&w->out, count);
    for (unsigned number = 1; number <= count; number++)
        for (unsigned s = 0; s < sizeof w->symbols; s++)
            if (w->symbols[s] == number)
                xnor_buffer_text(&w->out, s < XNOR_OP_COUNT
                                              ? xnor_op_name((xnor_op)s)
                                              : xnor_attr_name((xnor_attr_key)(s - XNOR_OP_COUNT)));
}

static void write_values(writer *w) {
    xnor_buffer_varint(&w->out, w->count);
    for (uint32_t i = 0; i < w->count; i++) {
        const xnor_value *value = &w->graph->values[w->order[i]];
        xnor_buffer_varint(&w->out, (uint64_t)value->dtype << 1 | (value->data != NULL));
        write_shape(w, &value->shape);
    }
}

static void write_ports(writer *w, const xnor_value_id *ids, uint32_t count) {
    xnor_buffer_varint(&w->out, count);
    for (uint32_t i = 0; i < count; i++) {
        xnor_buffer_varint(&w->out, w->numbers[ids[i]] - 1);
        xnor_buffer_text(&w->out, w->graph->values[ids[i]].name);
    }
}

static void write_attr(writer *w, const xnor_attr *attr) {
    xnor_buffer_varint(&w->out, w->symbols[XNOR_OP_COUNT + attr->key] - 1u);
    xnor_buffer_varint(&w->out, (uint64_t)attr->count << 1 | attr->is_float);
    for (uint32_t i = 0; i < attr->count; i++) {
        if (attr->is_float)
            xnor_buffer_double(&w->out, attr->floats[i]);
        else
            xnor_buffer_signed(&w->out, attr->ints[i]);
    }
}

static void write_node(writer *w, const xnor_node *node) {
    xnor_buffer_varint(&w->out, w->symbols[node->op] - 1u);
    xnor_buffer_text(&w->out, node->name);
    xnor_buffer_varint(&w->out, node->input_count);
    for (uint32_t i = 0; i < node->input_count; i++)
        xnor_buffer_varint(&w->out,
                           node->inputs[i] == XNOR_NO_VALUE ? 0 : w->numbers[node->inputs[i]]);
    xnor_buffer_varint(&w->out, node->output_count);
    for (uint32_t i = 0; i < node->output_count; i++)
        xnor_buffer_varint(&w->out, w->numbers[node->outputs[i]] - 1);
    xnor_buffer_varint(&w->out, node->attr_count);
    for (uint32_t i = 0; i < node->attr_count; i++) write_attr(w, &node->attrs[i]);
}

// A node without outputs was removed by a pass and only waits for xnor_graph_compact.
static void write_graph(writer *w) {
    const xnor_graph *graph = w->graph;
    uint32_t nodes = 0;
    for (uint32_t i = 0; i < graph->node_count; i++) nodes += graph->nodes[i].output_count > 0;
    write_symbols(w);
    write_values(w);
    write_ports(w, graph->inputs, graph->input_count);
    write_ports(w, graph->outputs, graph->output_count);
    xnor_buffer_varint(&w->out, nodes);
    for (uint32_t i = 0; i < graph->node_count; i++)
        if (graph->nodes[i].output_count) write_node(w, &graph->nodes[i]);
}

static xnor_status write_tensor(writer *w, const xnor_tensor *tensor, size_t alignment) {
    size_t bytes;
    XNOR_TRY(xnor_tensor_bytes(tensor->dtype, &tensor->shape, &bytes));
    xnor_buffer_align(&w->out, alignment);
    xnor_buffer_bytes(&w->out, tensor->data, bytes);
    return XNOR_OK;
}

static xnor_status write_constants(writer *w) {
    for (uint32_t i = 0; i < w->count; i++) {
        const xnor_value *value = &w->graph->values[w->order[i]];
        xnor_tensor tensor = {value->dtype, value->shape, value->data};
        if (value->data) XNOR_TRY(write_tensor(w, &tensor, XNOR_FORMAT_ALIGNMENT));
    }
    return XNOR_OK;
}

static xnor_status write_golden(writer *w) {
    const xnor_contents *contents = w->contents;
    xnor_buffer_varint(&w->out, contents->golden_count);
    for (uint32_t i = 0; i < contents->golden_count; i++) {
        const xnor_golden *pair = &contents->golden[i];
        if (pair->input_count != w->graph->input_count ||
            pair->output_count != w->graph->output_count)
            return xnor_fail(XNOR_E_ARGUMENT,
                             "golden pair %u: expected %u inputs and %u outputs, found %u and %u",
                             i, w->graph->input_count, w->graph->output_count, pair->input_count,
                             pair->output_count);
        for (uint32_t j = 0; j < pair->input_count; j++) write_shape(w, &pair->inputs[j].shape);
        for (uint32_t j = 0; j < pair->output_count; j++) write_shape(w, &pair->outputs[j].shape);
    }
    for (uint32_t i = 0; i < contents->golden_count; i++) {
        const xnor_golden *pair = &contents->golden[i];
        for (uint32_t j = 0; j < pair->input_count; j++)
            XNOR_TRY(write_tensor(w, &pair->inputs[j], XNOR_GOLDEN_ALIGNMENT));
        for (uint32_t j = 0; j < pair->output_count; j++)
            XNOR_TRY(write_tensor(w, &pair->outputs[j], XNOR_GOLDEN_ALIGNMENT));
    }
    return XNOR_OK;
}

static xnor_status write_sections(writer *w) {
    const xnor_contents *contents = w->contents;
    uint32_t sections = contents->golden_count ? 4 : 3;
    static const uint8_t zeros[sizeof(xnor_file_header) + 4 * sizeof(xnor_file_section)];
    xnor_buffer_bytes(&w->out, zeros,
                      sizeof(xnor_file_header) + sections * sizeof(xnor_file_section));
    begin_section(w, XNOR_SECTION_METADATA);
    xnor_metadata_write(&contents->description, &w->out);
    end_section(w);
    begin_section(w, XNOR_SECTION_GRAPH);
    write_graph(w);
    end_section(w);
    begin_section(w, XNOR_SECTION_CONSTANTS);
    XNOR_TRY(write_constants(w));
    end_section(w);
    if (contents->golden_count) {
        begin_section(w, XNOR_SECTION_GOLDEN);
        XNOR_TRY(write_golden(w));
        end_section(w);
    }
    return w->out.failed ? xnor_fail(XNOR_E_MEMORY, "out of memory") : XNOR_OK;
}

static void write_header(writer *w) {
    size_t table_bytes = w->section_count * sizeof *w->sections;
    xnor_file_header header = {
        .version = XNOR_FORMAT_VERSION,
        .byte_order = XNOR_FORMAT_BYTE_ORDER,
        .file_bytes = w->out.size,
        .section_count = w->section_count,
        .table_crc = xnor_crc32c(0, w->sections, table_bytes),
    };
    memcpy(header.magic, XNOR_FORMAT_MAGIC, sizeof header.magic);
    header.header_crc = xnor_crc32c(0, &header, offsetof(xnor_file_header, header_crc));
    memcpy(w->out.data, &header, sizeof header);
    memcpy(w->out.data + sizeof header, w->sections, table_bytes);
}

// ---- file ---------------------------------------------------------------------------------------

static bool write_all(int fd, const uint8_t *data, size_t size) {
    while (size) {
        ssize_t written = write(fd, data, size);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return false;
        data += written;
        size -= (size_t)written;
    }
    return true;
}

static xnor_status save(const char *path, const xnor_buffer *out) {
    char *temporary;
    if (asprintf(&temporary, "%s.%ld.tmp", path, (long)getpid()) < 0)
        return xnor_fail(XNOR_E_MEMORY, "out of memory");
    xnor_status status = XNOR_OK;
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
    bool written = fd >= 0 && write_all(fd, out->data, out->size) && fsync(fd) == 0;
    if (!written) status = xnor_fail(XNOR_E_IO, "%s: %s", temporary, strerror(errno));
    if (fd >= 0) close(fd);
    if (written && rename(temporary, path) != 0)
        status = xnor_fail(XNOR_E_IO, "%s: %s", path, strerror(errno));
    if (fd >= 0 && status != XNOR_OK) unlink(temporary);
    free(temporary);
    return status;
}

static xnor_status build(writer *w) {
    XNOR_TRY(number_values(w));
    XNOR_TRY(write_sections(w));
    write_header(w);
    // What the reader would refuse must not reach the disk: the reader's checks are the writer's.
    xnor_contents check;
    XNOR_TRY(xnor_format_read(w->out.data, w->out.size, &check));
    xnor_graph_free(&check.graph);
    return XNOR_OK;
}

xnor_status xnor_format_write(const char *path, const xnor_contents *contents) {
    writer w = {.contents = contents, .graph = &contents->graph};
    xnor_status status = build(&w);
    if (status == XNOR_OK) status = save(path, &w.out);
    free(w.numbers);
    free(w.order);
    free(w.crcs);
    xnor_buffer_free(&w.out);
    return status;
}
