# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Junctions: the road between the mouths, pavements round the corners, and signals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_sim.mesh import Mesh
from any2seg_sim.objects.signals import traffic_light
from any2seg_sim.shapes import sheet
from any2seg_sim.world.measures import CORNER_M, FRONT_M, KERB_M, MOUTH_M, POSTS_M, SIDEWALK_Z, STOP_M
from any2seg_sim.world.path import Path
from any2seg_sim.world.plan import BACK
from any2seg_sim.world.strips import ASPHALT, KERBSTONE, PAVEMENT, kerbed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from any2seg_sim.materials import Paint
    from any2seg_sim.world.plan import Junction

_PIECES: Final = 10
_LAMP_M: Final = 8.9


def _turned(points: NDArray[np.float64], quarters: int) -> NDArray[np.float64]:
    """Turn points (N, 2) by quarter turns to the left."""
    for _ in range(quarters % 4):
        points = np.stack([-points[:, 1], points[:, 0]], 1)
    return points


def _arc(radius: float) -> NDArray[np.float64]:
    """Points round the corner between arms 0 and 1, from the first arm to the second."""
    turn = np.linspace(0.0, math.pi / 2, _PIECES + 1)
    return np.stack([MOUTH_M - radius * np.sin(turn), MOUTH_M - radius * np.cos(turn)], 1)


def _building_line() -> NDArray[np.float64]:
    """As many points along the fronts of the same corner."""
    share = np.linspace(-1.0, 1.0, _PIECES + 1)
    reach = MOUTH_M - FRONT_M
    return np.stack([FRONT_M + reach * np.maximum(-share, 0), FRONT_M + reach * np.maximum(share, 0)], 1)


def _between(left: NDArray[np.float64], right: NDArray[np.float64], heights: tuple[float, float], paint: Paint) -> Mesh:
    """Span a strip between two rows of points (N, 2)."""
    rows = [np.concatenate([row, np.full((len(row), 1), z)], 1) for row, z in zip((left, right), heights, strict=True)]
    return sheet(np.stack(rows, 1), np.zeros((len(left) - 1, 1), np.int64), [paint])


def corner(quarter: int) -> Mesh:
    """Build the pavement between arm `quarter` and the next one to the left."""
    kerb, inner, fronts = (_turned(row, quarter) for row in (_arc(CORNER_M), _arc(CORNER_M - 0.2), _building_line()))
    top = SIDEWALK_Z + 0.01
    return Mesh.merged(
        [
            _between(kerb, kerb, (top, 0.0), KERBSTONE),
            _between(inner, kerb, (top, top), KERBSTONE),
            _between(fronts, inner, (SIDEWALK_Z, SIDEWALK_Z), PAVEMENT),
        ]
    )


def across(arm: int) -> Path:
    """Run past the missing arm of a junction at its middle, in the junction's own frame, that side on the right."""
    x, y = _turned(np.array([(0.0, -MOUTH_M)]), arm)[0]
    return Path.of_curvature((float(x), float(y), (arm + 1) * math.pi / 2), [(0.0, 0.0), (2 * MOUTH_M, 0.0)])


def _road(arms: tuple[int, ...]) -> Mesh:
    """Span the road as a fan about the middle."""
    rim = []
    for quarter in range(4):
        here, after = quarter in arms, (quarter + 1) % 4 in arms
        if here and after:
            rim.append(_turned(_arc(CORNER_M), quarter))
        elif here:
            rim.append(_turned(np.array([(MOUTH_M, KERB_M)]), quarter))
        else:
            rim.append(_turned(np.array([(KERB_M, MOUTH_M)]), quarter))
    points = np.concatenate([np.zeros((1, 2)), *rim])
    count = len(points) - 1
    ring = np.arange(count)
    faces = np.stack([np.zeros(count, np.int64), ring + 1, (ring + 1) % count + 1], 1)
    return Mesh.painted(np.concatenate([points, np.zeros((count + 1, 1))], 1), faces, ASPHALT)


def _signals(junction: Junction) -> list[Mesh]:
    """Put lights at every mouth, green for the ego vehicle's road, and one beyond the junction for each of them."""
    parts = []
    for arm in junction.arms:
        lit = "green" if arm in (BACK, junction.way) else "red"
        turn = math.pi + arm * math.pi / 2
        reach = MOUTH_M + STOP_M
        near = [(traffic_light(lit=lit, arm=-4.4), (reach, POSTS_M)), (traffic_light(lit=lit), (reach, -POSTS_M))]
        if (arm + 2) % 4 in junction.arms:
            near.append((traffic_light(lit=lit), (-MOUTH_M - 0.6, POSTS_M)))
        for mesh, place in near:
            x, y = _turned(np.array([place]), arm)[0]
            parts.append(mesh.moved(float(x), float(y), SIDEWALK_Z, yaw=turn))
    return parts


def corner_lamps(junction: Junction) -> list[tuple[float, float, float]]:
    """Give x, y and yaw of the lamps at a junction's corners; they reach over its middle."""
    found = []
    for quarter in range(4):
        if quarter in junction.arms and (quarter + 1) % 4 in junction.arms:
            x, y = _turned(np.full((1, 2), _LAMP_M), quarter)[0]
            cos, sin = math.cos(junction.heading), math.sin(junction.heading)
            turn = junction.heading + quarter * math.pi / 2 - math.pi / 4
            found.append((junction.x + x * cos - y * sin, junction.y + x * sin + y * cos, turn))
    return found


def junction_mesh(junction: Junction) -> Mesh:
    """Build a junction between its mouths."""
    arms = junction.arms
    parts = [_road(arms), *_signals(junction)]
    parts += [corner(quarter) for quarter in range(4) if quarter in arms and (quarter + 1) % 4 in arms]
    for arm in range(4):
        if arm not in arms:
            parts.append(kerbed(across(arm), (0.0, 2 * MOUTH_M), (-KERB_M, -FRONT_M), SIDEWALK_Z))
    return Mesh.merged(parts).moved(junction.x, junction.y, yaw=junction.heading)
