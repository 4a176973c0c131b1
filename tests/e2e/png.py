#!/usr/bin/env python3
"""Writes and reads the PNG files of cli_test.sh with nothing but the standard library.

write FILE          96 x 64: a red quarter of 48 x 32, a blue square of 16 x 16, the rest grey
large FILE          2000 x 1500, grey
labels FILE         fails unless FILE has indexes 0 where `write` is red and 2 where it is blue
depth FILE          fails unless FILE has 16 bits and the depth of grey
top FILE            fails unless the upper half has index 0 and the lower 1
size FILE W H       fails unless FILE is at least so large
"""

import struct
import sys
import zlib


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def write(path, width, height, colour):
    rows = b"".join(b"\0" + b"".join(bytes(colour(x, y)) for x in range(width)) for y in range(height))
    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) +
                   chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def picture(x, y):
    if x < 48 and y < 32:
        return 230, 20, 10
    return (0, 0, 255) if 70 <= x < 86 and 36 <= y < 52 else (90, 90, 90)


def paeth(a, b, c):
    p = a + b - c
    return min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]


def read(path):
    """-> width, height, bits, colour type, rows of bytes"""
    data = open(path, "rb").read()
    width, height, bits, kind = struct.unpack(">IIBB", data[16:26])
    at, packed = 8, b""
    while at < len(data):
        size, name = struct.unpack(">I4s", data[at:at + 8])
        packed += data[at + 8:at + 8 + size] if name == b"IDAT" else b""
        at += size + 12
    step = bits // 8 * {0: 1, 2: 3, 3: 1}[kind]
    raw, rows, above = zlib.decompress(packed), [], bytes(width * step)
    for y in range(height):
        line = raw[y * (width * step + 1):(y + 1) * (width * step + 1)]
        row = bytearray()
        for i, value in enumerate(line[1:]):
            left, upper = (row[i - step] if i >= step else 0), above[i]
            corner = above[i - step] if i >= step else 0
            row.append(value + [0, left, upper, (left + upper) // 2, paeth(left, upper, corner)][line[0]] & 255)
        rows.append(bytes(row))
        above = rows[-1]
    return width, height, bits, kind, rows


def main(what, path, *more):
    if what == "write":
        return write(path, 96, 64, picture)
    if what == "large":
        return write(path, 2000, 1500, lambda x, y: (90, 90, 90))
    width, height, bits, kind, rows = read(path)
    if what == "size":
        assert width >= int(more[0]) and height >= int(more[1]), (width, height)
    if what == "labels":
        assert (width, height, bits, kind) == (96, 64, 8, 3), (width, height, bits, kind)
        wanted = {(230, 20, 10): 0, (0, 0, 255): 2, (90, 90, 90): 3}
        wrong = sum(rows[y][x] != wanted[picture(x, y)] for y in range(height) for x in range(width))
        assert wrong < 80, wrong  # only along the borders, where colours mix
    if what == "depth":
        assert (width, height, bits, kind) == (96, 64, 16, 0), (width, height, bits, kind)
        metres = 0.5 + 4 * 90 / 255
        assert abs(struct.unpack_from(">H", rows[60], 2 * 5)[0] - 1000 * metres) <= 1
    if what == "top":
        assert set(b"".join(rows[:height // 2 - 2])) == {0} and set(b"".join(rows[height // 2 + 2:])) == {1}
    return None


if __name__ == "__main__":
    main(*sys.argv[1:])
