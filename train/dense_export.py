"""ONNX of networks on pictures, opset 13.

Input `image` float32 [1, 3, height, width], normalised, sides multiples of 32; an output for every task, [1, channels, height / 4,
width / 4] or at the picture's size, or whatever the network names. Weights of binary layers are ±1 constants and scales come after
the sum, so that every sum is an exact integer in any runtime.
"""

import copy
import warnings

import onnx
import torch
from torch import nn
from torch.nn import functional as F

from . import binarize

OPSET = 13


class _Convolution(nn.Module):
    """One binary convolution in evaluation form."""

    def __init__(self, layer):
        super().__init__()
        self.weight = nn.Parameter(layer.signs().detach().view(-1, *layer.window))
        self.stride, self.padding = layer.stride, layer.window[1] // 2
        scale, shift = layer.output_scale(), getattr(layer, "shift", None)
        self.scale = None if scale is None else self.along(scale)
        self.bias = None if layer.bias is None else self.along(layer.bias)
        self.shift = None if shift is None else nn.Parameter(shift.detach().clone())

    @staticmethod
    def along(vector):
        vector = vector.detach().clone()
        return nn.Parameter(vector.view(1, -1, 1, 1) if vector.dim() else vector)

    def forward(self, x):
        x = x if self.shift is None else x + self.shift
        y = F.conv2d(torch.sign(x), self.weight, stride=self.stride, padding=self.padding)
        y = y if self.scale is None else y * self.scale
        return y if self.bias is None else y + self.bias


def output_names(net):
    """In the order of the graph."""
    return list(net.outputs if hasattr(net, "outputs") else net.config["outputs"])


def deployed(net, enlarged=False):
    """The network in evaluation form. enlarged: scores at the picture's size."""
    net = copy.deepcopy(net).eval()
    with torch.no_grad():
        _deploy(net)
    net.enlarged = enlarged
    return net.requires_grad_(False)


def _deploy(module):
    """Replaces what has another form in evaluation: binary layers, and modules that have a method deployed()."""
    for name, child in module.named_children():
        if isinstance(child, binarize.XNORLinear):
            raise ValueError(f"{name}: XNOR scales of activations are not exported for pictures")
        if isinstance(child, binarize.BinaryLinear):
            setattr(module, name, _Convolution(child))
        elif hasattr(child, "deployed"):
            setattr(module, name, child.deployed().eval())
        else:
            _deploy(child)
    if hasattr(module, "plain"):
        module.plain = True


class _Listed(nn.Module):
    def __init__(self, net, names):
        super().__init__()
        self.net, self.names = net, names

    def forward(self, x):
        scores = self.net(x)
        return tuple(scores[name] for name in self.names)


def write(net, path, height, width, enlarged=False, any_size=False):
    """Writes the network as ONNX for pictures of one size, or of any whose sides are multiples of 32."""
    if height % 32 or width % 32:
        raise ValueError(f"{height} x {width}: both must be multiples of 32")
    names = output_names(net)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(_Listed(deployed(net, enlarged), names), torch.zeros(1, 3, height, width), str(path), opset_version=OPSET,
                          do_constant_folding=True, input_names=["image"], output_names=names,
                          dynamic_axes={"image": {2: "height", 3: "width"}} if any_size else None)
    onnx.checker.check_model(str(path))
