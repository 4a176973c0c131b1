"""DGCNN: edge convolutions over the nearest neighbours in feature space, classification.

Y. Wang et al., Dynamic Graph CNN for Learning on Point Clouds, TOG 2019 (four edge convolutions); the binary network of
BiPointNet, Qin et al., ICLR 2021, is a smaller one of two. First and last layers stay real.
"""

import torch
from torch import nn
from torch.nn import functional as F

from .layers import Layer, Network, Pool, RealLinear


class EdgeConv(Layer):
    """pool over the k nearest j (the point itself included) of blocks(message(x_i, x_j - x_i)).

    x: [batch, points, channels] -> [batch, points, out]
    lift            a real layer in front of the blocks, or None
    difference_first  message is cat(x_j - x_i, x_i) instead of cat(x_i, x_j - x_i)
    """

    def __init__(self, k, lift, blocks, pool, difference_first=False):
        super().__init__()
        self.k, self.lift, self.blocks, self.pool = k, lift, nn.ModuleList(blocks), pool
        self.difference_first = difference_first

    def edges(self, x):
        x = x.transpose(2, 1) if self.channels_first else x
        index = self.search.k_nearest(x, x, self.k)
        if self.lift is not None and not self.plain:
            return self.lifted(x, index)
        own = x.unsqueeze(2)
        difference = self.search.gather_rows(x, index) - own
        if self.channels_first:
            own, difference = own.permute(0, 3, 1, 2), difference.permute(0, 3, 1, 2)
        parts, full = ((difference, own), 0) if self.difference_first else ((own, difference), 1)
        lift = () if self.lift is None else (self.lift,)
        return self.rowwise(parts, *lift, *self.blocks, full=full)

    def lifted(self, x, index):
        """The real layer splits: W_own·x_i + W_diff·(x_j - x_i) = (W_own - W_diff)·x_i + W_diff·x_j, once per point."""
        layer = getattr(self.lift, "linear", self.lift)
        own, diff = layer.weight.chunk(2, 1)[::-1 if self.difference_first else 1]
        y = self.search.gather_rows(F.linear(x, diff), index) + F.linear(x, own - diff, layer.bias).unsqueeze(2)
        if layer is not self.lift:
            y = self.lift.activation(self.lift.bn(y))
        return self.rowwise(y, *self.blocks) if len(self.blocks) else y

    def forward(self, x):
        return self.pool(self.edges(x))


class DGCNN(Network):
    """Two edge convolutions. Inner layers are linear -> ReLU -> normalisation, in this order."""

    neighbours_in_onnx = "difference"

    def __init__(self, make, classes, points, channels=3, dropout=0.0, k=20):
        super().__init__()

        def block(inputs, outputs):
            return make.block(inputs, outputs, F.relu, activation_first=True)
        self.conv1 = EdgeConv(k, RealLinear(2 * channels, 64), [block(64, 64), block(64, 64)], make.pool(k))
        self.conv2 = EdgeConv(k, None, [block(128, 128)], make.pool(k))
        self.lin1 = block(64 + 128, 1024)
        self.pool = make.pool(1024)
        self.fc1 = block(1024, 512)
        self.fc2 = block(512, 256)
        self.fc3 = RealLinear(256, classes)
        self.dropout = nn.Dropout(dropout)

    def features(self, points):
        x1 = self.conv1(points)
        x2 = self.conv2(x1)
        pools = [x1, x2, self.pool(self.rowwise(self.join(x1, x2), self.lin1))]
        x = self.fc2(self.fc1(pools[-1]))
        return self.fc3(self.dropout(x)), pools


class DGCNN4(Network):
    """Four edge convolutions of one layer each, as in the TOG paper; max, or max and mean, over the points."""

    neighbours_in_onnx = "difference"

    def __init__(self, make, classes, points, channels=3, dropout=0.0, k=20, average=False):
        super().__init__()
        act = make.before_pool()
        widths = (channels, 64, 64, 128, 256)
        first = make.first(2 * channels, 64)
        first.activation = make.activation(64, act)
        convs = [EdgeConv(k, first, [], make.pool(k), difference_first=True)]
        for inputs, outputs in zip(widths[1:], widths[2:]):
            convs.append(EdgeConv(k, None, [make.block(2 * inputs, outputs, act, raw_input=True)], make.pool(k), True))
        self.convs = nn.ModuleList(convs)
        self.conv5 = make.block(512, 1024, act, raw_input=True)
        self.pools = nn.ModuleList([make.pool(points)] + [Pool("mean", points)] * average)
        self.fc1 = make.block(1024 * len(self.pools), 512, raw_input=True)
        self.fc2 = make.block(512, 256)
        self.fc3 = RealLinear(256, classes)
        self.dropout = nn.Dropout(dropout)

    def features(self, points):
        pools, x = [], points
        for conv in self.convs:
            x = conv(x)
            pools.append(x)
        x = self.rowwise(self.join(*pools), self.conv5)
        pools.append(torch.cat([pool(x) for pool in self.pools], -1))
        x = self.fc2(self.dropout(self.fc1(pools[-1])))
        return self.fc3(self.dropout(x)), pools
