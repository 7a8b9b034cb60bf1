# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Streets and junctions as they lie in the plane."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_sim.world.measures import BACK_M, DEPTH_M, FRONTAGE_M, MOUTH_M

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from any2seg_sim.world.path import Path

AHEAD, LEFT, BACK, RIGHT = range(4)
"""Arms of a junction, as the ego vehicle meets them: quarter turns to the left from its heading."""
START_M: Final = 45.0
"""The first street begins this far behind the ego vehicle's start."""
SIGHT_M: Final = {"rails": 7.0, "river": 17.0, "viaduct": 6.0, "footbridge": 9.5, "zebra": 6.0}
"""Half the length of street that is needed by what lies across it."""


@dataclass(frozen=True, eq=False)
class Street:
    """A street between two mouths or dead ends.

    Attributes:
        path: its middle.
        joins: whether its start and its end are mouths of junctions.
        main: the ego vehicle drives through it.
        sights: what lies across it, by name, and where along the path.
    """

    path: Path
    joins: tuple[bool, bool]
    main: bool
    sights: tuple[tuple[str, float], ...] = ()

    @property
    def frontage(self) -> tuple[float, float]:
        """Where lots begin and end along the path."""
        start, end = (FRONTAGE_M if joined else 0.0 for joined in self.joins)
        return start, self.path.length - end


@dataclass(frozen=True, eq=False)
class Junction:
    """A crossing or a T-junction with arms at right angles.

    Attributes:
        x, y: its middle.
        heading: direction in which the ego vehicle arrives.
        arms: which of AHEAD, LEFT, BACK and RIGHT there are.
        way: the arm by which the ego vehicle leaves.
    """

    x: float
    y: float
    heading: float
    arms: tuple[int, ...]
    way: int

    def towards(self, arm: int) -> float:
        """Direction of an arm."""
        return self.heading + arm * math.pi / 2

    def mouth(self, arm: int) -> tuple[float, float, float]:
        """Where the street of an arm begins, and its direction there."""
        turn = self.towards(arm)
        return self.x + MOUTH_M * math.cos(turn), self.y + MOUTH_M * math.sin(turn), turn

    def crossed(self) -> NDArray[np.float64]:
        """Points (N, 2) of the middle of the ego vehicle's road from mouth to mouth, without the mouths."""
        if self.way == AHEAD:
            ahead = np.linspace(-MOUTH_M, MOUTH_M, 49)[1:-1]
            local = np.stack([ahead, np.zeros_like(ahead)], 1)
        else:
            side = 1.0 if self.way == LEFT else -1.0
            turn = np.linspace(0.0, math.pi / 2, 40)[1:-1]
            local = MOUTH_M * np.stack([np.sin(turn) - 1.0, side * (1.0 - np.cos(turn))], 1)
        cos, sin = math.cos(self.heading), math.sin(self.heading)
        return np.asarray(np.array((self.x, self.y)) + local @ np.array([(cos, sin), (-sin, cos)]))


@dataclass(frozen=True, eq=False)
class Plan:
    """All streets and junctions.

    Attributes:
        streets: the main ones first, in the order of the drive.
        junctions: in the order of the drive.
        route: middle of the road that the ego vehicle takes, through all junctions.
        start_m: where along the route the drive begins.
    """

    streets: tuple[Street, ...]
    junctions: tuple[Junction, ...]
    route: Path
    start_m: float

    def clearance(self, xy: NDArray[np.floating], *, but: Street | None = None) -> NDArray[np.float64]:
        """Distance (N,) of places (N, 2) from the middle of the nearest street, one of them left out."""
        lines = [middle(street) for street in self.streets if street is not but]
        return distance(np.asarray(xy, np.float64), np.concatenate(lines))


def middle(street: Street) -> NDArray[np.float64]:
    """Points (N, 2) along a street, with what closes its dead ends."""
    start, end = (0.0 if joined else DEPTH_M for joined in street.joins)
    return street.path.at(np.arange(-start, street.path.length + end + 2.0, 3.0))[0]


def backs(street: Street) -> NDArray[np.float64]:
    """Points (N, 2) on the outer edges of a street's lots."""
    first, last = street.frontage
    closed = [0.0 if joined else DEPTH_M for joined in street.joins]
    along = np.arange(first - closed[0], last + closed[1] + 1.0, 3.0)
    return np.concatenate([street.path.beside(along, side * BACK_M) for side in (-1.0, 1.0)])


def behind(junction: Junction) -> NDArray[np.float64]:
    """Points (N, 2) behind the sides of a junction that have no arm."""
    along = np.linspace(-BACK_M, BACK_M, 17)
    rows = [np.zeros((0, 2))]
    for arm in range(4):
        if arm not in junction.arms:
            cos, sin = math.cos(junction.towards(arm)), math.sin(junction.towards(arm))
            local = np.stack([np.full_like(along, BACK_M), along], 1)
            rows.append(np.array((junction.x, junction.y)) + local @ np.array([(cos, sin), (-sin, cos)]))
    return np.concatenate(rows)


def distance(places: NDArray[np.float64], line: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance (N,) of places (N, 2) from the nearest point of a line (M, 2)."""
    apart = places[:, None] - line[None]
    return np.asarray(np.sqrt(np.min(np.einsum("ijk,ijk->ij", apart, apart), axis=1)))
