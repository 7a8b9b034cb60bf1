# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Buildings of several styles; every front is on y = 0 and faces -y, from x = 0 on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_sim.materials import Paint, Surface
from any2seg_sim.mesh import Mesh
from any2seg_sim.objects.facades import Window, balcony, bay, of_building, quads, storeys, upright
from any2seg_sim.objects.roofs import flat_roof, gable_roof, street_gable
from any2seg_sim.objects.shops import ground_floor
from any2seg_sim.shapes import slab

if TYPE_CHECKING:
    from any2seg_sim.shapes import Vec


@dataclass(frozen=True)
class Style:
    """How a kind of building looks.

    Attributes:
        walls: kind of wall and its colours.
        windows: one of them is chosen.
        bay_m: width of a bay, about.
        floor_m: height of a floor.
        roofs: one of gable, street_gable and flat is chosen.
        shops: share of ground floors that are shops.
        balconies: share of buildings that have some.
        bands: ledges run along the floors.
    """

    walls: tuple[Surface, tuple[Vec, ...]]
    windows: tuple[Window, ...]
    bay_m: float
    floor_m: float
    roofs: tuple[str, ...]
    shops: float
    balconies: float = 0.0
    bands: bool = False


_PLASTERS: Final = (
    (0.62, 0.52, 0.36),
    (0.6, 0.58, 0.54),
    (0.52, 0.36, 0.28),
    (0.42, 0.47, 0.5),
    (0.66, 0.6, 0.45),
    (0.5, 0.5, 0.4),
    (0.58, 0.44, 0.4),
    (0.7, 0.68, 0.62),
)
_BRICKS: Final = ((0.34, 0.14, 0.09), (0.4, 0.24, 0.16), (0.28, 0.17, 0.13), (0.45, 0.33, 0.22))
_BRIGHT: Final = ((0.6, 0.3, 0.2), (0.25, 0.42, 0.45), (0.65, 0.5, 0.2), (0.5, 0.55, 0.4), (0.62, 0.55, 0.58))
_STONE: Final = (0.5, 0.48, 0.44)
_DARK: Final = (0.06, 0.065, 0.07)

STYLES: Final = {
    "plaster": Style(
        (Surface.PLASTER, _PLASTERS),
        (Window(0.4, 0.5, 0.27, (2, 1)), Window(0.36, 0.55, 0.24, (2, 1), shutters=(0.1, 0.2, 0.14))),
        2.9,
        3.1,
        ("gable", "flat"),
        0.7,
        0.5,
        bands=True,
    ),
    "brick": Style(
        (Surface.BRICK, _BRICKS),
        (
            Window(0.42, 0.52, 0.26, (2, 2), lintel=_STONE),
            Window(0.4, 0.56, 0.22, (1, 2), frame=(0.2, 0.22, 0.2), lintel=_STONE),
        ),
        2.8,
        3.2,
        ("gable", "flat"),
        0.6,
    ),
    "office": Style(
        (Surface.METAL, ((0.3, 0.31, 0.33), (0.12, 0.15, 0.2), (0.42, 0.42, 0.4), (0.2, 0.24, 0.22))),
        (Window(0.94, 0.68, 0.24, (2, 1), 0.06, _DARK, 0.0), Window(0.9, 0.6, 0.3, (3, 1), 0.06, _DARK, 0.0)),
        3.2,
        3.5,
        ("flat",),
        0.5,
    ),
    "modern": Style(
        (Surface.PLASTER, ((0.68, 0.68, 0.66), (0.5, 0.5, 0.5), (0.6, 0.56, 0.5), (0.3, 0.32, 0.34))),
        (Window(0.62, 0.62, 0.16, (3, 1), 0.12, _DARK, 0.04), Window(0.5, 0.72, 0.06, (2, 1), 0.12, _DARK, 0.0)),
        3.6,
        3.0,
        ("flat",),
        0.35,
        0.85,
    ),
    "gabled": Style(
        (Surface.PLASTER, _BRIGHT),
        (Window(0.44, 0.58, 0.22, (2, 2)), Window(0.4, 0.6, 0.2, (1, 2), shutters=(0.2, 0.1, 0.06))),
        2.3,
        3.1,
        ("street_gable",),
        0.5,
    ),
    "villa": Style(
        (Surface.PLASTER, (*_PLASTERS[:2], (0.7, 0.68, 0.62), (0.6, 0.5, 0.42))),
        (Window(0.4, 0.46, 0.3, (2, 1)), Window(0.4, 0.46, 0.3, (2, 1), shutters=(0.08, 0.16, 0.24))),
        3.0,
        2.9,
        ("gable",),
        0.0,
    ),
}


def building(
    rng: np.random.Generator, style: str, width: float, floors: int, *, depth: float = 11.0, open_sides: bool = False
) -> Mesh:
    """Build a house of one of STYLES.

    Args:
        rng: draws colours and details.
        style: name.
        width: of the front, metres.
        floors: the ground floor counts.
        depth: metres.
        open_sides: put windows on the sides and the back; without, they are bare, as where houses adjoin.
    """
    look = STYLES[style]
    surface, colours = look.walls
    wall = of_building(surface, colours[rng.integers(len(colours))])
    window = look.windows[rng.integers(len(look.windows))]
    base = look.floor_m + 0.5
    shops = bool(rng.random() < look.shops)
    top = base + (floors - 1) * look.floor_m
    columns, deep = max(1, round(width / look.bay_m)), max(1, round(depth / look.bay_m))
    cell = bay(window, width / columns, look.floor_m, wall)
    parts = [ground_floor(rng, width, base, wall, shops=shops)]
    if floors > 1:
        parts.append(storeys(rng, cell, width / columns, look.floor_m, columns, (0, floors - 1), base))
    side_cell = bay(window, depth / deep, look.floor_m, wall)
    for x, y, reach, turns in ((0.0, depth, depth, -1), (width, 0.0, depth, 1), (width, depth, width, 2)):
        bare = not open_sides or floors < 2
        high = top if bare else base
        rows = [quads([upright((0, reach), (-0.3, high))], wall)]
        if not bare:
            number, size = (columns, cell) if turns == 2 else (deep, side_cell)
            rows.append(storeys(rng, size, reach / number, look.floor_m, number, (0, floors - 1), base))
        parts.append(Mesh.merged(rows).moved(x, y, yaw=turns * math.pi / 2))
    parts += _ornament(rng, look, width, floors, base, columns)
    parts.append(_roof(rng, look.roofs[rng.integers(len(look.roofs))], (width, depth, top), wall))
    return Mesh.merged(parts)


def _ornament(
    rng: np.random.Generator, look: Style, width: float, floors: int, base: float, columns: int
) -> list[Mesh]:
    """Add ledges between floors and balconies."""
    trim = of_building(Surface.PLAIN, (0.55, 0.53, 0.5))
    parts = [slab((0, width), (-0.07, 0.02), (base - 0.12, base + 0.05), trim)]
    if look.bands:
        heights = base + look.floor_m * np.arange(1, floors - 1)
        parts += [slab((0, width), (-0.04, 0.02), (z - 0.06, z + 0.04), trim) for z in heights]
    if rng.random() >= look.balconies:
        return parts
    size, glazed, odd = width / columns, look.floor_m <= 3.0, int(rng.integers(2))
    one = balcony(min(0.9 * size, 3.0), glazed=glazed)
    shift = (size - min(0.9 * size, 3.0)) / 2
    places = [
        (column * size + shift, 0.0, base + floor * look.floor_m + 0.02)
        for floor in range(floors - 1)
        for column in range(columns)
        if (column + floor * (not glazed) + odd) % 2 == 0
    ]
    return [*parts, one.repeated(np.array(places))] if places else parts


def _roof(rng: np.random.Generator, kind: str, size: Vec, wall: Paint) -> Mesh:
    tiles = of_building(Surface.ROOF_TILES, ((0.3, 0.11, 0.07), (0.1, 0.1, 0.11), (0.24, 0.14, 0.1))[rng.integers(3)])
    if kind == "flat":
        return flat_roof(rng, size)
    return gable_roof(rng, size, tiles, wall) if kind == "gable" else street_gable(size, tiles, wall)


def warehouse(rng: np.random.Generator, width: float) -> Mesh:
    """Build a low hall of sheet metal with roller doors."""
    rgb = ((0.35, 0.38, 0.4), (0.12, 0.22, 0.3), (0.45, 0.42, 0.36))[rng.integers(3)]
    sheet, dark = of_building(Surface.METAL, rgb), of_building(Surface.METAL, tuple(0.6 * value for value in rgb))  # type: ignore[arg-type]
    door, height = of_building(Surface.METAL, (0.5, 0.5, 0.5)), 5.2
    parts = [slab((0, width), (0, 12.0), (-0.3, height), sheet)]
    parts += [slab((x, x + 0.12), (-0.06, 0), (0, height), dark) for x in np.arange(0.2, width - 0.2, 0.6)]
    parts += [slab((x, x + 3.4), (-0.1, 0), (0, 3.6), door) for x in np.arange(1.0, width - 4.0, 5.2)]
    parts += [
        slab((x, x + 3.4), (-0.12, -0.1), (z, z + 0.04), dark)
        for x in np.arange(1.0, width - 4.0, 5.2)
        for z in np.arange(0.4, 3.6, 0.4)
    ]
    return Mesh.merged([*parts, slab((-0.15, width + 0.15), (-0.25, 12.1), (height, height + 0.35), dark)])


def church(rng: np.random.Generator) -> Mesh:
    """Build a church with a tower, 12 m wide and 13 m deep."""
    stone = of_building(Surface.BRICK, ((0.42, 0.36, 0.28), (0.36, 0.17, 0.11))[rng.integers(2)])
    slate = of_building(Surface.ROOF_TILES, (0.09, 0.1, 0.11))
    wood = of_building(Surface.WOOD, (0.16, 0.08, 0.04))
    tall = bay(Window(0.3, 0.62, 0.2, (1, 3), 0.3, (0.2, 0.2, 0.2)), 2.5, 7.0, stone)
    nave = [
        slab((0, 12), (1.5, 13.0), (-0.3, 7.0), stone),
        gable_roof(rng, (12.0, 11.5, 7.0), slate, stone).moved(y=1.5),
    ]
    nave += [tall.moved(x, 1.5 - 0.4) for x in (0.6, 8.9)]
    tower = [slab((4.0, 8.0), (0, 4.0), (-0.3, 15.0), stone), slab((5.2, 6.8), (-0.05, 0.1), (0, 3.0), wood)]
    tower += [slab((3.85, 8.15), (-0.15, 4.15), (z, z + 0.25), stone) for z in (5.0, 10.0, 14.8)]
    dark = of_building(Surface.PLAIN, (0.03, 0.03, 0.03))
    tower += [slab((x, x + 0.6), (-0.04, 0.1), (11.0, 13.8), dark) for x in (4.8, 6.6)]
    tip, rim = (6.0, 2.0, 23.0), [(3.9, -0.1, 15.05), (8.1, -0.1, 15.05), (8.1, 4.1, 15.05), (3.9, 4.1, 15.05)]
    faces = np.array([(0, 1, 4), (1, 2, 4), (2, 3, 4), (3, 0, 4)])
    points = np.array([*rim, tip])[faces].reshape(-1, 3)
    tower.append(Mesh.painted(points, np.arange(12).reshape(-1, 3), slate))
    return Mesh.merged([*nave, *tower])
