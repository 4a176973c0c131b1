// KITTI velodyne scans: nothing but float32 records of x, y, z, reflectance, little endian.
// Source: Geiger et al., Vision meets Robotics: The KITTI Dataset, IJRR 2013, section "Data".
#include "clients/xnorctl/cloud_format.h"
#include "clients/xnorctl/scalar.h"

#define RECORD_BYTES 16

xnor_status cloud_read_bin(const cloud_file *file, const cloud_options *options, cloud *out) {
    (void)options;
    if (file->size % RECORD_BYTES != 0)
        return xnor_fail(XNOR_E_FORMAT,
                         "%s: expected a multiple of %d bytes (float32 x y z reflectance), found "
                         "%zu bytes",
                         file->name, RECORD_BYTES, file->size);
    XNOR_TRY(cloud_reserve(file->name, file->size / RECORD_BYTES, out));
    for (size_t offset = 0; offset < file->size; offset += RECORD_BYTES) {
        double xyz[3];
        for (size_t i = 0; i < 3; i++)
            xyz[i] = scalar_load(SCALAR_F32, file->data + offset + 4 * i, false);
        XNOR_TRY(cloud_add(file->name, xyz, out));
    }
    return XNOR_OK;
}
