"""Linear layer, batch normalisation and pooling over points in one step, without any tensor [batch, points, out].

Batch normalisation is affine per channel, so the maximum over points is found on the sums themselves (largest or
smallest, by the sign of the factor), and only the winning points enter the gradient; the mean over points is the layer
applied to the mean of its inputs. Mean and variance of the sums follow from mean and covariance of the inputs:
mean(Wx) = W mean(x), var(Wx) = diag(W cov(x) W^T). Values and gradients equal those of the three separate layers; the
step is several times faster.
"""

import torch
from torch.nn import functional as F

from ..binarize import BinaryLinear
from .layers import Layer, Norm


@torch.no_grad()
def _winners(x, weight):
    """The point with the largest x·w for every output. x: [batch, points, in], weight: [out, in] -> [batch, out]."""
    sums = torch.empty(weight.shape[0], x.shape[1], dtype=x.dtype)
    return torch.stack([torch.mm(weight, cloud.T, out=sums).max(1).indices for cloud in x])


class LinearNormPool(Layer):
    """pool(bn(linear(blocks(x)))), with `clip` a hardtanh before the pool. x: [batch, points, in] -> [batch, out]."""

    def __init__(self, linear, features, pool, clip=False):
        super().__init__()
        self.linear, self.bn, self.pool, self.clip = linear, Norm(features), pool, clip
        if isinstance(linear, BinaryLinear):
            linear.fix_scale()

    def _moments(self, rows, weight, scale):
        """Mean and variance of scale * (rows @ weight.T): of the batch, or the running ones."""
        bn = self.bn
        if not self.training:
            return bn.running_mean, bn.running_var
        mean_x = rows.mean(0)
        rows = rows - mean_x
        covariance = rows.T @ rows / len(rows)
        mean = scale * (weight @ mean_x)
        var = scale ** 2 * ((weight @ covariance) * weight).sum(1)
        with torch.no_grad():
            bn.num_batches_tracked += 1
            momentum = 1.0 / float(bn.num_batches_tracked) if bn.momentum is None else bn.momentum
            # The bias of the layer cancels in y - mean(y) and enters the running mean only.
            shift = 0.0 if self.linear.bias is None else self.linear.bias
            bn.running_mean.lerp_(mean + shift, momentum)
            bn.running_var.lerp_(var * (len(rows) / (len(rows) - 1.0)), momentum)
        return mean + (0.0 if self.linear.bias is None else self.linear.bias), var

    def forward(self, x, *blocks):
        linear, bn, maximum = self.linear, self.bn, self.pool.kind.endswith("max")
        if self.plain or self.clip and not maximum:
            x = self.rowwise(x, *blocks, linear, bn)
            return self.pool(F.hardtanh(x) if self.clip else x)
        x = self.rowwise(x, *blocks) if blocks else x
        scale = torch.ones((), dtype=x.dtype)
        if isinstance(linear, BinaryLinear):
            linear.ready(x)
            rows = linear.row_scale(x)
            scale = scale if linear.output_scale() is None else linear.output_scale()
            x, weight = linear.binary(x), linear.signs()
            x = x if rows is None else x * rows
        else:
            weight = linear.weight
        mean, var = self._moments(x.reshape(-1, x.shape[-1]), weight, scale)
        factor = bn.weight / torch.sqrt(var + bn.eps)
        if maximum:
            direction = torch.where(factor * scale < 0, -1.0, 1.0).to(x.dtype).detach()
            index = _winners(x, weight.detach() * direction[:, None])
            first_row = torch.arange(len(x))[:, None] * x.shape[1]
            winners = x.reshape(-1, x.shape[-1]).index_select(0, (index + first_row).reshape(-1))
            sums = (winners.view(len(x), len(weight), -1) * weight).sum(-1)
        else:
            sums = F.linear(x.mean(1), weight)
        shift = 0.0 if linear.bias is None else linear.bias
        y = (scale * sums + shift - mean) * factor + bn.bias
        return (F.hardtanh(y) if self.clip else y) + self.pool.delta
