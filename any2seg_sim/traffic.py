# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What moves: vehicles that keep their lane and people who walk, as functions of time alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from any2seg_sim.mesh import Mesh

if TYPE_CHECKING:
    from any2seg_sim.objects.people import Walker


class Mover(Protocol):
    """Something that is elsewhere a moment later."""

    def position(self, t_s: float) -> tuple[float, float]:
        """Where it is, metres."""

    def posed(self, t_s: float) -> Mesh:
        """Its mesh in the street."""


@dataclass(frozen=True, eq=False)
class Vehicle:
    """A rigid thing that moves along x, turned round where its speed is negative.

    Attributes:
        mesh: built facing +x.
        x_m, y_m: place at time 0.
        speed_mps: along x.
        surge: amplitude (m) and rate (rad/s) of a slow oscillation along x.
    """

    mesh: Mesh
    x_m: float
    y_m: float
    speed_mps: float
    surge: tuple[float, float] = (0.0, 0.0)

    def position(self, t_s: float) -> tuple[float, float]:
        """Where it is, metres."""
        reach, rate = self.surge
        return self.x_m + self.speed_mps * t_s + reach * math.sin(rate * t_s), self.y_m

    def posed(self, t_s: float) -> Mesh:
        """Its mesh in the street."""
        x, y = self.position(t_s)
        return self.mesh.moved(x, y, yaw=0.0 if self.speed_mps > 0 else math.pi)


@dataclass(frozen=True, eq=False)
class Pedestrian:
    """A person who walks straight from a place, between two moments, and stands otherwise.

    Attributes:
        walker: the body.
        x_m, y_m, z_m: where the walk starts.
        heading: direction of the walk, radians from +x to +y.
        speed_mps: pace.
        from_s, until_s: when the walk lasts.
    """

    walker: Walker
    x_m: float
    y_m: float
    z_m: float
    heading: float
    speed_mps: float
    from_s: float = -math.inf
    until_s: float = math.inf

    def _walked(self, t_s: float) -> float:
        start = max(self.from_s, 0.0) if math.isinf(self.from_s) else self.from_s
        return self.speed_mps * (min(max(t_s, self.from_s), self.until_s) - start)

    def position(self, t_s: float) -> tuple[float, float]:
        """Where it is, metres."""
        walked = self._walked(t_s)
        return self.x_m + walked * math.cos(self.heading), self.y_m + walked * math.sin(self.heading)

    def posed(self, t_s: float) -> Mesh:
        """Its mesh in the street."""
        x, y = self.position(t_s)
        return self.walker.posed(self._walked(t_s)).moved(x, y, self.z_m, yaw=self.heading)


def meshes_between(movers: tuple[Mover, ...], t_s: float, low_m: float, high_m: float) -> Mesh | None:
    """Join the movers that are between two places along the street, or None if there are none."""
    near = [mover.posed(t_s) for mover in movers if low_m < mover.position(t_s)[0] < high_m]
    return Mesh.merged(near) if near else None
