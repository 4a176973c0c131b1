#!/usr/bin/env python3
"""Writes small binarized networks with random weights that give every point, or a cloud, a class.

segment.onnx   five channels of each point -> 32 real features, their signs -> 64 binary ones, the largest of each over
               the points, beside each point's own signs -> 64 binary features -> log-probabilities of 3 classes.
               Input [batch, 128, 5].
any_size.onnx  the same for [batch, points, 3] without the largest, so that any number of points will do.
two.onnx       a class for a cloud of 128 points: log_probs [batch, 3], and the signs that it comes from: code [batch, 64].
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

POINTS, CHANNELS, CLASSES = 128, 5, 3
random = np.random.default_rng(11)


def real(*shape):
    return random.standard_normal(shape).astype(np.float32)


def signs(*shape):
    return np.where(random.random(shape) < 0.5, -1, 1).astype(np.float32)


def save(name, shape, nodes, constants, outputs=None):
    outputs = outputs or {"log_probs": shape[:2] + [CLASSES]}
    made = [helper.make_node(op, inputs, [out], name=out, **more) for op, inputs, out, more in nodes]
    graph = helper.make_graph(
        made, name, [helper.make_tensor_value_info("points", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(k, TensorProto.FLOAT, v) for k, v in outputs.items()],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], producer_name="make_segment.py")
    model.ir_version = 7
    onnx.checker.check_model(model)
    onnx.save(model, Path(__file__).with_name(f"{name}.onnx"))


def segment():
    constants = {
        "w1": real(CHANNELS, 32) * 2, "b1": real(32),
        "w2": signs(32, 64), "s2": np.float32(0.25), "b2": real(64),
        "w3": signs(96, 64), "b3": real(64) * 4, "w4": real(64, CLASSES), "b4": real(CLASSES),
        "all": np.array([1, POINTS, 64], np.int64),
    }
    save("segment", ["batch", POINTS, CHANNELS], [
        ("MatMul", ["points", "w1"], "m1", {}), ("Add", ["m1", "b1"], "a1", {}), ("Sign", ["a1"], "own", {}),
        ("MatMul", ["own", "w2"], "m2", {}), ("Mul", ["m2", "s2"], "c2", {}), ("Add", ["c2", "b2"], "a2", {}),
        ("ReduceMax", ["a2"], "top", {"axes": [1], "keepdims": 1}), ("Expand", ["top", "all"], "every", {}),
        ("Sign", ["every"], "cloud", {}), ("Concat", ["cloud", "own"], "both", {"axis": 2}),
        ("MatMul", ["both", "w3"], "m3", {}), ("Add", ["m3", "b3"], "a3", {}), ("Sign", ["a3"], "h3", {}),
        ("MatMul", ["h3", "w4"], "m4", {}), ("Add", ["m4", "b4"], "a4", {}),
        ("LogSoftmax", ["a4"], "log_probs", {"axis": 2}),
    ], constants)


def any_size():
    constants = {"w1": real(3, 32) * 2, "b1": real(32), "w2": signs(32, 64), "b2": real(64) * 4,
                 "w3": real(64, CLASSES), "b3": real(CLASSES)}
    save("any_size", ["batch", "points", 3], [
        ("MatMul", ["points", "w1"], "m1", {}), ("Add", ["m1", "b1"], "a1", {}), ("Sign", ["a1"], "h1", {}),
        ("MatMul", ["h1", "w2"], "m2", {}), ("Add", ["m2", "b2"], "a2", {}), ("Sign", ["a2"], "h2", {}),
        ("MatMul", ["h2", "w3"], "m3", {}), ("Add", ["m3", "b3"], "a3", {}),
        ("LogSoftmax", ["a3"], "log_probs", {"axis": 2}),
    ], constants)


def two():
    constants = {"w1": real(3, 32) * 2, "b1": real(32), "w2": signs(32, 64), "b2": real(64) * 4,
                 "w3": real(64, CLASSES), "b3": real(CLASSES)}
    save("two", ["batch", POINTS, 3], [
        ("MatMul", ["points", "w1"], "m1", {}), ("Add", ["m1", "b1"], "a1", {}), ("Sign", ["a1"], "h1", {}),
        ("MatMul", ["h1", "w2"], "m2", {}), ("ReduceMax", ["m2"], "top", {"axes": [1], "keepdims": 0}),
        ("Add", ["top", "b2"], "a2", {}), ("Sign", ["a2"], "code", {}),
        ("MatMul", ["code", "w3"], "m3", {}), ("Add", ["m3", "b3"], "a3", {}),
        ("LogSoftmax", ["a3"], "log_probs", {"axis": 1}),
    ], constants, {"log_probs": ["batch", CLASSES], "code": ["batch", 64]})


if __name__ == "__main__":
    segment()
    any_size()
    two()
