"""Files of data sets that are folders: read, or refused by name."""

import zlib

import numpy as np
from PIL import Image

from .data import DataError


def needed(path):
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    return path


def listed(path):
    """The names in a text file, one a line."""
    names = needed(path).read_text().split()
    if not names:
        raise DataError(f"{path}: names no picture")
    return names


def picture(path, mode=None):
    """A picture as an array; as stored, or converted to a mode of PIL."""
    try:
        with Image.open(needed(path)) as image:
            return np.asarray(image.convert(mode) if mode else image)
    except (OSError, ValueError, SyntaxError, zlib.error) as error:
        raise DataError(f"{path}: not a picture ({error})") from None


def array(path):
    try:
        return np.load(needed(path))
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: not an array ({error})") from None


def fitting(values, path, *shapes):
    """`values` if their shape is one of `shapes`."""
    if values.shape not in shapes:
        raise DataError(f"{path}: is {list(values.shape)}, not {' or '.join(str(list(s)) for s in shapes)}")
    return values
