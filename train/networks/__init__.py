"""Networks by name."""

import inspect

from . import bineal_tasks
from .bimtdp import BiMTDP
from .dgcnn import DGCNN, DGCNN4
from .hrnet import HRNet
from .layers import Maker
from .mtinet import MTINet
from .pointcnn import PointCNN
from .pointconv import PointConvNet
from .pointnet2 import MULTI_SCALE, SINGLE_SCALE, PointNet2
from .pointnet import PartSegmentation, PointNet, SemanticSegmentation
from .resnet import ResNet

# Name -> class and what distinguishes the variant.
KINDS = {
    "vanilla": (PointNet, dict(tnets=False)),
    "tnets": (PointNet, dict(tnets=True)),
    "partseg": (PartSegmentation, dict(tnets=True)),
    "partseg-vanilla": (PartSegmentation, dict(tnets=False)),
    "semseg": (SemanticSegmentation, dict(tnets=True)),
    "semseg-vanilla": (SemanticSegmentation, dict(tnets=False)),
    "dgcnn": (DGCNN, {}),
    "dgcnn4": (DGCNN4, {}),
    "dgcnn4-avg": (DGCNN4, dict(average=True)),
    "pointnet2": (PointNet2, dict(levels=SINGLE_SCALE)),
    "pointnet2-msg": (PointNet2, dict(levels=MULTI_SCALE)),
    "pointcnn": (PointCNN, {}),
    "pointconv": (PointConvNet, dict(density=False)),
    "pointconv-density": (PointConvNet, dict(density=True)),
}

# The same of networks on pictures. They take a picture [batch, 3, height, width] and give {name: map}.
PICTURES = {
    "mtinet": (MTINet, {}),
    "hrnet": (HRNet, {}),
    "bimtdp": (BiMTDP, {}),
    "resnet18": (ResNet, dict(depth=18)),
    "resnet50": (ResNet, dict(depth=50)),
    **bineal_tasks.TASKS,
}


def make_network(kind, binarizer="LSR", pool=None, classes=10, points=1024, channels=3, activation="hardtanh",
                 estimator=None, dropout=0.0, **more):
    """The network of a name of KINDS; `config` of the result makes it again.

    binarizer   a name of binarize.BINARIZERS, or "float" for the full-precision network
    pool        a name of the network's `poolings`, whose first is the default: POOLS unless the network prescribes its pooling
    points      per cloud in training: the offset of EMA-max depends on it
    channels    per point; the first three are x, y, z
    activation  full precision only: "relu" or "hardtanh"
    estimator   gradient of sign(activation), a name of binarize.ESTIMATORS; None: the binarizer's own
    more        what only this kind of network has, such as k of DGCNN
    """
    if kind in PICTURES:
        network, variant = PICTURES[kind]
        refuse_unknown(kind, network, more, variant)
        known = inspect.signature(network).parameters
        more.update({k: v for k, v in dict(classes=classes, estimator=estimator).items() if k in known and v is not None})
        return network(binarizer=binarizer, **variant, **more)
    if kind not in KINDS:
        raise ValueError(f"network {kind}: not one of {', '.join(KINDS)}")
    network, variant = KINDS[kind]
    refuse_unknown(kind, network, more, variant)
    pool = pool or network.poolings[0]
    if pool not in network.poolings:
        raise ValueError(f"pool {pool}: not one of {', '.join(network.poolings)}, which {kind} has")
    net = network(Maker(binarizer, pool, activation, estimator), classes, points, channels=channels, dropout=dropout,
                  **variant, **more)
    net.config = dict(kind=kind, binarizer=binarizer, pool=pool, classes=classes, points=points, channels=channels,
                      activation=activation, estimator=estimator, dropout=dropout, **more)
    return net


def refuse_unknown(kind, network, settings, fixed=()):
    unknown = set(settings) - (set(inspect.signature(network).parameters) - set(fixed))
    if unknown:
        raise ValueError(f"network {kind} has no setting {', '.join(sorted(unknown))}")


def current_config(config):
    """The configuration as make_network takes it; early checkpoints held the arguments of the only class there was."""
    if "kind" in config:
        return config
    config = dict(config)
    tnets, binary = config.pop("tnets"), config.pop("binary")
    return dict(kind="tnets" if tnets else "vanilla", binarizer="LSR" if binary else "float", pool="ema-max",
                channels=3, **config)


def initialise_from(student, teacher):
    """Copies every parameter and buffer of the teacher that the student has under the same name and shape."""
    target = student.state_dict()
    shared = {k: v for k, v in teacher.state_dict().items() if k in target and v.shape == target[k].shape}
    student.load_state_dict({**target, **shared})
    return sorted(shared)
