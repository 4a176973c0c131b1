"""The point operators of neighbours.py as operators of an exported graph.

  Custom       the domain `xnor`, version 1, whose operators have the meaning of neighbours.py
  Difference   standard operators: TopK of the sums of squared differences
  Gram         standard operators: TopK of 2·x·xᵀ - |x_i|² - |x_j|²
  Inputs       the indices of farthest_points, ball_query and k_nearest are inputs of the graph

The last three gather in one of several ways, GATHERS.
"""

import torch

from . import neighbours

DOMAIN = "xnor"


def _untraced(function, *arguments):
    """The value alone: the exporter stumbles over what it records inside an operator."""
    state = torch._C._get_tracing_state()
    torch._C._set_tracing_state(None)
    try:
        return function(*arguments)
    finally:
        torch._C._set_tracing_state(state)


class _FarthestPointSampling(torch.autograd.Function):
    @staticmethod
    def forward(ctx, points, count, ratio):
        return _untraced(neighbours.farthest_points, points, count, ratio)

    @staticmethod
    def symbolic(g, points, count, ratio):
        wanted = dict(count_i=count) if count is not None else dict(ratio_f=ratio)
        return _index(g.op(f"{DOMAIN}::FarthestPointSampling", points, **wanted), 2)


class _BallQuery(torch.autograd.Function):
    @staticmethod
    def forward(ctx, points, centres, radius, count):
        return _untraced(neighbours.ball_query, points, centres, radius, count)

    @staticmethod
    def symbolic(g, points, centres, radius, count):
        return _index(g.op(f"{DOMAIN}::BallQuery", points, centres, radius_f=radius, count_i=count), 3)


class _KNearest(torch.autograd.Function):
    @staticmethod
    def forward(ctx, points, queries, count, dilation):
        return _untraced(neighbours.k_nearest, points, queries, count, dilation)

    @staticmethod
    def symbolic(g, points, queries, count, dilation):
        return _index(g.op(f"{DOMAIN}::KNearest", points, queries, count_i=count, dilation_i=dilation), 3)


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, index):
        return _untraced(neighbours.gather_rows, x, index)

    @staticmethod
    def symbolic(g, x, index):
        y = g.op(f"{DOMAIN}::GatherRows", x, index)
        return y.setType(x.type().with_sizes([None] * (index.type().dim() + 1)))


def _index(value, rank):
    """Tells the exporter type and rank, which later operators ask for."""
    return value.setType(torch._C.TensorType.get().with_dtype(torch.int64).with_sizes([None] * rank))


class Custom:
    farthest_points = staticmethod(lambda points, count=None, ratio=None:
                                   _FarthestPointSampling.apply(points, count, ratio))
    ball_query = staticmethod(_BallQuery.apply)
    k_nearest = staticmethod(lambda points, queries, count, dilation=1:
                             _KNearest.apply(points, queries, count, dilation))
    gather_rows = staticmethod(_GatherRows.apply)


def _gather_flat(x, index):
    """Index into all rows of the batch, as DGCNN's own code does: Gather."""
    batch, points, channels = *x.shape[:2], int(x.shape[2])
    base = torch.arange(batch).view((-1,) + (1,) * (index.dim() - 1)) * points
    return x.reshape(-1, channels)[(index + base).reshape(-1), :].view(*index.shape, channels)


def _gather_nd(x, index):
    """Advanced indexing with batch and row, as many PointNet++ codes do: GatherND."""
    batch = torch.arange(x.shape[0]).view((-1,) + (1,) * (index.dim() - 1)).expand_as(index)
    return x[batch, index, :]


def _gather_elements(x, index):
    """torch.gather with the index repeated along the channels: GatherElements."""
    flat = index.reshape(index.shape[0], -1, 1).expand(-1, -1, int(x.shape[-1]))
    return torch.gather(x, 1, flat).view(*index.shape, int(x.shape[-1]))


GATHERS = {"flat": _gather_flat, "nd": _gather_nd, "elements": _gather_elements}


class _Plain:
    def __init__(self, gather="flat"):
        self.gather_rows = GATHERS[gather]

    def farthest_points(self, *_, **__):
        raise ValueError("standard ONNX has no farthest point sampling: export with xnor or inputs")

    ball_query = farthest_points

    def k_nearest(self, points, queries, count, dilation=1):
        index = self.nearest(points, queries, count * dilation)
        return index if dilation == 1 else index[..., ::dilation]


class Difference(_Plain):
    @staticmethod
    def nearest(points, queries, count):
        d = ((queries.unsqueeze(2) - points.unsqueeze(1)) ** 2).sum(-1)
        return d.topk(count, dim=-1, largest=False)[1]


class Gram(_Plain):
    @staticmethod
    def nearest(points, queries, count):
        inner = -2 * torch.matmul(queries, points.transpose(2, 1))
        d = -(points ** 2).sum(-1).unsqueeze(1) - inner - (queries ** 2).sum(-1, keepdim=True)
        return d.topk(count, dim=-1)[1]


class Inputs(_Plain):
    """Hands out given indices in the order of the calls; without any, computes and records them."""

    def __init__(self, gather="flat"):
        super().__init__(gather)
        self.recorded, self.given = [], None

    def provide(self, indices):
        self.given = list(indices)

    def _next(self, function, *arguments, **settings):
        if self.given is not None:
            return self.given.pop(0)
        self.recorded.append(function(*arguments, **settings))
        return self.recorded[-1]

    def farthest_points(self, *arguments, **settings):
        return self._next(neighbours.farthest_points, *arguments, **settings)

    def ball_query(self, *arguments):
        return self._next(neighbours.ball_query, *arguments)

    def k_nearest(self, *arguments, **settings):
        return self._next(neighbours.k_nearest, *arguments, **settings)


SEARCHES = {"xnor": lambda gather: Custom, "difference": Difference, "gram": Gram, "inputs": Inputs}
