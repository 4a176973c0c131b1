"""ONNX export, opset 13.

Input `points` float32 [batch, points, channels], or [batch, channels, points] in the conv layout; output `log_probs` float32
[batch, classes] or [batch, points, classes]. Networks with neighbours need the custom domain of neighbours_onnx.py or get
their indices as further inputs `index0`, `index1`, ...
"""

import warnings

import onnx
import torch

from . import neighbours_onnx
from .deploy import Deployed

OPSET = 13


class Form:
    """How a network is written. Axes that are None are dynamic; see deploy.py and neighbours_onnx.py for the rest."""

    def __init__(self, layout="linear", raw=False, fold_bn=False, neighbours=None, gather="flat", points=None,
                 batch=None):
        self.layout, self.raw, self.fold_bn = layout, raw, fold_bn
        self.neighbours, self.gather, self.points, self.batch = neighbours, gather, points, batch

    def arrange(self, points):
        """[batch, points, channels] as the graph takes it."""
        return points.transpose(0, 2, 1).copy() if self.layout == "conv" else points

    def deploy(self, net):
        search = neighbours_onnx.SEARCHES[self.neighbours or net.neighbours_in_onnx](self.gather)
        return Deployed(net, self.layout, self.raw, self.fold_bn, search)


def index_inputs(net, points):
    """The indices that the graph of an "inputs" form takes, for points [batch, points, channels]."""
    search = neighbours_onnx.Inputs()
    with torch.no_grad():
        Deployed(net, search=search)(points)
    return search.recorded


def write(net, path, form=None):
    """Writes the network as ONNX."""
    form = form or Form()
    module = form.deploy(net)
    channels = net.config["channels"]
    example = torch.randn(form.batch or 2, form.points or net.config["points"], channels)
    indices = index_inputs(net, example) if form.neighbours == "inputs" else []
    names = ["points"] + [f"index{i}" for i in range(len(indices))]
    conv = form.layout == "conv"
    batch, points = {} if form.batch else {0: "batch"}, {} if form.points else {2 if conv else 1: "points"}
    axes = {"points": {**batch, **points}}
    for name, index in zip(names[1:], indices):
        axes[name] = dict(batch) if form.points else {**batch, 1: f"{name}_rows"}
    axes["log_probs"] = {**batch, **({1: "points"} if net.per_point and points else {})}
    if conv:
        example = example.transpose(2, 1).contiguous()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, (example, *indices), str(path), opset_version=OPSET, do_constant_folding=True,
                          input_names=names, output_names=["log_probs"],
                          dynamic_axes={k: v for k, v in axes.items() if v})
    onnx.checker.check_model(str(path))
