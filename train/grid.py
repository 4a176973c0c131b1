"""The grid of the KDR paper: binarizers × pooling × parts of the loss, one row a network, resumable, one file a row.

A row is a command of this package; its result file holds that command and is taken as done only while the command is
the same. `report` writes the tables from the result files, so what was not run is visible as such.
"""

import fnmatch
import json
import os
import shlex
from pathlib import Path

from . import loop

BINARIZERS = ("BNN", "IRNet", "XNOR", "LSR")
POOLS = {"max": "max", "ema": "ema-max"}
# Eq. (12) of the paper with its parts switched on: distillation, pooling term.
LOSSES = {"plain": "", "kd": "--lam 0.7 --eta 0", "reg": "--lam 0 --eta 0.05 --norm 1", "kdr": "--lam 0.7 --eta 0.05 --norm 1"}
OTHER_NORMS = ("F", "2", "L1", "nuclear", "inf")

# Tables 4 and 5 of the paper: ModelNet40, 200 epochs, overall accuracy in percent.
PAPER = {"bnn-max": (26.8, 43.7, 55.8, 64.2), "irnet-max": (18.5, 35.3, 48.1, 53.0), "xnor-max": (71.8, 84.3, 86.1, 86.4),
         "lsr-max": (4.1, 49.9, 54.4, 73.3), "bnn-ema": (41.2, 75.5, 75.1, 76.9), "irnet-ema": (72.2, 76.7, 73.9, 82.6),
         "xnor-ema": (82.9, 83.6, 86.3, 86.5), "lsr-ema": (86.1, 86.5, 86.9, 87.1)}


def rows():
    """Name -> options of `train binary`, in the order they run."""
    result = {}
    for binarizer in reversed(BINARIZERS):
        for pool in reversed(POOLS):
            for loss, weights in LOSSES.items():
                result[f"{binarizer.lower()}-{pool}-{loss}"] = \
                    f"--binarizer {binarizer} --estimator {'ede' if binarizer == 'IRNet' else 'clip'} " \
                    f"--pool {POOLS[pool]} {weights}".strip()
    for norm in OTHER_NORMS:
        result[f"lsr-ema-kdr-{norm}"] = f"--binarizer LSR --estimator clip --pool ema-max {LOSSES['kdr'][:-1]}{norm}"
    return result


def commands(args):
    """Name -> command of every row, the teacher first."""
    common = f"--net {args.net} --points {args.points} --seed {args.seed}" \
        + (f" --data {shlex.quote(args.data)}" if args.data else "")
    folder = Path(args.out)
    result = {"teacher": f"teacher {common} --epochs {args.teacher_epochs} -o {shlex.quote(str(folder / 'teacher.pt'))}"}
    for name, options in rows().items():
        result[name] = f"binary {common} --epochs {args.epochs} {options} -o {shlex.quote(str(folder / name))}.pt"
        if not name.endswith("plain"):
            result[name] += f" --teacher {shlex.quote(str(folder / 'teacher.pt'))}"
    return result


def result_of(folder, name, command):
    """What the row gave, or None if it was not run with this command."""
    path = Path(folder, f"{name}.json")
    if not path.is_file():
        return None
    result = json.loads(path.read_text())
    return result if result["command"] == command else None


def run(args, main, log):
    """Runs the rows that match args.rows and are not done. main: the command line of this package."""
    folder = Path(args.out)
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {name: command for name, command in commands(args).items()
              if name == "teacher" or any(fnmatch.fnmatch(name, pattern) for pattern in args.rows)}
    if args.list:
        for name, command in wanted.items():
            log(f"{name:<16} {'done' if result_of(folder, name, command) else '    '} python3 -m train {command}")
        return
    if len(wanted) == 1:
        raise ValueError(f"no row matches {' '.join(args.rows)}; --list shows them")
    progress = loop.Progress(len(wanted))
    for number, (name, command) in enumerate(wanted.items()):
        progress.step(number, name)
        if result_of(folder, name, command):
            continue
        log(f"# {name} ({number + 1} of {len(wanted)})\npython3 -m train {command}")
        if main(shlex.split(command)):
            raise ValueError(f"{name}: the command failed")
        history = loop.read_checkpoint(folder / f"{name}.pt")["history"]
        write(folder / f"{name}.json", json.dumps(dict(
            command=command, seconds=sum(h["seconds"] for h in history), history=history,
            **{k: history[-1][k] for k in ("accuracy", "class_accuracy", "nll") if k in history[-1]}), indent=1))
    progress.clear()


def write(path, text):
    temporary = Path(path).with_name(Path(path).name + ".tmp")
    temporary.write_text(text)
    os.replace(temporary, path)


BEGIN, END = "<!-- tables written by `train grid --report` -->", "<!-- end of tables -->"


def report(args):
    """Writes the tables into args.report, between two marks; the rest of that file is left alone."""
    table = tables(args)
    path = Path(args.report)
    old = path.read_text() if path.exists() else f"{BEGIN}\n{END}\n"
    if BEGIN not in old or END not in old:
        raise ValueError(f"{path}: lacks the marks {BEGIN} and {END}")
    write(path, old[:old.index(BEGIN) + len(BEGIN)] + "\n" + table + old[old.index(END):])


def tables(args):
    known = commands(args)
    results = {name: result_of(args.out, name, command) for name, command in known.items()}

    def cell(name):
        return f"{results[name]['accuracy']:.2f}" if results[name] else "not run"
    lines = [f"Teacher (float): {cell('teacher')} %.", "",
             "| method | " + " | ".join(LOSSES) + " | paper: " + " | ".join(LOSSES) + " |", "|---" * (1 + 2 * len(LOSSES)) + "|"]
    for method, published in PAPER.items():
        own = [cell(f"{method}-{loss}") for loss in LOSSES]
        lines.append(f"| {method} | " + " | ".join(own + [str(v) for v in published]) + " |")
    lines += ["", "LSR + EMA with KDR and another norm, same η:", "", "| 1 | " + " | ".join(OTHER_NORMS) + " |",
              "|---" * (1 + len(OTHER_NORMS)) + "|",
              "| " + " | ".join([cell("lsr-ema-kdr")] + [cell(f"lsr-ema-kdr-{n}") for n in OTHER_NORMS]) + " |", ""]
    missing = [name for name, result in results.items() if not result]
    lines += [f"Not run: {', '.join(missing) or 'nothing'}.", "", "```sh"]
    lines += [f"python3 -m train {command}" for name, command in known.items() if results[name]]
    return "\n".join(lines + ["```", ""])
