#!/usr/bin/env python3
"""Makes up a small park as a laser scanner might see it: samples/make_scene.py FILE.ply

Rolling ground with grass, trees of trunk, boughs and leaves, and clutter: benches, boxes, poles. About 60,000 points of
x y z float32 in metres, z up, in random order, each with its class as `label`: 0 ground, 1 tree, 2 clutter. The same scene on
every machine. Nothing in it was measured anywhere; it may be used for any purpose.
"""

import math
import random
import struct
import sys

SIDE = 24.0  # metres
GROUND_POINTS, TREES, CLUTTER = 30000, 14, 6
GROUND, TREE, THING = range(3)


def ground(x, y):
    return 0.6 * math.sin(x / 7) + 0.4 * math.cos(y / 5 + x / 11) + 0.02 * x


def make_ground(rng):
    for _ in range(GROUND_POINTS):
        x, y = rng.uniform(0, SIDE), rng.uniform(0, SIDE)
        yield x, y, ground(x, y) + abs(rng.gauss(0, 0.025)), GROUND


def along(rng, start, end, thick, thin, count):
    """Points on the bark of a bough that gets thinner from start to end."""
    for _ in range(count):
        t, angle = rng.random(), rng.uniform(0, 2 * math.pi)
        radius = thick + (thin - thick) * t
        at = [a + (b - a) * t for a, b in zip(start, end)]
        yield at[0] + radius * math.cos(angle), at[1] + radius * math.sin(angle), at[2] + rng.gauss(0, 0.01), TREE


def make_tree(rng):
    x, y = rng.uniform(2, SIDE - 2), rng.uniform(2, SIDE - 2)
    foot, height, crown = ground(x, y), rng.uniform(6, 11), rng.uniform(1.6, 2.8)
    trunk = height * rng.uniform(0.3, 0.4)
    top = (x + rng.gauss(0, 0.2), y + rng.gauss(0, 0.2), foot + height * 0.9)
    yield from along(rng, (x, y, foot), top, 0.22, 0.03, 350)
    for _ in range(14):
        t, turn, rise = rng.uniform(trunk / height, 0.85), rng.uniform(0, 2 * math.pi), rng.uniform(0.2, 1.4)
        start = [a + (b - a) * t for a, b in zip((x, y, foot), top)]
        reach = crown * rng.uniform(0.6, 1.0)
        end = (start[0] + reach * math.cos(turn), start[1] + reach * math.sin(turn), start[2] + rise)
        yield from along(rng, start, end, 0.06, 0.01, 35)
        for _ in range(90):  # leaves
            s = rng.uniform(0.35, 1.1)
            yield tuple(a + (b - a) * s + rng.gauss(0, 0.28) for a, b in zip(start, end)) + (TREE,)


def make_thing(rng):
    """A box on the ground, seen from outside: bench, bin or post."""
    wide, deep, high = rng.choice([(1.8, 0.5, 0.5), (0.5, 0.5, 1.0), (0.12, 0.12, 2.6), (1.2, 0.8, 1.1)])
    x, y, turn = rng.uniform(1, SIDE - 1), rng.uniform(1, SIDE - 1), rng.uniform(0, math.pi)
    for _ in range(450):
        u, v, w = (rng.uniform(-0.5, 0.5) for _ in range(3))
        face = rng.randrange(5)  # four sides and the top
        if face < 4:
            u, v = ((0.5, v), (-0.5, v), (u, 0.5), (u, -0.5))[face]
        else:
            w = 0.5
        a, b = u * wide, v * deep
        px, py = x + a * math.cos(turn) - b * math.sin(turn), y + a * math.sin(turn) + b * math.cos(turn)
        yield px, py, ground(px, py) + (w + 0.5) * high + rng.gauss(0, 0.008), THING


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    rng = random.Random(2026)
    points = list(make_ground(rng))
    for _ in range(TREES):
        points += make_tree(rng)
    for _ in range(CLUTTER):
        points += make_thing(rng)
    rng.shuffle(points)
    with open(sys.argv[1], "wb") as file:
        file.write(("ply\nformat binary_little_endian 1.0\ncomment made by make_scene.py\n"
                    f"element vertex {len(points)}\nproperty float x\nproperty float y\nproperty float z\n"
                    "property uchar label\nend_header\n").encode())
        for x, y, z, label in points:
            file.write(struct.pack("<fffB", x, y, z, label))


if __name__ == "__main__":
    main()
