"""Networks with random weights, and clouds on which they have a well-defined output: for benchmarks and tests."""

import copy

import numpy as np
import torch
from torch import nn

from . import binarize
from .data import normalise
from .deploy import Deployed
from .networks import make_network


def random_clouds(batch, points, seed=0, channels=3):
    """Preprocessed clouds of random boxes and ellipsoids. -> [batch, points, channels] float32.

    Channels after x, y, z are uniform in [-1, 1].
    """
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((batch, points, 3))
    boxes = rng.random(batch) < 0.5
    radius = np.where(boxes[:, None], np.abs(x).max(-1), np.linalg.norm(x, axis=-1))
    x = x / radius[..., None] * rng.uniform(0.2, 1.0, (batch, 1, 3))
    x = normalise(x.astype(np.float32))
    if channels == 3:
        return x
    return np.concatenate((x, rng.uniform(-1, 1, (batch, points, channels - 3)).astype(np.float32)), -1)


def random_network(kind="vanilla", binarizer="LSR", seed=0, negative=0.1, exact_scales=False, **config):
    """Random weights and plausible batch normalisation, its statistics those of random clouds.

    negative      share of channels whose batch normalisation has a negative factor, and of layers whose learned scale
                  has: both turn a comparison around
    exact_scales  scales are powers of two (but XNOR's): products with them are exact in any order of operations
    """
    torch.manual_seed(seed)
    net = make_network(kind, binarizer, **config)
    points, channels = net.config["points"], net.config["channels"]
    batch, steps = (32, 4) if points * 32 <= 32768 and kind in ("vanilla", "tnets") else (4, 3)
    clouds = [torch.from_numpy(random_clouds(batch, points, seed * 1000 + i, channels)) for i in range(steps)]
    for name, p in net.named_parameters():
        if name.endswith("fc3.weight") and not p.abs().any():  # the last layer of a real T-Net
            nn.init.kaiming_uniform_(p, a=5 ** 0.5)
    net.train()
    with torch.no_grad():
        net(clouds[0][:4])  # sets the LSR scales
        for module in net.modules():
            _randomise(module, negative, exact_scales)
        for cloud in clouds:
            net(cloud)
        for module in net.modules():
            if isinstance(module, nn.BatchNorm1d):
                # A channel that hardly varies (a saturated maximum) would enlarge rounding noise.
                module.running_var.clamp_(min=1e-2 * float(module.running_var.max().clamp(min=1.0)))
    return net.eval()


def _randomise(module, negative, exact_scales):
    if isinstance(module, nn.BatchNorm1d):
        nn.init.uniform_(module.weight, 0.5, 1.5)
        module.weight.data[torch.rand(len(module.weight)) < negative] *= -1
        nn.init.normal_(module.bias, 0.0, 0.3)
        module.reset_running_stats()
        module.momentum = None  # cumulative mean
    elif isinstance(module, binarize.BinaryLinear):
        scale = getattr(module, "scale", None)
        if scale is not None:
            if exact_scales:
                scale.copy_(torch.exp2(torch.round(torch.log2(scale.abs()))))
            scale.copy_(torch.where(torch.rand(scale.shape) < negative, -scale, scale))
        if exact_scales and isinstance(module, binarize.BiRealLinear):
            magnitude = torch.exp2(torch.round(torch.log2(module.output_scale())))
            module.weight.copy_(torch.sign(module.weight) * magnitude[:, None])
        if module.bias is not None:
            nn.init.normal_(module.bias, 0.0, 0.3)
        if hasattr(module, "shift"):
            nn.init.normal_(module.shift, 0.0, 0.2)
    elif isinstance(module, binarize.RPReLU):
        nn.init.normal_(module.before, 0.0, 0.2)
        nn.init.normal_(module.after, 0.0, 0.2)
        nn.init.uniform_(module.slope, 0.05, 0.6)


class NearZero:
    """Says of which samples a real value whose sign is taken comes so near to zero that float32 may lose it.

    Exact zeros of real arithmetic, a little noise in double, are none of these.
    """

    NOISE, MARGIN = 1e-12, 1e-6  # times the mean magnitude of the layer's input

    def __init__(self, module, samples):
        self.found = torch.zeros(samples, dtype=torch.bool)
        self.hooks = [m.register_forward_pre_hook(self.look) for m in module.modules() if getattr(m, "binary", False) is True]

    def look(self, layer, inputs):
        size = (inputs[0] if layer.shift is None else inputs[0] + layer.along_channels(layer.shift, inputs[0])).abs()
        near = (size > self.NOISE * size.mean()) & (size < self.MARGIN * size.mean())
        self.found |= near.reshape(len(self.found), -1).any(1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for hook in self.hooks:
            hook.remove()


@torch.no_grad()
def stable_clouds(net, count, points, seed, tries=16):
    """Clouds whose output rounding does not change, and that output computed in double. -> x, y, both float32.

    A sign turns where a real value comes within rounding of zero; a cloud is taken if no value does, and if the output is the
    same in float32 and for inputs and real parameters moved by a few units in the last place. The network is evaluated in the folded form, whatever form is
    exported: it alone has exact zeros where real arithmetic has them.
    """
    module = Deployed(net)
    double = copy.deepcopy(module).double()
    moved = [_moved(double, seed + i) for i in (1, 2, 3)]
    found_x, found_y = [], []
    for attempt in range(tries):
        x = random_clouds(count, points, seed + 7919 * attempt, net.config["channels"])
        with NearZero(double, count) as near:
            exact = double(torch.from_numpy(x).double())
        others = [module(torch.from_numpy(x)).double()]
        for i, other in enumerate(moved):
            noise = np.random.default_rng(seed + i).uniform(-2e-7, 2e-7, x.shape)
            others.append(other(torch.from_numpy(x * (1.0 + noise))))
        error = torch.stack([(y - exact).abs().flatten(1).amax(1) for y in others]).amax(0)
        for i in torch.nonzero((error < 2e-5) & ~near.found).flatten().tolist():
            found_x.append(x[i])
            found_y.append(exact[i].numpy())
        if len(found_x) >= count:
            return np.stack(found_x[:count]), np.stack(found_y[:count]).astype(np.float32)
    raise ValueError(f"rounding changes the output of this network: {len(found_x)} of {count} stable clouds found in "
                     f"{tries * count}")


def _moved(module, seed):
    """The network with every real parameter moved by a few units in the last place of float32.

    Powers of two stay: ±1, and scales that are exact in any order of operations.
    """
    module = copy.deepcopy(module)
    generator = torch.Generator().manual_seed(seed)
    for value in (*module.parameters(), *module.buffers()):
        if value.is_floating_point():
            noise = torch.rand(value.shape, generator=generator, dtype=value.dtype) - 0.5
            value.mul_(1.0 + 4e-7 * noise * (torch.frexp(value)[0].abs() != 0.5))
    return module
