"""BiNeal: networks whose values between the first and the last layer are single bits, or 4 bits in front of an addition.

Block: bits -> binary 3 x 3, threshold -> binary 3 x 3 -> 4 bits; the skip is always a binary convolution -> 4 bits; their sum
passes a threshold. Parameters that only training needs (over-parameterization): `alpha` on the real weights, `scale` (λ) on
the sums, the activation f(x) = b1 + (x + b0), with the factor k where x + b0 < 0, and `tau` in bit = sign(f(x) - tau).
`deployed()` folds them, normalisation included, into signs of weights and integer thresholds. The article does not give the
rule of the 4 bits; ours: q = clip(round(s·x), -8, 7), one s for both inputs of an addition.
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ..binarize import sign

ALPHAS = {"N": (1, 1, 1), "NC": (0, 1, 1), "NCKK": (0, 0, 0)}  # axes of the weight behind the first; 1: shared
LEAST_SLOPE = 0.01  # f must rise
LOWEST, HIGHEST = -8, 7
STEPS_PER_DEVIATION = 2.5


class Convolution(nn.Module):
    """Binary convolution of bits with real parameters for training. -> λ · sum of ±1"""

    def __init__(self, inputs, outputs, size=3, stride=1, dilation=1, alpha="NC"):
        super().__init__()
        self.geometry = dict(stride=stride, dilation=dilation, padding=dilation * (size // 2))
        self.weight = nn.Parameter(torch.empty(outputs, inputs, size, size))
        nn.init.kaiming_uniform_(self.weight, a=5 ** 0.5)
        self.alpha = nn.Parameter(torch.ones(outputs, *(1 if one else n for one, n in zip(ALPHAS[alpha], (inputs, size, size)))))
        self.scale = nn.Parameter(torch.full((outputs,), 1.0 / (inputs * size * size) ** 0.5))

    def signs(self):
        """A weight of 0 counts as positive: it must be one bit."""
        weight = self.alpha * self.weight
        return sign(weight) + (weight == 0)

    def forward(self, bits):
        return F.conv2d(bits, self.signs(), **self.geometry) * self.scale.view(-1, 1, 1)

    def folded(self, bn):
        """BN(λ·sum) as A·sum + C, the signs of rows turned so that A >= 0. -> signs, A, C in double"""
        factor = bn.weight.double() / torch.sqrt(bn.running_var.double() + bn.eps)
        a, c = factor * self.scale.double(), bn.bias.double() - factor * bn.running_mean.double()
        return self.signs() * torch.where(a < 0, -1.0, 1.0).view(-1, 1, 1, 1), a.abs(), c


class Activation(nn.Module):
    """x -> sign(f(x) - tau), x: [batch, channels, height, width]."""

    def __init__(self, channels):
        super().__init__()
        for name in ("tau", "b0", "b1"):
            setattr(self, name, nn.Parameter(torch.zeros(channels)))
        self.k = nn.Parameter(torch.tensor(1.0))

    def slope(self):
        return self.k.clamp(min=LEAST_SLOPE)

    def forward(self, x):
        tau, b0, b1 = (v.view(-1, 1, 1) for v in (self.tau, self.b0, self.b1))
        x = x + b0
        return sign(b1 + torch.where(x >= 0, x, self.slope() * x) - tau, "bireal")

    def threshold(self):
        """theta in double: the bit is +1 where x > theta. f is inverted at tau, separately on both sides of its bend."""
        tau, b0, b1, k = (v.double() for v in (self.tau, self.b0, self.b1, self.slope()))
        return torch.where(tau >= b1, tau - b1, (tau - b1) / k) - b0


class Step(nn.Module):
    """bits -> convolution, normalisation, activation -> bits."""

    def __init__(self, *shape, **more):
        super().__init__()
        self.conv = Convolution(*shape, **more)
        self.bn, self.activation = nn.BatchNorm2d(shape[1]), Activation(shape[1])

    def forward(self, bits):
        return self.activation(self.bn(self.conv(bits)))

    def deployed(self):
        signs, a, c = self.conv.folded(self.bn)
        most = signs[0].numel()
        lowest = torch.floor((self.activation.threshold() - c) / a) + 1  # sum of a bit that is +1
        return ThresholdedSums(self.conv, signs, 0.5 - lowest.clamp(-most, most + 1))


class ThresholdedSums(nn.Module):
    """sign(sum + offset); the offset is half of an odd number, so that 0 does not occur."""

    def __init__(self, conv, signs, offset):
        super().__init__()
        self.geometry, self.weight = conv.geometry, nn.Parameter(signs)
        self.offset = nn.Parameter(offset.to(signs.dtype).view(-1, 1, 1))

    def forward(self, bits):
        return torch.sign(F.conv2d(bits, self.weight, **self.geometry) + self.offset)


class Levels(nn.Module):
    """bits -> convolution, normalisation -> 4-bit integers."""

    def __init__(self, *shape):
        super().__init__()
        self.conv, self.bn = Convolution(*shape), nn.BatchNorm2d(shape[1])

    def forward(self, bits, steps):
        x = self.bn(self.conv(bits)) * steps
        return torch.clamp(x + (torch.round(x) - x).detach(), LOWEST, HIGHEST)

    def deployed(self, steps):
        signs, a, c = self.conv.folded(self.bn)
        a, c = a * steps.double(), c * steps.double()
        return QuantizedSums(self.conv, signs, a, clear_of_ties(a, c, signs[0].numel()))


def clear_of_ties(a, c, most):
    """c moved so that a·n + c is as far as possible from halves, where rounding turns, for every integer |n| <= most, while
    no rounded value changes. a, c: [channels] double; a >= 0."""
    n, moved = np.arange(-most, most + 1), []
    for slope, start in zip(a.tolist(), c.tolist()):
        past = (slope * n + start - 0.5) % 1.0  # behind the half below
        values = slope * n + start
        past = past[(values > LOWEST - 1) & (values < HIGHEST + 1)]
        moved.append(start + (0.5 - (past.min() + past.max()) / 2 if past.size else 0.0))
    return torch.tensor(moved, dtype=torch.float64)


class QuantizedSums(nn.Module):
    """clip(round(a·sum + c)): a staircase of the integer sum."""

    def __init__(self, conv, signs, a, c):
        super().__init__()
        self.geometry, self.weight = conv.geometry, nn.Parameter(signs)
        self.a, self.c = (nn.Parameter(v.to(signs.dtype).view(-1, 1, 1)) for v in (a, c))

    def forward(self, bits):
        x = F.conv2d(bits, self.weight, **self.geometry) * self.a + self.c
        return torch.clamp(torch.round(x), LOWEST, HIGHEST)


class Block(nn.Module):
    """Residual block, bits -> bits."""

    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        self.first, self.second = Step(inputs, outputs, 3, stride), Levels(outputs, outputs, 3, 1)
        self.skip = Levels(inputs, outputs, 1, stride)
        self.steps = nn.Parameter(torch.tensor(STEPS_PER_DEVIATION))
        self.activation = Activation(outputs)

    def forward(self, bits):
        steps = self.steps.clamp(min=0.1)
        total = self.second(self.first(bits), steps) + self.skip(bits, steps)
        return self.activation(total / steps)

    def deployed(self):
        steps = self.steps.clamp(min=0.1)
        lowest = torch.floor(self.activation.threshold() * steps.double()) + 1
        offset = 0.5 - lowest.clamp(2 * LOWEST, 2 * HIGHEST + 1)
        return AddedLevels(self.first.deployed(), self.second.deployed(steps), self.skip.deployed(steps), offset)


class AddedLevels(nn.Module):
    """Block in evaluation form."""

    def __init__(self, first, second, skip, offset):
        super().__init__()
        self.first, self.second, self.skip = first, second, skip
        self.offset = nn.Parameter(offset.to(first.offset.dtype).view(-1, 1, 1))

    def forward(self, bits):
        return torch.sign(self.second(self.first(bits)) + self.skip(bits) + self.offset)


class First(nn.Module):
    """picture -> real convolution, normalisation, maximum of 3 x 3 if `pooled` -> bits."""

    def __init__(self, inputs, outputs, size, stride, pooled=False):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)
        self.bn, self.activation = nn.BatchNorm2d(outputs), Activation(outputs)
        self.pool = nn.MaxPool2d(3, 2, 1) if pooled else nn.Identity()

    def forward(self, x):
        return self.activation(self.pool(self.bn(self.conv(x))))

    def deployed(self):
        return nn.Sequential(self.conv, self.bn, self.pool, Above(self.activation.threshold()))


class Above(nn.Module):
    """sign(x - threshold), for real x."""

    def __init__(self, threshold):
        super().__init__()
        self.threshold = nn.Parameter(threshold.float().view(-1, 1, 1))

    def forward(self, x):
        return torch.sign(x - self.threshold)
