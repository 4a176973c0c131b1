"""What all networks are made of: blocks of linear layer, normalisation and activation; pooling; the base class.

Tensors are channels last. The exporter may set `channels_first`, `plain` and `search` on every layer: the first moves the
channels to axis 1, the second turns off the short cuts that training takes (they give the same values), the third
replaces the point operators.
"""

import torch
from torch import nn
from torch.nn import functional as F

from .. import neighbours
from ..binarize import BINARIZERS, GROUPED, BinaryLinear, ReActLinear, RPReLU, ema_delta, grouped_product

POOLS = ("ema-max", "max", "ema-avg", "mean")
FLOAT = "float"


class Layer(nn.Module):
    channels_first = False
    plain = False
    search = neighbours

    def over(self, x):
        """The axis of x that is pooled: points or neighbours."""
        return x.dim() - 1 if self.channels_first else x.dim() - 2

    def join(self, *parts):
        """Concatenates along the channels."""
        return torch.cat(parts, 1 if self.channels_first else parts[0].dim() - 1)

    @staticmethod
    def beside(*parts):
        """Concatenates along the last axis, whatever the layout."""
        return torch.cat(parts, -1)

    def rowwise_last(self, x, *blocks):
        """rowwise for x and a result that are channels last in either layout."""
        if not self.channels_first:
            return self.rowwise(x, *blocks)
        last = x.dim() - 1
        y = self.rowwise(x.permute(0, last, *range(1, last)), *blocks)
        return y.permute(0, *range(2, last + 1), 1)

    def _repeated(self, part, full):
        """part, which has size 1 in some axes, once for every row of full."""
        axis = 1 if self.channels_first else full.dim() - 1
        if self.channels_first:
            rows = [n if m == 1 and a != axis else 1 for a, (n, m) in enumerate(zip(full.shape, part.shape))]
            return part.repeat(*rows)
        return part.expand(*full.shape[:-1], int(part.shape[-1]))

    def rowwise(self, x, *blocks, full=-1):
        """Passes x [..., channels], or a tuple of parts of it, through blocks that treat every row alike.

        parts: see BinaryLinear.forward; parts[full] has all rows.
        """
        parts = x if isinstance(x, tuple) else (x,)
        if len(parts) > 1 and self.plain:
            parts = (self.join(*[p if p is parts[full] else self._repeated(p, parts[full]) for p in parts]),)
        if self.channels_first or len(parts) > 1:
            x, blocks = blocks[0](*parts), blocks[1:]
            if self.channels_first or not blocks:
                for block in blocks:
                    x = block(x)
                return x
        else:
            x = parts[0]
        # int: the number of channels is a constant of an exported graph, whatever axes are dynamic.
        y = x.reshape(-1, int(x.shape[-1]))
        for block in blocks:
            y = block(y)
        return y.view(*x.shape[:-1], int(y.shape[-1]))


class Norm(nn.BatchNorm1d):
    """Batch normalisation of rows of any shape: [..., channels], or [batch, channels, ...] if channels_first."""

    channels_first = False

    def _check_input_dim(self, x):
        pass

    def forward(self, x):
        if self.channels_first or x.dim() == 2:
            return super().forward(x)
        return super().forward(x.reshape(-1, x.shape[-1])).view(x.shape)


class Block(Layer):
    """activation(bn(linear(x))), or bn(activation(linear(x))) if activation_first. x: [..., in] -> [..., out]."""

    def __init__(self, linear, features, activation, activation_first=False):
        super().__init__()
        self.linear, self.bn, self.activation = linear, Norm(features), activation
        self.activation_first = activation_first

    def forward(self, *parts):
        x = self.linear(*parts)
        return self.bn(self.activation(x)) if self.activation_first else self.activation(self.bn(x))


class RealLinear(nn.Linear):
    """nn.Linear that takes its input in parts, as BinaryLinear does, and may clip it, where that one takes the sign."""

    def __init__(self, in_features, out_features, bias=True, clip=False):
        super().__init__(in_features, out_features, bias)
        self.clip = clip

    def forward(self, *parts):
        if len(parts) == 1:
            return super().forward(F.hardtanh(parts[0]) if self.clip else parts[0])
        total, at = self.bias, 0
        for part in parts:
            part = F.hardtanh(part) if self.clip else part
            part, at = F.linear(part, self.weight[:, at:at + part.shape[-1]]), at + part.shape[-1]
            total = part if total is None else total + part
        return total


class RealGrouped(nn.Module):
    """The real twin of binarize.grouped. x: [rows, groups, taps] -> [rows, groups * each]"""

    def __init__(self, groups, taps, each, clip=False):
        super().__init__()
        self.groups, self.clip = groups, clip
        self.weight = nn.Parameter(torch.empty(groups * each, taps))
        self.bias = nn.Parameter(torch.zeros(groups * each))
        nn.init.kaiming_uniform_(self.weight, a=5 ** 0.5)

    def forward(self, x):
        return grouped_product(F.hardtanh(x) if self.clip else x, self.weight, self.groups).flatten(1) + self.bias


class Pool(Layer):
    """Maximum or mean over the points or neighbours; the offset of EMA-max.

    "ema-avg" and "mean" differ in front of the pool only: the former skips a hardtanh there, see Maker.clips.
    """

    def __init__(self, kind, n):
        super().__init__()
        self.kind, self.delta = kind, ema_delta(n) if kind == "ema-max" else 0.0

    def forward(self, x):
        axis = self.over(x)
        if not self.kind.endswith("max"):
            return x.mean(axis)
        x = x.max(axis)[0]
        return x + self.delta if self.delta else x


class Maker:
    """Makes the layers of one network between the first and the last one: of one binarizer, or real.

    binarizer   a name of BINARIZERS, or "float"
    pool        a name of Network.poolings. The full-precision network pools alike (its batch normalisation absorbs the offset), so
                pooled values of both are comparable
    activation  full precision only: "relu" or "hardtanh"; the latter makes it the relaxation of the binary network
    """

    def __init__(self, binarizer="LSR", pool="ema-max", activation="hardtanh", estimator=None):
        if binarizer not in (*BINARIZERS, FLOAT):
            raise ValueError(f"binarizer {binarizer}: not one of {', '.join((*BINARIZERS, FLOAT))}")
        self.kind = BINARIZERS.get(binarizer)
        self.binary, self.pool_kind, self.estimator = self.kind is not None, pool, estimator
        self.function = F.relu if activation == "relu" and not self.binary else F.hardtanh
        # The relaxation of a binary network clips wherever that one takes the sign.
        self.pool_activation = F.hardtanh if activation == "hardtanh" and not self.binary else nn.Identity()

    def activation(self, features, function=None):
        """The one named by the binarizer, or `function` where the network prescribes it."""
        if isinstance(function, nn.Identity):
            return function
        return RPReLU(features) if self.kind is ReActLinear else function or self.function

    def clips(self):
        """Whether an activation stands between normalisation and pool where the network has one with plain pooling."""
        return self.pool_kind in ("max", "mean")

    def before_pool(self):
        """That activation: EMA takes the values as the normalisation leaves them."""
        return self.function if self.clips() or self.function is F.relu else nn.Identity()

    def linear(self, inputs, outputs, normed=False, raw_input=False):
        """normed     a batch normalisation follows, which makes a bias of real layers and a learned scale pointless
        raw_input  no activation precedes: the relaxation of a binary network clips the input here
        """
        if not self.binary:
            return RealLinear(inputs, outputs, not normed, raw_input and self.function is F.hardtanh)
        layer = self.kind(inputs, outputs, self.estimator)
        if normed:
            layer.fix_scale()
        return layer

    def grouped(self, groups, taps, each, normed=False):
        """A convolution of one window of `taps`, `each` filters for every group of one channel."""
        if not self.binary:
            return RealGrouped(groups, taps, each, self.function is F.hardtanh)
        layer = GROUPED[self.kind](groups, taps, each, self.estimator)
        if normed:
            layer.fix_scale()
        return layer

    def block(self, inputs, outputs, function=None, activation_first=False, raw_input=False):
        # A hardtanh in front of the normalisation makes the scale matter.
        normed = not activation_first or function is F.relu
        linear = self.linear(inputs, outputs, normed, raw_input or activation_first)
        return Block(linear, outputs, self.activation(outputs, function), activation_first)

    def first(self, inputs, outputs):
        return Block(RealLinear(inputs, outputs), outputs, self.activation(outputs))

    def pool(self, n):
        """n: how many elements are pooled in training, for the offset."""
        return Pool(self.pool_kind, n)


class Network(Layer):
    """points [batch, points, channels] -> log-probabilities [batch, classes], or [batch, points, classes] if per_point.

    `config` holds what make_network needs to make the network again.
    """

    per_point = False
    poolings = POOLS  # that this network can be made with
    neighbours_in_onnx = "xnor"  # the form that export takes unless told otherwise, see neighbours_onnx.py
    config = None

    def features(self, points):
        """-> logits, list of pooled values; the last is the one over all points, [batch, channels]."""
        raise NotImplementedError

    def forward(self, points):
        return F.log_softmax(self.features(points)[0], dim=-1)

    def set_progress(self, epoch, epochs):
        """To be called before every epoch: lets gradient estimators follow their schedule."""
        for module in self.modules():
            if isinstance(module, BinaryLinear):
                module.set_progress(epoch, epochs)
