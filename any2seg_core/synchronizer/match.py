# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The synchronizer's answer, and its translation into a frame set."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic, TypeVar

from any2seg_core.frames import Absence, CameraModel, Events, FrameSet, Modality, SensorFrame

if TYPE_CHECKING:
    from collections.abc import Mapping

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Match(Generic[K, T]):
    """What the streams hold for one moment.

    Attributes:
        anchor: stream that gave the moment.
        stamp_ns: stamp of the anchor's item, which the output carries; strictly increasing between jumps of time.
        arrival_ns: when the anchor's item arrived, steady clock.
        items: per contributing stream its items in order of stamp: one, or the packets of the window.
        absent: why each other stream does not contribute.
        ages_ns: per contributing stream how much older than the anchor (offsets removed) its item is, below 0 where
            it is newer; of a window, how far its newest packet ends before the anchor, 0 where it reaches it.
        windows_ns: per contributing window stream the half-open span (start, end] on its own stamps.
    """

    anchor: K
    stamp_ns: int
    arrival_ns: int
    items: Mapping[K, list[T]]
    absent: Mapping[K, Absence]
    ages_ns: Mapping[K, int]
    windows_ns: Mapping[K, tuple[int, int]]


def _joined(packets: list[SensorFrame], window: tuple[int, int] | None) -> SensorFrame:
    newest = packets[-1]
    if window is None or not isinstance(newest.data, Events):
        return newest
    events = Events.concatenate(packet.data for packet in packets if isinstance(packet.data, Events))
    # A window that closes before the newest packet's last event ends the merged frame too, never before its stamp.
    end_ns = max(newest.stamp_ns, min(newest.end_ns, window[1]))
    return replace(newest, data=events.between(*window), end_ns=end_ns)


def frame_set(match: Match[Modality, SensorFrame], view: CameraModel | None = None) -> FrameSet:
    """Turn a match of sensor frames into a frame set, event packets joined and cut to their window.

    The joined frame keeps the stamp and frame_id of its newest packet, as the output's header is an input's header.

    Raises:
        FrameError: the event packets of one window are of different sensor sizes.
    """
    frames = {key: _joined(packets, match.windows_ns.get(key)) for key, packets in match.items.items()}
    return FrameSet(match.anchor, frames, dict(match.absent), view)
