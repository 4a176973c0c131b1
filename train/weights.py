"""Deployed weights of a network in one small file: signs as bits, the rest as float32.

A checkpoint holds real-valued weights for further training (megabytes); what a binary network computes needs only
their signs. The file (.npz) is enough to evaluate, export and compile the network again.
"""

import json

import numpy as np
import torch

from .binarize import BNNLinear, LSRLinear, XNORPlusLinear
from .networks import current_config, make_network


# Their weights enter by their signs only; the other binarizers' scales come from the real weights, which are kept.
SIGNS_ONLY = (LSRLinear, BNNLinear, XNORPlusLinear)


def binary_layers(net):
    return {name: module for name, module in net.named_modules() if isinstance(module, SIGNS_ONLY)}


@torch.no_grad()
def save(net, classes, path):
    """Writes signs [out, in] packed along in, all other parameters and buffers as float32."""
    arrays = {"config": json.dumps(net.config), "classes": np.array(classes)}
    layers = binary_layers(net)
    for name, layer in layers.items():
        signs = layer.signs().numpy()
        if (signs == 0).any():
            raise ValueError(f"{name}: a weight has the sign 0")
        arrays[f"bits:{name}"] = np.packbits(signs > 0, axis=1)
    skipped = getattr(net, "training_only", ())
    for name, value in net.state_dict().items():
        if any(part in name for part in skipped):
            continue
        if name.rpartition(".")[0] in layers and name.endswith(".weight") or name.endswith("num_batches_tracked"):
            continue
        arrays[f"real:{name}"] = value.numpy().astype(np.float32)
    np.savez_compressed(path, **arrays)


def load(path):
    """-> network in evaluation form, class names."""
    with np.load(path) as pack:
        net = make_network(**current_config(json.loads(str(pack["config"]))))
        state = net.state_dict()
        for name, layer in binary_layers(net).items():
            bits = np.unpackbits(pack[f"bits:{name}"], axis=1)[:, :layer.weight.shape[1]]
            # ±size keep their signs when their mean, inside (-size, size), is subtracted. Half of the bound of fresh
            # weights, so that training can go on from here.
            size = 0.5 / layer.weight.shape[1] ** 0.5
            state[f"{name}.weight"] = torch.from_numpy((bits.astype(np.float32) * 2 - 1) * np.float32(size))
        for key in pack.files:
            if key.startswith("real:"):
                state[key[5:]] = torch.from_numpy(pack[key])
        net.load_state_dict(state)
        return net.eval(), [str(c) for c in pack["classes"]]
