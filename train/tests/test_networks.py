"""Networks: sizes and costs of the papers, short cuts against the plain form, gradients, configurations."""

import itertools
import tempfile
import unittest

import torch
from torch import nn

from train import neighbours, weights
from train.binarize import BINARIZERS, BinaryLinear
from train.networks import KINDS, current_config, initialise_from, make_network
from train.networks.layers import Layer

SMALL = dict(points=48, classes=5)
# Fewer neighbours and centres than the papers', to be quick.
FEW = {"dgcnn": dict(k=8), "dgcnn4": dict(k=8), "dgcnn4-avg": dict(k=8),
       "pointconv": dict(centres=(24, 12), neighbours=(6, 6)),
       "pointconv-density": dict(centres=(24, 12), neighbours=(6, 6))}


def small(kind, *arguments, **config):
    return make_network(kind, *arguments, **{**SMALL, **FEW.get(kind, {}), **config})


def cost(net, points, channels=3):
    """Multiply-accumulates and weights of the binary layers, as they are evaluated layer by layer."""
    macs, weights = 0, 0
    layers = [m for m in net.modules() if isinstance(m, BinaryLinear)]

    def count(layer, parts, y):
        nonlocal macs
        macs += y.shape[:-1].numel() * layer.weight.numel()
    handles = [layer.register_forward_hook(count) for layer in layers]
    for module in net.modules():
        if isinstance(module, Layer):
            module.plain = True
    with torch.no_grad():
        net.train()(torch.randn(2, points, channels))
    for handle in handles:
        handle.remove()
    return macs // 2, sum(layer.weight.numel() for layer in layers)


class Costs(unittest.TestCase):
    """Against the counts measured on the official networks."""

    def check(self, kind, points, mega_macs, weights=None, **more):
        macs, binary = cost(make_network(kind, points=points, **more), points, more.get("channels", 3))
        self.assertAlmostEqual(macs / 1e6, mega_macs, delta=0.06 if mega_macs < 1000 else 0.6)
        if weights:
            self.assertEqual(round(binary / weights, 2), 1.0)
        return binary

    def test_pointnet(self):
        self.assertEqual(self.check("tnets", 1024, 435.0, classes=40), 3438848)
        self.assertEqual(self.check("vanilla", 1024, 143.3, classes=40), 794624)

    def test_other_parameters_of_pointnet(self):
        net = make_network("tnets", classes=40)
        binary = {id(m.weight) for m in net.modules() if isinstance(m, BinaryLinear)}
        other = [p for p in net.parameters() if id(p) not in binary]
        self.assertEqual(sum(p.numel() for p in other), 22711)

    def test_segmentation(self):
        self.check("partseg", 2048, 5710, 8.29e6, channels=6, classes=4)
        self.check("semseg", 4096, 4683, 3.50e6, channels=9, classes=13)

    def test_dgcnn(self):
        self.check("dgcnn", 1024, 705.3, classes=40)

    def test_pointnet2(self):
        self.check("pointnet2", 1024, 1035.8, classes=40)


class Networks(unittest.TestCase):
    def networks(self, pools=("max", "ema-avg", "mean")):
        kinds = [kind for kind in KINDS if kind != "pointnet2-msg"]  # like pointnet2, slowly
        for arguments in [*itertools.product(kinds, ("LSR", "float"), (None,)),
                          *itertools.product(("semseg-vanilla", "dgcnn4"), BINARIZERS, pools),
                          *itertools.product(("pointcnn",), BINARIZERS, (None,))]:
            torch.manual_seed(1)
            yield small(*arguments)

    def test_shapes(self):
        for net in self.networks():
            logits, pools = net.features(0.3 * torch.randn(2, 48, 3))
            self.assertEqual(logits.shape, (2, 48, 5) if net.per_point else (2, 5), net.config)
            self.assertEqual((pools[-1].dim(), len(pools[-1])), (2, 2))

    def test_short_cuts_equal_the_plain_form(self):
        for net in self.networks():
            x = 0.3 * torch.randn(2, 48, 3)
            net(x)
            # In double, and few layers deep in sums that rounding could turn: the forms must agree far below a sign.
            net, x = net.double().eval(), x.double()
            expected = net(x)
            for module in net.modules():
                if isinstance(module, Layer):
                    module.plain = True
            torch.testing.assert_close(net(x), expected, rtol=1e-6, atol=1e-6, msg=str(net.config))

    def test_every_parameter_receives_a_gradient(self):
        # The maximum of many points without an offset lies where the estimator's gradient is zero: not tested.
        for net in self.networks(pools=("ema-avg",)):
            if (net.config["kind"], net.config["binarizer"]) == ("pointcnn", "BNN"):
                continue  # sums without a scale in front of a hardtanh saturate
            for name, p in net.named_parameters():  # real T-Nets start as the identity: no gradients yet
                if name.endswith("tn.fc3.weight") and not p.abs().any():
                    nn.init.normal_(p, 0, 0.05)
            net(0.3 * torch.randn(6, 48, 3))[..., 0].sum().backward()
            # A bias in front of a normalisation has none.
            learned = {n: p for n, p in net.named_parameters() if p.requires_grad and not n.endswith(".linear.bias")}
            dead = [n for n, p in learned.items() if p.grad is None or not p.grad.abs().sum() > 0]
            self.assertEqual(dead, [], net.config)

    def test_only_scales_without_normalisation_are_learned(self):
        net = make_network("tnets", **SMALL)
        learned = [n for n, p in net.named_parameters() if n.endswith("scale") and p.requires_grad]
        self.assertEqual(learned, ["stn.fc3.scale", "fstn.fc3.scale"])

    def test_configuration_makes_the_same_network(self):
        for net in self.networks():
            again = make_network(**net.config)
            self.assertEqual(again.config, net.config)
            self.assertEqual({k: v.shape for k, v in again.state_dict().items()},
                             {k: v.shape for k, v in net.state_dict().items()})

    def test_configuration_of_early_checkpoints(self):
        config = current_config(dict(classes=10, tnets=False, binary=True, points=512, activation="hardtanh",
                                     estimator="bireal", dropout=0.0))
        self.assertEqual(make_network(**config).config, make_network("vanilla", points=512, estimator="bireal").config)
        self.assertEqual(current_config(config), config)

    def test_a_binary_network_starts_from_its_full_precision_twin(self):
        for kind in KINDS:
            student, teacher = small(kind), small(kind, "float")
            copied = set(initialise_from(student, teacher))
            fresh = [n for n, _ in student.named_parameters() if n not in copied]
            self.assertTrue(all(n.endswith("scale") for n in fresh), fresh)

    def test_packed_weights_evaluate_like_the_network(self):
        for kind, binarizer in (("tnets", "LSR"), ("vanilla", "BNN"), ("dgcnn", "XNOR++"), ("vanilla", "IRNet"),
                                ("pointcnn", "BNN"), ("pointcnn", "LSR")):
            torch.manual_seed(2)
            net, x = small(kind, binarizer), 0.3 * torch.randn(2, 48, 3)
            net(x)
            with tempfile.TemporaryDirectory() as folder:
                weights.save(net, ["a"], f"{folder}/weights.npz")
                again, _ = weights.load(f"{folder}/weights.npz")
            torch.testing.assert_close(again(x), net.eval()(x), rtol=0, atol=0, msg=f"{kind} {binarizer}")

    def test_training_goes_on_from_packed_weights(self):
        torch.manual_seed(2)
        net, x = small("vanilla"), 0.3 * torch.randn(2, 48, 3)
        net(x)
        with tempfile.TemporaryDirectory() as folder:
            weights.save(net, ["a"], f"{folder}/weights.npz")
            packed, _ = weights.load(f"{folder}/weights.npz")
        again = small("vanilla")
        initialise_from(again, packed)
        torch.testing.assert_close(again.eval()(x), net.eval()(x), rtol=0, atol=0)
        again(x)[:, 0].sum().backward()
        for name, layer in weights.binary_layers(again).items():
            self.assertTrue((layer.weight.grad != 0).any(), name)
            self.assertLess(layer.weight.abs().max().item(), layer.weight.shape[1] ** -0.5, name)

    def test_unknown_names_and_settings_are_refused(self):
        for arguments in (("pointnet",), ("vanilla", "LSQ"), ("vanilla", "LSR", "median")):
            with self.assertRaisesRegex(ValueError, "not one of"):
                make_network(*arguments)
        with self.assertRaisesRegex(ValueError, "which pointcnn has"):
            make_network("pointcnn", pool="max")
        with self.assertRaisesRegex(ValueError, "no setting k"):
            make_network("vanilla", k=20)


class Neighbours(unittest.TestCase):
    def test_nearest_against_sorting(self):
        torch.manual_seed(0)
        # A grid: many equal distances.
        points = torch.randint(0, 4, (2, 30, 3)).float()
        d = ((points[:, :, None] - points[:, None]) ** 2).sum(-1)
        for count, dilation in ((7, 1), (5, 3)):
            expected = [[sorted(range(30), key=lambda j: (d[b, i, j].item(), j))[:count * dilation:dilation]
                         for i in range(30)] for b in range(2)]
            self.assertEqual(neighbours.k_nearest(points, points, count, dilation).tolist(), expected)

    def test_missing_neighbours_repeat_the_nearest(self):
        points = torch.tensor([[[0.0], [10.0], [1.0]]])
        self.assertEqual(neighbours.k_nearest(points, points[:, :1], 5).tolist(), [[[0, 2, 1, 0, 0]]])
        self.assertEqual(neighbours.k_nearest(points, points[:, :1], 4, 2).tolist(), [[[0, 1, 0, 0]]])

    def test_farthest_points_against_the_definition(self):
        torch.manual_seed(0)
        points = torch.randint(0, 5, (2, 40, 3)).float()
        d = ((points[:, :, None] - points[:, None]) ** 2).sum(-1)
        expected = []
        for b in range(2):
            taken = [0]
            while len(taken) < 12:
                gap = [min(d[b, i, j].item() for j in taken) for i in range(40)]
                taken.append(gap.index(max(gap)))
            expected.append(taken)
        self.assertEqual(neighbours.farthest_points(points, count=12).tolist(), expected)
        self.assertEqual(neighbours.farthest_points(points, ratio=0.3).tolist(), expected)
        self.assertEqual(neighbours.farthest_points(points[:, :7], ratio=0.334).shape, (2, 3))

    def test_ball_query_against_the_definition(self):
        torch.manual_seed(0)
        points, centres = torch.rand(2, 40, 3), torch.rand(2, 9, 3) * 2
        centres[:, 0] = 9.0  # far from everything
        d = ((centres[:, :, None] - points[:, None]) ** 2).sum(-1)
        expected = []
        for row in d.reshape(-1, 40):
            near = [j for j in range(40) if row[j] < 0.25][:6] or [row.argmin().item()]
            expected.append(near + near[:1] * (6 - len(near)))
        self.assertEqual(neighbours.ball_query(points, centres, 0.5, 6).view(-1, 6).tolist(), expected)
        edge = torch.tensor([[[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]])
        self.assertEqual(neighbours.ball_query(edge, edge[:, :1], 1.0, 4).tolist(), [[[0, 0, 0, 0]]])

    def test_gather(self):
        x = torch.arange(12.0).view(2, 3, 2)
        index = torch.tensor([[[0, 2]], [[1, 1]]])
        self.assertEqual(neighbours.gather_rows(x, index).tolist(), [[[[0, 1], [4, 5]]], [[[8, 9], [8, 9]]]])
        self.assertEqual(neighbours.gather_rows(x, index[:, 0]).tolist(), [[[0, 1], [4, 5]], [[8, 9], [8, 9]]])


if __name__ == "__main__":
    unittest.main()
