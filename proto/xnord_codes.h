// Vocabulary of the xnord protocol: operations, statuses and datatypes, each in one table.
// Installed beside xnord.h. Pure functions; any thread. Returned strings are static.
#ifndef XNORD_CODES_H
#define XNORD_CODES_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

// X(name, number, text)
#define XNORD_OP_TABLE(X)                                                                          \
    X(HELLO, 0, "hello")                                                                           \
    X(LIVE, 1, "live")                                                                             \
    X(READY, 2, "ready")                                                                           \
    X(SERVER_METADATA, 3, "server_metadata")                                                       \
    X(MODEL_INDEX, 8, "model_index")                                                               \
    X(MODEL_METADATA, 9, "model_metadata")                                                         \
    X(MODEL_STATS, 10, "model_stats")                                                              \
    X(INFER, 16, "infer")

typedef enum xnord_op {
#define XNORD_OP_ENUM(name, number, text) XNORD_OP_##name = number,
    XNORD_OP_TABLE(XNORD_OP_ENUM)
#undef XNORD_OP_ENUM
} xnord_op;

// Statuses that a reply carries. retry: the same request may succeed later without any change.
// X(name, number, retry, text)
#define XNORD_STATUS_TABLE(X)                                                                      \
    X(OK, 0, false, "success")                                                                     \
    X(INVALID, 1, false, "malformed request or wrong shape")                                       \
    X(NOT_FOUND, 2, false, "no such model or version")                                             \
    X(NOT_READY, 3, true, "loading or draining")                                                   \
    X(BUSY, 4, true, "queue full")                                                                 \
    X(UNMEETABLE, 5, false, "refused on arrival: the deadline cannot be met")                      \
    X(EXPIRED, 6, false, "the deadline passed while queued")                                       \
    X(ABORTED, 7, false, "the deadline passed while running")                                      \
    X(SUPERSEDED, 8, false, "replaced by a newer frame of the same stream")                        \
    X(CANCELLED, 9, false, "cancelled")                                                            \
    X(STALE, 10, false, "input too old")                                                           \
    X(PERMISSION, 11, false, "not permitted")                                                      \
    X(TOO_LARGE, 12, false, "larger than a limit")                                                 \
    X(UNSUPPORTED, 13, false, "operation, version or datatype not supported")                      \
    X(RESOURCE, 14, true, "out of memory or another resource")                                     \
    X(INTEGRITY, 15, false, "hash, signature or self-test does not match")                         \
    X(DEGRADED, 16, true, "refused at the current degradation tier")                               \
    X(INTERNAL, 17, false, "internal error")

// Statuses that only libxnord itself reports. Never on the wire.
#define XNORD_LOCAL_STATUS_TABLE(X)                                                                \
    X(E_ARGUMENT, 256, false, "invalid argument")                                                  \
    X(E_CONNECT, 257, true, "cannot connect to the server")                                        \
    X(E_DISCONNECTED, 258, true, "the server went away before it answered")                        \
    X(E_TIMEOUT, 259, true, "no answer in time")                                                   \
    X(E_CANCELLED, 260, false, "cancelled by the caller")                                          \
    X(E_PROTOCOL, 261, false, "the server's answer is malformed or speaks another version")        \
    X(E_MEMORY, 262, true, "out of memory")                                                        \
    X(E_TRANSPORT, 263, false, "transport failure")

typedef enum xnord_status {
#define XNORD_STATUS_ENUM(name, number, retry, text) XNORD_##name = number,
    XNORD_STATUS_TABLE(XNORD_STATUS_ENUM) XNORD_LOCAL_STATUS_TABLE(XNORD_STATUS_ENUM)
#undef XNORD_STATUS_ENUM
} xnord_status;

// Wire statuses are 0 .. XNORD_STATUS_COUNT - 1 without gaps: counters may be arrays.
#define XNORD_STATUS_COUNT 18

// Open Inference Protocol names, plus BF16 and BIT1. Little endian, row-major, dense.
// BIT1: sign bits (1 is +1), LSB first; each row along the last axis is padded to 64 bits.
// X(name, bits per element)
#define XNORD_DATATYPE_TABLE(X)                                                                    \
    X(BOOL, 8)                                                                                     \
    X(UINT8, 8)                                                                                    \
    X(UINT16, 16)                                                                                  \
    X(UINT32, 32)                                                                                  \
    X(UINT64, 64)                                                                                  \
    X(INT8, 8)                                                                                     \
    X(INT16, 16)                                                                                   \
    X(INT32, 32)                                                                                   \
    X(INT64, 64)                                                                                   \
    X(FP16, 16)                                                                                    \
    X(FP32, 32)                                                                                    \
    X(FP64, 64)                                                                                    \
    X(BF16, 16)                                                                                    \
    X(BIT1, 1)

typedef enum xnord_datatype {
#define XNORD_DATATYPE_ENUM(name, bits) XNORD_##name,
    XNORD_DATATYPE_TABLE(XNORD_DATATYPE_ENUM)
#undef XNORD_DATATYPE_ENUM
        XNORD_DATATYPE_COUNT
} xnord_datatype;

// "infer"; "unknown operation" for a number without an entry.
const char *xnord_op_name(unsigned op);
// "BUSY", "E_CONNECT"; "unknown" for a number without an entry.
const char *xnord_status_name(xnord_status status);
// "queue full"; "unknown status" for a number without an entry.
const char *xnord_status_text(xnord_status status);
// Whether sending the same request again may succeed. libxnord never does that by itself.
bool xnord_status_retry(xnord_status status);
// "FP32"; "unknown" for a number without an entry.
const char *xnord_datatype_name(xnord_datatype datatype);
// Finds a datatype by its name. false: there is none of that name; *out is unchanged.
bool xnord_datatype_from_name(const char *name, xnord_datatype *out);
// Bits of one element; 0 for a number without an entry.
unsigned xnord_datatype_bits(xnord_datatype datatype);
// Bytes of a dense tensor [dims...]. false: a dimension is negative, rank > 8, or the size
// overflows. Rank 0 is a scalar.
bool xnord_tensor_bytes(xnord_datatype datatype, uint32_t rank, const int64_t *dims, uint64_t *out);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif
