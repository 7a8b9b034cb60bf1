# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What stands before the first step: contradictions, seeds, initial weights, processes, memory."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

import numpy as np
import torch
from accelerate import Accelerator, InitProcessGroupKwargs

from any2seg_core.errors import CheckpointError, ConfigError
from any2seg_core.model import Any2Seg, build_model, load_checkpoint, load_pretrained
from any2seg_core.model.weights import check_state

if TYPE_CHECKING:
    from torch import nn

    from any2seg_core.experiment import Experiment, TrainConfig
    from any2seg_core.frames import ClassTable

_PATIENCE: Final = timedelta(hours=6)
"""How long processes wait for the main one, which may score the whole evaluation split meanwhile."""
INITIAL_WEIGHTS: Final = 1
DROPOUT: Final = 2
SUBSETS: Final = 3
"""What a seed is for: the first number that it is derived from, so that no two uses draw the same."""

_PRECISIONS: Final = {"fp32": "no", "bf16": "bf16", "fp16": "fp16"}
_CHECKPOINT: Final = "checkpoint.json"


def check_experiment(experiment: Experiment) -> None:
    """Refuse settings that contradict each other.

    Raises:
        ConfigError: naming all contradictions together.
    """
    loss, optim, data = experiment.loss, experiment.optim, experiment.data
    problems = []
    taught = [name for name in ("cr_weight", "se_weight") if getattr(loss, name) > 0]
    if taught and experiment.teacher.kind == "none":
        problems.append(f"loss.{' and loss.'.join(taught)} above 0 without a teacher; set teacher.kind, or them to 0")
    single = [name for name in ("cr_weight", "auxiliary_weight", "base_weight") if getattr(loss, name) > 0]
    if single and experiment.model.fusion == "concat":
        problems.append(f"loss.{' and loss.'.join(single)} above 0 with model.fusion concat, which encodes all as one")
    if loss.distill_weight > 0 and experiment.subsets.mode != "both":
        problems.append(f"loss.distill_weight above 0 with subsets.mode {experiment.subsets.mode}; it needs both")
    if optim.warmup_epochs >= optim.epochs:
        problems.append(
            f"optim.warmup_epochs {optim.warmup_epochs:g} not below optim.epochs {optim.epochs}; shorten it"
        )
    if experiment.train.eval_from > optim.epochs:
        problems.append(
            f"train.eval_from {experiment.train.eval_from} after optim.epochs {optim.epochs}; score earlier"
        )
    if experiment.train.select_on == "miss" and experiment.evaluation.subsets != "all":
        problems.append("train.select_on 'miss' with evaluation.subsets 'full', which gives no MISS; set 'all'")
    if data.eval_split == data.train_split:
        problems.append(f"data.eval_split {data.eval_split!r} is the training split; score on another")
    if data.eval_split == "test":
        problems.append("data.eval_split 'test' would choose the checkpoint by the test split; use 'val'")
    if problems:
        msg = f"experiment {experiment.name}: found {len(problems)} contradiction(s): {' | '.join(problems)}"
        raise ConfigError(msg)


def derived_seed(*parts: int) -> int:
    """Mix numbers into one seed; different numbers, or another order of them, give unrelated seeds."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))


def initial_model(experiment: Experiment, classes: ClassTable) -> Any2Seg:
    """Build the model as it is before the first step, on the CPU.

    Raises:
        CheckpointError: the weights to start from cannot be read, or are of other classes or another architecture.
        ConfigError, DependencyError: the architecture cannot be built.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed(INITIAL_WEIGHTS, experiment.train.seed))
        model = build_model(experiment.model, len(classes))
    source = experiment.train.initial_weights
    if not source:
        return model
    folder = Path(source).expanduser()
    if (folder / _CHECKPOINT).is_file():
        _load_initial(model, folder, classes)
    else:
        load_pretrained(cast("nn.Module", model.encoder), source)
    return model


def start_processes(train: TrainConfig) -> Accelerator:
    """Join the processes that `accelerate launch` started, or be the only one.

    Raises:
        ConfigError: the device cannot do this.
    """
    try:
        return _accelerator(train)
    except (ValueError, RuntimeError) as error:
        msg = f"train.precision {train.precision} on device {train.device}: cannot be started ({error}); change them"
        raise ConfigError(msg) from error


def _accelerator(train: TrainConfig) -> Accelerator:
    return Accelerator(
        mixed_precision=_PRECISIONS[train.precision],
        cpu=train.device == "cpu",
        kwargs_handlers=[InitProcessGroupKwargs(timeout=_PATIENCE)],
    )


def arrange(model: Any2Seg, train: TrainConfig) -> None:
    """Set up memory layout, recomputation and compilation in place; names and values of weights stay."""
    if train.sync_norm and next(model.parameters()).device.type == "cuda":  # the only device that can
        torch.nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
    if train.channels_last:
        model.to(memory_format=torch.channels_last)
    model.encoder.checkpointing = train.gradient_checkpointing
    if train.compile:
        cast("nn.Module", model.encoder).compile()


def _load_initial(model: Any2Seg, folder: Path, classes: ClassTable) -> None:
    donor, info = load_checkpoint(folder)
    if info.classes.names != classes.names:
        msg = (
            f"initial weights {folder}: found {len(info.classes)} classes ({', '.join(info.classes.names[:3])} ...), "
            f"expected the data set's {len(classes)} ({', '.join(classes.names[:3])} ...); start from other weights"
        )
        raise CheckpointError(msg)
    check_state(donor.state_dict(), model.state_dict(), source=f"initial weights {folder}")
    model.load_state_dict(donor.state_dict())
