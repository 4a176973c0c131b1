#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/crc32c.h"
#include "core/tensor.h"
#include "format/format.h"
#include "format/layout.h"

// ---- a graph with every dtype and every kind of attribute ---------------------------------------

static void ok(xnor_status status) {
    cr_assert_eq(status, XNOR_OK, "%s: %s", xnor_status_text(status), xnor_last_error());
}

static xnor_value_id add_value(xnor_graph *graph, const char *name, xnor_dtype dtype,
                               xnor_shape shape) {
    xnor_value_id id;
    ok(xnor_graph_add_value(graph, name, dtype, &shape, &id));
    return id;
}

// Elements are a pattern with -1, 0 and 1 in it.
static xnor_value_id add_constant(xnor_graph *graph, xnor_dtype dtype, xnor_shape shape, int seed) {
    xnor_value_id id;
    void *data;
    ok(xnor_graph_add_constant(graph, "weights", dtype, &shape, &id, &data));
    xnor_tensor tensor = {dtype, shape, data};
    for (size_t i = 0; i < xnor_tensor_count(&tensor); i++) {
        int value = (int)((i * 7 + (size_t)seed) % 3) - 1;
        xnor_tensor_set(&tensor, i, dtype == XNOR_U8 || dtype == XNOR_BOOL ? value * value : value);
    }
    return id;
}

static xnor_node *add_node(xnor_graph *graph, xnor_op op, const char *name, const xnor_value_id *in,
                           uint32_t in_count, xnor_value_id out) {
    xnor_node *node;
    ok(xnor_graph_add_node(graph, op, name, in, in_count, &out, 1, &node));
    return node;
}

static const xnor_shape cloud = {2, {-1, 3}};

static const char *const classes[] = {"bathtub", "bed", "h\xc3\xa4ngematte"};

static void describe(xnor_contents *contents) {
    contents->description = (xnor_description){
        .name = "tiny",
        .version = "1",
        .task = XNOR_TASK_CLASSIFICATION,
        .input_name = "points",
        .points = 1024,
        .max_points = 262144,
        .normalise = XNOR_NORMALISE_UNIT_SPHERE,
        .channel_count = 3,
        .channels = {XNOR_CHANNEL_X, XNOR_CHANNEL_Y, XNOR_CHANNEL_Z},
        .output_name = "scores",
        .output_kind = XNOR_OUTPUT_LOG_PROBABILITIES,
        .class_count = 3,
        .classes = classes,
    };
}

static void build(xnor_contents *contents) {
    memset(contents, 0, sizeof *contents);
    xnor_graph *graph = &contents->graph;
    xnor_graph_init(graph);
    describe(contents);
    xnor_value_id points = add_value(graph, "points", XNOR_F32, cloud);
    graph->inputs[graph->input_count++] = points;
    add_value(graph, "never used", XNOR_F32, cloud);
    xnor_value_id in[XNOR_DTYPE_COUNT + 2] = {points, XNOR_NO_VALUE};
    for (int dtype = 0; dtype < XNOR_DTYPE_COUNT; dtype++)
        in[dtype + 2] = add_constant(graph, (xnor_dtype)dtype, (xnor_shape){2, {3, 70}}, dtype);
    xnor_value_id hidden = add_value(graph, "hidden", XNOR_ACC, (xnor_shape){3, {-1, 1, 70}});
    xnor_node *node = add_node(graph, XNOR_OP_CONCAT, "first", in, XNOR_DTYPE_COUNT + 2, hidden);
    const int64_t axes[] = {0, -1, INT64_MIN, INT64_MAX, 300};
    ok(xnor_node_set_ints(graph, node, XNOR_ATTR_AXES, axes, 5));
    ok(xnor_node_set_ints(graph, node, XNOR_ATTR_PERM, axes, 0));
    ok(xnor_node_set_float(graph, node, XNOR_ATTR_EPSILON, 1e-5));
    xnor_value_id more[] = {hidden, add_constant(graph, XNOR_I64, (xnor_shape){1, {0}}, 0),
                            add_constant(graph, XNOR_F32, (xnor_shape){0, {0}}, 2)};
    xnor_value_id scores = add_value(graph, "scores", XNOR_F32, (xnor_shape){2, {-1, 2}});
    add_node(graph, XNOR_OP_THRESHOLD, "second", more, 3, scores);
    graph->outputs[graph->output_count++] = scores;
    static float input[] = {1, 2, 3, 4, 5, 6}, output[] = {0.5f, -0.5f, 0.25f, 0};
    contents->golden_count = 1;
    contents->golden[0] = (xnor_golden){
        .input_count = 1,
        .output_count = 1,
        .inputs = {{XNOR_F32, {2, {2, 3}}, input}},
        .outputs = {{XNOR_F32, {2, {2, 2}}, output}},
    };
}

// ---- files --------------------------------------------------------------------------------------

typedef struct file {
    uint8_t *data; // aligned, as a mapping is
    size_t size;
} file;

static file load(const char *path) {
    FILE *stream = fopen(path, "rb");
    cr_assert_not_null(stream, "%s", path);
    fseek(stream, 0, SEEK_END);
    file f = {.size = (size_t)ftell(stream)};
    rewind(stream);
    f.data = aligned_alloc(64, (f.size / 64 + 2) * 64);
    cr_assert_eq(fread(f.data, 1, f.size, stream), f.size);
    fclose(stream);
    return f;
}

static file written(const xnor_contents *contents) {
    char path[64];
    snprintf(path, sizeof path, "/tmp/format_test.%ld.xnor", (long)getpid());
    ok(xnor_format_write(path, contents));
    file f = load(path);
    unlink(path);
    return f;
}

static xnor_file_section *table(file f) {
    return (xnor_file_section *)(void *)(f.data + sizeof(xnor_file_header));
}

static uint32_t section_count(file f) {
    return ((const xnor_file_header *)(void *)f.data)->section_count;
}

// Makes all checksums right again, so that damage reaches the checks behind them.
static void seal(file f) {
    xnor_file_header *header = (xnor_file_header *)(void *)f.data;
    for (uint32_t i = 0; i < section_count(f); i++)
        table(f)[i].crc = xnor_crc32c(0, f.data + table(f)[i].offset, table(f)[i].length);
    header->table_crc = xnor_crc32c(0, table(f), section_count(f) * sizeof *table(f));
    header->header_crc = xnor_crc32c(0, header, offsetof(xnor_file_header, header_crc));
}

static const char *const names[] = {"", "section 'metadata'", "section 'graph'",
                                    "section 'constants'", "section 'golden'"};

static const char *place(file f, size_t at) {
    if (at < sizeof(xnor_file_header)) return "header";
    if (at < sizeof(xnor_file_header) + section_count(f) * sizeof *table(f)) return "section table";
    uint32_t i = 0;
    while (at >= table(f)[i].offset + table(f)[i].length) i++;
    return names[table(f)[i].kind];
}

static void refused(const void *data, size_t size, const char *text) {
    xnor_contents out;
    xnor_status status = xnor_format_read(data, size, &out);
    cr_assert_eq(status, XNOR_E_FORMAT, "expected '%s', found %s", text, xnor_status_text(status));
    cr_assert(strstr(xnor_last_error(), text), "expected '%s' in '%s'", text, xnor_last_error());
}

// ---- round trip ---------------------------------------------------------------------------------

static void same_tensor(const xnor_tensor *a, const xnor_tensor *b) {
    size_t bytes;
    cr_assert_eq(a->dtype, b->dtype);
    cr_assert(xnor_shape_equal(&a->shape, &b->shape));
    cr_assert_eq(a->data == NULL, b->data == NULL);
    if (!a->data) return;
    ok(xnor_tensor_bytes(a->dtype, &a->shape, &bytes));
    cr_assert_eq(memcmp(a->data, b->data, bytes), 0);
}

static void same_value(const xnor_graph *a, xnor_value_id x, const xnor_graph *b, xnor_value_id y) {
    cr_assert_eq(x == XNOR_NO_VALUE, y == XNOR_NO_VALUE);
    if (x == XNOR_NO_VALUE) return;
    const xnor_value *v = &a->values[x], *w = &b->values[y];
    same_tensor(&(xnor_tensor){v->dtype, v->shape, v->data},
                &(xnor_tensor){w->dtype, w->shape, w->data});
    cr_assert_eq((uintptr_t)w->data % 64, 0);
}

static void same_node(const xnor_graph *a, const xnor_node *x, const xnor_graph *b,
                      const xnor_node *y) {
    cr_assert_eq(x->op, y->op);
    cr_assert_str_eq(x->name, y->name);
    cr_assert_eq(x->input_count, y->input_count);
    cr_assert_eq(x->output_count, y->output_count);
    cr_assert_eq(x->attr_count, y->attr_count);
    for (uint32_t i = 0; i < x->input_count; i++) same_value(a, x->inputs[i], b, y->inputs[i]);
    for (uint32_t i = 0; i < x->output_count; i++) same_value(a, x->outputs[i], b, y->outputs[i]);
    for (uint32_t i = 0; i < x->attr_count; i++) {
        const xnor_attr *p = &x->attrs[i], *q = &y->attrs[i];
        cr_assert(p->key == q->key && p->is_float == q->is_float && p->count == q->count);
        for (uint32_t j = 0; j < p->count; j++)
            cr_assert(p->ints[j] == q->ints[j] && p->floats[j] == q->floats[j]);
    }
}

static void same_description(const xnor_description *a, const xnor_description *b) {
    cr_assert_str_eq(a->name, b->name);
    cr_assert_str_eq(a->version, b->version);
    cr_assert_str_eq(a->input_name, b->input_name);
    cr_assert_str_eq(a->output_name, b->output_name);
    cr_assert(a->task == b->task && a->points == b->points && a->max_points == b->max_points);
    cr_assert(a->normalise == b->normalise && a->output_kind == b->output_kind);
    cr_assert(a->resample == b->resample && a->block == b->block);
    cr_assert(a->cells == b->cells && a->scale == b->scale);
    cr_assert_eq(a->channel_count, b->channel_count);
    for (uint32_t i = 0; i < a->channel_count; i++) cr_assert_eq(a->channels[i], b->channels[i]);
    cr_assert_eq(a->class_count, b->class_count);
    for (uint32_t i = 0; i < a->class_count; i++) cr_assert_str_eq(a->classes[i], b->classes[i]);
}

Test(format, round_trip_keeps_everything) {
    xnor_contents in, out;
    build(&in);
    file f = written(&in);
    ok(xnor_format_read(f.data, f.size, &out));
    same_description(&in.description, &out.description);
    cr_assert_eq(out.graph.node_count, in.graph.node_count);
    for (uint32_t i = 0; i < in.graph.node_count; i++)
        same_node(&in.graph, &in.graph.nodes[i], &out.graph, &out.graph.nodes[i]);
    cr_assert_str_eq(out.graph.values[out.graph.inputs[0]].name, "points");
    cr_assert_str_eq(out.graph.values[out.graph.outputs[0]].name, "scores");
    cr_assert_eq(out.golden_count, 1);
    same_tensor(&in.golden[0].inputs[0], &out.golden[0].inputs[0]);
    same_tensor(&in.golden[0].outputs[0], &out.golden[0].outputs[0]);
    xnor_graph_free(&out.graph);
    xnor_graph_free(&in.graph);
    free(f.data);
}

Test(format, segmentations_keep_their_recipe) {
    xnor_contents in, out;
    build(&in);
    in.description.task = XNOR_TASK_SEGMENTATION;
    in.description.normalise = XNOR_NORMALISE_BLOCK;
    in.description.block = 4.5f;
    in.description.cells = 3;
    in.description.scale = 0.1f;
    in.description.channel_count = 4;
    in.description.channels[0] = XNOR_CHANNEL_CELL_TOP;
    in.description.channels[3] = XNOR_CHANNEL_CELL_HEIGHT;
    file f = written(&in);
    ok(xnor_format_read(f.data, f.size, &out));
    same_description(&in.description, &out.description);
    xnor_graph_free(&out.graph);
    xnor_graph_free(&in.graph);
    free(f.data);
}

Test(format, description_and_golden_pairs_are_optional) {
    xnor_contents in, out;
    build(&in);
    in.description = (xnor_description){0};
    in.golden_count = 0;
    file f = written(&in);
    ok(xnor_format_read(f.data, f.size, &out));
    cr_assert_eq(out.description.task, XNOR_TASK_NONE);
    cr_assert_eq(out.golden_count, 0);
    xnor_graph_free(&out.graph);
}

// FORMAT.md is normative, so its example must be a file.
Test(format, the_example_in_the_documentation_is_read) {
    FILE *stream = fopen("lib/format/FORMAT.md", "r");
    cr_assert_not_null(stream);
    uint8_t *data = aligned_alloc(64, 1024);
    size_t size = 0;
    unsigned offset, b[16];
    char line[256];
    while (fgets(line, sizeof line, stream)) {
        int bytes = sscanf(line, "%4x  %x %x %x %x %x %x %x %x %x %x %x %x %x %x %x %x", &offset,
                           &b[0], &b[1], &b[2], &b[3], &b[4], &b[5], &b[6], &b[7], &b[8], &b[9],
                           &b[10], &b[11], &b[12], &b[13], &b[14], &b[15]) -
                    1;
        if (bytes < 1 || offset != size || line[4] != ' ') continue;
        for (int i = 0; i < bytes; i++) data[size++] = (uint8_t)b[i];
    }
    fclose(stream);
    xnor_contents out;
    ok(xnor_format_read(data, size, &out));
    cr_assert_eq(out.graph.node_count, 1);
    cr_assert_eq(out.graph.nodes[0].op, XNOR_OP_RELU);
    cr_assert_str_eq(out.graph.nodes[0].name, "relu");
    cr_assert_str_eq(out.graph.values[out.graph.outputs[0]].name, "y");
    xnor_graph_free(&out.graph);
}

Test(format, writing_twice_gives_the_same_bytes) {
    xnor_contents in;
    build(&in);
    file a = written(&in), b = written(&in);
    cr_assert_eq(a.size, b.size);
    cr_assert_eq(memcmp(a.data, b.data, a.size), 0);
}

Test(format, equal_constants_are_stored_once_and_unused_values_not_at_all) {
    xnor_contents contents = {0};
    xnor_graph *graph = &contents.graph;
    xnor_value_id in[5] = {add_value(graph, "x", XNOR_F32, cloud)};
    graph->inputs[graph->input_count++] = in[0];
    add_constant(graph, XNOR_F32, (xnor_shape){1, {100000}}, 1);
    for (int i = 1; i < 4; i++)
        in[i] = add_constant(graph, XNOR_F32, (xnor_shape){1, {1000}}, i % 2);
    in[4] = add_constant(graph, XNOR_F32, (xnor_shape){2, {1000, 1}}, 0);
    xnor_value_id y = add_value(graph, "y", XNOR_F32, cloud);
    add_node(graph, XNOR_OP_CONCAT, "concat", in, 5, y);
    graph->outputs[graph->output_count++] = y;
    file f = written(&contents);
    cr_assert_gt(f.size, 12000);
    cr_assert_lt(f.size, 12000 + 1000);
    xnor_contents out;
    ok(xnor_format_read(f.data, f.size, &out));
    const xnor_node *node = &out.graph.nodes[0];
    cr_assert_eq(node->inputs[1], node->inputs[3]);
    cr_assert_neq(node->inputs[1], node->inputs[2]);
    cr_assert_neq(node->inputs[2], node->inputs[4], "another shape is another constant");
    xnor_graph_free(&out.graph);
    xnor_graph_free(graph);
}

// The published network with both transformation networks: 3,438,848 binary weights, 22,711 floats.
Test(format, pointnet_fits_into_530_kilobytes) {
    static const struct {
        const char *name;
        int64_t in, out;
    } layers[] = {
        {"stn", 64, 128},    {"stn", 128, 1024},  {"stn", 1024, 512},  {"stn", 512, 256},
        {"stn", 256, 9},     {"fstn", 64, 64},    {"fstn", 64, 128},   {"fstn", 128, 1024},
        {"fstn", 1024, 512}, {"fstn", 512, 256},  {"fstn", 256, 4096}, {"feat", 64, 128},
        {"feat", 128, 1024}, {"head", 1024, 512}, {"head", 512, 256},
    };
    static const xnor_op chain[] = {XNOR_OP_XNOR_LINEAR, XNOR_OP_AFFINE, XNOR_OP_CLIP,
                                    XNOR_OP_BINARIZE};
    xnor_contents contents = {0};
    describe(&contents);
    xnor_graph *graph = &contents.graph;
    xnor_value_id x = add_value(graph, "points", XNOR_F32, (xnor_shape){3, {-1, -1, 3}});
    graph->inputs[graph->input_count++] = x;
    int64_t weights = 0, floats = 22711;
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        weights += layers[i].in * layers[i].out;
        floats -= 2 * layers[i].out;
        for (size_t j = 0; j < 4; j++) {
            char name[64];
            snprintf(name, sizeof name, "/%s/conv%zu/%s", layers[i].name, i,
                     xnor_op_name(chain[j]));
            xnor_value_id in[3] = {x, XNOR_NO_VALUE, XNOR_NO_VALUE};
            xnor_shape n = {1, {layers[i].out}}, kernel = {2, {layers[i].out, layers[i].in}};
            if (j == 0) {
                in[1] = add_constant(graph, XNOR_BITS, kernel, 0);
                *(uint64_t *)graph->values[in[1]].data = i; // no two alike
            }
            for (uint32_t k = 1; k < 3 && j == 1; k++) {
                in[k] = add_constant(graph, XNOR_F32, n, 0);
                *(float *)graph->values[in[k]].data = (float)i + (float)k / 2;
            }
            x = add_value(graph, "scores", XNOR_F32, (xnor_shape){3, {-1, -1, layers[i].out}});
            add_node(graph, chain[j], name, in, 3, x);
        }
    }
    cr_assert_eq(weights, 3438848);
    xnor_value_id in[] = {x, add_constant(graph, XNOR_F32, (xnor_shape){1, {floats}}, 1)};
    x = add_value(graph, "scores", XNOR_F32, (xnor_shape){2, {-1, 10}});
    add_node(graph, XNOR_OP_LINEAR, "/head/linear", in, 2, x);
    graph->outputs[graph->output_count++] = x;
    file f = written(&contents);
    cr_log_info("%zu bytes", f.size);
    cr_assert_leq(f.size, 530000);
    xnor_graph_free(graph);
}

// ---- damage -------------------------------------------------------------------------------------

Test(format, every_flipped_bit_is_refused_and_its_section_named) {
    xnor_contents in;
    build(&in);
    file f = written(&in);
    for (size_t at = 0; at < f.size; at++)
        for (int bit = 0; bit < 8; bit++) {
            const char *where = place(f, at);
            f.data[at] ^= (uint8_t)(1 << bit);
            refused(f.data, f.size, where);
            f.data[at] ^= (uint8_t)(1 << bit);
        }
    xnor_contents out;
    ok(xnor_format_read(f.data, f.size, &out));
    xnor_graph_free(&out.graph);
}

Test(format, every_truncation_is_refused_and_its_section_named) {
    xnor_contents in;
    build(&in);
    file f = written(&in);
    for (size_t size = 0; size < f.size; size++) {
        // A buffer of exactly this size, so that reading past it is seen by sanitizers.
        uint8_t *cut = aligned_alloc(64, (size + 63) / 64 * 64 + 64);
        memset(cut, 0, (size + 63) / 64 * 64 + 64);
        memcpy(cut, f.data, size);
        refused(cut, size, place(f, size));
        free(cut);
    }
}

Test(format, appended_bytes_are_refused) {
    xnor_contents in;
    build(&in);
    file f = written(&in);
    f.data[f.size] = 0;
    refused(f.data, f.size + 1, "header");
}

// With right checksums: whatever a byte becomes, the answer is a graph or a named section.
Test(format, hostile_bytes_never_do_more_than_fail) {
    xnor_contents in;
    build(&in);
    file f = written(&in);
    uint8_t *original = malloc(f.size);
    memcpy(original, f.data, f.size);
    static const uint8_t values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
    for (size_t at = sizeof(xnor_file_header); at < f.size; at++)
        for (size_t i = 0; i < sizeof values + 8; i++) {
            memcpy(f.data, original, f.size);
            f.data[at] = (uint8_t)(i < 8 ? original[at] ^ 1 << i : values[i - 8]);
            if (at >= sizeof(xnor_file_header) + section_count(f) * sizeof *table(f)) seal(f);
            xnor_contents out;
            xnor_status status = xnor_format_read(f.data, f.size, &out);
            if (status == XNOR_OK)
                xnor_graph_free(&out.graph);
            else
                cr_assert(strstr(xnor_last_error(), "section"), "byte %zu: %s", at,
                          xnor_last_error());
        }
    xnor_graph_free(&in.graph);
    free(original);
    free(f.data);
}

Test(format, a_file_of_another_version_or_byte_order_is_refused) {
    xnor_contents in;
    build(&in);
    file f = written(&in);
    xnor_file_header *header = (xnor_file_header *)(void *)f.data;
    header->version = 2;
    seal(f);
    refused(f.data, f.size, "format version is 2, this program reads version 1");
    header->version = 1;
    header->byte_order = 0x04030201;
    seal(f);
    refused(f.data, f.size, "byte order");
}

Test(format, a_misaligned_buffer_is_refused) {
    xnor_contents in, out;
    build(&in);
    file f = written(&in);
    memmove(f.data + 8, f.data, f.size);
    cr_assert_eq(xnor_format_read(f.data + 8, f.size, &out), XNOR_E_ARGUMENT);
}

// ---- what the writer refuses, by the reader's own checks ----------------------------------------

static void not_written(const xnor_contents *contents, const char *text) {
    const char path[] = "/tmp/format_test.refused.xnor";
    unlink(path);
    xnor_status status = xnor_format_write(path, contents);
    cr_assert_neq(status, XNOR_OK, "expected '%s'", text);
    cr_assert(strstr(xnor_last_error(), text), "expected '%s' in '%s'", text, xnor_last_error());
    cr_assert_eq(access(path, F_OK), -1);
}

static xnor_tensor constant_of(xnor_graph *graph, xnor_dtype dtype) {
    for (uint32_t i = 0; i < graph->value_count; i++) {
        xnor_value *value = &graph->values[i];
        if (value->data && value->dtype == dtype && value->shape.rank == 2)
            return (xnor_tensor){dtype, value->shape, value->data};
    }
    cr_assert_fail("no such constant");
    return (xnor_tensor){0};
}

Test(format, padding_bits_of_packed_rows_must_be_zero) {
    xnor_contents in;
    build(&in);
    uint64_t *words = constant_of(&in.graph, XNOR_BITS).data;
    words[1] |= UINT64_C(1) << 6; // rows have 70 bits: 6 in the second word
    not_written(&in, "the padding of a row is not 0");
}

Test(format, padding_bits_of_the_nonzero_plane_must_be_zero) {
    xnor_contents in;
    build(&in);
    uint64_t *words = constant_of(&in.graph, XNOR_TERNARY).data;
    words[11] |= UINT64_C(1) << 63;
    not_written(&in, "the padding of a row is not 0");
}

Test(format, ternary_planes_must_agree) {
    xnor_contents in;
    build(&in);
    uint64_t *words = constant_of(&in.graph, XNOR_TERNARY).data;
    words[0] |= ~words[6] & 0xff;
    not_written(&in, "both positive and zero");
}

Test(format, booleans_must_be_zero_or_one) {
    xnor_contents in;
    build(&in);
    *(uint8_t *)constant_of(&in.graph, XNOR_BOOL).data = 2;
    not_written(&in, "neither 0 nor 1");
}

Test(format, golden_tensors_must_fit_the_ports) {
    xnor_contents in;
    build(&in);
    in.golden[0].inputs[0].shape = (xnor_shape){2, {2, 2}};
    not_written(&in, "section 'golden': pair 0: 'points' is [2, 2], expected [?, 3]");
}

Test(format, the_description_must_name_ports) {
    xnor_contents in;
    build(&in);
    in.description.input_name = "cloud";
    not_written(&in, "the graph has no input 'cloud'");
}

Test(format, nodes_must_be_in_topological_order) {
    xnor_contents in;
    build(&in);
    xnor_node first = in.graph.nodes[0];
    in.graph.nodes[0] = in.graph.nodes[1];
    in.graph.nodes[1] = first;
    not_written(&in, "node 'second': input 0 is used before it is made");
}

Test(format, names_must_be_printable) {
    xnor_contents in;
    build(&in);
    in.graph.nodes[0].name = "red\x1b[31m";
    not_written(&in, "section 'graph': node 0: a name is not printable UTF-8");
    in.graph.nodes[0].name = "overlong \xc0\xaf";
    not_written(&in, "not printable UTF-8");
}

Test(format, two_outputs_of_one_name_are_refused) {
    xnor_contents in;
    build(&in);
    in.graph.outputs[in.graph.output_count++] = in.graph.outputs[0];
    in.golden_count = 0;
    not_written(&in, "two of outputs are called 'scores'");
}

Test(format, a_folder_that_does_not_exist_is_an_io_error) {
    xnor_contents in;
    build(&in);
    cr_assert_eq(xnor_format_write("/tmp/no/such/folder/x.xnor", &in), XNOR_E_IO);
    cr_assert(strstr(xnor_last_error(), "No such file or directory"));
}

Test(format, a_failed_write_leaves_the_old_file) {
    char path[64];
    snprintf(path, sizeof path, "/tmp/format_test.%ld.old", (long)getpid());
    xnor_contents in;
    build(&in);
    ok(xnor_format_write(path, &in));
    file before = load(path);
    in.description.input_name = "cloud";
    cr_assert_neq(xnor_format_write(path, &in), XNOR_OK);
    file after = load(path);
    unlink(path);
    cr_assert(before.size == after.size && memcmp(before.data, after.data, after.size) == 0);
}
