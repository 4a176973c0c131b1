"""Exported graphs: same values as PyTorch, sums of binary layers are integers."""

import contextlib
import io
import tempfile
import unittest
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from train import cli, export
from train.binarize import BINARIZERS
from train.deploy import Deployed
from train.neighbours_onnx import GATHERS
from train.networks import make_network
from train.networks.layers import POOLS
from train.random_networks import random_clouds, random_network, stable_clouds
from train.tests.onnx_numpy import evaluate

POINTS = 64


class Export(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "net.onnx"

    def values(self, net, clouds, **form):
        form = export.Form(**form)
        export.write(net, self.path, form)
        indices = export.index_inputs(net, torch.from_numpy(clouds)) if form.neighbours == "inputs" else []
        return evaluate(self.path, form.arrange(clouds), **{f"index{i}": v.numpy() for i, v in enumerate(indices)})

    def check(self, forms, kind, binarizer="LSR", pool=None, **config):
        for form in forms:
            with self.subTest(kind=kind, binarizer=binarizer, pool=pool, **form):
                raw = form.get("raw", False)
                net = random_network(kind, binarizer, 4, exact_scales=raw, pool=pool, points=POINTS, **config)
                clouds, expected = stable_clouds(net, 3, POINTS, 1)
                values, graph = self.values(net, clouds, **form)
                np.testing.assert_allclose(values["log_probs"], expected, atol=2e-5)
                form = form.get("neighbours", net.neighbours_in_onnx)
                self.assertLessEqual({n.domain for n in graph.node}, {"", "xnor"} if form == "xnor" else {""})

    def test_every_form_of_pointnet(self):
        forms = [dict(layout=layout, raw=raw) for layout in ("linear", "conv") for raw in (False, True)]
        forms += [dict(layout="conv", fold_bn=True), dict(points=POINTS, batch=3)]
        for kind in ("vanilla", "tnets"):
            self.check(forms, kind)
            self.check(forms[:1] + forms[-2:], kind, "float", activation="relu")
        for kind in ("semseg-vanilla", "partseg-vanilla"):
            self.check(forms, kind, channels=5)

    def test_every_binarizer(self):
        forms = [dict(layout="linear", raw=True), dict(layout="conv", raw=True), dict(), dict(layout="conv", fold_bn=True)]
        for binarizer in BINARIZERS:
            self.check(forms, "vanilla", binarizer, classes=4)

    def test_every_pool(self):
        for pool in POOLS:
            self.check([dict(), dict(layout="conv", raw=True)], "tnets", "BNN", pool)

    def test_every_form_of_neighbours(self):
        forms = [dict(neighbours="xnor"), dict(neighbours="difference", layout="conv"), dict(neighbours="inputs")]
        forms += [dict(neighbours="gram", gather=gather) for gather in GATHERS] + [dict(raw=True, layout="conv")]
        self.check(forms, "dgcnn", k=8)
        # In the raw form the straight-through leftovers turn exact zeros into noise, in double too.
        self.check(forms[1:3], "dgcnn4", "BiReal", "max", k=8)

    def test_networks_on_sampled_points(self):
        forms = [dict(), dict(neighbours="inputs"), dict(neighbours="inputs", gather="nd", layout="conv"), dict(raw=True)]
        few = dict(centres=(24, 12), neighbours=(6, 6))
        self.check(forms, "pointnet2", classes=4)
        self.check(forms, "pointcnn", classes=4)
        self.check(forms[:3], "pointconv", **few)
        self.check(forms[:1], "pointconv-density", **few)

    def test_row_scales_of_groups(self):
        # Double against double: float32 turns signs in so many scaled rows that hardly any cloud is stable.
        net, clouds = random_network("pointcnn", "XNOR", 4, points=POINTS, classes=4), random_clouds(2, POINTS, 1)
        with torch.no_grad():
            expected = Deployed(net).double()(torch.from_numpy(clouds).double()).numpy()
        values, graph = self.values(net, clouds, neighbours="inputs")
        np.testing.assert_allclose(values["log_probs"], expected, atol=1e-6)
        self.assertNotIn("SplitToSequence", {n.op_type for n in graph.node})

    def test_sums_of_binary_layers_are_integers(self):
        clouds = random_clouds(2, POINTS, 2)
        for kind, layout in (("vanilla", "linear"), ("vanilla", "conv"), ("tnets", "linear"), ("tnets", "conv"),
                             ("dgcnn", "linear"), ("dgcnn", "conv")):
            values, graph = self.values(random_network(kind, seed=5, points=POINTS), clouds, layout=layout)
            signs = {n.output[0] for n in graph.node if n.op_type == "Sign"}
            sums = [n for n in graph.node if n.op_type in ("MatMul", "Conv") and n.input[0] in signs]
            self.assertEqual(len(sums), len(signs))
            self.assertEqual(len(sums), dict(vanilla=4, tnets=15, dgcnn=6)[kind])
            for node in sums:
                self.assertLessEqual(set(np.unique(values[node.input[1]])), {-1.0, 0.0, 1.0})
                y = values[node.output[0]]
                np.testing.assert_array_equal(y, np.rint(y))

    def test_scale_follows_the_sum(self):
        export.write(random_network(seed=6, points=POINTS), self.path)
        graph = onnx.load(str(self.path)).graph
        constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
        user = {name: n for n in graph.node for name in n.input}
        for node in graph.node:
            if node.op_type == "Sign":
                product = user[node.output[0]]
                self.assertEqual(product.op_type, "MatMul")
                scale = user[product.output[0]]
                self.assertEqual(scale.op_type, "Mul")
                self.assertEqual(constants[scale.input[1]].size, 1)

    def test_raw_form_leaves_what_training_needs(self):
        expected = dict(LSR={"ReduceMean", "Sub", "Sign"}, XNOR={"Abs", "ReduceMean"}, BiReal={"Less", "Cast"},
                        IRNet={"Round", "Log", "Pow", "ReduceProd"}, ReActNet={"PRelu", "Less"})
        for binarizer, operators in expected.items():
            export.write(random_network("vanilla", binarizer, 1, points=POINTS), self.path, export.Form(raw=True))
            found = {n.op_type for n in onnx.load(str(self.path)).graph.node}
            self.assertLessEqual(operators, found, binarizer)

    def test_dynamic_axes_accept_other_sizes(self):
        for kind in ("tnets", "semseg", "dgcnn"):
            net = random_network(kind, seed=7, points=POINTS)
            export.write(net, self.path)
            for batch, points in ((1, 30), (4, 100)):
                clouds, expected = stable_clouds(net, batch, points, 3)
                np.testing.assert_allclose(evaluate(self.path, clouds)[0]["log_probs"], expected, atol=2e-5)

    def test_interface(self):
        for kind, form, inputs, outputs in (
                ("vanilla", {}, {"points": ["batch", "points", 3]}, ["batch", 10]),
                ("semseg", dict(layout="conv"), {"points": ["batch", 3, "points"]}, ["batch", "points", 10]),
                ("dgcnn", dict(points=POINTS, batch=1, neighbours="inputs"),
                 {"points": [1, POINTS, 3], "index0": [1, POINTS, 20], "index1": [1, POINTS, 20]}, [1, 10])):
            export.write(random_network(kind, seed=8, points=POINTS), self.path, export.Form(**form))
            model = onnx.load(str(self.path))
            dims = {v.name: [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim]
                    for v in [*model.graph.input, *model.graph.output]}
            self.assertEqual(dims, {**inputs, "log_probs": outputs})
            self.assertEqual(model.opset_import[0].version, 13)

    def test_untrained_network_is_refused(self):
        with self.assertRaisesRegex(ValueError, "never trained"):
            export.write(make_network("vanilla", points=POINTS), self.path)

    def test_random_command_writes_a_matching_pair(self):
        arguments = ["random", "--points", str(POINTS), "--batch", "4", "--seed", "9", "--pair", "-o", str(self.path)]
        for more, shape in (([], (4, POINTS, 3)), (["--layout", "conv"], (4, 3, POINTS)),
                            (["--net", "dgcnn", "--neighbours", "inputs"], (4, POINTS, 3))):
            self.assertEqual(cli.main([*arguments, *more]), 0)
            points, expected = (np.load(self.path.with_suffix(s)) for s in (".in.npy", ".out.npy"))
            self.assertEqual((points.shape, points.dtype, expected.dtype), (shape, np.float32, np.float32))
            indices = {p.suffixes[0][1:]: np.load(p) for p in self.path.parent.glob("net.index*.npy")}
            self.assertEqual(len(indices), 2 if "inputs" in more else 0)
            np.testing.assert_allclose(evaluate(self.path, points, **indices)[0]["log_probs"], expected, atol=2e-5)

    def test_missing_checkpoint_is_a_message(self):
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors):
            self.assertEqual(cli.main(["export", str(self.path), "-o", "x.onnx"]), 1)
        self.assertIn("net.onnx", errors.getvalue())


if __name__ == "__main__":
    unittest.main()
