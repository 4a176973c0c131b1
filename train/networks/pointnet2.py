"""PointNet++: set abstraction over balls around sampled points, classification.

C. Qi et al., PointNet++, NeurIPS 2017, with one scale of balls (SSG) or several (MSG); the binary layers are those of
BiPointNet, Qin et al., ICLR 2021: first and last layers stay real, inner layers are linear -> ReLU -> normalisation.
"""

from torch import nn
from torch.nn import functional as F

from .layers import Layer, Network, RealLinear


class Group(Layer):
    """Features of the points around each centre: pool over neighbours of blocks(x_j, pos_j - pos_centre)."""

    def __init__(self, radius, count, lift, blocks, pool):
        super().__init__()
        self.radius, self.count, self.pool = radius, count, pool
        self.lift, self.blocks = lift, nn.ModuleList(blocks)

    def forward(self, x, position, centres):
        """x [batch, points, channels] or None, position [batch, points, 3], centres [batch, m, 3]; channels last.

        -> [batch, m, out], or [batch, out, m] if channels_first.
        """
        index = self.search.ball_query(position, centres, self.radius, self.count)
        message = self.search.gather_rows(position, index) - centres.unsqueeze(2)
        if x is not None:
            message = self.beside(self.search.gather_rows(x, index), message)
        if self.channels_first:
            message = message.permute(0, 3, 1, 2)
        lift = () if self.lift is None else (self.lift,)
        return self.pool(self.rowwise(message, *lift, *self.blocks))


class Abstraction(Layer):
    """Samples centres and describes the surroundings of each, in one or several radii."""

    def __init__(self, sample, groups):
        super().__init__()
        self.sample, self.groups = sample, nn.ModuleList(groups)

    def forward(self, x, position):
        """Channels last in and out. sample: {"ratio": share of the points} or {"count": points}."""
        index = self.search.farthest_points(position, **self.sample)
        centres = self.search.gather_rows(position, index)
        y = self.join(*[group(x, position, centres) for group in self.groups])
        return y.transpose(2, 1) if self.channels_first else y, centres


class PointNet2(Network):
    """levels: per abstraction, how it samples and its groups (radius, neighbours, widths)."""

    def __init__(self, make, classes, points, channels=3, dropout=0.0, levels=()):
        super().__init__()

        def blocks(*widths):
            return [make.block(a, b, F.relu, activation_first=True) for a, b in zip(widths, widths[1:])]
        inputs, abstractions = channels, []
        for level, (sample, groups) in enumerate(levels):
            made = []
            for radius, count, widths in groups:
                # The first level sees coordinates, which a real layer takes up.
                lift = RealLinear(inputs, widths[0]) if level == 0 else None
                layers = blocks(*widths) if level == 0 else blocks(inputs, *widths)
                made.append(Group(radius, count, lift, layers, make.pool(count)))
            abstractions.append(Abstraction(sample, made))
            inputs = 3 + sum(widths[-1] for _, _, widths in groups)
        self.abstractions = nn.ModuleList(abstractions)
        self.blocks = nn.ModuleList(blocks(inputs, 256, 512, 1024))
        self.pool = make.pool(1024)
        self.fc1 = make.linear(1024, 512, raw_input=True)
        self.fc2 = make.linear(512, 256)
        self.fc3 = RealLinear(256, classes)
        self.activation1, self.activation2 = make.activation(512), make.activation(256)
        self.dropout = nn.Dropout(dropout)

    def features(self, points):
        points = points.transpose(2, 1) if self.channels_first else points
        position, x, pools = points[..., :3], points[..., 3:] if points.shape[-1] > 3 else None, []
        for abstraction in self.abstractions:
            x, position = abstraction(x, position)
            pools.append(x)
        x = self.beside(x, position)
        pools.append(self.pool(self.rowwise(x.transpose(2, 1) if self.channels_first else x, *self.blocks)))
        x = self.activation1(self.fc1(pools[-1]))
        x = self.activation2(self.fc2(x))
        return self.fc3(self.dropout(x)), pools


SINGLE_SCALE = (
    (dict(ratio=0.5), ((0.2, 64, (64, 64, 128)),)),
    (dict(ratio=0.25), ((0.4, 64, (128, 128, 256)),)),
)
MULTI_SCALE = (
    (dict(count=512), ((0.1, 16, (32, 32, 64)), (0.2, 32, (64, 64, 128)), (0.4, 128, (64, 96, 128)))),
    (dict(count=128), ((0.2, 32, (64, 64, 128)), (0.4, 64, (128, 128, 256)), (0.8, 128, (128, 128, 256)))),
)
