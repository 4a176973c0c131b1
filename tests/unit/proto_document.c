// PROTOCOL.md is normative: its examples are decoded and encoded again, its tables are compared
// with those of the code. Run from the root of the tree.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto.h"
#include "schema.h"

static char document[1 << 16];

static void load(void) {
    FILE *file = fopen("proto/PROTOCOL.md", "rb");
    cr_assert(file, "proto/PROTOCOL.md: run the tests from the root of the tree");
    document[fread(document, 1, sizeof document - 1, file)] = '\0';
    fclose(file);
}

TestSuite(proto_document, .init = load);

static bool has(const char *format, ...) __attribute__((format(printf, 1, 2)));
static bool has(const char *format, ...) {
    char line[512];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    return strstr(document, line);
}

Test(proto_document, tables_are_those_of_the_code) {
#define OP(name, number, text) cr_expect(has("\n| %d | %s |", number, text), "%s", text);
    XNORD_OP_TABLE(OP)
#define STATUS(name, number, retry, text)                                                          \
    if (number > 0) {                                                                              \
        const char *may = retry ? "yes" : "no";                                                    \
        cr_expect(has("\n| %d | %s | %s | %s |\n", number, #name, may, text), "%s", #name);        \
    }
    XNORD_STATUS_TABLE(STATUS)
#define DATATYPE(name, bits) cr_expect(has("\n| %s | %d |\n", #name, bits), "%s", #name);
    XNORD_DATATYPE_TABLE(DATATYPE)
}

Test(proto_document, names_every_key) {
    for (int key = 0; key < XNORD_KEY_COUNT; key++) {
        const char *name = xnord_proto_key_name((xnord_proto_key)key);
        cr_expect(has("`%s`", name), "%s", name);
    }
}

// The decoder's stack has one frame per map, its set of seen keys one bit per field.
static unsigned depth_of(const xnord_proto_schema *schema) {
    unsigned deepest = 0;
    cr_assert_leq(schema->field_count, 64);
    for (uint32_t i = 0; i < schema->field_count; i++) {
        const xnord_proto_schema *item = schema->fields[i].item;
        unsigned depth = item ? depth_of(item) : 0;
        if (depth > deepest) deepest = depth;
    }
    return deepest + 1;
}

Test(proto_document, schemas_fit_the_decoder) {
#define DEPTH(suffix, op, type)                                                                    \
    cr_assert_leq(depth_of(xnord_proto_request_schema(XNORD_OP_##op)), XNORD_PROTO_SCHEMA_DEPTH);  \
    cr_assert_leq(depth_of(xnord_proto_reply_schema(XNORD_OP_##op)), XNORD_PROTO_SCHEMA_DEPTH);    \
    cr_assert_eq(xnord_proto_reply_schema(XNORD_OP_##op)->size, sizeof(type));
    XNORD_PROTO_BODY_TABLE(DEPTH)
    cr_assert_eq(depth_of(xnord_proto_error_schema()), 1);
}

// ---- examples -----------------------------------------------------------------------------------

typedef struct example {
    char kind[32]; // request, request-with-unknown, reply, refused
    char what[32]; // operation or status
    char status[32];
    unsigned char bytes[2048];
    size_t size;
} example;

static example examples[64];
static size_t example_count;

static const char *parse_bytes(const char *at, example *out) {
    while (strncmp(at, "```", 3) != 0) {
        char *end;
        unsigned long byte = strtoul(at, &end, 16);
        cr_assert(end == at + 2 && byte < 256, "hex expected at '%.20s'", at);
        out->bytes[out->size++] = (unsigned char)byte;
        at = end + strspn(end, " \n");
    }
    return at;
}

static void parse(void) {
    load();
    for (const char *at = document; (at = strstr(at, "```hex"));) {
        example *e = &examples[example_count++];
        int used = 0;
        sscanf(at, "```hex %31[^ \n] %31[^ \n] %31[^ \n]%n", e->kind, e->what, e->status, &used);
        at = parse_bytes(strchr(at, '\n') + 1, e) + 3;
    }
}

TestSuite(proto_examples, .init = parse);

static const example *find_example(const char *kind, const char *what, size_t index) {
    for (size_t i = 0; i < example_count; i++) {
        const example *e = &examples[i];
        if (strcmp(e->kind, kind) == 0 && strcmp(e->what, what) == 0 && index-- == 0) return e;
    }
    cr_assert_fail("no example %s %s", kind, what);
    return NULL;
}

static void decode_request(const example *e, xnord_proto_request *out) {
    xnord_proto_error error;
    xnord_status status = xnord_proto_decode_request(e->bytes, e->size, out, &error);
    cr_assert_eq(status, XNORD_OK, "%s %s: %s", e->kind, e->what, error.text);
    cr_assert_str_eq(xnord_op_name(out->op), e->what);
}

static void expect_bytes(const example *e, const unsigned char *bytes, size_t size) {
    cr_assert_eq(size, e->size, "%s %s: %zu bytes", e->kind, e->what, size);
    cr_assert_arr_eq(bytes, e->bytes, size, "%s %s", e->kind, e->what);
}

static union {
#define MEMBER(suffix, op, type) type suffix;
    XNORD_PROTO_BODY_TABLE(MEMBER)
} body;

// Decodes the body of an OK reply and encodes it again.
static size_t recode(const example *e, const xnord_proto_reply *reply, unsigned char *buffer) {
    xnord_proto_error error;
    if (reply->status != XNORD_OK) return xnord_proto_encode_error_reply(reply, buffer, 2048);
#define RECODE(suffix, op, type)                                                                   \
    if (strcmp(e->what, xnord_op_name(XNORD_OP_##op)) == 0) {                                      \
        xnord_status status = xnord_proto_decode_##suffix##_reply(reply, &body.suffix, &error);    \
        cr_assert_eq(status, XNORD_OK, "%s: %s", e->what, error.text);                             \
        return xnord_proto_encode_##suffix##_reply(reply->id, &body.suffix, buffer, 2048);         \
    }
    XNORD_PROTO_BODY_TABLE(RECODE)
    return 0;
}

static void check_example(const example *e) {
    unsigned char buffer[2048];
    xnord_proto_request request;
    xnord_proto_reply reply;
    xnord_proto_error error;
    if (strcmp(e->kind, "refused") == 0) {
        xnord_status status = xnord_proto_decode_request(e->bytes, e->size, &request, &error);
        cr_expect_str_eq(xnord_status_name(status), e->what, "%s", error.text);
    } else if (strcmp(e->kind, "reply") == 0) {
        cr_assert_eq(xnord_proto_decode_reply(e->bytes, e->size, &reply, &error), XNORD_OK, "%s",
                     error.text);
        cr_assert_str_eq(xnord_status_name(reply.status), e->status);
        expect_bytes(e, buffer, recode(e, &reply, buffer));
    } else {
        decode_request(e, &request);
        size_t size = xnord_proto_encode_request(&request, buffer, sizeof buffer);
        if (strcmp(e->kind, "request") == 0) expect_bytes(e, buffer, size);
    }
}

Test(proto_examples, decode_and_encode_to_the_same_bytes) {
    cr_assert_geq(example_count, 28);
    for (size_t i = 0; i < example_count; i++) check_example(&examples[i]);
}

Test(proto_examples, every_operation_has_a_request_and_a_reply) {
#define BOTH(name, number, text)                                                                   \
    find_example("request", text, 0);                                                              \
    find_example("reply", text, 0);
    XNORD_OP_TABLE(BOTH)
}

// The values that the text around the examples states.
Test(proto_examples, infer_means_what_the_text_says) {
    xnord_proto_request request;
    decode_request(find_example("request", "infer", 0), &request);
    cr_assert(xnord_proto_str_equal(request.model, "pointnet"));
    cr_assert_eq(request.inputs[0].datatype, XNORD_FP32);
    cr_assert_eq(request.inputs[0].shape[0], 2);
    cr_assert_eq(request.params.deadline_ms, 50);
    cr_assert_eq(request.params.top_k, 2);
    float points[6];
    memcpy(points, request.inputs[0].data, sizeof points);
    cr_assert_eq(points[3], 0.5f);

    decode_request(find_example("request", "infer", 1), &request);
    cr_assert_eq(request.inputs[0].rank, 3);
    cr_assert(xnord_proto_str_equal(request.outputs[0].name, "scores"));
    cr_assert_eq(request.params.top_k, 0);

    unsigned char buffer[2048];
    const example *e = find_example("reply", "infer", 0);
    xnord_proto_reply reply;
    xnord_proto_error error;
    cr_assert_eq(xnord_proto_decode_reply(e->bytes, e->size, &reply, &error), XNORD_OK);
    recode(e, &reply, buffer);
    cr_assert_eq(body.infer.label_count, 2);
    cr_assert(xnord_proto_str_equal(body.infer.labels[0].label, "sofa"));
    cr_assert_eq(body.infer.labels[0].confidence, 0.75f);
    cr_assert_eq(body.infer.t.compute, 803);

    decode_request(find_example("request", "infer", 2), &request);
    cr_assert_eq(request.inputs[0].shape[0], 3);
    cr_assert(xnord_proto_str_equal(request.outputs[1].name, "confidence"));
    e = find_example("reply", "infer", 2);
    cr_assert_eq(xnord_proto_decode_reply(e->bytes, e->size, &reply, &error), XNORD_OK);
    recode(e, &reply, buffer);
    cr_assert_eq(body.infer.outputs[0].datatype, XNORD_UINT8);
    cr_assert_eq(((const uint8_t *)body.infer.outputs[0].data)[1], 1);
    cr_assert_eq(body.infer.outputs[1].size, 12);
}

Test(proto_examples, only_segmentations_have_blocks) {
    xnord_proto_reply reply;
    xnord_proto_error error;
    unsigned char buffer[2048];
    for (size_t i = 0; i < 2; i++) {
        const example *e = find_example("reply", "model_metadata", i);
        cr_assert_eq(xnord_proto_decode_reply(e->bytes, e->size, &reply, &error), XNORD_OK);
        recode(e, &reply, buffer);
        cr_assert_eq(body.model_metadata.cloud.block, i == 0 ? 0 : 4.0f);
    }
}

Test(proto_examples, images_mean_what_the_text_says) {
    xnord_proto_request request;
    xnord_proto_reply reply;
    xnord_proto_error error;
    unsigned char buffer[2048];
    const example *e = find_example("reply", "model_metadata", 2);
    cr_assert_eq(xnord_proto_decode_reply(e->bytes, e->size, &reply, &error), XNORD_OK);
    recode(e, &reply, buffer);
    cr_assert_eq(body.model_metadata.image.multiple_of, 32);
    cr_assert(xnord_proto_str_equal(body.model_metadata.image.outputs[1].kind, "depth"));
    cr_assert_eq(body.model_metadata.image.outputs[0].palette[0], 0x804000);

    decode_request(find_example("request", "infer", 3), &request);
    const xnord_proto_tensor *image = &request.inputs[0];
    cr_assert(image->shape[0] == 2 && image->shape[1] == 3 && image->shape[2] == 1);
    cr_assert(image->stride == 4 && image->size == 7);
    cr_assert(xnord_proto_str_equal(request.outputs[1].name, "depth.millimetres"));
    e = find_example("reply", "infer", 3);
    cr_assert_eq(xnord_proto_decode_reply(e->bytes, e->size, &reply, &error), XNORD_OK);
    recode(e, &reply, buffer);
    cr_assert_eq(body.infer.outputs[1].datatype, XNORD_UINT16);

    decode_request(find_example("request", "infer", 4), &request);
    cr_assert(request.params.at_network && request.output_count == 0);
}
