# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What a "temporal" model remembers from one frame to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from any2seg_core.model.segmentor import Maps


class FrameMemory:
    """The fused maps of the frame before, valid for a next frame in the same circumstances and not long after.

    Args:
        max_gap_ns: longest step between two frames; 0 remembers nothing.
    """

    def __init__(self, max_gap_ns: int) -> None:
        self._max_gap_ns = max_gap_ns
        self.forget()

    def forget(self) -> None:
        """Let the frame before go."""
        self._maps: Maps | None = None
        self._stamp_ns = 0
        self._circumstances: tuple[object, ...] = ()

    def recall(self, stamp_ns: int, circumstances: tuple[object, ...]) -> Maps | None:
        """Give the maps of the frame before, if it serves a frame of this stamp and circumstances."""
        follows = 0 < stamp_ns - self._stamp_ns <= self._max_gap_ns
        return self._maps if follows and circumstances == self._circumstances else None

    def keep(self, stamp_ns: int, circumstances: tuple[object, ...], maps: Maps) -> None:
        """Take the place of the frame before."""
        if self._max_gap_ns:
            self._maps, self._stamp_ns, self._circumstances = maps, stamp_ns, circumstances
