"""Exported graphs: same values as PyTorch, sums of binary layers are integers."""

import contextlib
import io
import itertools
import tempfile
import unittest
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from train import cli, export, loop, tasks
from train.networks import make_network
from train.tests.onnx_numpy import evaluate

POINTS = 96


class Export(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "net.onnx"

    def values(self, net, clouds, layout="linear", **options):
        export.write(net, self.path, layout, **options)
        return evaluate(self.path, clouds if layout == "linear" else clouds.transpose(0, 2, 1))

    def test_every_form_equals_pytorch(self):
        clouds = export.random_clouds(3, POINTS, 1)
        for tnets, binary in itertools.product((False, True), (False, True)):
            net = export.random_network(4, tnets, binary, POINTS)
            expected = tasks.predict(net, clouds)
            forms = [("linear", {}), ("conv", {}), ("conv", dict(fold=True)), ("linear", dict(points=POINTS, batch=3))]
            if binary:
                forms += [("linear", dict(raw=True)), ("conv", dict(raw=True))]
            for layout, options in forms:
                with self.subTest(tnets=tnets, binary=binary, layout=layout, **options):
                    values, _ = self.values(net, clouds, layout, **options)
                    np.testing.assert_allclose(values["log_probs"], expected, atol=2e-4)

    def test_sums_of_binary_layers_are_integers(self):
        clouds = export.random_clouds(2, POINTS, 2)
        for tnets, layout in itertools.product((False, True), ("linear", "conv")):
            values, graph = self.values(export.random_network(5, tnets, True, POINTS), clouds, layout)
            signs = {n.output[0] for n in graph.node if n.op_type == "Sign"}
            sums = [n for n in graph.node if n.op_type in ("MatMul", "Conv") and n.input[0] in signs]
            self.assertEqual(len(sums), len(signs))
            self.assertEqual(len(sums), 15 if tnets else 4)
            for node in sums:
                self.assertLessEqual(set(np.unique(values[node.input[1]])), {-1.0, 0.0, 1.0})
                y = values[node.output[0]]
                np.testing.assert_array_equal(y, np.rint(y))

    def test_scale_follows_the_sum(self):
        export.write(export.random_network(6, False, True, POINTS), self.path)
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

    def test_dynamic_axes_accept_other_sizes(self):
        net = export.random_network(7, True, True, POINTS)
        export.write(net, self.path)
        for batch, points in ((1, 7), (4, 200)):
            clouds = export.random_clouds(batch, points, 3)
            values, _ = evaluate(self.path, clouds)
            np.testing.assert_allclose(values["log_probs"], tasks.predict(net, clouds), atol=2e-4)

    def test_interface(self):
        export.write(export.random_network(8, False, True, POINTS), self.path)
        model = onnx.load(str(self.path))
        ends = [*model.graph.input, *model.graph.output]
        dims = [[d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in ends]
        self.assertEqual([v.name for v in ends], ["points", "log_probs"])
        self.assertEqual(dims, [["batch", "points", 3], ["batch", 10]])
        self.assertEqual(model.opset_import[0].version, 13)

    def test_untrained_network_is_refused(self):
        with self.assertRaisesRegex(ValueError, "never trained"):
            export.write(make_network("vanilla", points=POINTS), self.path)

    def test_random_command_writes_a_matching_pair(self):
        for layout, shape in (("linear", (4, POINTS, 3)), ("conv", (4, 3, POINTS))):
            arguments = ["random", "--layout", layout, "--points", str(POINTS), "--batch", "4", "--seed", "9", "--pair"]
            self.assertEqual(cli.main([*arguments, "-o", str(self.path)]), 0)
            points, expected = (np.load(self.path.with_suffix(s)) for s in (".in.npy", ".out.npy"))
            self.assertEqual((points.shape, points.dtype, expected.dtype), (shape, np.float32, np.float32))
            np.testing.assert_allclose(evaluate(self.path, points)[0]["log_probs"], expected, atol=2e-4)

    def test_missing_checkpoint_is_a_message(self):
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors):
            self.assertEqual(cli.main(["export", str(self.path), "-o", "x.onnx"]), 1)
        self.assertIn("net.onnx", errors.getvalue())


if __name__ == "__main__":
    unittest.main()
