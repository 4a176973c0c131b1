import base64
import struct
import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from train import cli, dense, images, matfile, packs, pascal, targets
from train.data import DataError

# Written by scipy.io.savemat: 6 x 8 pixels, a person in columns 2 and 3 with a head (rows 0, 1) and an upper leg (rows 4, 5), a dog with
# a tail, and a person without parts.
PEOPLE = base64.b64decode("""
TUFUTEFCIDUuMCBNQVQtZmlsZSBQbGF0Zm9ybTogcG9zaXgsIENyZWF0ZWQgb246IEZyaSBOb3YgMjcgMDQ6MTk6MTIgMjAyNgAAAAAAAAAAAAAAAAAAAAAA
AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABSU0PAAAAJAEAAHic3VRLboMwEH0kgJouIhY9RFZVuusyN0ndYCW0YCJM79Lj9Qg9QsfYhIGE
j5Rk0yf8mTFvPD95CeAQAvThgcYMFoGTvdPwIZTKA1prfUQjyZTIJJC/f8hdqbEk3RqNPb/XnkVEuxdaDe8nGPZjznjGj0cnr2jsUqF1dVLttomKkQn9af8+
iqK0p+ae1xH/wpZ/Vj7KQufqnB+OxLdweovnjeG/Mf6iww+ZHbg8rNGGx4AemHu+veF8znA5n08uY9uqtE0Wa7tj9fXB8+fjIEV8m7ibeSjusfoGaNfXyMVX
KveOf62fU3ydkkfe7xFJcb6/sv9WN+m/PvC+NPf8Ysq7Uuvv13+lSNK7xs3m//C+XIjw7K3p1qHr54nJ/DT4AyT7N0A=
""")
# a: a cell of 'ab' and [1 2; 3 4] single, b: [true false], c: -3.5, LabelMap: ones, 2 x 3, int8.
MIXED = base64.b64decode("""
TUFUTEFCIDUuMCBNQVQtZmlsZSBQbGF0Zm9ybTogcG9zaXgsIENyZWF0ZWQgb246IEZyaSBOb3YgMjcgMDQ6MTk6MTIgMjAyNgAAAAAAAAAAAAAAAAAAAAAA
AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABSU0OAAAAqAAAAAYAAAAIAAAAAQAAAAAAAAAFAAAACAAAAAEAAAACAAAAAQABAGEAAAAOAAAA
MAAAAAYAAAAIAAAABAAAAAAAAAAFAAAACAAAAAEAAAACAAAAAQAAAAAAAAAQAAIAYWIAAA4AAABAAAAABgAAAAgAAAAHAAAAAAAAAAUAAAAIAAAAAgAAAAIA
AAABAAAAAAAAAAcAAAAQAAAAAACAPwAAQEAAAABAAACAQA4AAAAwAAAABgAAAAgAAAAJAgAAAAAAAAUAAAAIAAAAAQAAAAIAAAABAAEAYgAAAAIAAgABAAAA
DgAAADgAAAAGAAAACAAAAAYAAAAAAAAABQAAAAgAAAABAAAAAQAAAAEAAQBjAAAACQAAAAgAAAAAAAAAAAAMwA4AAABAAAAABgAAAAgAAAAIAAAAAAAAAAUA
AAAIAAAAAgAAAAMAAAABAAAACAAAAExhYmVsTWFwAQAAAAYAAAABAQEBAQEAAA==
""")
SIZE = (6, 8)


def save_matrix(path, name, values):
    """Uncompressed, unsigned 16 bits."""
    def element(kind, data):
        return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)

    body = element(6, struct.pack("<II", 11, 0)) + element(5, struct.pack("<ii", *values.shape)) + element(1, name.encode())
    body += element(4, values.astype("<u2").tobytes(order="F"))
    Path(path).write_bytes(b"made for a test".ljust(124) + struct.pack("<H", 0x100) + b"IM" + element(14, body))


def write(folder, ids=("a", "b", "c"), size=SIZE):
    """Pictures whose left half is class 15, the right one 255; the context is a person (284) above and sky (360) below."""
    for name in ("JPEGImages", "ImageSets/Context", "semseg/VOC12", "semseg/pascal-context", "pascal-context/trainval", "normals_distill",
                 "human_parts", "sal_distill"):
        Path(folder, name).mkdir(parents=True)
    labels = np.full(size, 15, np.uint8)
    labels[:, size[1] // 2:] = 255
    context = np.full(size, 284)
    context[size[0] // 2:] = 360
    normals = np.full((*size, 3), 128, np.uint8)
    normals[..., 0] = 255
    salient = np.zeros(size, np.uint8)
    salient[:, 2] = 200
    for i, name in enumerate(ids):
        Image.fromarray(np.repeat(labels[..., None], 3, -1)).save(Path(folder, "JPEGImages", f"{name}.jpg"))
        Image.fromarray(labels).save(Path(folder, "semseg", "VOC12" if i % 2 else "pascal-context", f"{name}.png"))
        save_matrix(Path(folder, "pascal-context", "trainval", f"{name}.mat"), "LabelMap", context)
        Image.fromarray(normals).save(Path(folder, "normals_distill", f"{name}.png"))
        Image.fromarray(salient).save(Path(folder, "sal_distill", f"{name}.png"))
        Path(folder, "human_parts", f"{name}.mat").write_bytes(PEOPLE)
    Path(folder, "ImageSets", "Context", "train.txt").write_text("\n".join(ids[:-1]))
    Path(folder, "ImageSets", "Context", "val.txt").write_text(f"{ids[-1]}\n")


class Files(unittest.TestCase):
    def test_of_matlab_hold_numbers_text_cells_and_structures(self):
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "m.mat").write_bytes(MIXED)
            found = matfile.load(Path(folder, "m.mat"))
            self.assertEqual((list(found), found["a"][0]), (["a", "b", "c", "LabelMap"], "ab"))
            np.testing.assert_array_equal(found["a"][1], [[1, 2], [3, 4]])
            np.testing.assert_array_equal(found["b"], [[1, 0]])
            np.testing.assert_array_equal(found["c"], [[-3.5]])
            np.testing.assert_array_equal(found["LabelMap"], np.ones((2, 3)))

    def test_of_matlab_cut_off_anywhere_are_refused_or_hold_less(self):
        for whole in (PEOPLE, MIXED):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, "m.mat")
                for length in range(0, len(whole), 3):
                    path.write_bytes(whole[:length])
                    try:
                        self.assertLess(len(matfile.load(path)), 4)
                    except DataError as error:
                        self.assertIn("m.mat", str(error))


class Folder(unittest.TestCase):
    def test_holds_every_truth(self):
        with tempfile.TemporaryDirectory() as folder:
            write(folder)
            training, validation = packs.load(folder, side=32).split()
        self.assertEqual((len(training), len(validation), training.images.shape[1:3]), (2, 1, (32, 32)))
        self.assertEqual(dense.outputs(training), dict(semseg=21, normals=3, edge=1, parts=7, saliency=1))
        truth = training.truth()
        self.assertEqual([truth["labels"][0, 0, i] for i in (0, 3, 4, 8)], [15, 15, images.VOID, images.VOID])
        self.assertEqual([truth["edge"][1, i, 1] for i in (2, 3, 4, 6)], [0, 1, 0, images.VOID])
        np.testing.assert_allclose(truth["normals"][0, :, 2, 7], [1, 0, 0], atol=0.01)
        np.testing.assert_array_equal(truth["normals"][0, :, 3, 7], [0, 0, 0])  # sky
        expected = np.zeros(SIZE, np.uint8)
        expected[0:2, 2:4], expected[4:6, 2:4] = targets.PARTS.index("head"), targets.PARTS.index("upper legs")
        np.testing.assert_array_equal(truth["parts"][0, :6, :8], expected)
        self.assertEqual([truth["saliency"][0, 5, i] for i in (1, 2, 3, 9)], [0, 1, 0, images.VOID])

    def test_large_pictures_are_made_smaller(self):
        with tempfile.TemporaryDirectory() as folder:
            write(folder, size=(40, 60))
            for name in Path(folder, "human_parts").iterdir():
                name.unlink()
            Path(folder, "human_parts").rmdir()
            training = pascal.load(folder, side=30).pictures
        self.assertNotIn("parts", training.truths)
        known = training.labels[0] != images.VOID
        self.assertEqual((training.images.shape[1:3], known.any(1).sum(), known.any(0).sum()), ((30, 30), 20, 15))
        self.assertEqual((training.more["edge"][0] == 1).sum(), 30)  # one pixel wide

    def test_pictures_without_people_know_no_parts(self):
        with tempfile.TemporaryDirectory() as folder:
            write(folder)
            path = Path(folder, "human_parts", "b.mat")
            save_matrix(path, "anno", np.ones((1, 1)))
            with self.assertRaisesRegex(DataError, "human_parts/b.mat: lacks anno.objects"):
                pascal.load(folder, 32)
            path.write_bytes(PEOPLE)
            person, pascal.PERSON = pascal.PERSON, 3
            try:
                self.assertTrue((pascal.load(folder, 32).pictures.more["parts"] == images.VOID).all())
            finally:
                pascal.PERSON = person

    def test_missing_and_damaged_files_are_named(self):
        def cut(path):
            whole = path.read_bytes()
            path.write_bytes(whole[:len(whole) // 2])

        damages = {"JPEGImages/a.jpg": Path.unlink, "JPEGImages/b.jpg": cut, "semseg/pascal-context/c.png": Path.unlink,
                   "semseg/VOC12/b.png": lambda path: Image.fromarray(np.zeros((2, 2), np.uint8)).save(path),
                   "pascal-context/trainval/a.mat": cut, "pascal-context/trainval/b.mat": lambda path: path.write_bytes(MIXED),
                   "pascal-context/trainval/c.mat": lambda path: path.write_bytes(PEOPLE), "human_parts/c.mat": Path.unlink,
                   "human_parts/a.mat": lambda path: path.write_bytes(PEOPLE[:300]), "normals_distill/a.png": cut,
                   "sal_distill/b.png": Path.unlink, "ImageSets/Context/val.txt": Path.unlink}
        for name, damage in damages.items():
            with self.subTest(name=name), tempfile.TemporaryDirectory() as folder:
                write(folder)
                damage(Path(folder, name))
                with self.assertRaisesRegex(DataError, name):
                    pascal.load(folder, 32)

    def test_trains(self):
        with tempfile.TemporaryDirectory() as folder:
            write(folder, size=(32, 64))
            for path in Path(folder, "human_parts").iterdir():  # of another size
                path.unlink()
            Path(folder, "human_parts").rmdir()
            common = ["--data", folder, "--side", "64", "--width", "4", "--epochs", "1", "--batch", "2", "--size", "32", "32"]
            self.assertEqual(cli.main(["dense-teacher", *common, "-o", f"{folder}/teacher.pt"]), 0)
            self.assertEqual(cli.main(["dense-binary", *common, "--teacher", f"{folder}/teacher.pt", "-o", f"{folder}/binary.pt"]), 0)
            self.assertEqual(cli.main(["eval", f"{folder}/binary.pt", "--data", folder, "--side", "64"]), 0)
            self.assertEqual(cli.main(["export", f"{folder}/binary.pt", "-o", f"{folder}/binary.onnx"]), 0)


class Losses(unittest.TestCase):
    def test_are_zero_where_nothing_is_known(self):
        with tempfile.TemporaryDirectory() as folder:
            write(folder)
            kinds = targets.of(pascal.load(folder, 32).pictures)
        for name in ("semseg", "parts", "edge", "saliency"):
            scores = torch.randn(2, kinds[name].channels, 4, 4)
            unknown = torch.full((2, 4, 4), images.VOID, dtype=torch.uint8)
            self.assertEqual(float(kinds[name].loss(scores, unknown)), 0, name)


if __name__ == "__main__":
    unittest.main()
