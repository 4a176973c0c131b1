"""Sign, binary layers, EMA offset and the fused pooling step against plain double-precision code."""

import itertools
import math
import unittest

import numpy as np
import torch
from torch import nn

from train.binarize import BINARIZERS, SHIPPED_DELTAS, LSRLinear, RPReLU, delta_formula, ema_delta, sign
from train.networks.layers import POOLS, Pool
from train.networks.pool import LinearNormPool


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


class Binarizers(unittest.TestCase):
    """Every layer against sums of products in double."""

    def setUp(self):
        torch.manual_seed(7)
        self.x = torch.randn(5, 33)

    def layer(self, name):
        layer = BINARIZERS[name](33, 6)
        if layer.bias is not None:
            nn.init.normal_(layer.bias)
        return layer, layer.weight.detach().double().numpy(), self.x.double().numpy()

    def check(self, layer, expected):
        np.testing.assert_allclose(layer(self.x).detach().numpy(), expected, rtol=1e-5, atol=1e-5)

    def test_bnn_is_plain_signs_and_a_bias(self):
        layer, w, x = self.layer("BNN")
        self.check(layer, np.sign(x) @ np.sign(w).T + layer.bias.detach().numpy())

    def test_xnor_scales_by_mean_magnitudes_of_rows(self):
        layer, w, x = self.layer("XNOR")
        w = w - w.mean(1, keepdims=True)
        scale = np.abs(w).mean(1) * np.abs(x).mean(1, keepdims=True)
        self.check(layer, np.sign(x) @ np.sign(w).T * scale + layer.bias.detach().numpy())

    def test_xnor_plus_has_one_learned_scale_per_output(self):
        layer, w, x = self.layer("XNOR++")
        layer.scale.data.copy_(torch.arange(6.0) - 2)
        self.check(layer, np.sign(x) @ np.sign(w).T * (np.arange(6) - 2))

    def test_irnet_scales_are_powers_of_two_of_standardised_weights(self):
        layer, w, x = self.layer("IRNet")
        w = (w - w.mean(1, keepdims=True)) / w.std(1, ddof=1, keepdims=True)
        scale = 2 ** np.round(np.log2(np.abs(w).mean(1)))
        self.check(layer, np.sign(x) @ np.sign(w).T * scale + layer.bias.detach().numpy())

    def test_bireal_scales_by_mean_weight_without_bias(self):
        layer, w, x = self.layer("BiReal")
        self.check(layer, np.sign(x) @ np.sign(w).T * np.abs(w).mean(1))

    def test_react_shifts_every_channel_before_the_sign(self):
        layer, w, x = self.layer("ReActNet")
        nn.init.normal_(layer.shift)
        self.check(layer, np.sign(x + layer.shift.detach().numpy()) @ np.sign(w).T * np.abs(w).mean(1))

    def test_rprelu_bends_between_two_shifts(self):
        act = RPReLU(2)
        act.before.data, act.after.data = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 2.0])
        self.assertEqual(act(torch.tensor([[-3.0, -1.0]])).tolist(), [[-0.5, 1.75]])

    def test_parts_equal_the_whole(self):
        cloud, points = torch.randn(2, 1, 13), torch.randn(2, 7, 20)
        whole = torch.cat((cloud.expand(2, 7, 13), points), -1)
        for name, layer in ((n, c(33, 6)) for n, c in BINARIZERS.items()):
            layer(whole)
            torch.testing.assert_close(layer(cloud, points), layer(whole), msg=name)

    def test_irnet_gradient_sharpens_with_progress(self):
        layer, _, _ = self.layer("IRNet")
        slopes = []
        for epoch in (0, 50, 100):
            layer.set_progress(epoch, 100)
            x = torch.tensor([0.1, 1.0], requires_grad=True)
            slopes.append(torch.autograd.grad(layer.binary(x).sum(), x)[0].tolist())
        t = [10.0 ** (-3 + 4 * e / 100) for e in (0, 50, 100)]
        expected = [[max(1 / v, 1) * v * (1 - math.tanh(v * x) ** 2) for x in (0.1, 1.0)] for v in t]
        np.testing.assert_allclose(slopes, expected, rtol=1e-4, atol=1e-6)


class FusedPool(unittest.TestCase):
    """LinearNormPool must equal linear, normalisation and pool in sequence: value, gradients, running statistics."""

    def compare(self, linear, clouds=3, points=50, kind="ema-max", clip=False):
        torch.manual_seed(5)
        features, inputs = linear.weight.shape
        fused = LinearNormPool(linear, features, Pool(kind, points), clip)
        nn.init.uniform_(fused.bn.weight, -1.5, 1.5)
        nn.init.normal_(fused.bn.bias)
        if linear.bias is not None:
            nn.init.normal_(linear.bias)
        plain = nn.BatchNorm1d(features)
        plain.load_state_dict(fused.bn.state_dict())
        x = torch.randn(clouds, points, inputs, requires_grad=True)
        target = torch.randn(clouds, features)
        for training in (True, False):
            fused.train(training)
            plain.train(training)
            y = plain(linear(x.reshape(-1, inputs))).view(clouds, points, features)
            y = nn.functional.hardtanh(y) if clip else y
            y = y.mean(1) if kind in ("mean", "ema-avg") else y.max(1)[0]
            y = y + (ema_delta(points) if kind == "ema-max" else 0.0)
            grads = [[y] + list(torch.autograd.grad(((y - target) ** 2).sum(), [x, linear.weight]))
                     for y in (fused(x), y)]
            for a, b in zip(*grads):
                torch.testing.assert_close(a, b, rtol=2e-4, atol=2e-4)
            torch.testing.assert_close(fused.bn.running_mean, plain.running_mean, rtol=1e-5, atol=1e-5)
            torch.testing.assert_close(fused.bn.running_var, plain.running_var, rtol=1e-4, atol=1e-5)

    def test_equals_separate_layers_when_real(self):
        torch.manual_seed(4)
        self.compare(nn.Linear(16, 24, bias=False))

    def test_equals_separate_layers_for_every_binarizer_and_pool(self):
        # Integer sums tie, and a tie may give the gradient to another point: few points and a seed without ties.
        for name, kind, clip in itertools.product(BINARIZERS, POOLS, (False, True)):
            with self.subTest(name=name, kind=kind, clip=clip):
                torch.manual_seed(4)
                linear = BINARIZERS[name](257, 6)
                if name == "LSR":
                    linear.scale.data.fill_(-0.3)
                self.compare(linear, clouds=2, points=4, kind=kind, clip=clip)


if __name__ == "__main__":
    unittest.main()
