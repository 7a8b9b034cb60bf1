# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: a folder with tensors, and everything needed to use them, never a pickle and never half.

    model.safetensors    the weights
    checkpoint.json      format, name, architecture, preprocessing, class table, metrics, checksum of the weights

Format of tensors: https://huggingface.co/docs/safetensors.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from any2seg_core.config import ModelConfig, PreprocessConfig
from any2seg_core.errors import CheckpointError, ConfigError
from any2seg_core.frames import ClassTable
from any2seg_core.model.segmentor import Any2Seg, build_model
from any2seg_core.model.weights import check_state

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor

_FORMAT: Final = 1
_WEIGHTS: Final = "model.safetensors"
_DESCRIPTION: Final = "checkpoint.json"
_PICKLES: Final = (".pt", ".pth", ".bin", ".ckpt", ".pkl")


@dataclass(frozen=True)
class CheckpointInfo:
    """What a checkpoint holds besides weights.

    Attributes:
        name: shown in diagnostics and reports.
        model: architecture.
        preprocess: how frames became the input that the weights know.
        classes: meaning of the K outputs.
        metrics: scores at the time of saving, if any.
    """

    name: str
    model: ModelConfig
    preprocess: PreprocessConfig
    classes: ClassTable
    metrics: Mapping[str, float] = field(default_factory=dict)


def save_checkpoint(folder: Path, model: Any2Seg, info: CheckpointInfo, *, half: bool = False) -> None:
    """Write a checkpoint; a crash at any moment leaves a whole one, the former or the new.

    Everything is written to a hidden sibling and reaches the disk before it takes the final name. A former checkpoint
    of that name is kept as a sibling ending in ".previous" until the new one stands.

    Args:
        folder: the checkpoint's final name.
        model: network whose weights to save.
        info: description; must fit the model.
        half: store matrices in float16; vectors stay float32, and loading gives float32 again.

    Raises:
        CheckpointError: the description does not fit the model, weights overflow float16, or the disk refuses.
    """
    if len(info.classes) != model.classes:
        msg = f"checkpoint {folder}: found {len(info.classes)} class names for a head of {model.classes} classes"
        raise CheckpointError(msg)
    weights = _storable(model.state_dict(), half=half, source=str(folder))
    staging = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    former = _former(folder)
    try:
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        # Not save_file, which lets nobody else read it: who trains is seldom who runs the robot.
        (staging / _WEIGHTS).write_bytes(save(weights))
        (staging / _DESCRIPTION).write_text(json.dumps(_describe(info, staging / _WEIGHTS), indent=2) + "\n", "utf-8")
        for path in (staging / _WEIGHTS, staging / _DESCRIPTION, staging):
            _flush(path)
        if folder.exists():
            shutil.rmtree(former, ignore_errors=True)
            folder.rename(former)
        staging.rename(folder)
        _flush(folder.parent)
        shutil.rmtree(former, ignore_errors=True)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(staging, ignore_errors=True)
        msg = f"checkpoint {folder}: cannot be written ({error}); check space and permissions"
        raise CheckpointError(msg) from error


def load_checkpoint(folder: Path) -> tuple[Any2Seg, CheckpointInfo]:
    """Read a checkpoint and build its model, on the CPU, in float32 and evaluation mode.

    Raises:
        CheckpointError: the folder is not a whole, unaltered checkpoint of this format, or its parts contradict.
        ConfigError, DependencyError: its architecture cannot be built here.
    """
    _check_folder(folder)
    description = _read_description(folder)
    info = _parse(description, folder)
    weights = _read_weights(folder, str(description.get("sha256")))
    classifier = weights.get("head.classifier.weight")
    if classifier is not None and len(classifier) != len(info.classes):
        msg = (
            f"checkpoint {folder}: found {len(info.classes)} class names but weights for {len(classifier)} classes; "
            "the class table and the weights come from different trainings"
        )
        raise CheckpointError(msg)
    with torch.random.fork_rng(devices=[]):  # the random start is overwritten; the caller's sequence goes on untouched
        model = build_model(info.model, len(info.classes))
    check_state(weights, model.state_dict(), source=f"checkpoint {folder}")
    model.load_state_dict(weights)
    return model.eval(), info


def _former(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.previous")


def _storable(state: Mapping[str, Tensor], *, half: bool, source: str) -> dict[str, Tensor]:
    stored: dict[str, Tensor] = {}
    for name, tensor in state.items():
        narrow = half and tensor.is_floating_point() and tensor.ndim > 1
        stored[name] = tensor.detach().cpu().to(torch.float16 if narrow else tensor.dtype).contiguous()
        if not torch.isfinite(stored[name]).all():
            msg = (
                f"checkpoint {source}: {name} holds values that are not finite as {stored[name].dtype}; "
                "training has diverged, or store in full precision"
            )
            raise CheckpointError(msg)
    return stored


def _describe(info: CheckpointInfo, weights: Path) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "name": info.name,
        "model": info.model.model_dump(),
        "preprocess": info.preprocess.model_dump(),
        "classes": info.classes.to_json(),
        "metrics": dict(info.metrics),
        "sha256": _checksum(weights),
    }


def _check_folder(folder: Path) -> None:
    if folder.suffix in _PICKLES:
        msg = (
            f"checkpoint {folder}: found a pickle, which runs any code that someone put in it; expected a folder with "
            f"{_WEIGHTS} and {_DESCRIPTION}. Where you trust the file, load it with torch.load(..., weights_only=True) "
            "into a model from build_model and write it with save_checkpoint"
        )
        raise CheckpointError(msg)
    absent = [name for name in (_DESCRIPTION, _WEIGHTS) if not (folder / name).is_file()]
    if not absent:
        return
    former = _former(folder)
    advice = "give the folder that save_checkpoint wrote"
    if not folder.exists() and former.is_dir():
        advice = f"saving was interrupted, the former checkpoint is whole in {former}"
    msg = f"checkpoint {folder}: found no {' and no '.join(absent)}, expected both in one folder; {advice}"
    raise CheckpointError(msg)


def _read_description(folder: Path) -> dict[str, Any]:
    try:
        description = json.loads((folder / _DESCRIPTION).read_text("utf-8"))
    except (OSError, ValueError) as error:
        msg = f"checkpoint {folder}: {_DESCRIPTION} cannot be read ({error}); copy the checkpoint again"
        raise CheckpointError(msg) from None
    found = description.get("format") if isinstance(description, dict) else None
    if not isinstance(description, dict) or found != _FORMAT:
        msg = f"checkpoint {folder}: found format {found!r}, expected {_FORMAT}; use the any2seg version that wrote it"
        raise CheckpointError(msg)
    return description


def _parse(description: Mapping[str, Any], folder: Path) -> CheckpointInfo:
    source = f"checkpoint {folder}"
    try:
        return CheckpointInfo(
            name=str(description["name"]),
            model=ModelConfig.from_mapping(description["model"], source=f"{source}, model"),
            preprocess=PreprocessConfig.from_mapping(description["preprocess"], source=f"{source}, preprocess"),
            classes=ClassTable.from_json(description["classes"]),
            metrics={str(name): float(value) for name, value in description.get("metrics", {}).items()},
        )
    except KeyError as error:
        msg = f"{source}: {_DESCRIPTION} has no {error}, expected name, model, preprocess and classes; copy it again"
        raise CheckpointError(msg) from None
    except (ConfigError, CheckpointError, TypeError, ValueError, AttributeError) as error:
        msg = f"{source}: {_DESCRIPTION} is not understood: {error}; use the any2seg version that wrote it"
        raise CheckpointError(msg) from None


def _read_weights(folder: Path, checksum: str) -> dict[str, Tensor]:
    path = folder / _WEIGHTS
    try:
        found = _checksum(path)
        if found != checksum:
            msg = (
                f"checkpoint {folder}: {_WEIGHTS} ({path.stat().st_size} bytes) has sha256 {found[:12]}, expected "
                f"{checksum[:12]}: it is cut off or altered; copy the checkpoint again"
            )
            raise CheckpointError(msg)
        return load_file(path)
    except (OSError, SafetensorError) as error:
        msg = f"checkpoint {folder}: {_WEIGHTS} cannot be read ({error}); copy the checkpoint again"
        raise CheckpointError(msg) from None


def _checksum(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


def _flush(path: Path) -> None:
    """Wait until a file's content, or a folder's list of names, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
