# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Numbers that tell whether distillation does something, none of which is minimised.

L_cr at a high temperature has a trivial answer: all student cosines equal, which shows as a spread towards 0, and means
towards 1. Letters: B batch, M modalities, K classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Iterable

    from any2seg_core.frames import Modality


@torch.no_grad()
def watch_cosines(cosines: Tensor, present: Tensor, modalities: Iterable[Modality]) -> dict[str, Tensor]:
    """Mean and standard deviation over the batch of each modality's cosine (B, M), and the spread within samples."""
    values = cosines.float().masked_fill(~present, torch.nan)
    mean = values.nanmean(0)
    std = (values - mean).square().nanmean(0).sqrt()
    watched = {"cosine_spread": _spread(values)}
    for slot, modality in enumerate(modalities):
        watched[f"cosine_mean_{modality.value}"] = mean[slot]
        watched[f"cosine_std_{modality.value}"] = std[slot]
    return watched


@torch.no_grad()
def watch_teacher(teacher: Tensor, available: Tensor, temperature: float) -> dict[str, Tensor]:
    """Spread of the teacher's cosines (B, M) within samples, and entropy of its distribution; 1 is uniform."""
    values = teacher.float().masked_fill(~available, torch.nan)
    logs = (values / temperature).masked_fill(~available, -torch.inf).log_softmax(1).masked_fill(~available, 0)
    count = available.sum(1)
    entropy = -(logs.exp() * logs * available).sum(1) / count.clamp_min(2).log()
    return {
        "teacher_spread": _spread(values),
        "teacher_entropy": entropy.masked_fill(count < 2, torch.nan).nanmean(),
    }


@torch.no_grad()
def watch_classes(pixels: Tensor) -> dict[str, Tensor]:
    """Classes that each set of class features has, on average; `pixels` (S, K)."""
    return {"classes_pooled": (pixels > 0).sum(1).float().mean()}


def _spread(values: Tensor) -> Tensor:
    """Standard deviation over modalities, mean over the samples with two or more; values (B, M), NaN where absent."""
    within = (values - values.nanmean(1, keepdim=True)).square().nanmean(1).sqrt()
    several = values.isfinite().sum(1) > 1
    return within.masked_fill(~several, torch.nan).nanmean()
