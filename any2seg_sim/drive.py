# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""How the ego vehicle drives: a path along the street with a gentle change of speed, sway, pitch and roll."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LANE_Y_M: Final = -1.75


@dataclass(frozen=True)
class Drive:
    """A drive along +x in the right-hand lane, starting at x = 0.

    Attributes:
        speed_mps: mean speed.
        phase: where the slow oscillations start, radians.
    """

    speed_mps: float
    phase: float

    def travelled(self, t_s: float) -> float:
        """Metres driven after t_s seconds."""
        swing = 0.12 * self.speed_mps / 0.5
        return self.speed_mps * t_s + swing * (math.sin(0.5 * t_s + self.phase) - math.sin(self.phase))

    def pose(self, t_s: float) -> NDArray[np.float64]:
        """Pose of base_link in the street, (4, 4): x forward, y left, z up (REP 103), on the ground."""
        wave = self.phase + t_s
        y = LANE_Y_M + 0.06 * math.sin(0.7 * wave)
        yaw = 0.06 * 0.7 * math.cos(0.7 * wave) / max(self.speed_mps, 1.0)
        pitch = 0.004 * math.sin(5.3 * wave) + 0.002 * math.sin(9.1 * wave)
        roll = 0.003 * math.sin(4.1 * wave + 1.0)
        pose = np.eye(4)
        pose[:3, :3] = _turn(2, yaw) @ _turn(1, pitch) @ _turn(0, roll)
        pose[:3, 3] = self.travelled(t_s), y, 0.012 * math.sin(6.1 * wave)
        return pose


def _turn(axis: int, angle: float) -> NDArray[np.float64]:
    turn = np.eye(3)
    a, b = (axis + 1) % 3, (axis + 2) % 3
    turn[a, a] = turn[b, b] = math.cos(angle)
    turn[b, a] = math.sin(angle)
    turn[a, b] = -math.sin(angle)
    return turn
