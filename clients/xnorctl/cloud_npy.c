// NumPy arrays of points: float16, float32 or float64, [N, >=3] or [1, N, >=3], C order.
#include "clients/xnorctl/cloud_format.h"
#include "clients/xnorctl/npy.h"

#include <stdio.h>

static xnor_status check_shape(const cloud_file *file, const npy_header *header, size_t *count,
                               size_t *columns) {
    const size_t *dims = header->dims;
    size_t rank = header->rank;
    if (rank == 3 && dims[0] == 1) {
        dims++;
        rank--;
    }
    if (rank != 2 || dims[1] < 3) {
        char shape[128] = "";
        for (size_t i = 0, used = 0; i < header->rank && used < sizeof shape - 24; i++) {
            const char *comma = i ? ", " : "";
            int n = snprintf(shape + used, sizeof shape - used, "%s%zu", comma, header->dims[i]);
            used += (size_t)n;
        }
        return xnor_fail(XNOR_E_SHAPE,
                         "%s: expected shape [N, 3 or more] or [1, N, 3 or more], "
                         "found [%s]",
                         file->name, shape);
    }
    size_t values, bytes;
    const size_t found = file->size - header->data_offset;
    if (!xnor_size_mul(dims[0], dims[1], &values) ||
        !xnor_size_mul(values, scalar_size(header->type), &bytes) || bytes > found)
        return xnor_fail(
            XNOR_E_FORMAT, "%s: byte %zu: expected %zu x %zu values of %zu bytes, found %zu bytes",
            file->name, header->data_offset, dims[0], dims[1], scalar_size(header->type), found);
    *count = dims[0];
    *columns = dims[1];
    return XNOR_OK;
}

xnor_status cloud_read_npy(const cloud_file *file, const cloud_options *options, cloud *out) {
    (void)options;
    npy_header header;
    size_t count = 0, columns = 0;
    XNOR_TRY(npy_read_header(file->name, file->data, file->size, &header));
    if (scalar_is_integer(header.type))
        return xnor_fail(XNOR_E_UNSUPPORTED,
                         "%s: expected an array of float16, float32 or float64, found integers",
                         file->name);
    XNOR_TRY(check_shape(file, &header, &count, &columns));
    XNOR_TRY(cloud_reserve(file->name, count, out));
    const size_t bytes = scalar_size(header.type);
    for (size_t i = 0; i < count; i++) {
        double xyz[3];
        const uint8_t *row = file->data + header.data_offset + i * columns * bytes;
        for (size_t axis = 0; axis < 3; axis++)
            xyz[axis] = scalar_load(header.type, row + axis * bytes, header.big_endian);
        XNOR_TRY(cloud_add(file->name, xyz, out));
    }
    return XNOR_OK;
}
