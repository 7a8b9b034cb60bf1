# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The all-MLP decode head of SegFormer (arXiv 2105.15203, section 3.2), cut in two: embed, then classify.

Fusion may act between the two halves. Letters: B batch, C_i channels of stage i, D embedding, K classes, H and W the
image's size.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Sequence


class DecodeHead(nn.Module):
    """Bring four feature maps to one embedding at stride 4, and an embedding to class logits.

    As published, each stage is projected to D channels, upsampled, stacked with the others and fused by a linear layer.
    Upsampling commutes with linear layers, so projection and fusion are multiplied together first and applied at each
    stage's own resolution: the same numbers, a fraction of the work, in training as in evaluation.

    The batch norm sees one map per present modality. In training its statistics therefore depend on which modalities
    are there (with several GPUs, convert it to SyncBatchNorm); in evaluation it always uses the running ones, so a
    modality's embedding does not depend on its company.
    """

    def __init__(self, channels: Sequence[int], embed_dim: int, classes: int, *, dropout: float = 0.1) -> None:
        super().__init__()
        self.projections = nn.ModuleList(nn.Linear(width, embed_dim) for width in channels)
        self.fuse = nn.Linear(len(channels) * embed_dim, embed_dim, bias=False)
        self.norm = nn.BatchNorm2d(embed_dim)
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(embed_dim, classes)
        self.apply(_initialise)

    def embed(self, pyramid: Sequence[Tensor]) -> Tensor:
        """Gather all stages in one map: (B, C_i, H_i, W_i) each to (B, D, H_1, W_1)."""
        parts = self.fuse.weight.chunk(len(pyramid), dim=1)  # each (D, D)
        embedded = (
            _project(features, projection, part, size=pyramid[0].shape[2:])
            for features, projection, part in zip(pyramid, self.projections, parts, strict=True)
        )
        mixed = functools.reduce(torch.add, embedded)
        return functional.relu(self.norm(mixed))

    def classify(self, embedding: Tensor) -> Tensor:
        """(B, D, H, W) to logits (B, K, H, W)."""
        logits: Tensor = self.classifier(self.dropout(embedding).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return logits


def _project(features: Tensor, projection: Any, part: Tensor, *, size: Sequence[int]) -> Tensor:
    """Map (B, C_i, H_i, W_i) to D channels by the product of two linear layers, then upsample to `size`."""
    weight, bias = part @ projection.weight, part @ projection.bias
    projected = functional.linear(features.permute(0, 2, 3, 1), weight, bias).permute(0, 3, 1, 2)
    return functional.interpolate(projected, size=list(size), mode="bilinear", align_corners=False)


def _initialise(module: nn.Module) -> None:
    """Start linear layers from a narrow normal and zero biases."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
