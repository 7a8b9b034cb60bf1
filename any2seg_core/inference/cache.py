# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Encoded maps of the newest frame of each sensor: a slow sensor's frame, used by many sets, is encoded once."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from any2seg_core.frames import CameraModel, FrameSet, Modality, SensorFrame
    from any2seg_core.model.segmentor import Maps


@dataclass(frozen=True, eq=False)
class _Entry:
    """Maps, and all that they came from; holding the frame keeps the identity of its data from being used again."""

    frame: SensorFrame
    view: CameraModel | None
    size: tuple[int, int]
    maps: Maps

    def serves(self, frame: SensorFrame, view: CameraModel | None, size: tuple[int, int]) -> bool:
        own = self.frame
        return (
            own.data is frame.data
            and (own.stamp_ns, own.end_ns, self.size) == (frame.stamp_ns, frame.end_ns, size)
            and _equal(own.to_view, frame.to_view)
            and _same_view(self.view, view)
        )


class FeatureCache:
    """One entry per modality, the newest; a later frame, another size, view or extrinsic never finds it.

    Data counts as the same when it is the same object with the same stamps: sensor frames are values, so whoever
    writes new measurements into an old array must at least give them their own stamp.

    Args:
        enabled: otherwise nothing is kept.
    """

    def __init__(self, *, enabled: bool) -> None:
        self._enabled = enabled
        self._entries: dict[Modality, _Entry] = {}

    def recall(self, frame_set: FrameSet, size: tuple[int, int]) -> dict[Modality, Maps]:
        """Give the maps of those frames of the set that were encoded for this size of model input."""
        return {
            modality: entry.maps
            for modality, entry in self._entries.items()
            if modality in frame_set.frames and entry.serves(frame_set.frames[modality], frame_set.view, size)
        }

    def keep(self, frame_set: FrameSet, size: tuple[int, int], maps: Mapping[Modality, Maps]) -> None:
        """Remember the maps of frames of this set in place of what was known of their modalities."""
        if not self._enabled:
            return
        view = deepcopy(frame_set.view)  # Calibration is compared by value, so it must not change under us.
        for modality, features in maps.items():
            frame = frame_set.frames[modality]
            frame = replace(frame, to_view=deepcopy(frame.to_view))
            self._entries[modality] = _Entry(frame, view, size, features)

    def forget(self) -> None:
        """Let everything go."""
        self._entries.clear()


def _equal(one: object, other: object) -> bool:
    """Whether two values, arrays perhaps, are the same in every number."""
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return np.array_equal(one, other)
    return type(one) is type(other) and bool(one == other)


def _same_view(one: CameraModel | None, other: CameraModel | None) -> bool:
    if one is None or other is None:
        return one is other
    return all(_equal(getattr(one, field.name), getattr(other, field.name)) for field in fields(one))
