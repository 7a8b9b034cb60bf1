# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Trees, bushes and hedges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_sim.materials import Label, Paint, Surface
from any2seg_sim.mesh import Mesh
from any2seg_sim.shapes import ball, slab, tube

if TYPE_CHECKING:
    from numpy.typing import NDArray

GREENS: Final = ((0.07, 0.16, 0.03), (0.1, 0.2, 0.04), (0.05, 0.12, 0.03), (0.14, 0.2, 0.04))
BARK: Final = Paint(Label.VEGETATION, Surface.PLAIN, (0.12, 0.085, 0.06))


def _foliage(rng: np.random.Generator) -> Paint:
    return Paint(Label.VEGETATION, Surface.LEAVES, GREENS[rng.integers(len(GREENS))])


def _leaves(
    rng: np.random.Generator, centre: NDArray[np.floating], radii: NDArray[np.floating], count: int, paint: Paint
) -> Mesh:
    """Scatter small triangles over an ellipsoid, so that its outline is ragged."""
    out = rng.normal(size=(count, 3))
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    middle = centre + out * radii * rng.uniform(0.92, 1.22, (count, 1))
    corners = middle[:, None] + rng.normal(0, 0.17, (count, 3, 3))
    return Mesh.painted(corners.reshape(-1, 3), np.arange(3 * count).reshape(-1, 3), paint)


def tree(rng: np.random.Generator, *, height: float = 7.5) -> Mesh:
    """Build a broad-leaved tree: trunk, branches and a crown of overlapping leafy lumps."""
    paint = _foliage(rng)
    fork = 0.34 * height
    parts = [tube((0, 0, -0.1), (0, 0, fork), 0.17, BARK, end_radius=0.12)]
    spread = 0.24 * height
    for index in range(7):
        turn = index * 2.4 + rng.uniform(-0.4, 0.4)
        away = spread * rng.uniform(0.25, 0.75) if index else 0.0
        centre = np.array([away * np.cos(turn), away * np.sin(turn), fork + height * rng.uniform(0.18, 0.5)])
        radii = spread * rng.uniform(0.5, 0.78, 3) * np.array([1, 1, 0.85])
        parts.append(tube((0, 0, fork - 0.1), tuple(centre), 0.07, BARK, end_radius=0.03, sides=5))
        parts.append(ball(tuple(centre), tuple(0.95 * radii), paint, level=2))
        parts.append(_leaves(rng, centre, radii, 150, paint))
    return Mesh.merged(parts)


def bush(rng: np.random.Generator, *, size: float = 0.7) -> Mesh:
    """Build a round bush."""
    paint = _foliage(rng)
    parts = []
    for _ in range(3):
        centre = np.array([rng.uniform(-0.4, 0.4), rng.uniform(-0.4, 0.4), 0.6]) * size
        radii = size * rng.uniform(0.55, 0.8, 3)
        parts += [ball(tuple(centre), tuple(radii), paint, level=1), _leaves(rng, centre, radii, 60, paint)]
    return Mesh.merged(parts)


def hedge(rng: np.random.Generator, length: float, *, height: float = 1.3) -> Mesh:
    """Build a clipped hedge along x, from the origin on."""
    paint = _foliage(rng)
    count = int(60 * length)
    middle = rng.uniform((0, -0.4, 0.1), (length, 0.4, height + 0.08), (count, 3))
    corners = middle[:, None] + rng.normal(0, 0.06, (count, 3, 3))
    tufts = Mesh.painted(corners.reshape(-1, 3), np.arange(3 * count).reshape(-1, 3), paint)
    return Mesh.merged([slab((0, length), (-0.36, 0.36), (0, height), paint), tufts])
