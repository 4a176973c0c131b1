"""NYUD-v2 as multi-task code lays it out, one folder for each truth, so that it can be trained on like our own data.

  images/ID.png or .jpg   segmentation/ID.png, 0 unknown, 1 .. 40   depth/ID.npy, metres, 0 unknown
  normals/ID.npy [height, width, 3], 0 unknown   edge/ID.npy, above 0 on edges   gt_sets/train.txt, gt_sets/val.txt: IDs, one a line

Pictures are of one size. Truths whose folder is missing are left out; segmentation is needed.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from . import images
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
    listed = path / "gt_sets" / f"{name}.txt"
    if not listed.is_file():
        raise DataError(f"{listed}: no such file")
    ids = listed.read_text().split()
    pictures = [np.asarray(Image.open(picture_of(path, i)).convert("RGB")) for i in ids]
    labels = np.stack([np.asarray(Image.open(needed(path / "segmentation" / f"{i}.png"))) for i in ids]).astype(np.int64) - 1
    more = {}
    for truth, stored in STORED.items():
        if (path / truth).is_dir():
            more[truth] = np.stack([stored(np.load(needed(path / truth / f"{i}.npy"))) for i in ids])
    return images.Pictures(np.stack(pictures), np.where(labels < 0, images.VOID, labels), [f"{name}_{i}" for i in ids], CLASSES, more)


def picture_of(path, name):
    for end in (".png", ".jpg"):
        if (path / "images" / (name + end)).is_file():
            return path / "images" / (name + end)
    raise DataError(f"{path / 'images' / name}: neither .png nor .jpg")


def needed(path):
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    return path


def as_millimetres(depth):
    return np.clip(np.nan_to_num(depth) * 1000 + 0.5, 0, 65535).astype(np.uint16)


def as_bytes(normals):
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    return np.round(127 * normals / np.where(length > 0, length, 1)).astype(np.int8)


STORED = {"depth": as_millimetres, "normals": as_bytes, "edge": lambda edge: (edge > 0).astype(np.uint8)}
