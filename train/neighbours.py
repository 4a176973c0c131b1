"""Point operators: farthest point sampling, ball query, nearest neighbours, gathering.

Points are [batch, points, channels], indices int64. Distances are squared and rounded to float32, so that neighbours
whose real distances tie do tie; among ties the lower index comes first.
"""

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
