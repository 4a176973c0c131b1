"""Networks on pictures with random weights, and random pictures: for benchmarks and tests."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from . import binarize, dense_export
from .networks import bineal, make_network


def random_picture(height, width, seed=0, count=1):
    """Noise of every size, normalised like a picture. -> [count, 3, height, width] float32."""
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros(count, 3, height, width)
    size = 1
    while size < max(height, width):
        noise = torch.randn(count, 3, max(2, height // size), max(2, width // size), generator=generator)
        total += size ** 0.5 * F.interpolate(noise, (height, width), mode="bilinear", align_corners=False)
        size *= 2
    mean, std = total.mean((2, 3), keepdim=True), total.std((2, 3), keepdim=True)
    return ((total - mean) / std).contiguous()


@torch.no_grad()
def random_network(kind, binarizer, seed=0, size=(128, 160), negative=0.1, **config):
    """Random weights; statistics of batch normalisation those of random pictures of `size`, so that every sign is balanced.

    negative: share of channels whose batch normalisation has a negative factor, which turns a comparison around
    """
    torch.manual_seed(seed)
    net = make_network(kind, binarizer, **config).eval()
    pictures = random_picture(*size, seed, count=2)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            module.weight[torch.rand(len(module.weight)) < negative] *= -1
            nn.init.normal_(module.bias, 0.0, 0.3)
            module.reset_running_stats()
            module.momentum = None  # cumulative mean
            module.train()
        elif isinstance(module, binarize.BinaryLinear):
            if module.bias is not None:
                nn.init.normal_(module.bias, 0.0, 0.3)
            if hasattr(module, "shift"):
                nn.init.normal_(module.shift, 0.0, 0.2)
            module.train()  # takes its scale from the first picture
        elif isinstance(module, bineal.Convolution):
            nn.init.uniform_(module.alpha, 0.5, 1.5)
            module.scale.mul_(torch.empty_like(module.scale).uniform_(0.5, 1.5))
        elif isinstance(module, bineal.Activation):
            for shift in (module.tau, module.b0, module.b1):
                nn.init.normal_(shift, 0.0, 0.15)
            nn.init.uniform_(module.k, 0.1, 0.9)
    net(pictures)
    return net.eval()


@torch.no_grad()
def evaluate(net, pictures, **form):
    """Outputs of the exported form in double, as float32. -> {name: array}, in the order of the graph"""
    outputs = dense_export.deployed(net, **form).double()(pictures.double())
    return {name: outputs[name].float().numpy() for name in dense_export.output_names(net)}


def write_pair(net, stem, pictures, **form):
    """Writes STEM.in.npy and STEM.out0.npy, STEM.out1.npy, ..."""
    np.save(f"{stem}.in.npy", pictures.numpy())
    for i, y in enumerate(evaluate(net, pictures, **form).values()):
        np.save(f"{stem}.out{i}.npy", y)
