# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The network run by torch, as it stands or compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import torch

from any2seg_core.errors import ConfigError
from any2seg_core.inference.backends.base import Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    from any2seg_core.model.segmentor import Any2Seg, Maps

_TYPES: Final = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class TorchBackend:
    """The network as it stands.

    In reduced precision linear layers and convolutions compute in it (autocast); norms and fusion stay in float32.

    Args:
        model: on its device, in evaluation mode.
        device: where the model is.
        precision: "fp32", "bf16", or on a GPU "fp16".

    Raises:
        ConfigError: the precision is not to be had here.
    """

    def __init__(self, model: Any2Seg, device: torch.device, precision: str) -> None:
        allowed = ("fp32", "bf16") if device.type == "cpu" else tuple(_TYPES)
        if precision not in allowed:
            msg = (
                f"inference.precision: found {precision!r} with torch on {device.type}, expected {' or '.join(allowed)}"
            )
            raise ConfigError(msg)
        self._model = model
        self._device = device
        self._precision: dict[str, Any] = {
            "device_type": device.type,
            "dtype": _TYPES[precision],
            "enabled": precision != "fp32",
        }

    def encode(self, pixels: Tensor, slots: Sequence[int]) -> list[Maps]:
        """See Backend: one by one on a CPU, whose caches an image fits, together on a GPU, which it cannot fill."""
        rows, places = pixels.to(self._device), torch.tensor(slots, device=self._device)
        with torch.autocast(**self._precision):
            if self._device.type == "cpu":
                return [self._encode(row[None], place[None]) for row, place in zip(rows, places, strict=True)]
            maps = self._encode(rows, places)
        # Copies, for a row kept as a part of its batch would hold all of that in memory.
        return [tuple(level[row : row + 1].clone() for level in maps) for row in range(len(rows))]

    def fuse_and_decode(self, maps: Mapping[int, Maps], previous: Maps | None) -> Answer:
        """See Backend."""
        slots = range(len(self._model.modalities))
        present = torch.tensor([[slot in maps for slot in slots]], device=self._device)
        levels = [torch.cat(level) for level in zip(*(maps[slot] for slot in slots if slot in maps), strict=True)]
        before = previous or (None,) * len(levels)
        with torch.autocast(**self._precision):
            fused = tuple(
                self._model.fusion(level, present, earlier).feature
                for level, earlier in zip(levels, before, strict=True)
            )
            return Answer(self._decode(fused), fused)

    def _encode(self, rows: Tensor, slots: Tensor) -> Maps:
        return self._model.encode(rows, slots)

    def _decode(self, maps: Maps) -> Tensor:
        return self._model.decode(maps)


class CompiledBackend(TorchBackend):
    """The network with encoder and head compiled by torch, anew for each size of input; arguments as TorchBackend.

    Fusion stays as it is: on a CPU it is one compiled loop already. On a GPU both parts are CUDA graphs, one for each
    size and number of new frames.
    """

    def __init__(self, model: Any2Seg, device: torch.device, precision: str) -> None:
        super().__init__(model, device, precision)
        how: dict[str, Any] = {"options": {"freezing": True}} if device.type == "cpu" else {"mode": "reduce-overhead"}
        self._compiled_encode: Callable[[Tensor, Tensor], Maps] = torch.compile(model.encode, dynamic=False, **how)
        self._compiled_decode: Callable[[Maps], Tensor] = torch.compile(model.decode, dynamic=False, **how)

    def _encode(self, rows: Tensor, slots: Tensor) -> Maps:
        return self._compiled_encode(rows, slots)

    def _decode(self, maps: Maps) -> Tensor:
        return self._compiled_decode(maps)
