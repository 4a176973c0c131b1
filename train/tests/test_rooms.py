"""The renderer of rooms: what is seen, how far, which way it faces; furniture out of a catalogue made here."""

import tempfile
import unittest
import zipfile
from pathlib import Path

import numpy as np

from train.rooms import CLASSES, catalogue, furnish, mesh, pack, render

CUBE = """mtllib {0}.mtl
v 0 0 0\nv 2 0 0\nv 2 1 0\nv 0 1 0\nv 0 0 3\nv 2 0 3\nv 2 1 3\nv 0 1 3
vt 0 0\nvt 1 1
usemtl red
f 1/1 2/1 3/2 4/2\nf 5 6 7 8\nf 1 2 6 5
usemtl glass
f -1 -2 -6 -5
"""
MTL = "newmtl red\nKd 0.8 0.1 0.1\nmap_Kd missing.png\nnewmtl glass\nKd 1 1 1\nd 0.2\n"
# (name, category, width, depth, height in cm)
MODELS = [("Bed", "Bedroom", 140, 200, 60), ("Sofa", "Living room", 180, 80, 80), ("Table", "Living room", 120, 80, 75),
          ("Chair", "Living room", 45, 45, 90), ("Wardrobe", "Bedroom", 100, 60, 200), ("Bowl", "Kitchen", 20, 20, 10),
          ("Laptop", "Office", 35, 25, 20), ("Door", "Doors and windows", 90, 10, 200), ("Turn window", "Doors and windows", 80, 10, 100),
          ("Car", "Vehicles", 200, 400, 150)]


def make_catalogue(folder, copies=4):
    rows = []
    with zipfile.ZipFile(Path(folder) / "made.sh3f", "w") as archive:
        for i, (name, category, w, d, h) in enumerate(MODELS * copies):
            archive.writestr(f"m/{i}.obj", CUBE.format(i))
            archive.writestr(f"m/{i}.mtl", MTL)
            rows += [f"id#{i}=made#{i}", f"name#{i}={name}", f"category#{i}={category}", f"model#{i}=/m/{i}.obj",
                     f"width#{i}={w}", f"depth#{i}={d}", f"height#{i}={h}"]
        archive.writestr("PluginFurnitureCatalog.properties", "\n".join(rows))
    return catalogue.read(folder)


class Rooms(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = folder.name
        cls.visible = staticmethod(render.library(folder.name))

    def scene(self, *parts):
        counts = [len(m.positions) for m in parts]
        return furnish.Scene(mesh.join(parts), np.repeat(range(len(parts)), counts).astype(np.uint8), np.repeat(range(len(parts)), counts),
                             (4, 4, 3), [(np.array([2.0, 2, 2.8]), np.ones(3))], np.ones(3) * 0.5, [])

    def test_depth_normals_and_labels_of_a_room_of_planes(self):
        grey = mesh.Material((0.5, 0.5, 0.5))
        wall = mesh.rectangle((-5, 3, -5), (10, 0, 0), (0, 0, 10), grey)
        floor = mesh.rectangle((-5, -5, 0), (10, 0, 0), (0, 10, 0), grey)
        camera = render.looking((0, 0, 1.5), np.pi / 2, 0, 40, 64, 48)
        view = render.render(self.visible, self.scene(wall, floor), camera)
        y, x = np.mgrid[:48, :64] + 0.25  # the upper left of 2x2 samples
        down = (y - 24) / 40
        to_floor = np.where(down > 0, 1.5 / np.maximum(down, 1e-9), np.inf)
        np.testing.assert_allclose(view.depth, np.minimum(3, to_floor), rtol=2e-5)
        np.testing.assert_array_equal(view.label, (to_floor < 3).astype(int))
        np.testing.assert_allclose(view.normal[view.label == 0], np.broadcast_to([0, 0, -1.0], view.normal[view.label == 0].shape), atol=1e-6)
        np.testing.assert_allclose(view.normal[view.label == 1], np.broadcast_to([0, -1.0, 0], view.normal[view.label == 1].shape), atol=1e-6)
        border = pack.edges(view.instance, view.depth)
        self.assertEqual(set(np.argwhere(border)[:, 0]), {int(np.argmax(view.label[:, 0]))})

    def test_what_stands_behind_the_camera_is_cut_off(self):
        floor = mesh.rectangle((-50, -50, 0), (100, 0, 0), (0, 100, 0), mesh.Material((1, 1, 1)))
        camera = render.looking((0, 0, 1), 0, -0.5, 30, 40, 30)
        depth, triangle = render.visible(self.visible, camera, camera.points(floor.positions))
        rays = camera.rays() @ camera.axes
        self.assertTrue((triangle >= 0).all())
        np.testing.assert_allclose(depth, -1 / rays[..., 2], rtol=1e-4)

    def test_shadow_below_a_table(self):
        white = mesh.Material((1, 1, 1))
        floor = mesh.rectangle((0, 0, 0), (4, 0, 0), (0, 4, 0), white)
        board = mesh.rectangle((1.5, 1.5, 0.8), (1, 0, 0), (0, 1, 0), white)
        points = np.array([[2, 2, 0.0], [0.3, 2, 0], [2, 2, 0.8]])
        lit = render.lit_from_above(self.visible, self.scene(floor, board), points, np.array([2.0, 2, 2.8]))
        self.assertEqual(lit.tolist(), [False, True, True])

    def test_models_are_scaled_and_glass_is_left_out(self):
        pieces = make_catalogue(self.folder)
        bed = next(p for p in pieces if p.name == "Bed")
        made = mesh.model(bed)
        low, high = made.positions.reshape(-1, 3).min(0), made.positions.reshape(-1, 3).max(0)
        np.testing.assert_allclose([low, high], [[-0.7, -1, 0], [0.7, 1, 0.6]], atol=1e-5)
        self.assertEqual(len(made.positions), 6)
        self.assertEqual(made.materials[0].rgb, (0.8, 0.1, 0.1))

    def test_training_and_validation_share_no_model(self):
        pieces = make_catalogue(self.folder)
        self.assertNotIn("Car", {p.name for p in pieces})
        train, val = (set(p.identity for p in part) for part in catalogue.split(pieces))
        self.assertFalse(train & val)
        self.assertEqual(train | val, {p.identity for p in pieces})
        self.assertEqual({p.name for p in catalogue.split(pieces)[1]}, {p.name for p in pieces})

    def test_a_missing_package_is_named(self):
        with self.assertRaisesRegex(OSError, "sweethome3d-furniture"):
            catalogue.read(self.folder + "/nothing")

    def test_a_pack_is_the_same_when_made_again(self):
        make_catalogue(self.folder)
        packs = []
        for name in ("a", "b"):
            out = f"{self.folder}/{name}.npz"
            self.assertEqual(pack.main(["-o", out, "--train", "3", "--val", "2", "--views", "2", "--width", "64", "--height", "48",
                                        "--furniture", self.folder, "--build", self.folder]), 0)
            packs.append(dict(np.load(out)))
        for key in packs[0]:
            np.testing.assert_array_equal(packs[0][key], packs[1][key], key)
        one = packs[0]
        self.assertEqual(one["rgb"].shape, (5, 48, 64, 3))
        self.assertEqual(one["split"].tolist(), ["train"] * 3 + ["val"] * 2)
        self.assertLess(one["label"].max(), len(CLASSES))
        self.assertTrue((one["depth"] > 300).all())
        np.testing.assert_allclose(np.linalg.norm(one["normals"] / 127.0, axis=-1), 1, atol=0.02)
        self.assertTrue((one["normals"][..., 2] <= 0).mean() > 0.9)
