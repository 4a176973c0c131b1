"""Pictures with a truth for every pixel: split by time, edges, random views, scores.

Pictures are [pictures, height, width, 3] uint8, labels [pictures, height, width]; ids at or above the number of classes are
void, which counts in no loss and no score. Depth is uint16 millimetres, 0 where unknown; normals int8, 127 times a unit vector in
camera axes (x right, y down, z forward), 0 where unknown.
"""

import numpy as np
import torch
from torch.nn import functional as F

from .data import DataError

VOID = 255
FOLDS = 5  # stretches of each drive; further folds are whole drives
MARGIN = 2  # pictures of training left out at either end of a held-out stretch
SCALE = (0.75, 1.5)  # smallest and largest factor of a view
# Of the pictures of ImageNet, R, G, B in 0..1; what published backbones expect.
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)


class Pictures:
    """names: DRIVE_FRAME, such as 0016E5_07959; the frame number orders a drive in time.

    more: further truth by name, of `depth`, `normals`, `edge`, `parts` and `saliency`; without edges these are derived from the labels.
    """

    def __init__(self, images, labels, names, classes, more=None):
        self.images, self.classes = np.ascontiguousarray(images), [str(c) for c in classes]
        self.labels = np.where(labels < len(self.classes), labels, VOID).astype(np.uint8)
        self.names = np.array([str(n) for n in names])
        self.drives = np.array([n.rpartition("_")[0] for n in self.names])
        self.frames = np.array([int("".join(c for c in n.rpartition("_")[2] if c.isdigit()) or 0) for n in self.names])
        self.more = more or {}
        self.truths = {"labels", "edge", *self.more}

    def __len__(self):
        return len(self.images)

    def subset(self, mask):
        return Pictures(self.images[mask], self.labels[mask], self.names[mask], self.classes,
                        {name: value[mask] for name, value in self.more.items()})

    def truth(self):
        """As targets.py takes it, of all pictures."""
        return measured(self.labels, self.more)

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


class Split:
    """pictures: to train on. own: the data's own validation part, maybe empty. by_time: validation is a stretch of `pictures`."""

    def __init__(self, pictures, own, by_time=True):
        self.pictures, self.by_time = pictures, by_time
        self.classes = pictures.classes
        self.own = own if by_time else None  # beside the validation part
        self.parts = (pictures, own)

    def split(self, fold=None):
        """(training, validation)"""
        if self.by_time:
            return self.pictures.split(fold)
        if fold is not None:
            raise DataError("--fold: the data has a validation part of its own")
        return self.parts


def load(path, pack):
    """An open .npz -> Split. Of drives: images, labels, names, class_names, and split where it has a validation part of its own.

    Of rooms (python3 -m train.rooms.pack): rgb, label, depth, normals, edge, room, split, class_names. Of frames with objects:
    rgb, object (0 unknown, 1 the table, above: things on it), depth, normals, names; every fifth frame is validation.
    """
    names = set(pack.files)
    for wanted, read in LAYOUTS.items():
        if wanted <= names:
            return read(pack)
    raise DataError(f"{path}: holds none of " + "; ".join(", ".join(sorted(wanted)) for wanted in LAYOUTS))


def drives(pack):
    classes = [str(c) for c in pack["class_names"] if str(c) != "void"]
    whole = Pictures(pack["images"], pack["labels"], pack["names"], classes)
    own = pack["split"] == "val" if "split" in pack.files else np.zeros(len(whole), bool)
    return Split(whole.subset(~own), whole.subset(own))


def rooms(pack):
    names = [f"{room}_{i}" for i, room in enumerate(pack["room"])]
    whole = Pictures(pack["rgb"], pack["label"], names, pack["class_names"],
                     {name: pack[name] for name in ("depth", "normals", "edge")})
    own = pack["split"] == "val"
    return Split(whole.subset(~own), whole.subset(own), by_time=False)


def objects(pack):
    thing = pack["object"]
    labels = np.where(thing == 0, VOID, thing > 1).astype(np.uint8)
    edge = np.where(thing == 0, VOID, edges(np.where(thing == 0, VOID, thing))).astype(np.uint8)
    whole = Pictures(pack["rgb"], labels, pack["names"], ["table", "object"],
                     dict(depth=pack["depth"], normals=pack["normals"], edge=edge))
    held = np.arange(len(whole)) % 5 == 4
    return Split(whole.subset(~held), whole.subset(held), by_time=False)


LAYOUTS = {
    frozenset(("images", "labels", "names", "class_names")): drives,
    frozenset(("rgb", "label", "depth", "normals", "edge", "room", "split", "class_names")): rooms,
    frozenset(("rgb", "object", "depth", "normals", "names")): objects,
}


def measured(labels, more):
    """Stored truth -> what targets.py takes: edges also void, depth in metres, normals [..., 3, height, width] of length 1."""
    out = dict(labels=labels)
    edge = more["edge"] if "edge" in more else edges(labels)
    out["edge"] = np.where(labels == VOID, VOID, edge).astype(np.uint8)
    out.update({name: more[name] for name in ("parts", "saliency") if name in more})
    if "depth" in more:
        out["depth"] = more["depth"].astype(np.float32) / 1000
    if "normals" in more:
        normals = np.moveaxis(more["normals"].astype(np.float32), -1, -3)
        out["normals"] = normals / np.maximum(1, np.sqrt((normals ** 2).sum(-3, keepdims=True)))
    return out


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
    scale  (smallest, largest) factor. Seen larger, things are nearer: depth is divided by it
    colour largest relative change of the brightness, and of each channel by half of it
    """

    def __init__(self, size, scale=SCALE, colour=0.3):
        self.size, self.scale, self.colour = size, scale, colour

    def __call__(self, pictures, rng):
        """-> [batch, 3, height, width] float32, {truth: array}, see targets.py."""
        views = [self.view(pictures.images[i], pictures.labels[i], {n: v[i] for n, v in pictures.more.items()}, rng)
                 for i in range(len(pictures))]
        return np.stack([x for x, _ in views]), {n: np.stack([y[n] for _, y in views]) for n in views[0][1]}

    def view(self, image, label, more, rng):
        factor = float(np.exp(rng.uniform(*np.log(self.scale))))
        size = [max(1, round(n * factor)) for n in label.shape]
        gain = 1 + self.colour * (rng.uniform(-1, 1) + rng.uniform(-0.5, 0.5, 3))
        bright = np.clip(image.astype(np.float32) * gain.astype(np.float32), 0, 255)
        x = torch.from_numpy(prepared(bright[None]))
        x = F.interpolate(x, size, mode="bilinear", align_corners=False)[0].numpy()
        rows, columns = (np.minimum((np.arange(n) * m / n).astype(int), m - 1) for n, m in zip(size, label.shape))
        near = np.ix_(rows, columns)
        truth = measured(label[near], {name: value[near] for name, value in more.items()})
        if "depth" in truth:
            truth["depth"] /= np.float32(factor)
        if rng.random() < 0.5:
            x, truth = x[..., ::-1], {name: value[..., ::-1] for name, value in truth.items()}
            if "normals" in truth:
                truth["normals"] = truth["normals"] * np.array([-1, 1, 1], np.float32)[:, None, None]
        source, into = zip(*(overlap(n, m, rng) for n, m in zip(size, self.size)))
        out = {name: placed(value, source, into, self.size, VOID if value.dtype == np.uint8 else 0)
               for name, value in truth.items()}
        return placed(x, source, into, self.size, 0), out


def placed(values, source, into, size, outside):
    """The window `source` of [..., height, width] at `into` of a larger or smaller field."""
    out = np.full((*values.shape[:-2], *size), outside, values.dtype)
    out[(..., *into)] = values[(..., *source)]
    return out


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


def mean_known(values):
    """nan if none is known"""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


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
