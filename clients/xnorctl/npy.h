// NumPy arrays on disk (numpy.lib.format, versions 1.0 to 3.0): C order, plain numbers.
#ifndef XNORCTL_NPY_H
#define XNORCTL_NPY_H

#include "clients/xnorctl/scalar.h"
#include "core/status.h"

typedef struct npy_header {
    scalar_type type;
    bool big_endian;
    size_t rank;
    size_t dims[XNOR_MAX_RANK];
    size_t data_offset; // the elements start here; they are not checked to be present
} npy_header;

// Parses the header of the file's `data`. `name` is used in messages.
XNOR_NODISCARD xnor_status npy_read_header(const char *name, const uint8_t *data, size_t size,
                                           npy_header *out);
// Reads a whole array into a new buffer (free it) of `dtype`: F32 takes any real or integer array,
// the integer types only integer arrays.
XNOR_NODISCARD xnor_status npy_read(const char *path, xnor_dtype dtype, xnor_tensor *out);
// Writes a dense f32, f64, i32, i64, u8 or bool tensor.
XNOR_NODISCARD xnor_status npy_write(const char *path, const xnor_tensor *tensor);

#endif
