"""Binarizers: sign with a gradient estimator, linear layers of ±1 weights, EMA offset.

LSR (layer-wise scale recovery) and EMA (entropy-maximizing aggregation) are those of BiPointNet, Qin et al., ICLR 2021;
the other layers follow the papers named at their classes, with the details of the BiPointNet code.
"""

from statistics import NormalDist

import torch
from torch import nn
from torch.nn import functional as F

# Gradient of sign(x): 1 on [-1, 1] ("clip"); 2 - 2|x| there ("bireal", Liu et al., ECCV 2018, piecewise quadratic);
# k·t·(1 - tanh²(t·x)) with a schedule for k and t ("ede", Qin et al., IR-Net, CVPR 2020).
ESTIMATORS = ("clip", "bireal", "ede")

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
    def forward(ctx, x, estimator, k, t):
        ctx.save_for_backward(x)
        ctx.estimator, ctx.k, ctx.t = estimator, k, t
        return torch.sign(x)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        if ctx.estimator == "ede":
            return grad * (1.0 - torch.tanh(ctx.t * x) ** 2).mul_(ctx.k * ctx.t), None, None, None
        if ctx.estimator == "bireal":
            return grad * (2.0 - 2.0 * x.abs()).clamp_(min=0.0), None, None, None
        return grad * (x.abs() <= 1.0), None, None, None


def sign(x, estimator="clip", k=1.0, t=1.0):
    """Sign with one of the gradients of ESTIMATORS; 0 outside [-1, 1] for the first two."""
    return _Sign.apply(x, estimator, k, t)


class BinaryLinear(nn.Module):
    """Linear layer of ±1 weights and ±1 activations: bias + scales · (binary(x) @ signs.T), x: [..., in].

    The ±1 sum comes first, so that it is an exact integer, then the scales. Subclasses say which weights are +1 and
    which scales exist.
    """

    estimator = "clip"  # of the activations, unless the constructor is told otherwise
    weight_estimator = "clip"
    has_bias = False

    def __init__(self, in_features, out_features, estimator=None):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        self.register_parameter("bias", nn.Parameter(torch.zeros(out_features)) if self.has_bias else None)
        if estimator:
            self.estimator = estimator
        nn.init.kaiming_uniform_(self.weight, a=5 ** 0.5)

    def fix_scale(self):
        """For a layer in front of batch normalisation, which undoes any scale. Adam would turn the rounding noise of its
        gradient into full steps, and the scale would drift through zero, which inverts the layer."""

    def set_progress(self, epoch, epochs):
        """Told before every epoch; for gradient estimators that sharpen with time."""

    def centred(self):
        """The real weights whose signs count. [out, in]"""
        return self.weight

    def signs(self):
        """The weights as evaluated: [out, in] of -1, 0, +1, with gradient."""
        return sign(self.centred(), self.weight_estimator)

    def binary(self, x, columns=slice(None)):
        """The activations as evaluated. columns: which inputs of the layer x holds."""
        return sign(x, self.estimator)

    def output_scale(self):
        """None, a number or [out]."""
        return None

    def row_scale(self, *parts):
        """None or [..., 1]."""
        return None

    def ready(self, *parts):
        """Called with the first batch before anything is computed."""

    def product(self, x, weight):
        return F.linear(x, weight)

    def per_output(self, vector):
        """[out] in the shape of what product returns."""
        return vector

    def sums(self, parts, weight, binary):
        total, at = None, 0
        for part in parts:
            columns = slice(at, at + part.shape[-1])
            at = columns.stop
            part = self.product(binary(part, columns), weight if len(parts) == 1 else weight[:, columns])
            total = part if total is None else total + part
        return total

    def forward(self, *parts):
        """parts: real inputs [..., channels] side by side along the channels, which broadcast against each other.

        A part that is the same for many rows (a global feature, the point of an edge) is multiplied once.
        """
        self.ready(*parts)
        y = self.sums(parts, self.signs(), self.binary)
        outputs, rows = self.output_scale(), self.row_scale(*parts)
        y = y if outputs is None else y * self.per_output(outputs)
        y = y if rows is None else y * rows
        return y if self.bias is None else y + self.per_output(self.bias)


class BNNLinear(BinaryLinear):
    """Courbariaux et al., Binarized Neural Networks, 2016: plain signs."""

    has_bias = True


class LSRLinear(BinaryLinear):
    """One learned scale, weights centred by one mean over the whole matrix.

    The mean is taken in double: a float sum of a million terms would flip weights near the mean.
    """

    def __init__(self, in_features, out_features, estimator=None):
        super().__init__(in_features, out_features, estimator)
        self.scale = nn.Parameter(torch.zeros(()))

    def fix_scale(self):
        self.scale.requires_grad_(False)

    def centred(self):
        return (self.weight.double() - self.weight.double().mean()).to(self.weight.dtype)

    def output_scale(self):
        return self.scale

    @torch.no_grad()
    def init_scale(self, *parts):
        """std(x @ Wc.T) / std(sign(x) @ sign(Wc).T) with Wc = weight - mean(weight).

        If that is undefined, std(Wc) / std(sign(Wc)).
        """
        centred = self.centred()
        real = self.sums(parts, centred, lambda x, _: x)
        value = real.std() / self.sums(parts, torch.sign(centred), lambda x, _: torch.sign(x)).std()
        if not (torch.isfinite(value) and value > 0):
            value = centred.std() / torch.sign(centred).std()
        self.scale.fill_(value)

    def ready(self, *parts):
        """Sets the scale from the first training batch. A zero scale in evaluation is an untrained layer."""
        if self.scale.item() == 0.0:
            if not self.training:
                raise RuntimeError("LSRLinear: scale is 0, the layer has never seen a training batch")
            self.init_scale(*parts)


class XNORLinear(BinaryLinear):
    """Rastegari et al., XNOR-Net, ECCV 2016: mean magnitudes of every weight row and of every activation row."""

    has_bias = True

    def centred(self):
        return self.weight - self.weight.mean(1, keepdim=True)

    def output_scale(self):
        return self.centred().abs().mean(1).detach()

    def row_scale(self, *parts):
        total = sum(part.detach().abs().sum(-1, keepdim=True) for part in parts)
        return total / self.weight.shape[1]


class XNORPlusLinear(BinaryLinear):
    """Bulat and Tzimiropoulos, XNOR-Net++, BMVC 2019: one learned scale per output, none for the activations."""

    def __init__(self, in_features, out_features, estimator=None):
        super().__init__(in_features, out_features, estimator)
        self.scale = nn.Parameter(self.weight.detach().abs().mean(1))

    def fix_scale(self):
        self.scale.requires_grad_(False)

    def output_scale(self):
        return self.scale


class IRNetLinear(BinaryLinear):
    """IR-Net: rows of zero mean and unit deviation, scales that are powers of two, an estimator that sharpens."""

    estimator = weight_estimator = "ede"
    has_bias = True

    def __init__(self, in_features, out_features, estimator=None):
        super().__init__(in_features, out_features, estimator)
        self.register_buffer("k", torch.tensor([10.0]))
        self.register_buffer("t", torch.tensor([0.1]))

    def set_progress(self, epoch, epochs):
        """t rises from 0.001 to 10; k keeps the largest slope at 1 or more."""
        self.t.fill_(10.0 ** (-3.0 + 4.0 * epoch / epochs))
        self.k.fill_(max(1.0 / self.t.item(), 1.0))

    def centred(self):
        centred = self.weight - self.weight.mean(1, keepdim=True)
        return centred / centred.std(1, keepdim=True)

    def signs(self):
        return sign(self.centred(), self.weight_estimator, self.k.item(), self.t.item())

    def binary(self, x, columns=slice(None)):
        return sign(x, self.estimator, self.k.item(), self.t.item())

    def output_scale(self):
        return torch.exp2(torch.round(torch.log2(self.centred().abs().mean(1)))).detach()


class BiRealLinear(BinaryLinear):
    """Liu et al., Bi-Real Net, ECCV 2018: mean magnitude of every weight row, no bias."""

    estimator = "bireal"

    def output_scale(self):
        return self.weight.abs().mean(1).detach()


class ReActLinear(BiRealLinear):
    """Liu et al., ReActNet, ECCV 2020: RSign, a learned shift of every input channel before the sign."""

    def __init__(self, in_features, out_features, estimator=None):
        super().__init__(in_features, out_features, estimator)
        self.shift = nn.Parameter(torch.zeros(in_features))

    def binary(self, x, columns=slice(None)):
        shift = self.shift[columns] if self.shift.dim() == 1 else self.shift
        return sign(x + shift, self.estimator)


def grouped_product(x, weight, groups):
    """Every group's taps with its own filters. x: [rows, groups, taps], weight: [groups * each, taps] -> [rows, groups, each]"""
    filters = weight.view(groups, -1, weight.shape[1])
    return torch.bmm(x.transpose(0, 1), filters.transpose(1, 2)).transpose(0, 1)


def grouped(kind):
    """The binarizer `kind` for a convolution of one window, as many taps as the input is long, in groups of one channel.

    x: [rows, groups, taps] -> [rows, groups * each]. As in BiPointNet's code, weights are centred by one mean over all where
    the linear layer centres rows, or, for BNN, does not centre.
    """
    class Grouped(kind):
        def __init__(self, groups, taps, each, estimator=None):
            super().__init__(taps, groups * each, estimator)
            self.groups = groups
            if issubclass(kind, ReActLinear):
                self.shift = nn.Parameter(torch.zeros(groups, 1))

        def centred(self):
            if kind in (BNNLinear, XNORLinear):
                return (self.weight.double() - self.weight.double().mean()).to(self.weight.dtype)
            return super().centred()

        def binary(self, x, columns=slice(None)):
            return super().binary(x)

        def product(self, x, weight):
            return grouped_product(x, weight, self.groups)

        def per_output(self, vector):
            return vector.view(self.groups, -1) if vector.dim() else vector

        def forward(self, x):
            return super().forward(x).flatten(1)

    Grouped.__name__ = Grouped.__qualname__ = "Grouped" + kind.__name__
    return Grouped


class RPReLU(nn.Module):
    """ReActNet: PReLU between two learned shifts, per channel. x: [..., channels], see networks/layers.py."""

    channels_first = False
    plain = False

    def __init__(self, channels):
        super().__init__()
        self.before = nn.Parameter(torch.zeros(channels))
        self.slope = nn.Parameter(torch.full((channels,), 0.25))
        self.after = nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        if self.plain:
            trailing = [1] * (x.dim() - 2) if self.channels_first else []
            return F.prelu(x + self.before.view(-1, *trailing), self.slope) + self.after.view(-1, *trailing)
        x = x + self.before
        return torch.where(x >= 0, x, x * self.slope) + self.after


BINARIZERS = {
    "LSR": LSRLinear,
    "BNN": BNNLinear,
    "XNOR": XNORLinear,
    "XNOR++": XNORPlusLinear,
    "IRNet": IRNetLinear,
    "BiReal": BiRealLinear,
    "ReActNet": ReActLinear,
}

GROUPED = {kind: grouped(kind) for kind in BINARIZERS.values()}
