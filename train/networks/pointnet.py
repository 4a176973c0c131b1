"""PointNet: classification, part segmentation, semantic segmentation; binary (BiPointNet) and full precision.

Full-precision network: C. Qi et al., PointNet, CVPR 2017. Binary network: H. Qin et al., BiPointNet, ICLR 2021. First
and last layers stay real, everything between is binary, the T-Nets' last layers included.
"""

import torch
from torch import nn

from .layers import Layer, Network, RealLinear
from .pool import LinearNormPool


class TNet(Layer):
    """Predicts a transform of the points. x: [batch, points, in] -> [batch, k, k], pooled values [batch, 1024]."""

    def __init__(self, make, inputs, k, points, first):
        super().__init__()
        self.k = k
        self.conv1 = first(inputs, 64)
        self.conv2 = make.block(64, 128)
        self.conv3 = LinearNormPool(make.linear(128, 1024, True), 1024, make.pool(points), make.clips() and make.binary)
        self.fc1 = make.block(1024, 512)
        self.fc2 = make.block(512, 256)
        self.fc3 = make.linear(256, k * k, normed=not make.binary)
        self.pool_activation = make.pool_activation
        if not make.binary:
            nn.init.zeros_(self.fc3.weight)

    def forward(self, x):
        pooled = self.conv3(x, self.conv1, self.conv2)
        y = self.fc3(self.fc2(self.fc1(self.pool_activation(pooled))))
        return y.view(-1, self.k, self.k) + torch.eye(self.k, dtype=y.dtype), pooled


class Transforms(Layer):
    """x · transform for points [batch, points, channels]; only the first three channels if there are more than k."""

    def forward(self, x, transform):
        k = transform.shape[-1]
        if self.channels_first:
            x = x.transpose(2, 1)
        if x.shape[-1] > k:
            x = torch.cat((torch.bmm(x[..., :k], transform), x[..., k:]), -1)
        else:
            x = torch.bmm(x, transform)
        return x.transpose(2, 1) if self.channels_first else x


class PointNet(Network):
    """Classification. tnets: with the 3x3 and 64x64 transform networks, otherwise "vanilla"."""

    def __init__(self, make, classes, points, channels=3, dropout=0.0, tnets=False):
        super().__init__()
        self.tnets, self.transforms = tnets, Transforms()
        if tnets:
            self.stn = TNet(make, channels, 3, points, make.first)
            self.fstn = TNet(make, 64, 64, points, make.block)
        self.conv1 = make.first(channels, 64)
        self.conv2 = make.block(64, 128)
        self.conv3 = LinearNormPool(make.linear(128, 1024, True), 1024, make.pool(points))
        self.fc1 = make.block(1024, 512)
        self.fc2 = make.block(512, 256)
        self.fc3 = RealLinear(256, classes)
        self.pool_activation = make.pool_activation
        self.dropout = nn.Dropout(dropout)

    def encode(self, points):
        """-> point features [batch, points, 64] if anything needs them, global feature [batch, 1024], pooled values."""
        x, pools = points, []
        if self.tnets:
            transform, pooled = self.stn(x)
            pools.append(pooled)
            x = self.transforms(x, transform)
        if not (self.tnets or self.per_point):
            pooled = self.conv3(x, self.conv1, self.conv2)
            return None, self.pool_activation(pooled), [pooled]
        x = self.rowwise(x, self.conv1)
        if self.tnets:
            transform, pooled = self.fstn(x)
            pools.append(pooled)
            x = self.transforms(x, transform)
        pooled = self.conv3(x, self.conv2)
        return x, self.pool_activation(pooled), pools + [pooled]

    def features(self, points):
        _, x, pools = self.encode(points)
        return self.fc3(self.dropout(self.fc2(self.fc1(x)))), pools


class SemanticSegmentation(PointNet):
    """A class for every point, from its own feature and the cloud's.

    foreign  share of the clouds that in training get the feature of another cloud of the batch: few scenes are soon known
             by heart through it
    """

    per_point = True
    foreign = 0.0

    def __init__(self, make, classes, points, channels=3, dropout=0.0, tnets=True):
        super().__init__(make, classes, points, channels, dropout, tnets)
        self.fc1 = make.block(1024 + 64, 512)
        self.fc2 = make.block(512, 256)
        self.fc3 = make.block(256, 128)
        self.fc4 = RealLinear(128, classes)

    def features(self, points):
        x, pooled, pools = self.encode(points)
        if self.training and self.foreign:
            other = torch.where(torch.rand(len(pooled)) < self.foreign, torch.randperm(len(pooled)), torch.arange(len(pooled)))
            pooled = pooled[other]
        parts = (pooled.unsqueeze(self.over(x)), x)
        x = self.rowwise(parts, self.fc1, self.fc2, self.fc3)
        x = self.rowwise(self.dropout(x), self.fc4)
        return x.transpose(2, 1) if self.channels_first else x, pools


class PartSegmentation(Network):
    """A part for every point of an object of known category, from the features of every layer and the cloud's."""

    per_point = True

    def __init__(self, make, classes, points, channels=3, dropout=0.0, tnets=True):
        super().__init__()
        self.tnets, self.transforms = tnets, Transforms()
        if tnets:
            self.stn = TNet(make, channels, 3, points, make.first)
            self.fstn = TNet(make, 128, 128, points, make.block)
        self.conv1 = make.first(channels, 64)
        self.conv2 = make.block(64, 128)
        self.conv3 = make.block(128, 128)
        self.conv4 = make.block(128, 512)
        self.conv5 = make.block(512, 2048, function=nn.Identity())
        self.pool = make.pool(points)
        self.fc1 = make.block(2048 + 64 + 128 + 128 + 512 + 2048, 256)
        self.fc2 = make.block(256, 256)
        self.fc3 = make.block(256, 128)
        self.fc4 = RealLinear(128, classes)
        self.pool_activation = make.pool_activation
        self.dropout = nn.Dropout(dropout)

    def features(self, points):
        x, pools = points, []
        if self.tnets:
            transform, pooled = self.stn(x)
            pools.append(pooled)
            x = self.transforms(x, transform)
        out1 = self.rowwise(x, self.conv1)
        out2 = self.rowwise(out1, self.conv2)
        out3 = x = self.rowwise(out2, self.conv3)
        if self.tnets:
            transform, pooled = self.fstn(x)
            pools.append(pooled)
            x = self.transforms(x, transform)
        out4 = self.rowwise(x, self.conv4)
        out5 = self.rowwise(out4, self.conv5)
        pools.append(self.pool(out5))
        cloud = self.pool_activation(pools[-1]).unsqueeze(self.over(out5))
        parts = (cloud, self.join(out1, out2, out3, out4, self.pool_activation(out5)))
        x = self.rowwise(parts, self.fc1, self.fc2, self.fc3)
        x = self.rowwise(self.dropout(x), self.fc4)
        return x.transpose(2, 1) if self.channels_first else x, pools
