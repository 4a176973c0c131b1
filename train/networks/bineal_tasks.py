"""Networks of BiNeal's layers, one for each of its five tasks, and their twins in full precision.

Channels are `multiplier` times those of the full-precision network: by default 1.5 in classification and 2 elsewhere, as in
the article. First and last layers are real.
"""

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from . import bineal
from .blocks2d import FLOAT, BasicBlock, Maker2d, enlarge

BINEAL = "BiNeal"


class RealStep(nn.Sequential):
    """Convolution, normalisation, ReLU, and a maximum of 3 x 3 if `pooled`."""

    def __init__(self, inputs, outputs, size=3, stride=1, dilation=1, pooled=False):
        conv = nn.Conv2d(inputs, outputs, size, stride, dilation * (size // 2), dilation, bias=False)
        super().__init__(conv, nn.BatchNorm2d(outputs), nn.ReLU(), *([nn.MaxPool2d(3, 2, 1)] if pooled else []))


class Layers(NamedTuple):
    """What a network is made of. first reads a picture; step and block map bits to bits, or reals to reals."""

    first: type
    step: type
    block: object


LAYERS = {
    BINEAL: Layers(bineal.First, bineal.Step, bineal.Block),
    FLOAT: Layers(RealStep, RealStep, lambda inputs, outputs, stride=1: BasicBlock(Maker2d(), inputs, outputs, stride)),
}


class Task(nn.Module):
    """picture [batch, 3, height, width] -> {name: array}, names in `outputs`."""

    usual_multiplier = 2.0

    def __init__(self, kind, binarizer, multiplier, **config):
        super().__init__()
        if binarizer not in LAYERS:
            raise ValueError(f"binarizer {binarizer}: not one of {', '.join(LAYERS)}")
        self.layers = LAYERS[binarizer]
        self.multiplier = multiplier or (1.0 if binarizer == FLOAT else self.usual_multiplier)
        self.config = dict(kind=kind, binarizer=binarizer, multiplier=multiplier, **config)

    def times(self, channels):
        return round(self.multiplier * channels)


class Backbone(nn.Module):
    """ResNet-18. -> features at strides 4, 8, 16, 32"""

    def __init__(self, layers, widths):
        super().__init__()
        self.stem = layers.first(3, widths[0], 7, 2, pooled=True)
        before = (widths[0], *widths)
        self.stages = nn.ModuleList(nn.Sequential(layers.block(before[i], w, 1 if i == 0 else 2), layers.block(w, w))
                                    for i, w in enumerate(widths))

    def forward(self, x):
        x, xs = self.stem(x), []
        for stage in self.stages:
            x = stage(x)
            xs.append(x)
        return xs


class Residual(Task):
    """A task with ResNet-18 as backbone."""

    def __init__(self, kind, binarizer, multiplier, **config):
        super().__init__(kind, binarizer, multiplier, **config)
        self.widths = [self.times(64 * 2 ** i) for i in range(4)]
        self.backbone = Backbone(self.layers, self.widths)


class Classifier(Residual):
    """-> log_probs [batch, classes]"""

    usual_multiplier = 1.5
    outputs = ("log_probs",)

    def __init__(self, binarizer=BINEAL, multiplier=None, classes=10):
        super().__init__("bineal-classify", binarizer, multiplier, classes=classes)
        self.last = nn.Linear(self.widths[-1], classes)

    def forward(self, x):
        return dict(log_probs=F.log_softmax(self.last(self.backbone(x)[-1].mean((2, 3))), 1))


class Segmenter(Residual):
    """FCN-8s (Long et al., CVPR 2015): scores at strides 8, 16 and 32 are enlarged and added.

    -> scores [batch, classes, height, width]
    """

    outputs = ("scores",)

    def __init__(self, binarizer=BINEAL, multiplier=None, classes=10):
        super().__init__("bineal-segment", binarizer, multiplier, classes=classes)
        self.last = nn.ModuleList(nn.Conv2d(w, classes, 1) for w in self.widths[1:])

    def forward(self, x):
        fine, middle, coarse = (last(y) for last, y in zip(self.last, self.backbone(x)[1:]))
        return dict(scores=enlarge(fine + enlarge(middle + enlarge(coarse, 2), 2), 8))


class Detector(Residual):
    """CenterNet (Zhou et al., 2019) with nearest neighbours and 3 x 3 where that has transposed convolutions.

    -> heatmap [batch, classes, height / 4, width / 4] in (0, 1), size and offset [batch, 2, height / 4, width / 4]
    """

    outputs = ("heatmap", "size", "offset")

    def __init__(self, binarizer=BINEAL, multiplier=None, classes=10):
        super().__init__("bineal-detect", binarizer, multiplier, classes=classes)
        widths = [self.widths[-1], self.times(256), self.times(128), self.times(64)]
        self.up = nn.ModuleList(self.layers.step(a, b) for a, b in zip(widths, widths[1:]))
        self.heads = nn.ModuleDict({name: nn.Sequential(self.layers.step(widths[-1], widths[-1]), nn.Conv2d(widths[-1], n, 1))
                                    for name, n in (("heatmap", classes), ("size", 2), ("offset", 2))})

    def forward(self, x):
        x = self.backbone(x)[-1]
        for step in self.up:
            x = step(F.interpolate(x, scale_factor=2.0, mode="nearest", recompute_scale_factor=False))
        found = {name: head(x) for name, head in self.heads.items()}
        return {**found, "heatmap": torch.sigmoid(found["heatmap"])}


class Enlarger(Task):
    """EDSR (Lim et al., CVPRW 2017): twice the size; what the network gives is added to the picture enlarged bilinearly.

    -> picture [batch, 3, 2 * height, 2 * width]
    """

    outputs = ("picture",)

    def __init__(self, binarizer=BINEAL, multiplier=None, blocks=16):
        super().__init__("bineal-enlarge", binarizer, multiplier, blocks=blocks)
        width = self.times(64)
        self.first = self.layers.first(3, width, 3, 1)
        self.body = nn.Sequential(*(self.layers.block(width, width) for _ in range(blocks)))
        self.up, self.last = self.layers.step(width, 4 * width), nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, x):
        y = F.pixel_shuffle(self.up(self.body(self.first(x))), 2)
        return dict(picture=self.last(y) + enlarge(x, 2))


class Matcher(Task):
    """R2D2 (Revaud et al., NeurIPS 2019): every pixel gets a descriptor; dilated convolutions in place of strides.

    -> descriptors [batch, 128, height, width] of length 1, reliability and repeatability [batch, 1, height, width] in (0, 1)
    """

    outputs = ("descriptors", "reliability", "repeatability")
    shapes = ((32, 1), (64, 1), (64, 2), (128, 2), (128, 4), (128, 8))  # channels, dilation
    length = 128

    def __init__(self, binarizer=BINEAL, multiplier=None):
        super().__init__("bineal-match", binarizer, multiplier)
        width = self.times(32)
        self.first, steps = self.layers.first(3, width, 3, 1), []
        for channels, dilation in self.shapes:
            steps.append(self.layers.step(width, self.times(channels), dilation=dilation))
            width = self.times(channels)
        self.steps = nn.Sequential(*steps)
        self.describe, self.judge = nn.Conv2d(width, self.length, 1), nn.Conv2d(self.length, 2, 1)

    def forward(self, x):
        x = self.describe(self.steps(self.first(x)))
        reliability, repeatability = torch.sigmoid(self.judge(x * x)).split(1, 1)
        return dict(descriptors=F.normalize(x, dim=1), reliability=reliability, repeatability=repeatability)


TASKS = {
    "bineal-classify": (Classifier, {}),
    "bineal-segment": (Segmenter, {}),
    "bineal-detect": (Detector, {}),
    "bineal-enlarge": (Enlarger, {}),
    "bineal-match": (Matcher, {}),
}
