"""Losses of KDR, knowledge distillation with pooling regularisation. Equation numbers are those of the KDR paper.

Logarithms are base 2 as in the paper. `mean` over the samples replaces the paper's sum, so that a setting does not
depend on the batch size.
"""

import math

import torch
from torch.nn import functional as F


def cross_entropy(logits, labels, smoothing=0.0, weights=None):
    """Eq. (4). logits: [batch, classes], labels: [batch] int, weights: of the classes, [classes] or None."""
    return F.cross_entropy(logits, labels, weights, label_smoothing=smoothing) / math.log(2.0)


def distillation(logits, teacher_logits, temperature=2.0, student_temperature=None):
    """Eq. (2) and (3).

    The paper leaves open whether the temperature divides the student's logits too: by default it does, and the factor
    temperature² (Hinton et al., 2015) keeps the gradient's size.
    """
    own = temperature if student_temperature is None else student_temperature
    target = F.softmax(teacher_logits / temperature, dim=-1)
    loss = -(target * F.log_softmax(logits / own, dim=-1)).sum(-1).mean()
    return loss * own * temperature / math.log(2.0)


def f_norm(h):
    return (h ** 2).sum().clamp(min=1e-24).sqrt()


def one_norm(h):
    return h.abs().sum(0).max()


def two_norm(h):
    return torch.linalg.matrix_norm(h, 2)


def l1_norm(h):
    return h.abs().sum()


def nuclear_norm(h):
    return torch.linalg.matrix_norm(h, "nuc")


def infinity_norm(h):
    return h.abs().sum(1).max()


# The six regularisers g of eq. (11), on H = student - teacher, rows are samples, columns are channels.
REGULARISERS = {"F": f_norm, "1": one_norm, "2": two_norm, "L1": l1_norm, "nuclear": nuclear_norm, "inf": infinity_norm}


def pooling_term(pooled, teacher_pooled, norm="1"):
    """Eq. (11). pooled, teacher_pooled: [batch, channels]. Divided by the batch like the other terms."""
    return REGULARISERS[norm](pooled - teacher_pooled) / len(pooled)


def kdr(logits, pools, labels, teacher_logits, teacher_pools, *, lam, eta, temperature=2.0, norm="1", smoothing=0.0,
        weights=None):
    """Eq. (12): lam * L_DS + (1 - lam) * L_CE + eta * L_reg, L_reg on the encoder's pooling layer (the last one)."""
    loss = (1.0 - lam) * cross_entropy(logits, labels, smoothing, weights)
    if lam:
        loss = loss + lam * distillation(logits, teacher_logits, temperature)
    if eta:
        loss = loss + eta * pooling_term(pools[-1], teacher_pools[-1], norm)
    return loss
