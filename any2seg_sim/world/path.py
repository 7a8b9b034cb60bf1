# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Curves in the plane, measured by arc length: middles of streets and tracks of wheels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

STEP_M: Final = 0.25
"""Distance between the points of a path."""


@dataclass(frozen=True, eq=False)
class Path:
    """A smooth curve; beyond its ends it goes on straight.

    Attributes:
        xy: (N, 2) points, `step` metres of arc apart.
        heading: (N,) direction there, radians from +x to +y, without jumps.
        step: metres.
    """

    xy: NDArray[np.float64]
    heading: NDArray[np.float64]
    step: float

    @property
    def length(self) -> float:
        """Arc length, metres."""
        return self.step * (len(self.xy) - 1)

    @staticmethod
    def of_curvature(start: tuple[float, float, float], knots: Sequence[tuple[float, float]]) -> Path:
        """Follow a curvature that runs straight from knot to knot, so that the curve is made of clothoids.

        Args:
            start: x, y and heading.
            knots: arc length from 0 on and curvature there, 1/m, positive to the left.
        """
        places, bends = np.array(knots, np.float64).T
        count = max(2, math.ceil(places[-1] / STEP_M) + 1)
        s = np.linspace(0.0, places[-1], count)
        step = float(s[1])
        bend = np.interp(s, places, bends)
        heading = start[2] + np.concatenate([[0.0], np.cumsum((bend[1:] + bend[:-1]) * step / 2)])
        middle = (heading[1:] + heading[:-1]) / 2
        ahead = np.stack([np.cos(middle), np.sin(middle)], 1) * step
        xy = np.array(start[:2]) + np.concatenate([np.zeros((1, 2)), np.cumsum(ahead, 0)])
        return Path(xy, heading, step)

    @staticmethod
    def through(points: NDArray[np.floating]) -> Path:
        """Follow a polyline (N, 2) of short pieces."""
        ahead = np.diff(points, axis=0)
        reach = np.concatenate([[0.0], np.cumsum(np.hypot(ahead[:, 0], ahead[:, 1]))])
        count = max(2, math.ceil(reach[-1] / STEP_M) + 1)
        s = np.linspace(0.0, reach[-1], count)
        xy = np.stack([np.interp(s, reach, points[:, axis]) for axis in range(2)], 1)
        slope = np.gradient(xy, axis=0)
        return Path(xy, np.unwrap(np.arctan2(slope[:, 1], slope[:, 0])), float(s[1]))

    def at(self, s: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Give points (..., 2) and headings (...,) at arc lengths (...,)."""
        s = np.asarray(s, np.float64)
        inside = np.clip(s, 0.0, self.length) / self.step
        index = np.minimum(inside.astype(np.int64), len(self.xy) - 2)
        share = inside - index
        heading = self.heading[index] + share * (self.heading[index + 1] - self.heading[index])
        xy = self.xy[index] + share[..., None] * (self.xy[index + 1] - self.xy[index])
        beyond = s - np.clip(s, 0.0, self.length)
        return xy + beyond[..., None] * np.stack([np.cos(heading), np.sin(heading)], -1), heading

    def pose(self, s: float, offset: float = 0.0) -> tuple[float, float, float]:
        """Give x, y and heading at an arc length, some metres to the left of the curve."""
        inside = min(max(s, 0.0), self.length) / self.step
        index = min(int(inside), len(self.xy) - 2)
        share, beyond = inside - index, s - inside * self.step
        (x, y), (u, v) = self.xy[index].tolist(), self.xy[index + 1].tolist()
        first = float(self.heading[index])
        heading = first + share * (float(self.heading[index + 1]) - first)
        cos, sin = math.cos(heading), math.sin(heading)
        return (
            x + share * (u - x) + beyond * cos - offset * sin,
            y + share * (v - y) + beyond * sin + offset * cos,
            heading,
        )

    def beside(self, s: NDArray[np.floating], offset: NDArray[np.floating] | float) -> NDArray[np.float64]:
        """Give points (..., 2) some metres to the left of the curve."""
        xy, heading = self.at(s)
        return np.asarray(xy + np.asarray(offset)[..., None] * np.stack([-np.sin(heading), np.cos(heading)], -1))

    @property
    def curvature(self) -> NDArray[np.float64]:
        """Curvature at the points (N,), 1/m, positive to the left."""
        return np.asarray(np.gradient(self.heading, self.step))

    def shifted(self, offset: float, *, smooth_m: float = 0.0) -> Path:
        """Run so many metres to the left of the curve, its bends eased over about smooth_m as wheels do it."""
        s = np.arange(len(self.xy)) * self.step
        points = self.beside(s, offset)
        return Path.through(_eased(points, smooth_m / self.step) if smooth_m else points)

    def reversed(self) -> Path:
        """Run the other way."""
        return Path(self.xy[::-1].copy(), self.heading[::-1] + math.pi, self.step)

    def nearest(self, x: float, y: float) -> float:
        """Arc length of the curve's point that is nearest to a place."""
        return self.step * int(np.argmin((self.xy[:, 0] - x) ** 2 + (self.xy[:, 1] - y) ** 2))


def _eased(points: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    """Blur points (N, 2) along their row by a Gaussian; the ends go on straight."""
    reach = math.ceil(3 * width)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
    weights /= weights.sum()
    before = points[0] + np.arange(-reach, 0)[:, None] * (points[1] - points[0])
    after = points[-1] + np.arange(1, reach + 1)[:, None] * (points[-1] - points[-2])
    padded = np.concatenate([before, points, after])
    return np.stack([np.convolve(padded[:, axis], weights, "valid") for axis in range(2)], 1)
