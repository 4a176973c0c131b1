"""What the training loop asks of a kind of data: batches to learn from, and figures on the validation part."""

import numpy as np
import torch

from . import dense, images, scenes
from .data import Augment, DataError, prepared


def of(source, points, options):
    """source: Clouds, Scenes or images.Split as loaded; points: of one sample."""
    if isinstance(source, images.Split):
        return dense.Dense(source, options)
    kind = Segmentation if isinstance(source, scenes.Scenes) else Classification
    return kind(source, points, options)


@torch.no_grad()
def predict(net, points, batch=32):
    """points [samples, points, channels] -> the network's output, numpy float32."""
    was_training = net.training
    net.eval()
    out = [net(torch.from_numpy(points[i:i + batch])).numpy() for i in range(0, len(points), batch)]
    net.train(was_training)
    return np.concatenate(out)


def accuracy(log_probs, labels):
    """Overall, mean over classes, and per class (nan where a class has no cloud), in percent."""
    hit = log_probs.argmax(1) == labels
    per_class = np.array([100.0 * hit[labels == c].mean() if (labels == c).any() else np.nan
                          for c in range(log_probs.shape[1])])
    return 100.0 * hit.mean(), float(np.nanmean(per_class)), per_class


class Classification:
    """One label for each cloud. options: fold, batch, augment, balance.

    balance  0: every cloud once an epoch; above: drawn with weight (clouds of its group) ** -balance
    """

    def __init__(self, clouds, points, options):
        self.training, self.validation = clouds.split(options.get("fold"))
        self.points, self.batch, self.augment = points, options["batch"], options["augment"]
        self.steps = len(self.training) // self.batch
        if not self.steps:
            raise DataError(f"{len(self.training)} training clouds are fewer than one batch of {self.batch}")
        self.weights = None
        if options.get("balance"):
            _, group, size = np.unique(self.training.groups, return_inverse=True, return_counts=True)
            self.weights = size[group] ** -options["balance"]
            self.weights /= self.weights.sum()
        self.prepared = prepared(self.validation, points) if len(self.validation) else None

    def batches(self, rng, points=None):
        """One epoch: x [batch, points, 3], y [batch]."""
        augment = Augment(points or self.points, **self.augment)
        count = len(self.training)
        order = rng.permutation(count) if self.weights is None else rng.choice(count, count, p=self.weights)
        for step in range(self.steps):
            pick = order[step * self.batch:(step + 1) * self.batch]
            yield torch.from_numpy(augment(self.training.take(pick), rng)), torch.from_numpy(self.training.labels[pick])

    def validate(self, net):
        if self.prepared is None:
            return {}
        labels = self.validation.labels
        log_probs = predict(net, self.prepared)
        overall, mean, _ = accuracy(log_probs, labels)
        return dict(nll=-float(log_probs[np.arange(len(labels)), labels].mean()), accuracy=overall, class_accuracy=mean)


# While training, figures are taken from every so many points of the validation scenes; `eval` takes all.
MONITORED = 5


class Segmentation:
    """One label for each point of a scene. options: fold, batch, samples (of an epoch), augment."""

    def __init__(self, source, points, options):
        self.training, validation = source.split(options.get("fold"))
        self.validation = source.of([(name, xyz[::MONITORED], labels[::MONITORED])
                                     for name, xyz, labels in validation.scenes])
        self.points, self.batch, self.augment = points, options["batch"], options["augment"]
        self.samples = options["samples"]
        self.steps = self.samples // self.batch
        if not self.steps:
            raise DataError(f"{self.samples} samples are fewer than one batch of {self.batch}")

    def batches(self, rng, points=None):
        """One epoch: x [batch, points, channels], y [batch, points]."""
        augment = scenes.Augment(points or self.points, **self.augment)
        x, y = augment.draw(self.training, rng, self.samples)
        for i in range(0, self.steps * self.batch, self.batch):
            yield torch.from_numpy(x[i:i + self.batch]), torch.from_numpy(y[i:i + self.batch])

    def validate(self, net):
        labels, expected = scene_labels(net, self.validation, self.points)
        per_class = scenes.iou(np.concatenate(labels), np.concatenate(expected), len(self.validation.classes))
        names = [f"iou_{name}" for name in self.validation.classes]
        return dict(accuracy=100.0 * float((np.concatenate(labels) == np.concatenate(expected)).mean()),
                    iou=float(np.nanmean(per_class)), **dict(zip(names, per_class.tolist())))


def scene_labels(net, source, points):
    """Predicted and true labels of every scene."""
    predicted = [scenes.evaluate(source.recipe, xyz, points, lambda x: predict(net, x, 8).reshape(*x.shape[:2], -1))
                 for _, xyz, _ in source.scenes]
    return predicted, [labels for _, _, labels in source.scenes]
