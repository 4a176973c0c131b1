"""Random networks through xnorctl against PyTorch: every network, binarizer, pool and export form.

On other machines a compiled network answers the golden pairs that are in its file, which portable C computed here.
"""

import itertools
import shlex
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from . import export
from .binarize import BINARIZERS
from .networks import KINDS
from .random_networks import random_network, stable_clouds

TOLERANCE = 1e-4  # of log-probabilities

# As many centres as the papers have would be more than there are points.
SETTINGS = {kind: dict(centres=(64, 24), neighbours=(16, 24)) for kind in ("pointconv", "pointconv-density")}

PLAIN = (dict(), dict(layout="conv"), dict(layout="conv", fold_bn=True), dict(raw=True), dict(raw=True, layout="conv"),
         dict(points=128, batch=2))
GRAPH = (dict(neighbours="difference"), dict(neighbours="gram", gather="nd"),
         dict(neighbours="difference", gather="elements", layout="conv"), dict(neighbours="inputs"), dict(neighbours="xnor"),
         dict(raw=True), dict(raw=True, layout="conv", neighbours="gram"),
         dict(layout="conv", fold_bn=True, neighbours="gram"))
SAMPLED = (dict(), dict(layout="conv"), dict(neighbours="inputs"), dict(neighbours="inputs", gather="nd", layout="conv"),
           dict(neighbours="inputs", gather="elements"), dict(raw=True), dict(points=128, batch=2))


def forms_of(kind):
    network, _ = KINDS[kind]
    if kind.startswith("point"):
        return SAMPLED
    return GRAPH if network.neighbours_in_onnx == "difference" else PLAIN


def all_cases(nets=None, binarizers=None):
    """(kind, binarizer, pool, forms): one network each."""
    for kind in nets or KINDS:
        for binarizer, pool in itertools.product(binarizers or (*BINARIZERS, "float"), KINDS[kind][0].poolings):
            yield kind, binarizer, pool, forms_of(kind)


def few_cases():
    """One network of every kind, so that every binarizer, pool and form occurs."""
    binarizers = itertools.cycle(BINARIZERS)
    for i, kind in enumerate(KINDS):
        poolings, forms = KINDS[kind][0].poolings, forms_of(kind)
        binarizer = next(binarizers)
        # The mean of real values has no exact zeros where differences are taken: no reference, see random_networks.py.
        pool = poolings[i % len(poolings)] if kind in ("vanilla", "tnets") or "seg" in kind else poolings[0]
        chosen = (forms[i % len(forms)], forms[(i + 3) % len(forms)])
        yield kind, binarizer, pool, chosen[:1] if kind.startswith("point") else chosen  # those are slow


class Prover:
    """Counts what agrees. xnorctl: path of the program.

    emulators: commands that take a compiled network and run its golden pairs with other kernels, tests/models under qemu
    """

    def __init__(self, xnorctl, points=128, batch=2, emulators=(), log=print):
        self.xnorctl, self.points, self.batch, self.log = xnorctl, points, batch, log
        self.emulators = [shlex.split(command) for command in emulators]
        self.passed, self.failed, self.skipped = 0, 0, 0

    def network(self, kind, binarizer, pool, forms, seed=1):
        config = dict(pool=pool, points=self.points, channels=6 if kind == "partseg" else 3,
                      **SETTINGS.get(kind, {}))
        net = random_network(kind, binarizer, seed, **config)
        title = f"{kind:18s} {binarizer:8s} {pool:7s}"
        try:
            clouds, expected = stable_clouds(net, self.batch, self.points, seed + 1)
        except ValueError as error:
            self.skipped += len(forms)
            self.log(f"SKIP {title} {error}")
            return
        for form in forms:
            started = time.monotonic()
            problem = self.compare(net, export.Form(**form), clouds, expected)
            self.passed, self.failed = self.passed + (not problem), self.failed + bool(problem)
            words = " ".join(k if v is True else f"{k}={v}" for k, v in form.items()) or "-"
            self.log(f"{'FAIL' if problem else 'ok  '} {title} {words:44s} {time.monotonic() - started:5.1f} s"
                     f"{'  ' + problem if problem else ''}")

    def compare(self, net, form, clouds, expected):
        """-> what is wrong, or None."""
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            export.write(net, folder / "net.onnx", form)
            inputs = {"points": form.arrange(clouds)}
            if form.neighbours == "inputs":
                indices = export.index_inputs(net, torch.from_numpy(clouds))
                inputs.update((f"index{i}", index.numpy()) for i, index in enumerate(indices))
            run = [self.xnorctl, "run", folder / "net.xnor", "--output-dir", folder]
            for name, value in inputs.items():
                np.save(folder / f"{name}.npy", value)
                run += ["--input", f"{name}={folder / name}.npy"]
            emulated = [[*command, folder / "net.xnor"] for command in self.emulators]
            for command in ([self.xnorctl, "compile", folder / "net.onnx", "-o", folder / "net.xnor"], run, *emulated):
                result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
                if result.returncode:
                    return f"{' '.join(map(str, command[:3]))}: {' / '.join(result.stdout.strip().splitlines()[-2:])}"
            found = np.load(folder / "log_probs.npy")
        if found.shape != expected.shape:
            return f"shape {found.shape} instead of {expected.shape}"
        labels = int((found.argmax(-1) != expected.argmax(-1)).sum())
        difference = np.abs(found - expected).max()
        return None if labels == 0 and difference <= TOLERANCE else f"{labels} labels differ, log_probs by {difference:.3g}"
