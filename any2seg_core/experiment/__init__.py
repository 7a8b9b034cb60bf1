# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Settings of training and scoring: one experiment file says everything that makes a run again."""

from any2seg_core.experiment.data import AugmentConfig, DataConfig, SubsetConfig
from any2seg_core.experiment.experiment import Experiment, differences, load_experiment
from any2seg_core.experiment.loss import LossConfig
from any2seg_core.experiment.run import EvaluationConfig, OptimConfig, TrainConfig
from any2seg_core.experiment.teacher import TeacherConfig

__all__ = [
    "AugmentConfig",
    "DataConfig",
    "EvaluationConfig",
    "Experiment",
    "LossConfig",
    "OptimConfig",
    "SubsetConfig",
    "TeacherConfig",
    "TrainConfig",
    "differences",
    "load_experiment",
]
