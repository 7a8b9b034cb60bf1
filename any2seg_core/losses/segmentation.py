# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Losses of logits against labels, and of logits against better logits.

Letters: B batch, K classes, h and w the logits' size, H and W the labels' size.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from any2seg_core.frames import UNLABELLED
from any2seg_core.losses.precision import widened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


def cross_entropy(logits: Tensor, targets: Tensor, *, class_weights: Sequence[float] = ()) -> Tensor:
    """Mean cross-entropy of labelled pixels (Any2Seg, equation 7).

    Args:
        logits: (B, K, h, w), upsampled bilinearly to the labels' size.
        targets: (B, H, W) int64 class ids, 255 where unlabelled.
        class_weights: how much a pixel of each class counts in the mean; empty: all alike.

    Returns:
        Scalar, 0 with a graph where no pixel is labelled.
    """
    losses = _pixels(logits, targets)
    labelled = targets != UNLABELLED
    if not class_weights:
        return losses.sum() / labelled.sum().clamp_min(1)
    weights = losses.new_tensor([*class_weights, 0.0])[torch.where(labelled, targets, len(class_weights))]
    return (weights * losses).sum() / weights.sum().clamp_min(torch.finfo(weights.dtype).tiny)


def hard_cross_entropy(logits: Tensor, targets: Tensor, *, threshold: float = 0.7, keep: float = 1 / 16) -> Tensor:
    """Mean cross-entropy of the pixels whose true class has a low probability (OHEM, arXiv 1604.03540).

    Args:
        logits: (B, K, h, w).
        targets: (B, H, W) int64 class ids, 255 where unlabelled.
        threshold: pixels whose true class has at most this probability are hard.
        keep: where fewer than this share of the labelled pixels of the batch are hard, so many worst ones count.

    Returns:
        Scalar, 0 with a graph where no pixel is labelled.
    """
    losses = _pixels(logits, targets)[targets != UNLABELLED]
    if not len(losses):
        return losses.sum()
    worst = losses.detach().topk(max(1, int(len(losses) * keep))).values[-1]
    return losses[losses >= worst.clamp_max(-math.log(threshold))].mean()


def logit_distillation(student: Tensor, teacher: Tensor, *, temperature: float = 1.0) -> Tensor:
    """Divergence of a student's pixel distributions from a teacher's, times the squared temperature.

    KL(teacher || student), summed over classes, mean over pixels (arXiv 1503.02531). No gradient reaches the teacher.

    Args:
        student: logits (B, K, h, w).
        teacher: logits of the same shape.
        temperature: divides both.
    """
    scores = functional.log_softmax(widened(student) / temperature, dim=1)
    wanted = functional.log_softmax(widened(teacher.detach()) / temperature, dim=1)
    return (wanted.exp() * (wanted - scores)).sum(1).mean() * temperature**2


def _pixels(logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of each pixel (B, H, W), 0 where unlabelled."""
    size = list(targets.shape[1:])
    upsampled = functional.interpolate(widened(logits), size=size, mode="bilinear", align_corners=False)
    losses: Tensor = functional.cross_entropy(upsampled, targets, ignore_index=UNLABELLED, reduction="none")
    return losses
