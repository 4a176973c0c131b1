"""Multi-task dense prediction: HRNet, initial predictions at four scales, distillation between tasks, heads.

Full precision: J. Wang et al., HRNet, TPAMI 2020; S. Vandenhende et al., MTI-Net, ECCV 2020. Binary: Bi-MTDP, with the
information bottleneck (VIB) behind the backbone and bool gates. Two departures for training on little data: a real skip
around every 3x3 convolution (Bi-Real Net), and features are handed from a coarse scale to a finer one by addition
instead of by MTI-Net's propagation module.
"""

import functools

import torch
from torch import nn
from torch.nn import functional as F

from ..binarize import BinaryLinear
from .blocks2d import FLOAT, Gate, Real, enlarge, fused, paths_between
from .conv2d import CONVOLUTIONS

STEM = 32


class Step(nn.Module):
    """Convolution, normalisation, a real skip where the shape stays, hardtanh if `active`."""

    def __init__(self, make, inputs, outputs, size=3, stride=1, active=True):
        super().__init__()
        self.conv = make(inputs, outputs, size, stride)
        if isinstance(self.conv, BinaryLinear):
            self.conv.fix_scale()
        self.bn = nn.BatchNorm2d(outputs)
        self.skip, self.active = inputs == outputs and stride == 1, active

    def forward(self, x):
        y = self.bn(self.conv(x))
        y = y + x if self.skip else y
        return F.hardtanh(y) if self.active else y


class Fusion(nn.Module):
    """Every branch receives all others, resampled."""

    def __init__(self, make, widths):
        super().__init__()
        self.paths = paths_between(functools.partial(Step, make), widths)

    def forward(self, xs):
        return fused(self.paths, xs, F.hardtanh)


class HRNet(nn.Module):
    """picture [batch, 3, height, width] -> features at strides 4, 8, 16, 32."""

    def __init__(self, make, width, modules, steps):
        super().__init__()
        widths = [width * 2 ** i for i in range(4)]
        self.stem = nn.Sequential(Step(Real, 3, STEM, stride=2), Step(make, STEM, 2 * STEM, stride=2),
                                  Step(make, 2 * STEM, 2 * STEM))
        self.first = Step(make, 2 * STEM, width)
        self.down = nn.ModuleList(Step(make, widths[i], widths[i + 1], stride=2) for i in range(3))
        self.stages = nn.ModuleList(nn.ModuleList(nn.ModuleList(
            [nn.ModuleList(nn.Sequential(*[Step(make, w, w) for _ in range(steps)]) for w in widths[:branches]),
             Fusion(make, widths[:branches])]) for _ in range(count)) for branches, count in zip((2, 3, 4), modules))

    def forward(self, x):
        xs = [self.first(self.stem(x))]
        for down, stage in zip(self.down, self.stages):
            xs.append(down(xs[-1]))
            for branches, fusion in stage:
                xs = fusion([branch(x) for branch, x in zip(branches, xs)])
        return xs


class Bottleneck(nn.Module):
    """The VIB: a Gaussian for every feature. Draws from it in training, its mean in evaluation. -> features, KL to N(0, I)."""

    def __init__(self, width, sampled):
        super().__init__()
        self.mean, self.bn = Real(width, width, 1), nn.BatchNorm2d(width)
        self.deviation = Real(width, width, 1, bias=True) if sampled else None
        if sampled:
            nn.init.zeros_(self.deviation.weight)
            nn.init.constant_(self.deviation.bias, -4.0)

    def forward(self, x):
        mean = self.bn(self.mean(x)) + x
        if self.deviation is None or not self.training:
            return F.hardtanh(mean), mean.new_zeros(())
        log_variance = self.deviation(x).clamp(-8, 4)
        kl = 0.5 * (mean ** 2 + log_variance.exp() - log_variance - 1).mean()
        return F.hardtanh(mean + torch.randn_like(mean) * (0.5 * log_variance).exp()), kl


class Exchange(nn.Module):
    """Every task's features plus what the others' attention lets through, at one scale. Gated by the source task."""

    def __init__(self, make, tasks, width, binary):
        super().__init__()
        self.open = Gate() if binary else nn.Sigmoid()
        pairs = [(t, a) for t in tasks for a in tasks if a != t]
        self.value = nn.ModuleDict({f"{t}_{a}": Step(make, width, width) for t, a in pairs})
        self.gate = nn.ModuleDict({f"{t}_{a}": Step(make, width, width, active=False) for t, a in pairs})

    def forward(self, features):
        out = dict(features)
        for pair in self.value:
            t, a = pair.split("_")
            out[t] = out[t] + self.open(self.gate[pair](features[a])) * self.value[pair](features[a])
        return {t: F.hardtanh(x) for t, x in out.items()}


class MTINet(nn.Module):
    """picture -> {task: scores [batch, outputs, height, width]}.

    outputs    {task: channels}
    exchanged  at how many of the four scales, from the finest, tasks see each other's features
    variant    "f": all but first and last layers is binary; "c": only what tasks see of each other is (Bi-MTDP-C)
    """

    def __init__(self, outputs, binarizer=FLOAT, width=18, modules=(1, 1, 1), steps=2, estimator="bireal", exchanged=4,
                 variant="f"):
        super().__init__()
        binary = binarizer != FLOAT
        make = Real if not binary else (lambda *shape: CONVOLUTIONS[binarizer](*shape, estimator=estimator))
        self.enlarged = True  # scores at the picture's size, not at a quarter of it
        self.config = dict(kind="mtinet", outputs=outputs, binarizer=binarizer, width=width, modules=list(modules),
                           steps=steps, estimator=estimator, exchanged=exchanged, variant=variant)
        make_exchange = make
        make = Real if variant == "c" else make
        widths = [width * 2 ** i for i in range(4)]
        self.backbone = HRNet(make, width, modules, steps)
        self.bottlenecks = nn.ModuleList(Bottleneck(w, binary and variant == "f") for w in widths)
        self.initial = nn.ModuleList(nn.ModuleDict({t: nn.Sequential(Step(make, w, w), Step(make, w, w)) for t in outputs})
                                     for w in widths)
        self.handed = nn.ModuleList(nn.ModuleDict({t: Step(make, 2 * w, w, size=1, active=False) for t in outputs})
                                    for w in widths[:3])
        self.auxiliary = nn.ModuleList(nn.ModuleDict({t: Real(w, n, 1, bias=True) for t, n in outputs.items()})
                                       for w in widths)
        self.exchange = nn.ModuleList(Exchange(make_exchange, list(outputs), w, binary) for w in widths[:exchanged])
        self.head = nn.ModuleDict({t: Step(make, sum(widths), 4 * width, size=1) for t in outputs})
        self.last = nn.ModuleDict({t: Real(4 * width, n, 1, bias=True) for t, n in outputs.items()})

    training_only = ("auxiliary.", ".deviation.")  # parameters that no answer depends on

    def features(self, x):
        """-> scores, deep-supervision scores (a list by scale), features to distil, KL of the bottlenecks."""
        xs, kls = zip(*(vib(y) for vib, y in zip(self.bottlenecks, self.backbone(x))))
        scales, above = [None] * 4, None
        for s in (3, 2, 1, 0):
            scales[s] = {}
            for t, block in self.initial[s].items():
                y = xs[s] if above is None else F.hardtanh(xs[s] + enlarge(self.handed[s][t](above[t]), 2))
                scales[s][t] = block(y)
            above = scales[s]
        deep = [{t: self.auxiliary[s][t](y) for t, y in scales[s].items()} for s in range(4)] if self.training else []
        mixed = [exchange(scale) for exchange, scale in zip(self.exchange, scales)] + scales[len(self.exchange):]
        scores = {}
        for t in self.head:
            y = torch.cat([enlarge(scale[t], 2 ** s) if s else scale[t] for s, scale in enumerate(mixed)], 1)
            scores[t] = self.last[t](self.head[t](y))
            scores[t] = enlarge(scores[t], 4) if self.enlarged else scores[t]
        return scores, deep, [*xs, *(y for scale in mixed for y in scale.values())], sum(kls)

    def forward(self, x):
        return self.features(x)[0]

    def set_progress(self, epoch, epochs):
        for module in self.modules():
            if isinstance(module, BinaryLinear):
                module.set_progress(epoch, epochs)
