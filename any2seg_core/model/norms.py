# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Layer norms of the encoder: one scale and shift for all modalities, or one for each.

A trunk that all modalities share sees a camera's dense picture and a LiDAR's few dots alike; a scale and a shift of its
own is the least that lets each modality find its range. Letters: P rows, H and W rows and columns, C channels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from any2seg_core.errors import FrameError

if TYPE_CHECKING:
    from collections.abc import Callable

    NormFactory: TypeAlias = Callable[[int], nn.Module]


class SharedNorm(nn.LayerNorm):
    """A layer norm that does not care which modality a row is of."""

    def forward(self, tokens: Tensor, slots: Tensor | None = None) -> Tensor:  # noqa: ARG002  (one signature)
        """(P, H, W, C) to the same shape."""
        return super().forward(tokens)


class ModalityNorm(nn.Module):
    """A layer norm with a scale and a shift for each modality.

    They are vectors apart, as those of a shared norm are, so weight decay and storage treat them alike.

    Args:
        channels: C.
        modalities: number of modalities.
    """

    def __init__(self, channels: int, modalities: int) -> None:
        super().__init__()
        self.weight = nn.ParameterList(torch.ones(channels) for _ in range(modalities))
        self.bias = nn.ParameterList(torch.zeros(channels) for _ in range(modalities))

    def forward(self, tokens: Tensor, slots: Tensor | None = None) -> Tensor:
        """(P, H, W, C) to the same shape; `slots` (P,) int64 says which modality each row is of.

        Raises:
            FrameError: the slots are not given, or not one per row.
        """
        if slots is None or slots.shape[0] != tokens.shape[0]:
            found = "no" if slots is None else len(slots)
            msg = f"encoder: found {found} slots for {len(tokens)} rows, expected one each: which modality a row is of"
            raise FrameError(msg)
        # Stacked, every parameter is part of every graph, whichever modalities a batch has.
        weight = torch.stack(list(self.weight))[slots, None, None]  # (P, 1, 1, C)
        bias = torch.stack(list(self.bias))[slots, None, None]
        return torch.addcmul(bias, functional.layer_norm(tokens, tokens.shape[-1:]), weight)


NORMS: Final[dict[str, Callable[[int], NormFactory]]] = {
    "shared": lambda _modalities: SharedNorm,
    "per_modality": lambda modalities: lambda channels: ModalityNorm(channels, modalities),
}
"""Names to makers of norms, for a number of modalities."""
