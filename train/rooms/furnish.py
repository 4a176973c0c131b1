"""A random room: walls, windows, furniture, things on top of it, lights. Everything derives from one random generator."""

from dataclasses import dataclass, field

import numpy as np

from . import CLASSES, catalogue
from .mesh import Material, box, join, model, rectangle

# What stands in which kind of room: categories of the catalogue, and the classes that every such room has.
THEMES = {
    "bedroom": (("Bedroom", "Living room"), ("bed",)),
    "living room": (("Living room",), ("sofa", "table")),
    "office": (("Office", "Living room"), ("table",)),
    "kitchen": (("Kitchen", "Living room"), ("table",)),
    "study": (("Living room", "Office", "Bedroom"), ("table", "sofa")),
}
CLEARANCE = 0.04


@dataclass
class Scene:
    """A room as triangles. Arrays by triangle; labels index rooms.CLASSES, instances count what can be told apart."""
    mesh: object
    label: np.ndarray
    instance: np.ndarray
    size: tuple
    lights: list
    ambient: np.ndarray
    taken: list


@dataclass
class Room:
    """While it is being furnished. taken: rectangles x0, y0, x1, y1 of the floor that are occupied, with their height."""
    rng: np.random.Generator
    size: tuple
    meshes: list = field(default_factory=list)
    labels: list = field(default_factory=list)
    taken: list = field(default_factory=list)
    blocked: list = field(default_factory=list)  # of the walls: (wall, from, to) along it

    def add(self, mesh, label):
        self.meshes.append(mesh)
        self.labels.append(CLASSES.index(label))

    def is_free(self, rectangle):
        x0, y0, x1, y1 = rectangle
        if x0 < 0 or y0 < 0 or x1 > self.size[0] or y1 > self.size[1]:
            return False
        return all(x1 <= a or x0 >= c or y1 <= b or y0 >= d for (a, b, c, d), _ in self.taken)

    def take(self, rectangle, height):
        self.taken.append((rectangle, height))


# Walls by number: where a piece with its back to it stands, and how it is turned. 0 north, 1 east, 2 south, 3 west.
def at_wall(size, wall, along, out):
    """-> x, y of a place `along` the wall and `out` of it, turn of what looks away from it."""
    width, depth = size[:2]
    return ((along, depth - out, 0.0), (width - out, along, -np.pi / 2), (along, out, np.pi), (out, along, np.pi / 2))[wall]


def wall_length(size, wall):
    return size[wall % 2]


def footprint(x, y, turn, width, depth):
    """The axis-parallel rectangle around a turned one."""
    c, s = abs(np.cos(turn)), abs(np.sin(turn))
    half_x, half_y = (width * c + depth * s) / 2 + CLEARANCE, (width * s + depth * c) / 2 + CLEARANCE
    return x - half_x, y - half_y, x + half_x, y + half_y


def random_colour(rng, low=0.25, high=0.9, saturation=0.35):
    grey = rng.uniform(low, high)
    return tuple(np.clip(grey * (1 + saturation * rng.uniform(-1, 1, 3)), 0.02, 0.95))


def random_texture(rng, kind):
    """Planks, tiles, stripes or speckles around mid grey. [64, 64, 3] uint8"""
    y, x = np.mgrid[:64, :64] / 64
    tone = np.zeros((64, 64))
    if kind == "planks":
        rows = np.floor(y * 4).astype(int)
        tone = rng.uniform(-0.15, 0.15, 4)[rows] + 0.05 * np.sin(40 * x + 9 * rng.uniform(size=4)[rows] + 20 * y)
        tone[::16] -= 0.25
    elif kind == "tiles":
        tone = rng.uniform(-0.06, 0.06, (2, 2))[np.floor(y * 2).astype(int), np.floor(x * 2).astype(int)]
        tone[::32] -= 0.3
        tone[:, ::32] -= 0.3
    elif kind == "stripes":
        tone = 0.12 * np.sign(np.sin(2 * np.pi * rng.integers(2, 6) * x))
    noise = rng.normal(0, rng.uniform(0.01, 0.06), (64, 64))
    return np.clip(255 * (0.75 + tone + noise)[..., None] * np.ones(3), 0, 255).astype(np.uint8)


def random_picture(rng):
    """A painting: smooth patches of colour. [32, 32, 3] uint8"""
    y, x = np.mgrid[:32, :32] / 32
    image = np.zeros((32, 32, 3))
    for _ in range(rng.integers(2, 6)):
        a, b, phase = rng.uniform(-9, 9, 3)
        image += rng.uniform(0, 1, 3) * (np.sin(a * x + b * y + phase)[..., None] > rng.uniform(-0.8, 0.8))
    return np.clip(255 * image / image.max(initial=1e-6), 0, 255).astype(np.uint8)


def outside(rng):
    """What a window shows: sky above, something green or grey below. [32, 32, 3] uint8"""
    sky, ground = rng.uniform((160, 190, 220), (230, 245, 255)), rng.uniform(45, 150) * rng.uniform((0.8, 1.0, 0.6), (1.1, 1.2, 0.9))
    horizon = rng.integers(8, 24) + np.cumsum(rng.integers(-1, 2, 32))
    image = np.where((np.arange(32)[:, None] < horizon)[..., None], sky, ground)
    return np.clip(image + rng.normal(0, 6, image.shape), 0, 255).astype(np.uint8)


def shell(room):
    """Floor, ceiling and four walls, each an instance of its own."""
    rng, (w, d, h) = room.rng, room.size
    floor = Material(random_colour(rng, 0.15, 0.7), random_texture(rng, rng.choice(["planks", "tiles", "speckles"])))
    ceiling = Material(random_colour(rng, 0.7, 0.95, 0.05))
    wall = Material(random_colour(rng, 0.35, 0.95, 0.2), random_texture(rng, rng.choice(["speckles", "speckles", "stripes", "tiles"])))
    other = wall if rng.random() < 0.7 else Material(random_colour(rng, 0.3, 0.9, 0.4))
    scale = rng.uniform(0.6, 1.6)
    room.add(rectangle((0, 0, 0), (w, 0, 0), (0, d, 0), floor, (w / scale, d / scale)), "floor")
    room.add(rectangle((0, 0, h), (w, 0, 0), (0, d, 0), ceiling), "ceiling")
    for number, (start, along, length) in enumerate((((0, d), (1, 0), w), ((w, 0), (0, 1), d), ((0, 0), (1, 0), w), ((0, 0), (0, 1), d))):
        skirting = rng.uniform(0.05, 0.12)
        sides = [rectangle((*start, 0), (along[0] * length, along[1] * length, 0), (0, 0, h), other if number == 1 else wall, (length, h))]
        x, y, _ = at_wall(room.size, number, length / 2, 0.01)
        half = np.array([length / 2 if number % 2 == 0 else 0.01, length / 2 if number % 2 else 0.01])
        sides.append(box((*(np.array([x, y]) - half), 0), (*(np.array([x, y]) + half), skirting), Material(random_colour(rng, 0.3, 0.9, 0.1))))
        room.add(join(sides), "wall")


def hang(room, width, depth, height, elevation, make, label):
    """Puts what `make(x, y, turn)` returns on a free part of a wall. -> whether there was one."""
    for _ in range(12):
        wall = int(room.rng.integers(4))
        length = wall_length(room.size, wall)
        if width + 0.3 > length:
            continue
        along = room.rng.uniform(width / 2 + 0.1, length - width / 2 - 0.1)
        low, high, top = along - width / 2 - 0.1, along + width / 2 + 0.1, elevation + height
        if any(w == wall and low < b and high > a and elevation < t and top > e for w, a, b, e, t in room.blocked):
            continue
        room.blocked.append((wall, low, high, elevation, top))
        room.add(make(*at_wall(room.size, wall, along, depth / 2)), label)
        return True
    return False


def panel(width, height, elevation, material, frame):
    """A picture: a flat box in a frame, back to the north, 3 cm deep."""
    w, h, e = width / 2, height, elevation
    border = box((-w, -0.01, e), (w, 0.015, e + h), frame)
    return join([border, rectangle((-w + 0.03, -0.015, e + 0.03), (width - 0.06, 0, 0), (0, 0, h - 0.06), material)])


def openings(room, pieces):
    """Windows and doors."""
    rng, height = room.rng, room.size[2]
    for _ in range(rng.integers(1, 4)):
        piece = pick(rng, pieces[catalogue.WINDOW])
        mesh = piece and model(piece)
        if mesh is None or piece.elevation + piece.size[2] > height - 0.05:
            continue
        glow = Material((1, 1, 1), outside(rng), glow=rng.uniform(0.5, 2.5))
        w, h, e = piece.size[0], piece.size[2], piece.elevation
        view = rectangle((-w / 2 + 0.03, 0.02, e + 0.03), (w - 0.06, 0, 0), (0, 0, h - 0.06), glow)
        frame = mesh.moved(0, 0.02 + piece.size[1] / 2 - 0.08, e)

        def make(x, y, turn, parts=join([view, frame])):
            return parts.turned(turn).moved(x, y, 0)
        hang(room, w, 0.08, h, e, make, "window")
    for _ in range(rng.integers(0, 3)):
        piece = pick(rng, pieces[catalogue.DOOR])
        mesh = piece and model(piece)
        if mesh is None or piece.size[2] > height - 0.05:
            continue
        hang(room, piece.size[0], 0.06, piece.size[2], 0.0,
             lambda x, y, turn, mesh=mesh, deep=piece.size[1]: mesh.moved(0, deep / 2 - 0.05, 0).turned(turn).moved(x, y, 0), "wall")


def decorate(room, pieces):
    """Pictures and flat screens on the walls, carpets on the floor."""
    rng = room.rng
    for _ in range(rng.integers(1, 5)):
        width, height = rng.uniform(0.25, 1.1), rng.uniform(0.25, 0.9)
        elevation = rng.uniform(1.1, 1.7)
        if elevation + height > room.size[2] - 0.1:
            continue
        mesh = panel(width, height, elevation, Material((1, 1, 1), random_picture(rng)), Material(random_colour(rng, 0.05, 0.8, 0.5)))
        hang(room, width, 0.03, height, elevation, lambda x, y, turn, mesh=mesh: mesh.turned(turn).moved(x, y, 0), "picture")
    if rng.random() < 0.4:
        width = rng.uniform(0.7, 1.5)
        screen = panel(width, width * 0.58, rng.uniform(0.8, 1.3), Material((0.02, 0.02, 0.025) if rng.random() < 0.6 else (1, 1, 1),
                       random_picture(rng), glow=0.0), Material((0.03, 0.03, 0.03)))
        hang(room, width, 0.05, width * 0.58, 0.8, lambda x, y, turn: screen.turned(turn).moved(x, y, 0), "tv")
    if rng.random() < 0.4:
        piece = pick(rng, pieces[catalogue.FLAT])
        mesh = piece and model(piece)
        if mesh is not None:
            x, y = rng.uniform(0.3, 0.7, 2) * room.size[:2]
            room.add(mesh.turned(rng.choice([0, np.pi / 2])).moved(x, y, 0.002), "floor")


def pick(rng, table, categories=None, label=None):
    """A piece of a table of catalogue.by_place; None if there is none."""
    found = [p for category, pieces in sorted(table.items()) if categories is None or category in categories
             for p in pieces if label is None or p.label == label]
    return found[rng.integers(len(found))] if found else None


def restyled(rng, mesh):
    """Another colour, one time in two."""
    return mesh.tinted(rng.uniform(0.55, 1.25, 3)) if rng.random() < 0.5 else mesh


def place(room, pieces, piece, where):
    """Finds room for a piece on the floor and puts it there, with what belongs to it. -> whether it found room."""
    mesh = model(piece)
    if mesh is None or piece.size[2] > room.size[2] - 0.05:
        return False
    rng, (width, depth, height) = room.rng, piece.size
    for _ in range(15):
        if where == catalogue.WALL:
            wall = int(rng.integers(4))
            length = wall_length(room.size, wall)
            if width + 0.1 > length:
                continue
            x, y, turn = at_wall(room.size, wall, rng.uniform(width / 2 + 0.05, length - width / 2 - 0.05), depth / 2 + 0.05)
        else:
            x, y = rng.uniform(0.1, 0.9, 2) * room.size[:2]
            turn = rng.choice([0, 1, 2, 3]) * np.pi / 2 + (rng.normal(0, 0.15) if rng.random() < 0.4 else 0)
        area = footprint(x, y, turn, width, depth)
        if not room.is_free(area):
            continue
        room.take(area, height)
        room.add(restyled(rng, mesh).turned(turn).moved(x, y, piece.elevation if piece.elevation < 0.3 else 0), piece.label)
        if piece.label in ("table", "furniture") and piece.top and 0.2 < piece.top < 1.4:
            put_on_top(room, pieces, piece, x, y, turn)
        if piece.label == "table" and height > 0.6:
            seat(room, pieces, piece, x, y, turn)
        return True
    return False


def seat(room, pieces, table, x, y, turn):
    """Chairs around a table, looking at it, more or less."""
    rng = room.rng
    chair = pick(rng, pieces[catalogue.SEAT])
    mesh = chair and model(chair)
    if mesh is None:
        return
    mesh = restyled(rng, mesh)
    for side in range(4):
        if rng.random() < 0.45:
            continue
        angle = turn + side * np.pi / 2  # side 0 is the table's north
        reach = (table.size[1] if side % 2 == 0 else table.size[0]) / 2 + chair.size[1] / 2 * rng.uniform(0.4, 1.5) + 0.1
        cx, cy = x - np.sin(angle) * reach, y + np.cos(angle) * reach
        facing = angle + rng.normal(0, 0.25)  # its front looks at -y of its own, to the table
        area = footprint(cx, cy, facing, chair.size[0] * 0.9, chair.size[1] * 0.9)
        others = Room(rng, room.size, taken=room.taken[:-1])
        if others.is_free(area):
            room.taken.insert(0, (area, chair.size[2]))
            room.add(mesh.turned(facing).moved(cx, cy, 0), "chair")


def books(rng, length, depth=0.16):
    """A row or a pile of books, `length` wide at most, in the middle of its bottom."""
    parts, at = [], -length / 2
    upright = rng.random() < 0.7
    while at < length / 2 - 0.05:
        cover = Material(random_colour(rng, 0.05, 0.8, 0.8))
        thick, high = rng.uniform(0.015, 0.05), rng.uniform(0.16, 0.27)
        if upright:
            parts.append(box((at, -depth / 2, 0), (at + thick, depth / 2 * rng.uniform(0.6, 1), high), cover))
        else:
            low = at + length / 2
            parts.append(box((-high / 2, -depth / 2, low), (high / 2, depth / 2, low + thick), cover))
            if low > 0.2:
                break
        at += thick + 0.001
    return join(parts)


def put_on_top(room, pieces, piece, x, y, turn):
    """Books and small things on a table or cabinet."""
    rng, done = room.rng, []
    for _ in range(rng.integers(0, 6)):
        if rng.random() < 0.3:
            wide = rng.uniform(0.1, 0.5)
            label, mesh, size = "books", books(rng, wide), (wide, 0.2)
        else:
            thing = pick(rng, pieces[catalogue.TOP], label=rng.choice(["objects", "objects", "objects", "tv", "books"]))
            mesh = thing and model(thing)
            if mesh is None:
                continue
            label, size = thing.label, thing.size
        spare = np.array(piece.size[:2]) / 2 - np.array(size[:2]) / 2 - 0.02
        if (spare <= 0).any():
            continue
        at = rng.uniform(-spare, spare)
        if any(abs(at[0] - ox) < (size[0] + ow) / 2 and abs(at[1] - oy) < (size[1] + od) / 2 for ox, oy, ow, od in done):
            continue
        done.append((*at, *size[:2]))
        own = rng.normal(0, 0.3)
        c, s = np.cos(turn), np.sin(turn)
        room.add(restyled(rng, mesh).turned(turn + own).moved(x + c * at[0] - s * at[1], y + s * at[0] + c * at[1], piece.top), label)


def bookcase(room):
    """A case of shelves full of books against a wall: the furniture and its books are two instances a shelf."""
    rng = room.rng
    width, height, depth = rng.uniform(0.6, 1.6), rng.uniform(0.8, 2.1), rng.uniform(0.24, 0.34)
    shelves, board = int(rng.integers(2, 6)), 0.025
    wood = Material(random_colour(rng, 0.15, 0.9, 0.3))
    for _ in range(15):
        wall = int(rng.integers(4))
        length = wall_length(room.size, wall)
        if width + 0.1 > length or height > room.size[2] - 0.1:
            continue
        x, y, turn = at_wall(room.size, wall, rng.uniform(width / 2 + 0.05, length - width / 2 - 0.05), depth / 2 + 0.03)
        area = footprint(x, y, turn, width, depth)
        if not room.is_free(area):
            continue
        w, d = width / 2, depth / 2
        parts = [box((-w, -d, 0), (-w + board, d, height), wood), box((w - board, -d, 0), (w, d, height), wood),
                 box((-w, d - 0.01, 0), (w, d, height), wood)]
        levels = np.linspace(0.05, height - board, shelves + 1)
        parts += [box((-w, -d, z), (w, d, z + board), wood) for z in levels]
        room.take(area, height)
        room.add(join(parts).turned(turn).moved(x, y, 0), "furniture")
        for z, above in zip(levels[:-1], levels[1:]):
            if above - z > 0.3 and rng.random() < 0.8:
                row = books(rng, width * rng.uniform(0.4, 0.9), depth * 0.8)
                room.add(row.turned(turn).moved(x, y, z + board), "books")
        return


def furnish(rng, pieces):
    """pieces: catalogue.by_place of the models to use. -> Scene"""
    room = Room(rng, (rng.uniform(2.8, 6.0), rng.uniform(2.8, 6.0), rng.uniform(2.35, 3.1)))
    categories, needed = THEMES[rng.choice(list(THEMES))]
    shell(room)
    openings(room, pieces)
    decorate(room, pieces)
    for label in needed:
        place_one(room, pieces, None, label)
    if rng.random() < 0.5:
        bookcase(room)
    for _ in range(rng.integers(3, 11)):
        place_one(room, pieces, categories, None)
    return finished(room)


def place_one(room, pieces, categories, label):
    rng = room.rng
    places = [catalogue.WALL, catalogue.FREE] if label else rng.choice([catalogue.WALL, catalogue.WALL, catalogue.FREE, catalogue.SEAT], 1)
    for where in places:
        piece = pick(rng, pieces[where], categories, label)
        if piece and place(room, pieces, piece, where):
            return


def finished(room):
    rng, (w, d, h) = room.rng, room.size
    lights = [(np.array([w * rng.uniform(0.3, 0.7), d * rng.uniform(0.3, 0.7), h - 0.15]), rng.uniform(1.5, 5.0) * warm(rng))]
    for _ in range(rng.integers(0, 3)):
        lights.append((rng.uniform((0.2, 0.2, 0.8), (w - 0.2, d - 0.2, h - 0.2)), rng.uniform(0.2, 1.5) * warm(rng)))
    counts = [len(m.positions) for m in room.meshes]
    return Scene(join(room.meshes), np.repeat(room.labels, counts).astype(np.uint8), np.repeat(np.arange(len(counts)), counts),
                 room.size, lights, rng.uniform(0.25, 0.6) * warm(rng), room.taken)


def warm(rng):
    """The colour of a light between warm and cold, [3]."""
    t = rng.uniform(-0.2, 0.15)
    return np.array([1 - min(t, 0) * 0.8, 1.0, 1 + t])
