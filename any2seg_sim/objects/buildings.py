# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Buildings, sheds and a footbridge."""

from __future__ import annotations

from typing import Final

import numpy as np

from any2seg_sim.materials import Label, Paint, Surface
from any2seg_sim.mesh import Mesh
from any2seg_sim.shapes import panel, slab, tube

WINDOW_PITCH_M: Final = 3.0
FLOOR_M: Final = 3.2
PLASTERS: Final = (
    (0.62, 0.52, 0.36),
    (0.6, 0.58, 0.54),
    (0.52, 0.36, 0.28),
    (0.42, 0.47, 0.5),
    (0.66, 0.6, 0.45),
    (0.5, 0.5, 0.4),
)
BRICKS: Final = ((0.34, 0.14, 0.09), (0.4, 0.24, 0.16), (0.28, 0.17, 0.13))
AWNINGS: Final = ((0.5, 0.05, 0.05), (0.05, 0.22, 0.12), (0.06, 0.12, 0.35), (0.6, 0.45, 0.1))


def _paint(surface: Surface, rgb: tuple[float, float, float]) -> Paint:
    return Paint(Label.BUILDING, surface, rgb)


def _gable(width: float, depth: float, eaves: float, paint: Paint, gable: Paint) -> Mesh:
    ridge = eaves + 0.32 * depth
    over = 0.35
    slopes = [
        panel(
            [
                (-over, -over, eaves),
                (width + over, -over, eaves),
                (width + over, depth / 2, ridge),
                (-over, depth / 2, ridge),
            ],
            paint,
        ),
        panel(
            [
                (width + over, depth + over, eaves),
                (-over, depth + over, eaves),
                (-over, depth / 2, ridge),
                (width + over, depth / 2, ridge),
            ],
            paint,
        ),
        panel([(0, depth, eaves), (0, 0, eaves), (0, depth / 2, ridge)], gable),
        panel([(width, 0, eaves), (width, depth, eaves), (width, depth / 2, ridge)], gable),
    ]
    return Mesh.merged(slopes)


def _shop_front(rng: np.random.Generator, width: float) -> list[Mesh]:
    """Furnish the ground floor: display windows, a door and awnings, all facing -y."""
    glass = _paint(Surface.GLASS, (0.04, 0.045, 0.05))
    frame = _paint(Surface.PLAIN, (0.1, 0.1, 0.11))
    door = _paint(Surface.PLAIN, AWNINGS[rng.integers(len(AWNINGS))])
    parts = [slab((0, width), (-0.06, 0.1), (2.85, 3.15), _paint(Surface.PLAIN, (0.5, 0.48, 0.45)))]
    for x in np.arange(0, width - 1, WINDOW_PITCH_M):
        if rng.random() < 0.3:
            parts += [
                slab((x + 0.95, x + 2.05), (-0.05, 0.1), (0, 2.3), door),
                slab((x + 0.8, x + 2.2), (-0.03, 0.1), (0, 2.45), frame),
            ]
            continue
        parts += [slab((x + 0.25, x + 2.75), (-0.03, 0.1), (0.45, 2.55), frame)]
        parts += [slab((x + s, x + s + 1.12), (-0.04, 0.1), (0.55, 2.45), glass) for s in (0.33, 1.55)]
    if rng.random() < 0.6:
        awning = _paint(Surface.PLAIN, AWNINGS[rng.integers(len(AWNINGS))])
        slope = [(0.3, -1.2, 2.45), (width - 0.3, -1.2, 2.45), (width - 0.3, 0, 2.85), (0.3, 0, 2.85)]
        parts.append(panel(slope, awning))
        parts.append(slab((0.3, width - 0.3), (-1.22, -1.19), (2.25, 2.46), awning))
    return parts


def building(rng: np.random.Generator, columns: int, floors: int, *, depth_columns: int = 4) -> Mesh:
    """Build a house whose front is on y = 0 and faces -y, from x = 0 to columns * WINDOW_PITCH_M.

    Place it at multiples of WINDOW_PITCH_M: the facade texture draws the windows in world coordinates.
    """
    width, depth, height = columns * WINDOW_PITCH_M, depth_columns * WINDOW_PITCH_M, floors * FLOOR_M
    brick = rng.random() < 0.4
    palette = BRICKS if brick else PLASTERS
    rgb = palette[rng.integers(len(palette))]
    facade = _paint(Surface.BRICK_FACADE if brick else Surface.PLASTER_FACADE, rgb)
    trim = _paint(Surface.PLAIN, (0.55, 0.53, 0.5))
    parts = [slab((0, width), (0, depth), (-0.3, height), facade), *_shop_front(rng, width)]
    parts += [slab((0, width), (-0.05, 0.05), (z - 0.08, z + 0.04), trim) for z in np.arange(2, floors) * FLOOR_M]
    if rng.random() < 0.5:
        roof = _paint(Surface.ROOF_TILES, (0.3, 0.11, 0.07) if rng.random() < 0.6 else (0.1, 0.1, 0.11))
        parts.append(_gable(width, depth, height, roof, _paint(Surface.PLAIN, rgb)))
        parts.append(slab((1, 1.7), (depth * 0.3, depth * 0.3 + 0.7), (height, height + 0.36 * depth), facade))
    else:
        parts.append(slab((-0.1, width + 0.1), (-0.15, depth), (height - 0.15, height + 0.5), trim))
        parts.append(slab((2, 4), (3, 6), (height, height + 2.2), _paint(Surface.PLAIN, (0.4, 0.4, 0.4))))
    balconies = rng.random() < 0.5
    for floor in range(1, floors):
        for column in range(columns):
            if balconies and (floor + column) % 2:
                parts += _balcony(column * WINDOW_PITCH_M, floor * FLOOR_M)
    return Mesh.merged(parts)


def _balcony(x: float, z: float) -> list[Mesh]:
    stone, iron = _paint(Surface.PLAIN, (0.45, 0.44, 0.42)), _paint(Surface.PLAIN, (0.06, 0.06, 0.065))
    parts = [slab((x + 0.4, x + 2.6), (-0.9, 0), (z + 0.1, z + 0.22), stone)]
    parts.append(slab((x + 0.4, x + 2.6), (-0.9, -0.86), (z + 1.1, z + 1.16), iron))
    parts += [slab((b, b + 0.05), (-0.9, -0.86), (z + 0.2, z + 1.1), iron) for b in np.arange(x + 0.4, x + 2.6, 0.27)]
    return parts


def footbridge(half_span: float) -> Mesh:
    """Build a footbridge across the road, from y = -half_span to +half_span."""
    concrete = Paint(Label.BRIDGE, Surface.PLAIN, (0.42, 0.41, 0.39))
    steel = Paint(Label.BRIDGE, Surface.PLAIN, (0.1, 0.25, 0.3))
    parts = [slab((-1.3, 1.3), (-half_span, half_span), (5.2, 5.8), concrete)]
    for x in (-1.3, 1.3):
        parts.append(slab((x - 0.04, x + 0.04), (-half_span, half_span), (6.75, 6.85), steel))
        bars = np.arange(-half_span, half_span, 0.6)
        parts += [slab((x - 0.03, x + 0.03), (y, y + 0.06), (5.8, 6.8), steel) for y in bars]
    for side in (-1, 1):
        parts.append(
            tube((0, side * (half_span - 0.8), 0), (0, side * (half_span - 0.8), 5.3), 0.45, concrete, sides=16)
        )
    return Mesh.merged(parts)
