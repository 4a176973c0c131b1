"""Training of multi-task networks on pictures: losses, validation, what loop.py asks of a task."""

import numpy as np
import torch
from torch.nn import functional as F

from . import images
from .data import DataError

EDGE_WEIGHT = 2.0  # of the edges' loss beside the segmentation's
DEEP_WEIGHT = 0.3  # of the deep supervision, mean over the scales


def outputs(classes):
    return dict(semseg=len(classes), edge=1)


def edge_loss(scores, truth, valid):
    """Binary cross-entropy in which edges and the rest weigh the same. scores, truth, valid: [batch, height, width]."""
    loss = F.binary_cross_entropy_with_logits(scores, truth, reduction="none")
    on, off = truth * valid, (1 - truth) * valid
    return 0.5 * ((loss * on).sum() / on.sum().clamp(min=1) + (loss * off).sum() / off.sum().clamp(min=1))


class Dense:
    """options: fold, batch, size (height, width of a crop), beta, gamma, lam, temperature."""

    def __init__(self, source, options):
        pictures, self.own = source
        self.training, self.validation = pictures.split(options["fold"])
        self.options, self.batch = options, options["batch"]
        self.steps = len(self.training) // self.batch
        if not self.steps:
            raise DataError(f"{len(self.training)} training pictures are fewer than one batch of {self.batch}")
        counts = np.bincount(self.training.labels.ravel(), minlength=256)[:len(pictures.classes)]
        weights = 1 / np.log(1.1 + counts / counts.sum())  # that of ENet, Paszke et al., 2016, with a weaker effect
        self.weights = torch.tensor(weights / weights.mean(), dtype=torch.float32)

    def batches(self, rng, _=None):
        augment = images.Augment(tuple(self.options["size"]))
        order = rng.permutation(len(self.training))
        for step in range(self.steps):
            pick = order[step * self.batch:(step + 1) * self.batch]
            x, y = augment(self.training.images[pick], self.training.labels[pick], rng)
            yield torch.from_numpy(x), torch.from_numpy(y)

    def truth_loss(self, scores, y):
        size = scores["semseg"].shape[-2:]
        if size != y.shape[-2:]:
            y = F.interpolate(y[:, None].float(), size, mode="nearest")[:, 0].to(torch.uint8)
        edges = torch.from_numpy(images.edges(y.numpy())).float()
        known = y != images.VOID
        loss = F.cross_entropy(scores["semseg"], y.long(), self.weights, ignore_index=images.VOID)
        return loss + EDGE_WEIGHT * edge_loss(scores["edge"][:, 0], edges, known.float())

    def loss(self, net, teacher, x, y, options):
        scores, deep, features, kl = net.features(x)
        loss = self.truth_loss(scores, y)
        loss = loss + DEEP_WEIGHT * sum(self.truth_loss(s, y) for s in deep) / max(1, len(deep))
        if teacher is None:
            return loss
        with torch.no_grad():
            wanted, _, teacher_features, _ = teacher.features(x)
        t = options["temperature"]
        soft = F.softmax(wanted["semseg"] / t, 1)
        imitation = -t * t * (soft * F.log_softmax(scores["semseg"] / t, 1)).sum(1).mean()
        imitation = imitation + EDGE_WEIGHT * F.binary_cross_entropy_with_logits(scores["edge"], wanted["edge"].sigmoid())
        likeness = sum(F.mse_loss(a, b) for a, b in zip(features, teacher_features))
        return loss + options["lam"] * imitation + options["gamma"] * likeness + options["beta"] * kl

    def validate(self, net):
        """Of the held-out stretch; own_: of the data's own validation part."""
        row = figures(net, self.validation)
        if len(self.own):
            own = figures(net, self.own)
            row.update(own_miou=own["miou"], own_edge_f=own["edge_f"])
        return row


@torch.no_grad()
def figures(net, pictures):
    """Segmentation in percent (miou, iou_CLASS), best F of the edges. Pictures are padded to multiples of 32 with grey."""
    net.eval()
    classes = len(pictures.classes)
    height, width = pictures.labels.shape[1:]
    counts, scores = np.zeros((classes, classes), np.int64), []
    for i in range(0, len(pictures), 8):
        x = torch.from_numpy(images.prepared(pictures.images[i:i + 8]))
        out = net(F.pad(x, (0, -width % 32, 0, -height % 32)))
        labels = pictures.labels[i:i + 8]
        counts += images.confusion(out["semseg"][..., :height, :width].argmax(1).numpy(), labels, classes)
        scores.append(out["edge"][:, 0, :height, :width].sigmoid().numpy())
    per_class = images.iou(counts)
    f, _ = images.edge_f(np.concatenate(scores), images.edges(pictures.labels), pictures.labels != images.VOID)
    return dict(miou=float(np.nanmean(per_class)), edge_f=f,
                **{f"iou_{c}": v for c, v in zip(pictures.classes, per_class.tolist())})
