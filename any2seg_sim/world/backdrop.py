# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What is seen behind the lots: other houses, trees, hills at the horizon."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_sim.materials import Label, Paint, Surface
from any2seg_sim.mesh import Mesh
from any2seg_sim.shapes import panel, slab
from any2seg_sim.world.measures import BACK_M, BASE_Z

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from any2seg_sim.world.plan import Plan
    from any2seg_sim.world.stock import Stock

_FAR_M: Final = 420.0
_PITCH_M: Final = 17.0
_DEEPEST_M: Final = 78.0
_HILLS: Final = Paint(Label.TERRAIN, Surface.GRASS, (0.09, 0.13, 0.06))
_WALLS: Final = ((0.55, 0.5, 0.42), (0.5, 0.48, 0.46), (0.42, 0.36, 0.33), (0.46, 0.48, 0.5), (0.6, 0.56, 0.48))


def _block(rng: np.random.Generator) -> Mesh:
    """Build a plain house about the origin; its windows are drawn by the facade's material."""
    surface = (Surface.PLASTER_FACADE, Surface.BRICK_FACADE)[rng.integers(2)]
    paint = Paint(Label.BUILDING, surface, _WALLS[rng.integers(len(_WALLS))])
    roof = Paint(Label.BUILDING, Surface.ROOF_TILES, ((0.28, 0.12, 0.08), (0.12, 0.12, 0.13))[rng.integers(2)])
    wide, deep, top = float(rng.uniform(5.0, 7.0)), float(rng.uniform(4.5, 5.5)), 3.2 * float(rng.integers(3, 9))
    parts = [slab((-wide, wide), (-deep, deep), (BASE_Z - 0.2, top), paint)]
    if rng.random() < 0.6:
        ridge = top + 3.0
        corners = [(-wide, -deep, top), (wide, -deep, top), (wide, 0.0, ridge), (-wide, 0.0, ridge)]
        back = [(wide, deep, top), (-wide, deep, top), (-wide, 0.0, ridge), (wide, 0.0, ridge)]
        parts += [panel(corners, roof), panel(back, roof)]
        parts += [
            panel([(x, deep, top), (x, -deep, top), (x, 0.0, ridge)], Paint(Label.BUILDING, Surface.PLAIN, paint.rgb))
            for x in (-wide, wide)
        ]
    return Mesh.merged(parts)


def _hills(rng: np.random.Generator, centre: NDArray[np.float64], radius: float) -> Mesh:
    """Raise hills round everything, so that the horizon is never bare."""
    turn = np.linspace(0.0, 2 * math.pi, 49)[:-1]
    heights = 9.0 + 5.0 * np.sin(2 * turn + rng.uniform(0, 6)) + 4.0 * np.sin(5 * turn + rng.uniform(0, 6))
    rows = []
    for reach, share in ((radius, 0.0), (radius + 55.0, 0.75), (radius + 120.0, 1.0), (radius + 260.0, 0.6)):
        z = BASE_Z - 0.3 + share * heights
        rows.append(np.stack([centre[0] + reach * np.cos(turn), centre[1] + reach * np.sin(turn), z], 1))
    points = np.concatenate(rows)
    faces = []
    for row in range(len(rows) - 1):
        here = row * 48 + np.arange(48)
        after = row * 48 + (np.arange(48) + 1) % 48
        faces += [np.stack([here, here + 48, after], 1), np.stack([after, here + 48, after + 48], 1)]
    return Mesh.painted(points, np.concatenate(faces), _HILLS)


def backdrop(rng: np.random.Generator, plan: Plan, stock: Stock, avoid: NDArray[np.float64]) -> Mesh:
    """Build the land around, houses and trees behind the lots, and hills.

    Args:
        rng: draws what stands where.
        plan: streets to keep clear of.
        stock: trees.
        avoid: (N, 2) places to stay 14 m away from.
    """
    middles = np.concatenate([street.path.xy[::20] for street in plan.streets])
    low, high = np.min(middles, 0), np.max(middles, 0)
    centre = (low + high) / 2
    radius = float(np.max(np.hypot(*(middles - centre).T))) + 105.0
    x, y = centre
    plain = [(x - _FAR_M, y - _FAR_M), (x + _FAR_M, y - _FAR_M), (x + _FAR_M, y + _FAR_M), (x - _FAR_M, y + _FAR_M)]
    grass = Paint(Label.TERRAIN, Surface.GRASS, (0.1, 0.16, 0.05))
    parts = [panel([(float(a), float(b), BASE_Z) for a, b in plain], grass), _hills(rng, centre, radius)]
    columns, rows = (np.arange(low[axis] - _DEEPEST_M, high[axis] + _DEEPEST_M, _PITCH_M) for axis in range(2))
    grid = np.stack(np.meshgrid(columns, rows), -1).reshape(-1, 2) + rng.uniform(
        -3.0, 3.0, (len(columns) * len(rows), 2)
    )
    away = plan.clearance(grid)
    for (east, north), distance in zip(grid, away, strict=True):
        chance, turn = float(rng.random()), float(rng.uniform(0, 2 * math.pi))
        near = len(avoid) and np.min(np.hypot(avoid[:, 0] - east, avoid[:, 1] - north)) < 14.0
        if near or distance > _DEEPEST_M or distance < BACK_M + 3.0:
            continue
        if chance < 0.45 and distance > BACK_M + 9.0:
            parts.append(_block(rng).moved(float(east), float(north), yaw=turn))
        elif chance < 0.85:
            parts.append(stock.far_tree(rng).moved(float(east), float(north), BASE_Z))
    return Mesh.merged(parts)
