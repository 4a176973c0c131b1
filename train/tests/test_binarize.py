"""Sign, LSR layer, EMA offset and the fused pooling step against plain double-precision code."""

import math
import unittest

import numpy as np
import torch
from torch import nn

from train.binarize import SHIPPED_DELTAS, LSRLinear, delta_formula, ema_delta, sign
from train.networks import PointNet
from train.pool import LinearNormMax


class Delta(unittest.TestCase):
    def test_formula_matches_published_table(self):
        table = {20: -1.8242, 64: -2.2983, 258: -2.7842, 1024: -3.2044, 2048: -3.3988, 4096: -3.5840}
        for n, expected in table.items():
            self.assertAlmostEqual(delta_formula(n), expected, delta=6e-5)

    def test_shipped_literals_win_and_lie_near_the_formula(self):
        for n, shipped in SHIPPED_DELTAS.items():
            self.assertEqual(ema_delta(n), shipped)
            self.assertLess(abs(shipped - delta_formula(n)), 0.004)

    def test_formula_is_used_for_other_sizes(self):
        self.assertEqual(ema_delta(128), delta_formula(128))
        self.assertAlmostEqual(delta_formula(1), 0.0, places=12)

    def test_half_of_the_maxima_of_normals_are_positive_after_the_offset(self):
        maxima = np.random.default_rng(0).standard_normal((20000, 64)).max(1) + ema_delta(64)
        self.assertAlmostEqual((maxima > 0).mean(), 0.5, delta=0.02)


class Sign(unittest.TestCase):
    x = torch.tensor([-2.0, -1.0, -0.25, 0.0, 0.5, 1.5], requires_grad=True)

    def gradient(self, estimator):
        return torch.autograd.grad(sign(self.x, estimator).sum(), self.x)[0].tolist()

    def test_zero_stays_zero(self):
        self.assertEqual(sign(self.x).tolist(), [-1, -1, -1, 0, 1, 1])

    def test_clip_gradient_passes_inside_one(self):
        self.assertEqual(self.gradient("clip"), [0, 1, 1, 1, 1, 0])

    def test_bireal_gradient_is_a_triangle(self):
        self.assertEqual(self.gradient("bireal"), [0, 0, 1.5, 2, 1, 0])


class Lsr(unittest.TestCase):
    def setUp(self):
        torch.manual_seed(3)
        self.layer, self.x = LSRLinear(37, 11), torch.randn(5, 37)

    def test_forward_equals_double_loops(self):
        self.layer.scale.data.fill_(0.75)
        w, x = self.layer.weight.detach().double().numpy(), self.x.double().numpy()
        mean = math.fsum(w.ravel()) / w.size
        expected = [[0.75 * sum(math.copysign(1, x[r, k]) * math.copysign(1, w[o, k] - mean) for k in range(37))
                     for o in range(11)] for r in range(5)]
        np.testing.assert_allclose(self.layer.eval()(self.x).detach().numpy(), expected, rtol=1e-6)

    def test_scale_starts_as_ratio_of_deviations(self):
        self.layer(self.x)
        w, x = self.layer.weight.detach().double().numpy(), self.x.double().numpy()
        w = w - w.mean()
        expected = (x @ w.T).std(ddof=1) / (np.sign(x) @ np.sign(w).T).std(ddof=1)
        self.assertAlmostEqual(self.layer.scale.item(), expected, places=5)

    def test_scale_of_a_constant_input_falls_back_to_weights(self):
        self.layer(torch.zeros(4, 37))
        w = self.layer.centred()
        self.assertAlmostEqual(self.layer.scale.item(), (w.std() / w.sign().std()).item(), places=6)

    def test_untrained_layer_refuses_evaluation(self):
        with self.assertRaisesRegex(RuntimeError, "scale is 0"):
            self.layer.eval()(self.x)

    def test_gradient_reaches_weights_scale_and_input(self):
        x = (self.x / 3).requires_grad_()
        (self.layer(x) ** 2).sum().backward()
        for grad in (self.layer.weight.grad, self.layer.scale.grad, x.grad):
            self.assertGreater(grad.abs().sum().item(), 0)


class FusedPool(unittest.TestCase):
    """LinearNormMax must equal linear, BatchNorm1d, max in sequence: value, gradients and running statistics."""

    def compare(self, linear, clouds=3, points=50):
        torch.manual_seed(5)
        features, inputs = linear.weight.shape
        fused = LinearNormMax(linear, features, -2.0)
        nn.init.uniform_(fused.bn.weight, -1.5, 1.5)
        nn.init.normal_(fused.bn.bias)
        plain = nn.BatchNorm1d(features)
        plain.load_state_dict(fused.bn.state_dict())
        x = torch.randn(clouds, points, inputs, requires_grad=True)
        target = torch.randn(clouds, features)
        for training in (True, False):
            fused.train(training)
            plain.train(training)
            grads = []
            for y in (fused(x), plain(linear(x.reshape(-1, inputs))).view(clouds, points, features).max(1)[0] - 2.0):
                grads.append([y] + list(torch.autograd.grad(((y - target) ** 2).sum(), [x, linear.weight])))
            for a, b in zip(*grads):
                torch.testing.assert_close(a, b, rtol=2e-4, atol=2e-4)
            torch.testing.assert_close(fused.bn.running_mean, plain.running_mean, rtol=1e-5, atol=1e-5)
            torch.testing.assert_close(fused.bn.running_var, plain.running_var, rtol=1e-4, atol=1e-5)

    def test_equals_separate_layers_when_real(self):
        torch.manual_seed(4)
        self.compare(nn.Linear(16, 24, bias=False))

    def test_equals_separate_layers_when_binary(self):
        # Integer sums tie, and a tie may give the gradient to another point: few points and a seed without ties.
        torch.manual_seed(4)
        linear = LSRLinear(257, 6)
        linear.scale.data.fill_(0.3)
        self.compare(linear, clouds=2, points=4)


class Gradients(unittest.TestCase):
    def test_every_parameter_of_every_network_receives_a_gradient(self):
        for tnets in (False, True):
            for binary in (False, True):
                with self.subTest(tnets=tnets, binary=binary):
                    torch.manual_seed(0)
                    net = PointNet(tnets=tnets, binary=binary, points=64)
                    for name, p in net.named_parameters():  # real T-Nets start as the identity: no gradients yet
                        if name.endswith("tn.fc3.weight"):
                            nn.init.normal_(p, 0, 0.05)
                    net(torch.randn(8, 64, 3))[:, 0].sum().backward()
                    learned = {n: p for n, p in net.named_parameters() if p.requires_grad}
                    dead = [n for n, p in learned.items() if p.grad is None or not p.grad.abs().sum() > 0]
                    self.assertEqual(dead, [])

    def test_only_scales_without_normalisation_are_learned(self):
        net = PointNet(tnets=True, binary=True, points=64)
        learned = [n for n, p in net.named_parameters() if n.endswith("scale") and p.requires_grad]
        self.assertEqual(learned, ["stn.fc3.scale", "fstn.fc3.scale"])


if __name__ == "__main__":
    unittest.main()
