# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Language-guided Semantic Correlation Distillation (LSCD): the student's cosines take the shape of the teacher's.

Source: Any2Seg (ECCV 2024), section 3.2. The paper writes KL of raw cosines, which are no distributions; here, as
usual in relation distillation, both sides pass a softmax with a temperature over what is available on both. So only
differences of cosines within a row matter. Letters: B batch, M modalities, K classes, C channels, S sets of class
features (one per image, or one per batch), h and w the feature's size, H and W the labels' size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor
from torch.nn import functional

from any2seg_core.frames import UNLABELLED
from any2seg_core.losses.precision import widened

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_EPS: Final = 1e-6  # bounds the gradient of the direction of a feature that is zero
_FILL: Final = -1e4  # far below cosines over any temperature; minus infinity would make the gradient NaN

_ORDER: Final[dict[str, Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]]] = {
    "teacher_student": lambda teacher, student: (teacher, student),
    "student_teacher": lambda teacher, student: (student, teacher),
}


def modality_correlation_loss(
    student: Tensor,
    teacher: Tensor,
    available: Tensor,
    *,
    temperature: float = 1.0,
    direction: str = "teacher_student",
) -> Tensor:
    """L_cr (equations 1 to 3): how modalities relate to the fused feature, as their embeddings relate to the scene's.

    Args:
        student: (B, M) cosine of each modality's feature with the fused one.
        teacher: (B, M) cosine of each modality's embedding with the scene description's; no gradient.
        available: (B, M) bool, where both are meaningful; the rest is as if it did not exist.
        temperature: of the softmax over modalities.
        direction: "teacher_student" for KL(teacher || student), or "student_teacher".

    Returns:
        Mean over the samples with two modalities or more; 0 with a graph where there are none.
    """
    divergence = _divergence(student, teacher, available, temperature, direction)
    return _mean(divergence, available.sum(1) > 1)


def class_similarity_loss(
    prototypes: Tensor,
    pixels: Tensor,
    teacher: Tensor,
    *,
    temperature: float = 1.0,
    direction: str = "teacher_student",
    diagonal: bool = True,
) -> Tensor:
    """L_se (equation 5): class features relate to each other as the embeddings of the class names do.

    Args:
        prototypes: (S, K, C) class features.
        pixels: (S, K) number of pixels behind each; classes without any are left out on both sides.
        teacher: (K, K) cosines of the class names' embeddings; no gradient.
        temperature: of the softmax over a row's classes.
        direction: as for modality_correlation_loss.
        diagonal: compare each class with itself too.

    Returns:
        Mean over a set's present classes, then over the sets with two or more (three without diagonal); 0 with a graph
        where there are none.
    """
    with torch.autocast(prototypes.device.type, enabled=False):
        directions = functional.normalize(widened(prototypes), dim=2, eps=_EPS)
        student = directions @ directions.transpose(1, 2)  # (S, K, K)
        present = pixels > 0
        pairs = present[:, :, None] & present[:, None, :]
        if not diagonal:
            pairs = pairs & ~torch.eye(pairs.shape[1], dtype=torch.bool, device=pairs.device)
        rows = _divergence(student, teacher.expand_as(student), pairs, temperature, direction)  # (S, K)
        count = present.sum(1)
        return _mean(rows.sum(1) / count.clamp_min(1), count > (1 if diagonal else 2))


def class_prototypes(feature: Tensor, targets: Tensor, classes: int, *, scope: str = "image") -> tuple[Tensor, Tensor]:
    """Masked average pooling (equation 4): the mean feature of each class's pixels.

    The paper upsamples the feature to the labels' size and averages under each class's mask. Both steps are linear, so
    the mask is brought to the feature's size by the transpose of the upsampling instead: the same numbers without C
    channels at full size.

    Args:
        feature: (B, C, h, w).
        targets: (B, H, W) int64 class ids, 255 where unlabelled.
        classes: K.
        scope: "image" for class features of each image, "batch" for those of all pixels together.

    Returns:
        Class features (S, K, C), zero for absent classes, and their numbers of pixels (S, K).
    """
    with torch.autocast(feature.device.type, enabled=False):
        wide = widened(feature)
        masks = pooling_masks(targets, classes, wide.shape[2:], dtype=wide.dtype)
        sums = masks.flatten(2) @ wide.permute(0, 2, 3, 1).flatten(1, 2)  # (B, K, C)
        pixels = masks.sum((2, 3))
        if scope == "batch":
            sums, pixels = sums.sum(0, keepdim=True), pixels.sum(0, keepdim=True)
        return sums / pixels.clamp_min(1).unsqueeze(2), pixels


@torch.no_grad()
def pooling_masks(targets: Tensor, classes: int, size: Sequence[int], *, dtype: torch.dtype) -> Tensor:
    """Bring class masks from the labels' size to a feature's by the transpose of bilinear upsampling.

    Args:
        targets: (B, H, W) int64 class ids, 255 where unlabelled.
        classes: K.
        size: h and w.
        dtype: of the result.

    Returns:
        (B, K, h, w), the sum of all bilinear weights that each feature has in the class's pixels.
    """
    batch, height, width = targets.shape
    h, w = size
    labelled = targets != UNLABELLED
    lines = torch.arange(batch * height, device=targets.device).view(batch, height, 1)
    sample, row = lines // height, lines % height
    start = ((sample * classes + targets.where(labelled, 0)) * height + row) * w  # of each pixel's line of features
    masks = torch.zeros(batch * classes * height * w, dtype=dtype, device=targets.device)
    for feature, weight in _taps(width, w, dtype, targets.device):
        masks.index_add_(0, (start + feature).flatten(), (weight * labelled).flatten())
    columns = torch.zeros(h, height, dtype=dtype, device=targets.device)
    for feature, weight in _taps(height, h, dtype, targets.device):
        columns[feature, torch.arange(height, device=targets.device)] += weight
    return columns @ masks.view(batch, classes, height, w)


def _taps(pixels: int, features: int, dtype: torch.dtype, device: torch.device) -> list[tuple[Tensor, Tensor]]:
    """Two features that each pixel of a line is interpolated from, and their weights; corners are not aligned."""
    place = ((torch.arange(pixels, device=device, dtype=torch.float64) + 0.5) * features / pixels - 0.5).clamp_min(0)
    first = place.long().clamp_max(features - 1)
    part = (place - first).to(dtype)
    return [(first, 1 - part), ((first + 1).clamp_max(features - 1), part)]


def _divergence(student: Tensor, teacher: Tensor, mask: Tensor, temperature: float, direction: str) -> Tensor:
    """KL of two softmaxes over the last axis, restricted to a mask: (..., N) each to (...)."""
    scores = _log_softmax(student, mask, temperature)
    wanted = _log_softmax(teacher.detach(), mask, temperature)
    p, q = _ORDER[direction](wanted, scores)
    return (p.exp() * (p - q)).masked_fill(~mask, 0).sum(-1)


def _log_softmax(cosines: Tensor, mask: Tensor, temperature: float) -> Tensor:
    return functional.log_softmax((widened(cosines) / temperature).masked_fill(~mask, _FILL), dim=-1)


def _mean(values: Tensor, kept: Tensor) -> Tensor:
    """Mean of the kept values, 0 with a graph where none is kept."""
    return values.masked_fill(~kept, 0).sum() / kept.sum().clamp_min(1)
