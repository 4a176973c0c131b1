"""Point operators: farthest point sampling, ball query, nearest neighbours, gathering.

Points are [batch, points, channels], indices int64. Distances are squared and rounded to float32, so that neighbours
whose real distances tie do tie; among ties the lower index comes first.

Networks call them through `search`, an object with the four functions, so that the exporter can put operators of the
graph in their place (neighbours_onnx.py).
"""

import math

import torch


@torch.no_grad()
def squared_distances(queries, points):
    """[batch, queries, points] float32. Computed in double: the rounding cannot tell equal distances apart."""
    q, p = queries.double(), points.double()
    d = torch.bmm(q, p.transpose(1, 2)).mul_(-2.0)
    d += (q ** 2).sum(-1, keepdim=True)
    d += (p ** 2).sum(-1).unsqueeze(1)
    # What is left of equal points is rounding noise of the size of the norms.
    d[d < 1e-13 * (p ** 2).sum(-1).amax()] = 0.0
    return d.float()


def sample_count(points, count=None, ratio=None):
    return count if count is not None else math.ceil(ratio * points)


@torch.no_grad()
def farthest_points(points, count=None, ratio=None):
    """Farthest point sampling from index 0: [batch, count] or [batch, ceil(ratio * points)].

    Every step takes the point farthest from those taken, by squared distances in float32; the lowest index on ties.
    """
    x = points.float()
    batch, n, _ = x.shape
    count = sample_count(n, count, ratio)
    index = torch.zeros(batch, count, dtype=torch.int64)
    distance = torch.full((batch, n), math.inf)
    rows, last = torch.arange(batch), index[:, 0]
    for i in range(1, count):
        d = x - x[rows, last].unsqueeze(1)
        d = d[..., 0] * d[..., 0] + d[..., 1] * d[..., 1] + d[..., 2] * d[..., 2]
        torch.minimum(distance, d, out=distance)
        # numpy's argmax promises the first maximum, torch's does not.
        last = torch.from_numpy(distance.numpy().argmax(1))
        index[:, i] = last
    return index


@torch.no_grad()
def ball_query(points, centres, radius, count):
    """[batch, centres, count]: the first `count` points, by index, with d² < radius².

    Padded with the first; where there is none, the nearest point.
    """
    p, c = points.float(), centres.float()
    d = sum((c[:, :, None, a] - p[:, None, :, a]) ** 2 for a in range(3))
    n = p.shape[1]
    order = torch.where(d < torch.tensor(radius, dtype=torch.float32) ** 2, torch.arange(n), n)
    index = order.topk(min(count, n), largest=False)[0].sort(-1)[0]
    first = index[..., :1]
    first = torch.where(first == n, torch.from_numpy(d.numpy().argmin(2)).unsqueeze(-1), first)
    index = torch.where(index == n, first, index)
    return torch.cat((index, first.expand(-1, -1, count - index.shape[-1])), -1)


@torch.no_grad()
def k_nearest(points, queries, count, dilation=1):
    """[batch, queries, count]: every dilation-th of the dilation * count nearest, in the order of distance.

    Where the cloud has fewer points, the missing ones repeat the nearest.
    """
    wanted = dilation * count
    d = squared_distances(queries, points)
    present = min(wanted, points.shape[1])
    # Non-negative floats order like the integers of their bits; the index below them breaks ties.
    key = (d.view(torch.int32).long() << 32) | torch.arange(points.shape[1])
    index = key.topk(present, largest=False)[0] & 0xFFFFFFFF
    if present < wanted:
        index = torch.cat((index, index[..., :1].expand(-1, -1, wanted - present)), -1)
    return index[..., ::dilation].contiguous()


def gather_rows(x, index):
    """x [batch, points, channels], index [batch, ...] -> [batch, ..., channels]."""
    batch, points, channels = x.shape
    first = torch.arange(batch).view((batch,) + (1,) * (index.dim() - 1)) * points
    rows = x.reshape(-1, channels).index_select(0, (index + first).reshape(-1))
    return rows.view(*index.shape, channels)
