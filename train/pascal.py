"""PASCAL-Context as multi-task code lays it out (PASCAL_MT), so that it can be trained on like our own data.

  JPEGImages/ID.jpg   ImageSets/Context/train.txt, val.txt: IDs, one a line
  semseg/VOC12/ID.png or semseg/pascal-context/ID.png   0 background, 1 .. 20, 255 unknown
  pascal-context/trainval/ID.mat   LabelMap: one of 459 classes for every pixel, from which edges come
  normals_distill/ID.png   127.5 + 127.5 times a unit vector; used where the class is one that the network which made them knows
  human_parts/ID.mat   anno.objects: people's parts   sal_distill/ID.png   above 127 on what catches the eye

Truths whose folder is missing are left out (normals need LabelMap too); segmentation is needed. Pictures differ in size: they are made
smaller until the longer side fits, and what is left of a square is unknown.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from . import folders, images, matfile
from .data import DataError

CLASSES = ["background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
           "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"]
LIST = "ImageSets/Context/train.txt"
SIDE = 160
# Names of parts in human_parts -> their number in targets.PARTS.
PARTS = {name: number for number, names in enumerate((
    "hair head lear lebrow leye mouth nose rear rebrow reye", "neck torso", "luarm ruarm", "lhand llarm rhand rlarm", "luleg ruleg",
    "lfoot llleg rfoot rlleg"), 1) for name in names.split()}
PERSON = 15
# Classes of LabelMap that NYUD-v2 has too, by name, and tvmonitor: the normals are those of a network trained there.
NORMALS_OF = np.array("""
    3 4 6 9 10 11 13 15 17 18 22 23 29 30 33 34 36 37 38 39 41 43 46 49 50 51 53 55 56 59 61 62 65 66 68 69 72 73 78 83 84 85 87
    88 95 96 101 104 105 107 111 113 115 122 124 135 141 142 143 146 150 154 157 158 159 165 172 174 181 183 184 191 193 195 197
    199 202 213 215 216 219 220 223 225 228 230 232 233 238 239 242 243 246 250 251 252 255 260 261 263 269 272 273 275 281 283
    284 285 286 287 288 290 291 292 293 295 304 307 309 310 314 315 319 323 329 330 331 336 342 345 349 350 351 352 355 357 368
    370 371 374 379 380 383 384 397 401 403 405 407 408 411 412 413 414 417 419 421 423 427 429 430 432 440 441 442 443 444 446
    454 457
""".split(), np.int32)


def is_folder(path):
    return (Path(path) / LIST).is_file()


def load(path, side=None):
    """-> images.Split of pictures of `side` x `side`"""
    path, side = Path(path), side or SIDE
    return images.Split(part(path, "train", side), part(path, "val", side), by_time=False)


def part(path, name, side):
    ids = folders.listed(path / "ImageSets" / "Context" / f"{name}.txt")
    kinds = [kind for kind, folders_of in FOLDERS.items() if all((path / folder).is_dir() for folder in folders_of)]
    first = read(path, ids[0], kinds, side)
    stacked = {kind: np.empty((len(ids), *value.shape), value.dtype) for kind, value in first.items()}
    for i, one in enumerate(ids):
        for kind, value in (read(path, one, kinds, side) if i else first).items():
            stacked[kind][i] = value
    pictures, labels = stacked.pop("picture"), stacked.pop("labels")
    return images.Pictures(pictures, labels, [f"{name}_{i}" for i in ids], CLASSES, stacked)


def read(path, name, kinds, side):
    """Everything of one picture, in squares."""
    whole = folders.picture(path / "JPEGImages" / f"{name}.jpg", "RGB")
    size = whole.shape[:2]
    truth = {"labels": (segmentation(path, name, size), images.VOID)}
    context = label_map(path, name, size) if "edge" in kinds else None
    truth.update({kind: READ[kind](path, name, size, context) for kind in kinds if kind in READ})
    factor = min(1, side / max(size))
    small = [max(1, round(n * factor)) for n in size]
    rows, columns = ((np.arange(m) + 0.5) * n // m for m, n in zip(small, size))
    near = np.ix_(rows.astype(int), columns.astype(int))
    image = np.asarray(Image.fromarray(whole).resize(small[::-1], Image.BILINEAR))
    out = {"picture": square(image, side, np.round(255 * images.MEAN).astype(np.uint8))}
    out.update({kind: square(value[near], side, unknown) for kind, (value, unknown) in truth.items()})
    if context is not None:  # of the smaller picture, so that they stay one pixel wide
        out["edge"] = square(images.edges(context[near]).astype(np.uint8), side, images.VOID)
    return out


def square(values, side, unknown):
    out = np.empty((side, side, *values.shape[2:]), values.dtype)
    out[:] = unknown
    out[:values.shape[0], :values.shape[1]] = values
    return out


def segmentation(path, name, size):
    files = [path / "semseg" / folder / f"{name}.png" for folder in ("VOC12", "pascal-context")]
    file = next((f for f in files if f.is_file()), None)
    if file is None:
        raise DataError(f"{files[1]}: no such file, nor in VOC12")
    return folders.fitting(folders.picture(file), file, size)


def mat(file, *names):
    """The value under these names, of structures of one element; DataError if it is not there."""
    value = matfile.load(file)
    for name in names:
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if not isinstance(value, dict) or name not in value:
            raise DataError(f"{file}: lacks {'.'.join(names)}")
        value = value[name]
    return value


def label_map(path, name, size):
    file = path / "pascal-context" / "trainval" / f"{name}.mat"
    found = mat(file, "LabelMap")
    if not isinstance(found, np.ndarray):
        raise DataError(f"{file}: LabelMap is not a matrix")
    return folders.fitting(found, file, size).astype(np.int32)


def normals(path, name, size, context):
    file = path / "normals_distill" / f"{name}.png"
    vectors = folders.picture(file, "RGB").astype(np.float32) / 127.5 - 1
    vectors = resized(folders.fitting(vectors, file, (*vectors.shape[:2], 3)), size)
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    known = np.isin(context, NORMALS_OF)[..., None] & (length > 0)
    return np.round(127 * vectors / np.where(length > 0, length, 1) * known).astype(np.int8), 0


def saliency(path, name, size, _):
    return (resized(folders.picture(path / "sal_distill" / f"{name}.png", "L"), size) > 127).astype(np.uint8), images.VOID


def resized(values, size):
    """What a network wrote may have another size: the nearest pixel's value."""
    rows, columns = ((np.arange(n) + 0.5) * m // n for m, n in zip(values.shape, size))
    return values[np.ix_(rows.astype(int), columns.astype(int))]


def parts(path, name, size, _):
    """Unknown in pictures in which nobody's parts are marked."""
    file = path / "human_parts" / f"{name}.mat"
    out, marked = np.zeros(size, np.uint8), False
    try:
        for thing in mat(file, "anno", "objects"):
            for one in thing["parts"] if int(np.ravel(thing["class_ind"])[0]) == PERSON else ():
                out[folders.fitting(one["mask"], file, size) != 0] = PARTS[one["part_name"]]
                marked = True
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise DataError(f"{file}: not people's parts ({error!r})") from None
    return out if marked else np.full(size, images.VOID, np.uint8), images.VOID


# What there may be beside the segmentation, and the folders it needs. Edges are made when the size is known.
FOLDERS = {
    "normals": ("normals_distill", "pascal-context/trainval"),
    "edge": ("pascal-context/trainval",),
    "parts": ("human_parts",),
    "saliency": ("sal_distill",),
}
READ = {"normals": normals, "parts": parts, "saliency": saliency}
