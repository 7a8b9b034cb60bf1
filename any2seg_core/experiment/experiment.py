# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""A whole experiment, and its YAML file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import yaml
from pydantic import Field

from any2seg_core.config import ModelConfig, PreprocessConfig, Settings
from any2seg_core.errors import ConfigError
from any2seg_core.experiment.data import AugmentConfig, DataConfig, SubsetConfig
from any2seg_core.experiment.loss import LossConfig
from any2seg_core.experiment.run import EvaluationConfig, OptimConfig, TrainConfig
from any2seg_core.experiment.teacher import TeacherConfig

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_INESSENTIAL: Final = (
    "description",
    "data.root",
    "data.workers",
    "teacher.cache",
    "train.checkpoint_every",
    "train.log_every",
    "train.pictures",
    "train.tensorboard",
)
"""What may change while a run goes on: its numbers stay the same."""


class Experiment(Settings):
    """Everything that makes a training run again; YAML files hold overrides of these defaults only."""

    name: str = Field("experiment", min_length=1, pattern=r"^[A-Za-z0-9._-]+$", description="name of the run")
    description: str = Field("", description="what this run is for")
    model: ModelConfig = ModelConfig()
    preprocess: PreprocessConfig = PreprocessConfig()
    data: DataConfig = DataConfig()
    augment: AugmentConfig = AugmentConfig()
    subsets: SubsetConfig = SubsetConfig()
    teacher: TeacherConfig = TeacherConfig()
    loss: LossConfig = LossConfig()
    optim: OptimConfig = OptimConfig()
    train: TrainConfig = TrainConfig()
    evaluation: EvaluationConfig = EvaluationConfig()


def load_experiment(path: Path, overrides: Sequence[str] = ()) -> Experiment:
    """Read an experiment file.

    A file may name another one beside it under `base`, whose settings it overrides.

    Args:
        path: YAML file.
        overrides: "group.field=value" from a command line, the value in YAML; they win over the file.

    Raises:
        ConfigError: a file is missing, not YAML, goes round in circles, or holds what is unknown, mistyped or out of
            bounds; all problems are named together.
    """
    values = _read(path, ())
    for override in overrides:
        _merge(values, _parsed(override))
    return Experiment.from_mapping(values, source=str(path))


def differences(former: Mapping[str, Any], experiment: Mapping[str, Any]) -> list[str]:
    """List in what two experiments, as plain values, differ: each as "group.field: former -> now".

    Where data lies, how many processes load it, and how often a run writes something down make no other experiment.
    """
    return sorted(_changes(former, experiment, ""))


def _changes(former: Mapping[str, Any], now: Mapping[str, Any], prefix: str) -> Iterator[str]:
    for name in {*former, *now}:
        old, new = former.get(name), now.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from _changes(old, new, f"{prefix}{name}.")
        elif old != new and prefix + name not in _INESSENTIAL:
            yield f"{prefix}{name}: {old!r} -> {new!r}"


def _read(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    path = path.resolve()
    if path in seen:
        msg = f"experiment: found {path} based on itself, expected a chain of files that ends; remove one base"
        raise ConfigError(msg)
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        msg = f"experiment: found {path} not readable ({error}), expected a YAML file"
        raise ConfigError(msg) from error
    values = {} if values is None else values
    if not isinstance(values, dict):
        msg = f"experiment: found {type(values).__name__} in {path}, expected settings by group"
        raise ConfigError(msg)
    base = values.pop("base", None)
    if base is None:
        return values
    merged = _read(path.parent / str(base), (*seen, path))
    _merge(merged, values)
    return merged


def _parsed(override: str) -> dict[str, Any]:
    key, equals, text = override.partition("=")
    if not equals or not key:
        msg = f"override: found {override!r}, expected group.field=value, for example optim.lr=0.0001"
        raise ConfigError(msg)
    try:
        value: Any = yaml.safe_load(text) if text else ""  # no setting takes YAML's null
    except yaml.YAMLError as error:
        msg = f"override: found {override!r}, expected a YAML value after the equals sign ({error})"
        raise ConfigError(msg) from error
    for part in reversed(key.split(".")):
        value = {part: value}
    return dict(value)


def _merge(into: dict[str, Any], values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value
