# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What the training loop moves: a batch of aligned modalities with its targets, and what the teacher says of it.

Letters: B batch, M modalities, K classes, H and W the model input's size.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class TeacherTargets:
    """What the frozen teacher says of a batch, as cosines: nothing else of its embeddings enters the losses.

    Attributes:
        correlation: (B, M) float32 cosine of each modality's embedding with the scene description's (equation 1).
        valid: (B, M) bool, False where the teacher has no embedding of the modality.
        classes: (K, K) float32 cosines of the class names' embeddings (equation 5).
    """

    correlation: Tensor
    valid: Tensor
    classes: Tensor

    def to(self, device: torch.device) -> TeacherTargets:
        """Move everything to a device."""
        return TeacherTargets(
            self.correlation.to(device, non_blocking=True),
            self.valid.to(device, non_blocking=True),
            self.classes.to(device, non_blocking=True),
        )


@dataclass(frozen=True, eq=False)
class Batch:
    """Samples of one size.

    Attributes:
        pixels: (B, M, 3, H, W) float32 model input.
        present: (B, M) bool.
        targets: (B, H, W) int64 class ids, 255 where unlabelled.
        ids: name of each sample: its path below the data root without modality and suffix.
        conditions: weather of each sample, "" where the data set has none.
        failures: sensor failure of each sample, "" where there is none.
        teacher: what the teacher says, None when training without it.
    """

    pixels: Tensor
    present: Tensor
    targets: Tensor
    ids: tuple[str, ...]
    conditions: tuple[str, ...]
    failures: tuple[str, ...]
    teacher: TeacherTargets | None = None

    def __len__(self) -> int:
        return len(self.ids)

    def to(self, device: torch.device) -> Batch:
        """Move all tensors to a device; from pinned memory the copy is asynchronous."""
        return replace(
            self,
            pixels=self.pixels.to(device, non_blocking=True),
            present=self.present.to(device, non_blocking=True),
            targets=self.targets.to(device, non_blocking=True),
            teacher=None if self.teacher is None else self.teacher.to(device),
        )
