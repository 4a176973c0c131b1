"""HRNet (J. Wang et al., TPAMI 2020) as MTI-Net uses it: widths 18, 32, 48, features at strides 4, 8, 16 and 32."""

from torch import nn

from .blocks2d import FLOAT, BasicBlock, Bottleneck, Maker2d, fused, paths_between

STEM, LAYER1 = 64, 256
MODULES = (1, 3, 2)  # of the stages with 2, 3 and 4 branches; published for width 18 small, whatever the width
BLOCKS = 2  # of every branch of a module
STRIDES = (4, 8, 16, 32)


def widths_of(width):
    return [width * 2 ** i for i in range(len(STRIDES))]


class Module(nn.Module):
    """Blocks in every branch, then every branch receives all others."""

    def __init__(self, make, widths):
        super().__init__()
        self.activation = make.activation
        self.branches = nn.ModuleList(nn.Sequential(*(BasicBlock(make, w, w) for _ in range(BLOCKS))) for w in widths)
        self.fuse_layers = paths_between(make.step, widths)

    def forward(self, xs):
        return fused(self.fuse_layers, [branch(x) for branch, x in zip(self.branches, xs)], self.activation)


class HRNet(nn.Module):
    """picture [batch, 3, height, width] -> {"stride4": [batch, width, height / 4, width / 4], ...}. Sides: multiples of 32."""

    def __init__(self, binarizer=FLOAT, width=18, estimator=None):
        super().__init__()
        make, widths = Maker2d(binarizer, estimator), widths_of(width)
        self.config = dict(kind="hrnet", binarizer=binarizer, width=width, estimator=estimator)
        self.outputs = [f"stride{s}" for s in STRIDES]
        self.stem = nn.Sequential(make.first(3, STEM), make.step(STEM, STEM, stride=2))
        self.layer1 = nn.Sequential(Bottleneck(make, STEM, LAYER1), Bottleneck(make, LAYER1, LAYER1))
        self.transition1 = nn.ModuleList((make.step(LAYER1, widths[0]), make.step(LAYER1, widths[1], stride=2)))
        self.transition2 = make.step(widths[1], widths[2], stride=2)
        self.transition3 = make.step(widths[2], widths[3], stride=2)
        for stage, (branches, count) in enumerate(zip((2, 3, 4), MODULES), 2):
            setattr(self, f"stage{stage}", nn.ModuleList(Module(make, widths[:branches]) for _ in range(count)))

    def scales(self, x):
        """-> list of features, from the finest."""
        x = self.layer1(self.stem(x))
        xs = [step(x) for step in self.transition1]
        for module in self.stage2:
            xs = module(xs)
        for transition, stage in ((self.transition2, self.stage3), (self.transition3, self.stage4)):
            xs = [*xs, transition(xs[-1])]
            for module in stage:
                xs = module(xs)
        return xs

    def forward(self, x):
        return dict(zip(self.outputs, self.scales(x)))
