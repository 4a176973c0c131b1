"""ResNet backbones (He et al., CVPR 2016): features at strides 4, 8, 16 and 32, full precision or binary."""

from torch import nn

from .blocks2d import FLOAT, BasicBlock, Bottleneck, Maker2d
from .hrnet import STRIDES

STEM = 64
DEPTHS = {18: (BasicBlock, (2, 2, 2, 2)), 50: (Bottleneck, (3, 4, 6, 3))}


class ResNet(nn.Module):
    """picture -> {"stride4": [batch, 64 * expansion, height / 4, width / 4], ...}, channels doubling."""

    def __init__(self, binarizer=FLOAT, depth=18, estimator=None):
        super().__init__()
        if depth not in DEPTHS:
            raise ValueError(f"ResNet of depth {depth}: not one of {', '.join(map(str, DEPTHS))}")
        make, (block, counts) = Maker2d(binarizer, estimator), DEPTHS[depth]
        self.config = dict(kind=f"resnet{depth}", binarizer=binarizer, estimator=estimator)
        self.outputs = [f"stride{s}" for s in STRIDES]
        self.stem = nn.Sequential(make.first(3, STEM, 7), nn.MaxPool2d(3, 2, 1))
        width, layers = STEM, []
        for i, count in enumerate(counts):
            outputs = STEM * 2 ** i * block.expansion
            blocks = [block(make, width, outputs, 1 if i == 0 else 2)]
            layers.append(nn.Sequential(*blocks, *(block(make, outputs, outputs) for _ in range(count - 1))))
            width = outputs
        self.layers = nn.ModuleList(layers)

    def scales(self, x):
        """-> list of features, from the finest."""
        x, xs = self.stem(x), []
        for layer in self.layers:
            x = layer(x)
            xs.append(x)
        return xs

    def forward(self, x):
        return dict(zip(self.outputs, self.scales(x)))
