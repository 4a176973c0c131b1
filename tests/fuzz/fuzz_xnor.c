// libFuzzer target: the .xnor reader and the shape rules on hostile files.
//   clang -fsanitize=fuzzer,address,undefined -DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION ... &&
//   fuzz_xnor -max_len=8192 corpus_xnor
// With that macro the reader does not compare checksums, which would keep the fuzzer out. The
// corpus was written from tests/onnx/data; all.xnor is the file of format_test.c.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/size.h"
#include "format/format.h"
#include "format/layout.h"

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Reads what the reader says may be read, so that the sanitizers see a wrong bound.
static uint8_t touch(const xnor_tensor *tensor) {
    size_t bytes;
    uint8_t sum = 0;
    if (xnor_tensor_bytes(tensor->dtype, &tensor->shape, &bytes) != XNOR_OK) abort();
    for (size_t i = 0; i < bytes; i++) sum ^= ((const uint8_t *)tensor->data)[i];
    return sum;
}

static volatile uint8_t sink;

enum { OPEN_AXIS = 3, MAX_ARENA = 1 << 20, MAX_WORK = 1 << 24 };

static uint64_t elements_of(const xnor_shape *shape) {
    uint64_t count = 1;
    for (uint32_t k = 0; k < shape->rank; k++) {
        if (shape->dims[k] < 0 || count > MAX_WORK) return UINT64_MAX;
        count *= (uint64_t)shape->dims[k];
    }
    return count;
}

// A file that is accepted is also planned and run, when that is little work.
static void run_model(const uint8_t *file, size_t size) {
    xnor_model *model = NULL;
    xnor_plan *plan = NULL;
    xnor_session *session = NULL;
    xnor_shape shapes[XNOR_MAX_PORTS];
    xnor_tensor inputs[XNOR_MAX_PORTS] = {{0}}, outputs[XNOR_MAX_PORTS] = {{0}};
    if (xnor_model_open_memory(file, size, NULL, &model) != XNOR_OK) return;
    bool small = true;
    for (uint32_t i = 0; i < xnor_model_input_count(model); i++) {
        shapes[i] = xnor_model_input(model, i)->shape;
        for (uint32_t k = 0; k < shapes[i].rank; k++)
            if (shapes[i].dims[k] < 0) shapes[i].dims[k] = OPEN_AXIS;
        small = small && elements_of(&shapes[i]) <= MAX_ARENA / 8;
    }
    if (small && xnor_plan_create(model, shapes, &plan) == XNOR_OK &&
        xnor_plan_arena_bytes(plan) <= MAX_ARENA &&
        xnor_session_create(plan, NULL, &session) == XNOR_OK) {
        for (uint32_t i = 0; i < xnor_model_input_count(model); i++) {
            inputs[i] = (xnor_tensor){xnor_model_input(model, i)->dtype, shapes[i], NULL};
            inputs[i].data = calloc(1, (size_t)elements_of(&shapes[i]) * 8 + 1);
        }
        for (uint32_t i = 0; i < xnor_model_output_count(model); i++) {
            const xnor_shape *shape = xnor_plan_output_shape(plan, i);
            small = small && elements_of(shape) <= MAX_ARENA;
            outputs[i] = (xnor_tensor){xnor_model_output(model, i)->dtype, *shape, NULL};
            if (small) outputs[i].data = calloc(1, (size_t)elements_of(shape) * 8 + 1);
        }
        if (small && xnor_session_run(session, inputs, outputs, NULL) != XNOR_OK)
            sink ^= (uint8_t)xnor_last_error()[0];
    }
    for (uint32_t i = 0; i < XNOR_MAX_PORTS; i++) {
        free(inputs[i].data);
        free(outputs[i].data);
    }
    if (session) xnor_session_free(&session);
    if (plan) xnor_plan_unref(&plan);
    xnor_model_unref(&model);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *file = aligned_alloc(64, (size / 64 + 1) * 64);
    if (!file) return 0;
    if (size) memcpy(file, data, size);
    xnor_contents contents;
    if (xnor_format_read(file, size, &contents) == XNOR_OK) {
        xnor_graph *graph = &contents.graph;
        for (uint32_t i = 0; i < graph->value_count; i++) {
            const xnor_value *value = &graph->values[i];
            if (value->data) sink ^= touch(&(xnor_tensor){value->dtype, value->shape, value->data});
        }
        for (uint32_t i = 0; i < contents.golden_count; i++) {
            for (uint32_t j = 0; j < graph->input_count; j++)
                sink ^= touch(&contents.golden[i].inputs[j]);
            for (uint32_t j = 0; j < graph->output_count; j++)
                sink ^= touch(&contents.golden[i].outputs[j]);
        }
        if (xnor_graph_verify(graph) != XNOR_OK) sink ^= (uint8_t)xnor_last_error()[0];
        xnor_graph_free(graph);
        run_model(file, size);
    }
    free(file);
    return 0;
}

// ---- mutation: one section at a time, then a table that fits ------------------------------------

typedef struct parts {
    uint32_t count;
    xnor_file_section sections[XNOR_SECTION_END];
    uint8_t *data[XNOR_SECTION_END];
} parts;

static bool take_apart(const uint8_t *data, size_t size, parts *out) {
    xnor_file_header header;
    if (size < sizeof header) return false;
    memcpy(&header, data, sizeof header);
    out->count = header.section_count;
    if (out->count == 0 || out->count >= XNOR_SECTION_END) return false;
    size_t table = out->count * sizeof *out->sections;
    if (size - sizeof header < table) return false;
    memcpy(out->sections, data + sizeof header, table);
    for (uint32_t i = 0; i < out->count; i++) {
        const xnor_file_section *section = &out->sections[i];
        if (section->offset > size || section->length > size - section->offset) return false;
    }
    return true;
}

static size_t put_together(const parts *from, uint8_t *data, size_t max_size) {
    xnor_file_header header = {.version = XNOR_FORMAT_VERSION,
                               .byte_order = XNOR_FORMAT_BYTE_ORDER,
                               .section_count = from->count};
    xnor_file_section table[XNOR_SECTION_END];
    size_t end = sizeof header + from->count * sizeof *table;
    if (end > max_size) return 0;
    for (uint32_t i = 0; i < from->count; i++) {
        size_t begin = xnor_align_up(end, XNOR_FORMAT_ALIGNMENT);
        size_t length = (size_t)from->sections[i].length;
        if (begin > max_size || length > max_size - begin) return 0;
        memset(data + end, 0, begin - end);
        if (length) memcpy(data + begin, from->data[i], length);
        table[i] = from->sections[i];
        table[i].offset = begin;
        end = begin + length;
    }
    memcpy(header.magic, XNOR_FORMAT_MAGIC, sizeof header.magic);
    header.file_bytes = end;
    memcpy(data, &header, sizeof header);
    memcpy(data + sizeof header, table, from->count * sizeof *table);
    return end;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed) {
    parts p;
    if (seed % 16 == 0 || !take_apart(data, size, &p))
        return LLVMFuzzerMutate(data, size, max_size);
    const uint32_t chosen = seed / 16 % p.count;
    for (uint32_t i = 0; i < p.count; i++) {
        size_t length = (size_t)p.sections[i].length;
        p.data[i] = calloc(1, length + max_size + 1);
        if (!p.data[i]) abort();
        memcpy(p.data[i], data + p.sections[i].offset, length);
        if (i == chosen) p.sections[i].length = LLVMFuzzerMutate(p.data[i], length, max_size);
    }
    size_t made = put_together(&p, data, max_size);
    for (uint32_t i = 0; i < p.count; i++) free(p.data[i]);
    return made ? made : LLVMFuzzerMutate(data, size, max_size);
}
