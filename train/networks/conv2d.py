"""Binary 2-D convolutions: every binarizer of binarize.py on windows of [batch, channels, height, width].

Zero padding comes after the sign, so what lies outside contributes 0 and every ±1 sum stays an exact integer.
"""

import torch
from torch import nn
from torch.nn import functional as F

from ..binarize import BINARIZERS, ReActLinear


def convolution(kind):
    """The binarizer `kind` as a convolution. The weight is [out, in * size * size], as if windows were rows."""
    class Convolution(kind):
        def __init__(self, inputs, outputs, size=3, stride=1, estimator=None):
            super().__init__(inputs * size * size, outputs, estimator)
            self.window, self.stride = (inputs, size, size), stride
            if issubclass(kind, ReActLinear):
                self.shift = nn.Parameter(torch.zeros(inputs, 1, 1))

        def binary(self, x, columns=slice(None)):
            return super().binary(x)

        def product(self, x, weight):
            return F.conv2d(x, weight.view(-1, *self.window), stride=self.stride, padding=self.window[1] // 2)

        def sums(self, parts, weight, binary):
            return self.product(binary(parts[0], slice(None)), weight)

        def row_scale(self, *parts):
            """XNOR: mean magnitude of every window, counting what lies outside as 0."""
            if kind.row_scale(self, torch.zeros(1)) is None:
                return None
            magnitude = parts[0].detach().abs().sum(1, keepdim=True)
            ones = magnitude.new_ones(1, 1, *self.window[1:])
            total = F.conv2d(magnitude, ones, stride=self.stride, padding=self.window[1] // 2)
            return total / self.weight.shape[1]

        def per_output(self, vector):
            return vector.view(-1, 1, 1) if vector.dim() else vector

    Convolution.__name__ = Convolution.__qualname__ = kind.__name__.replace("Linear", "Conv2d")
    return Convolution


CONVOLUTIONS = {name: convolution(kind) for name, kind in BINARIZERS.items()}
