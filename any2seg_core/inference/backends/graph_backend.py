# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Exported graphs behind the Backend contract, whichever runtime runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from any2seg_core.inference.backends.base import Answer
from any2seg_core.inference.backends.graphs import channels_first, channels_last

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from any2seg_core.model.segmentor import Maps

    Arrays = Mapping[str, NDArray[Any]]


class Runtime(Protocol):
    """Runs the two graphs on arrays named as graphs.py names inputs; gives outputs in order, in memory of their own."""

    def encode(self, inputs: Arrays) -> list[NDArray[np.float32]]:
        """Run ENCODE."""

    def fuse(self, inputs: Arrays) -> list[NDArray[np.float32]]:
        """Run FUSE."""


class GraphBackend:
    """Two exported graphs.

    Maps to fuse lie in one array per level, a place for each modality. A place is written only when its modality has
    new maps; those of absent modalities keep what was there, which the graph leaves out.

    Args:
        runtime: runs the graphs.
        modalities: how many the model knows.
        remembers: the graphs take the fused maps of the frame before.
    """

    def __init__(self, runtime: Runtime, *, modalities: int, remembers: bool) -> None:
        self._runtime = runtime
        self._remembers = remembers
        self._stacks: list[NDArray[np.float32]] = []
        self._placed: list[Maps | None] = [None] * modalities

    def encode(self, pixels: Tensor, slots: Sequence[int]) -> list[Maps]:
        """See Backend; one by one, so that one shape of input serves any number of new frames."""
        return [
            _tensors(self._runtime.encode({"pixels": row[None].numpy(), "slots": np.array([slot])}))
            for row, slot in zip(pixels, slots, strict=True)
        ]

    def fuse_and_decode(self, maps: Mapping[int, Maps], previous: Maps | None) -> Answer:
        """See Backend."""
        self._place(maps)
        inputs: dict[str, NDArray[Any]] = {
            "present": np.array([[slot in maps for slot in range(len(self._placed))]]),
            **{f"maps_{level}": stack for level, stack in enumerate(self._stacks)},
        }
        if self._remembers:
            inputs["follows"] = np.array([previous is not None])
            for level, stack in enumerate(self._stacks):
                before = np.zeros_like(stack[:, 0]) if previous is None else channels_last(previous[level]).numpy()
                inputs[f"previous_{level}"] = before
        logits, *state = _tensors(self._runtime.fuse(inputs))
        return Answer(logits, tuple(state))

    def _place(self, maps: Mapping[int, Maps]) -> None:
        shapes = [tuple(channels_last(level).shape[1:]) for level in next(iter(maps.values()))]
        if [stack.shape[2:] for stack in self._stacks] != shapes:
            self._stacks = [np.zeros((1, len(self._placed), *shape), np.float32) for shape in shapes]
            self._placed = [None] * len(self._placed)
        for slot, levels in maps.items():
            if self._placed[slot] is not levels:
                for stack, level in zip(self._stacks, levels, strict=True):
                    stack[:, slot] = channels_last(level).numpy()
                self._placed[slot] = levels


def _tensors(arrays: Sequence[NDArray[np.float32]]) -> Maps:
    """Arrays (..., h, w, C) as tensors (..., C, h, w) that share their memory."""
    return tuple(channels_first(torch.from_numpy(array)) for array in arrays)
