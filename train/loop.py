"""Training loop, checkpoints, evaluation."""

import os
import pickle
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from . import losses
from .data import Augment, first_points
from .networks import PointNet


class Progress:
    """One line that is rewritten, on a terminal only."""

    def __init__(self, total, stream=sys.stderr):
        self.total, self.stream, self.shown = total, stream, stream.isatty()

    def step(self, done, text):
        if self.shown:
            filled = 30 * done // self.total
            self.stream.write(f"\r[{'#' * filled}{'.' * (30 - filled)}] {done}/{self.total} {text}\x1b[K")
            self.stream.flush()

    def clear(self):
        if self.shown:
            self.stream.write("\r\x1b[K")
            self.stream.flush()


def save_checkpoint(path, checkpoint):
    """Atomic: a reader sees the old file or the new one."""
    path = Path(path)
    temporary = path.with_name(path.name + ".tmp")
    with open(temporary, "wb") as file:
        torch.save(checkpoint, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def load_network(path):
    """-> network in evaluation mode, checkpoint."""
    checkpoint = read_checkpoint(path)
    net = PointNet(**checkpoint["net"])
    net.load_state_dict(checkpoint["state"])
    return net.eval(), checkpoint


def read_checkpoint(path):
    try:
        checkpoint = torch.load(path, map_location="cpu")
        missing = {"net", "state", "optimizer", "epoch", "history", "options", "classes"} - set(checkpoint)
    except (pickle.UnpicklingError, RuntimeError, EOFError, TypeError, KeyError) as error:
        raise ValueError(f"{path}: not a checkpoint of this package ({error})") from None
    if missing:
        raise ValueError(f"{path}: not a checkpoint of this package, lacks {', '.join(sorted(missing))}")
    return checkpoint


@torch.no_grad()
def predict(net, points, batch=32):
    """points [clouds, points, 3] -> log-probabilities [clouds, classes], both numpy float32."""
    was_training = net.training
    net.eval()
    out = [net(torch.from_numpy(points[i:i + batch])).numpy() for i in range(0, len(points), batch)]
    net.train(was_training)
    return np.concatenate(out)


def accuracy(log_probs, labels):
    """Overall, mean over classes, and per class (nan where a class has no cloud), in percent."""
    hit = log_probs.argmax(1) == labels
    per_class = np.array([100.0 * hit[labels == c].mean() if (labels == c).any() else np.nan
                          for c in range(log_probs.shape[1])])
    return 100.0 * hit.mean(), float(np.nanmean(per_class)), per_class


def learning_rate(step, total, peak, warmup):
    """Linear warm-up, then cosine to zero."""
    if step < warmup:
        return peak * (step + 1) / warmup
    return 0.5 * peak * (1.0 + np.cos(np.pi * (step - warmup) / max(1, total - warmup)))


def train(net, clouds, options, out, teacher=None, log=print):
    """Trains `net` on the training part of `clouds`; writes `out` after every epoch and continues from it if it exists.

    options: dict with epochs, batch, lr, seed, smoothing, augment, early (points, share of the epochs that train on that
    many points a cloud) and, with a teacher, lam, eta, temperature, norm. All randomness of an epoch derives from
    (seed, epoch), so a resumed run equals an uninterrupted one.
    """
    training, validation = clouds.split()
    points = net.config["points"]
    valid_x = first_points(validation, points)
    optimizer = torch.optim.Adam(net.parameters(), lr=options["lr"])
    first, history = 0, []
    if Path(out).exists():
        checkpoint = read_checkpoint(out)
        for name, mine in (("options", options), ("net", net.config)):
            if checkpoint[name] != mine:
                raise ValueError(f"{out}: was started with other {name}: {checkpoint[name]}, now {mine}")
        net.load_state_dict(checkpoint["state"])
        optimizer.load_state_dict(checkpoint["optimizer"])
        first, history = checkpoint["epoch"], checkpoint["history"]
        log(f"continuing {out} after epoch {first}")

    steps = len(training) // options["batch"]
    total = steps * options["epochs"]
    if not steps:
        raise ValueError(f"{len(training)} training clouds are fewer than one batch of {options['batch']}")
    for epoch in range(first, options["epochs"]):
        started, running = time.monotonic(), 0.0
        rng = np.random.default_rng([options["seed"], epoch])
        torch.manual_seed(options["seed"] * 100003 + epoch)
        order = rng.permutation(len(training))
        early_points, early_share = options["early"]
        early = epoch < early_share * options["epochs"]
        augment = Augment(early_points if early else points, **options["augment"])
        progress = Progress(steps)
        net.train()
        for step in range(steps):
            pick = order[step * options["batch"]:(step + 1) * options["batch"]]
            x = torch.from_numpy(augment(training.points[pick], rng))
            y = torch.from_numpy(training.labels[pick])
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(epoch * steps + step, total, options["lr"], min(steps, total // 20))
            loss = batch_loss(net, teacher, x, y, options)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            running += loss.item()
            progress.step(step + 1, f"epoch {epoch + 1}/{options['epochs']} loss {running / (step + 1):.4f}")
        progress.clear()
        if epoch + 1 == options["epochs"]:
            recalibrate(net, training, augment, options["batch"], np.random.default_rng([options["seed"], epoch + 1]))
        row = dict(epoch=epoch + 1, loss=running / steps)
        if len(valid_x):
            log_probs = predict(net, valid_x)
            row["nll"] = -float(log_probs[np.arange(len(valid_x)), validation.labels].mean())
            row["accuracy"], row["class_accuracy"], _ = accuracy(log_probs, validation.labels)
        row["seconds"] = time.monotonic() - started
        history.append(row)
        log(" ".join(f"{k} {v:.4f}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()))
        save_checkpoint(out, dict(net=net.config, state=net.state_dict(), optimizer=optimizer.state_dict(),
                                  epoch=epoch + 1, history=history, options=options, classes=clouds.classes))
    return history


@torch.no_grad()
def recalibrate(net, clouds, augment, batch, rng):
    """Sets the statistics of batch normalisation to the mean over one pass with the final weights.

    The running averages of training cover few batches, and in a binary network their noise turns signs.
    """
    norms = [m for m in net.modules() if isinstance(m, torch.nn.BatchNorm1d)]
    momenta = [m.momentum for m in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # cumulative mean
    net.train()
    order = rng.permutation(len(clouds))
    for i in range(0, len(order) - batch + 1, batch):
        net(torch.from_numpy(augment(clouds.points[order[i:i + batch]], rng)))
    for norm, momentum in zip(norms, momenta):
        norm.momentum = momentum


def batch_loss(net, teacher, x, y, options):
    logits, pools = net.features(x)
    if teacher is None:
        return losses.cross_entropy(logits, y, options["smoothing"])
    with torch.no_grad():
        teacher_logits, teacher_pools = teacher.features(x)
    return losses.kdr(logits, pools, y, teacher_logits, teacher_pools, lam=options["lam"], eta=options["eta"],
                      temperature=options["temperature"], norm=options["norm"], smoothing=options["smoothing"])
