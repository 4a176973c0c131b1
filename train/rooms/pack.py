"""python3 -m train.rooms.pack: makes the data set."""

import argparse
import sys

import numpy as np

from . import CLASSES, PALETTE, catalogue, render
from .furnish import furnish

FOCAL = 0.86  # of the picture's width: 60 degrees from left to right


def viewpoint(rng, scene, width, height):
    """A camera at the height of a head or a robot, out of the furniture, that looks across the room."""
    w, d, _ = scene.size
    for _ in range(60):
        x, y = rng.uniform(0.25, w - 0.25), rng.uniform(0.25, d - 0.25)
        z = rng.uniform(0.7, 1.75)
        if any(a - 0.3 < x < c + 0.3 and b - 0.3 < y < e + 0.3 and z < top + 0.4 for (a, b, c, e), top in scene.taken):
            continue
        yaw = np.arctan2(d / 2 - y, w / 2 - x) + rng.normal(0, 0.5)
        return render.looking((x, y, z), yaw, rng.uniform(-0.45, 0.02), FOCAL * width, width, height)
    return None


def worth_keeping(view):
    """Not a picture of a wall."""
    return view.depth.min() > 0.3 and np.median(view.depth) > 1.2 and len(np.unique(view.instance)) >= 7


def edges(instance, depth):
    """Pixels whose right or lower neighbour belongs to something else; the nearer of both. [height, width] bool"""
    found = np.zeros(instance.shape, bool)
    for axis in (0, 1):
        ahead = tuple(slice(1, None) if a == axis else slice(None) for a in (0, 1))
        back = tuple(slice(None, -1) if a == axis else slice(None) for a in (0, 1))
        differs = instance[ahead] != instance[back]
        nearer = depth[ahead] < depth[back]
        found[ahead] |= differs & nearer
        found[back] |= differs & ~nearer
    return found


def views(rng, function, pieces, count, width, height):
    """`count` pictures of one random room; fewer if it has too few good views."""
    scene = furnish(rng, pieces)
    for _ in range(4 * count):
        camera = viewpoint(rng, scene, width, height)
        if camera is None:
            return
        view = render.render(function, scene, camera)
        if not worth_keeping(view):
            continue
        yield dict(rgb=render.expose(rng, view.rgb), label=view.label, depth=np.clip(view.depth * 1000 + 0.5, 0, 65535).astype(np.uint16),
                   normals=np.round(view.normal * 127).astype(np.int8), edge=edges(view.instance, view.depth))
        count -= 1
        if not count:
            return


def collect(part, models, wanted, args, function, log):
    """`wanted` pictures of rooms furnished with `models`."""
    pieces, found, room = catalogue.by_place(models), [], 0
    while len(found) < wanted:
        rng = np.random.default_rng([args.seed, part, room])
        for picture in views(rng, function, pieces, args.views, args.width, args.height):
            found.append(dict(picture, room=part * 1000000 + room))
        room += 1
        log(min(len(found), wanted), wanted)
    return found[:wanted]


def progress(part):
    def show(done, total):
        if sys.stderr.isatty():
            filled = 30 * done // total
            sys.stderr.write(f"\r{part} [{'#' * filled}{'.' * (30 - filled)}] {done}/{total}" + ("\n" if done == total else ""))
            sys.stderr.flush()
    return show


def main(argv=None):
    p = argparse.ArgumentParser(prog="python3 -m train.rooms.pack", description="Render furnished rooms with dense targets into one .npz.")
    p.add_argument("-o", "--out", required=True, metavar="ROOMS.npz")
    p.add_argument("--train", type=int, default=1600, help="pictures of rooms for training (default %(default)s)")
    p.add_argument("--val", type=int, default=240, help="pictures of other rooms with other models (default %(default)s)")
    p.add_argument("--views", type=int, default=4, help="pictures of a room (default %(default)s)")
    p.add_argument("--width", type=int, default=160)
    p.add_argument("--height", type=int, default=120)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--furniture", default=catalogue.FOLDER, metavar="FOLDER", help="with the .sh3f catalogues (default %(default)s)")
    p.add_argument("--build", default="build", help="folder for the compiled renderer (default %(default)s)")
    args = p.parse_args(argv)
    try:
        models = catalogue.split(catalogue.read(args.furniture))
        function = render.library(args.build)
        pictures = []
        for part, (name, wanted) in enumerate((("train", args.train), ("val", args.val))):
            pictures += [dict(v, split=name) for v in collect(part, models[part], wanted, args, function, progress(name))]
    except OSError as error:
        print(f"rooms: {error}", file=sys.stderr)
        return 1
    arrays = {key: np.array([v[key] for v in pictures]) for key in pictures[0]}
    focal = FOCAL * args.width
    np.savez_compressed(args.out, **arrays, class_names=np.array(CLASSES), palette=np.array(PALETTE, np.uint8),
                        camera=np.array([focal, focal, args.width / 2, args.height / 2]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
