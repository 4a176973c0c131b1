"""PointConv: the features of nearest neighbours summed with weights that a small network makes of their positions.

W. Wu et al., PointConv, CVPR 2019. Which layers to binarize is our choice, no code of the papers says: the first layer,
the networks of weights and densities and the last layer stay real, everything else is binary, hardtanh instead of ReLU.
"""

import torch
from torch import nn

from .layers import FLOAT, Block, Layer, Maker, Network, RealLinear


class Density(Layer):
    """Gaussian kernel estimate at every point, passed through a small real network. -> [batch, points, 1]"""

    def __init__(self, make, bandwidth):
        super().__init__()
        self.bandwidth = bandwidth
        self.blocks = nn.ModuleList(_real_blocks(make, 1, 8, 8, 1))

    def forward(self, position):
        d = ((position.unsqueeze(2) - position.unsqueeze(1)) ** 2).sum(-1)
        density = torch.exp(d / (-2.0 * self.bandwidth ** 2)).mean(-1, keepdim=True) / (2.5 * self.bandwidth)
        return self.rowwise_last(density, *self.blocks)


def _real_blocks(make, *widths):
    real = Maker(FLOAT, make.pool_kind, "relu")
    return [Block(RealLinear(a, b), b, real.activation(b)) for a, b in zip(widths, widths[1:])]


class PointConv(Layer):
    """One layer; count: centres, None for one of all points; neighbours: how many per centre."""

    def __init__(self, make, count, neighbours, inputs, widths, bandwidth=None):
        super().__init__()
        self.count, self.neighbours = count, neighbours
        pairs = list(zip((inputs, *widths), widths))
        first = make.first(*pairs[0]) if inputs == 3 else make.block(*pairs[0], raw_input=True)
        self.blocks = nn.ModuleList([first] + [make.block(a, b) for a, b in pairs[1:]])
        self.weights = nn.ModuleList(_real_blocks(make, 3, 8, 8, 16))
        self.density = Density(make, bandwidth) if bandwidth else None
        self.mix = make.block(16 * widths[-1], widths[-1], raw_input=True)

    def neighbourhood(self, x, position):
        """-> messages [batch, centres, neighbours, channels], offsets, densities, centres."""
        density = None if self.density is None else self.density(position)
        if self.count is None:
            offsets = (position - position.mean(1, keepdim=True)).unsqueeze(1)
            message = offsets if x is None else self.beside(offsets, x.unsqueeze(1))
            return message, offsets, None if density is None else density.unsqueeze(1), None
        gather = self.search.gather_rows
        centres = gather(position, self.search.farthest_points(position, count=self.count))
        index = self.search.k_nearest(position, centres, self.neighbours)
        offsets = gather(position, index) - centres.unsqueeze(2)
        message = offsets if x is None else self.beside(offsets, gather(x, index))
        return message, offsets, None if density is None else gather(density, index), centres

    def forward(self, x, position):
        """Channels last in and out."""
        message, offsets, density, centres = self.neighbourhood(x, position)
        h = self.rowwise_last(message, *self.blocks)
        h = h if density is None else h * density
        y = torch.matmul(h.transpose(3, 2), self.rowwise_last(offsets, *self.weights))
        y = y.reshape(*y.shape[:2], int(y.shape[2]) * int(y.shape[3]))
        return self.rowwise_last(y, self.mix), centres


class PointConvNet(Network):
    """Classification.

    density   weight the neighbours by the density around them, too
    centres, neighbours   of the first two layers
    """

    poolings = ("sum",)

    def __init__(self, make, classes, points, channels=3, dropout=0.0, density=False, centres=(512, 128),
                 neighbours=(32, 64)):
        super().__init__()
        self.conv1 = PointConv(make, centres[0], neighbours[0], channels, (64, 64, 128), 0.1 if density else None)
        self.conv2 = PointConv(make, centres[1], neighbours[1], 131, (128, 128, 256), 0.2 if density else None)
        self.conv3 = PointConv(make, None, None, 259, (256, 512, 1024), 0.4 if density else None)
        self.fc1 = make.block(1024, 512)
        self.fc2 = make.block(512, 256)
        self.fc3 = RealLinear(256, classes)
        self.dropout = nn.Dropout(dropout)

    def features(self, points):
        points = points.transpose(2, 1) if self.channels_first else points
        position, x = points[..., :3], points[..., 3:] if points.shape[-1] > 3 else None
        pools = []
        for conv in (self.conv1, self.conv2, self.conv3):
            x, position = conv(x, position)
            pools.append(x)
        pools[-1] = x.flatten(1)
        x = self.fc2(self.dropout(self.fc1(pools[-1])))
        return self.fc3(self.dropout(x)), pools
