// libFuzzer target: requests and replies from anybody. The first byte chooses: 0 a request,
// otherwise a reply whose body is decoded as that of any operation. Whatever is accepted must
// survive a round trip.
//   clang -fsanitize=fuzzer,address,undefined ... && fuzz_proto -dict=proto.dict corpus_proto
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static union {
    xnord_proto_request request;
#define MEMBER(suffix, op, type) type suffix;
    XNORD_PROTO_BODY_TABLE(MEMBER)
#undef MEMBER
} first, second;

// A decoder may refuse only with one of three statuses and must say why.
static void check_refusal(const xnord_proto_error *error) {
    bool known = error->status == XNORD_INVALID || error->status == XNORD_UNSUPPORTED ||
                 error->status == XNORD_TOO_LARGE;
    if (!known || !error->text[0] || strlen(error->text) > XNORD_PROTO_MAX_STRING) abort();
}

static void try_request(const uint8_t *data, size_t size) {
    xnord_proto_error error;
    if (xnord_proto_decode_request(data, size, &first.request, &error) != XNORD_OK) {
        check_refusal(&error);
        return;
    }
    size_t wanted = xnord_proto_encode_request(&first.request, NULL, 0);
    uint8_t *again = malloc(wanted + 1);
    if (wanted == 0 || xnord_proto_encode_request(&first.request, again, wanted) != wanted) abort();
    if (xnord_proto_decode_request(again, wanted, &second.request, &error) != XNORD_OK) abort();
    uint8_t *thrice = malloc(wanted);
    if (xnord_proto_encode_request(&second.request, thrice, wanted) != wanted) abort();
    if (memcmp(again, thrice, wanted) != 0) abort();
    free(thrice);
    free(again);
}

static void try_reply(const uint8_t *data, size_t size) {
    xnord_proto_reply reply;
    xnord_proto_error error;
    if (xnord_proto_decode_reply(data, size, &reply, &error) != XNORD_OK) {
        check_refusal(&error);
        return;
    }
    if (reply.status != XNORD_OK) return;
#define TRY(suffix, op, type)                                                                      \
    if (xnord_proto_decode_##suffix##_reply(&reply, &first.suffix, &error) != XNORD_OK) {          \
        check_refusal(&error);                                                                     \
    } else {                                                                                       \
        size_t wanted = xnord_proto_encode_##suffix##_reply(reply.id, &first.suffix, NULL, 0);     \
        uint8_t *again = malloc(wanted + 1);                                                       \
        xnord_proto_encode_##suffix##_reply(reply.id, &first.suffix, again, wanted);               \
        if (wanted == 0) abort();                                                                  \
        if (xnord_proto_decode_reply(again, wanted, &reply, &error) != XNORD_OK) abort();          \
        if (xnord_proto_decode_##suffix##_reply(&reply, &second.suffix, &error) != XNORD_OK) {     \
            abort();                                                                               \
        }                                                                                          \
        free(again);                                                                               \
        if (xnord_proto_decode_reply(data, size, &reply, &error) != XNORD_OK) abort();             \
    }
    XNORD_PROTO_BODY_TABLE(TRY)
#undef TRY
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    // An odd address: nothing may assume alignment.
    uint8_t *message = malloc(size);
    memcpy(message, data, size);
    if (data[0] == 0) {
        try_request(message + 1, size - 1);
    } else {
        try_reply(message + 1, size - 1);
    }
    free(message);
    return 0;
}
