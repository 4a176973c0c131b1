"""Pictures of a scene: colour with light and shadow, and what is exactly known of every pixel."""

import ctypes
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np

NEAR = 0.05
SHADOW_SIDE = 384
SAMPLES = 2  # per pixel and axis; targets are those of the upper left one


def library(build):
    """visible.c as a shared library, compiled into the folder `build` unless it is there and newer."""
    source, target = Path(__file__).with_name("visible.c"), Path(build) / "rooms_visible.so"
    if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
        target.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cc", "-std=c11", "-O3", "-fPIC", "-shared", str(source), "-o", str(target), "-lm"], check=True)
    function = ctypes.CDLL(str(target.resolve())).rooms_visible
    function.restype = None
    return function


@dataclass
class Camera:
    """position [3]; axes [3, 3]: rows right, down, forward; focal: per pixel of width; width, height in pixels."""
    position: np.ndarray
    axes: np.ndarray
    focal: float
    width: int
    height: int

    def points(self, positions):
        return np.ascontiguousarray((positions - self.position.astype(np.float32)) @ self.axes.T.astype(np.float32), np.float32)

    def rays(self):
        """Directions with z = 1, [height, width, 3] in the camera's axes."""
        y, x = np.mgrid[:self.height, :self.width] + 0.5
        return np.stack([(x - self.width / 2) / self.focal, (y - self.height / 2) / self.focal, np.ones_like(x)], -1)


def looking(position, yaw, pitch, focal, width, height):
    """yaw: 0 looks east, counterclockwise; pitch: up."""
    forward = np.array([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), np.sin(pitch)])
    right = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
    return Camera(np.asarray(position, float), np.stack([right, np.cross(forward, right), forward]), focal, width, height)


def visible(function, camera, points):
    """-> depth (inf: nothing), triangle (-1: nothing), both [height, width]. points: of the camera, [triangles, 3, 3]"""
    inverse = np.empty((camera.height, camera.width), np.float32)
    triangle = np.empty((camera.height, camera.width), np.int32)
    pointer = ctypes.c_void_p
    function(ctypes.c_size_t(len(points)), pointer(points.ctypes.data), *(ctypes.c_float(v) for v in (
        camera.focal, camera.focal, camera.width / 2, camera.height / 2, NEAR)), camera.width, camera.height,
        pointer(inverse.ctypes.data), pointer(triangle.ctypes.data))
    with np.errstate(divide="ignore"):
        return 1.0 / inverse, triangle


class Materials:
    """The materials of a scene as arrays, all textures one after the other."""

    def __init__(self, materials):
        self.rgb = np.array([m.rgb for m in materials], np.float32)
        self.glow = np.array([m.glow for m in materials], np.float32)
        sizes = [m.texture.shape[:2] if m.texture is not None else (1, 1) for m in materials]
        self.height, self.width = np.array(sizes).T
        texels = [m.texture.reshape(-1, 3) if m.texture is not None else np.full((1, 3), 255, np.uint8) for m in materials]
        self.first = np.concatenate([[0], np.cumsum([len(t) for t in texels])[:-1]])
        self.texels = (np.concatenate(texels) / np.float32(255)) ** np.float32(2.2)

    def colour(self, material, uv):
        """[n], [n, 2] -> linear [n, 3]"""
        width, height = self.width[material], self.height[material]
        with np.errstate(invalid="ignore"):
            x = np.nan_to_num((uv[:, 0] % 1) * width).astype(np.int64) % width
            y = np.nan_to_num((-uv[:, 1] % 1) * height).astype(np.int64) % height
        return self.rgb[material] * self.texels[self.first[material] + y * width + x]


def barycentric(corners, points):
    """corners [n, 3, 3], points in their planes [n, 3] -> weights [n, 3]"""
    a, b, p = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0], points - corners[:, 0]
    aa, ab, bb = (a * a).sum(1), (a * b).sum(1), (b * b).sum(1)
    pa, pb = (p * a).sum(1), (p * b).sum(1)
    scale = 1 / np.maximum(aa * bb - ab * ab, 1e-20)
    v, w = (bb * pa - ab * pb) * scale, (aa * pb - ab * pa) * scale
    return np.clip(np.stack([1 - v - w, v, w], 1), 0, 1)


def lit_from_above(function, scene, positions, light):
    """Whether the light, which shines down, reaches points [n, 3]: a shadow map of 140 degrees."""
    down = Camera(light, np.array([[1.0, 0, 0], [0, -1, 0], [0, 0, -1]]), SHADOW_SIDE / 2 / np.tan(np.deg2rad(70)), SHADOW_SIDE, SHADOW_SIDE)
    depth, _ = visible(function, down, down.points(scene.mesh.positions))
    seen = (positions - light) @ down.axes.T
    z = np.maximum(seen[:, 2], 1e-3)
    x = (seen[:, 0] / z * down.focal + SHADOW_SIDE / 2).astype(np.int64)
    y = (seen[:, 1] / z * down.focal + SHADOW_SIDE / 2).astype(np.int64)
    inside = (seen[:, 2] > 1e-3) & (x >= 0) & (y >= 0) & (x < SHADOW_SIDE) & (y < SHADOW_SIDE)
    reached = np.ones(len(positions), bool)
    reached[inside] = z[inside] <= depth[y[inside], x[inside]] * 1.02 + 0.03
    return reached


@dataclass
class View:
    """One picture. rgb: linear float [height, width, 3]; depth: metres along the axis; label, instance; normal towards the
    camera, in its axes (x right, y down, z forward). Where the picture shows nothing, depth is 0."""
    rgb: np.ndarray
    depth: np.ndarray
    label: np.ndarray
    instance: np.ndarray
    normal: np.ndarray


def render(function, scene, camera):
    """camera: of the finished picture."""
    fine = Camera(camera.position, camera.axes, camera.focal * SAMPLES, camera.width * SAMPLES, camera.height * SAMPLES)
    points = fine.points(scene.mesh.positions)
    depth, triangle = visible(function, fine, points)
    hit = triangle >= 0
    ids = triangle[hit]
    eye = fine.rays()[hit] * depth[hit][:, None]
    weights = barycentric(points[ids].astype(float), eye)
    world = eye @ camera.axes + camera.position
    flat = np.cross(points[ids, 1] - points[ids, 0], points[ids, 2] - points[ids, 0]).astype(float)
    flat = towards(flat, eye)
    smooth = (scene.mesh.normals[ids] * weights[..., None]).sum(1) @ camera.axes.T
    smooth = np.where((np.linalg.norm(smooth, axis=1) > 1e-6)[:, None], smooth, flat)
    smooth = towards(smooth, eye)
    materials = Materials(scene.mesh.materials)
    material = scene.mesh.material[ids]
    albedo = materials.colour(material, (scene.mesh.uv[ids] * weights[..., None]).sum(1))
    light = shade(function, scene, world, smooth @ camera.axes, eye)
    colour = albedo * (light + materials.glow[material][:, None])
    picture = np.zeros((fine.height, fine.width, 3))
    picture[hit] = colour
    rgb = picture.reshape(camera.height, SAMPLES, camera.width, SAMPLES, 3).mean((1, 3))
    first = (slice(None, None, SAMPLES),) * 2
    normal = np.zeros((fine.height, fine.width, 3))
    normal[hit] = flat
    label, instance = (np.where(hit, values[np.maximum(triangle, 0)], 0)[first] for values in (scene.label, scene.instance))
    return View(rgb, np.where(hit, depth, 0)[first], label, instance, normal[first])


def towards(normals, eye):
    """Unit normals that look to the camera."""
    normals = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    return normals * np.where((normals * eye).sum(1) > 0, -1.0, 1.0)[:, None]


def shade(function, scene, world, normals, eye):
    """Irradiance [n, 3]: light from all sides, more from above, and lamps; the first lamp casts shadows."""
    light = scene.ambient * (0.75 + 0.25 * normals[:, 2:])
    for number, (position, power) in enumerate(scene.lights):
        ray = position - world
        distance = np.maximum(np.linalg.norm(ray, axis=1), 0.3)
        strength = np.maximum((ray * normals).sum(1) / distance, 0) / distance ** 2
        if number == 0:
            strength = np.where(lit_from_above(function, scene, world, position), strength, 0.15 * strength)
        light = light + strength[:, None] * power
    return light


def expose(rng, rgb):
    """What a camera makes of linear light: exposure, white balance, vignetting, noise of light and of the sensor. -> uint8"""
    height, width = rgb.shape[:2]
    y, x = np.mgrid[-1:1:height * 1j, -1:1:width * 1j]
    gain = rng.uniform(0.35, 0.75) / max(np.quantile(rgb.mean(-1), rng.uniform(0.6, 0.95)), 1e-3)
    image = rgb * gain * rng.uniform(0.9, 1.1, 3) * (1 - rng.uniform(0, 0.3) * (x * x + y * y) / 2)[..., None]
    image = image + rng.normal(size=rgb.shape) * np.sqrt(rng.uniform(1e-5, 4e-4) * np.maximum(image, 0) + rng.uniform(0.001, 0.008) ** 2)
    return np.clip(255 * np.clip(image, 0, 1) ** (1 / 2.2) + 0.5, 0, 255).astype(np.uint8)
