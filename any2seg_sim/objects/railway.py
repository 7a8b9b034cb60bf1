# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Railway tracks, tunnel portals and bridges."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_sim.materials import Label, Paint, Surface
from any2seg_sim.mesh import Mesh
from any2seg_sim.shapes import bar, sheet, slab, slabs, tube

if TYPE_CHECKING:
    from numpy.typing import NDArray

STEEL: Final = Paint(Label.RAIL_TRACK, Surface.METAL, (0.3, 0.25, 0.21))
BALLAST: Final = Paint(Label.RAIL_TRACK, Surface.GRAVEL, (0.2, 0.17, 0.15))
_SLEEPER: Final = Paint(Label.RAIL_TRACK, Surface.PLAIN, (0.3, 0.28, 0.26))
GAUGE_M: Final = 1.435
VIADUCT_M: Final = 8.4
"""Width of a viaduct with what belongs to it."""
_DECK_Z: Final = (5.0, 6.3)
_SPAN_M: Final = 6.4


def track(length: float) -> Mesh:
    """Build a track along x, from the origin on: ballast, sleepers and rails."""
    x = np.arange(0.2, length - 0.2, 0.65)
    low = np.stack([x, np.full_like(x, -1.25), np.full_like(x, 0.05)], 1)
    parts = [bar((0, length), (-1.75, 1.75), (-0.3, 0.06), BALLAST)]
    parts.append(slabs(low, low + np.array((0.25, 2.5, 0.09)), _SLEEPER))
    for side in (-1.0, 1.0):
        middle = side * (GAUGE_M / 2 + 0.035)
        parts.append(bar((0, length), (middle - 0.035, middle + 0.035), (0.1, 0.3), STEEL))
        parts.append(bar((0, length), (middle - 0.07, middle + 0.07), (0.1, 0.17), STEEL))
    return Mesh.merged(parts)


def street_track(length: float) -> Mesh:
    """Build a track that is let into a road along x, its rails level with it."""
    groove = Paint(Label.RAIL_TRACK, Surface.PLAIN, (0.05, 0.05, 0.05))
    panels = Paint(Label.RAIL_TRACK, Surface.ASPHALT, (0.09, 0.09, 0.09))
    parts = [bar((0, length), (-1.3, 1.3), (-0.1, 0.006), panels)]
    for side in (-1.0, 1.0):
        middle = side * (GAUGE_M / 2 + 0.035)
        parts.append(bar((0, length), (middle - 0.05, middle + 0.05), (-0.1, 0.014), STEEL))
        inner = middle - side * 0.09
        parts.append(bar((0, length), (inner - 0.035, inner + 0.035), (-0.1, 0.009), groove))
    return Mesh.merged(parts)


def portal(width: float) -> Mesh:
    """Build the end of a tunnel that faces -y: a wall with two dark mouths."""
    stone = Paint(Label.WALL, Surface.BRICK, (0.36, 0.34, 0.3))
    dark = Paint(Label.WALL, Surface.PLAIN, (0.012, 0.012, 0.012))
    parts = [slab((-width / 2, width / 2), (0, 0.6), (-0.4, 5.4), stone)]
    parts.append(slab((-width / 2 - 0.15, width / 2 + 0.15), (-0.1, 0.7), (5.4, 5.75), stone))
    turn = np.linspace(0, math.pi, 13)
    for middle in (-2.0, 2.0):
        rim = np.stack([middle + 1.7 * np.cos(turn), np.full(13, -0.02), 2.9 + 1.5 * np.sin(turn)], 1)
        foot = np.stack([rim[:, 0], rim[:, 1], np.zeros(13)], 1)
        parts.append(sheet(np.stack([foot, rim], 1), np.zeros((12, 1), np.int64), [dark]))
        outer = np.stack([middle + 2.0 * np.cos(turn), np.full(13, -0.06), 2.9 + 1.8 * np.sin(turn)], 1)
        inner = rim + np.array((0, -0.04, 0))
        arch = Paint(Label.WALL, Surface.PLAIN, (0.45, 0.43, 0.4))
        parts.append(sheet(np.stack([inner, outer], 1), np.zeros((12, 1), np.int64), [arch]))
    return Mesh.merged(parts)


def _arches(length: float, paint: Paint, half: float) -> Mesh:
    """Build a viaduct's arches along y from the origin on, `half` metres to both sides of x = 0."""
    count = max(1, round(length / _SPAN_M))
    span, top = length / count, _DECK_Z[1]
    turn = np.linspace(0, math.pi, 11)
    reach = span / 2 - 0.55
    parts = []
    for index in range(count):
        middle = (index + 0.5) * span
        y, z = middle - reach * np.cos(turn), 3.2 + 1.7 * np.sin(turn)
        ends = [(middle - span / 2, y[0]), (y[-1], middle + span / 2)]
        parts += [slab((-half, half), pier, (-1.0, top), paint) for pier in ends]
        for x, flip in ((half, False), (-half, True)):
            parts.append(_strip(np.full(11, x), y, z, np.full(11, top), paint, flip=flip))
        soffit = np.stack([np.stack([np.full(11, x), y, z], 1) for x in (-half, half)], 1)
        parts.append(sheet(soffit, np.zeros((10, 1), np.int64), [paint]))
    return Mesh.merged(parts)


def _strip(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    paint: Paint,
    *,
    flip: bool,
) -> Mesh:
    rows = [np.stack([x, y, low], 1), np.stack([x, y, high], 1)]
    return sheet(np.stack(rows[::-1] if flip else rows, 1), np.zeros((len(x) - 1, 1), np.int64), [paint])


def viaduct(half_road: float, left: float, right: float) -> Mesh:
    """Build a railway bridge across a road along x, from y = -right to y = left, on brick arches beside the road."""
    brick = Paint(Label.BRIDGE, Surface.BRICK, (0.33, 0.2, 0.14))
    steel = Paint(Label.BRIDGE, Surface.METAL, (0.12, 0.22, 0.2))
    stone = Paint(Label.BRIDGE, Surface.PLAIN, (0.42, 0.4, 0.37))
    half, near = 3.6, half_road + 0.5
    parts = [_arches(left - near, brick, half).moved(y=near)]
    parts.append(_arches(right - near, brick, half).moved(yaw=math.pi, y=-near))
    parts.append(slab((-half, half), (-right, left), (_DECK_Z[1], _DECK_Z[1] + 0.25), stone))
    for side in (-1.0, 1.0):
        x = side * (half - 0.1)
        parts.append(slab((x - 0.12, x + 0.12), (-near - 0.6, near + 0.6), _DECK_Z, steel))
        ribs = np.arange(-near, near, 1.1)
        low = np.stack([np.full_like(ribs, x - 0.2), ribs, np.full_like(ribs, _DECK_Z[0])], 1)
        parts.append(slabs(low, low + np.array((0.4, 0.1, 1.3)), steel))
        parts.append(slab((x - 0.22, x + 0.22), (-near, near), (_DECK_Z[0] - 0.06, _DECK_Z[0]), steel))
        parts.append(slab((x - 0.15, x + 0.15), (-right, left), (_DECK_Z[1] + 0.25, _DECK_Z[1] + 1.0), stone))
        parts.append(slab((x - 0.03, x + 0.03), (-right, left), (_DECK_Z[1] + 1.3, _DECK_Z[1] + 1.36), steel))
        posts = np.arange(-right, left, 2.0)
        low = np.stack([np.full_like(posts, x - 0.03), posts, np.full_like(posts, _DECK_Z[1] + 0.9)], 1)
        parts.append(slabs(low, low + np.array((0.06, 0.06, 0.45)), steel))
    beams = np.arange(-near, near, 1.1)
    low = np.stack([np.full_like(beams, -half), beams, np.full_like(beams, _DECK_Z[0] + 0.5)], 1)
    parts.append(slabs(low, low + np.array((2 * half, 0.25, 0.7)), steel))
    return Mesh.merged(parts)


def footbridge(half_span: float) -> Mesh:
    """Build a footbridge across a road along x; its stairs come down beside the road within half_span."""
    concrete = Paint(Label.BRIDGE, Surface.PLAIN, (0.42, 0.41, 0.39))
    steel = Paint(Label.BRIDGE, Surface.METAL, (0.1, 0.25, 0.3))
    parts = [slab((-1.3, 1.3), (-half_span, half_span), (5.1, 5.7), concrete)]
    posts = np.arange(-half_span, half_span - 0.05, 0.35)
    for x in (-1.3, 1.3):
        parts.append(slab((x - 0.05, x + 0.05), (-half_span, half_span), (6.7, 6.8), steel))
        parts.append(slab((x - 0.08, x + 0.08), (-half_span, half_span), (5.0, 5.8), steel))
        low = np.stack([np.full_like(posts, x - 0.02), posts, np.full_like(posts, 5.7)], 1)
        parts.append(slabs(low, low + np.array((0.04, 0.05, 1.05)), steel))
    for side in (-1.0, 1.0):
        y = side * (half_span - 0.55)
        parts.append(tube((0, y, 0), (0, y, 5.2), 0.4, concrete, sides=16))
        steps = np.arange(28)
        low = np.stack([1.3 + 0.3 * steps, np.full(28, y - 0.52), 5.36 - 0.19 * steps], 1)
        parts.append(slabs(low, low + np.array((0.32, 1.04, 0.3)), concrete))
        for edge in (-0.52, 0.5):
            high = np.stack([1.3 + 0.3 * steps, np.full(28, y + edge), 5.6 - 0.19 * steps], 1)
            parts.append(slabs(high, high + np.array((0.04, 0.03, 1.0)), steel))
            parts.append(tube((1.3, y + edge, 6.65), (9.6, y + edge, 1.4), 0.04, steel, sides=6))
    return Mesh.merged(parts)
