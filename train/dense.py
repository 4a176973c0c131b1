"""Training of multi-task networks on pictures: losses, validation, what loop.py asks of a task."""

import numpy as np
import torch
from torch.nn import functional as F

from . import images, targets
from .data import DataError

DEEP_WEIGHT = 0.3  # of the deep supervision, mean over the scales


def outputs(pictures):
    """{task: channels} for networks.mtinet."""
    return {name: target.channels for name, target in targets.of(pictures).items()}


class Dense:
    """options: fold, batch, size (height, width of a crop), scale (of a view), beta, gamma, lam, temperature."""

    def __init__(self, source, options):
        self.training, self.validation = source.split(options["fold"])
        self.own = source.own
        self.targets = targets.of(self.training)
        self.options, self.batch = options, options["batch"]
        self.steps = len(self.training) // self.batch
        if not self.steps:
            raise DataError(f"{len(self.training)} training pictures are fewer than one batch of {self.batch}")

    def batches(self, rng, _=None):
        augment = images.Augment(tuple(self.options["size"]), self.options.get("scale", images.SCALE))
        order = rng.permutation(len(self.training))
        for step in range(self.steps):
            x, truth = augment(self.training.subset(order[step * self.batch:(step + 1) * self.batch]), rng)
            yield torch.from_numpy(x), {name: torch.from_numpy(value) for name, value in truth.items()}

    def truth_loss(self, scores, truth):
        size = next(iter(scores.values())).shape[-2:]
        truth = targets.shrunk(truth, size)
        return sum(t.weight * t.loss(scores[name], truth[t.truth]) for name, t in self.targets.items())

    def loss(self, net, teacher, x, truth, options):
        scores, deep, features, kl = net.features(x)
        loss = self.truth_loss(scores, truth)
        loss = loss + DEEP_WEIGHT * sum(self.truth_loss(s, truth) for s in deep) / max(1, len(deep))
        if teacher is None:
            return loss
        with torch.no_grad():
            wanted, _, teacher_features, _ = teacher.features(x)
        imitation = sum(t.weight * t.imitation(scores[name], wanted[name], options["temperature"])
                        for name, t in self.targets.items())
        likeness = sum(F.mse_loss(a, b) for a, b in zip(features, teacher_features))
        return loss + options["lam"] * imitation + options["gamma"] * likeness + options["beta"] * kl

    def validate(self, net):
        """Of the held-out stretch; own_: of the data's own validation part, if the held-out stretch is another."""
        row = figures(net, self.validation)
        if self.own is not None and len(self.own):
            own = figures(net, self.own)
            row.update({f"own_{name}": value for name, value in own.items() if not name.startswith("iou_")})
        return row


def padded(pictures):
    """Pictures [pictures, height, width, 3] as the network takes them, with grey up to multiples of 32."""
    height, width = pictures.shape[1:3]
    return F.pad(torch.from_numpy(images.prepared(pictures)), (0, -width % 32, 0, -height % 32))


def enlarged(scores, height, width):
    """Scores at a quarter of a padded picture's size -> at the picture's. What was padded is cut off first."""
    return F.interpolate(scores[..., :-(-height // 4), :-(-width // 4)], (height, width), mode="bilinear", align_corners=False)


@torch.no_grad()
def predict(net, pictures, batch=8):
    """{task: array [pictures, ...]} at the pictures' size, as the daemon answers."""
    net.eval()
    height, width = pictures.images.shape[1:3]
    kinds, found = targets.of(pictures), {}
    net.enlarged = False
    for i in range(0, len(pictures), batch):
        scores = net(padded(pictures.images[i:i + batch]))
        for name, target in kinds.items():
            found.setdefault(name, []).append(target.prediction(enlarged(scores[name], height, width)))
    net.enlarged = True
    return {name: np.concatenate(parts) for name, parts in found.items()}


def figures(net, pictures):
    """All tasks' figures, see targets.py."""
    row, truth = {}, pictures.truth()
    for name, predicted in predict(net, pictures).items():
        target = targets.of(pictures)[name]
        row.update(target.figures(predicted, truth[target.truth]))
    return row
