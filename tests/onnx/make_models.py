#!/usr/bin/env python3
"""Writes tests/onnx/data/*.onnx, the input of tests/unit/onnx_test.c. Needs python3-onnx; the files are committed."""

import os

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper, numpy_helper

OUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")
node = helper.make_node


def value(name, shape, dtype=T.FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


def floats(name, array):
    return numpy_helper.from_array(np.asarray(array, np.float32), name)


def ints(name, array):
    return numpy_helper.from_array(np.asarray(array, np.int64), name)


def write(name, nodes, inputs, outputs, initializers=(), opset=13, ir_version=7, imports=None, check=True, **graph):
    made = helper.make_graph(nodes, name, inputs, outputs, list(initializers))
    for key, items in graph.items():
        getattr(made, key).extend(items)
    imports = imports or [helper.make_opsetid("", opset)]
    model = helper.make_model(made, ir_version=ir_version, opset_imports=imports, producer_name="make_models")
    if check:
        onnx.checker.check_model(model)
    path = os.path.join(OUT, name + ".onnx")
    with open(path, "wb") as file:
        file.write(model.SerializeToString())
    assert os.path.getsize(path) < 20000, path


def binary_mlp():
    """What PyTorch exports: names with slashes, one node without a name, a dynamic batch."""
    signs = np.where(np.arange(8 * 4).reshape(4, 8) % 3 == 0, -1, 1)
    write("binary_mlp",
          [node("Gemm", ["x", "fc1.weight", "fc1.bias"], ["h0"], name="/fc1/Gemm", alpha=1.0, beta=1.0, transB=1),
           node("BatchNormalization", ["h0", "bn.scale", "bn.b", "bn.mean", "bn.var"], ["h1"], name="/bn/BatchNormalization",
                epsilon=1e-3, momentum=0.9),
           node("Sign", ["h1"], ["h2"]),
           node("MatMul", ["h2", "fc2.weight"], ["h3"], name="/fc2/MatMul"),
           node("LogSoftmax", ["h3"], ["log_probs"], name="/LogSoftmax", axis=1)],
          [value("x", ["batch", 3])], [value("log_probs", ["batch", 8])],
          [floats("fc1.weight", np.arange(12).reshape(4, 3)), floats("fc1.bias", [0, 1, 2, 3]), floats("bn.scale", [1, -1, 2, 0.5]),
           floats("bn.b", [0, 0, 1, 1]), floats("bn.mean", [0.5] * 4), floats("bn.var", [1] * 4), floats("fc2.weight", signs)])


def element_types():
    """Every element type once as raw bytes and once as a typed field; one Identity each."""
    cases = {T.FLOAT: [1.5, -2.0, np.inf], T.DOUBLE: [1.5, -2.0, 1e300], T.FLOAT16: [1.5, -65504.0, 2.0**-24],
             T.INT8: [1, -128, 127], T.INT16: [1, -32768, 32767], T.INT32: [1, -2**31, 2**31 - 1], T.INT64: [1, -2**63, 2**63 - 1],
             T.UINT8: [0, 128, 255], T.UINT16: [0, 1, 65535], T.UINT32: [0, 1, 2**32 - 1], T.BOOL: [True, False, True]}
    nodes, outputs, initializers = [], [], []
    for dtype, items in cases.items():
        array = np.array(items, onnx.mapping.TENSOR_TYPE_TO_NP_TYPE[dtype])
        for form in ("raw", "field"):
            name = f"{T.DataType.Name(dtype).lower()}_{form}"
            if form == "raw":
                initializers.append(numpy_helper.from_array(array, name))
            else:
                items = array.view(np.uint16).tolist() if dtype == T.FLOAT16 else array.tolist()
                tensor = onnx.TensorProto(name=name, data_type=dtype, dims=[3])
                field = {T.FLOAT: "float_data", T.DOUBLE: "double_data", T.INT64: "int64_data", T.UINT32: "uint64_data"}
                getattr(tensor, field.get(dtype, "int32_data")).extend(items)
                initializers.append(tensor)
            if form == "raw":
                continue
            nodes.append(node("Identity", [name], ["out_" + name]))
            outputs.append(value("out_" + name, [3], dtype))
    brain = onnx.TensorProto(name="bfloat16_raw", data_type=T.BFLOAT16, dims=[3], raw_data=np.array([0x3FC0, 0xC000, 0x7F80], "<u2").tobytes())
    write("element_types", nodes, [], outputs[:16], initializers + [brain], check=False)


def old_forms():
    """Opset 9: parameters as attributes, and initializers listed as inputs."""
    write("old_forms",
          [node("Slice", ["x"], ["a"], name="slice", starts=[0, 1], ends=[1, 9], axes=[0, 2]),
           node("Squeeze", ["a"], ["b"], name="squeeze", axes=[0]),
           node("Clip", ["b"], ["c"], name="clip", min=-1.0, max=1.0),
           node("Dropout", ["c"], ["d", "mask"], name="dropout", ratio=0.3),
           node("Add", ["d", "w"], ["e"], name="add"),
           node("TopK", ["e"], ["f", "f_index"], name="topk", axis=-1, k=2),
           node("ReduceSum", ["f"], ["g"], name="sum", axes=[1], keepdims=0),
           node("Unsqueeze", ["g"], ["h"], name="unsqueeze", axes=[0]),
           node("Softmax", ["h"], ["i"], name="softmax"),
           node("Split", ["i"], ["y", "z"], name="split", axis=1, split=[1, 3])],
          [value("x", [1, 4, 6]), value("w", [5])], [value("y", [1, 1]), value("z", [1, 3])], [floats("w", [1, 2, 3, 4, 5])],
          opset=9, ir_version=3, check=False)


def new_forms():
    """Opset 18: the same parameters as inputs, some of them omitted."""
    write("new_forms",
          [node("Shape", ["x"], ["a"], name="shape", start=1, end=-1),
           node("ReduceMean", ["x", "axes"], ["b"], name="mean", keepdims=0),
           node("ReduceSum", ["b"], ["c"], name="noop", noop_with_empty_axes=1),
           node("Clip", ["c", "", "high"], ["d"], name="clip"),
           node("Dropout", ["d", "ratio", "training"], ["e"], name="dropout"),
           node("Split", ["e"], ["y", "z"], name="split", axis=-1, num_outputs=2),
           node("ConstantOfShape", ["a"], ["filled"], name="fill", value=helper.make_tensor("v", T.INT64, [1], [7])),
           node("Cast", ["filled"], ["w"], name="cast", to=T.FLOAT)],
          [value("x", ["n", 5, 6])], [value("y", [None, 3]), value("z", [None, 3]), value("w", [5])],
          [ints("axes", [1]), floats("high", 6.0), floats("ratio", 0.5), numpy_helper.from_array(np.array(False), "training")],
          opset=18, ir_version=8, check=False)


def constants():
    nodes = [node("Constant", [], ["tensor"], value=numpy_helper.from_array(np.array([[1, 2], [3, 4]], np.float32))),
             node("Constant", [], ["float"], value_float=2.5), node("Constant", [], ["floats"], value_floats=[1.0, 2.0]),
             node("Constant", [], ["int"], value_int=-3), node("Constant", [], ["ints"], value_ints=[4, 5, 6]),
             node("Mul", ["tensor", "float"], ["a"]), node("Add", ["a", "floats"], ["y"]), node("Add", ["int", "ints"], ["z"])]
    write("constants", nodes, [], [value("y", [2, 2]), value("z", [3], T.INT64)])


def unsorted():
    chain = [node("Relu", [f"v{i}"], [f"v{i + 1}"], name=f"n{i}") for i in range(6)]
    write("unsorted", chain[::-1], [value("v0", [2])], [value("v6", [2])], check=False)


def auto_pad():
    kernel = floats("w", np.ones((2, 1, 3, 4)))

    def conv(source, out, **attributes):
        return node("Conv", [source, "w"], [out], name=out, **attributes)

    write("auto_pad",
          [conv("x", "upper", auto_pad="SAME_UPPER", strides=[2, 3]), conv("x", "lower", auto_pad="SAME_LOWER", dilations=[2, 1]),
           conv("x", "valid", auto_pad="VALID"), conv("x", "notset", auto_pad="NOTSET", pads=[1, 1, 1, 1]),
           conv("free", "stride1", auto_pad="SAME_UPPER")],
          [value("x", [1, 1, 10, 10]), value("free", [1, 1, "h", "w"])],
          [value(n, None) for n in ("upper", "lower", "valid", "notset", "stride1")], [kernel], check=False)


def own_operators():
    imports = [helper.make_opsetid("", 13), helper.make_opsetid("xnor", 1)]
    write("own_operators", [node("xnor_binarize", ["x"], ["y"], domain="xnor", name="bits")], [value("x", [2, 3])], [value("y", [2, 3])],
          imports=imports, check=False)
    points = [node("FarthestPointSampling", ["x"], ["taken"], domain="xnor", name="fps", ratio=0.5),
              node("GatherRows", ["x", "taken"], ["centres"], domain="xnor", name="centres"),
              node("BallQuery", ["x", "centres"], ["ball"], domain="xnor", name="ball", radius=0.2, count=16),
              node("KNearest", ["x", "centres"], ["nearest"], domain="xnor", name="nearest", count=8, dilation=2),
              node("GatherRows", ["x", "ball"], ["y"], domain="xnor", name="grouped")]
    write("point_operators", points, [value("x", ["batch", 9, 3])], [value("y", ["batch", 5, 16, 3]), value("nearest", ["batch", 5, 8], T.INT64)],
          imports=imports, check=False)


def refused():
    """One reason each; the test knows the message."""
    x, y = [value("x", [2, 3])], [value("y", [2, 3])]

    def one(name, *operator, initializers=(), inputs=x, outputs=y, **options):
        write("refused_" + name, list(operator), inputs, outputs, initializers, check=False, **options)

    relu = node("Relu", ["x"], ["y"], name="relu")
    one("operator", node("NonZero", ["x"], ["y"], name="/head/NonZero"))
    one("upsample", node("Upsample", ["x"], ["y"], name="up", scales=[2.0]), opset=7)
    one("domain", node("FusedRelu", ["x"], ["y"], name="fused", domain="com.vendor"),
        imports=[helper.make_opsetid("", 13), helper.make_opsetid("com.vendor", 3)])
    one("domain_version", node("xnor_binarize", ["x"], ["y"], domain="xnor", name="bits"),
        imports=[helper.make_opsetid("", 13), helper.make_opsetid("xnor", 2)])
    one("own_in_standard_domain", node("xnor_binarize", ["x"], ["y"], name="bits"))
    one("attribute", node("Relu", ["x"], ["y"], name="relu", slope=1.0))
    one("attribute_type", node("LogSoftmax", ["x"], ["y"], name="lsm", axis=1.0))
    one("opset", relu, opset=19)
    one("old_opset", relu, opset=6)
    one("no_opset", relu, imports=[helper.make_opsetid("com.vendor", 1)])
    one("training", node("BatchNormalization", ["x", "s", "s", "s", "s"], ["y"], name="bn", training_mode=1), opset=15,
        initializers=[floats("s", [1, 1, 1])])
    one("training_outputs", node("BatchNormalization", ["x", "s", "s", "s", "s"], ["y", "m", "v"], name="bn"), initializers=[floats("s", [1, 1, 1])])
    one("dropout", node("Dropout", ["x", "", "t"], ["y"], name="drop"), initializers=[numpy_helper.from_array(np.array(True), "t")])
    one("softmax", node("Softmax", ["x"], ["y"], name="sm", axis=0), opset=11)
    one("subgraph", node("Relu", ["x"], ["y"], name="if", body=helper.make_graph([relu], "g", x, y)))
    one("cycle", node("Add", ["x", "b"], ["a"], name="first"), node("Add", ["a", "x"], ["b"], name="second"), node("Relu", ["b"], ["y"], name="last"))
    one("missing_input", node("Relu", ["nowhere"], ["y"], name="relu"))
    one("made_twice", relu, node("Abs", ["x"], ["y"], name="abs"))
    one("output_is_input", node("Relu", ["x"], ["x"], name="relu"), outputs=x)
    one("missing_output", relu, outputs=[value("z", [2])])
    one("double_initializer", relu, initializers=[floats("w", [1]), floats("w", [2])])
    one("unranked_input", relu, inputs=[value("x", None)])
    one("rank", relu, inputs=[value("x", [1] * 9)])
    one("string", relu, initializers=[helper.make_tensor("s", T.STRING, [1], [b"a"])])
    one("complex_cast", node("Cast", ["x"], ["y"], name="cast", to=T.COMPLEX64))
    one("int8_input", relu, inputs=[value("x", [2], T.INT8)])
    one("short_data", relu, initializers=[onnx.TensorProto(name="w", data_type=T.FLOAT, dims=[2, 3], raw_data=b"\0" * 20)])
    one("odd_data", relu, initializers=[onnx.TensorProto(name="w", data_type=T.FLOAT, dims=[2, 3], raw_data=b"\0" * 22)])
    one("huge_shape", relu, initializers=[onnx.TensorProto(name="w", data_type=T.FLOAT, dims=[2**40, 2**40], raw_data=b"\0" * 4)])
    one("negative_dimension", relu, initializers=[onnx.TensorProto(name="w", data_type=T.FLOAT, dims=[-1], raw_data=b"\0" * 4)])
    external = onnx.TensorProto(name="w", data_type=T.FLOAT, dims=[1], data_location=T.EXTERNAL)
    external.external_data.add(key="location", value="weights.bin")
    one("external", relu, initializers=[external])
    sparse = onnx.SparseTensorProto(dims=[4])
    sparse.values.CopyFrom(floats("w", [1]))
    sparse.indices.CopyFrom(ints("", [2]))
    one("sparse", relu, sparse_initializer=[sparse])
    one("name", node("Relu", ["x"], ["y"], name="red\x1b[31m"))
    sequence = helper.make_tensor_sequence_value_info("x", T.FLOAT, [2])
    one("sequence", relu, inputs=[sequence])
    one("auto_pad", node("Conv", ["x", "w"], ["y"], name="conv", auto_pad="SAME_UPPER", strides=[2]), inputs=[value("x", [1, 1, "n"])],
        initializers=[floats("w", np.ones((1, 1, 3)))])


if __name__ == "__main__":
    os.makedirs(OUT, exist_ok=True)
    for make in (binary_mlp, element_types, old_forms, new_forms, constants, unsorted, auto_pad, own_operators, refused):
        make()
