#include "xnord_codes.h"

#include <stddef.h>
#include <string.h>

typedef struct code {
    unsigned number;
    bool retry;
    const char *name;
    const char *text;
} code;

static const code statuses[] = {
#define STATUS(name, number, retry, text) {number, retry, #name, text},
    XNORD_STATUS_TABLE(STATUS) XNORD_LOCAL_STATUS_TABLE(STATUS)
#undef STATUS
};

static const code ops[] = {
#define OP(name, number, text) {number, false, #name, text},
    XNORD_OP_TABLE(OP)
#undef OP
};

static const struct {
    const char *name;
    unsigned bits;
} datatypes[] = {
#define DATATYPE(name, bits) {#name, bits},
    XNORD_DATATYPE_TABLE(DATATYPE)
#undef DATATYPE
};

static const code *find(const code *codes, size_t count, unsigned number) {
    for (size_t i = 0; i < count; i++) {
        if (codes[i].number == number) return &codes[i];
    }
    return NULL;
}

static const code *find_status(xnord_status status) {
    return find(statuses, sizeof statuses / sizeof *statuses, (unsigned)status);
}

const char *xnord_op_name(unsigned op) {
    const code *found = find(ops, sizeof ops / sizeof *ops, op);
    return found ? found->text : "unknown operation";
}

const char *xnord_status_name(xnord_status status) {
    const code *found = find_status(status);
    return found ? found->name : "unknown";
}

const char *xnord_status_text(xnord_status status) {
    const code *found = find_status(status);
    return found ? found->text : "unknown status";
}

bool xnord_status_retry(xnord_status status) {
    const code *found = find_status(status);
    return found && found->retry;
}

const char *xnord_datatype_name(xnord_datatype datatype) {
    return (unsigned)datatype < XNORD_DATATYPE_COUNT ? datatypes[datatype].name : "unknown";
}

bool xnord_datatype_from_name(const char *name, xnord_datatype *out) {
    for (unsigned i = 0; i < XNORD_DATATYPE_COUNT; i++) {
        if (strcmp(datatypes[i].name, name) != 0) continue;
        *out = (xnord_datatype)i;
        return true;
    }
    return false;
}

unsigned xnord_datatype_bits(xnord_datatype datatype) {
    return (unsigned)datatype < XNORD_DATATYPE_COUNT ? datatypes[datatype].bits : 0;
}

bool xnord_tensor_bytes(xnord_datatype datatype, uint32_t rank, const int64_t *dims,
                        uint64_t *out) {
    uint64_t bits = xnord_datatype_bits(datatype);
    if (bits == 0 || rank > 8) return false;
    // A row is the unit that BIT1 pads; a scalar is a row of one.
    uint64_t row = rank > 0 ? (uint64_t)dims[rank - 1] : 1;
    if (rank > 0 && dims[rank - 1] < 0) return false;
    uint64_t bytes;
    if (bits == 1) {
        bytes = (row / 64 + (row % 64 != 0)) * 8;
    } else if (__builtin_mul_overflow(row, bits / 8, &bytes)) {
        return false;
    }
    for (uint32_t i = 0; i + 1 < rank; i++) {
        if (dims[i] < 0 || __builtin_mul_overflow(bytes, (uint64_t)dims[i], &bytes)) return false;
    }
    *out = bytes;
    return true;
}
