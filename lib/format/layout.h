// What the bytes of a .xnor file mean: shared by writer and reader. FORMAT.md is the text to it.
#ifndef XNOR_FORMAT_LAYOUT_H
#define XNOR_FORMAT_LAYOUT_H

#include "include/xnor.h"

// 0x01 tells the file from text; CR LF and 0x1a show a transfer that took it for text.
#define XNOR_FORMAT_MAGIC "XNOR\x01\r\n\x1a"
#define XNOR_FORMAT_VERSION 1
#define XNOR_FORMAT_BYTE_ORDER UINT32_C(0x01020304)
#define XNOR_FORMAT_ALIGNMENT 64 // of sections and of constants
#define XNOR_GOLDEN_ALIGNMENT 8

// X(id, kind, name). Kind 5 is reserved for a signature.
#define XNOR_SECTION_TABLE(X)                                                                      \
    X(METADATA, 1, "metadata")                                                                     \
    X(GRAPH, 2, "graph")                                                                           \
    X(CONSTANTS, 3, "constants")                                                                   \
    X(GOLDEN, 4, "golden")

typedef enum xnor_section {
#define XNOR_SECTION_ENUM(id, kind, name) XNOR_SECTION_##id = kind,
    XNOR_SECTION_TABLE(XNOR_SECTION_ENUM)
#undef XNOR_SECTION_ENUM
        XNOR_SECTION_END
} xnor_section;

typedef struct xnor_file_header {
    uint8_t magic[8];
    uint32_t version;
    uint32_t byte_order;
    uint64_t file_bytes;
    uint32_t section_count;
    uint8_t reserved[28];
    uint32_t table_crc;  // of the section table
    uint32_t header_crc; // of the 60 bytes before it
} xnor_file_header;

typedef struct xnor_file_section {
    uint32_t kind;
    uint32_t crc;
    uint64_t offset;
    uint64_t length;
} xnor_file_section;

_Static_assert(sizeof(xnor_file_header) == 64, "the header has no padding");
_Static_assert(sizeof(xnor_file_section) == 24, "a table entry has no padding");

// The file stores dtypes by these numbers.
_Static_assert(XNOR_F32 == 0 && XNOR_F64 == 1 && XNOR_I32 == 2 && XNOR_I64 == 3 && XNOR_U8 == 4 &&
                   XNOR_BOOL == 5 && XNOR_BITS == 6 && XNOR_TERNARY == 7 && XNOR_ACC == 8,
               "dtypes have the numbers of FORMAT.md");

// Limits that keep a hostile file from making the reader allocate far more than the file's size.
enum {
    XNOR_FORMAT_MAX_NODES = 65536,
    XNOR_FORMAT_MAX_VALUES = 1 << 18,
    XNOR_FORMAT_MAX_ATTRS = 1 << 18, // of all nodes together
    XNOR_FORMAT_MAX_GRAPH_BYTES = 8 << 20,
    XNOR_FORMAT_MAX_METADATA_BYTES = 1 << 20,
    XNOR_FORMAT_MAX_TEXT_BYTES = 1024, // one name
};

#endif
