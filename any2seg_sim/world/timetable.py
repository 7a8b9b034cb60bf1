# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""How fast one drives along a path: slower in bends, gentle with brakes and throttle."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from any2seg_sim.world.path import Path

STEP_S: Final = 0.02
_GRID_M: Final = 0.5
_SIDEWAYS: Final = 2.2
"""Acceleration across the path that drivers put up with, m/s^2."""
_FASTER, _SLOWER = 1.2, 1.7
"""Greatest acceleration and deceleration, m/s^2."""
_EASE_M: Final = 3.0


@dataclass(frozen=True, eq=False)
class Timetable:
    """Way along a path as a function of time; before and after its table the speed stays the same.

    Attributes:
        way: (N,) metres, every STEP_S seconds.
        speed: (N,) metres per second.
        accel: (N,) metres per second squared.
    """

    way: NDArray[np.float64]
    speed: NDArray[np.float64]
    accel: NDArray[np.float64]

    @staticmethod
    def along(
        path: Path, start_m: float, cruise_mps: float, *, slow: Sequence[tuple[float, float]] = (), sway: float = 0.0
    ) -> Timetable:
        """Drive a path from a place on.

        Args:
            path: the track.
            start_m: place at time 0.
            cruise_mps: speed where nothing slows one down; 0 stays where it is.
            slow: places and the greatest speeds there.
            sway: phase of a slight swing of the speed.
        """
        if cruise_mps <= 0:
            still = np.zeros(2)
            return Timetable(still + start_m, still, still)
        s = np.arange(0.0, path.length + _GRID_M, _GRID_M)
        bends = np.abs(np.interp(s, np.arange(len(path.xy)) * path.step, path.curvature))
        limit = np.minimum(cruise_mps, np.sqrt(_SIDEWAYS / np.maximum(bends, 1e-4)))
        limit *= 1.0 - 0.03 * (1.0 + np.sin(0.11 * s + sway))
        for where, most in slow:
            limit = np.where(np.abs(s - where) < 2.0, np.minimum(limit, most), limit)
        speed = _eased(_reachable(limit))
        begin = float(np.interp(start_m, s, speed))
        ahead = s > start_m
        places, speeds = np.concatenate([[start_m], s[ahead]]), np.concatenate([[begin], speed[ahead]])
        times = np.concatenate([[0.0], np.cumsum(np.diff(places) * 2.0 / (speeds[1:] + speeds[:-1]))])
        clock = np.arange(0.0, max(float(times[-1]), 2 * STEP_S), STEP_S)
        pace = np.interp(clock, times, speeds)
        way = start_m + np.concatenate([[0.0], np.cumsum((pace[1:] + pace[:-1]) * STEP_S / 2)])
        accel = np.convolve(np.pad(np.gradient(pace, STEP_S), 12, mode="edge"), np.hanning(27)[1:-1] / 13.0, "valid")
        return Timetable(way, pace, accel)

    @property
    def end_s(self) -> float:
        """When the table ends."""
        return STEP_S * (len(self.way) - 1)

    def at(self, t_s: float) -> tuple[float, float, float]:
        """Give way (m), speed (m/s) and acceleration (m/s^2) at a time."""
        inside = min(max(t_s, 0.0), self.end_s) / STEP_S
        index = min(int(inside), len(self.way) - 2)
        u, first, last = inside - index, float(self.speed[index]), float(self.speed[index + 1])
        # The speed runs straight between the steps, and the way is its integral: smooth in position and speed.
        way = float(self.way[index]) + STEP_S * u * (first + (last - first) * u / 2)
        speed = first + u * (last - first)
        rate = float(self.accel[index]) + u * (float(self.accel[index + 1]) - float(self.accel[index]))
        beyond = t_s - inside * STEP_S
        return way + beyond * speed, speed, rate if beyond == 0.0 else 0.0


def _reachable(limit: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lower speed limits (N,) until brakes and throttle can follow them."""
    speed = limit.copy()
    for index in range(len(speed) - 2, -1, -1):
        speed[index] = min(speed[index], math.sqrt(speed[index + 1] ** 2 + 2 * _SLOWER * _GRID_M))
    for index in range(1, len(speed)):
        speed[index] = min(speed[index], math.sqrt(speed[index - 1] ** 2 + 2 * _FASTER * _GRID_M))
    return speed


def _eased(speed: NDArray[np.float64]) -> NDArray[np.float64]:
    """Blur speeds (N,) along the way, so that the acceleration has no jumps."""
    reach = math.ceil(3 * _EASE_M / _GRID_M)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) * _GRID_M / _EASE_M) ** 2)
    return np.convolve(np.pad(speed, reach, mode="edge"), weights / weights.sum(), "valid")
