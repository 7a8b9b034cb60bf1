# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What runs the network: two functions, between which stand the maps that the feature cache keeps."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from any2seg_core.errors import CheckpointError, DependencyError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from any2seg_core.model.segmentor import Maps


@dataclass(frozen=True, eq=False)
class Answer:
    """What comes out.

    Attributes:
        logits: (1, K, H/4, W/4).
        state: the fused maps, `previous` of the next frame; may be empty for a model that does not remember.
    """

    logits: Tensor
    state: Maps


class Backend(Protocol):
    """A way to run the network. Absent modalities are never handed over, so they cannot change an answer."""

    def encode(self, pixels: Tensor, slots: Sequence[int]) -> list[Maps]:
        """Encode images, each by itself.

        Args:
            pixels: (P, 3, H, W) float32 on the CPU.
            slots: which modality each is of, as an index in the model's.

        Returns:
            For each image its maps, (1, C, h, w) each, in memory of their own.
        """

    def fuse_and_decode(self, maps: Mapping[int, Maps], previous: Maps | None) -> Answer:
        """Fuse what encode gave for the modalities at these slots, and the state of the frame before if it matters."""


def import_runtime(name: str) -> Any:
    """Import the package of a runtime, which is an optional dependency.

    Raises:
        DependencyError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        msg = f"backend {name}: found no {error.name}; run pip install 'any2seg[backends]', or use backend torch"
        raise DependencyError(msg) from error


def unreadable(folder: Path, error: Exception) -> CheckpointError:
    """Make the error that says that a runtime cannot read exported graphs."""
    reason = " ".join(str(error).split())
    return CheckpointError(f"backend: the graphs in {folder} cannot be read ({reason}); remove that folder")
