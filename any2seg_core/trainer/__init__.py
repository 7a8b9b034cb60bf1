# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Training: the loop, and what stands before its first step."""

from any2seg_core.trainer.folder import RunFolder
from any2seg_core.trainer.loop import DivergedError, Trainer
from any2seg_core.trainer.prepare import prepare_run
from any2seg_core.trainer.run import EpochBatches, Outcome, Place, Run
from any2seg_core.trainer.start import check_experiment, initial_model, start_processes

__all__ = [
    "DivergedError",
    "EpochBatches",
    "Outcome",
    "Place",
    "Run",
    "RunFolder",
    "Trainer",
    "check_experiment",
    "initial_model",
    "prepare_run",
    "start_processes",
]
