"""Split, preprocessing, augmentation and loaders."""

import os
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import numpy as np

from train import data, meshes, packs

CUBE = """OFF
# unit cube as quads
8 6 0
0 0 0
1 0 0
1 1 0
0 1 0
0 0 1
1 0 1
1 1 1
0 1 1
4 0 3 2 1
4 4 5 6 7
4 0 1 5 4
4 1 2 6 5
4 2 3 7 6
4 3 0 4 7
"""


class Split(unittest.TestCase):
    def test_every_tenth_cloud_is_validation(self):
        clouds = data.Clouds(np.zeros((25, 4, 3)), np.arange(25), [str(i) for i in range(25)])
        training, validation = clouds.split()
        self.assertEqual(validation.labels.tolist(), [9, 19])
        self.assertEqual(sorted(training.labels.tolist() + [9, 19]), list(range(25)))


    def test_groups_stay_together(self):
        scans = [np.full((n, 3), n, np.float32) for n in range(1, 11)]
        clouds = data.Clouds(scans, [0] * 10, ["a"], groups=np.arange(10) // 2)
        training, validation = clouds.split()
        self.assertEqual((validation.groups.tolist(), [len(p) for p in validation.points]), ([3, 3], [7, 8]))
        self.assertEqual(sorted(training.groups.tolist()), [0, 0, 1, 1, 2, 2, 4, 4])
        self.assertEqual(clouds.split(0)[1].groups.tolist(), [0, 0])
        with self.assertRaisesRegex(data.DataError, "folds 0 to 4"):
            clouds.split(5)


class Scans(unittest.TestCase):
    def test_resampling_strides_or_repeats(self):
        cloud = np.arange(10)
        self.assertEqual(data.resample(cloud, 4).tolist(), [0, 2, 5, 7])
        self.assertEqual(data.resample(cloud[:3], 7).tolist(), [0, 1, 2, 0, 1, 2, 0])

    def test_training_views_repeat_the_points_that_are_left(self):
        rng = np.random.default_rng(0)
        scans = [rng.normal(size=(n, 3)).astype(np.float32) * 40 + 7 for n in (50, 500)]
        x = data.Augment(200, turn=3.2, drop=0.5)(scans, rng)
        self.assertEqual(x.shape, (2, 200, 3))
        np.testing.assert_allclose(np.linalg.norm(x, axis=-1).max(1), 1, atol=1e-6)
        distinct = [len(np.unique(cloud, axis=0)) for cloud in x]
        self.assertTrue(32 <= distinct[0] <= 50 and distinct[1] == 200, distinct)

    def test_pack_of_scans(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "scans.npz"
            np.savez(path, xyz=np.arange(18).reshape(6, 3), offsets=[0, 2, 6], label=[1, 0], group=[8, 9],
                     class_names=["a", "b"])
            clouds = packs.load(path)
            self.assertEqual([len(p) for p in clouds.points], [2, 4])
            self.assertEqual((clouds.labels.tolist(), clouds.groups.tolist()), ([1, 0], [8, 9]))
            np.savez(path, xyz=np.zeros((6, 3)), offsets=[0, 6], label=[1], class_names=["a"])
            with self.assertRaisesRegex(data.DataError, "lacks group"):
                packs.load(path)

    def test_a_pack_is_found_by_its_classes(self):
        with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, XNORD_DATA=folder):
            np.savez(Path(folder) / "other.npz", points=np.zeros((1, 4, 3)), label=[0], class_names=["a", "b"])
            np.savez(Path(folder) / packs.MODELNET10, points=np.zeros((2, 4, 3)), label=[0, 0], class_names=["c"])
            self.assertEqual((len(packs.load(None, ["a", "b"])), len(packs.load(None, ["d"])), len(packs.load())), (1, 2, 2))


class Preprocessing(unittest.TestCase):
    def test_zero_mean_and_unit_radius_of_the_points_used(self):
        rng = np.random.default_rng(1)
        clouds = data.Clouds(rng.normal(3, 2, (4, 64, 3)), [0] * 4, ["a"])
        x = data.prepared(clouds, 16)
        self.assertEqual((x.shape, x.dtype), ((4, 16, 3), np.float32))
        np.testing.assert_allclose(x.mean(1), 0, atol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(x, axis=-1).max(1), 1, atol=1e-6)

    def test_too_few_points_is_an_error(self):
        with self.assertRaisesRegex(data.DataError, "16 points a cloud, 32 wanted"):
            data.prepared(data.Clouds(np.zeros((1, 16, 3)), [0], ["a"]), 32)

    def test_augmentation_keeps_upright_and_normalised(self):
        rng = np.random.default_rng(2)
        cloud = data.normalise(rng.normal(0, (1.0, 1.0, 0.01), (2, 200, 3)))
        x = data.Augment(100, jitter=0.0)(cloud, rng)
        self.assertEqual((x.shape, x.dtype), ((2, 100, 3), np.float32))
        self.assertLess(np.abs(x[..., 2]).max(), 0.05)
        np.testing.assert_allclose(np.linalg.norm(x, axis=-1).max(1), 1, atol=1e-6)

    def test_quarter_turns(self):
        x = np.array([[[1, 0, 5], [0, 2, 6]]], np.float32)
        np.testing.assert_allclose(data.turn_about_z(x, np.pi / 2), [[[0, -1, 5], [2, 0, 6]]], atol=1e-6)

    def test_share_of_turned_clouds(self):
        bar = np.zeros((4000, 8, 3), np.float32)
        bar[:, :4, 0], bar[:, 4:, 0] = 1, -1
        for share, expected in ((0.0, 0.0), (0.5, 0.25), (1.0, 0.5)):  # half of the quarter turns swap x and y
            x = data.Augment(8, yaw=share, turn=0.0, jitter=0.0)(bar, np.random.default_rng(5))
            self.assertAlmostEqual((np.abs(x[:, 0, 1]) > 0.5).mean(), expected, delta=0.03)

    def test_augmentation_repeats_with_the_same_generator(self):
        cloud = data.normalise(np.random.default_rng(3).normal(size=(3, 64, 3)))
        a, b = (data.Augment(32)(cloud, np.random.default_rng(7)) for _ in range(2))
        np.testing.assert_array_equal(a, b)


class Meshes(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def test_polygons_become_triangles(self):
        vertices, triangles = meshes.read_off(self.write("cube.off", CUBE))
        self.assertEqual((vertices.shape, triangles.shape), ((8, 3), (12, 3)))

    def test_magic_without_line_break(self):
        vertices, _ = meshes.read_off(self.write("cube.off", CUBE.replace("OFF\n# unit cube as quads\n8", "OFF8")))
        self.assertEqual(len(vertices), 8)

    def test_damaged_files_name_themselves(self):
        for text in ("", "PLY\n", CUBE[:60], CUBE.replace("4 4 5 6 7", "4 4 5 6 9")):
            with self.assertRaisesRegex(data.DataError, "bad.off"):
                meshes.read_off(self.write("bad.off", text))

    def test_samples_are_uniform_by_area(self):
        # Two squares, the second of nine times the area, must get nine tenths of the points.
        small = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], float)
        vertices = np.concatenate([small, 3 * small + [5, 0, 0]])
        triangles = np.array([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]])
        p = meshes.sample_surface(vertices, triangles, 20000, np.random.default_rng(0))
        large = p[p[:, 0] > 2]
        self.assertAlmostEqual(len(large) / 20000, 0.9, delta=0.01)
        np.testing.assert_allclose(large.mean(0), [6.5, 1.5, 0], atol=0.05)

    def test_folder_of_classes(self):
        self.write("box/train/a.off", CUBE)
        self.write("box/test/b.off", CUBE)
        self.write("crate/c.off", CUBE)
        clouds = packs.load(self.folder)
        self.assertEqual((clouds.classes, clouds.labels.tolist()), (["box", "crate"], [0, 1]))
        self.assertEqual(clouds.points.shape, (2, 2048, 3))

    def test_missing_data_is_explained(self):
        with mock.patch.dict(os.environ):
            os.environ.pop("XNORD_DATA", None)
            with self.assertRaisesRegex(data.DataError, "XNORD_DATA is not set"):
                packs.load()
        with self.assertRaisesRegex(data.DataError, "no such file"):
            packs.load(self.folder / "none.npz")


@unittest.skipUnless(os.environ.get("XNORD_DATA"), "XNORD_DATA is not set")
class Pack(unittest.TestCase):
    def test_modelnet10_pack(self):
        training, validation = packs.load().split()
        self.assertEqual((len(training), len(validation), len(training.classes)), (3488, 387, 10))

    def test_lidar_objects_pack(self):
        training, validation = packs.load(Path(os.environ["XNORD_DATA"]) / "lidar_objects_train.npz").split()
        self.assertEqual((len(training), len(validation), len(training.classes)), (393, 61, 4))
        self.assertFalse(set(training.groups) & set(validation.groups))


if __name__ == "__main__":
    unittest.main()
