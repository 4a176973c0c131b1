"""Networks on pictures with random weights: structure, exported graphs, balance of what is binarized."""

import contextlib
import io
import tempfile
import unittest
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from train import cli, dense_export, random_pictures
from train.binarize import BinaryLinear
from train.networks import bineal, make_network
from train.networks.bimtdp import Distillation, Propagation
from train.networks.blocks2d import Maker2d, Real

SIZE = (64, 96)


class Inputs:
    """Keeps what enters the binary layers of a network."""

    def __init__(self, net):
        self.seen = {}
        for name, module in net.named_modules():
            if isinstance(module, BinaryLinear):
                module.register_forward_pre_hook(lambda m, x, name=name: self.seen.__setitem__(name, x[0]))


def binary_convolutions(model):
    """-> nodes whose input is a sign, weights by name"""
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    for node in model.graph.node:  # equal initialisers are written once
        if node.op_type == "Identity" and node.input[0] in constants:
            constants[node.output[0]] = constants[node.input[0]]
    signs = set()
    for node in model.graph.node:
        if node.op_type == "Sign" or node.op_type == "Resize" and node.input[0] in signs:
            signs.add(node.output[0])
    return [n for n in model.graph.node if n.op_type == "Conv" and n.input[0] in signs], constants


class Pictures(unittest.TestCase):
    def export(self, net, **form):
        with tempfile.TemporaryDirectory() as folder:
            dense_export.write(net, Path(folder) / "net.onnx", *SIZE, **form)
            return onnx.load(f"{folder}/net.onnx")

    def check_binary(self, kind, binarizer="IRNet", **config):
        """Sums of binary layers are exact, their inputs balanced, and the exported module computes what the network does.

        -> network, binary convolutions, constants
        """
        net = random_pictures.random_network(kind, binarizer, 3, size=SIZE, **config)
        convolutions, constants = binary_convolutions(self.export(net))
        self.assertEqual(len(convolutions), sum(isinstance(m, BinaryLinear) for m in net.modules()))
        for node in convolutions:
            self.assertEqual(len(node.input), 2, node.name)
            self.assertTrue((np.abs(constants[node.input[1]]) == 1).all(), node.name)
        picture, inputs = random_pictures.random_picture(*SIZE, 5), Inputs(net)
        with torch.no_grad():
            expected = net.double()(picture.double())
        for name, x in inputs.seen.items():
            with self.subTest(layer=name):
                self.assertLess(abs(float(torch.sign(x).mean())), 0.5)
        for name, y in random_pictures.evaluate(net, picture).items():
            np.testing.assert_allclose(y, expected[name], atol=1e-5)
        return net, convolutions, constants


class HRNetwork(Pictures):
    def test_binary_sums_are_exact_and_signs_balanced(self):
        self.check_binary("hrnet", "BNN", width=8)

    def test_shapes_and_size_are_those_of_the_published_network(self):
        net = make_network("hrnet", "float")
        shapes = {name: tuple(y.shape) for name, y in net.eval()(torch.zeros(1, 3, *SIZE)).items()}
        self.assertEqual(shapes, {f"stride{s}": (1, 18 * s // 4, 64 // s, 96 // s) for s in (4, 8, 16, 32)})
        weights = {name: v for name, v in net.named_parameters() if name.startswith("stage4.1.fuse_layers.3.0")}
        self.assertEqual([tuple(v.shape) for name, v in weights.items() if name.endswith("0.weight")],
                         [(18, 18 * 9), (18, 18 * 9), (144, 18 * 9)])
        blocks = [name for name, _ in net.named_modules() if name.endswith("conv1")]
        self.assertEqual(len(blocks), 2 + 2 * (1 * 2 + 3 * 3 + 2 * 4))

    def test_command_writes_a_picture_and_every_output(self):
        with tempfile.TemporaryDirectory() as folder:
            stem = f"{folder}/net"
            arguments = ["random", "--net", "hrnet", "--width", "8", "--size", *map(str, SIZE), "--pair", "-o", f"{stem}.onnx"]
            self.assertEqual(cli.main(arguments), 0)
            picture = np.load(f"{stem}.in.npy")
            self.assertEqual((picture.shape, picture.dtype), ((1, 3, *SIZE), np.float32))
            graph = onnx.load(f"{stem}.onnx").graph
            for i, output in enumerate(graph.output):
                dims = tuple(d.dim_value for d in output.type.tensor_type.shape.dim)
                self.assertEqual(np.load(f"{stem}.out{i}.npy").shape, dims)
            errors = io.StringIO()
            with contextlib.redirect_stderr(errors):
                self.assertEqual(cli.main([*arguments, "--size", "60", "96"]), 1)
            self.assertIn("multiples of 32", errors.getvalue())


class MultiTask(Pictures):
    TASKS = dict(semseg=3, depth=1)

    def test_everything_between_first_and_last_layers_is_binary(self):
        net, *_ = self.check_binary("bimtdp", width=4, outputs=self.TASKS, variant="f", gate="target")
        reals = {name for name, m in net.named_modules() if isinstance(m, (Real, torch.nn.Linear))}
        kept = ("backbone.stem.0.0", ".se.", ".decoder.", ".last_layer.3", ".deviation")
        self.assertEqual({name for name in reals if not any(k in name for k in kept)}, set())

    def test_only_the_distillation_of_variant_c_is_binary_and_it_reads_zeros_and_ones(self):
        net = random_pictures.random_network("bimtdp", "IRNet", 3, size=SIZE, width=4, outputs=self.TASKS, variant="c")
        names = {name.split(".")[0] for name, m in net.named_modules() if isinstance(m, BinaryLinear)}
        self.assertEqual(names, {f"distillation_scale_{s}" for s in range(4)})
        inputs = Inputs(net)
        net(random_pictures.random_picture(*SIZE, 5))
        for name, x in inputs.seen.items():
            self.assertGreaterEqual(float(x.min()), 0, name)
            share = float((x > 0).float().mean())
            self.assertTrue(0.1 < share < 0.9, f"{name} {share}")

    def test_softmax_of_propagation_runs_over_consecutive_channels(self):
        module = Propagation(Maker2d(), ["a", "b"], 4).eval()
        seen = {}
        module.dimensionality_reduction.register_forward_pre_hook(lambda m, x: seen.update(masked=x[0]))
        ones = {t: torch.ones(1, 4, 8, 8) for t in "ab"}
        with torch.no_grad():
            torch.nn.init.uniform_(module.non_linear[2].bias)
            module(ones)
        sums = seen["masked"].view(1, 4, 2, 8, 8).sum(2)
        torch.testing.assert_close(sums, torch.ones_like(sums))

    def test_a_gate_takes_the_features_of_the_task_it_is_named_after(self):
        tasks = ["a", "b"]
        for gate, told, changed in (("source", "a", False), ("target", "a", True)):
            torch.manual_seed(1)
            module = Distillation(Maker2d("IRNet"), tasks, 4, gate, bits=False)
            x = {t: torch.randn(1, 4, 6, 6) for t in tasks}
            first = module(x)[told] - x[told]
            x[told] = torch.randn(1, 4, 6, 6)
            self.assertEqual(bool((module(x)[told] - x[told] - first).abs().max() > 0.5), changed)

    def test_the_article_exchanges_bits(self):
        torch.manual_seed(1)
        module = Distillation(Maker2d("IRNet"), ["a", "b"], 4, "target", bits=True)
        x = {t: torch.randn(1, 4, 6, 6) for t in "ab"}
        y = module(x)
        bits = {t: torch.sign(v).double() for t, v in x.items()}

        def sums(layer, v):
            return torch.nn.functional.conv2d(v, layer.signs().double().view(4, 4, 3, 3), padding=1)

        told = module.self_attention["a"]["b"].conv
        scale = told.output_scale().double().view(-1, 1, 1)
        expected = torch.sign(bits["a"] + (sums(module.target["a"][0], bits["a"]) > 0) * scale * sums(told, bits["b"]))
        torch.testing.assert_close(y["a"].double(), expected)

    def test_tasks_are_named_on_the_command_line(self):
        arguments = ["random", "--net", "bimtdp", "-o", "x.onnx", "--tasks", "semseg:21", "edge:1"]
        self.assertEqual(cli.parser().parse_args(arguments).tasks, [("semseg", 21), ("edge", 1)])
        with contextlib.redirect_stderr(io.StringIO()), self.assertRaises(SystemExit):
            cli.parser().parse_args([*arguments, "depth:0"])

    def test_it_trains_with_the_losses_of_dense_tasks(self):
        net = make_network("bimtdp", "IRNet", width=4, outputs=self.TASKS, variant="f", gate="target").train()
        scores, deep, features, kl = net.features(random_pictures.random_picture(*SIZE, 5, count=2))
        loss = sum(y.square().mean() for y in (*scores.values(), *(y for scale in deep for y in scale.values()), *features)) + kl
        loss.backward()
        unmoved = [name for name, p in net.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
        # A squeeze to one unit may be dead behind its ReLU.
        self.assertEqual([name for name in unmoved if ".squeeze." not in name], [])


class Residual(Pictures):
    def test_binary_sums_are_exact_and_signs_balanced(self):
        for binarizer in ("IRNet", "LSR"):
            self.check_binary("resnet18", binarizer)

    def test_shapes_are_those_of_the_published_networks(self):
        for kind, channels, weights in (("resnet18", 64, 11176512), ("resnet50", 256, 23508032)):
            net = make_network(kind, "float").eval()
            shapes = {name: tuple(y.shape) for name, y in net(torch.zeros(1, 3, *SIZE)).items()}
            self.assertEqual(shapes, {f"stride{s}": (1, channels * s // 4, 64 // s, 96 // s) for s in (4, 8, 16, 32)})
            self.assertEqual(sum(p.numel() for p in net.parameters()), weights)  # torchvision's without its last layer


class BiNeal(Pictures):
    def randomised(self, module):
        torch.manual_seed(2)
        for m in module.modules():
            if isinstance(m, torch.nn.BatchNorm2d):
                torch.nn.init.normal_(m.weight)
                torch.nn.init.normal_(m.bias, 0, 0.3)
                torch.nn.init.normal_(m.running_mean, 0, 0.2)
            if isinstance(m, bineal.Activation):
                for p in (m.tau, m.b0, m.b1):
                    torch.nn.init.normal_(p, 0, 0.3)
                torch.nn.init.constant_(m.k, 0.3)
            if isinstance(m, bineal.Convolution):
                torch.nn.init.normal_(m.alpha)
                m.scale.data.mul_(torch.randn(len(m.scale)))
        return module.double().eval().requires_grad_(False)

    def test_the_threshold_is_where_the_activation_turns(self):
        activation = self.randomised(bineal.Activation(200))
        theta = activation.threshold()
        for side in (-1, 1):
            bits = activation((theta + side * 1e-9).view(1, -1, 1, 1)).flatten()
            self.assertTrue((bits == side).all())

    def test_folded_steps_give_the_bits_of_training(self):
        bits = torch.sign(torch.randn(2, 6, 9, 10, dtype=torch.float64))
        for more in (dict(), dict(stride=2), dict(dilation=2), dict(alpha="N"), dict(alpha="NCKK")):
            with self.subTest(**more):
                step = self.randomised(bineal.Step(6, 50, **more))
                folded = step.deployed()
                self.assertTrue(torch.equal(folded(bits), step(bits)))
                self.assertEqual(set(folded.weight.unique().tolist()), {-1.0, 1.0})
                self.assertTrue((folded.offset.detach() % 1 == 0.5).all())

    def test_folded_blocks_give_the_bits_of_training(self):
        bits = torch.sign(torch.randn(2, 6, 9, 10, dtype=torch.float64))
        for shape in ((6, 40, 2), (6, 6, 1)):
            block = self.randomised(bineal.Block(*shape))
            folded = block.deployed()
            self.assertTrue(torch.equal(folded(bits), block(bits)))
            self.assertTrue(0.2 < (folded(bits) > 0).double().mean() < 0.8)
            levels = folded.second(folded.first(bits))
            self.assertLessEqual(set(levels.unique().tolist()), set(range(-8, 8)))

    def test_no_sum_comes_near_to_where_rounding_turns(self):
        levels = self.randomised(bineal.Levels(6, 100, 3, 1))
        folded = levels.deployed(torch.tensor(2.5))
        sums = torch.arange(-54, 55, dtype=torch.float64)
        x = folded.a.detach() * sums + folded.c.detach()
        a, c = levels.conv.folded(levels.bn)[1:]
        expected = torch.round((a * 2.5).view(-1, 1, 1) * sums + (c * 2.5).view(-1, 1, 1)).clamp(-8, 7)
        self.assertTrue(torch.equal(torch.round(x).clamp(-8, 7), expected))
        near = ((x - 0.5) - torch.round(x - 0.5)).abs()[(x > -7.6) & (x < 6.6)]
        self.assertGreater(float(near.min()), 1e-4)

    def test_graphs_hold_signs_and_compute_what_training_does(self):
        for kind, settings in (("bineal-classify", dict(multiplier=0.25)), ("bineal-segment", dict(multiplier=0.25)),
                               ("bineal-detect", dict(multiplier=0.25)), ("bineal-enlarge", dict(multiplier=0.25, blocks=2)),
                               ("bineal-match", dict(multiplier=0.25))):
            with self.subTest(kind=kind):
                net = random_pictures.random_network(kind, "BiNeal", 3, size=SIZE, **settings)
                model = self.export(net)
                convolutions, constants = binary_convolutions(model)
                signs = [n for n in convolutions if (np.abs(constants[n.input[1]]) == 1).all()]
                self.assertEqual(len(signs), sum(isinstance(m, bineal.Convolution) for m in net.modules()))
                self.assertNotIn("BatchNormalization", {n.op_type for n in model.graph.node})
                picture = random_pictures.random_picture(*SIZE, 5)
                found = random_pictures.evaluate(net, picture)
                for name, y in net.double()(picture.double()).items():
                    np.testing.assert_allclose(found[name], y.detach(), atol=1e-5)
                    self.assertGreater(float(y.std()), 1e-3)

    def test_twins_are_real_and_give_the_same_arrays(self):
        for kind in ("bineal-classify", "bineal-segment", "bineal-detect", "bineal-enlarge", "bineal-match"):
            shapes = []
            for binarizer in ("BiNeal", "float"):
                net = make_network(kind, binarizer, multiplier=0.25, classes=4).eval()
                shapes.append({name: y.shape for name, y in net(torch.zeros(1, 3, *SIZE)).items()})
            self.assertEqual(*shapes)
            self.assertFalse(any(isinstance(m, (bineal.Convolution, bineal.Activation)) for m in net.modules()))

    def test_everything_learns(self):
        net = make_network("bineal-detect", multiplier=0.25, binarizer="BiNeal").train()
        sum(y.square().mean() for y in net(random_pictures.random_picture(*SIZE, 5, count=2)).values()).backward()
        self.assertEqual([name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()], [])


if __name__ == "__main__":
    unittest.main()
