"""Multi-task networks of Bi-MTDP: MTI-Net as published (Vandenhende et al., ECCV 2020), in full precision or binary in parts.

  float   MTI-Net
  plain   Bi-MTDP: everything binary but the first convolution, the last of every task, squeeze-and-excitation and softmax
  f       Bi-MTDP-F: plain, with an information bottleneck (VIB) behind the backbone
  c       Bi-MTDP-C: only the distillation between tasks is binary; it reads signs of what ReLU left, 0 or 1

Which convolutions stay real is our choice: the article does not say.
"""

import torch
from torch import nn

from .blocks2d import FLOAT, BasicBlock, Bits, Gate, Maker2d, Real, enlarge
from .hrnet import HRNet, widths_of

VARIANTS = ("float", "plain", "f", "c")
GATES = ("source", "target")
SQUEEZE = 16


class Vib(nn.Module):
    """A Gaussian for every feature. Draws from it in training, its mean in evaluation. -> features, KL to N(0, I)."""

    def __init__(self, make, width):
        super().__init__()
        self.mean, self.deviation = make.step(width, width, 1, active=False), Real(width, width, 1, bias=True)
        nn.init.zeros_(self.deviation.weight)
        nn.init.constant_(self.deviation.bias, -4.0)

    def forward(self, x):
        mean = self.mean(x)
        if not self.training:
            return mean, mean.new_zeros(())
        log_variance = self.deviation(x).clamp(-8, 4)
        kl = 0.5 * (mean ** 2 + log_variance.exp() - log_variance - 1).mean()
        return mean + torch.randn_like(mean) * (0.5 * log_variance).exp(), kl


class Scale(nn.Module):
    """Initial features of every task at one scale; deep supervision in training."""

    def __init__(self, make, outputs, inputs, width):
        super().__init__()
        self.refinement = nn.ModuleDict({t: nn.Sequential(BasicBlock(make, inputs, width), BasicBlock(make, width, width))
                                         for t in outputs})
        self.decoder = nn.ModuleDict({t: Real(width, n, 1, bias=True) for t, n in outputs.items()})

    def forward(self, x, above):
        """above: {task: propagated features of the coarser scale}, or None at the coarsest."""
        return {t: block(x if above is None else torch.cat((x, enlarge(above[t], 2)), 1))
                for t, block in self.refinement.items()}


class Squeeze(nn.Module):
    """Squeeze-and-excitation."""

    def __init__(self, width):
        super().__init__()
        inner = max(1, width // SQUEEZE)
        self.squeeze = nn.Sequential(nn.Linear(width, inner), nn.ReLU(), nn.Linear(inner, width), nn.Sigmoid())

    def forward(self, x):
        return x * self.squeeze(x.mean((2, 3))).view(-1, int(x.shape[1]), 1, 1)


class Propagation(nn.Module):
    """Feature propagation module (FPM): a task's features joined with what all tasks share."""

    def __init__(self, make, tasks, width):
        super().__init__()
        total = len(tasks) * width
        self.tasks = len(tasks)
        self.non_linear = nn.Sequential(BasicBlock(make, total, total // 4), BasicBlock(make, total // 4, total // 4),
                                        make.conv(total // 4, total, 1, normed=False, bias=True))
        self.dimensionality_reduction = BasicBlock(make, total, width)
        self.se = nn.ModuleDict({t: Squeeze(width) for t in tasks})

    def forward(self, features):
        x = torch.cat(list(features.values()), 1)
        mask = self.non_linear(x)
        shape = [int(n) for n in mask.shape]
        # As published: over groups of consecutive channels, although x has task after task.
        mask = torch.softmax(mask.view(shape[0], -1, self.tasks, *shape[2:]), 2).view(shape)
        shared = self.dimensionality_reduction(mask * x)
        return {t: self.se[t](shared) + y for t, y in features.items()}


class Attention(nn.Module):
    """What one task tells another: a convolution, times its own gate if it has one."""

    def __init__(self, make, width, gated):
        super().__init__()
        self.conv = make.conv(width, width, normed=False)
        self.attention = nn.Sequential(make.conv(width, width, normed=False), opening(make)) if gated else None

    def forward(self, x):
        return self.conv(x) if self.attention is None else self.conv(x) * self.attention(x)


def opening(make):
    return Gate() if make.binary else nn.Sigmoid()


class Distillation(nn.Module):
    """Every task's features and what the others tell it, at one scale.

    gate  "source": computed from the features of the task that tells, as in MTI-Net's code; "target": of the one that is told, as
          in the Bi-MTDP article and PAD-Net
    bits  features are signs before and after, as in the article; else real with the sum added
    """

    def __init__(self, make, tasks, width, gate, bits):
        super().__init__()
        self.before, self.after = nn.Identity(), nn.Identity()
        if bits:
            self.before, self.after = Bits(), Bits(reach=(9 * width) ** 0.5)  # sums of 9 * width signs
        self.self_attention = nn.ModuleDict({t: nn.ModuleDict({a: Attention(make, width, gate == "source")
                                                               for a in tasks if a != t}) for t in tasks})
        self.target = None
        if gate == "target":
            self.target = nn.ModuleDict({t: nn.Sequential(make.conv(width, width, normed=False), opening(make)) for t in tasks})

    def forward(self, features):
        features = {t: self.before(x) for t, x in features.items()}
        out = {}
        for t, others in self.self_attention.items():
            gate = None if self.target is None else self.target[t](features[t])
            out[t] = features[t]
            for a, attention in others.items():
                told = attention(features[a])
                out[t] = out[t] + (told if gate is None else gate * told)
        return {t: self.after(x) for t, x in out.items()}


class Head(nn.Module):
    """{scale: features} -> scores at a quarter of the picture's size."""

    def __init__(self, make, width, outputs):
        super().__init__()
        self.last_layer = nn.Sequential(make.conv(width, width, 1, bias=not make.binary), nn.BatchNorm2d(width),
                                        make.active(), Real(width, outputs, 1, bias=True))

    def forward(self, scales):
        return self.last_layer(torch.cat([enlarge(x, 2 ** s) if s else x for s, x in enumerate(scales)], 1))


class BiMTDP(nn.Module):
    """picture -> {task: scores [batch, outputs, height, width]}.

    outputs    {task: channels}
    variant    one of VARIANTS
    binarizer  of the binary parts; "float" in the variant of that name
    """

    def __init__(self, outputs, variant="f", binarizer="IRNet", width=18, gate="source", estimator=None):
        super().__init__()
        if variant not in VARIANTS or gate not in GATES:
            raise ValueError(f"variant {variant}, gate {gate}: not one of {', '.join(VARIANTS)}; {', '.join(GATES)}")
        if (variant == "float") != (binarizer == FLOAT):
            raise ValueError(f"variant {variant} with binarizer {binarizer}")
        self.config = dict(kind="bimtdp", outputs=outputs, variant=variant, binarizer=binarizer, width=width, gate=gate,
                           estimator=estimator)
        self.outputs = list(outputs)
        whole = FLOAT if variant == "c" else binarizer
        make, widths = Maker2d(whole, estimator), widths_of(width)
        self.backbone = HRNet(whole, width, estimator)
        self.vib = nn.ModuleList(Vib(make, w) for w in widths) if variant == "f" else None
        for s, w in enumerate(widths):
            inputs = w if s == 3 else w + widths[s + 1]
            self.add_module(f"scale_{s}", Scale(make, outputs, inputs, w))
            if s > 0:
                self.add_module(f"fpm_scale_{s}", Propagation(make, self.outputs, w))
            self.add_module(f"distillation_scale_{s}", Distillation(
                Maker2d(binarizer, estimator), self.outputs, w, gate, bits=variant in ("plain", "f")))
        self.heads = nn.ModuleDict({t: Head(make, sum(widths), n) for t, n in outputs.items()})

    def features(self, x):
        """-> scores, deep-supervision scores (a list by scale), features to distil, KL of the bottlenecks."""
        xs, kl = self.backbone.scales(x), x.new_zeros(())
        if self.vib is not None:
            xs, kls = zip(*(vib(y) for vib, y in zip(self.vib, xs)))
            kl = sum(kls)
        scales, above = [None] * 4, None
        for s in (3, 2, 1, 0):
            scales[s] = getattr(self, f"scale_{s}")(xs[s], above)
            above = getattr(self, f"fpm_scale_{s}")(scales[s]) if s else None
        deep = []
        if self.training:
            deep = [{t: getattr(self, f"scale_{s}").decoder[t](y) for t, y in scales[s].items()} for s in range(4)]
        mixed = [getattr(self, f"distillation_scale_{s}")(scales[s]) for s in range(4)]
        scores = {t: enlarge(head([scale[t] for scale in mixed]), 4) for t, head in self.heads.items()}
        return scores, deep, [*xs, *(y for scale in mixed for y in scale.values())], kl

    def forward(self, x):
        return self.features(x)[0]
