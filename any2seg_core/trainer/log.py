# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What a run tells about itself: one JSON object a line, and the same in TensorBoard where that is installed."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import torch

from any2seg_core.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor


class RunLog:
    """Appends events to a file and curves to TensorBoard; a log without a path swallows everything.

    Args:
        path: JSON lines file, or None in processes that have nothing to say.
        tensorboard: folder of event files, or None.
        lines: how many lines of an interrupted run still hold; later ones are cut off.
        step: the step that it goes on from.

    Attributes:
        lines: number of lines written, those of an interrupted run included.

    Raises:
        CheckpointError: the file has fewer lines than should hold.
    """

    def __init__(self, path: Path | None, tensorboard: Path | None = None, *, lines: int = 0, step: int = 0) -> None:
        self.lines = lines
        self._path = path
        if path is not None:
            _cut(path, lines)
        self._writer = _open_tensorboard(tensorboard, step) if path is not None and tensorboard is not None else None

    def write(self, event: str, step: int, values: Mapping[str, Any]) -> None:
        """Add an event; nested numbers become curves named group/name."""
        self.lines += 1
        if self._path is None:
            return
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"event": event, "step": step, **_finite(values)}) + "\n")
        if self._writer is not None:
            for name, value in _numbers(values):
                self._writer.add_scalar(f"{event}/{name}", value, step)

    def picture(self, name: str, step: int, image: NDArray[np.uint8]) -> None:
        """Show a picture (H, W, 3) in TensorBoard."""
        if self._writer is not None:
            self._writer.add_image(name, image, step, dataformats="HWC")

    def close(self) -> None:
        """Write out what TensorBoard still holds back."""
        if self._writer is not None:
            self._writer.close()


class Sums:
    """Sums of named scalars that stay on their device: reading them is what waits for it, not adding."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[Tensor, Tensor]] = {}

    def add(self, values: Mapping[str, Tensor], group: str = "") -> None:
        """Add one value of each name, which becomes "group/name"; what is not a number is left out."""
        for name, value in values.items():
            key = f"{group}/{name}" if group else name
            number = value.detach().double()
            known = ~torch.isnan(number)
            total, count = self._sums.get(key, (torch.zeros_like(number), torch.zeros_like(number)))
            self._sums[key] = total + torch.where(known, number, 0), count + known

    def means(self) -> dict[str, Tensor]:
        """Mean of each name so far, NaN where no number came."""
        return {key: total / count for key, (total, count) in self._sums.items()}

    def state_dict(self) -> dict[str, Any]:
        """Everything that changes."""
        return {key: torch.stack(pair).cpu() for key, pair in self._sums.items()}

    def load_state_dict(self, state: Mapping[str, Tensor], device: torch.device) -> None:
        """Restore what state_dict gave."""
        self._sums = {key: (pair[0].to(device), pair[1].to(device)) for key, pair in state.items()}


def grouped(flat: Mapping[str, float]) -> dict[str, Any]:
    """Turn {"loss": 1.0, "terms/sup": 2.0} into {"loss": 1.0, "terms": {"sup": 2.0}}."""
    tree: dict[str, Any] = {}
    for key, value in flat.items():
        group, _, name = key.rpartition("/")
        (tree.setdefault(group, {}) if group else tree)[name] = value
    return tree


def _finite(values: Mapping[str, Any]) -> dict[str, Any]:
    """Replace what JSON has no word for by null."""
    plain: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            plain[name] = _finite(value)
        else:
            plain[name] = None if isinstance(value, float) and not math.isfinite(value) else value
    return plain


def _cut(path: Path, lines: int) -> None:
    kept = path.read_text(encoding="utf-8").splitlines(keepends=True)[:lines] if path.exists() else []
    if len(kept) < lines:
        msg = f"log {path}: found {len(kept)} lines, expected at least {lines}; put the file back or start over"
        raise CheckpointError(msg)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(kept), encoding="utf-8")


def _open_tensorboard(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415  (optional, and slow to import)
    except ImportError:
        return None
    return SummaryWriter(str(folder), purge_step=step or None)


def _numbers(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _numbers(value, f"{prefix}{name}/")
        elif isinstance(value, (int, float)):
            yield prefix + name, float(value)
