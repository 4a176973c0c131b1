"""The grid: rows, resuming, report."""

import tempfile
import unittest
from pathlib import Path

import numpy as np

from train import cli, grid
from train.tests.test_loop import toy_clouds


class Grid(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        clouds = toy_clouds(80)
        np.savez(self.folder / "toy.npz", points=clouds.points, label=clouds.labels, class_names=clouds.classes)

    def run_grid(self, *more):
        """What was printed."""
        lines = []
        args = cli.parser().parse_args(["grid", "-o", str(self.folder / "runs"), "--points", "16", "--epochs", "1",
                                        "--teacher-epochs", "1", "--data", str(self.folder / "toy.npz"), *more])
        if args.report:
            grid.report(args)
        else:
            grid.run(args, cli.main, lines.append)
        return lines

    def test_thirty_two_rows_and_the_other_norms(self):
        rows = grid.rows()
        self.assertEqual(len(rows), 32 + 5)
        self.assertEqual({f"{m}-{l}" for m in grid.PAPER for l in grid.LOSSES}, set(list(rows)[:32]))
        for name, options in rows.items():
            args = cli.parser().parse_args(["binary", "-o", "x", *options.split()])
            self.assertEqual((args.binarizer.lower(), args.pool), (name.split("-")[0], grid.POOLS[name.split("-")[1]]))

    def test_rows_resume_and_what_did_not_run_is_reported(self):
        rows = "lsr-ema-plain", "bnn-max-kdr"
        self.assertEqual([line.split()[1] for line in self.run_grid("--rows", *rows)], ["teacher", *rows])
        self.assertEqual(self.run_grid("--rows", *rows), [])
        self.assertEqual(sum(" done " in line for line in self.run_grid("--list")), 3)
        report = self.folder / "results.md"
        report.write_text(f"Before.\n{grid.BEGIN}\nold\n{grid.END}\nAfter.\n")
        self.run_grid("--report", str(report))
        text = report.read_text()
        self.assertTrue(text.startswith("Before.\n") and text.endswith("After.\n") and "old" not in text)
        self.assertIn("lsr-ema-kdr-inf.", text)
        self.assertEqual(text.count("python3 -m train binary"), 2)
        row = next(line for line in text.splitlines() if line.startswith("| bnn-max"))
        self.assertEqual(row.split("|")[2:5], [" not run "] * 3)
        self.assertIn("| 26.8 | 43.7 |", row)

    def test_other_settings_are_other_rows(self):
        self.run_grid("--rows", "lsr-ema-plain")
        self.assertEqual(sum(" done " in line for line in self.run_grid("--list", "--seed", "1")), 0)

    def test_unknown_rows_are_refused(self):
        with self.assertRaisesRegex(ValueError, "no row matches"):
            self.run_grid("--rows", "lsr-min-*")


if __name__ == "__main__":
    unittest.main()
