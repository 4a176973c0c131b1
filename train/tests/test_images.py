import os
import unittest
from pathlib import Path

import numpy as np

from train import images
from train.data import DataError


def drives(count=20):
    names = [f"{drive}_{30 * i:05d}" for drive in ("A1", "B2") for i in range(count)]
    shuffled = np.random.default_rng(0).permutation(names)
    blank = np.zeros((len(names), 4, 6), np.uint8)
    return images.Pictures(np.repeat(blank[..., None], 3, -1), blank, shuffled, ["road", "sky"])


class Split(unittest.TestCase):
    def test_holds_out_a_stretch_of_every_drive_and_drops_its_neighbours(self):
        training, validation = drives().split(3)
        for drive in ("A1", "B2"):
            held = sorted(validation.frames[validation.drives == drive] // 30)
            kept = sorted(training.frames[training.drives == drive] // 30)
            self.assertEqual(held, [12, 13, 14, 15])
            self.assertEqual(kept, [*range(10), 18, 19])

    def test_further_folds_are_whole_drives(self):
        training, validation = drives().split(6)
        self.assertEqual((set(training.drives), set(validation.drives)), ({"A1"}, {"B2"}))
        self.assertEqual(len(validation), 20)
        with self.assertRaises(DataError):
            drives().split(7)


class Edges(unittest.TestCase):
    def test_lie_between_classes_and_never_beside_void(self):
        labels = np.array([[0, 0, 1], [0, 255, 1], [2, 2, 2]], np.uint8)
        expected = [[0, 0, 1], [0, 0, 0], [1, 0, 1]]
        np.testing.assert_array_equal(images.edges(labels), np.array(expected, bool))


class Views(unittest.TestCase):
    def test_pictures_and_labels_stay_aligned(self):
        label = np.zeros((24, 32), np.uint8)
        label[:, 16:] = 1
        picture = np.where(label[..., None] == 1, 200, 20).astype(np.uint8).repeat(3, -1)
        pictures = images.Pictures(np.stack([picture] * 8), np.stack([label] * 8), [f"a_{i}" for i in range(8)], ["left", "right"])
        x, truth = images.Augment((40, 30), colour=0.0)(pictures, np.random.default_rng(1))
        y = truth["labels"]
        self.assertEqual((x.shape, y.shape), ((8, 3, 40, 30), (8, 40, 30)))
        middle = images.prepared(np.full((1, 1, 1, 3), 110, np.uint8))[0, 0, 0, 0]
        known = y != images.VOID
        agree = ((x[:, 0] > middle) == (y == 1))[known].mean()
        self.assertGreater(agree, 0.95)  # resampling differs by a pixel at the border of the halves
        self.assertTrue((x.transpose(0, 2, 3, 1)[~known] == 0).all())


class Scores(unittest.TestCase):
    def test_iou_leaves_out_void_and_absent_classes(self):
        labels, predicted = np.array([0, 0, 1, 255]), np.array([0, 1, 1, 0])
        np.testing.assert_allclose(images.iou(images.confusion(predicted, labels, 3)), [50, 50, np.nan])

    def test_edge_f_takes_the_best_threshold(self):
        scores, truth = np.array([0.9, 0.6, 0.4, 0.99]), np.array([True, True, False, False])
        f, threshold = images.edge_f(scores, truth, np.array([True, True, True, False]))
        self.assertAlmostEqual(f, 100.0)
        self.assertTrue(0.4 <= threshold < 0.6)


@unittest.skipUnless(os.environ.get("XNORD_DATA"), "XNORD_DATA is unset")
class CamVid(unittest.TestCase):
    def test_has_the_published_parts(self):
        path = Path(os.environ["XNORD_DATA"], "camvid_train.npz")
        with np.load(path) as pack:
            training, own = images.load(path, pack).parts
        self.assertEqual((len(training), len(own), len(training.classes)), (367, 101, 11))
        self.assertEqual(sorted(set(training.drives)), ["0001TP", "0006R0", "0016E5"])
        kept, held = training.split()
        self.assertFalse(set(kept.names) & set(held.names))
        self.assertGreater(len(held), 60)


if __name__ == "__main__":
    unittest.main()
