"""Training loop on tiny data: resuming, learning, schedule, progress bar."""

import io
import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch

from train import loop, tasks
from train.data import Augment, Clouds, normalise
from train.networks import initialise_from, make_network

AUGMENT = dict(yaw=0.5, turn=0.05, scale=0.2, jitter=0.01)


def toy_clouds(count=40, points=48):
    """Two classes: flat discs and upright rods."""
    rng = np.random.default_rng(0)
    labels = np.arange(count) // 2 % 2
    stretch = np.where(labels[:, None, None] == 0, [1.0, 1.0, 0.1], [0.1, 0.1, 1.0])
    return Clouds(normalise(rng.normal(size=(count, points, 3)) * stretch), labels, ["disc", "rod"])


def options(epochs, **more):
    return dict(epochs=epochs, batch=12, lr=2e-3, seed=1, smoothing=0.0, augment=AUGMENT, early=(24, 0.5), **more)


KDR = dict(lam=0.5, eta=0.05, temperature=2.0, norm="1")


class Interrupted(Exception):
    pass


class Train(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def network(self, binary):
        torch.manual_seed(2)
        return make_network("vanilla", "LSR" if binary else "float", classes=2, points=32, estimator="clip")

    def run_training(self, name, stop_after=None):
        def log(text):
            if stop_after and text.startswith(f"epoch {stop_after + 1} "):
                raise Interrupted
        net = self.network(binary=True)
        teacher = self.network(binary=False).eval()
        loop.train(net, toy_clouds(), options(3, **KDR), self.folder / name, teacher=teacher, log=log)
        return net.state_dict()

    def test_resumed_run_equals_an_uninterrupted_one(self):
        expected = self.run_training("a")
        with self.assertRaises(Interrupted):
            self.run_training("b", stop_after=1)
        resumed = self.run_training("b")
        for name, value in expected.items():
            self.assertTrue(torch.equal(value, resumed[name]), name)

    def test_other_options_do_not_continue_a_checkpoint(self):
        loop.train(self.network(binary=False), toy_clouds(), options(1), self.folder / "c", log=lambda _: None)
        with self.assertRaisesRegex(ValueError, "other options"):
            loop.train(self.network(binary=False), toy_clouds(), options(2), self.folder / "c", log=lambda _: None)

    def test_both_networks_learn_and_checkpoints_reload(self):
        clouds = toy_clouds(80)
        validation = clouds.split()[1]
        for binary in (False, True):
            path = self.folder / f"learn{binary}"
            net = self.network(binary=binary)
            history = loop.train(net, clouds, options(8), path, log=lambda _: None)
            self.assertEqual(history[-1]["accuracy"], 100.0)
            loaded, checkpoint = loop.load_network(path)
            self.assertEqual(checkpoint["classes"], ["disc", "rod"])
            x = normalise(validation.points[:, :32])
            np.testing.assert_array_equal(tasks.predict(loaded, x), tasks.predict(net, x))
            self.assertEqual([p.name for p in self.folder.glob("*.tmp")], [])

    def test_a_damaged_checkpoint_is_named(self):
        path = self.folder / "bad.pt"
        for content in (b"", b"PK\x03\x04 broken", b"\x80\x02garbage"):
            path.write_bytes(content)
            with self.assertRaisesRegex(ValueError, "bad.pt: not a checkpoint"):
                loop.load_network(path)
        torch.save({"weights": 1}, path)
        with self.assertRaisesRegex(ValueError, "lacks"):
            loop.load_network(path)

    def test_a_binary_network_can_start_from_real_weights(self):
        student, teacher = self.network(binary=True), make_network("vanilla", "float", classes=2, points=32)
        names = initialise_from(student, teacher)
        self.assertIn("fc3.weight", names)
        self.assertTrue(torch.equal(student.conv3.linear.weight, teacher.conv3.linear.weight))
        self.assertEqual(student.conv3.linear.scale.item(), 0.0)


class Recalibration(unittest.TestCase):
    def test_statistics_are_those_of_the_whole_pass(self):
        torch.manual_seed(0)
        clouds, augment = toy_clouds(), Augment(32, yaw=0, turn=0, scale=0, jitter=0)
        net = make_network("vanilla", "float", classes=2, points=32)
        batches = [(torch.from_numpy(augment(clouds.points[i:i + 8], np.random.default_rng(i))), None)
                   for i in range(0, 40, 8)]
        loop.recalibrate(net, batches)
        x = np.concatenate([x for x, _ in batches])
        first = net.conv1.linear(torch.from_numpy(x)).double().reshape(5, -1, 64)
        torch.testing.assert_close(net.conv1.bn.running_mean.double(), first.mean((0, 1)), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(net.conv1.bn.running_var.double(), first.var(1).mean(0), rtol=1e-4, atol=1e-5)
        self.assertEqual(net.conv1.bn.momentum, 0.1)


class Helpers(unittest.TestCase):
    def test_learning_rate_rises_then_falls_to_zero(self):
        rates = [loop.learning_rate(s, 100, 1.0, 10) for s in range(100)]
        self.assertAlmostEqual(rates[0], 0.1)
        self.assertEqual(max(rates), 1.0)
        self.assertAlmostEqual(rates[55], 0.5)
        self.assertLess(rates[-1], 1e-3)

    def test_accuracy_overall_and_mean_per_class(self):
        log_probs = np.eye(3)[[0, 0, 0, 1, 0]]
        overall, mean, per_class = tasks.accuracy(log_probs, np.array([0, 0, 0, 1, 1]))
        self.assertEqual((overall, mean), (80.0, 75.0))
        np.testing.assert_array_equal(per_class, [100, 50, np.nan])

    def test_progress_bar_only_on_a_terminal(self):
        stream = io.StringIO()
        loop.Progress(3, stream).step(1, "x")
        self.assertEqual(stream.getvalue(), "")
        stream.isatty = lambda: True
        loop.Progress(3, stream).step(1, "x")
        self.assertIn("1/3 x", stream.getvalue())


if __name__ == "__main__":
    unittest.main()
