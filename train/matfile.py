"""Reads MATLAB's files of version 5: numbers, text, cells and structures."""

import math
import struct
import zlib

import numpy as np

from .data import DataError
from .folders import needed

NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8", 16: "u1", 17: "u2"}
MATRIX, COMPRESSED = 14, 15
CELL, STRUCTURE, TEXT, FIRST_NUMERIC, LAST_NUMERIC = 1, 2, 4, 6, 15
DEEPEST = 16
LARGEST = 1 << 28  # bytes of a variable


def load(path):
    """-> {name: value}. Numbers are arrays, text str, a cell a list, a structure a list of dicts; lists run down the columns."""
    data = needed(path).read_bytes()
    if len(data) < 128 or data[126:128] not in (b"IM", b"MI"):
        raise DataError(f"{path}: not a MATLAB file of version 5")
    try:
        order = "<" if data[126:128] == b"IM" else ">"
        return dict(variable for kind, part in elements(data[128:], order) for variable in variables(kind, part, order))
    except (struct.error, zlib.error, ValueError, KeyError) as error:
        raise DataError(f"{path}: damaged ({error})") from None


def elements(data, order):
    at = 0
    while at < len(data):
        kind, size, start = tag(data, at, order)
        if start + size > len(data):
            raise ValueError(f"an element of {size} bytes in {len(data) - start}")
        yield kind, data[start:start + size]
        at = start + size
        at += 0 if kind == COMPRESSED else -at % 8


def tag(data, at, order):
    """-> type, bytes, where they begin. Up to four bytes stand in the tag itself."""
    word, size = struct.unpack_from(order + "II", data, at)
    return (word & 0xffff, word >> 16, at + 4) if word >> 16 else (word, size, at + 8)


def variables(kind, data, order):
    if kind == COMPRESSED:
        stream = zlib.decompressobj()
        data = stream.decompress(data, LARGEST)
        if not stream.eof:
            raise ValueError("a compressed variable is cut off or too large")
        kind, data = next(elements(data, order))
    if kind == MATRIX:
        yield matrix(data, order, DEEPEST)


def matrix(data, order, depth):
    """-> name, value"""
    if not depth:
        raise ValueError("nested too deeply")
    if not data:
        return "", np.zeros((0, 0))
    parts = list(elements(data, order))
    if len(parts) < 3:
        raise ValueError("a variable without type, size and name")
    (_, flags), (_, shape), (_, name), *parts = parts
    kind = struct.unpack_from(order + "I", flags)[0] & 0xff
    shape, name = np.frombuffer(shape, order + "i4").tolist(), name.decode("latin-1")
    count = math.prod(shape)
    if not 0 <= count <= len(data):
        raise ValueError(f"{count} values in {len(data)} bytes")
    if kind == CELL:
        return name, [matrix(part, order, depth - 1)[1] for _, part in required(parts, count)]
    if kind == STRUCTURE:
        (_, width), (_, names), *parts = required(parts, 2, more=True)
        width = max(1, struct.unpack(order + "i", width)[0])
        fields = [names[i:i + width].split(b"\0")[0].decode("latin-1") for i in range(0, len(names), width)]
        values = [matrix(part, order, depth - 1)[1] for _, part in required(parts, count * len(fields))]
        return name, [dict(zip(fields, values[i * len(fields):(i + 1) * len(fields)])) for i in range(count)]
    if kind != TEXT and not FIRST_NUMERIC <= kind <= LAST_NUMERIC:
        raise ValueError(f"a variable of class {kind}")
    (stored, part), = required(parts[:1], 1)
    values = np.frombuffer(part, order + NUMBERS[stored])
    if kind == TEXT:
        return name, "".join(map(chr, values))
    return name, values.reshape(shape, order="F")


def required(parts, count, more=False):
    if len(parts) < count or (len(parts) > count and not more):
        raise ValueError(f"{len(parts)} parts, not {count}")
    return parts
