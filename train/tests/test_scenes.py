"""Scenes: blocks, samples, split, training views, scores."""

import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch

from train import loop, packs, scenes
from train.data import DataError
from train.networks import make_network

CLASSES = ["ground", "tree"]


def toy_scene(count=4000, seed=0):
    """A flat floor of 20 x 10 m with poles of 5 m on it."""
    rng = np.random.default_rng(seed)
    xyz = rng.uniform((100, 50, 3), (120, 60, 3.05), (count, 3)).astype(np.float32)
    labels = (np.arange(count) % 4 == 0).astype(np.int64)
    xyz[labels == 1, 2] += rng.uniform(0.5, 5, (labels == 1).sum())
    return "toy", xyz, labels


class Blocks(unittest.TestCase):
    def test_channels_by_hand(self):
        # Block 4 m, cells of 1 m: the first three points share a block, the first two a cell, and so do the last two.
        xyz = np.array([[-4, 20, 1], [-3.5, 20.5, 3], [-1, 23.5, 0.5], [0, 20, 7], [0.5, 20, 17]], np.float32)
        channels, blocks = scenes.Recipe(4.0, 4, 5.0).features(xyz)
        self.assertEqual([b.tolist() for b in blocks], [[0, 1, 2], [3, 4]])
        np.testing.assert_allclose(channels, [[-1, -1, 0.1, 0, -1, 0.4, 0.4],
                                              [-0.75, -0.75, 0.5, 0.4, 1, 0.4, 0.4],
                                              [0.5, 0.75, 0, 0, -1, 0, 0],
                                              [-1, -1, 0, 0, -1, 2, 0],
                                              [-0.75, -1, 2, 2, 1, 2, 0]], atol=1e-6)

    def test_every_point_is_in_one_sample(self):
        _, xyz, _ = toy_scene()
        _, blocks = scenes.Recipe().features(xyz)
        own = np.concatenate([index[:count] for index, count in scenes.samples(blocks, 64)])
        np.testing.assert_array_equal(np.sort(own), np.arange(len(xyz)))

    def test_samples_interleave_and_repeat(self):
        (first, a), (second, b) = scenes.samples([np.arange(5) * 10], 4)
        self.assertEqual((first.tolist(), a, second.tolist(), b), ([0, 20, 40, 0], 3, [10, 30, 10, 30], 2))

    def test_every_point_gets_the_label_of_its_own_scores(self):
        _, xyz, labels = toy_scene()
        recipe = scenes.Recipe()
        # A "network" that sees only the height above the cell's lowest point.
        found = scenes.evaluate(recipe, xyz, 64, lambda x: np.stack([0.02 - x[..., 3], x[..., 3] - 0.02], -1))
        self.assertGreater((found == labels).mean(), 0.99)


class Split(unittest.TestCase):
    def source(self):
        return scenes.Scenes([toy_scene(), toy_scene(seed=1)], CLASSES)

    def test_stripe_with_margin(self):
        training, validation = self.source().split(2)
        self.assertEqual((len(training.scenes), len(validation.scenes)), (4, 2))
        held = validation.scenes[0][1][:, 0]
        self.assertTrue(107.9 < held.min() and held.max() < 112.1)
        for _, xyz, _ in training.scenes:
            self.assertTrue((xyz[:, 0] < 106.1).all() or (xyz[:, 0] > 113.9).all())

    def test_whole_scene(self):
        source = self.source()
        training, validation = source.split(6)
        self.assertIs(validation.scenes[0], source.scenes[1])
        self.assertEqual(len(training.scenes), 1)
        with self.assertRaisesRegex(DataError, "folds 0 to 6"):
            source.split(7)


class Training(unittest.TestCase):
    def test_views_are_repeatable_and_hide_the_order(self):
        source = scenes.Scenes([toy_scene()], CLASSES)
        (x, y), (again, _) = (scenes.Augment(64).draw(source, np.random.default_rng(3), 10) for _ in range(2))
        np.testing.assert_array_equal(x, again)
        self.assertEqual((x.shape, y.shape, x.dtype), ((10, 64, 7), (10, 64), np.float32))
        self.assertLess(np.abs(x[..., :2]).max(), 1.1)
        self.assertGreater(np.abs(np.diff(y, axis=1)).mean(), 0.2)

    def test_a_network_learns_to_tell_floor_from_poles(self):
        source = scenes.Scenes([toy_scene()], CLASSES)
        options = dict(epochs=3, batch=8, lr=5e-3, seed=1, smoothing=0.0, early=(64, 0.0), samples=64,
                       augment=dict(scale=0.1, jitter=0.005), class_weights=[1.0, 2.0])
        torch.manual_seed(0)
        net = make_network("semseg-vanilla", binarizer="float", classes=2, points=64, channels=scenes.Scenes.channels)
        with tempfile.TemporaryDirectory() as folder:
            row = loop.train(net, source, options, Path(folder) / "net.pt", log=lambda _: None)[-1]
        self.assertGreater(row["iou_ground"], 90)
        self.assertGreater(row["accuracy"], 90)

    def test_intersection_over_union(self):
        values = scenes.iou(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]), 3)
        np.testing.assert_allclose(values, [50, 200 / 3, np.nan], rtol=1e-6)

    def test_pack(self):
        _, xyz, labels = toy_scene(40)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "scenes.npz"
            np.savez(path, xyz=xyz, label=labels, scene_start=[0, 30, 40], class_names=CLASSES)
            source = packs.load(path)
        self.assertEqual([(name, len(l)) for name, _, l in source.scenes], [("0", 30), ("1", 10)])


if __name__ == "__main__":
    unittest.main()
