import tempfile
import unittest

import numpy as np
import torch
from torch.nn import functional as F

from train import dense, images, loop
from train.networks import initialise_from, make_network
from train.networks.conv2d import CONVOLUTIONS

TINY = dict(kind="mtinet", outputs=dict(semseg=2, edge=1), width=4, steps=1)


def source(count=20):
    rng = np.random.default_rng(0)
    labels = np.zeros((count, 32, 64), np.uint8)
    labels[:, :, 32:] = 1
    pictures = (labels[..., None] * 150 + rng.integers(0, 60, (count, 32, 64, 3))).astype(np.uint8)
    whole = images.Pictures(pictures, labels, [f"a_{i}" for i in range(count)], ["left", "right"])
    return images.Split(whole, whole.subset(np.zeros(count, bool)))


class BinaryConvolutions(unittest.TestCase):
    def test_sum_signs_with_zeros_outside(self):
        torch.manual_seed(0)
        for name in ("BNN", "LSR", "XNOR++", "BiReal", "ReActNet", "IRNet", "XNOR"):
            for size, stride in ((3, 1), (3, 2), (1, 1)):
                with self.subTest(name=name, size=size, stride=stride):
                    layer = CONVOLUTIONS[name](5, 6, size, stride)
                    x = torch.randn(2, 5, 7, 8)
                    y = layer(x)
                    sums = F.conv2d(F.pad(torch.sign(x), [size // 2] * 4), layer.signs().view(6, 5, size, size), stride=stride)
                    self.assertTrue((sums == sums.round()).all())
                    scale = layer.output_scale()
                    expected = sums if scale is None else sums * (scale.view(-1, 1, 1) if scale.dim() else scale)
                    if name == "XNOR":
                        windows = F.unfold(x.abs(), size, padding=size // 2, stride=stride).mean(1)
                        expected = expected * windows.view(2, 1, *y.shape[2:])
                    torch.testing.assert_close(y, expected)


class Training(unittest.TestCase):
    def test_a_resumed_student_equals_an_uninterrupted_one(self):
        teacher = make_network(**TINY, binarizer="float")
        teacher.eval()
        options = dict(epochs=2, batch=4, lr=1e-3, seed=1, size=[32, 32], fold=None, early=(None, 0.0), lam=1.0, gamma=1.0,
                       beta=1e-3, temperature=2.0)

        def student():
            torch.manual_seed(2)
            net = make_network(**TINY, binarizer="XNOR++")
            initialise_from(net, teacher)
            return net

        class Stop(Exception):
            pass

        with tempfile.TemporaryDirectory() as folder:
            whole, split = student(), student()
            loop.train(whole, source(), options, f"{folder}/a.pt", teacher, log=lambda _: None)
            calls = []

            def interrupted(text):
                calls.append(text)
                if len(calls) == 2:
                    raise Stop

            with self.assertRaises(Stop):
                loop.train(split, source(), options, f"{folder}/b.pt", teacher, log=interrupted)
            again = student()
            loop.train(again, source(), options, f"{folder}/b.pt", teacher, log=lambda _: None)
            for (name, a), b in zip(whole.state_dict().items(), again.state_dict().values()):
                torch.testing.assert_close(a, b, msg=name, rtol=0, atol=0, equal_nan=True)
            loaded, _ = loop.load_network(f"{folder}/b.pt")
            self.assertEqual(loaded.config, again.config)

    def test_a_float_network_learns_two_halves(self):
        torch.manual_seed(0)
        net = make_network(**TINY, binarizer="float")
        options = dict(epochs=8, batch=4, lr=5e-3, seed=1, size=[32, 64], fold=None, early=(None, 0.0))
        with tempfile.TemporaryDirectory() as folder:
            history = loop.train(net, source(), options, f"{folder}/a.pt", log=lambda _: None)
        self.assertGreater(history[-1]["miou"], 90)


if __name__ == "__main__":
    unittest.main()
