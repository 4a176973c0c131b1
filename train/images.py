"""Pictures with a class for every pixel: split by time, edges, random views, scores.

Pictures are [pictures, height, width, 3] uint8, labels [pictures, height, width]; ids at or above the number of classes are
void, which counts in no loss and no score.
"""

import numpy as np
import torch
from torch.nn import functional as F

from .data import DataError

VOID = 255
FOLDS = 5  # stretches of each drive; further folds are whole drives
MARGIN = 2  # pictures of training left out at either end of a held-out stretch
# Of the pictures of ImageNet, R, G, B in 0..1; what published backbones expect.
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)


class Pictures:
    """names: DRIVE_FRAME, such as 0016E5_07959; the frame number orders a drive in time."""

    def __init__(self, images, labels, names, classes):
        self.images, self.classes = np.ascontiguousarray(images), [str(c) for c in classes]
        self.labels = np.where(labels < len(self.classes), labels, VOID).astype(np.uint8)
        self.names = np.array([str(n) for n in names])
        self.drives = np.array([n.rpartition("_")[0] for n in self.names])
        self.frames = np.array([int("".join(c for c in n.rpartition("_")[2] if c.isdigit()) or 0) for n in self.names])

    def __len__(self):
        return len(self.images)

    def subset(self, mask):
        return Pictures(self.images[mask], self.labels[mask], self.names[mask], self.classes)

    def split(self, fold=None):
        """(training, validation): a stretch of every drive is validation, its neighbours in time are in neither part.

        fold  0 to 4: that fifth of every drive, default 3; 5, 6, ..: the whole first, second, .. drive by name
        """
        fold = 3 if fold is None else fold
        drives = sorted(set(self.drives))
        if not 0 <= fold < FOLDS + len(drives):
            raise DataError(f"fold {fold}: the data has folds 0 to {FOLDS + len(drives) - 1}")
        held, near = np.zeros(len(self), bool), np.zeros(len(self), bool)
        for i, drive in enumerate(drives):
            member = np.flatnonzero(self.drives == drive)
            order = member[np.argsort(self.frames[member], kind="stable")]
            first, last = fold * len(order) // FOLDS, (fold + 1) * len(order) // FOLDS
            if fold >= FOLDS:
                first, last = 0, len(order) * (i == fold - FOLDS)
            if first < last:
                held[order[first:last]] = True
                near[order[max(0, first - MARGIN):last + MARGIN]] = True
        return self.subset(~near), self.subset(held)


class Split(tuple):
    """(pictures to train on and to hold out of, pictures of the data's own validation part)"""

    @property
    def classes(self):
        return self[0].classes


def load(path, pack):
    """An open .npz with images, labels, names, class_names, and split where it has a validation part of its own.

    -> Split; its second part may be empty.
    """
    missing = {"images", "labels", "names", "class_names"} - set(pack.files)
    if missing:
        raise DataError(f"{path}: lacks {', '.join(sorted(missing))}")
    classes = [str(c) for c in pack["class_names"] if str(c) != "void"]
    whole = Pictures(pack["images"], pack["labels"], pack["names"], classes)
    own = pack["split"] == "val" if "split" in pack.files else np.zeros(len(whole), bool)
    return Split((whole.subset(~own), whole.subset(own)))


def edges(labels):
    """True at the right or lower pixel of two neighbours of different classes, neither void. [..., height, width]"""
    out = np.zeros(labels.shape, bool)
    for here, before in ((np.s_[..., 1:], np.s_[..., :-1]), (np.s_[..., 1:, :], np.s_[..., :-1, :])):
        a, b = labels[here], labels[before]
        out[here] |= (a != b) & (a != VOID) & (b != VOID)
    return out


def prepared(images):
    """[pictures, height, width, 3] uint8 -> [pictures, 3, height, width] float32, normalised."""
    x = (images.astype(np.float32) / 255 - MEAN) / DEVIATION
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2))


class Augment:
    """Random views: scale, crop, mirror, brightness of the channels.

    size   (height, width) of the result; what lies outside the picture is grey and void
    scale  (smallest, largest) factor
    colour largest relative change of the brightness, and of each channel by half of it
    """

    def __init__(self, size, scale=(0.75, 1.5), colour=0.3):
        self.size, self.scale, self.colour = size, scale, colour

    def __call__(self, images, labels, rng):
        """-> [batch, 3, height, width] float32, labels [batch, height, width] uint8."""
        views = [self.view(image, label, rng) for image, label in zip(images, labels)]
        return np.stack([x for x, _ in views]), np.stack([y for _, y in views])

    def view(self, image, label, rng):
        factor = float(np.exp(rng.uniform(*np.log(self.scale))))
        size = [max(1, round(n * factor)) for n in label.shape]
        gain = 1 + self.colour * (rng.uniform(-1, 1) + rng.uniform(-0.5, 0.5, 3))
        bright = np.clip(image.astype(np.float32) * gain.astype(np.float32), 0, 255)
        x = torch.from_numpy(prepared(bright[None]))
        x = F.interpolate(x, size, mode="bilinear", align_corners=False)[0].numpy()
        y = F.interpolate(torch.from_numpy(label)[None, None].float(), size, mode="nearest")[0, 0].numpy().astype(np.uint8)
        if rng.random() < 0.5:
            x, y = x[..., ::-1], y[..., ::-1]
        out, target = np.zeros((3, *self.size), np.float32), np.full(self.size, VOID, np.uint8)
        source, into = zip(*(overlap(n, m, rng) for n, m in zip(size, self.size)))
        out[(slice(None), *into)], target[into] = x[(slice(None), *source)], y[source]
        return out, target


def overlap(length, wanted, rng):
    """A random window of `wanted` on an axis of `length`, or the axis at a random place of the window."""
    start = int(rng.integers(abs(length - wanted) + 1))
    part, whole = slice(start, start + min(length, wanted)), slice(0, min(length, wanted))
    return (part, whole) if length >= wanted else (whole, part)


def confusion(predicted, labels, classes):
    """[classes, classes] counts, rows are the true classes; void pixels are left out."""
    known = labels < classes
    pairs = labels[known].astype(np.int64) * classes + predicted[known]
    return np.bincount(pairs, minlength=classes ** 2).reshape(classes, classes)


def iou(counts):
    """Intersection over union of every class in percent; nan where a class occurs in neither."""
    union = counts.sum(0) + counts.sum(1) - counts.diagonal()
    with np.errstate(invalid="ignore"):
        return 100.0 * counts.diagonal() / union


def edge_f(scores, truth, valid, thresholds=np.linspace(0.05, 0.95, 19)):
    """Best F measure in percent over the thresholds, pixel by pixel, without tolerance; and its threshold.

    scores: probabilities, truth, valid: bool, of one shape.
    """
    scores, truth = scores[valid], truth[valid]
    best = (0.0, float(thresholds[0]))
    for threshold in thresholds:
        found = scores > threshold
        hit = float((found & truth).sum())
        best = max(best, (200.0 * hit / max(1.0, float(found.sum() + truth.sum())), float(threshold)))
    return best
