"""What networks on pictures are made of: convolutions of full precision or binary, residual blocks.

Full precision is as published: ReLU, one skip around a block. Binary is as in LCR-BNN (Shang et al., ECCV 2022): hardtanh, and a
real skip around every convolution of a block that keeps its input's shape, so that no value passes a block as one bit. Keys of
parameters are those of the published networks; weights are [outputs, inputs * size * size].
"""

import torch
from torch import nn
from torch.nn import functional as F

from ..binarize import sign
from .conv2d import CONVOLUTIONS
from .layers import FLOAT


class Real(nn.Module):
    """A real convolution, its weight shaped as the binary one's, so that each starts from the other."""

    def __init__(self, inputs, outputs, size=3, stride=1, bias=False):
        super().__init__()
        self.window, self.stride = (inputs, size, size), stride
        self.weight = nn.Parameter(torch.empty(outputs, inputs * size * size))
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def forward(self, x):
        return F.conv2d(x, self.weight.view(-1, *self.window), self.bias, self.stride, self.window[1] // 2)


def enlarge(x, factor):
    """Bilinear, by a power of two; the sides of pictures are multiples of 32."""
    return F.interpolate(x, scale_factor=float(factor), mode="bilinear", align_corners=False, recompute_scale_factor=False)


def paths_between(step, widths):
    """From every branch to every other, [to][from]: from coarser ones 1 x 1, from finer ones 3 x 3 of stride 2, as often as needed."""
    def path(j, i):
        if j == i:
            return nn.Identity()
        if j > i:
            return step(widths[j], widths[i], size=1, active=False)
        steps = [step(widths[j], widths[j], stride=2) for _ in range(i - j - 1)]
        return nn.Sequential(*steps, step(widths[j], widths[i], stride=2, active=False))

    return nn.ModuleList(nn.ModuleList(path(j, i) for j in range(len(widths))) for i in range(len(widths)))


def fused(paths, xs, activation):
    """What every branch receives, in its own size."""
    out = []
    for i, arriving in enumerate(paths):
        parts = [path(x) for path, x in zip(arriving, xs)]
        out.append(activation(sum(enlarge(p, 2 ** (j - i)) if j > i else p for j, p in enumerate(parts))))
    return out


class Maker2d:
    """Makes the layers of one network, or of a part of it. binarizer: a name of BINARIZERS, or "float"."""

    def __init__(self, binarizer=FLOAT, estimator=None):
        if binarizer not in (*CONVOLUTIONS, FLOAT):
            raise ValueError(f"binarizer {binarizer}: not one of {', '.join((*CONVOLUTIONS, FLOAT))}")
        self.kind, self.estimator = CONVOLUTIONS.get(binarizer), estimator
        self.binary = self.kind is not None
        self.activation = F.hardtanh if self.binary else F.relu

    def conv(self, inputs, outputs, size=3, stride=1, normed=True, bias=False):
        """normed: a normalisation follows, which makes a bias and a learned scale pointless."""
        if not self.binary:
            return Real(inputs, outputs, size, stride, bias)
        layer = self.kind(inputs, outputs, size, stride, self.estimator)
        if normed:
            layer.fix_scale()
        if layer.output_scale() is not None:  # without a scale the bias keeps exporters from folding the normalisation
            layer.bias = nn.Parameter(torch.zeros(outputs)) if bias else None
        return layer

    def active(self):
        return nn.Hardtanh() if self.binary else nn.ReLU()

    def step(self, inputs, outputs, size=3, stride=1, active=True):
        """Convolution, normalisation, activation if `active`."""
        layers = [self.conv(inputs, outputs, size, stride), nn.BatchNorm2d(outputs)]
        return nn.Sequential(*layers, self.active()) if active else nn.Sequential(*layers)

    def first(self, inputs, outputs, size=3, stride=2):
        """The step that reads the picture: real."""
        return nn.Sequential(Real(inputs, outputs, size, stride), nn.BatchNorm2d(outputs), self.active())


class _Open(torch.autograd.Function):
    """1 where x > 0, else 0; gradient 1/2 on [-1, 1]."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx, grad):
        return 0.5 * grad * (ctx.saved_tensors[0].abs() <= 1)


class Gate(nn.Module):
    """1 where x > 0, else 0. plain: as operators that ONNX has"""

    plain = False

    def forward(self, x):
        return (x > 0).to(x.dtype) if self.plain else _Open.apply(x)


class Bits(nn.Module):
    """sign(x), its gradient over [-reach, reach]. plain: as an operator that ONNX has"""

    plain = False

    def __init__(self, reach=1.0):
        super().__init__()
        self.reach = reach

    def forward(self, x):
        return torch.sign(x) if self.plain else sign(x / self.reach, "bireal")


class Residual(nn.Module):
    """What blocks share: conv1, bn1, conv2, ... and `downsample` where the shape changes."""

    def __init__(self, make, *shapes):
        super().__init__()
        self.binary, self.activation = make.binary, make.activation
        for i, shape in enumerate(shapes, 1):
            setattr(self, f"conv{i}", make.conv(*shape))
            setattr(self, f"bn{i}", nn.BatchNorm2d(shape[1]))
        inputs, outputs, stride = shapes[0][0], shapes[-1][1], max(shape[3] for shape in shapes)
        self.downsample = None
        if inputs != outputs or stride != 1:
            self.downsample = make.step(inputs, outputs, 1, stride, active=False)

    def around(self, x):
        return x if self.downsample is None else self.downsample(x)


class BasicBlock(Residual):
    """Two convolutions of 3 x 3."""

    expansion = 1

    def __init__(self, make, inputs, outputs, stride=1):
        super().__init__(make, (inputs, outputs, 3, stride), (outputs, outputs, 3, 1))

    def forward(self, x):
        y = self.bn1(self.conv1(x))
        if self.binary:
            y = self.activation(y + self.around(x))
            return self.activation(self.bn2(self.conv2(y)) + y)
        return self.activation(self.bn2(self.conv2(self.activation(y))) + self.around(x))


class Bottleneck(Residual):
    """1 x 1 to a quarter of the outputs, 3 x 3, 1 x 1."""

    expansion = 4

    def __init__(self, make, inputs, outputs, stride=1):
        inner = outputs // self.expansion
        super().__init__(make, (inputs, inner, 1, 1), (inner, inner, 3, stride), (inner, outputs, 1, 1))
        self.kept = [self.binary and inputs == inner, self.binary and stride == 1]

    def forward(self, x):
        y = self.bn1(self.conv1(x))
        y = self.activation(y + x if self.kept[0] else y)
        z = self.bn2(self.conv2(y))
        z = self.activation(z + y if self.kept[1] else z)
        return self.activation(self.bn3(self.conv3(z)) + self.around(x))
