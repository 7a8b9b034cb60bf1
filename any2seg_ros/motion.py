# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The robot's own motion taken out of LiDAR scans: points put where they are at the anchor's moment."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from any2seg_core.errors import CalibrationError
from any2seg_core.frames import Modality, Points
from any2seg_core.projection.deskew import deskew, pose_between

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from any2seg_core.frames import FrameSet, SensorFrame
    from any2seg_ros.calibration import TransformLookup


@dataclass
class MotionCounts:
    """Scans by what became of them.

    Attributes:
        deskewed: each point was moved by the time it was measured at.
        moved_whole: the cloud tells no times, and was moved as one.
        not_compensated: transforms were missing; the scan was used as it is.
    """

    deskewed: int = 0
    moved_whole: int = 0
    not_compensated: int = 0


class MotionCompensation:
    """Moves points to the anchor's stamp by poses in a fixed frame.

    Args:
        fixed_frame: a frame that the robot moves in, such as odom; "" leaves scans alone.
        lookup: asks for the transform at a stamp exactly; gives None where it is not known.
    """

    def __init__(self, fixed_frame: str, lookup: TransformLookup) -> None:
        self.counts = MotionCounts()
        self._fixed_frame = fixed_frame
        self._lookup = lookup

    def compensated(self, frames: FrameSet) -> tuple[FrameSet, CalibrationError | None]:
        """Move the scan of a frame set to the anchor's stamp; or leave it as it is, and say why."""
        lidar = frames.frames.get(Modality.LIDAR)
        if not self._fixed_frame or lidar is None or not isinstance(lidar.data, Points) or not len(lidar.data):
            return frames, None
        stamp_ns = frames.frames[frames.anchor].stamp_ns
        try:
            points = self._moved(lidar, lidar.data, stamp_ns)
        except CalibrationError as error:
            self.counts.not_compensated += 1
            return frames, error
        if lidar.data.t_ns is None:
            self.counts.moved_whole += 1
        else:
            self.counts.deskewed += 1
        return replace(frames, frames={**frames.frames, Modality.LIDAR: replace(lidar, data=points)}), None

    def _moved(self, lidar: SensorFrame, points: Points, stamp_ns: int) -> Points:
        times = points.t_ns
        first, last = (lidar.stamp_ns,) * 2 if times is None else (int(np.min(times)), int(np.max(times)))
        start = self._pose(lidar.frame_id, first)
        end = start if last == first else self._pose(lidar.frame_id, last)
        anchor = self._lookup(self._fixed_frame, lidar.frame_id, stamp_ns)
        if anchor is None:
            anchor = self._continued(lidar.frame_id, (start, end), (first, last), stamp_ns)
        return deskew(points, start, end, anchor)

    def _pose(self, frame_id: str, stamp_ns: int) -> NDArray[np.float64]:
        found = self._lookup(self._fixed_frame, frame_id, stamp_ns)
        if found is None:
            msg = (
                f"no transform from {frame_id!r} to {self._fixed_frame!r} at {stamp_ns} ns, in the scan or at its "
                "anchor: the scan is used as measured; publish odometry on /tf at the LiDAR's rate or faster, or unset "
                "lidar.fixed_frame"
            )
            raise CalibrationError(msg)
        return found

    def _continued(
        self,
        frame_id: str,
        poses: tuple[NDArray[np.float64], NDArray[np.float64]],
        span_ns: tuple[int, int],
        stamp_ns: int,
    ) -> NDArray[np.float64]:
        """Let the motion of the sweep go on for as long again, for TF is often a little behind the newest image."""
        first, last = span_ns
        share = (stamp_ns - first) / max(last - first, 1)
        if not -1 <= share <= 2:
            return self._pose(frame_id, stamp_ns)
        return pose_between(*poses, share)
