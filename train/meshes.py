"""Meshes in OFF format, the layout of ModelNet, as point clouds."""

from pathlib import Path

import numpy as np

from .data import Clouds, DataError, normalise


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
