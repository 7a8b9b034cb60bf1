# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What the processes of a run agree on, besides gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from accelerate.utils import gather_object
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from accelerate import Accelerator


def agree(accelerator: Accelerator, values: Sequence[int]) -> list[int]:
    """Largest of each value over all processes."""
    own = torch.tensor([list(values)], device=accelerator.device)
    return [int(value) for value in accelerator.gather(own).amax(0)]


def gathered_means(means: Mapping[str, Tensor]) -> dict[str, float]:
    """Mean over the processes of each named scalar, over those that have a number for it; NaN where none has."""
    reports: list[dict[str, float]] = gather_object([{name: float(value) for name, value in means.items()}])
    known = {name: [report[name] for report in reports if name in report] for report in reports for name in report}
    return {name: _mean([value for value in values if value == value]) for name, values in known.items()}  # noqa: PLR0124  (NaN)


def gathered(items: Sequence[Any]) -> list[Any]:
    """All processes' items in one list."""
    return list(gather_object(list(items)))


class SharedStatistics:
    """Lets every micro-batch of a step, in all processes, update batch norms from where the step found them.

    The mean of these updates is kept: one process with several micro-batches and several processes with one end up
    with the same running statistics, and it does not matter which process' model is saved.

    Args:
        model: network before the step.
        accelerator: the processes.
    """

    def __init__(self, model: nn.Module, accelerator: Accelerator) -> None:
        self._norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
        self._accelerator = accelerator
        self._before = [buffer.clone() for buffer in self._buffers()]
        self._updates: list[list[Tensor]] = []

    @torch.no_grad()
    def collect(self) -> None:
        """Keep the update of a micro-batch, and take it back."""
        self._updates.append([buffer.clone() for buffer in self._buffers()])
        for buffer, before in zip(self._buffers(), self._before, strict=True):
            buffer.copy_(before)

    @torch.no_grad()
    def apply(self) -> None:
        """Set running means and variances to the mean of all updates; counters count steps."""
        for buffer, *updates in zip(self._buffers(), *self._updates, strict=True):
            mean = torch.stack(updates).double().mean(0)
            buffer.copy_(self._accelerator.reduce(mean, reduction="mean"))

    def _buffers(self) -> list[Tensor]:
        return [buffer for norm in self._norms for buffer in norm.buffers()]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else float("nan")
