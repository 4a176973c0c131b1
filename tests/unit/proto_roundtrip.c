// What is encoded is decoded to the same struct, whatever its size; what exceeds a limit is not
// encoded.
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "proto.h"

static xnord_proto_str str(const char *text) {
    return xnord_proto_str_from(text);
}

static xnord_proto_tensor tensor(const char *name, const void *data, size_t size) {
    return (xnord_proto_tensor){.name = str(name),
                                .datatype = XNORD_UINT8,
                                .rank = 1,
                                .shape = {(int64_t)size},
                                .data = data,
                                .size = size};
}

static xnord_proto_request infer_request(void) {
    static const unsigned char data[] = {1, 2, 3, 0xff, 0, 0xc1};
    xnord_proto_request request = {
        .ver = XNORD_PROTO_VERSION,
        .op = XNORD_OP_INFER,
        .id = UINT64_MAX,
        .model = str("modèle"),
        .version = str("2"),
        .input_count = 2,
        .output_count = 2,
        .params = {.deadline_ms = 1u << 30, .top_k = 64},
    };
    request.inputs[0] = tensor("a", data, sizeof data);
    request.inputs[1] = tensor("b", NULL, 0);
    request.outputs[0].name = str("x");
    request.outputs[1].name = str("y");
    return request;
}

static void expect_str(xnord_proto_str found, xnord_proto_str expected) {
    cr_assert_eq(found.size, expected.size);
    cr_assert_arr_eq(found.data, expected.data, expected.size);
}

Test(proto_roundtrip, infer_request) {
    xnord_proto_request in = infer_request(), out;
    xnord_proto_error error;
    size_t size = xnord_proto_encode_request(&in, NULL, 0);
    cr_assert_gt(size, 0);
    // Odd offset and exact size: no alignment is assumed and nothing behind the end is touched.
    unsigned char *memory = malloc(size + 1), *buffer = memory + 1;
    cr_assert_eq(xnord_proto_encode_request(&in, buffer, size), size);
    cr_assert_eq(xnord_proto_decode_request(buffer, size, &out, &error), XNORD_OK, "%s",
                 error.text);
    cr_assert_eq(out.ver, 257);
    cr_assert_eq(out.op, XNORD_OP_INFER);
    cr_assert_eq(out.id, UINT64_MAX);
    expect_str(out.model, in.model);
    expect_str(out.version, in.version);
    cr_assert_eq(out.input_count, 2);
    expect_str(out.inputs[0].name, in.inputs[0].name);
    cr_assert_eq(out.inputs[0].datatype, XNORD_UINT8);
    cr_assert_eq(out.inputs[0].rank, 1);
    cr_assert_eq(out.inputs[0].shape[0], 6);
    cr_assert_eq(out.inputs[0].size, 6);
    cr_assert_arr_eq(out.inputs[0].data, in.inputs[0].data, 6);
    cr_assert((const unsigned char *)out.inputs[0].data > buffer &&
              (const unsigned char *)out.inputs[0].data < buffer + size);
    cr_assert_eq(out.inputs[1].size, 0);
    cr_assert_eq(out.output_count, 2);
    expect_str(out.outputs[1].name, in.outputs[1].name);
    cr_assert_eq(out.params.deadline_ms, 1u << 30);
    cr_assert_eq(out.params.top_k, 64);
    free(memory);
}

Test(proto_roundtrip, every_prefix_is_refused_and_every_capacity_is_respected) {
    xnord_proto_request in = infer_request(), out;
    xnord_proto_error error;
    size_t size = xnord_proto_encode_request(&in, NULL, 0);
    for (size_t capacity = 0; capacity <= size; capacity++) {
        unsigned char *buffer = malloc(capacity + 1);
        buffer[capacity] = 0xa5;
        cr_assert_eq(xnord_proto_encode_request(&in, buffer, capacity), size);
        cr_assert_eq(buffer[capacity], 0xa5);
        free(buffer);
    }
    unsigned char *whole = malloc(size);
    xnord_proto_encode_request(&in, whole, size);
    for (size_t cut = 0; cut < size; cut++) {
        unsigned char *prefix = malloc(cut + 1);
        memcpy(prefix + 1, whole, cut);
        cr_assert_eq(xnord_proto_decode_request(prefix + 1, cut, &out, &error), XNORD_INVALID);
        free(prefix);
    }
    free(whole);
}

Test(proto_roundtrip, structs_beyond_a_limit_are_not_encoded) {
    char text[300];
    memset(text, 'x', sizeof text);
    text[256] = '\0';
    xnord_proto_request in = infer_request();
    in.model = str(text);
    cr_assert_eq(xnord_proto_encode_request(&in, NULL, 0), 0);
    in.model.size = 255;
    cr_assert_gt(xnord_proto_encode_request(&in, NULL, 0), 0);
    in.model = str("new\nline");
    cr_assert_eq(xnord_proto_encode_request(&in, NULL, 0), 0);
    in = infer_request();
    in.input_count = 17;
    cr_assert_eq(xnord_proto_encode_request(&in, NULL, 0), 0);
    in = infer_request();
    in.output_count = 17;
    cr_assert_eq(xnord_proto_encode_request(&in, NULL, 0), 0);
    in = infer_request();
    in.inputs[0].rank = 9;
    cr_assert_eq(xnord_proto_encode_request(&in, NULL, 0), 0);
    in = infer_request();
    in.inputs[0].size--;
    cr_assert_eq(xnord_proto_encode_request(&in, NULL, 0), 0);
    in = infer_request();
    in.inputs[1].name = in.inputs[0].name;
    cr_assert_eq(xnord_proto_encode_request(&in, NULL, 0), 0);
    in = infer_request();
    in.params.top_k = 65;
    cr_assert_eq(xnord_proto_encode_request(&in, NULL, 0), 0);
    in = (xnord_proto_request){.op = 17};
    cr_assert_eq(xnord_proto_encode_request(&in, NULL, 0), 0);
}

// The largest infer reply: its size is the promise of XNORD_PROTO_INFER_OVERHEAD, and its objects
// are within the budget.
Test(proto_roundtrip, largest_infer_reply) {
    static char names[XNORD_PROTO_MAX_TENSORS][256];
    static unsigned char data[1000];
    static xnord_proto_infer_reply in, out;
    static char label[256];
    memset(label, 'l', 255);
    in.model = in.version = str(label);
    in.output_count = XNORD_PROTO_MAX_TENSORS;
    for (int i = 0; i < XNORD_PROTO_MAX_TENSORS; i++) {
        memset(names[i], 'a' + i, 255);
        in.outputs[i] = tensor(names[i], data, sizeof data);
        in.outputs[i].rank = 8;
        for (int j = 1; j < 8; j++) in.outputs[i].shape[j] = 1;
    }
    in.label_count = XNORD_PROTO_MAX_LABELS;
    for (unsigned i = 0; i < XNORD_PROTO_MAX_LABELS; i++) {
        in.labels[i] = (xnord_proto_label){UINT32_MAX - i, str(label), 1.0f / (float)(i + 1)};
    }
    in.t = (xnord_proto_times){UINT64_MAX, UINT64_MAX, UINT64_MAX};
    size_t size = xnord_proto_encode_infer_reply(UINT64_MAX, &in, NULL, 0);
    cr_assert_gt(size, 0);
    cr_assert_leq(size, XNORD_PROTO_MAX_TENSORS * sizeof data + XNORD_PROTO_INFER_OVERHEAD);

    unsigned char *buffer = malloc(size);
    xnord_proto_encode_infer_reply(UINT64_MAX, &in, buffer, size);
    xnord_proto_reply reply;
    xnord_proto_error error;
    cr_assert_eq(xnord_proto_decode_reply(buffer, size, &reply, &error), XNORD_OK, "%s",
                 error.text);
    cr_assert_eq(reply.id, UINT64_MAX);
    cr_assert_eq(xnord_proto_decode_infer_reply(&reply, &out, &error), XNORD_OK, "%s", error.text);
    cr_assert_eq(out.label_count, XNORD_PROTO_MAX_LABELS);
    cr_assert_eq(out.labels[63].id, UINT32_MAX - 63);
    cr_assert_eq(out.labels[63].confidence, 1.0f / 64);
    cr_assert_eq(out.outputs[15].rank, 8);
    expect_str(out.outputs[15].name, in.outputs[15].name);
    cr_assert_eq(out.t.total, UINT64_MAX);
    free(buffer);
}

// As many models and classes as the limits allow stay within the budget of objects.
Test(proto_roundtrip, largest_lists) {
    static xnord_proto_model_stats stats, stats_out;
    stats.edge_count = XNORD_PROTO_MAX_EDGES;
    stats.model_count = XNORD_PROTO_MAX_MODELS;
    for (int i = 0; i < XNORD_PROTO_MAX_MODELS; i++) {
        xnord_proto_model_counters *m = &stats.models[i];
        m->name = m->version = str("m");
        m->status_count = XNORD_STATUS_COUNT;
        m->queue.bucket_count = m->compute.bucket_count = m->total.bucket_count =
            XNORD_PROTO_MAX_EDGES + 1;
        m->total.counts[XNORD_PROTO_MAX_EDGES] = (uint64_t)i + 1;
    }
    static unsigned char buffer[1 << 18];
    xnord_proto_reply reply;
    xnord_proto_error error;
    size_t size = xnord_proto_encode_model_stats_reply(1, &stats, buffer, sizeof buffer);
    cr_assert(size > 0 && size <= sizeof buffer);
    cr_assert_eq(xnord_proto_decode_reply(buffer, size, &reply, &error), XNORD_OK, "%s",
                 error.text);
    cr_assert_eq(xnord_proto_decode_model_stats_reply(&reply, &stats_out, &error), XNORD_OK, "%s",
                 error.text);
    cr_assert_eq(stats_out.models[63].total.counts[XNORD_PROTO_MAX_EDGES], 64);
    stats.models[3].queue.bucket_count = 5;
    cr_assert_eq(xnord_proto_encode_model_stats_reply(1, &stats, buffer, sizeof buffer), 0);

    static xnord_proto_model_metadata meta, meta_out;
    meta.name = meta.version = meta.platform = str("m");
    meta.class_count = XNORD_PROTO_MAX_CLASSES;
    for (int i = 0; i < XNORD_PROTO_MAX_CLASSES; i++) meta.classes[i] = str("c");
    meta.input_count = 1;
    meta.inputs[0] = (xnord_proto_port){str("i"), XNORD_BIT1, 2, {-1, 3}};
    meta.has_cloud = true;
    meta.cloud.input = str("i");
    size = xnord_proto_encode_model_metadata_reply(1, &meta, buffer, sizeof buffer);
    cr_assert_eq(xnord_proto_decode_reply(buffer, size, &reply, &error), XNORD_OK);
    cr_assert_eq(xnord_proto_decode_model_metadata_reply(&reply, &meta_out, &error), XNORD_OK, "%s",
                 error.text);
    cr_assert_eq(meta_out.class_count, XNORD_PROTO_MAX_CLASSES);
    cr_assert_eq(meta_out.inputs[0].shape[0], -1);
    cr_assert_eq(meta_out.inputs[0].datatype, XNORD_BIT1);
    cr_assert(meta_out.has_cloud);
    meta.has_cloud = false;
    size = xnord_proto_encode_model_metadata_reply(1, &meta, buffer, sizeof buffer);
    cr_assert_eq(xnord_proto_decode_reply(buffer, size, &reply, &error), XNORD_OK);
    cr_assert_eq(xnord_proto_decode_model_metadata_reply(&reply, &meta_out, &error), XNORD_OK);
    cr_assert_not(meta_out.has_cloud);
}

static xnord_proto_reply refuse(xnord_status status, const char *detail, xnord_proto_reply *out,
                                unsigned char *buffer) {
    xnord_proto_reply in = {.status = status,
                            .id = UINT64_MAX,
                            .detail = str(detail),
                            .retry_ms = UINT64_MAX,
                            .est_us = UINT64_MAX};
    xnord_proto_error error;
    size_t size = xnord_proto_encode_error_reply(&in, buffer, XNORD_PROTO_ERROR_BYTES);
    cr_assert(size > 0 && size <= XNORD_PROTO_ERROR_BYTES);
    cr_assert_eq(xnord_proto_decode_reply(buffer, size, out, &error), XNORD_OK, "%s", error.text);
    cr_assert_eq(out->status, status);
    cr_assert_eq(out->retry_ms, UINT64_MAX);
    return *out;
}

Test(proto_roundtrip, any_text_can_be_the_detail_of_a_refusal) {
    unsigned char buffer[XNORD_PROTO_ERROR_BYTES];
    xnord_proto_reply out;
    char text[400] = "";
    refuse(XNORD_BUSY, NULL, &out, buffer);
    cr_assert_eq(out.detail.size, 0);
    refuse(XNORD_BUSY, "tab\there", &out, buffer);
    cr_assert(xnord_proto_str_equal(out.detail, "tab?here"));
    refuse(XNORD_BUSY, "\xff", &out, buffer);
    cr_assert(xnord_proto_str_equal(out.detail, "?"));
    memset(text, 'x', 300);
    refuse(XNORD_UNSUPPORTED, text, &out, buffer);
    cr_assert_eq(out.detail.size, 255);
    cr_assert_eq(out.speaks_count, 1);
    cr_assert_eq(out.speaks[0], 1);
    // 254 bytes and a character of two: it is left out as a whole.
    memcpy(text + 254, "é", 2);
    refuse(XNORD_BUSY, text, &out, buffer);
    cr_assert_eq(out.detail.size, 254);
    xnord_proto_reply ok = {.status = XNORD_OK};
    cr_assert_eq(xnord_proto_encode_error_reply(&ok, buffer, sizeof buffer), 0);
    xnord_proto_reply local = {.status = XNORD_E_CONNECT};
    cr_assert_eq(xnord_proto_encode_error_reply(&local, buffer, sizeof buffer), 0);
}

Test(proto_roundtrip, keys_may_come_in_any_order_with_any_integer_width) {
    static const char message[] =
        "\xdc\x00\x04\xcf\x00\x00\x00\x00\x00\x00\x01\x00\xd1\x00\x10\xd0\x07"
        "\xdf\x00\x00\x00\x03\xd9\x06"
        "inputs"
        "\xdd\x00\x00\x00\x01\xde\x00\x05"
        "\xda\x00\x04"
        "data"
        "\xc6\x00\x00\x00\x02\x01\x02\xdb\x00\x00\x00\x05"
        "shape"
        "\x91\xd3\x00\x00\x00\x00\x00\x00\x00\x02\xa6"
        "colour"
        "\x92\x01\x81\xa1"
        "b\xc0"
        "\xa8"
        "datatype"
        "\xa5"
        "UINT8"
        "\xa4"
        "name"
        "\xa1x"
        "\xa1"
        "z\xcb\x00\x00\x00\x00\x00\x00\x00\x00\xa5"
        "model"
        "\xa1m";
    xnord_proto_request out;
    xnord_proto_error error;
    cr_assert_eq(xnord_proto_decode_request(message, sizeof message - 1, &out, &error), XNORD_OK,
                 "%s", error.text);
    cr_assert_eq(out.id, 7);
    cr_assert_eq(out.input_count, 1);
    cr_assert_eq(out.inputs[0].shape[0], 2);
    cr_assert_arr_eq(out.inputs[0].data, "\x01\x02", 2);
    cr_assert(xnord_proto_str_equal(out.model, "m"));
}

// ---- images -------------------------------------------------------------------------------------

// 3 rows of 2 x 2 bytes, `stride` apart, in `size` bytes.
static xnord_status image_status(uint64_t stride, size_t size) {
    static const unsigned char data[64];
    xnord_proto_request in = {
        .ver = XNORD_PROTO_VERSION, .op = XNORD_OP_INFER, .model = str("m"), .input_count = 1};
    in.inputs[0] = tensor("image", data, size);
    in.inputs[0].rank = 3;
    memcpy(in.inputs[0].shape, (int64_t[]){3, 2, 2}, 3 * sizeof(int64_t));
    in.inputs[0].stride = stride;
    unsigned char buffer[256];
    xnord_proto_request out;
    xnord_proto_error error;
    const size_t written = xnord_proto_encode_request(&in, buffer, sizeof buffer);
    if (written == 0) return XNORD_INVALID; // the encoder looks at the same
    const xnord_status status = xnord_proto_decode_request(buffer, written, &out, &error);
    if (status == XNORD_OK) cr_assert(out.inputs[0].stride == stride && out.inputs[0].size == size);
    return status;
}

Test(proto_roundtrip, a_stride_says_how_far_rows_are_apart) {
    cr_expect_eq(image_status(0, 12), XNORD_OK);
    cr_expect_eq(image_status(4, 12), XNORD_OK);
    cr_expect_eq(image_status(7, 18), XNORD_OK, "the last row ends with its values");
    cr_expect_eq(image_status(7, 21), XNORD_OK);
    cr_expect_eq(image_status(7, 17), XNORD_INVALID);
    cr_expect_eq(image_status(7, 22), XNORD_INVALID);
    cr_expect_eq(image_status(3, 12), XNORD_INVALID);
    cr_expect_eq(image_status(UINT64_MAX, 12), XNORD_INVALID);
    cr_expect_eq(image_status(UINT64_MAX / 2, 12), XNORD_INVALID);
}

Test(proto_roundtrip, only_rows_have_a_stride) {
    static const unsigned char data[8];
    xnord_proto_request in = {
        .ver = XNORD_PROTO_VERSION, .op = XNORD_OP_INFER, .model = str("m"), .input_count = 1};
    in.inputs[0] = tensor("x", data, 8);
    in.inputs[0].stride = 8;
    cr_expect_eq(xnord_proto_encode_request(&in, NULL, 0), 0, "rank 1");
    in.inputs[0].rank = 2;
    in.inputs[0].shape[0] = 0;
    in.inputs[0].shape[1] = 8;
    in.inputs[0].size = 0;
    cr_expect_eq(xnord_proto_encode_request(&in, NULL, 0), 0, "no rows");
    xnord_proto_infer_reply reply = {.model = str("m"), .output_count = 1};
    reply.outputs[0] = tensor("x", data, 8);
    const size_t plain = xnord_proto_encode_infer_reply(1, &reply, NULL, 0);
    cr_expect_gt(plain, 0);
}

Test(proto_roundtrip, at_network) {
    xnord_proto_request in = infer_request(), out;
    xnord_proto_error error;
    unsigned char buffer[512];
    for (int at_network = 0; at_network < 2; at_network++) {
        in.params.at_network = at_network;
        const size_t size = xnord_proto_encode_request(&in, buffer, sizeof buffer);
        cr_assert_eq(xnord_proto_decode_request(buffer, size, &out, &error), XNORD_OK);
        cr_assert_eq(out.params.at_network, at_network);
    }
}

Test(proto_roundtrip, metadata_of_images_at_their_largest) {
    static xnord_proto_model_metadata in, out;
    in = (xnord_proto_model_metadata){
        .name = str("m"), .version = str("1"), .platform = str("xnor"), .has_image = true};
    in.image = (xnord_proto_image){.input = str("image"),
                                   .width = 16384,
                                   .height = 8,
                                   .multiple_of = 8,
                                   .output_count = XNORD_PROTO_MAX_TENSORS};
    for (uint32_t i = 0; i < XNORD_PROTO_MAX_TENSORS; i++) {
        xnord_proto_image_output *o = &in.image.outputs[i];
        o->name = str("abcdefghijklmnop");
        o->name.size = i + 1;
        o->kind = str("segmentation");
        o->class_count = o->colour_count = XNORD_PROTO_MAX_IMAGE_CLASSES;
        for (uint32_t c = 0; c < XNORD_PROTO_MAX_IMAGE_CLASSES; c++) {
            o->classes[c] = str("a class of some kind");
            o->palette[c] = 0xffffff - c;
        }
        o->low = 0.5f;
        o->high = 80;
    }
    const size_t size = xnord_proto_encode_model_metadata_reply(7, &in, NULL, 0);
    cr_assert_gt(size, 0);
    unsigned char *buffer = malloc(size);
    cr_assert_eq(xnord_proto_encode_model_metadata_reply(7, &in, buffer, size), size);
    xnord_proto_reply reply;
    xnord_proto_error error;
    cr_assert_eq(xnord_proto_decode_reply(buffer, size, &reply, &error), XNORD_OK, "%s",
                 error.text);
    cr_assert_eq(xnord_proto_decode_model_metadata_reply(&reply, &out, &error), XNORD_OK, "%s",
                 error.text);
    cr_assert(out.has_image && !out.has_cloud);
    cr_assert(out.image.width == 16384 && out.image.multiple_of == 8);
    cr_assert_eq(out.image.output_count, XNORD_PROTO_MAX_TENSORS);
    const xnord_proto_image_output *last = &out.image.outputs[XNORD_PROTO_MAX_TENSORS - 1];
    expect_str(last->name, str("abcdefghijklmnop"));
    cr_assert(last->class_count == 256 && last->colour_count == 256);
    cr_assert(last->palette[255] == 0xffffff - 255 && last->high == 80);
    free(buffer);
}
