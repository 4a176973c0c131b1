// From bytes to protobuf-c messages, for files that may be damaged.
#ifndef XNOR_ONNX_UNPACK_H
#define XNOR_ONNX_UNPACK_H

#include "core/status.h"

#include "onnx/onnx.pb-c.h"

// Release with xnor_onnx_release.
XNOR_NODISCARD xnor_status xnor_onnx_unpack(const void *data, size_t size, Onnx__ModelProto **out);
void xnor_onnx_release(Onnx__ModelProto *model);

#endif
