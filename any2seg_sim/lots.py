# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The lots beside the road: terraces, gardens, a park with a pond, a plaza, walls, a railway.

Every lot is built for the left side: its front is on y = FRONT_M, it runs from x = 0 to its length, and it
reaches away from the road. The street turns it round for the right side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_sim.materials import Label, Paint, Surface
from any2seg_sim.mesh import Mesh
from any2seg_sim.objects.buildings import WINDOW_PITCH_M, building
from any2seg_sim.objects.furniture import bench, fence, guard_rail, kiosk, wall
from any2seg_sim.objects.plants import bush, hedge, tree
from any2seg_sim.shapes import disc, slab

if TYPE_CHECKING:
    from collections.abc import Callable

FRONT_M: Final = 9.0
"""Distance of the building line from the middle of the road; a multiple of the window pitch."""
DEPTH_M: Final = 30.0
RAILWAY_M: Final = 6.0
GRASS: Final = Paint(Label.TERRAIN, Surface.GRASS, (0.1, 0.17, 0.04))
FLAGSTONES: Final = Paint(Label.GROUND, Surface.PAVING, (0.4, 0.35, 0.3))
SIDEWALK_Z: Final = 0.15


def _ground(length: float, paint: Paint) -> Mesh:
    return slab((0, length), (FRONT_M, FRONT_M + DEPTH_M), (-0.4, SIDEWALK_Z), paint)


def _at(mesh: Mesh, x: float, beyond_front: float) -> Mesh:
    return mesh.moved(x, FRONT_M + beyond_front, SIDEWALK_Z)


def terrace(rng: np.random.Generator) -> tuple[float, Mesh]:
    """Build two or three houses wall to wall."""
    parts, x = [], 0.0
    for _ in range(rng.integers(2, 4)):
        columns, floors = int(rng.integers(3, 7)), int(rng.integers(2, 6))
        parts.append(_at(building(rng, columns, floors), x, 0))
        x += columns * WINDOW_PITCH_M
    return x, Mesh.merged([*parts, _ground(x, GRASS)])


def garden(rng: np.random.Generator) -> tuple[float, Mesh]:
    """Build a detached house behind a fence."""
    length = 21.0
    parts = [_ground(length, GRASS), _at(fence(length), 0, 0.5), _at(building(rng, 4, 2, depth_columns=3), 3, 6)]
    parts += [_at(tree(rng, height=rng.uniform(5, 7)), 17.5, 3.5)]
    parts += [_at(bush(rng), rng.uniform(1, 16), rng.uniform(1.8, 4.5)) for _ in range(4)]
    return length, Mesh.merged(parts)


def park(rng: np.random.Generator) -> tuple[float, Mesh]:
    """Build a lawn with a pond, trees and a bench."""
    length = 27.0
    pond = Paint(Label.WATER, Surface.WATER, (0.03, 0.06, 0.07))
    rim = Paint(Label.STATIC, Surface.PLAIN, (0.4, 0.39, 0.36))
    parts = [_ground(length, GRASS), _at(bench(), 3, 1.2)]
    parts += [_at(disc((0, 0, 0.02), (0, 0, 1), 4.6, rim, sides=28, thickness=0.1), 13, 5.6)]
    parts += [_at(disc((0, 0, 0.05), (0, 0, 1), 4.3, pond, sides=28, thickness=0.06), 13, 5.6)]
    places = ((3.0, 5.0), (7.0, 12.0), (14.0, 13.5), (22.0, 3.0), (20.0, 11.0), (25.0, 14.0))
    parts += [_at(tree(rng, height=rng.uniform(6, 10)), x, y) for x, y in places]
    return length, Mesh.merged(parts + [_at(bush(rng), x, 1.2) for x in (20.0, 23.5, 25.5)])


def walled(rng: np.random.Generator) -> tuple[float, Mesh]:
    """Build a brick wall with trees looking over it."""
    length = 18.0
    parts = [_ground(length, GRASS), _at(wall(length), 0, 0.3)]
    parts += [_at(tree(rng, height=rng.uniform(6, 9)), x, rng.uniform(3, 6)) for x in (3.0, 9.0, 15.0)]
    return length, Mesh.merged(parts)


def plaza(rng: np.random.Generator) -> tuple[float, Mesh]:
    """Build a paved square with an advertising column, benches and a building behind."""
    length = 24.0
    parts = [_ground(length, FLAGSTONES), _at(kiosk(), 6, 1.6), _at(bench(), 12, 3), _at(bench(), 16, 3)]
    parts += [_at(building(rng, 8, int(rng.integers(3, 5))), 0, 12)]
    return length, Mesh.merged(parts + [_at(tree(rng, height=5.5), x, 6) for x in (3.0, 10.0, 20.0)])


def slope(rng: np.random.Generator) -> tuple[float, Mesh]:
    """Build rough ground behind a crash barrier."""
    length = 18.0
    parts = [_ground(length, GRASS), _at(guard_rail(length), 0, 0.2)]
    parts += [_at(bush(rng, size=rng.uniform(0.6, 1.2)), rng.uniform(1, 17), rng.uniform(2, 9)) for _ in range(9)]
    return length, Mesh.merged(parts + [_at(tree(rng), x, 9) for x in (4.0, 12.0)])


def lawn(rng: np.random.Generator, length: float) -> tuple[float, Mesh]:
    """Build a lawn behind a hedge, as long as asked for."""
    parts = [_ground(length, GRASS), _at(hedge(rng, length), 0, 0.5)]
    return length, Mesh.merged(parts + [_at(tree(rng), x, 4) for x in np.arange(2.0, length - 1.0, 7.0)])


def railway(rng: np.random.Generator) -> Mesh:
    """Build a single track, RAILWAY_M wide, that comes up to the road."""
    ballast = Paint(Label.RAIL_TRACK, Surface.ASPHALT, (0.2, 0.17, 0.15))
    sleeper = Paint(Label.RAIL_TRACK, Surface.PLAIN, (0.3, 0.28, 0.26))
    steel = Paint(Label.RAIL_TRACK, Surface.PLAIN, (0.3, 0.24, 0.2))
    ends = (FRONT_M, FRONT_M + DEPTH_M)
    parts = [slab((0, RAILWAY_M), ends, (-0.4, 0.02), ballast)]
    parts += [slab((1.7, 4.3), (y, y + 0.26), (0, 0.1), sleeper) for y in np.arange(ends[0] + 0.3, ends[1], 0.65)]
    parts += [slab((x, x + 0.08), ends, (0, 0.22), steel) for x in (2.25, 3.67)]
    return Mesh.merged([*parts, _at(bush(rng), 0.3, 4), _at(bush(rng), 5.7, 8)])


LOTS: Final[dict[str, Callable[[np.random.Generator], tuple[float, Mesh]]]] = {
    "terrace": terrace,
    "garden": garden,
    "park": park,
    "walled": walled,
    "plaza": plaza,
    "slope": slope,
}


def dealt(rng: np.random.Generator) -> tuple[list[str], list[str]]:
    """Deal the names of the lots for both sides of a street, last one first.

    Between the terraces near the start each other kind comes once, on one side or the other, so that no street
    lacks a class.
    """
    special = [name for name in rng.permutation(list(LOTS)) if name != "terrace"]
    first, second = (["terrace", *special[2:], "terrace"], ["terrace", special[0], "terrace", special[1]])
    if rng.random() < 0.5:
        first, second = second, first
    return first[::-1], second[::-1]
