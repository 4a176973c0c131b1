"""Compiled models against PyTorch: labels on every validation cloud, in one process and through the daemon."""

import contextlib
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from . import data, dense, images, scenes, targets, tasks


def run_compiled(xnorctl, model, points):
    """log_probs [clouds, classes] of a .xnor file by `xnorctl run`. points: [clouds, points, 3]."""
    with tempfile.TemporaryDirectory() as folder:
        np.save(f"{folder}/in.npy", points)
        subprocess.run([xnorctl, "run", model, "--input", f"points={folder}/in.npy", "--output-dir", folder],
                       check=True)
        return np.load(f"{folder}/log_probs.npy")


@contextlib.contextmanager
def private_daemon(build, models):
    """A daemon of its own; -> folder for files, arguments that lead xnorctl to it."""
    with tempfile.TemporaryDirectory() as folder:
        socket = f"ipc://{folder}/infer.sock"
        Path(folder, "xnord.yaml").touch()
        with open(f"{folder}/log", "w") as log:
            daemon = subprocess.Popen([f"{build}/xnord", "--config", f"{folder}/xnord.yaml", "--socket", socket,
                                       "--models", models], stderr=log)
        try:
            wait_ready(f"{build}/xnorctl", socket, daemon, f"{folder}/log")
            yield folder, ["--socket", socket]
        finally:
            daemon.terminate()
            daemon.wait(10)


def run_daemon(build, models, name, clouds):
    """Labels of clouds, each [points, 3] as a sensor would send it, by a private daemon."""
    with private_daemon(build, models) as (folder, socket):
        os.mkdir(f"{folder}/clouds")
        for i, cloud in enumerate(clouds):
            np.save(f"{folder}/clouds/{i:06d}.npy", cloud)
        answer = subprocess.run([f"{build}/xnorctl", "infer", name, f"{folder}/clouds", *socket, "--json"], check=True,
                                stdout=subprocess.PIPE, text=True)
    return [json.loads(line)["labels"][0]["name"] for line in answer.stdout.splitlines()]


def run_daemon_scenes(build, models, name, part):
    """Class ids of the points of every scene, by a private daemon."""
    with private_daemon(build, models) as (folder, socket):
        for i, (_, xyz, _) in enumerate(part.scenes):
            np.save(f"{folder}/{i}.npy", xyz.astype(np.float32))
        files = [f"{folder}/{i}.npy" for i in range(len(part.scenes))]
        subprocess.run([f"{build}/xnorctl", "infer", name, *files, *socket, "--out", f"{folder}/out"], check=True,
                       stdout=subprocess.DEVNULL)
        return [read_labels(next(Path(folder, "out").glob(f"{i}.*ply"))) for i in range(len(part.scenes))]


def read_labels(path):
    """The property `label` of a binary PLY file of float and uchar properties."""
    with open(path, "rb") as file:
        head = file.read(65536)
        end = head.index(b"end_header\n") + len(b"end_header\n")
        kinds = {"float": "<f4", "uchar": "u1"}
        properties = [line.split()[1:] for line in head[:end].decode().splitlines() if line.startswith("property")]
        file.seek(end)
        rows = np.fromfile(file, [(name, kinds[kind]) for kind, name in properties])
    return rows["label"].astype(np.int64)


def wait_ready(xnorctl, socket, daemon, log):
    for _ in range(100):
        status = subprocess.run([xnorctl, "status", "--json", "--socket", socket], stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL, text=True)
        if '"ready": true' in status.stdout:
            return
        if daemon.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError(f"xnord did not become ready: {Path(log).read_text()}")


def compare(net, classes, model, build, part):
    """Prints the counts of differing labels; True when there is none. model: path NAME/NAME.xnor."""
    kinds = {scenes.Scenes: compare_scenes, images.Pictures: compare_pictures}
    return kinds.get(type(part), compare_clouds)(net, classes, model, build, part)


def compare_clouds(net, classes, model, build, clouds):
    points = data.prepared(clouds, net.config["points"])
    log_probs = tasks.predict(net, points)
    labels = log_probs.argmax(1)
    compiled = run_compiled(f"{build}/xnorctl", model, points)
    through = run_daemon(build, str(Path(model).parent.parent), Path(model).stem,
                         data.as_sent(clouds, net.config["points"]))
    differ = int((compiled.argmax(1) != labels).sum())
    differ_daemon = sum(name != classes[label] for name, label in zip(through, labels))
    overall = 100 * (labels == clouds.labels).mean()
    print(f"compare {Path(model).stem}: {len(clouds)} validation clouds, accuracy {overall:.2f} %, labels that differ "
          f"from PyTorch: {differ} compiled, {differ_daemon} through the daemon; largest difference of "
          f"log-probabilities {np.abs(compiled - log_probs).max():.3g}")
    return differ == 0 and differ_daemon == 0 and len(through) == len(clouds)


# Of the pixels of all pictures. Signs of real sums lie so near to zero here and there that another order of the
# same additions turns them.
MOST_DIFFERENT = 0.002


def compare_pictures(net, classes, model, build, pictures):
    """Labels of every pixel; other tasks by their figures."""
    height, width = pictures.images.shape[1:3]
    kinds, found = targets.of(pictures), {}
    for picture in pictures.images:
        with tempfile.TemporaryDirectory() as folder:
            np.save(f"{folder}/in.npy", dense.padded(picture[None]).numpy())
            subprocess.run([f"{build}/xnorctl", "run", model, "--input", f"image={folder}/in.npy", "--output-dir", folder], check=True)
            for name, target in kinds.items():
                scores = torch.from_numpy(np.load(f"{folder}/{name}.npy"))
                found.setdefault(name, []).append(target.prediction(dense.enlarged(scores, height, width)))
    expected, truth = dense.predict(net, pictures), pictures.truth()
    for name, target in kinds.items():
        here, there = (target.figures(part, truth[target.truth]) for part in (np.concatenate(found[name]), expected[name]))
        print("  " + ", ".join(f"{k} {v:.3f} compiled, {there[k]:.3f} PyTorch" for k, v in here.items() if not k.startswith("iou_")))
    compiled = (np.concatenate(found["semseg"]) != expected["semseg"]).mean()
    through = (run_daemon_pictures(build, str(Path(model).parent.parent), Path(model).stem, pictures.images)
               != expected["semseg"]).mean()
    print(f"compare {Path(model).stem}: {len(pictures)} validation pictures, labels that differ from PyTorch: "
          f"{100 * compiled:.4f} % compiled, {100 * through:.4f} % through the daemon")
    return max(compiled, through) <= MOST_DIFFERENT


def run_daemon_pictures(build, models, name, pictures):
    """Class ids of every pixel, [pictures, height, width], by a private daemon."""
    with private_daemon(build, models) as (folder, socket):
        os.mkdir(f"{folder}/pictures")
        files = [f"{folder}/pictures/{i:06d}.png" for i in range(len(pictures))]
        for path, picture in zip(files, pictures):
            Image.fromarray(picture).save(path)
        subprocess.run([f"{build}/xnorctl", "infer", name, *files, *socket, "--outputs", "semseg", "--out", f"{folder}/out"],
                       check=True, stdout=subprocess.DEVNULL)
        return np.stack([np.asarray(Image.open(f"{folder}/out/{Path(path).name}.semseg.png")) for path in files])


def compare_scenes(net, classes, model, build, part):
    """Every point of the validation scenes."""
    expected, truth = (np.concatenate(labels) for labels in tasks.scene_labels(net, part, net.config["points"]))
    compiled = np.concatenate([
        scenes.evaluate(part.recipe, xyz, net.config["points"], lambda x: run_compiled(f"{build}/xnorctl", model, x))
        for _, xyz, _ in part.scenes])
    through = np.concatenate(run_daemon_scenes(build, str(Path(model).parent.parent), Path(model).stem, part))
    differ, differ_daemon = int((compiled != expected).sum()), int((through != expected).sum())
    print(f"compare {Path(model).stem}: {len(truth)} points of {len(part.scenes)} validation scenes, accuracy "
          f"{100 * (expected == truth).mean():.2f} %, labels that differ from PyTorch: {differ} compiled, "
          f"{differ_daemon} through the daemon")
    return differ == 0 and differ_daemon == 0
