// libFuzzer target: the ONNX importer and the shape rules on damaged files.
//   clang -fsanitize=fuzzer,address,undefined ... && fuzz_onnx -max_len=4096 NEW ../onnx/data
#include <stdint.h>

#include "onnx/onnx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    xnor_graph graph;
    xnor_graph_init(&graph);
    xnor_status status = xnor_onnx_read(data, size, &graph);
    if (status == XNOR_OK) status = xnor_graph_verify(&graph);
    xnor_graph_free(&graph);
    return status == XNOR_E_INTERNAL; // a status that neither may return
}
