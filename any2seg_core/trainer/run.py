# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What a run is made of, how far it has come, and what comes out."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from any2seg_core.model import CheckpointInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from accelerate import Accelerator

    from any2seg_core.batch import Batch
    from any2seg_core.experiment import Experiment
    from any2seg_core.frames import ClassTable
    from any2seg_core.model import Any2Seg
    from any2seg_core.trainer.folder import RunFolder
    from any2seg_core.trainer.module import ObjectiveFunction


class EpochBatches(Protocol):
    """Training batches of one process; what is in batch i of an epoch depends on seed, epoch and i alone.

    any2seg_core.data.TrainLoader is one.
    """

    def __len__(self) -> int:
        """Count the batches of an epoch: the same in all processes and epochs."""

    def epoch(self, epoch: int, start_batch: int = 0) -> Iterable[Batch]:
        """Give the batches of an epoch, from number `start_batch` on."""


@dataclass(frozen=True, eq=False)
class Run:
    """Everything that training needs.

    Attributes:
        experiment: settings.
        model: network with its initial weights.
        objective: the losses.
        batches: what to learn from.
        score: scores of a model in evaluation mode, called by all processes; the main process' answer counts. Holds
            at least experiment.train.select_on.
        classes: meaning of the model's outputs.
        folder: where everything is written.
        accelerator: processes and precision.
        samples: what to draw after each scoring.
        progress: show a progress bar on stderr.
    """

    experiment: Experiment
    model: Any2Seg
    objective: ObjectiveFunction
    batches: EpochBatches
    score: Callable[[Any2Seg], Mapping[str, float]]
    classes: ClassTable
    folder: RunFolder
    accelerator: Accelerator
    samples: Sequence[Batch] = ()
    progress: bool = False

    @property
    def steps_per_epoch(self) -> int:
        """Updates of the weights in an epoch."""
        return math.ceil(len(self.batches) / self.experiment.optim.accumulation)

    @property
    def circumstances(self) -> dict[str, int]:
        """What decides the sequence of steps besides the experiment."""
        return {"processes": self.accelerator.num_processes, "batches per epoch": len(self.batches)}

    def describe(self, scores: Mapping[str, float]) -> CheckpointInfo:
        """Give the description that goes with the weights."""
        experiment = self.experiment
        finite = {name: score for name, score in scores.items() if math.isfinite(score)}
        return CheckpointInfo(experiment.name, experiment.model, experiment.preprocess, self.classes, finite)


@dataclass
class Place:
    """How far a run has come.

    Attributes:
        epoch: epochs that are complete and, where their turn had come, scored.
        batch: batches of the present epoch that were learnt from.
        step: updates of the weights.
        best: epoch (from 1), score and scores of the best checkpoint; empty before the first scoring.
        stopped_by: number of the signal that asked to stop, 0 while none did.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    best: dict[str, Any] = field(default_factory=dict)
    stopped_by: int = 0


@dataclass(frozen=True)
class Outcome:
    """How training ended.

    Attributes:
        complete: all epochs are trained and scored.
        place: how far it came.
    """

    complete: bool
    place: Place
