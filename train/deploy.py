"""Networks as they are exported: the same forward pass, its layers replaced by plain operators in one of several forms.

  folded   weights ±1 as constants, scales after the ±1 sum, which is therefore an exact integer in any runtime
  raw      what PyTorch code of the papers leaves in a graph: weight signs and scales computed from the real weights,
           scales before the sum, remains of straight-through estimators
  layout   "linear": MatMul on rows [rows, channels]; "conv": Conv of kernel 1 on [batch, channels, points(, neighbours)]
  fold_bn  conv layout: batch normalisation and scale inside the convolution, as exporters do
"""

import copy
import math

import torch
from torch import nn
from torch.nn import functional as F

from . import binarize
from .networks.layers import Block, RealGrouped, RealLinear
from .networks.pool import LinearNormPool


def _centred_rows(weight):
    return weight - weight.mean(1, keepdim=True)


def _lsr(layer, weight):
    return torch.sign(weight - weight.mean()) * layer.scale


def _scaled_signs(weight):
    return torch.sign(weight) * weight.abs().mean(1, keepdim=True)


def _xnor(layer, weight):
    return _scaled_signs(_centred_rows(weight))


def _xnor_plus(layer, weight):
    return torch.sign(weight) * layer.scale[:, None]


def _irnet(layer, weight):
    weight = _centred_rows(weight)
    weight = weight / weight.std(1, keepdim=True)
    exponent = (torch.log(weight.abs().mean(1, keepdim=True)) / math.log(2)).round()
    return torch.sign(weight) * torch.pow(torch.full_like(exponent, 2.0), exponent)


def _bireal(layer, weight):
    estimator = torch.clamp(weight, -1.0, 1.0)
    return weight.abs().mean(1, keepdim=True) * torch.sign(weight) - estimator.detach() + estimator


RAW_WEIGHTS = {
    binarize.LSRLinear: _lsr,
    binarize.BNNLinear: lambda layer, weight: torch.sign(weight),
    binarize.XNORLinear: _xnor,
    binarize.XNORPlusLinear: _xnor_plus,
    binarize.IRNetLinear: _irnet,
    binarize.BiRealLinear: _bireal,
    binarize.ReActLinear: _bireal,
}
GROUPED_RAW_WEIGHTS = {
    binarize.BNNLinear: lambda layer, weight: torch.sign(weight - weight.mean()),
    binarize.XNORLinear: lambda layer, weight: _scaled_signs(weight - weight.mean()),
}


def _piecewise_sign(x):
    """sign(x) - f(x) + f(x), f the piecewise quadratic whose gradient Bi-Real Net takes."""
    below, negative, inside = ((x < limit).to(x.dtype) for limit in (-1, 0, 1))
    f = -1.0 * below + (x * x + 2 * x) * (1 - below)
    f = f * negative + (-x * x + 2 * x) * (1 - negative)
    f = f * inside + 1.0 * (1 - inside)
    return torch.sign(x) - f.detach() + f


class _Linear(nn.Module):
    """One linear layer in evaluation form. x: [rows, in]; in the conv layout also [batch, in, ...]."""

    def __init__(self, layer, conv, raw):
        super().__init__()
        self.layer, self.conv = layer, conv
        self.binary = isinstance(layer, binarize.BinaryLinear)
        self.raw = raw and self.binary
        self.groups = getattr(layer, "groups", 0)
        self.shift = getattr(layer, "shift", None)
        self.bias = layer.bias
        self.scale = None
        if not self.binary:
            self.weight = nn.Parameter(layer.weight.detach())
            return
        if layer.output_scale() is not None and (layer.output_scale() == 0).all():
            raise ValueError("a binary layer has scale 0: it was never trained")
        self.row_scale = isinstance(layer, binarize.XNORLinear)
        if self.raw:
            self.weight = layer.weight
        else:
            self.weight = nn.Parameter(layer.signs().detach())
            scale = layer.output_scale()
            self.scale = None if scale is None else nn.Parameter(scale.detach().clone())

    def absorb(self, bn):
        """Takes the normalisation that follows into weights and bias; False if this form cannot."""
        if self.raw or not self.conv or self.binary and self.row_scale:
            return False
        factor = bn.weight / torch.sqrt(bn.running_var + bn.eps)
        bias = bn.bias - bn.running_mean * factor + (0 if self.bias is None else self.bias * factor)
        scale = factor if self.scale is None else factor * self.scale
        self.weight = nn.Parameter((self.weight * scale[:, None]).detach())
        self.bias, self.scale = nn.Parameter(bias.detach()), None
        return True

    def along_channels(self, vector, x):
        spread = (self.conv or self.groups) and x.dim() > 2 and vector.dim() == 1
        return vector.view(-1, *[1] * (x.dim() - 2)) if spread else vector

    def _product(self, x, weight, bias):
        if self.groups:
            return F.conv1d(x, weight.unsqueeze(1), bias, groups=self.groups)
        if self.conv and x.dim() > 2:
            convolution = F.conv1d if x.dim() == 3 else F.conv2d
            return convolution(x, weight.view(*weight.shape, *[1] * (x.dim() - 2)), bias)
        if self.raw:
            return F.linear(x, weight, bias)
        y = x @ weight.T
        return y if bias is None else y + bias

    def _raw_weight(self):
        table = {**RAW_WEIGHTS, **GROUPED_RAW_WEIGHTS} if self.groups else RAW_WEIGHTS
        kind = next(k for k in type(self.layer).__mro__ if k in table)
        return table[kind](self.layer, self.weight)

    def forward(self, x):
        y = self._evaluate(x)
        return y.flatten(1) if self.groups else y

    def _evaluate(self, x):
        if not self.binary:
            return self._product(F.hardtanh(x) if self.layer.clip else x, self.weight, self.bias)
        if self.shift is not None:
            x = x + self.along_channels(self.shift, x)
        rows = x.abs().mean(1 if self.conv and not self.groups else -1, keepdim=True) if self.row_scale else None
        if self.raw:
            piecewise = isinstance(self.layer, binarize.BiRealLinear)
            x = _piecewise_sign(x) if piecewise else torch.sign(x)
            x = x if rows is None else x * rows
            return self._product(x, self._raw_weight(), self.bias)
        absorbed = self.bias is not None and self.scale is None and rows is None
        y = self._product(torch.sign(x), self.weight, self.bias if absorbed else None)
        y = y if self.scale is None else y * self.along_channels(self.scale, y)
        if rows is not None and self.groups:
            y = (y.view(-1, self.groups, int(y.shape[1]) // self.groups) * rows).view(-1, int(y.shape[1]), 1)
        elif rows is not None:
            y = y * rows
        return y if absorbed or self.bias is None else y + self.along_channels(self.bias, y)


def _replace(net, conv, raw, fold_bn):
    for module in list(net.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, (RealLinear, RealGrouped, binarize.BinaryLinear)):
                setattr(module, name, _Linear(child, conv, raw))
        if fold_bn and (isinstance(module, LinearNormPool) or isinstance(module, Block) and not module.activation_first):
            if module.linear.absorb(module.bn):
                module.bn = nn.Identity()


class Deployed(nn.Module):
    """A network in evaluation form. forward(points, *indices) -> log-probabilities.

    search: where neighbours come from, see neighbours.py; if it takes graph inputs, they are the indices.
    """

    def __init__(self, net, layout="linear", raw=False, fold_bn=False, search=None):
        super().__init__()
        conv = layout == "conv"
        self.net, self.search = copy.deepcopy(net).eval(), search
        with torch.no_grad():
            _replace(self.net, conv, raw, fold_bn and conv)
        for module in self.net.modules():
            module.plain, module.channels_first = True, conv
            if search is not None:
                module.search = search
        self.eval().requires_grad_(False)

    def forward(self, points, *indices):
        if indices:
            self.search.provide(indices)
        return self.net(points)
