# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""An exponential moving average of a model's weights."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from any2seg_core.model import Any2Seg


class MovingAverage:
    """A second model whose weights follow those of a trained one.

    The first updates count more, as min(decay, (1 + n) / (10 + n)), so that the random start is soon forgotten. Running
    statistics of norms are averaged like weights; counters are copied.

    Attributes:
        model: the averaged model, in evaluation mode.
        updates: how often it was updated.
    """

    def __init__(self, model: Any2Seg, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(requires_grad=False)
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self, model: Any2Seg) -> None:
        """Move towards the present weights."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        for average, present in zip(self.model.state_dict().values(), model.state_dict().values(), strict=True):
            if average.is_floating_point():
                average.lerp_(present, 1 - decay)
            else:
                average.copy_(present)

    def state_dict(self) -> dict[str, Any]:
        """Everything that changes."""
        return {"model": self.model.state_dict(), "updates": self.updates}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what state_dict gave."""
        self.model.load_state_dict(state["model"])
        self.updates = int(state["updates"])
