# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""One forward pass of training: model and objective as one module, and what it reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from torch import Tensor, nn

from any2seg_core.losses import gradient_scales

if TYPE_CHECKING:
    from collections.abc import Mapping

    from any2seg_core.batch import Batch
    from any2seg_core.losses import LossTerms
    from any2seg_core.model import Any2Seg
    from any2seg_core.model.segmentor import Maps, Prediction


class ObjectiveFunction(Protocol):
    """What the loop asks of the losses; any2seg_core.losses.Objective is one."""

    def __call__(
        self, model: Any2Seg, batch: Batch, *, subset: Tensor | None = None, previous: Maps | None = None
    ) -> LossTerms:
        """Compute all loss terms of a batch."""


@dataclass(frozen=True, eq=False)
class StepResult:
    """What a forward pass leaves behind; only `total` has a graph.

    Attributes:
        total: weighted sum of the terms, a scalar to call backward on.
        terms: each term, unweighted.
        watch: what else is worth a curve, such as the spread of the student's cosines.
        gradients: norm of each weighted term's gradient by the modalities' features, when it was asked for.
        state: the fused maps: `previous` of the next pass of a model that carries them.
    """

    total: Tensor
    terms: Mapping[str, Tensor]
    watch: Mapping[str, Tensor]
    gradients: Mapping[str, Tensor]
    state: Maps


class TrainingModule(nn.Module):
    """Model and objective as one, so that what synchronises gradients sees each weight used in a single forward pass.

    Args:
        model: the network.
        objective: the losses.
    """

    def __init__(self, model: Any2Seg, objective: ObjectiveFunction) -> None:
        super().__init__()
        self.model = model
        self.objective = objective

    def forward(
        self, batch: Batch, subset: Tensor | None, previous: Maps | None, *, measure: bool = False
    ) -> StepResult:
        """Compute the losses of a batch.

        Args:
            batch: samples on the model's device.
            subset: (B, M) bool modalities drawn at random, to learn from beside all of them; or None.
            previous: state of the preceding pass, or None.
            measure: also measure the gradient of each term, which costs a pass backward through the head for each.
        """
        losses = self.objective(self.model, batch, subset=subset, previous=previous)
        return StepResult(
            total=losses.total,
            terms={name: term.detach() for name, term in losses.terms.items()},
            watch={name: value.detach() for name, value in losses.watch.items()},
            gradients=gradient_scales(losses) if measure else {},
            state=cast("Prediction", losses.prediction).state,
        )
