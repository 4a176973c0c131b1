// Messages that must be refused, with the status and a word of the text that says why.
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "proto.h"

// Bytes of a literal without its NUL.
#define BYTES(literal) literal, sizeof(literal) - 1

typedef struct refusal {
    const char *message;
    size_t size;
    xnord_status status;
    const char *word;
} refusal;

// "\x94\xcd\x01\x00" opens an envelope of version 1.0; then operation and id.
#define LIVE "\x94\xcd\x01\x00\x01\x05"
#define READY "\x94\xcd\x01\x00\x02\x05"
#define HELLO "\x94\xcd\x01\x00\x00\x05"
#define INDEX "\x94\xcd\x01\x00\x08\x05"
#define INFER "\x94\xcd\x01\x00\x10\x05"
#define MODEL                                                                                      \
    "\xa5"                                                                                         \
    "model"                                                                                        \
    "\xa1m"
#define NAME                                                                                       \
    "\xa4"                                                                                         \
    "name"                                                                                         \
    "\xa1x"
#define UINT8_TYPE                                                                                 \
    "\xa8"                                                                                         \
    "datatype"                                                                                     \
    "\xa5"                                                                                         \
    "UINT8"
#define SHAPE_1                                                                                    \
    "\xa5"                                                                                         \
    "shape"                                                                                        \
    "\x91\x01"
#define DATA_1                                                                                     \
    "\xa4"                                                                                         \
    "data"                                                                                         \
    "\xc4\x01\x00"
#define ONE_INPUT                                                                                  \
    "\xa6"                                                                                         \
    "inputs"                                                                                       \
    "\x91"

static const refusal refusals[] = {
    // envelope
    {BYTES(""), XNORD_INVALID, "too early"},
    {BYTES("\x94"), XNORD_INVALID, "array of 4 announced"},
    {BYTES("\x80"), XNORD_INVALID, "expected array of 4, found map"},
    {BYTES("\x93\xcd\x01\x00\x01\x05"), XNORD_INVALID, "expected array of 4, found 3"},
    {BYTES("\x95\xcd\x01\x00\x01\x05\x80\x80"), XNORD_INVALID, "expected array of 4, found 5"},
    {BYTES("\x94\xa1v\x01\x05\x80"), XNORD_INVALID, "version: expected unsigned integer"},
    {BYTES("\x94\xce\x00\x01\x00\x00\x01\x05\x80"), XNORD_INVALID, "version: expected an integer"},
    {BYTES("\x94\xcd\x02\x00\x01\x05\x80"), XNORD_UNSUPPORTED, "major version 1, found 2"},
    {BYTES("\x94\x00\x01\x05\x80"), XNORD_UNSUPPORTED, "major version 1, found 0"},
    {BYTES("\x94\xcd\x01\x00\xff\x05\x80"), XNORD_INVALID, "operation: expected unsigned"},
    {BYTES("\x94\xcd\x01\x00\x01\xca\x00\x00\x00\x00\x80"), XNORD_INVALID, "id: expected"},
    {BYTES("\x94\xcd\x01\x00\x11\x05\x80"), XNORD_UNSUPPORTED, "operation 17"},
    {BYTES(LIVE "\x90"), XNORD_INVALID, "live: expected map, found array"},
    {BYTES(LIVE), XNORD_INVALID, "too early"},
    {BYTES(LIVE "\x80\xc0"), XNORD_INVALID, "1 trailing"},
    // structure
    {BYTES(LIVE "\x81\x01\x02"), XNORD_INVALID, "key: expected str, found integer"},
    {BYTES(LIVE "\x82\xa1"
                "a\x01\xa1"
                "a\x02"),
     XNORD_INVALID, "duplicate key 'a'"},
    {BYTES(LIVE "\x81\xa1"
                "a\x82\xa1"
                "b\x01\xa1"
                "b\x02"),
     XNORD_INVALID, "duplicate key 'b'"},
    {BYTES(LIVE "\x81\xa1"
                "a\xc1"),
     XNORD_INVALID, "unassigned"},
    {BYTES(LIVE "\x81\xa1"
                "a\xd4\x00\x00"),
     XNORD_INVALID, "ext"},
    {BYTES(LIVE "\x81\xa1"
                "a\xc7\x00\x00"),
     XNORD_INVALID, "ext"},
    {BYTES(LIVE "\x81\xa1"
                "a\xc9\xff\xff\xff\xff\x00"),
     XNORD_INVALID, "ext"},
    {BYTES(LIVE "\x81\xa1"
                "a\xdd\x01\x00\x00\x00"),
     XNORD_INVALID, "array of 16777216"},
    {BYTES(LIVE "\x81\xa1"
                "a\xdf\xff\xff\xff\xff"),
     XNORD_INVALID, "map of 4294967295"},
    {BYTES(LIVE "\x81\xa1"
                "a\xc6\xff\xff\xff\xff"),
     XNORD_INVALID, "bin of 4294967295"},
    {BYTES(LIVE "\x81\xa1"
                "a\xdb\xff\xff\xff\xff"),
     XNORD_INVALID, "str of 4294967295"},
    {BYTES(LIVE "\x81\xa1"
                "a\xcf\x00\x00"),
     XNORD_INVALID, "number of 8"},
    {BYTES(LIVE "\x81\xa1"
                "a\xa2\xff\xfe"),
     XNORD_INVALID, "UTF-8"},
    {BYTES(LIVE "\x81\xa1"
                "a\xa1\x0a"),
     XNORD_INVALID, "control"},
    {BYTES(LIVE "\x81\xa1"
                "a\xa1\x7f"),
     XNORD_INVALID, "control"},
    {BYTES(LIVE "\x81\xa1"
                "a\xa2\xc2\x9b"),
     XNORD_INVALID, "control"},
    {BYTES(LIVE "\x81\xa1"
                "a\xa2\xc0\xaf"),
     XNORD_INVALID, "UTF-8"}, // overlong '/'
    {BYTES(LIVE "\x81\xa1"
                "a\xa3\xed\xa0\x80"),
     XNORD_INVALID, "UTF-8"}, // surrogate
    {BYTES(LIVE "\x81\xa1"
                "a\xa4\xf4\x90\x80\x80"),
     XNORD_INVALID, "UTF-8"}, // above U+10FFFF
    {BYTES(LIVE "\x81\xa1"
                "a\xa2\xe2\x82"),
     XNORD_INVALID, "UTF-8"}, // cut
    {BYTES(LIVE "\x81\xa1"
                "a\x91\x91\x91\x91\x91\x91\x91\x00"),
     XNORD_INVALID, "deeper than 8"},
    // types of fields
    {BYTES(READY "\x81\xa5"
                 "model"
                 "\x01"),
     XNORD_INVALID, "ready.model: expected str"},
    {BYTES(INDEX "\x81\xa5"
                 "ready"
                 "\x01"),
     XNORD_INVALID, "model_index.ready: expected bool"},
    {BYTES(HELLO "\x81\xa5"
                 "proto"
                 "\x91\x01"),
     XNORD_INVALID, "[lowest, highest]"},
    {BYTES(HELLO "\x81\xa5"
                 "proto"
                 "\x93\x01\x01\x01"),
     XNORD_TOO_LARGE, "hello.proto: at most 2"},
    {BYTES(HELLO "\x81\xa5"
                 "proto"
                 "\x92\x01\xff"),
     XNORD_INVALID, "negative integer"},
    {BYTES("\x94\xcd\x01\x00\x09\x05\x80"), XNORD_INVALID, "model_metadata.model: missing"},
    // infer
    {BYTES(INFER "\x80"), XNORD_INVALID, "infer.model: missing"},
    {BYTES(INFER "\x81" MODEL), XNORD_INVALID, "infer.inputs: missing"},
    {BYTES(INFER "\x82" MODEL "\xa6"
                 "inputs"
                 "\x90"),
     XNORD_INVALID, "at least one tensor"},
    {BYTES(INFER "\x82" MODEL "\xa6"
                 "inputs"
                 "\x80"),
     XNORD_INVALID, "infer.inputs: expected array"},
    {BYTES(INFER "\x82" MODEL ONE_INPUT "\x01"), XNORD_INVALID, "infer.inputs[0]: expected map"},
    {BYTES(INFER "\x82" MODEL ONE_INPUT "\x80"), XNORD_INVALID, "infer.inputs[0].name: missing"},
    {BYTES(INFER "\x82" MODEL ONE_INPUT "\x83" NAME UINT8_TYPE SHAPE_1), XNORD_INVALID,
     "infer.inputs[0].data: missing"},
    {BYTES(INFER "\x82" MODEL ONE_INPUT "\x81"
                 "\xa8"
                 "datatype"
                 "\xa4"
                 "FP33"),
     XNORD_UNSUPPORTED, "infer.inputs[0].datatype: unknown datatype 'FP33'"},
    {BYTES(INFER "\x82" MODEL ONE_INPUT "\x81"
                 "\xa8"
                 "datatype"
                 "\xa0"),
     XNORD_UNSUPPORTED, "unknown datatype"},
    {BYTES(INFER "\x82" MODEL ONE_INPUT "\x81"
                 "\xa3"
                 "shm"
                 "\x80"),
     XNORD_UNSUPPORTED, "infer.inputs[0].shm: not supported"},
    {BYTES(INFER "\x82" MODEL ONE_INPUT "\x81"
                 "\xa6"
                 "layout"
                 "\x80"),
     XNORD_UNSUPPORTED, "infer.inputs[0].layout: not supported"},
    {BYTES(INFER "\x82" MODEL ONE_INPUT "\x84" NAME UINT8_TYPE SHAPE_1 "\xa4"
                 "data"
                 "\xa1x"),
     XNORD_INVALID, "infer.inputs[0].data: expected bin, found str"},
    {BYTES(INFER "\x82" MODEL ONE_INPUT "\x84" NAME UINT8_TYPE SHAPE_1 "\xa4"
                 "data"
                 "\xc4\x00"),
     XNORD_INVALID, "UINT8 [1] takes 1 bytes, found 0"},
    {BYTES(INFER "\x82" MODEL ONE_INPUT "\x84" NAME UINT8_TYPE "\xa5"
                 "shape"
                 "\x91\xff" DATA_1),
     XNORD_INVALID, "[-1] is not the shape of a tensor"},
    {BYTES(INFER "\x82" MODEL ONE_INPUT "\x84" NAME UINT8_TYPE "\xa5"
                 "shape"
                 "\x91\xfe" DATA_1),
     XNORD_INVALID, "an integer from -1"},
    {BYTES(INFER "\x82" MODEL ONE_INPUT "\x84" NAME UINT8_TYPE "\xa5"
                 "shape"
                 "\x91\xcf\xff\xff\xff\xff\xff\xff\xff\xff" DATA_1),
     XNORD_INVALID, "an integer from -1"},
    {BYTES(INFER "\x82" MODEL ONE_INPUT "\x84" NAME UINT8_TYPE "\xa5"
                 "shape"
                 "\x92\xcf\x7f\xff\xff\xff\xff\xff\xff\xff\x04" DATA_1),
     XNORD_INVALID, "is not the shape of a tensor"},
    {BYTES(INFER "\x82" MODEL ONE_INPUT "\x84" NAME UINT8_TYPE "\xa5"
                 "shape"
                 "\x91\xca\x3f\x80\x00\x00" DATA_1),
     XNORD_INVALID, "found float"},
    {BYTES(INFER "\x82" MODEL ONE_INPUT "\x84" NAME UINT8_TYPE "\xa5"
                 "shape"
                 "\x99\x01\x01\x01\x01\x01\x01\x01\x01\x01" DATA_1),
     XNORD_TOO_LARGE, "infer.inputs[0].shape: at most 8, found 9"},
    {BYTES(INFER "\x82" MODEL "\xa6"
                 "inputs"
                 "\x92"
                 "\x84" NAME UINT8_TYPE SHAPE_1 DATA_1 "\x84" NAME UINT8_TYPE SHAPE_1 DATA_1),
     XNORD_INVALID, "infer.inputs[1]: same name as infer.inputs[0]"},
    {BYTES(INFER "\x83" MODEL ONE_INPUT "\x84" NAME UINT8_TYPE SHAPE_1 DATA_1 "\xa7"
                 "outputs"
                 "\x91\x82" NAME "\xa2"
                 "as"
                 "\xa3"
                 "shm"),
     XNORD_UNSUPPORTED, "infer.outputs[0].as: not supported"},
    {BYTES(INFER "\x83" MODEL ONE_INPUT "\x84" NAME UINT8_TYPE SHAPE_1 DATA_1 "\xa6"
                 "params"
                 "\x81\xa5"
                 "top_k"
                 "\x41"),
     XNORD_TOO_LARGE, "infer.params.top_k: at most 64, found 65"},
    {BYTES(INFER "\x83" MODEL ONE_INPUT "\x84" NAME UINT8_TYPE SHAPE_1 DATA_1 "\xa6"
                 "params"
                 "\x81\xab"
                 "deadline_ms"
                 "\xff"),
     XNORD_INVALID, "infer.params.deadline_ms: expected unsigned integer, found negative"},
    {BYTES(INFER "\x83" MODEL ONE_INPUT "\x84" NAME UINT8_TYPE SHAPE_1 DATA_1 "\xa6"
                 "params"
                 "\xc0"),
     XNORD_INVALID, "infer.params: expected map, found nil"},
};

Test(proto_malformed, each_is_refused_with_its_reason) {
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        const refusal *c = &refusals[i];
        // A copy of the exact size, so that reading behind it is seen by the sanitizer.
        char *message = malloc(c->size + 1);
        memcpy(message + 1, c->message, c->size);
        xnord_proto_request request;
        xnord_proto_error error;
        xnord_status status = xnord_proto_decode_request(message + 1, c->size, &request, &error);
        cr_expect_eq(status, c->status, "case %zu (%s): %s", i, c->word, xnord_status_name(status));
        cr_expect_eq(error.status, status);
        cr_expect(strstr(error.text, c->word), "case %zu: '%s' lacks '%s'", i, error.text, c->word);
        free(message);
    }
}

Test(proto_malformed, refusal_keeps_the_id) {
    xnord_proto_request request;
    xnord_proto_error error;
    static const char bad_body[] = "\x94\xcd\x01\x00\x10\xcd\x12\x34\xc1";
    cr_assert_eq(xnord_proto_decode_request(BYTES(bad_body), &request, &error), XNORD_INVALID);
    cr_assert_eq(request.id, 0x1234);
    cr_assert_eq(request.op, XNORD_OP_INFER);
    static const char other_major[] = "\x94\xcd\x07\x03\x10\xcd\x12\x34\xc1";
    cr_assert_eq(xnord_proto_decode_request(BYTES(other_major), &request, &error),
                 XNORD_UNSUPPORTED);
    cr_assert_eq(request.id, 0x1234);
    cr_assert_eq(request.ver, 0x703);
}

static xnord_status decode_live_with(const unsigned char *value, size_t size) {
    unsigned char *message = malloc(size + 16);
    memcpy(message,
           LIVE "\x81\xa1"
                "a",
           9);
    memcpy(message + 9, value, size);
    xnord_proto_request request;
    xnord_proto_error error;
    xnord_status status = xnord_proto_decode_request(message, size + 9, &request, &error);
    free(message);
    return status;
}

// The envelope has 4 elements and 1 key beside the value, and is an object itself.
Test(proto_malformed, object_budget_is_exact) {
    static unsigned char array[2000] = {0xdc};
    size_t most = XNORD_PROTO_MAX_OBJECTS - 1 - 4 - 2;
    array[1] = (unsigned char)(most >> 8);
    array[2] = (unsigned char)most;
    cr_assert_eq(decode_live_with(array, most + 3), XNORD_OK);
    array[2]++;
    cr_assert_eq(decode_live_with(array, most + 4), XNORD_INVALID);
}

Test(proto_malformed, string_and_key_limits_are_exact) {
    static unsigned char text[300] = {0xda, 0, 255};
    memset(text + 3, 'x', 256);
    cr_assert_eq(decode_live_with(text, 3 + 255), XNORD_OK);
    text[1] = 1, text[2] = 0;
    cr_assert_eq(decode_live_with(text, 3 + 256), XNORD_INVALID);

    static unsigned char map[3 + 65 * 3] = {0xde, 0, 64};
    for (unsigned char i = 0; i < 65; i++) {
        map[3 + i * 3] = 0xa1;
        map[4 + i * 3] = (unsigned char)(' ' + i);
    }
    cr_assert_eq(decode_live_with(map, 3 + 64 * 3), XNORD_OK);
    map[2] = 65;
    cr_assert_eq(decode_live_with(map, 3 + 65 * 3), XNORD_INVALID);
}

// 96 bytes of nested arrays that each claim 65535 elements; nested maps; a long chain of arrays
// of 1.
Test(proto_malformed, bombs_are_refused) {
    static unsigned char bomb[1 << 16];
    for (size_t i = 0; i + 3 <= 96; i += 3) memcpy(bomb + i, "\xdc\xff\xff", 3);
    cr_assert_eq(decode_live_with(bomb, 96), XNORD_INVALID);
    memset(bomb, 0x91, sizeof bomb);
    cr_assert_eq(decode_live_with(bomb, sizeof bomb), XNORD_INVALID);
    memset(bomb, 0x9f, sizeof bomb);
    cr_assert_eq(decode_live_with(bomb, sizeof bomb), XNORD_INVALID);
    memset(bomb, 0x81, sizeof bomb);
    cr_assert_eq(decode_live_with(bomb, sizeof bomb), XNORD_INVALID);
}

Test(proto_malformed, replies_are_checked_too) {
    static const refusal replies[] = {
        {BYTES("\x94\xcd\x01\x00\x12\x05\x80"), XNORD_INVALID, "status: expected at most 17"},
        {BYTES("\x94\xcd\x02\x00\x00\x05\x80"), XNORD_UNSUPPORTED, "major"},
        {BYTES("\x94\xcd\x01\x00\x04\x05\x81\xa6"
               "detail"
               "\x01"),
         XNORD_INVALID, "error.detail"},
    };
    for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
        xnord_proto_reply reply;
        xnord_proto_error error;
        cr_expect_eq(xnord_proto_decode_reply(replies[i].message, replies[i].size, &reply, &error),
                     replies[i].status);
        cr_expect(strstr(error.text, replies[i].word), "%s", error.text);
    }
}

Test(proto_malformed, confidence_must_be_a_number) {
    static const char nan_label[] = "\x94\xcd\x01\x00\x00\x05\x83\xa5"
                                    "model"
                                    "\xa1m\xa6"
                                    "labels"
                                    "\x91\x83\xa2"
                                    "id"
                                    "\x00\xa5"
                                    "label"
                                    "\xa1"
                                    "a\xaa"
                                    "confidence"
                                    "\xca\x7f\xc0\x00\x00"
                                    "\xa1"
                                    "t\x83\xa5"
                                    "queue"
                                    "\x00\xa7"
                                    "compute"
                                    "\x00\xa5"
                                    "total"
                                    "\x00";
    char message[sizeof nan_label];
    memcpy(message, nan_label, sizeof message);
    size_t size = sizeof message - 1;
    xnord_proto_reply reply;
    xnord_proto_infer_reply body;
    xnord_proto_error error;
    cr_assert_eq(xnord_proto_decode_reply(message, size, &reply, &error), XNORD_OK);
    cr_assert_eq(xnord_proto_decode_infer_reply(&reply, &body, &error), XNORD_INVALID);
    cr_assert(strstr(error.text, "infer.labels[0].confidence: expected a finite"), "%s",
              error.text);
    char *at = memmem(message, size, "\x7f\xc0", 2);
    memcpy(at, "\x3f\x00", 2);
    cr_assert_eq(xnord_proto_decode_infer_reply(&reply, &body, &error), XNORD_OK);
    cr_assert_float_eq(body.labels[0].confidence, 0.5f, 1e-9f);
}
