"""Labelled scenes for segmentation: loader, split into stripes, blocks as the daemon cuts them, training views.

A scene is [points, 3] float32, metres, z up. Its points are cut into square columns, each column into samples of a
fixed number of points. The order of points in a pack may reveal the label, so training draws them at random; the
network itself does not see the order.
"""

import numpy as np

from .data import DataError

STRIPES = 5          # validation folds 0..4 are stripes of every scene, 5.. are whole scenes
USUAL_FOLD = 3
MARGIN = 2.0         # metres beside a held-out stripe that are not trained on either
CHANNELS = ("x", "y", "height", "cell_height", "cell_low", "cell_top", "cell_storey")


class Recipe:
    """How a scene becomes samples.

    size    edge of a block, metres
    cells   cells along the edge of a block
    scale   metres that become 1 in heights; also the height of the storey above the ground
    """

    def __init__(self, size=4.0, cells=8, scale=5.0):
        self.size, self.cells, self.scale = size, cells, scale

    def features(self, xyz, before=(0.0, 0.0)):
        """xyz [n, 3] -> channels [n, 7] float32, blocks: list of the indices of each block's points, ascending.

        The grid of blocks contains the origin of the coordinates; `before`, for training, moves it.
        """
        xyz = np.asarray(xyz, np.float64)
        place = xyz[:, :2] + before
        block = np.floor(place / self.size).astype(np.int64)
        inside = place - block * self.size
        cell = np.minimum(np.floor(inside / (self.size / self.cells)).astype(np.int64), self.cells - 1)
        z = xyz[:, 2]
        block_id, blocks = _groups(block)
        cell_id, _ = _groups(block * self.cells + cell)
        own = z - _extreme(np.minimum, cell_id, z)  # above the lowest point of the cell
        storey = _extreme(np.maximum, cell_id, np.where(own < self.scale, own, 0))
        channels = np.stack([inside[:, 0] / (self.size / 2) - 1,
                             inside[:, 1] / (self.size / 2) - 1,
                             (z - _extreme(np.minimum, block_id, z)) / self.scale,
                             own / self.scale,
                             2 * np.minimum(own, 1) - 1,
                             _extreme(np.maximum, cell_id, own) / self.scale,
                             storey / self.scale], 1)
        return channels.astype(np.float32), blocks


def _groups(key):
    """key [n, 2] integer -> number of each row's group [n], indices of every group, ascending."""
    key = key - key.min(0)
    flat = key[:, 0] * (key[:, 1].max() + 1) + key[:, 1]
    order = np.argsort(flat, kind="stable")
    start = np.flatnonzero(np.diff(flat[order], prepend=-1))
    number = np.empty(len(flat), np.int64)
    number[order] = np.repeat(np.arange(len(start)), np.diff(np.append(start, len(flat))))
    return number, np.split(order, start[1:])


def _extreme(function, number, values):
    """np.minimum or np.maximum over the group of each row."""
    worst = np.full(number.max() + 1, values.max() if function is np.minimum else values.min())
    function.at(worst, number, values)
    return worst[number]


def samples(blocks, points):
    """Index arrays [points] that cover every point of every block once, and how many of each are not repetitions."""
    out = []
    for block in blocks:
        count = -(-len(block) // points)
        for s in range(count):
            part = block[s::count]
            out.append((part[np.arange(points) % len(part)], len(part)))
    return out


class Scenes:
    """scenes: list of (name, xyz [n, 3], labels [n]); classes: names."""

    channels = len(CHANNELS)

    def __init__(self, scenes, classes, recipe=None):
        self.scenes, self.classes = scenes, [str(c) for c in classes]
        self.recipe = recipe or Recipe()

    def split(self, fold=None):
        """(training, validation). Folds 0..4 hold out a stripe across x of every scene, 5, 6 .. one whole scene."""
        fold = USUAL_FOLD if fold is None else fold
        if not 0 <= fold < STRIPES + len(self.scenes):
            raise DataError(f"fold {fold}: the data has folds 0 to {STRIPES + len(self.scenes) - 1}")
        if fold >= STRIPES:
            held = self.scenes[fold - STRIPES]
            return self.of([s for s in self.scenes if s is not held]), self.of([held])
        training, validation = [], []
        for name, xyz, labels in self.scenes:
            x = xyz[:, 0]
            width = (x.max() - x.min()) / STRIPES
            low, high = x.min() + fold * width, x.min() + (fold + 1) * width
            held, near = (x >= low) & (x <= high), (x >= low - MARGIN) & (x <= high + MARGIN)
            validation.append((name, xyz[held], labels[held]))
            # The two sides of the stripe are separate, so that no block spans it.
            for side in (~near & (x < low), ~near & (x > high)):
                if side.any():
                    training.append((name, xyz[side], labels[side]))
        return self.of(training), self.of(validation)

    def of(self, scenes):
        return Scenes(scenes, self.classes, self.recipe)


def load(path, pack):
    """An opened .npz with xyz, label, scene_start, class_names."""
    missing = {"xyz", "label", "class_names"} - set(pack.files)
    if missing:
        raise DataError(f"{path}: lacks {', '.join(sorted(missing))}")
    start, xyz, labels = pack["scene_start"], pack["xyz"], pack["label"].astype(np.int64)
    names = pack["scene_names"] if "scene_names" in pack.files else [str(i) for i in range(len(start) - 1)]
    parts = [(str(n), xyz[a:b], labels[a:b]) for n, a, b in zip(names, start[:-1], start[1:])]
    return Scenes(parts, pack["class_names"])


class Augment:
    """Random training samples: the scene is turned by any angle, mirrored, stretched and cut on a random grid.

    points   points of a sample
    scale    largest relative stretch of x and y by one factor, and of z by another, up to its square
    jitter   standard deviation of every channel
    drop     largest share of a scene's points that is left out, as if it were scanned more coarsely
    fewest   blocks with fewer points are left out
    """

    def __init__(self, points, scale=0.3, jitter=0.005, drop=0.0, fewest=32):
        self.points, self.scale, self.jitter, self.drop, self.fewest = points, scale, jitter, drop, fewest

    def draw(self, scenes, rng, count):
        """`count` shuffled samples of blocks of random views. -> points [count, points, 7], labels [count, points]."""
        x, y = [], []
        while len(x) < count:
            before = len(x)
            for _, xyz, labels in scenes.scenes:
                if self.drop:
                    kept = rng.random(len(xyz)) < (1 - self.drop) ** rng.random()
                    xyz, labels = xyz[kept], labels[kept]
                channels, blocks = scenes.recipe.features(self.view(xyz, rng), rng.uniform(0, scenes.recipe.size, 2))
                for block in blocks:
                    if len(block) >= self.fewest:
                        pick = rng.permutation(block)[:self.points]
                        pick = pick[np.arange(self.points) % len(pick)]
                        x.append(channels[pick])
                        y.append(labels[pick])
            if len(x) == before:
                raise DataError(f"no block of the scenes has {self.fewest} points")
        order = rng.permutation(len(x))[:count]
        x, y = np.stack([x[i] for i in order]), np.stack([y[i] for i in order])
        return x + np.float32(self.jitter) * rng.standard_normal(x.shape, dtype=np.float32), y

    def view(self, xyz, rng):
        """The whole scene seen otherwise."""
        angle = rng.uniform(0, 2 * np.pi)
        c, s = np.cos(angle), np.sin(angle)
        flat, tall = np.exp(rng.uniform(-1, 1, 2) * np.log1p(self.scale) * [1, 2])
        turn = np.array([[c, -s], [s, c]]) * flat * [rng.choice([-1, 1]), 1]
        return np.concatenate([xyz[:, :2] @ turn.T, xyz[:, 2:] * tall], 1)


def evaluate(recipe, xyz, points, predict):
    """Labels of a whole scene. predict: points [samples, points, 7] -> scores [samples, points, classes]."""
    channels, blocks = recipe.features(xyz)
    labels = np.empty(len(xyz), np.int64)
    cut = samples(blocks, points)
    for i in range(0, len(cut), 64):
        part = cut[i:i + 64]
        scores = predict(np.stack([channels[index] for index, _ in part]))
        for (index, own), score in zip(part, scores):
            labels[index[:own]] = score[:own].argmax(-1)
    return labels


def iou(labels, expected, classes):
    """Intersection over union of every class in percent; nan where a class occurs in neither."""
    confusion = np.bincount(expected * classes + labels, minlength=classes ** 2).reshape(classes, classes)
    union = confusion.sum(0) + confusion.sum(1) - confusion.diagonal()
    with np.errstate(invalid="ignore"):
        return 100.0 * confusion.diagonal() / union
