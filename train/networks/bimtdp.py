"""Multi-task networks of Bi-MTDP: MTI-Net as published (Vandenhende et al., ECCV 2020), in full precision or binary in parts.

  float   MTI-Net
  plain   Bi-MTDP: everything binary but the first convolution, the last of every task, and gates inside of propagation
  f       Bi-MTDP-F: plain, with an information bottleneck (VIB) behind the backbone
  c       Bi-MTDP-C: only the distillation between tasks is binary; it reads signs of what ReLU left, 0 or 1

Which convolutions stay real is our choice, where the article does not say.
"""

import torch
from torch import nn
from torch.nn import functional as F

from ..binarize import sign
from .blocks2d import FLOAT, BasicBlock, Maker2d, Real
from .hrnet import HRNet, widths_of
from .mtinet import enlarge

VARIANTS = ("float", "plain", "f", "c")
GATES = ("target", "source")


class _Open(torch.autograd.Function):
    """1 where x > 0, else 0; gradient 1/2 on [-1, 1]."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx, grad):
        return 0.5 * grad * (ctx.saved_tensors[0].abs() <= 1)
