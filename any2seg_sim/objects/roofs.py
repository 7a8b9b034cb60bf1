# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Roofs of buildings; sizes are width, depth and the height on which the roof lies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from any2seg_sim.materials import Surface
from any2seg_sim.mesh import Mesh
from any2seg_sim.objects.facades import of_building
from any2seg_sim.shapes import panel, slab, tube

if TYPE_CHECKING:
    import numpy as np

    from any2seg_sim.materials import Paint
    from any2seg_sim.shapes import Vec


def flat_roof(rng: np.random.Generator, size: Vec) -> Mesh:
    """Cover a building with a parapet, a lift house and what hums on roofs."""
    width, depth, z = size
    trim, grey = of_building(Surface.PLAIN, (0.5, 0.48, 0.46)), of_building(Surface.METAL, (0.4, 0.4, 0.4))
    parts = [slab((-0.12, width + 0.12), (-0.15, depth), (z - 0.1, z + 0.55), trim)]
    if width > 7.0 and depth > 6.0:
        x, y = float(rng.uniform(1.0, width - 4.5)), float(rng.uniform(1.0, depth - 4.0))
        parts.append(slab((x, x + 3.0), (y, y + 3.0), (z, z + 2.6), grey))
        parts.append(tube((x + 0.5, y + 0.5, z), (x + 0.5, y + 0.5, z + 4.8), 0.03, grey, sides=5))
    return Mesh.merged(parts)


def gable_roof(rng: np.random.Generator, size: Vec, tiles: Paint, wall: Paint) -> Mesh:
    """Cover a building with a roof whose ridge runs along the street, with a chimney."""
    width, depth, z = size
    ridge, over, side = z + 0.34 * depth, 0.4, 0.05
    low = z - 0.34 * 2 * over
    front = [
        (-side, -over, low),
        (width + side, -over, low),
        (width + side, depth / 2, ridge),
        (-side, depth / 2, ridge),
    ]
    back = [(width + side, depth + over, low), (-side, depth + over, low), *front[:1:-1]]
    x = float(rng.uniform(0.6, width - 1.4))
    chimney, gutter = of_building(Surface.BRICK, (0.33, 0.15, 0.1)), of_building(Surface.METAL, (0.3, 0.3, 0.3))
    return Mesh.merged(
        [
            panel(front, tiles),
            panel([back[0], back[1], front[3], front[2]], tiles),
            panel([(0, depth, z), (0, 0, z), (0, depth / 2, ridge)], wall),
            panel([(width, 0, z), (width, depth, z), (width, depth / 2, ridge)], wall),
            slab((x, x + 0.75), (depth * 0.3, depth * 0.3 + 0.6), (z, ridge + 0.9), chimney),
            slab((-side, width + side), (-over - 0.1, -over + 0.02), (low - 0.08, low + 0.05), gutter),
        ]
    )


def street_gable(size: Vec, tiles: Paint, wall: Paint) -> Mesh:
    """Cover a building with a roof whose gable looks at the street, with a window in it."""
    width, depth, z = size
    ridge, over = z + 0.55 * width, 0.25
    low = z - 1.1 * over
    glass, frame = of_building(Surface.GLASS, (0.03, 0.035, 0.04)), of_building(Surface.PLAIN, (0.6, 0.6, 0.58))
    middle, sill = width / 2, z + 0.12 * width
    return Mesh.merged(
        [
            panel([(0, 0, z), (width, 0, z), (middle, 0, ridge)], wall),
            panel([(width, depth, z), (0, depth, z), (middle, depth, ridge)], wall),
            panel([(-over, depth, low), (-over, -0.2, low), (middle, -0.2, ridge), (middle, depth, ridge)], tiles),
            panel(
                [(width + over, -0.2, low), (width + over, depth, low), (middle, depth, ridge), (middle, -0.2, ridge)],
                tiles,
            ),
            slab((middle - 0.5, middle + 0.5), (-0.05, 0.02), (sill, sill + 1.25), frame),
            slab((middle - 0.42, middle + 0.42), (-0.06, 0.0), (sill + 0.08, sill + 1.17), glass),
        ]
    )
