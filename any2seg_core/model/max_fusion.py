# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The largest value of each channel: a baseline with the letters and the contract of any2seg_core.model.fusion."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from any2seg_core.model.fusion import Fused, check_present, dense


class MaxFusion(nn.Module):
    """The largest value of the present modalities, channel by channel: a baseline.

    Contract of ModalityFusion; all weigh 1, who gives most channels counts as chosen, and there is no t-1.
    """

    def forward(
        self,
        features: Tensor,
        present: Tensor,
        previous: Tensor | None = None,  # noqa: ARG002  (one signature)
    ) -> Fused:
        """Fuse the modalities of each sample; arguments and errors as ModalityFusion.forward."""
        check_present(features, present)
        channels, height, width = features.shape[1:]
        columns = present.any(0).nonzero().squeeze(1)
        kept = present[:, columns]
        stack = dense(features, present)
        largest, giver = self.blend(stack, self.weigh(stack, kept), kept)
        return Fused(
            feature=largest.reshape(len(present), height, width, channels).permute(0, 3, 1, 2),
            weights=present.float(),
            chosen=columns[giver].reshape(len(present), height, width),
        )

    def weigh(self, stack: Tensor, kept: Tensor, previous: Tensor | None = None) -> Tensor:  # noqa: ARG002  (one signature)
        """All weigh 1: (B, L) as ModalityFusion.weigh gives it."""
        return kept.float()

    def blend(self, stack: Tensor, weights: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:  # noqa: ARG002  (one signature)
        """Largest value (B, N, C), and who gives most of them at each location (B, N)."""
        largest, giver = stack.masked_fill(~kept[:, :, None, None], -torch.inf).max(1)
        given = torch.stack([(giver == column).sum(2) for column in range(kept.shape[1])])  # (L, B, N)
        return largest, given.argmax(0)
