import tempfile
import unittest
from pathlib import Path

import numpy as np
from PIL import Image

from train import dense, images, nyud, packs
from train.data import DataError


def write(folder, ids=("1", "2", "3")):
    """Pictures whose left half is class 1, unknown at the corner, at 2 m, facing the camera."""
    for name in ("images", "segmentation", "depth", "normals", "edge", "gt_sets"):
        Path(folder, name).mkdir()
    labels = np.ones((32, 64), np.uint8)
    labels[:, 32:] = 40
    labels[0, 0] = 0
    depth = np.full((32, 64), 2.0, np.float32)
    depth[0, 0] = 0
    normals = np.zeros((32, 64, 3), np.float32)
    normals[..., 2] = -2
    for name in ids:
        Image.fromarray(np.repeat(labels[..., None] * 5, 3, -1)).save(Path(folder, "images", f"{name}.png"))
        Image.fromarray(labels).save(Path(folder, "segmentation", f"{name}.png"))
        np.save(Path(folder, "depth", name), depth)
        np.save(Path(folder, "normals", name), normals)
        np.save(Path(folder, "edge", name), labels == 40)
    Path(folder, "gt_sets", "train.txt").write_text("1\n2\n")
    Path(folder, "gt_sets", "val.txt").write_text("3\n")


class Folder(unittest.TestCase):
    def test_holds_every_truth(self):
        with tempfile.TemporaryDirectory() as folder:
            write(folder)
            training, validation = packs.load(folder).split()
        self.assertEqual((len(training), len(validation)), (2, 1))
        self.assertEqual(dense.outputs(training), dict(semseg=40, depth=1, normals=3, edge=1))
        truth = training.truth()
        self.assertEqual((truth["labels"][0, 0, 0], truth["labels"][0, 0, 1], truth["labels"][0, 0, 63]), (images.VOID, 0, 39))
        self.assertEqual((truth["depth"][0, 0, 0], truth["depth"][0, 5, 5]), (0, 2))
        np.testing.assert_allclose(truth["normals"][0, :, 3, 3], [0, 0, -1])
        self.assertEqual((truth["edge"][0, 4, 4], truth["edge"][0, 4, 40]), (0, 1))

    def test_truths_without_a_folder_are_left_out_and_missing_files_named(self):
        with tempfile.TemporaryDirectory() as folder:
            write(folder)
            for file in Path(folder, "normals").iterdir():
                file.unlink()
            Path(folder, "normals").rmdir()
            self.assertNotIn("normals", nyud.load(folder).pictures.truths)
            Path(folder, "depth", "2.npy").unlink()
            with self.assertRaisesRegex(DataError, "depth/2.npy"):
                nyud.load(folder)

    def test_damaged_files_are_named(self):
        damages = {"images/1.png": lambda path: path.write_bytes(path.read_bytes()[:60]),
                   "segmentation/3.png": lambda path: path.write_text("no picture"),
                   "normals/2.npy": lambda path: path.write_bytes(path.read_bytes()[:200]),
                   "depth/1.npy": lambda path: np.save(path, np.zeros((2, 2))),
                   "gt_sets/val.txt": lambda path: path.write_text("\n")}
        for name, damage in damages.items():
            with self.subTest(name=name), tempfile.TemporaryDirectory() as folder:
                write(folder)
                damage(Path(folder, name))
                with self.assertRaisesRegex(DataError, name):
                    nyud.load(folder)


if __name__ == "__main__":
    unittest.main()
