"""A small double-precision interpreter for the operators of the exported graphs. Returns every value by name."""

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from train import neighbours


def _conv(x, w, b=None, group=1, **_):
    if set(w.shape[2:]) == {1} and group == 1:
        y = np.einsum("bc...,oc->bo...", x, w.reshape(w.shape[:2]))
    else:
        assert w.shape[1:] == (1, x.shape[2]), "kernel 1, or one window in groups of one channel"
        y = np.einsum("bgt,got->bgo", x, w.reshape(group, -1, x.shape[2])).reshape(len(x), -1, 1)
    return y if b is None else y + b.reshape(-1, *[1] * (x.ndim - 2))


def _gemm(a, b, c=0.0, alpha=1.0, beta=1.0, transA=0, transB=0):
    return alpha * ((a.T if transA else a) @ (b.T if transB else b)) + beta * c


def _norm(x, gamma, beta, mean, var, epsilon=1e-5, **_):
    gamma, beta, mean, var = (v.reshape((1, -1) + (1,) * (x.ndim - 2)) for v in (gamma, beta, mean, var))
    return (x - mean) / np.sqrt(var + epsilon) * gamma + beta


def _log_softmax(x, axis=-1):
    x = x - x.max(axis=axis, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=axis, keepdims=True))


def _reduce(function):
    def run(x, at=None, axes=None, keepdims=1):
        axes = axes if at is None else at.tolist()
        return function(x, None if axes is None else tuple(axes), keepdims=bool(keepdims))
    return run


def _slice(x, starts, ends, axes=None, steps=None):
    axes = range(len(starts)) if axes is None else axes
    steps = np.ones(len(starts), np.int64) if steps is None else steps
    where = [slice(None)] * x.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps):
        where[axis] = slice(start, end, step)
    return x[tuple(where)]


def _top_k(x, k, axis=-1, largest=1, sorted=1):
    index = np.argsort(-x if largest else x, axis=axis, kind="stable").take(np.arange(int(k[0])), axis)
    return np.take_along_axis(x, index, axis), index


def _gather_nd(x, index, batch_dims=0):
    assert batch_dims == 0
    return x[tuple(np.moveaxis(index, -1, 0))]


def _reshape(x, shape):
    return x.reshape([x.shape[i] if n == 0 else n for i, n in enumerate(shape)])


def _points(function):
    """An operator of the domain xnor."""
    def run(*arrays, **attributes):
        return function(*(torch.from_numpy(np.ascontiguousarray(a)) for a in arrays), **attributes).numpy()
    return run


OPERATORS = {
    "Abs": np.abs, "Add": np.add, "And": np.logical_and, "Div": np.divide, "Equal": np.equal,
    "Exp": np.exp, "GreaterOrEqual": np.greater_equal, "Less": np.less, "Log": np.log, "MatMul": np.matmul,
    "Mul": np.multiply, "Neg": np.negative, "Not": np.logical_not, "Pow": np.power, "Round": np.rint,
    "Sign": np.sign, "Sqrt": np.sqrt, "Sub": np.subtract, "Where": np.where,
    "BatchNormalization": _norm,
    # Single precision counts as double everywhere: rounding to it would make the interpreter a worse reference.
    "Cast": lambda x, to: x.astype({1: np.float64, 6: np.int32, 7: np.int64, 9: bool, 11: np.float64}[to]),
    "Clip": np.clip,
    "Concat": lambda *xs, axis: np.concatenate(xs, axis),
    "Constant": lambda value: numpy_helper.to_array(value),
    "ConstantOfShape": lambda shape, value: np.full(shape, numpy_helper.to_array(value)[0]),
    "Conv": _conv,
    "Expand": lambda x, shape: x * np.ones(shape, x.dtype),
    "Flatten": lambda x, axis=1: x.reshape(int(np.prod(x.shape[:axis])), -1),
    "Gather": lambda x, i, axis=0: np.take(x, i, axis),
    "GatherElements": lambda x, i, axis=0: np.take_along_axis(x, i, axis),
    "GatherND": _gather_nd,
    "Gemm": _gemm,
    "Identity": lambda x: x,
    "LogSoftmax": _log_softmax,
    "PRelu": lambda x, slope: np.where(x >= 0, x, x * slope),
    "Range": np.arange,
    "ReduceMax": _reduce(np.max), "ReduceMean": _reduce(np.mean), "ReduceSum": _reduce(np.sum),
    "ReduceProd": _reduce(np.prod),
    "Relu": lambda x: np.maximum(x, 0),
    "Reshape": _reshape,
    "Shape": lambda x: np.array(x.shape),
    "Slice": _slice,
    "Squeeze": lambda x, axes=None: np.squeeze(x, None if axes is None else tuple(axes)),
    "Tile": np.tile,
    "TopK": _top_k,
    "Transpose": lambda x, perm: x.transpose(perm),
    "Unsqueeze": lambda x, axes: np.expand_dims(x, tuple(axes)),
    "FarthestPointSampling": _points(neighbours.farthest_points),
    "BallQuery": _points(neighbours.ball_query),
    "KNearest": _points(neighbours.k_nearest),
    "GatherRows": _points(neighbours.gather_rows),
}


def evaluate(path, points, **more):
    graph = onnx.load(str(path)).graph
    values = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    values.update(points=points, **more)
    values = {k: v.astype(np.float64) if v.dtype == np.float32 else v for k, v in values.items()}
    for node in graph.node:
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        inputs = [values[name] if name else None for name in node.input]
        result = OPERATORS[node.op_type](*inputs, **attributes)
        for name, value in zip(node.output, result if isinstance(result, tuple) else (result,)):
            values[name] = value.astype(np.float64) if value.dtype == np.float32 else value
    return values, graph
