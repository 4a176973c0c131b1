"""PointNet for cloud classification, binary (BiPointNet: LSR + EMA-max) and full precision.

Full-precision network: C. Qi et al., PointNet, CVPR 2017. Binary network: H. Qin et al., BiPointNet, ICLR 2021. First
and last layers stay real, everything between is binary, the T-Nets' last layers included.
"""

import torch
from torch import nn
from torch.nn import functional as F

from .binarize import LSRLinear, ema_delta
from .pool import LinearNormMax


class Builder:
    """Makes the layers between the first and the last one: binary (LSR) or real."""

    def __init__(self, binary, activation, estimator, delta):
        self.binary, self.estimator, self.delta = binary, estimator, delta
        self.activation = F.relu if activation == "relu" else F.hardtanh
        # A hardtanh network is the relaxation of the binary one, so it clips wherever that one takes the sign.
        self.pool_activation = F.hardtanh if activation == "hardtanh" and not binary else nn.Identity()

    def linear(self, inputs, outputs):
        return LSRLinear(inputs, outputs, self.estimator) if self.binary else nn.Linear(inputs, outputs, bias=False)

    def block(self, inputs, outputs):
        return Block(self.linear(inputs, outputs), outputs, self.activation)

    def first(self, inputs, outputs):
        return Block(nn.Linear(inputs, outputs), outputs, self.activation)

    def pool(self, inputs, outputs):
        return LinearNormMax(self.linear(inputs, outputs), outputs, self.delta)


class Block(nn.Module):
    """activation(bn(linear(x))) on rows. x: [rows, in] -> [rows, out]."""

    def __init__(self, linear, features, activation):
        super().__init__()
        self.linear, self.bn, self.activation = linear, nn.BatchNorm1d(features), activation
        if isinstance(linear, LSRLinear):
            linear.fix_scale()

    def forward(self, x):
        return self.activation(self.bn(self.linear(x)))


def on_points(block, x):
    """Applies a row-wise block to [batch, points, in]."""
    return block(x.reshape(-1, x.shape[-1])).view(x.shape[0], x.shape[1], -1)


class TNet(nn.Module):
    """Predicts a transform of the points. x: [batch, points, in] -> [batch, k, k], pooled values [batch, 1024]."""

    def __init__(self, make, inputs, k, first):
        super().__init__()
        self.k = k
        self.conv1 = first(inputs, 64)
        self.conv2 = make.block(64, 128)
        self.conv3 = make.pool(128, 1024)
        self.fc1 = make.block(1024, 512)
        self.fc2 = make.block(512, 256)
        self.fc3 = make.linear(256, k * k)
        self.pool_activation = make.pool_activation
        if not make.binary:
            nn.init.zeros_(self.fc3.weight)

    def forward(self, x):
        pooled = self.conv3(on_points(self.conv2, on_points(self.conv1, x)))
        y = self.fc3(self.fc2(self.fc1(self.pool_activation(pooled))))
        return y.view(-1, self.k, self.k) + torch.eye(self.k), pooled


class PointNet(nn.Module):
    """points [batch, points, 3] -> log-probabilities [batch, classes].

    tnets       with the 3x3 and 64x64 transform networks, otherwise "vanilla"
    binary      LSR layers and EMA-max; the full-precision network has the same topology and the same pooling offset
                (its batch normalisation absorbs it), so pooled values of both are comparable
    activation  full precision only: "relu" or "hardtanh"
    """

    def __init__(self, classes=10, tnets=False, binary=True, points=1024, activation="hardtanh", estimator="clip",
                 dropout=0.0):
        super().__init__()
        self.config = dict(classes=classes, tnets=tnets, binary=binary, points=points,
                           activation=activation, estimator=estimator, dropout=dropout)
        make = Builder(binary, "hardtanh" if binary else activation, estimator, ema_delta(points))
        if tnets:
            self.stn = TNet(make, 3, 3, make.first)
            self.fstn = TNet(make, 64, 64, make.block)
        self.conv1 = make.first(3, 64)
        self.conv2 = make.block(64, 128)
        self.conv3 = make.pool(128, 1024)
        self.fc1 = make.block(1024, 512)
        self.fc2 = make.block(512, 256)
        self.fc3 = nn.Linear(256, classes)
        self.pool_activation = make.pool_activation
        self.dropout = nn.Dropout(dropout)

    def features(self, points):
        """points [batch, points, 3] -> logits [batch, classes], list of pooled values [batch, 1024], encoder last."""
        x, pools = points, []
        if self.config["tnets"]:
            transform, pooled = self.stn(x)
            pools.append(pooled)
            x = torch.bmm(x, transform)
        x = on_points(self.conv1, x)
        if self.config["tnets"]:
            transform, pooled = self.fstn(x)
            pools.append(pooled)
            x = torch.bmm(x, transform)
        pooled = self.conv3(on_points(self.conv2, x))
        pools.append(pooled)
        x = self.fc2(self.fc1(self.pool_activation(pooled)))
        return self.fc3(self.dropout(x)), pools

    def forward(self, points):
        return F.log_softmax(self.features(points)[0], dim=-1)


def initialise_from(student, teacher):
    """Copies every parameter and buffer of the teacher that the student has under the same name and shape."""
    target = student.state_dict()
    shared = {k: v for k, v in teacher.state_dict().items() if k in target and v.shape == target[k].shape}
    student.load_state_dict({**target, **shared})
    return sorted(shared)
