"""Binarizers: sign with a straight-through gradient, LSR linear layer, EMA offset.

LSR (layer-wise scale recovery) and EMA (entropy-maximizing aggregation) are those of BiPointNet, Qin et al., ICLR 2021.
"""

from statistics import NormalDist

import torch
from torch import nn

ESTIMATORS = ("clip", "bireal")

# Offsets of the published BiPointNet code, kept literally so that networks trained with it evaluate identically.
SHIPPED_DELTAS = {20: -1.8268, 64: -2.2983, 1024: -3.2041, 2048: -3.4025, 4096: -3.5836}


def delta_formula(n):
    """-quantile(0.5^(1/n)): minus the median of the maximum of n independent standard normals."""
    return -NormalDist().inv_cdf(0.5 ** (1.0 / n))


def ema_delta(n):
    """Offset added to a max over n elements so that its sign is +1 half of the time."""
    return SHIPPED_DELTAS.get(n, delta_formula(n))


class _Sign(torch.autograd.Function):
    """sign(x), sign(0) = 0 as in torch and ONNX."""

    @staticmethod
    def forward(ctx, x, estimator):
        ctx.save_for_backward(x)
        ctx.estimator = estimator
        return torch.sign(x)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        if ctx.estimator == "bireal":  # derivative of the piecewise quadratic of Bi-Real Net, Liu et al., ECCV 2018
            return grad * (2.0 - 2.0 * x.abs()).clamp_(min=0.0), None
        return grad * (x.abs() <= 1.0), None


def sign(x, estimator="clip"):
    """Sign whose gradient is 1 on [-1, 1] ("clip") or 2 - 2|x| there ("bireal"), 0 outside."""
    return _Sign.apply(x, estimator)


class LSRLinear(nn.Module):
    """Linear layer of ±1 weights and ±1 activations with one learned scale, no bias.

    y = scale * (sign(x) @ sign(weight - mean(weight)).T), x: [..., in], y: [..., out]. The mean is taken over the
    whole matrix, in double: a float sum of a million terms would flip weights near the mean.
    """

    def __init__(self, in_features, out_features, estimator="clip"):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        self.scale = nn.Parameter(torch.zeros(()))
        self.estimator = estimator
        nn.init.kaiming_uniform_(self.weight, a=5 ** 0.5)

    def fix_scale(self):
        """For a layer in front of batch normalisation, which undoes any scale. Adam would turn the rounding noise of its
        gradient into full steps, and the scale would drift through zero, which inverts the layer."""
        self.scale.requires_grad_(False)

    def centred(self):
        return (self.weight.double() - self.weight.double().mean()).float()

    def signs(self):
        """The weights as evaluated: [out, in] of -1, 0, +1, with gradient."""
        return sign(self.centred())

    @torch.no_grad()
    def init_scale(self, x):
        """std(x @ Wc.T) / std(sign(x) @ sign(Wc).T) with Wc = weight - mean(weight).

        If that is undefined, std(Wc) / std(sign(Wc)).
        """
        centred = self.centred()
        rows = x.reshape(-1, x.shape[-1])
        value = (rows @ centred.T).std() / (torch.sign(rows) @ torch.sign(centred).T).std()
        if not (torch.isfinite(value) and value > 0):
            value = centred.std() / torch.sign(centred).std()
        self.scale.fill_(value)

    def ready(self, x):
        """Sets the scale from the first training batch. A zero scale in evaluation is an untrained layer."""
        if self.scale.item() == 0.0:
            if not self.training:
                raise RuntimeError("LSRLinear: scale is 0, the layer has never seen a training batch")
            self.init_scale(x)

    def forward(self, x):
        self.ready(x)
        return self.scale * nn.functional.linear(sign(x, self.estimator), self.signs())
