# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Ground floors: shops with their windows, boards and awnings, and the doors of houses."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_sim.materials import Surface
from any2seg_sim.mesh import Mesh
from any2seg_sim.objects.facades import GLASS, Window, bay, of_building, own_glass, quads, upright
from any2seg_sim.shapes import slab, slabs

if TYPE_CHECKING:
    from any2seg_sim.materials import Paint
    from any2seg_sim.shapes import Vec


def ground_floor(rng: np.random.Generator, width: float, height: float, wall: Paint, *, shops: bool) -> Mesh:
    """Furnish a ground floor with shops, or with a door and windows."""
    return _shops(rng, width, height, wall) if shops else _home(rng, width, height, wall)


_SIGNS: Final = (
    (0.5, 0.05, 0.05),
    (0.05, 0.22, 0.12),
    (0.06, 0.12, 0.35),
    (0.6, 0.45, 0.1),
    (0.1, 0.1, 0.11),
    (0.3, 0.1, 0.25),
)
_LETTERS: Final = (0.8, 0.78, 0.7)


def _some(rng: np.random.Generator, colours: tuple[Vec, ...]) -> Vec:
    return colours[rng.integers(len(colours))]


def _shops(rng: np.random.Generator, width: float, height: float, wall: Paint) -> Mesh:
    """Line up shops with display windows, doors, name boards and awnings."""
    parts, x = [quads([upright((0, width), (height - 0.12, height))], wall)], 0.0
    while x < width - 0.1:
        reach = min(float(rng.uniform(4.0, 7.0)), width - x)
        reach = width - x if width - x - reach < 3.0 else reach
        parts.append(_shop(rng, reach, height - 0.12, wall).moved(x))
        x += reach
    return Mesh.merged(parts)


def _shop(rng: np.random.Generator, width: float, height: float, wall: Paint) -> Mesh:
    colour = _some(rng, _SIGNS)
    frame, door = of_building(Surface.PLAIN, (0.09, 0.09, 0.1)), of_building(Surface.WOOD, colour)
    board, letters = of_building(Surface.PLAIN, colour), of_building(Surface.PLAIN, _LETTERS)
    top, low, deep = height - 0.55, 0.5, 0.22
    parts = [quads([upright((0, 0.3), (0, height)), upright((width - 0.3, width), (0, height))], wall)]
    parts.append(slab((0.3, width - 0.3), (-0.07, 0.3), (top, height), board))
    tall = height - top - 0.3
    span = min(width - 1.4, float(rng.uniform(1.5, 3.5)))
    marks = np.arange((width - span) / 2, (width + span) / 2, 0.24)
    size = np.stack(
        [rng.uniform(0.08, 0.17, len(marks)), np.full(len(marks), 0.03), rng.uniform(0.6, 1.0, len(marks)) * tall], 1
    )
    start = np.stack([marks, np.full(len(marks), -0.095), np.full(len(marks), top + 0.15)], 1)
    parts.append(slabs(start, start + size, letters))
    parts.append(quads([[(0.3, deep, 0), (0.3, deep, top), (0.3, 0, top), (0.3, 0, 0)][::-1]], frame))
    parts.append(
        quads(
            [[(width - 0.3, 0, 0), (width - 0.3, 0, top), (width - 0.3, deep, top), (width - 0.3, deep, 0)][::-1]],
            frame,
        )
    )
    at_left = rng.random() < 0.5
    enter = 0.35 if at_left else width - 1.4
    glazed = (1.45, width - 0.35) if at_left else (0.35, width - 1.45)
    parts.append(quads([upright((0.3, width - 0.3), (0, top), deep)], frame))
    parts.append(slab((glazed[0], glazed[1]), (0.02, deep), (0, low), wall))
    count = max(1, round((glazed[1] - glazed[0]) / 1.5))
    edges = np.linspace(*glazed, count + 1)
    lights = [
        upright((float(a) + 0.04, float(b) - 0.04), (low + 0.04, top - 0.04), deep - 0.02)
        for a, b in itertools.pairwise(edges)
    ]
    lights.append(upright((enter + 0.22, enter + 0.83), (0.9, 2.0), deep - 0.05))
    parts.append(slab((enter + 0.05, enter + 1.0), (deep - 0.04, deep), (0, 2.15), door))
    parts.append(own_glass(rng, quads(lights, GLASS)))
    if rng.random() < 0.5:
        cloth = of_building(Surface.CLOTH, _some(rng, _SIGNS))
        slope: list[Vec] = [
            (0.2, -1.15, top - 0.35),
            (width - 0.2, -1.15, top - 0.35),
            (width - 0.2, -0.05, top),
            (0.2, -0.05, top),
        ]
        parts += [quads([slope], cloth), slab((0.2, width - 0.2), (-1.17, -1.14), (top - 0.52, top - 0.34), cloth)]
    return Mesh.merged(parts)


def _home(rng: np.random.Generator, width: float, height: float, wall: Paint) -> Mesh:
    """Put a door with steps between windows."""
    columns = max(1, round(width / 2.8))
    size = width / columns
    window = Window(0.42, 0.5, 0.28, (2, 1))
    cell, middle = bay(window, size, height, wall), int(rng.integers(columns))
    others = [column for column in range(columns) if column != middle]
    parts = []
    if others:
        parts.append(
            own_glass(rng, cell.repeated(np.array([(column * size, 0.0, 0.0) for column in others])), len(others))
        )
    door = bay(Window(0.42, 0.72, 0.0, (1, 1), 0.25, (0.25, 0.2, 0.15), 0.0), size, height, wall)
    panel = of_building(Surface.WOOD, _some(rng, _SIGNS))
    parts.append(own_glass(rng, door).moved(middle * size))
    x = (middle + 0.5) * size
    parts.append(slab((x - 0.19 * size, x + 0.19 * size), (0.2, 0.24), (0.0, 0.5 * height), panel))
    step = of_building(Surface.PLAIN, (0.4, 0.39, 0.37))
    parts.append(slab((x - 0.75, x + 0.75), (-0.35, 0.0), (0.0, 0.12), step))
    parts.append(slab((0.0, width), (-0.04, 0.0), (0.0, 0.45), of_building(Surface.PLAIN, (0.3, 0.29, 0.28))))
    return Mesh.merged(parts)
