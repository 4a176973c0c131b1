"""Finds out what a file or folder holds and loads it."""

import os
from pathlib import Path

import numpy as np

from . import images, meshes, nyud, pascal, scenes
from .data import Clouds, DataError

MODELNET10 = "modelnet10_train.npz"


def load(path=None, classes=None, side=None):
    """A pack (.npz) or a folder of meshes -> Clouds, Scenes if the pack has scene_start, images.Split if it has pictures.

    side: of the pictures, where a folder has them in many sizes. Without a path it is a pack in the folder that XNORD_DATA names: the one of these classes, or ModelNet10.
    """
    path = default(classes) if path is None else Path(path)
    if nyud.is_folder(path):
        return nyud.load(path)
    if pascal.is_folder(path):
        return pascal.load(path, side)
    if path.is_dir():
        return meshes.load_meshes(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file or folder")
    with np.load(path) as pack:
        if "scene_start" in pack.files:
            return scenes.load(path, pack)
        if "images" in pack.files or "rgb" in pack.files:
            return images.load(path, pack)
        if "offsets" in pack.files:
            require(path, pack, "xyz", "group")
            clouds = np.split(pack["xyz"], pack["offsets"][1:-1])
            return Clouds(clouds, pack["label"], pack["class_names"], pack["group"])
        require(path, pack, "points")
        return Clouds(pack["points"], pack["label"], pack["class_names"])


def default(classes):
    folder = os.environ.get("XNORD_DATA")
    if not folder:
        raise DataError(f"XNORD_DATA is not set: name the folder that holds {MODELNET10}, "
                        "or give --data FOLDER with meshes as FOLDER/CLASS/train/*.off")
    for path in sorted(Path(folder).glob("*.npz")) if classes else ():
        with np.load(path) as pack:
            if "class_names" in pack.files and [str(c) for c in pack["class_names"] if str(c) != "void"] == classes:
                return path
    return Path(folder) / MODELNET10


def require(path, pack, *names):
    missing = {*names, "label", "class_names"} - set(pack.files)
    if missing:
        raise DataError(f"{path}: lacks {', '.join(sorted(missing))}")
