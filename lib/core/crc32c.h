// CRC-32C (Castagnoli, RFC 3720 appendix B.4): the checksum of every section of a model file.
// Any thread.
#ifndef XNOR_CORE_CRC32C_H
#define XNOR_CORE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

// Continues `crc` (0 to begin) over `size` bytes, so that
// crc32c(crc32c(0, a), b) == crc32c(0, a followed by b).
uint32_t xnor_crc32c(uint32_t crc, const void *data, size_t size);
// The same without CPU instructions: the definition that the tests compare with.
uint32_t xnor_crc32c_portable(uint32_t crc, const void *data, size_t size);

#endif
