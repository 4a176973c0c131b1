"""PointCNN: neighbours brought into a learned order by a matrix made of their positions, then convolved.

Y. Li et al., PointCNN, NeurIPS 2018; binary as in BiPointNet, Qin et al., ICLR 2021: the layers that take coordinates and
the last one stay real. Inner layers are linear -> hardtanh -> normalisation. Dilation takes every d-th of the d·K nearest
neighbours, in the order of distance; the published code draws them at random, at inference too.
"""

import math

import torch
from torch import nn

from .layers import Block, Layer, Network, RealLinear


class XConv(Layer):
    """x [batch, points, inputs] or None, position [batch, points, 3] -> [batch, points, outputs]; channels last."""

    def __init__(self, make, inputs, outputs, k, lifted, dilation):
        super().__init__()
        self.k, self.dilation = k, dilation
        channels = inputs + lifted
        each = math.ceil(outputs / channels)

        def real(a, b):
            return Block(RealLinear(a, b), b, make.activation(b), activation_first=True)
        self.lift1, self.lift2 = real(3, lifted), make.block(lifted, lifted, activation_first=True)
        self.order1 = real(3 * k, k * k)
        self.order2 = Block(make.grouped(k, k, k), k * k, make.activation(k * k), activation_first=True)
        self.order3 = Block(make.grouped(k, k, k, normed=True), k * k, nn.Identity())
        # The sign that follows undoes its scale as a normalisation would.
        self.depthwise = make.grouped(channels, k, each, normed=True)
        self.mix, self.activation = make.linear(channels * each, outputs, raw_input=True), make.activation(outputs)

    def forward(self, x, position):
        k = self.k
        index = self.search.k_nearest(position, position, k, self.dilation)
        offsets = self.search.gather_rows(position, index) - position.unsqueeze(2)
        star = self.rowwise_last(offsets, self.lift1, self.lift2)
        if x is not None:
            star = self.beside(star, self.search.gather_rows(x, index))
        order = self.order1(offsets.reshape(-1, 3 * k))
        order = self.order3(self.order2(order.view(-1, k, k)).view(-1, k, k)).view(-1, k, k)
        star = star.reshape(-1, k, int(star.shape[-1]))
        y = self.activation(self.mix(self.depthwise(torch.matmul(star.transpose(2, 1), order))))
        return y.view(*position.shape[:2], int(y.shape[-1]))


class PointCNN(Network):
    poolings = ("mean",)

    # inputs, outputs, neighbours, width of the lifted offsets, dilation; share of the points kept afterwards
    LAYERS = ((0, 48, 8, 32, 1, 0.375), (48, 96, 12, 64, 2, 0.334), (96, 192, 16, 128, 2, None),
              (192, 384, 16, 256, 2, None))

    def __init__(self, make, classes, points, channels=3, dropout=0.0):
        super().__init__()
        self.convs = nn.ModuleList(XConv(make, channels - 3 if i == 0 else inputs, *layer[:4])
                                   for i, (inputs, *layer) in enumerate(self.LAYERS))
        self.pool = make.pool(points)
        self.fc1 = make.linear(384, 256)
        self.fc2 = make.linear(256, 128)
        self.fc3 = RealLinear(128, classes)
        self.activation1, self.activation2 = make.activation(256), make.activation(128)
        self.dropout = nn.Dropout(dropout)

    def features(self, points):
        points = points.transpose(2, 1) if self.channels_first else points
        position, x = points[..., :3], points[..., 3:] if points.shape[-1] > 3 else None
        for conv, (*_, ratio) in zip(self.convs, self.LAYERS):
            x = conv(x, position)
            if ratio is not None:
                index = self.search.farthest_points(position, ratio=ratio)
                x, position = self.search.gather_rows(x, index), self.search.gather_rows(position, index)
        pooled = self.pool(x.transpose(2, 1) if self.channels_first else x)
        x = self.activation2(self.fc2(self.activation1(self.fc1(pooled))))
        return self.fc3(self.dropout(x)), [pooled]
