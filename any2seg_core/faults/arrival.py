# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""A frame on its way to whoever listens, and how its stamps are moved."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from any2seg_core.errors import FrameError
from any2seg_core.frames import Events, Points, SensorFrame

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Arrival:
    """A sensor's frame and when it arrives.

    Attributes:
        arrival_ns: nanoseconds on the clock of arrivals, which need not be the stamps' clock.
        frame: the frame.
        tag: whatever the caller wants back beside the frame. It belongs to the moment of arrival, not to the
            measurement: when a sensor freezes, old frames come with the tags of the frames they stand for.
        columns: (N,) further columns of a point cloud by name, such as ring. They belong to the measurement: they
            lose the rows that the points lose, and freeze with them.

    Raises:
        FrameError: a column does not have one row per point.
    """

    arrival_ns: int
    frame: SensorFrame
    tag: object = None
    columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rows = len(self.frame.data) if isinstance(self.frame.data, Points) else None
        wrong = [name for name, column in self.columns.items() if len(column) != rows]
        if wrong:
            found = "no points" if rows is None else f"{rows} points"
            msg = f"arrival: found {found} and columns {', '.join(wrong)}, expected one row of a column per point"
            raise FrameError(msg)


def moved(frame: SensorFrame, by_ns: int) -> SensorFrame:
    """Give a frame whose stamps, those of events too, are later by so much, but never below zero."""
    by_ns = max(by_ns, -frame.stamp_ns)
    data = frame.data
    if isinstance(data, Events):
        data = replace(data, t_ns=np.maximum(data.t_ns + np.int64(by_ns), 0))
    return replace(frame, data=data, stamp_ns=frame.stamp_ns + by_ns, end_ns=frame.end_ns + by_ns)
