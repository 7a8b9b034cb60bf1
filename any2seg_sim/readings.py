# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What sensors give: one measurement, or those of one moment, and what is exactly known about them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from any2seg_core.frames import Events

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from any2seg_core.frames import SensorFrame


@dataclass(frozen=True, eq=False)
class Reading:
    """One measurement and what is exactly known about it.

    Attributes:
        frame: the measurement, its stamps on the sensor's own clock; end_ns is the stamp of its last part.
        labels: exact class of every pixel (H, W) of a colour image or point (N,) of a sweep, else None; 255 where a
            point is an echo of nothing that has a class.
        rings: (N,) uint16 ring of every point of a sweep, else None.
        times_ns: (N,) int32 time of every point of a sweep since the frame's stamp, else None.
        exact: (H, W) float32 depth in metres before range limits, errors and holes, NaN in the sky, of every pixel of
            a depth image or a colour image, else None.
        ready_ns: true time at which the measurement is complete and could arrive; end_ns if left out.
    """

    frame: SensorFrame
    labels: NDArray[np.uint8] | None = None
    rings: NDArray[np.uint16] | None = None
    times_ns: NDArray[np.int32] | None = None
    exact: NDArray[np.float32] | None = None
    ready_ns: int = -1

    def __post_init__(self) -> None:
        if self.ready_ns < 0:
            object.__setattr__(self, "ready_ns", self.frame.end_ns)

    def shifted(self, by_ns: int) -> Reading:
        """Give the same reading taken by_ns nanoseconds later."""
        return replace(self.stamped(by_ns), ready_ns=self.ready_ns + by_ns)

    def stamped(self, by_ns: int) -> Reading:
        """Give the same reading as a sensor stamps it whose clock is ahead by by_ns nanoseconds."""
        frame, data = self.frame, self.frame.data
        if isinstance(data, Events):
            data = replace(data, t_ns=data.t_ns + by_ns)
        frame = replace(frame, data=data, stamp_ns=frame.stamp_ns + by_ns, end_ns=frame.end_ns + by_ns)
        return replace(self, frame=frame)


@dataclass(frozen=True, eq=False)
class Moment:
    """What all sensors give for one moment.

    Attributes:
        t_s: seconds since the start of the drive.
        stamp_ns: the moment's stamp, on a true clock.
        rgb: the camera image and the exact classes of its pixels.
        depth: the depth image and the exact depth.
        events: the events of the window that ends at the moment.
        lidar: the sweep that ends at the moment, and the exact classes of its points.
    """

    t_s: float
    stamp_ns: int
    rgb: Reading
    depth: Reading
    events: Reading
    lidar: Reading
