# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Resumable states on disk: a folder that is there whole or not at all, the former one until the new one stands.

    shared.pt       what is the same in all processes
    process_R.pt    what process R alone has

Several machines need a folder that all of them see. Files are read with torch's weights_only, so that a state from
somebody else cannot run code.
"""

from __future__ import annotations

import os
import pickle
import shutil
import struct
from typing import TYPE_CHECKING, Any, Final

import torch

from any2seg_core.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from accelerate import Accelerator

_SHARED: Final = "shared.pt"
_BROKEN: Final = (
    OSError,
    RuntimeError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    struct.error,
    pickle.UnpicklingError,
)
"""What reading a file raises that is not a state, or no longer a whole one."""


def save_state(folder: Path, shared: Mapping[str, Any], own: Mapping[str, Any], accelerator: Accelerator) -> None:
    """Write a state; every process must call this at the same step.

    Raises:
        CheckpointError: the disk refuses.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    try:
        if accelerator.is_main_process:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
        accelerator.wait_for_everyone()
        _write(own, partial / _own(accelerator.process_index))
        if accelerator.is_main_process:
            _write(shared, partial / _SHARED)
        accelerator.wait_for_everyone()
        if accelerator.is_main_process:
            _exchange(partial, folder)
        accelerator.wait_for_everyone()
    except (OSError, RuntimeError) as error:
        msg = f"state {folder}: cannot be written ({error}); check space and permissions"
        raise CheckpointError(msg) from error


def load_state(folder: Path, process: int) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Read the last whole state, to the CPU: what is shared, and what the process alone has; None where none is.

    Raises:
        CheckpointError: there is one and it cannot be read.
    """
    former = _former(folder)
    found = folder if folder.is_dir() else former
    if not found.is_dir():
        return None
    try:
        return _load(found / _SHARED), _load(found / _own(process))
    except _BROKEN as error:
        msg = f"state {found}: cannot be read ({error}); start over, from the best checkpoint if you like"
        raise CheckpointError(msg) from error


def _own(process: int) -> str:
    return f"process_{process}.pt"


def _former(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.previous")


def _load(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return content


def _write(content: Mapping[str, Any], path: Path) -> None:
    with path.open("wb") as file:
        torch.save(dict(content), file)
        file.flush()
        os.fsync(file.fileno())


def _exchange(partial: Path, folder: Path) -> None:
    former = _former(folder)
    if folder.exists():
        shutil.rmtree(former, ignore_errors=True)
        folder.rename(former)
    partial.rename(folder)
    shutil.rmtree(former, ignore_errors=True)
