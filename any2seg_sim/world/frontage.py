# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""One side of a street, measured along the building line, and the lots that stand there."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from any2seg_sim.world.measures import DEPTH_M, FRONT_M, SIDEWALK_Z
from any2seg_sim.world.strips import bent

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from any2seg_sim.mesh import Mesh
    from any2seg_sim.world.path import Path


class Frontage:
    """A stretch of building line.

    It is measured so that who stands on the road and looks at the fronts sees it run from left to right.

    Attributes:
        path: middle of the road.
        side: 1 for the left of the path, -1 for the right.
        length: of the building line, metres.
    """

    def __init__(self, path: Path, side: int, span: tuple[float, float]) -> None:
        self.path, self.side = path, side
        self._along = np.linspace(*span, max(2, math.ceil((span[1] - span[0]) / 0.5) + 1))
        bends = np.interp(self._along, np.arange(len(path.xy)) * path.step, path.curvature)
        scale = 1.0 - side * FRONT_M * bends
        steps = np.diff(self._along) * (scale[1:] + scale[:-1]) / 2
        self._front = np.concatenate([[0.0], np.cumsum(steps)])
        self.length = float(self._front[-1])

    def station(self, x: NDArray[np.floating]) -> NDArray[np.float64]:
        """Arc length along the path at places (N,) on the building line; beyond its ends it goes on evenly."""
        front = np.asarray(x, np.float64) if self.side > 0 else self.length - np.asarray(x, np.float64)
        return np.asarray(np.interp(front, self._front, self._along) + front - np.clip(front, 0.0, self.length))

    def frame(self, x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Points (N, 2) on the road's middle at places (N,) on the building line, and headings along that line."""
        xy, heading = self.path.at(self.station(x))
        return xy, heading if self.side > 0 else heading + math.pi


@dataclass(eq=False)
class Lot:
    """What stands on one piece of a frontage; x runs along it from its left end, y away from the road's middle.

    Attributes:
        frontage: where it is.
        start, length: piece of the building line, metres.
        room: how far from the building line it may reach, metres.
        parts: meshes in the street.
    """

    frontage: Frontage
    start: float
    length: float
    room: float = DEPTH_M
    parts: list[Mesh] = field(default_factory=list)

    def lay(self, mesh: Mesh, z: float = 0.0) -> None:
        """Bend a mesh, built with the building line on y = FRONT_M, along the street."""
        self.parts.append(bent(mesh.moved(self.start, 0.0, z), self.frontage.frame))

    def put(self, mesh: Mesh, x: float, beyond: float, z: float = SIDEWALK_Z, *, yaw: float = 0.0) -> None:
        """Place a mesh, built facing -y, so far behind the building line, turned with the street but not bent."""
        (xy,), (heading,) = self.frontage.frame(np.array([self.start + x]))
        away = FRONT_M + beyond
        place = xy[0] - away * math.sin(heading), xy[1] + away * math.cos(heading)
        self.parts.append(mesh.moved(float(place[0]), float(place[1]), z, yaw=float(heading) + yaw))

    def spot(self, x: float, beyond: float) -> tuple[float, float]:
        """Give a place's coordinates in the plane."""
        (xy,), (heading,) = self.frontage.frame(np.array([self.start + x]))
        away = FRONT_M + beyond
        return float(xy[0] - away * math.sin(heading)), float(xy[1] + away * math.cos(heading))
