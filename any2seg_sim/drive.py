# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""How the ego vehicle drives: along its lane, at a speed that bends and junctions allow, on springs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_sim.lamps import headlights

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from any2seg_sim.lamps import Lamp
    from any2seg_sim.world.path import Path
    from any2seg_sim.world.timetable import Timetable

_PITCH: Final = 0.0085
"""Radians of dive per m/s^2 of deceleration, as of a family car."""
_ROLL: Final = 0.011
"""Radians of roll per m/s^2 of acceleration to the side."""
_BEND_M: Final = 1.5
_HEADLIGHTS: Final = ((2.2, 0.65, 0.7), (2.2, -0.65, 0.7))


@dataclass(frozen=True, eq=False)
class Drive:
    """The ego vehicle's drive.

    Attributes:
        path: its track on the ground.
        timetable: its way along the track.
        phase: where the slow oscillations start, radians.
    """

    path: Path
    timetable: Timetable
    phase: float

    def travelled(self, t_s: float) -> float:
        """Metres driven after t_s seconds."""
        return self.timetable.at(t_s)[0] - float(self.timetable.way[0])

    def pose(self, t_s: float) -> NDArray[np.float64]:
        """Pose of base_link in the street, (4, 4): x forward, y left, z up (REP 103), on the ground.

        The body dives when it brakes, leans out of bends and shakes a little on the road, the more the faster it goes.
        """
        way, speed, accel = self.timetable.at(t_s)
        wave, swing = self.phase + t_s, min(speed / 8.0, 1.0)
        drift = 0.05 * math.sin(0.06 * way + self.phase)
        x, y, heading = self.path.pose(way, drift)
        heading += 0.05 * 0.06 * math.cos(0.06 * way + self.phase)
        before, after = self.path.pose(way - _BEND_M)[2], self.path.pose(way + _BEND_M)[2]
        sideways = speed * speed * (after - before) / (2 * _BEND_M)
        pitch = -_PITCH * accel + swing * (0.003 * math.sin(5.3 * wave) + 0.0015 * math.sin(9.1 * wave))
        roll = _ROLL * sideways + swing * 0.0025 * math.sin(4.1 * wave + 1.0)
        pose = np.eye(4)
        pose[:3, :3] = _turn(2, heading) @ _turn(1, pitch) @ _turn(0, roll)
        pose[:3, 3] = x, y, 0.01 * swing * math.sin(6.1 * wave)
        return pose

    def lamps_at(self, t_s: float) -> tuple[Lamp, ...]:
        """Give the ego vehicle's headlights."""
        return headlights(self.pose(t_s), _HEADLIGHTS)


def _turn(axis: int, angle: float) -> NDArray[np.float64]:
    turn = np.eye(3)
    a, b = (axis + 1) % 3, (axis + 2) % 3
    turn[a, a] = turn[b, b] = math.cos(angle)
    turn[b, a] = math.sin(angle)
    turn[a, b] = -math.sin(angle)
    return turn
