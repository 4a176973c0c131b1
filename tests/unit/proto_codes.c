// The vocabulary: numbers, names, sizes. Expected values are from the protocol's text and by hand.
#include <criterion/criterion.h>

#include "xnord_codes.h"

Test(proto_codes, wire_statuses_have_no_gaps) {
    for (unsigned i = 0; i < XNORD_STATUS_COUNT; i++) {
        cr_assert_str_neq(xnord_status_name((xnord_status)i), "unknown", "status %u", i);
    }
    cr_assert_str_eq(xnord_status_name((xnord_status)XNORD_STATUS_COUNT), "unknown");
    cr_assert_str_eq(xnord_status_text((xnord_status)200), "unknown status");
}

Test(proto_codes, only_passing_conditions_may_be_retried) {
    for (unsigned i = 0; i < XNORD_STATUS_COUNT; i++) {
        bool expected = i == 3 || i == 4 || i == 14 || i == 16;
        cr_assert_eq(xnord_status_retry((xnord_status)i), expected, "status %u", i);
    }
    cr_assert(xnord_status_retry(XNORD_E_CONNECT));
    cr_assert_not(xnord_status_retry(XNORD_E_ARGUMENT));
}

Test(proto_codes, operations_are_found_by_number) {
    cr_assert_str_eq(xnord_op_name(16), "infer");
    cr_assert_str_eq(xnord_op_name(8), "model_index");
    cr_assert_str_eq(xnord_op_name(17), "unknown operation");
}

Test(proto_codes, datatypes_are_found_by_name) {
    for (unsigned i = 0; i < XNORD_DATATYPE_COUNT; i++) {
        xnord_datatype found;
        cr_assert(xnord_datatype_from_name(xnord_datatype_name((xnord_datatype)i), &found));
        cr_assert_eq((unsigned)found, i);
    }
    xnord_datatype unchanged = XNORD_INT8;
    cr_assert_not(xnord_datatype_from_name("fp32", &unchanged));
    cr_assert_not(xnord_datatype_from_name("", &unchanged));
    cr_assert_eq(unchanged, XNORD_INT8);
    cr_assert_str_eq(xnord_datatype_name(XNORD_DATATYPE_COUNT), "unknown");
    cr_assert_eq(xnord_datatype_bits(XNORD_DATATYPE_COUNT), 0);
}

typedef struct size_case {
    xnord_datatype datatype;
    uint32_t rank;
    int64_t dims[8];
    bool ok;
    uint64_t bytes;
} size_case;

static const size_case sizes[] = {
    {XNORD_FP32, 2, {1024, 3}, true, 12288},
    {XNORD_INT64, 0, {0}, true, 8},
    {XNORD_UINT8, 3, {480, 640, 3}, true, 921600},
    {XNORD_FP16, 1, {7}, true, 14},
    {XNORD_FP32, 2, {0, 3}, true, 0},
    {XNORD_BIT1, 0, {0}, true, 8},
    {XNORD_BIT1, 2, {10, 64}, true, 80},
    {XNORD_BIT1, 2, {10, 65}, true, 160},
    {XNORD_BIT1, 2, {10, 0}, true, 0},
    {XNORD_UINT8, 8, {1, 2, 1, 2, 1, 2, 1, 2}, true, 16},
    {XNORD_UINT8, 9, {1, 1, 1, 1, 1, 1, 1, 1}, false, 0},
    {XNORD_FP32, 2, {-1, 3}, false, 0},
    {XNORD_FP32, 2, {3, -1}, false, 0},
    {XNORD_UINT8, 1, {INT64_MAX}, true, INT64_MAX},
    {XNORD_FP32, 1, {INT64_MAX}, false, 0},
    {XNORD_BIT1, 1, {INT64_MAX}, true, UINT64_C(1) << 60},
    {XNORD_FP64, 3, {INT32_MAX, INT32_MAX, 3}, false, 0},
    {XNORD_DATATYPE_COUNT, 1, {1}, false, 0},
};

Test(proto_codes, tensor_sizes_are_exact_and_do_not_overflow) {
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const size_case *c = &sizes[i];
        uint64_t bytes = 0;
        cr_assert_eq(xnord_tensor_bytes(c->datatype, c->rank, c->dims, &bytes), c->ok, "case %zu",
                     i);
        if (c->ok) cr_assert_eq(bytes, c->bytes, "case %zu: %llu", i, (unsigned long long)bytes);
    }
}
