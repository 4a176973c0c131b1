"""ONNX export, opset 13, exact in integers: sign(x) times ±1 constants, the scale after the sum.

Input `points` float32, output `log_probs` float32 [batch, classes]. Layouts:
  linear  points [batch, points, 3], MatMul on [batch * points, channels]
  conv    points [batch, 3, points], Conv1d of kernel 1
"""

import copy
import warnings

import numpy as np
import onnx
import torch
from torch import nn
from torch.nn import functional as F

from .binarize import LSRLinear
from .data import normalise
from .networks import make_network

OPSET = 13


class _Dense(nn.Module):
    """A linear layer in evaluation form, on rows [rows, in] or, as convolution, on [batch, in, points]."""

    def __init__(self, layer, conv, raw):
        super().__init__()
        self.binary = isinstance(layer, LSRLinear)
        self.conv, self.raw = conv, raw and self.binary
        if not self.binary:
            weight, self.bias = layer.weight.detach(), None if layer.bias is None else nn.Parameter(layer.bias.detach())
        else:
            if layer.scale.item() == 0.0:
                raise ValueError("a binary layer has scale 0: it was never trained")
            weight, self.bias = (layer.weight if self.raw else layer.signs()).detach(), None
            self.scale = nn.Parameter(layer.scale.detach().clone())
        if conv:
            weight = weight[:, :, None]
        elif not self.raw:
            weight = weight.T
        self.weight = nn.Parameter(weight.clone())

    def forward(self, x):
        if self.raw:
            signs = torch.sign(self.weight - self.weight.mean()) * self.scale
            return F.conv1d(torch.sign(x), signs) if self.conv else torch.sign(x) @ signs.T
        if self.binary:
            x = torch.sign(x)
        y = F.conv1d(x, self.weight, None if self.binary else self.bias) if self.conv else x @ self.weight
        if self.binary:
            return y * self.scale
        return y if self.conv or self.bias is None else y + self.bias


class _Deployed(nn.Module):
    """The network in evaluation form, with plain operators only."""

    def __init__(self, net, layout, raw, fold):
        super().__init__()
        self.conv, self.raw, self.fold = layout == "conv", raw, fold and layout == "conv"
        self.net = net
        self.dense, self.norms = nn.ModuleDict(), nn.ModuleDict()
        for name, module in net.named_modules():
            if hasattr(module, "bn") or isinstance(module, (LSRLinear, nn.Linear)) and not name.endswith(".linear"):
                conv = self.conv and name.rpartition(".")[2].startswith("conv")
                self._add(name, getattr(module, "linear", module), getattr(module, "bn", None), conv)

    def _add(self, name, linear, bn, conv):
        key, dense = name.replace(".", "_"), _Dense(linear, conv, self.raw)
        if bn is not None:
            self.norms[key] = copy.copy(bn)
            self.norms[key].channels_first = conv
            if conv and self.fold and not dense.raw:
                # What exporters make of Conv -> BatchNormalization: one Conv, its weights ±constant per output.
                factor = bn.weight / torch.sqrt(bn.running_var + bn.eps)
                bias = bn.bias - bn.running_mean * factor + (0 if dense.bias is None else dense.bias * factor)
                scale = factor * dense.scale if dense.binary else factor
                dense.weight = nn.Parameter((dense.weight * scale[:, None, None]).detach())
                dense.bias = nn.Parameter(bias.detach())
                del self.norms[key]
        self.dense[key] = dense

    def _layer(self, key, x):
        dense = self.dense[key]
        if self.fold and dense.conv and not dense.raw:
            return F.conv1d(torch.sign(x) if dense.binary else x, dense.weight, dense.bias)
        x = dense(x)
        return self.norms[key](x) if key in self.norms else x

    def _rows(self, x):
        """[batch, points, channels] -> [batch * points, channels]; nothing in the conv layout."""
        return x if self.conv else x.reshape(-1, x.shape[-1])

    def _pool(self, key, x, points):
        """Rows or [batch, channels, points] -> pooled [batch, 1024], offset included."""
        x = self._layer(key, x)
        x = x.max(2)[0] if self.conv else x.reshape(-1, points, x.shape[-1]).max(1)[0]
        return x + self.net.conv3.pool.delta

    def _tnet(self, prefix, module, x, points):
        act = self._activation
        x = act(self._layer(f"{prefix}_conv2", act(self._layer(f"{prefix}_conv1", self._rows(x)))))
        x = module.pool_activation(self._pool(f"{prefix}_conv3", x, points))
        x = act(self._layer(f"{prefix}_fc2", act(self._layer(f"{prefix}_fc1", x))))
        return self._layer(f"{prefix}_fc3", x).view(-1, module.k, module.k) + torch.eye(module.k)

    def _transform(self, x, transform):
        return torch.bmm(x.transpose(2, 1), transform).transpose(2, 1) if self.conv else torch.bmm(x, transform)

    def _activation(self, x):
        return self.net.conv1.activation(x)

    def forward(self, x):
        act, tnets, points = self._activation, self.net.tnets, x.shape[1]
        if tnets:
            x = self._transform(x, self._tnet("stn", self.net.stn, x, points))
        x = act(self._layer("conv1", self._rows(x)))
        if tnets:
            x = x if self.conv else x.reshape(-1, points, x.shape[-1])
            x = self._rows(self._transform(x, self._tnet("fstn", self.net.fstn, x, points)))
        x = act(self._layer("conv2", x))
        x = self.net.pool_activation(self._pool("conv3", x, points))
        x = act(self._layer("fc2", act(self._layer("fc1", x))))
        return F.log_softmax(self._layer("fc3", x), dim=1)


def deployed(net, layout="linear", raw=False, fold=False):
    """`net` as it is exported, as a PyTorch module. linear: [batch, points, 3], conv: [batch, 3, points]."""
    return _Deployed(net.eval(), layout, raw, fold).eval()


def write(net, path, layout="linear", points=None, batch=None, raw=False, fold=False):
    """Writes the network as ONNX. Axes that are None are dynamic."""
    module = deployed(net, layout, raw, fold)
    shape = (batch or 2, points or 1024, 3)
    example = torch.zeros(shape if layout == "linear" else (shape[0], 3, shape[1]))
    point_axis = 1 if layout == "linear" else 2
    axes = {**({} if batch else {0: "batch"}), **({} if points else {point_axis: "points"})}
    dynamic = {"points": axes, "log_probs": {} if batch else {0: "batch"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module, (example,), str(path), opset_version=OPSET, do_constant_folding=True,
                          input_names=["points"], output_names=["log_probs"],
                          dynamic_axes={k: v for k, v in dynamic.items() if v})
    onnx.checker.check_model(str(path))


def random_network(seed=0, tnets=False, binary=True, points=1024, classes=10, activation="relu", negative=0.1):
    """A network with random weights and plausible batch normalisation, its statistics those of random clouds.

    negative: share of channels whose batch normalisation has a negative factor, which turns a comparison around.
    """
    torch.manual_seed(seed)
    net = make_network("tnets" if tnets else "vanilla", "LSR" if binary else "float", classes=classes, points=points,
                       activation=activation)
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm1d)]
    for bn in norms:
        nn.init.uniform_(bn.weight, 0.5, 1.5)
        bn.weight.data[torch.rand(len(bn.weight)) < negative] *= -1
        nn.init.normal_(bn.bias, 0.0, 0.3)
        bn.momentum = None  # cumulative mean
    if tnets and not binary:
        for tnet in (net.stn, net.fstn):
            nn.init.kaiming_uniform_(tnet.fc3.weight, a=5 ** 0.5)
    net.train()
    with torch.no_grad():
        for step in range(4):
            net(torch.from_numpy(random_clouds(32, points, seed * 1000 + step)))
    return net.eval()


def random_clouds(batch, points, seed=0):
    """Preprocessed clouds of random boxes and ellipsoids. -> [batch, points, 3] float32."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((batch, points, 3))
    boxes = rng.random(batch) < 0.5
    radius = np.where(boxes[:, None], np.abs(x).max(-1), np.linalg.norm(x, axis=-1))
    x = x / radius[..., None] * rng.uniform(0.2, 1.0, (batch, 1, 3))
    return normalise(x.astype(np.float32))
