"""Point clouds with labels: split, preprocessing, augmentation.

Clouds are [points, 3] float32, z up.
"""

import numpy as np

# (folds, the fold that is validation unless told otherwise), by stored order and by group.
FOLDS_BY_ORDER = (10, 9)
FOLDS_BY_GROUP = (5, 3)


class DataError(Exception):
    """The data is missing or malformed; the message is meant for the user."""


class Clouds:
    """Labelled clouds.

    points   [clouds, points, 3], or a list of [points, 3] where every scan has its own number of points
    labels   [clouds]
    classes  names
    groups   [clouds] or None: clouds of one group show the same object and never stand on both sides of a split
    """

    channels = 3  # per point

    def __init__(self, points, labels, classes, groups=None):
        self.ragged = isinstance(points, list)
        self.points = ([np.ascontiguousarray(p, dtype=np.float32) for p in points] if self.ragged
                       else np.ascontiguousarray(points, dtype=np.float32))
        self.labels = np.asarray(labels, dtype=np.int64)
        self.classes = [str(c) for c in classes]
        self.groups = None if groups is None else np.asarray(groups, dtype=np.int64)

    def __len__(self):
        return len(self.labels)

    def take(self, index):
        """The clouds at `index`, in the form of `points`."""
        return [self.points[i] for i in index] if self.ragged else self.points[index]

    def subset(self, mask):
        groups = None if self.groups is None else self.groups[mask]
        return Clouds(self.take(np.flatnonzero(mask)), self.labels[mask], self.classes, groups)

    def split(self, fold=None):
        """(training, validation): one fold is validation, by group (of 5) or in stored order (of 10)."""
        mask = self.validation_mask(fold)
        return self.subset(~mask), self.subset(mask)

    def validation_mask(self, fold=None):
        folds, usual = FOLDS_BY_ORDER if self.groups is None else FOLDS_BY_GROUP
        fold = usual if fold is None else fold
        if not 0 <= fold < folds:
            raise DataError(f"fold {fold}: the data has folds 0 to {folds - 1}")
        return (np.arange(len(self)) if self.groups is None else self.groups) % folds == fold


def normalise(points):
    """Subtracts the mean and divides by the largest radius. points: [..., points, 3]."""
    points = points - points.mean(axis=-2, keepdims=True, dtype=np.float64)
    radius = np.sqrt((points ** 2).sum(-1)).max(axis=-1)[..., None, None]
    return (points / np.maximum(radius, 1e-12)).astype(np.float32)


def resample(cloud, points):
    """Point i of `points`: every (count / points)-th in stored order, or repeated; the rule of the daemon."""
    i = np.arange(points)
    count = len(cloud)
    return cloud[i * count // points if count >= points else i % count]


def as_sent(clouds, points):
    """Clouds as a sensor would send them: the first `points` of samples of equal size, scans as they are."""
    if clouds.ragged:
        return clouds.points
    if points > clouds.points.shape[1]:
        raise DataError(f"the data has {clouds.points.shape[1]} points a cloud, {points} wanted")
    return clouds.points[:, :points]


def prepared(clouds, points):
    """Evaluation clouds as the daemon prepares them: resampled, zero mean, radius 1. -> [clouds, points, 3]."""
    return normalise(np.stack([resample(cloud, points) for cloud in as_sent(clouds, points)]))


def turn_about_z(points, angle):
    """points [clouds, points, 3], angle [clouds] or a number, in radians -> the clouds seen from another side."""
    angle = np.broadcast_to(np.asarray(angle, np.float64), len(points))
    c, s, zero, one = np.cos(angle), np.sin(angle), np.zeros(len(angle)), np.ones(len(angle))
    rotation = np.stack([c, -s, zero, s, c, zero, zero, zero, one], -1).reshape(-1, 3, 3)
    return np.matmul(points, rotation.astype(np.float32))


class Augment:
    """Random training views of clouds: resampling, mirror, yaw, anisotropic scale, jitter, then preprocessing.

    points   points kept of each cloud
    yaw      share of the clouds turned about z by a random multiple of 90 degrees
    turn     standard deviation of a small extra turn about z, radians
    scale    largest relative stretch per axis
    jitter   standard deviation per coordinate, in radii of the cloud
    drop     largest share of the points of a scan that is left out: sparser, or partly hidden; only for scans
    """

    def __init__(self, points, yaw=1.0, turn=0.05, scale=0.15, jitter=0.01, drop=0.0):
        self.points, self.yaw, self.turn, self.scale, self.jitter, self.drop = points, yaw, turn, scale, jitter, drop

    def __call__(self, clouds, rng):
        """[batch, m, 3] or a list of [m, 3] -> [batch, points, 3]."""
        # A scan's few points are moved before they are repeated: copies stay equal, as the daemon makes them.
        x = self.draw_scans(clouds, rng) if isinstance(clouds, list) else self.draw(clouds, rng)
        batch = len(x)
        x = x * np.exp(rng.uniform(-1, 1, (batch, 1, 3)) * np.log1p(self.scale)).astype(np.float32)
        x[:, :, 0] *= rng.choice(np.array([-1, 1], np.float32), (batch, 1))
        angle = rng.normal(0, self.turn, batch)
        if self.yaw:
            quarters = rng.integers(4, size=batch) * (np.pi / 2)
            angle += quarters if self.yaw >= 1 else np.where(rng.random(batch) < self.yaw, quarters, 0.0)
        x = turn_about_z(x, angle)
        if self.jitter and not isinstance(clouds, list):
            x += np.float32(self.jitter) * rng.standard_normal(x.shape, dtype=np.float32)
        return normalise(x)

    def draw(self, clouds, rng):
        """`points` different points of each cloud."""
        batch, available, _ = clouds.shape
        if available < self.points:
            raise DataError(f"the data has {available} points a cloud, {self.points} wanted")
        order = rng.random((batch, available), dtype=np.float32)
        pick = np.argpartition(order, self.points - 1, axis=1)[:, :self.points]
        return clouds[np.arange(batch)[:, None], pick]

    def draw_scans(self, clouds, rng):
        """A random part of each scan, at least 32 points, normalised and jittered, then resampled."""
        out = []
        for cloud in clouds:
            share = self.drop * rng.random()
            order = rng.permutation(len(cloud))
            if rng.random() < 0.5:  # half of what is lost lies on one side, as behind another object
                behind = np.argsort(cloud @ rng.standard_normal(3).astype(np.float32))
                order = rng.permutation(behind[round(len(cloud) * share / 2):])
            kept = max(min(32, len(cloud)), round(len(cloud) * (1 - share)))
            x = normalise(cloud[order[:kept]])
            x += np.float32(self.jitter) * rng.standard_normal(x.shape, dtype=np.float32)
            out.append(resample(x, self.points))
        return np.stack(out)
