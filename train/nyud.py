"""NYUD-v2 as multi-task code lays it out, one folder for each truth, so that it can be trained on like our own data.

  images/ID.png or .jpg   segmentation/ID.png, 0 unknown, 1 .. 40   depth/ID.npy, metres, 0 unknown
  normals/ID.npy [height, width, 3], 0 unknown   edge/ID.npy, above 0 on edges   gt_sets/train.txt, gt_sets/val.txt: IDs, one a line

Pictures are of one size. Truths whose folder is missing are left out; segmentation is needed.
"""

from pathlib import Path

import numpy as np

from . import folders, images
from .data import DataError

CLASSES = [f"class_{i + 1}" for i in range(40)]
LIST = "gt_sets/train.txt"


def is_folder(path):
    return (Path(path) / LIST).is_file()


def load(path):
    """-> images.Split"""
    path = Path(path)
    return images.Split(part(path, "train"), part(path, "val"), by_time=False)


def part(path, name):
    ids = folders.listed(path / "gt_sets" / f"{name}.txt")
    pictures = [folders.picture(picture_of(path, i), "RGB") for i in ids]
    size = pictures[0].shape[:2]
    labels = stack(size, ids, lambda i: path / "segmentation" / f"{i}.png", folders.picture).astype(np.int64) - 1
    more = {truth: stack(size, ids, lambda i: path / truth / f"{i}.npy", folders.array, stored, last)
            for truth, (stored, last) in STORED.items() if (path / truth).is_dir()}
    for i, picture in zip(ids, pictures):
        folders.fitting(picture, picture_of(path, i), pictures[0].shape)
    return images.Pictures(np.stack(pictures), np.where(labels < 0, images.VOID, labels), [f"{name}_{i}" for i in ids], CLASSES, more)


def stack(size, ids, file_of, read, stored=lambda x: x, last=()):
    """What is read of every picture, its shape checked."""
    return np.stack([stored(folders.fitting(read(file_of(i)), file_of(i), (*size, *last))) for i in ids])


def picture_of(path, name):
    for end in (".png", ".jpg"):
        if (path / "images" / (name + end)).is_file():
            return path / "images" / (name + end)
    raise DataError(f"{path / 'images' / name}: neither .png nor .jpg")


def as_millimetres(depth):
    return np.clip(np.nan_to_num(depth) * 1000 + 0.5, 0, 65535).astype(np.uint16)


def as_bytes(normals):
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    return np.round(127 * normals / np.where(length > 0, length, 1)).astype(np.int8)


# How a truth is kept, and what its files have behind height and width.
STORED = {"depth": (as_millimetres, ()), "normals": (as_bytes, (3,)), "edge": (lambda edge: (edge > 0).astype(np.uint8), ())}
