"""Training loop, checkpoints, evaluation."""

import os
import pickle
import sys
import time
from pathlib import Path

import numpy as np
import torch

from . import losses, tasks
from .networks import current_config, make_network

predict = tasks.predict  # where it used to be


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
    net = make_network(**checkpoint["net"])
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
    return {**checkpoint, "net": current_config(checkpoint["net"])}


def learning_rate(step, total, peak, warmup):
    """Linear warm-up, then cosine to zero."""
    if step < warmup:
        return peak * (step + 1) / warmup
    return 0.5 * peak * (1.0 + np.cos(np.pi * (step - warmup) / max(1, total - warmup)))


def train(net, source, options, out, teacher=None, log=print):
    """Trains `net` on the training part of `source`; writes `out` after every epoch and continues from it if it exists.

    options: dict with epochs, batch, lr, seed, smoothing, augment, early (points, share of the epochs that train on that
    many points a sample), what the task needs and, with a teacher, lam, eta, temperature, norm. All randomness of an
    epoch derives from (seed, epoch), so a resumed run equals an uninterrupted one.
    """
    task = tasks.of(source, net.config.get("points"), options)
    loss_of = getattr(task, "loss", batch_loss)
    if options.get("foreign"):
        net.foreign = options["foreign"]
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

    steps = task.steps
    total = steps * options["epochs"]
    for epoch in range(first, options["epochs"]):
        started, running = time.monotonic(), 0.0
        net.set_progress(epoch, options["epochs"])
        rng = np.random.default_rng([options["seed"], epoch])
        torch.manual_seed(options["seed"] * 100003 + epoch)
        early_points, early_share = options["early"]
        points = early_points if epoch < early_share * options["epochs"] else None
        progress = Progress(steps)
        net.train()
        for step, (x, y) in enumerate(task.batches(rng, points)):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(epoch * steps + step, total, options["lr"], min(steps, total // 20))
            loss = loss_of(net, teacher, x, y, options)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            running += loss.item()
            progress.step(step + 1, f"epoch {epoch + 1}/{options['epochs']} loss {running / (step + 1):.4f}")
        progress.clear()
        if epoch + 1 == options["epochs"]:
            recalibrate(net, task.batches(np.random.default_rng([options["seed"], epoch + 1]), points))
        row = dict(epoch=epoch + 1, loss=running / steps, **task.validate(net))
        row["seconds"] = time.monotonic() - started
        history.append(row)
        log(" ".join(f"{k} {v:.4f}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()))
        save_checkpoint(out, dict(net=net.config, state=net.state_dict(), optimizer=optimizer.state_dict(),
                                  epoch=epoch + 1, history=history, options=options, classes=source.classes))
    return history


@torch.no_grad()
def recalibrate(net, batches):
    """Sets the statistics of batch normalisation to the mean over one pass with the final weights.

    The running averages of training cover few batches, and in a binary network their noise turns signs.
    """
    norms = [m for m in net.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    momenta = [m.momentum for m in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # cumulative mean
    net.train()
    for x, _ in batches:
        net(x)
    for norm, momentum in zip(norms, momenta):
        norm.momentum = momentum


def batch_loss(net, teacher, x, y, options):
    """Every point of a segmentation counts as a sample of the prediction and distillation terms."""
    logits, pools = net.features(x)
    logits, y = logits.flatten(0, -2), y.flatten()
    weights = torch.tensor(options["class_weights"]) if options.get("class_weights") else None
    if teacher is None:
        return losses.cross_entropy(logits, y, options["smoothing"], weights)
    with torch.no_grad():
        teacher_logits, teacher_pools = teacher.features(x)
        teacher_logits = teacher_logits.flatten(0, -2)
    return losses.kdr(logits, pools, y, teacher_logits, teacher_pools, lam=options["lam"], eta=options["eta"],
                      temperature=options["temperature"], norm=options["norm"], smoothing=options["smoothing"],
                      weights=weights)
