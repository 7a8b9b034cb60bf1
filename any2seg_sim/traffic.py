# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What moves: vehicles that follow their lanes and people who walk, as functions of time alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from any2seg_sim.lamps import headlights
from any2seg_sim.mesh import Mesh

if TYPE_CHECKING:
    from any2seg_sim.lamps import Lamp
    from any2seg_sim.objects.people import Rider, Walker
    from any2seg_sim.objects.skeleton import Body
    from any2seg_sim.shapes import Vec
    from any2seg_sim.world.path import Path
    from any2seg_sim.world.timetable import Timetable


class Mover(Protocol):
    """Something that is elsewhere a moment later.

    Attributes:
        reach: half its length and half its width, metres.
    """

    @property
    def reach(self) -> tuple[float, float]: ...  # noqa: D102 - described above

    def present(self, t_s: float) -> bool:
        """Tell whether it is in the street at all."""

    def position(self, t_s: float) -> tuple[float, float]:
        """Where it is, metres."""

    def heading(self, t_s: float) -> float:
        """Which way it faces, radians from +x to +y."""

    def posed(self, t_s: float) -> Mesh:
        """Its mesh in the street."""

    def lamps_at(self, t_s: float) -> tuple[Lamp, ...]:
        """Lamps that it carries."""


@dataclass(frozen=True, eq=False)
class Vehicle:
    """A vehicle that follows a lane.

    Those that share a lane's timetable are only so much time and way ahead of it, so that they never meet.

    Attributes:
        mesh: built facing +x.
        path: lane.
        timetable: way along the lane.
        ahead_s, ahead_m: how far it is ahead of the timetable.
        axles: half the distance between its axles, metres.
        reach: half its length and half its width, metres.
        lights: places of its headlights.
        rider: who sits on it in the open.
    """

    mesh: Mesh
    path: Path
    timetable: Timetable
    ahead_s: float
    ahead_m: float
    axles: float
    reach: tuple[float, float]
    lights: tuple[Vec, ...] = ()
    rider: Rider | None = None

    def way(self, t_s: float) -> float:
        """How far along its lane it is, metres."""
        return self.timetable.at(t_s + self.ahead_s)[0] + self.ahead_m

    def present(self, t_s: float) -> bool:
        """Tell whether it is in the street: it comes and goes at the ends of its lane."""
        return self.reach[0] <= self.way(t_s) <= self.path.length - self.reach[0]

    def _pose(self, t_s: float) -> tuple[float, float, float]:
        way = self.way(t_s)
        rear_x, rear_y, _ = self.path.pose(way - self.axles)
        x, y, _ = self.path.pose(way + self.axles)
        return (rear_x + x) / 2, (rear_y + y) / 2, math.atan2(y - rear_y, x - rear_x)

    def position(self, t_s: float) -> tuple[float, float]:
        """Where it is, metres."""
        return self._pose(t_s)[:2]

    def heading(self, t_s: float) -> float:
        """Which way it faces, radians from +x to +y."""
        return self._pose(t_s)[2]

    def posed(self, t_s: float) -> Mesh:
        """Its mesh in the street."""
        x, y, heading = self._pose(t_s)
        mesh = self.mesh if self.rider is None else Mesh.merged([self.mesh, self.rider.posed(self.way(t_s))])
        return mesh.moved(x, y, yaw=heading)

    def lamps_at(self, t_s: float) -> tuple[Lamp, ...]:
        """Lamps that it carries."""
        if not self.lights:
            return ()
        x, y, heading = self._pose(t_s)
        pose = np.eye(4)
        pose[:2, :2] = (math.cos(heading), -math.sin(heading)), (math.sin(heading), math.cos(heading))
        pose[:2, 3] = x, y
        return headlights(pose, self.lights)


@dataclass(frozen=True, eq=False)
class Pedestrian:
    """A person, or a dog, who follows a path between two moments and stands otherwise.

    Attributes:
        walker: who walks.
        path: where.
        start_m: way along the path at time 0.
        speed_mps: pace.
        from_s, until_s: when the walk lasts.
        loop: whether the path's end leads back to its start.
        pavement: height of the ground, but for the part of the path that lies on the road.
        road: way along the path where the road begins and ends.
    """

    walker: Walker | Dog
    path: Path
    start_m: float
    speed_mps: float
    from_s: float = -math.inf
    until_s: float = math.inf
    loop: bool = False
    pavement: float = 0.0
    road: tuple[float, float] = (math.inf, math.inf)
    reach = 0.35, 0.3

    def walked(self, t_s: float) -> float:
        """How far the person has walked since time 0 or the start of the walk."""
        start = 0.0 if math.isinf(self.from_s) else self.from_s
        return self.speed_mps * (min(max(t_s, self.from_s), self.until_s) - start)

    def present(self, t_s: float) -> bool:  # noqa: ARG002 - as every mover
        """Tell whether the person is in the street."""
        return True

    def _pose(self, t_s: float) -> tuple[float, float, float]:
        way = self.start_m + self.walked(t_s)
        return self.path.pose(way % self.path.length if self.loop else way)

    def position(self, t_s: float) -> tuple[float, float]:
        """Where the person is, metres."""
        return self._pose(t_s)[:2]

    def heading(self, t_s: float) -> float:
        """Which way the person faces, radians from +x to +y."""
        return self._pose(t_s)[2]

    def posed(self, t_s: float) -> Mesh:
        """Give the person's mesh in the street."""
        x, y, heading = self._pose(t_s)
        going = 1.0 if self.from_s < t_s < self.until_s else 0.0
        way, (first, last) = self.start_m + self.walked(t_s), self.road
        # One steps off the kerb and on it within a third of a metre.
        down = min(max((way - first) / 0.3 + 0.5, 0.0), max((last - way) / 0.3 + 0.5, 0.0), 1.0)
        mesh = self.walker.posed(self.walked(t_s), going=going)
        return mesh.moved(x, y, self.pavement * (1.0 - down), yaw=heading)

    def lamps_at(self, t_s: float) -> tuple[Lamp, ...]:  # noqa: ARG002 - as every mover
        """Lamps that the person carries: none."""
        return ()


@dataclass(frozen=True, eq=False)
class Dog:
    """A dog that trots."""

    body: Body

    def posed(self, walked_m: float, *, going: float = 1.0) -> Mesh:
        """Pose the body after so many metres, feet at the origin and facing +x."""
        swing = 0.5 * going * math.sin(2 * math.pi * walked_m / 0.6)
        legs = [name for name in self.body.joints if name != "trunk"]
        return self.body.posed({name: swing * sign for name, sign in zip(legs, (1, -1, -1, 1), strict=True)})


def meshes_near(movers: tuple[Mover, ...], t_s: float, centre_xy: tuple[float, float], radius_m: float) -> Mesh | None:
    """Join the movers that are within a radius of a place, or None if there are none."""
    near = [
        mover.posed(t_s)
        for mover in movers
        if mover.present(t_s) and math.dist(mover.position(t_s), centre_xy) < radius_m
    ]
    return Mesh.merged(near) if near else None
