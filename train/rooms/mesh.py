"""Triangles with normals, texture coordinates and materials; OBJ models out of a catalogue; boxes and rectangles."""

import functools
import io
import posixpath
import zipfile
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

MAX_TRIANGLES = 60000
TEXTURE_SIDE = 128


@dataclass(frozen=True)
class Material:
    """rgb: linear 0..1, times the texture if there is one [height, width, 3] uint8 sRGB. glow: shines by itself."""
    rgb: tuple
    texture: np.ndarray = None
    glow: float = 0.0


@dataclass(frozen=True)
class Mesh:
    """positions, normals [triangles, 3 corners, 3], uv [triangles, 3 corners, 2], material [triangles] into materials."""
    positions: np.ndarray
    normals: np.ndarray
    uv: np.ndarray
    material: np.ndarray
    materials: tuple

    def turned(self, angle):
        """About z, radians, counterclockwise."""
        c, s = np.cos(angle), np.sin(angle)
        turn = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]], np.float32)
        return replace(self, positions=self.positions @ turn, normals=self.normals @ turn)

    def moved(self, x, y, z):
        return replace(self, positions=self.positions + np.array([x, y, z], np.float32))

    def tinted(self, tint):
        """All materials times `tint` [3]."""
        return replace(self, materials=tuple(replace(m, rgb=tuple(np.clip(np.multiply(m.rgb, tint), 0, 1))) for m in self.materials))


def flat_normals(positions):
    normals = np.cross(positions[:, 1] - positions[:, 0], positions[:, 2] - positions[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    return np.repeat(normals[:, None], 3, axis=1).astype(np.float32)


def rectangle(corner, along, up, material, repeat=(1, 1)):
    """The rectangle corner + s·along + t·up; its texture is repeated."""
    a, b, c = (np.asarray(v, np.float32) for v in (corner, along, up))
    corners = np.stack([a, a + b, a + b + c, a + c])
    uv = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32) * np.asarray(repeat, np.float32)
    faces = np.array([[0, 1, 2], [0, 2, 3]])
    positions = corners[faces]
    return Mesh(positions, flat_normals(positions), uv[faces], np.zeros(2, np.int32), (material,))


def box(low, high, material):
    """An axis-parallel box."""
    low, high = np.asarray(low, np.float32), np.asarray(high, np.float32)
    x, y, z = np.diag(high - low)
    sides = [rectangle(low, x, z, material), rectangle(low + y, x, z, material), rectangle(low, y, z, material),
             rectangle(low + x, y, z, material), rectangle(low, x, y, material), rectangle(low + z, x, y, material)]
    return join(sides)


def join(meshes):
    """One mesh of several."""
    materials, indices = [], []
    for mesh in meshes:
        indices.append(mesh.material + len(materials))
        materials.extend(mesh.materials)
    return Mesh(*(np.concatenate([getattr(m, k) for m in meshes]) for k in ("positions", "normals", "uv")),
                np.concatenate(indices).astype(np.int32), tuple(materials))


def read_texture(archive, name):
    try:
        image = Image.open(io.BytesIO(archive.read(name))).convert("RGB")
        image.thumbnail((TEXTURE_SIDE, TEXTURE_SIDE), Image.BILINEAR)
        return np.asarray(image)
    except (KeyError, OSError, ValueError):
        return None


def read_materials(archive, name):
    """-> name -> Material, or None for glass. Textures that cannot be read are left out."""
    materials, current = {}, None
    try:
        text = archive.read(name).decode("latin1")
    except KeyError:
        return {}
    for line in text.splitlines():
        key, _, rest = line.strip().partition(" ")
        if key == "newmtl":
            current = rest.strip()
            materials[current] = Material((0.6, 0.6, 0.6))
        elif current is None or materials[current] is None:
            continue
        elif key == "Kd":
            materials[current] = replace(materials[current], rgb=tuple(float(v) for v in rest.split()[:3]))
        elif key == "d" and float(rest.split()[-1]) < 0.6:
            materials[current] = None
        elif key == "map_Kd":
            texture = read_texture(archive, posixpath.join(posixpath.dirname(name), rest.split()[-1]))
            if texture is not None:
                materials[current] = replace(materials[current], texture=texture)
    return materials


def corner_index(text, counts):
    """A corner `v/vt/vn` of a face as indices from 0, -1 where there is none."""
    parts = (text.split("/") + ["", ""])[:3]
    return [int(p) - 1 if p and int(p) > 0 else counts[k] + int(p) if p else -1 for k, p in enumerate(parts)]


def read_obj(archive, name):
    """The triangles as they stand in the file, y up. None if there are none or too many."""
    lists = {"v": [], "vt": [], "vn": []}
    materials, order, current, corners, used = {}, {}, -1, [], []
    for line in archive.read(name).decode("latin1").splitlines():
        key, _, rest = line.partition(" ")
        if key in lists:
            lists[key].append([float(v) for v in rest.split()[:2 if key == "vt" else 3]])
        elif key == "f":
            counts = [len(lists[k]) for k in ("v", "vt", "vn")]
            polygon = [corner_index(t, counts) for t in rest.split()]
            for k in range(2, len(polygon)):
                corners.append((polygon[0], polygon[k - 1], polygon[k]))
                used.append(current)
        elif key == "usemtl":
            current = order.setdefault(rest.strip(), len(order))
        elif key == "mtllib":
            materials.update(read_materials(archive, posixpath.join(posixpath.dirname(name), rest.strip())))
    if not 0 < len(corners) <= MAX_TRIANGLES:
        return None
    return assemble(lists, np.array(corners), np.array(used), [materials.get(n, Material((0.6, 0.6, 0.6))) for n in order])


def assemble(lists, corners, used, materials):
    materials = materials + [Material((0.6, 0.6, 0.6))]  # of faces without one, index -1
    solid = np.array([m is not None for m in materials])[used]
    corners, used = corners[solid], used[solid]
    if not len(corners):
        return None
    positions = np.array(lists["v"], np.float32)[corners[..., 0]]
    normals = flat_normals(positions)
    if lists["vn"]:
        given = corners[..., 2] >= 0
        normals[given] = np.array(lists["vn"], np.float32)[corners[..., 2][given]]
    uv = np.zeros((*corners.shape[:2], 2), np.float32)
    if lists["vt"]:
        given = corners[..., 1] >= 0
        uv[given] = np.array(lists["vt"], np.float32)[corners[..., 1][given]]
    kept = tuple(m or Material((0.6, 0.6, 0.6)) for m in materials)
    return Mesh(positions, normals, uv, (used % len(kept)).astype(np.int32), kept)


@functools.lru_cache(maxsize=600)
def model(piece):
    """The model of a piece in metres: z up, front towards -y, the middle of its bottom at the origin. None if it is unusable."""
    with zipfile.ZipFile(piece.archive) as archive:
        mesh = read_obj(archive, piece.model)
    if mesh is None:
        return None
    axes = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], np.float32)  # x, y, z of the file -> x, -z, y
    if piece.rotation:
        axes = np.array(piece.rotation, np.float32).reshape(3, 3).T @ axes
    positions, normals = mesh.positions @ axes, mesh.normals @ axes
    low, high = positions.reshape(-1, 3).min(0), positions.reshape(-1, 3).max(0)
    scale = np.array(piece.size, np.float32) / np.maximum(high - low, 1e-6)
    positions = (positions - [(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]]) * scale
    return replace(mesh, positions=positions.astype(np.float32), normals=(normals / scale).astype(np.float32))
