"""What a task predicts for every pixel: its channels, loss, imitation of a teacher, and figures.

A batch of truth holds, as far as the data has them: `labels` [batch, height, width] uint8, images.VOID where unknown; `edge`
uint8, 1 on edges, images.VOID where unknown; `depth` float32 metres, 0 where unknown; `normals` [batch, 3, height, width]
float32 unit vectors, 0 where unknown; `parts` uint8, of people, see PARTS, and `saliency` uint8, 1 on what catches the eye, both
images.VOID where unknown.
"""

import numpy as np
import torch
from torch.nn import functional as F

from . import images

PARTS = ["background", "head", "torso", "upper arms", "lower arms", "upper legs", "lower legs"]


def shrunk(truth, size):
    """The truth at another (height, width): the nearest pixel's, of edges the strongest within a pixel."""
    out = {}
    for name, value in truth.items():
        if value.shape[-2:] == size:
            out[name] = value
        elif name == "edge":
            unknown = F.interpolate((value == images.VOID).float()[:, None], size, mode="nearest")[:, 0]
            edge = F.adaptive_max_pool2d((value == 1).float()[:, None], size)[:, 0]
            out[name] = torch.where(unknown > 0, torch.full_like(edge, images.VOID), edge).to(torch.uint8)
        else:
            planes = value.float() if value.dim() == 4 else value.float()[:, None]
            planes = F.interpolate(planes, size, mode="nearest")
            out[name] = (planes if value.dim() == 4 else planes[:, 0]).to(value.dtype)
    return out


def masked_mean(values, mask):
    return (values * mask).sum() / mask.sum().clamp(min=1)


class Semseg:
    """Class scores. Figures: IoU of every class and their mean in percent."""

    truth, weight = "labels", 1.0

    def __init__(self, pictures):
        self.weigh(pictures.classes, pictures.labels)

    def weigh(self, classes, labels):
        self.classes, self.channels = classes, len(classes)
        counts = np.bincount(labels.ravel(), minlength=256)[:self.channels]
        weights = 1 / np.log(1.1 + counts / max(1, counts.sum()))  # that of ENet, Paszke et al., 2016, with a weaker effect
        self.weights = torch.tensor(weights / weights.mean(), dtype=torch.float32)

    def loss(self, scores, labels):
        labels = labels.long()
        loss = F.cross_entropy(scores, labels, self.weights, ignore_index=images.VOID, reduction="sum")
        return loss / self.weights[labels[labels != images.VOID]].sum().clamp(min=1e-6)  # 0 where nothing is known

    def imitation(self, scores, wanted, t):
        return -t * t * (F.softmax(wanted / t, 1) * F.log_softmax(scores / t, 1)).sum(1).mean()

    def prediction(self, scores):
        return scores.argmax(1).to(torch.uint8).numpy()

    def figures(self, predicted, labels):
        per_class = images.iou(images.confusion(predicted, labels, self.channels))
        return dict(miou=images.mean_known(per_class), **{f"iou_{c}": v for c, v in zip(self.classes, per_class.tolist())})


class Edge:
    """Logits. The loss weighs edges and the rest the same. Figure: best F over thresholds, in percent."""

    truth, weight, channels = "edge", 2.0, 1

    def __init__(self, pictures):
        pass

    def loss(self, scores, edge):
        on, off = (edge == 1).float(), (edge == 0).float()
        loss = F.binary_cross_entropy_with_logits(scores[:, 0], on, reduction="none")
        return 0.5 * (masked_mean(loss, on) + masked_mean(loss, off))

    def imitation(self, scores, wanted, t):
        return F.binary_cross_entropy_with_logits(scores, wanted.sigmoid())

    def prediction(self, scores):
        return scores[:, 0].sigmoid().numpy()

    def figures(self, predicted, edge):
        return dict(edge_f=images.edge_f(predicted, edge == 1, edge != images.VOID)[0])


class Depth:
    """Metres. Figures: root mean square error in metres, mean relative error in percent."""

    truth, weight, channels = "depth", 1.0, 1

    def __init__(self, pictures):
        pass

    def loss(self, scores, depth):
        return masked_mean((scores[:, 0] - depth).abs(), (depth > 0).float())

    def imitation(self, scores, wanted, t):
        return F.l1_loss(scores, wanted)

    def prediction(self, scores):
        return scores[:, 0].clamp(min=0).numpy()

    def figures(self, predicted, depth):
        known = depth > 0
        error, depth = (predicted - depth)[known].astype(np.float64), depth[known]
        return dict(rmse=float(np.sqrt((error ** 2).mean())), relative=float(100 * (np.abs(error) / depth).mean()))


class Normals:
    """Vectors of any length. Figure: mean angle to the truth in degrees."""

    truth, weight, channels = "normals", 3.0, 3

    def __init__(self, pictures):
        pass

    def loss(self, scores, normals):
        return masked_mean(1 - (F.normalize(scores) * normals).sum(1), (normals.abs().sum(1) > 0).float())

    def imitation(self, scores, wanted, t):
        return (1 - F.cosine_similarity(scores, wanted)).mean()

    def prediction(self, scores):
        return F.normalize(scores).numpy()

    def figures(self, predicted, normals):
        known = np.abs(normals).sum(1) > 0
        cosine = np.clip((predicted * normals).sum(1)[known], -1, 1)
        return dict(angle=float(np.degrees(np.arccos(cosine)).mean()))


class Parts(Semseg):
    """Scores of people's parts. Figure: mean IoU in percent."""

    truth, weight = "parts", 2.0

    def __init__(self, pictures):
        self.weigh(PARTS, pictures.more["parts"])

    def figures(self, predicted, labels):
        return dict(parts_miou=super().figures(predicted, labels)["miou"])


class Saliency(Edge):
    """Logits. Figure: best F over thresholds, in percent."""

    truth, weight = "saliency", 5.0

    def figures(self, predicted, salient):
        return dict(saliency_f=super().figures(predicted, salient)["edge_f"])


TARGETS = {"semseg": Semseg, "depth": Depth, "normals": Normals, "edge": Edge, "parts": Parts, "saliency": Saliency}


def of(pictures):
    """{task: target} for all that the pictures have the truth of, in the order of TARGETS."""
    return {name: kind(pictures) for name, kind in TARGETS.items() if kind.truth in pictures.truths}
