"""Point clouds with labels: ModelNet packs and folders of meshes, split, preprocessing, augmentation.

Clouds are [points, 3] float32, z up.
"""

import os
from pathlib import Path

import numpy as np

MODELNET10 = "modelnet10_train.npz"
VALIDATION_EVERY = 10


class DataError(Exception):
    """The data is missing or malformed; the message is meant for the user."""


class Clouds:
    """points [clouds, points, 3], labels [clouds], names of the classes."""

    def __init__(self, points, labels, classes):
        self.points = np.ascontiguousarray(points, dtype=np.float32)
        self.labels = np.asarray(labels, dtype=np.int64)
        self.classes = [str(c) for c in classes]

    def __len__(self):
        return len(self.labels)

    def subset(self, mask):
        return Clouds(self.points[mask], self.labels[mask], self.classes)

    def split(self):
        """(training, validation): every tenth cloud, in stored order, is validation."""
        mask = validation_mask(len(self))
        return self.subset(~mask), self.subset(mask)


def validation_mask(count):
    return np.arange(count) % VALIDATION_EVERY == VALIDATION_EVERY - 1


def normalise(points):
    """Subtracts the mean and divides by the largest radius. points: [..., points, 3]."""
    points = points - points.mean(axis=-2, keepdims=True, dtype=np.float64)
    radius = np.sqrt((points ** 2).sum(-1)).max(axis=-1)[..., None, None]
    return (points / np.maximum(radius, 1e-12)).astype(np.float32)


def first_points(clouds, points):
    """Preprocessed evaluation clouds: the first `points` of each. -> [clouds, points, 3]."""
    if points > clouds.points.shape[1]:
        raise DataError(f"the data has {clouds.points.shape[1]} points a cloud, {points} wanted")
    return normalise(clouds.points[:, :points])


def load(path=None):
    """A pack (.npz) or a folder of meshes; without a path, ModelNet10 in the folder that XNORD_DATA names."""
    if path is None:
        folder = os.environ.get("XNORD_DATA")
        if not folder:
            raise DataError(f"XNORD_DATA is not set: name the folder that holds {MODELNET10}, "
                            "or give --data FOLDER with meshes as FOLDER/CLASS/train/*.off")
        path = Path(folder) / MODELNET10
    path = Path(path)
    if path.is_dir():
        return load_meshes(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file or folder")
    with np.load(path) as pack:
        missing = {"points", "label", "class_names"} - set(pack.files)
        if missing:
            raise DataError(f"{path}: lacks {', '.join(sorted(missing))}")
        return Clouds(pack["points"], pack["label"], pack["class_names"])


def read_off(path):
    """A mesh in OFF format -> vertices [n, 3] float64, triangles [m, 3] int64; polygons become fans."""
    tokens = []
    for line in Path(path).read_text(errors="replace").splitlines():
        tokens += line.split("#")[0].split()
    if not tokens or not tokens[0].startswith("OFF"):
        raise DataError(f"{path}: not an OFF file")
    # Some ModelNet files lack the line break after the magic: "OFF1568 1448 0".
    tokens = ([tokens[0][3:]] if len(tokens[0]) > 3 else []) + tokens[1:]
    try:
        n, m = int(tokens[0]), int(tokens[1])
        vertices = np.array(tokens[3:3 + 3 * n], dtype=np.float64).reshape(n, 3)
        triangles, at = [], 3 + 3 * n
        for _ in range(m):
            corners = [int(t) for t in tokens[at + 1:at + 1 + int(tokens[at])]]
            triangles += [(corners[0], b, c) for b, c in zip(corners[1:], corners[2:])]
            at = len(corners) + at + 1
        triangles = np.array(triangles, dtype=np.int64).reshape(-1, 3)
    except (ValueError, IndexError) as error:
        raise DataError(f"{path}: damaged OFF file ({error})") from None
    if not len(triangles) or triangles.min() < 0 or triangles.max() >= n:
        raise DataError(f"{path}: no faces, or a face names a vertex that does not exist")
    return vertices, triangles


def sample_surface(vertices, triangles, count, rng):
    """`count` points uniform by area. Barycentric coordinates as in Osada et al., Shape Distributions, 2002."""
    a, b, c = (vertices[triangles[:, i]] for i in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    if not area.sum() > 0:
        raise DataError("the mesh has no area")
    pick = rng.choice(len(area), count, p=area / area.sum())
    r, s = np.sqrt(rng.random((count, 1))), rng.random((count, 1))
    return (1 - r) * a[pick] + r * (1 - s) * b[pick] + r * s * c[pick]


def load_meshes(folder, points=2048, seed=0):
    """FOLDER/CLASS/train/*.off or FOLDER/CLASS/*.off, sorted by class and name."""
    classes = sorted(p.name for p in folder.iterdir() if p.is_dir())
    clouds, labels = [], []
    rng = np.random.default_rng(seed)
    for label, name in enumerate(classes):
        inner = folder / name / "train"
        for path in sorted((inner if inner.is_dir() else folder / name).glob("*.off")):
            try:
                clouds.append(normalise(sample_surface(*read_off(path), points, rng)))
            except DataError as error:
                raise DataError(str(error) if str(path) in str(error) else f"{path}: {error}") from None
            labels.append(label)
    if not clouds:
        raise DataError(f"{folder}: no CLASS/train/*.off and no CLASS/*.off below it")
    return Clouds(np.stack(clouds), labels, classes)


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
    jitter   standard deviation per coordinate
    """

    def __init__(self, points, yaw=1.0, turn=0.05, scale=0.15, jitter=0.01):
        self.points, self.yaw, self.turn, self.scale, self.jitter = points, yaw, turn, scale, jitter

    def __call__(self, clouds, rng):
        """[batch, m, 3] -> [batch, points, 3]."""
        batch, available, _ = clouds.shape
        if available < self.points:
            raise DataError(f"the data has {available} points a cloud, {self.points} wanted")
        order = rng.random((batch, available), dtype=np.float32)
        pick = np.argpartition(order, self.points - 1, axis=1)[:, :self.points]
        x = clouds[np.arange(batch)[:, None], pick]
        x = x * np.exp(rng.uniform(-1, 1, (batch, 1, 3)) * np.log1p(self.scale)).astype(np.float32)
        x[:, :, 0] *= rng.choice(np.array([-1, 1], np.float32), (batch, 1))
        angle = rng.normal(0, self.turn, batch)
        if self.yaw:
            quarters = rng.integers(4, size=batch) * (np.pi / 2)
            angle += quarters if self.yaw >= 1 else np.where(rng.random(batch) < self.yaw, quarters, 0.0)
        x = turn_about_z(x, angle)
        if self.jitter:
            x += np.float32(self.jitter) * rng.standard_normal(x.shape, dtype=np.float32)
        return normalise(x)
