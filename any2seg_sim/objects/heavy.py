# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Buses and trucks; x is forward from the middle of their length."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_sim.materials import Label, Paint, Surface
from any2seg_sim.mesh import Mesh
from any2seg_sim.objects.hulls import Trim, arch_height, pair, seams, skin, wheel, with_arches
from any2seg_sim.shapes import box, loft, slab, slabs, tube

if TYPE_CHECKING:
    from any2seg_sim.shapes import Vec

BUS_COLOURS: Final = ((0.55, 0.06, 0.05), (0.05, 0.18, 0.45), (0.62, 0.45, 0.05), (0.08, 0.35, 0.18))
TRUCK_COLOURS: Final = ((0.08, 0.25, 0.5), (0.5, 0.3, 0.05), (0.45, 0.05, 0.05), (0.7, 0.7, 0.68), (0.1, 0.32, 0.14))
TRUCKS: Final = ("box", "curtain", "tipper")
BUS_LENGTH_M: Final = 11.0
TRUCK_LENGTH_M: Final = 7.6


@functools.cache
def bus(rgb: Vec) -> Mesh:
    """Build a city bus, 11 m long."""
    trim = Trim.of(Label.BUS, rgb)
    white = Paint(Label.BUS, Surface.CAR_PAINT, (0.75, 0.75, 0.72))
    sign = Paint(Label.BUS, Surface.LAMP, (0.9, 0.45, 0.05))
    end, axles, radius = BUS_LENGTH_M / 2, (-2.6, 2.9), 0.6
    windows = np.arange(-5.2, 3.7, 1.45)
    stations = np.concatenate(
        [[-end, -end + 0.05, -end + 0.2, end - 0.35, end - 0.12, end - 0.03, end], windows, windows + 1.36]
    )
    x = with_arches(np.sort(stations[np.abs(stations) <= end]), axles, radius)
    rounding = np.interp(
        x,
        [-end, -end + 0.06, -end + 0.25, end - 0.4, end - 0.12, end - 0.03, end],
        [0.93, 0.98, 1.0, 1.0, 0.97, 0.92, 0.87],
    )
    lean = np.interp(x, [end - 0.35, end], [1.0, 0.93])
    wide, low = 1.25 * rounding, arch_height(x, np.full_like(x, 0.3), axles, radius, 0.48)
    levels = [(0.75, low), (0.985, low), (1.0, np.maximum(low + 0.05, 0.75)), (1.0, np.full_like(x, 1.15))]
    levels += [(0.995, np.full_like(x, 1.18)), (0.985, np.full_like(x, 2.5)), (0.975, np.full_like(x, 2.56))]
    levels += [(0.96, 2.86 * lean), (0.86, 3.0 * lean), (0.5, 3.06 * lean), (0.0, 3.08 * lean)]
    half = np.stack([np.stack([share * wide, z], 1) for share, z in levels], 1)
    cells = np.zeros((len(x) - 1, len(levels) - 1), np.int64)
    cells[:, 0], cells[:, 5:] = 1, 2
    middle = (x[1:] + x[:-1]) / 2
    pillar = np.min(np.abs(middle[:, None] - (windows - 0.045)[None]), 1) < 0.05
    cells[:, 4] = np.where(pillar, 1, 3)
    cells[(middle < -end + 0.2) | (middle > end - 0.02), 4] = 0
    parts = [skin(half, x, cells, [trim.body, trim.dark, white, trim.glass])]
    parts += [
        slab((end - 0.03, end + 0.012), (-1.02, 1.02), (1.0, 2.4), trim.glass),
        slab((end - 0.2, end + 0.006), (-0.95, 0.95), (2.42, 2.72), trim.dark),
        slab((end - 0.2, end + 0.014), (-0.8, 0.8), (2.46, 2.68), sign),
        slab((-end - 0.01, -end + 0.05), (-0.95, 0.95), (1.55, 2.4), trim.glass),
        slab((-end - 0.012, -end + 0.05), (-0.9, 0.9), (0.55, 1.3), trim.dark),
        slab((end - 0.05, end + 0.02), (-0.26, 0.26), (0.5, 0.62), trim.plate),
        slab((-end - 0.02, -end), (-0.26, 0.26), (0.62, 0.74), trim.plate),
        slab((-4.2, 0.5), (-0.85, 0.85), (3.02, 3.28), white),
        slab((-5.2, 5.2), (-0.9, 0.9), (0.26, 0.6), trim.dark),
    ]
    for side in (-1.0, 1.0):
        parts += [wheel(axle, side * 1.1, 0.48, 0.28, trim, spokes=8) for axle in axles]
        parts.append(slab((-end - 0.015, -end + 0.1), pair(side * 0.95, side * 1.15), (0.75, 1.25), trim.red))
        parts.append(box((0.08, 0.34, 0.2), (end - 0.02, side * 0.86, 0.72), trim.white))
        parts.append(box((0.1, 0.2, 0.42), (end + 0.12, side * 1.22, 2.15), trim.dark))
        parts.append(tube((end - 0.1, side * 1.1, 2.65), (end + 0.12, side * 1.22, 2.3), 0.03, trim.dark, sides=6))
    for x0 in (0.25, 4.15):
        parts.append(slab((x0, x0 + 1.2), (-1.265, -1.24), (0.38, 2.45), trim.dark))
        parts += [slab((x0 + a, x0 + a + 0.52), (-1.272, -1.25), (0.5, 2.38), trim.glass) for a in (0.06, 0.62)]
    return Mesh.merged(parts)


def _cab(trim: Trim) -> list[Mesh]:
    """Build the cab of a truck, its front at x = 3.8."""
    front = 3.8
    x = np.array([1.9, 2.05, 2.3, 2.9, 3.35, 3.6, 3.72, front])
    wide = 1.13 * np.interp(x, [1.9, 2.05, 3.4, 3.7, front], [0.97, 1.0, 1.0, 0.97, 0.92])
    low = arch_height(x, np.full_like(x, 0.45), (2.75,), 0.55, 0.45)
    top = np.interp(x, [1.9, 2.1, 3.0, 3.4, front], [2.45, 2.58, 2.62, 2.55, 1.52])
    belt = np.minimum(1.45, top - 0.05)
    glazed = np.minimum(2.3, top - 0.04)
    levels = [
        (0.7, low),
        (0.99, low),
        (1.0, np.maximum(low + 0.04, 0.6)),
        (1.0, belt),
        (0.94, glazed),
        (0.86, top),
        (0.0, top + 0.03),
    ]
    half = np.stack([np.stack([share * wide, z], 1) for share, z in levels], 1)
    cells = np.zeros((len(x) - 1, 6), np.int64)
    cells[:, 0] = 1
    cells[2:4, 3] = 2
    cells[4:, 5] = 2
    parts = [skin(half, x, cells, [trim.body, trim.dark, trim.glass])]
    parts += [
        slab((front - 0.05, front + 0.015), (-0.75, 0.75), (0.75, 1.3), trim.dark),
        slab((front - 0.1, front + 0.05), (-1.1, 1.1), (0.42, 0.68), trim.dark),
        slab((front + 0.04, front + 0.062), (-0.26, 0.26), (0.5, 0.6), trim.plate),
        *(slab((front, front + 0.025), (-0.7, 0.7), (z, z + 0.03), trim.rim) for z in (0.85, 1.0, 1.15)),
        *seams((2.35, 3.3), 1.13, (0.75, 1.45), trim.dark),
    ]
    for side in (-1.0, 1.0):
        parts.append(box((0.08, 0.32, 0.19), (front + 0.0, side * 0.88, 0.84), trim.white))
        parts.append(box((0.12, 0.18, 0.38), (3.45, side * 1.3, 1.95), trim.dark))
        parts.append(tube((3.4, side * 1.05, 2.2), (3.45, side * 1.3, 2.1), 0.025, trim.dark, sides=6))
    return parts


@functools.cache
def truck(rgb: Vec, *, kind: str = "box") -> Mesh:
    """Build a truck of one of TRUCKS, 7.6 m long."""
    label = Label.TRUCK
    trim = Trim.of(label, rgb)
    parts = _cab(trim)
    parts.append(slab((-3.7, 3.5), (-0.45, 0.45), (0.5, 0.95), trim.dark))
    parts.append(slab((-3.78, 1.8), (-1.24, 1.24), (0.9, 1.02), trim.dark))
    if kind == "box":
        cargo, stripe = Paint(label, Surface.METAL, (0.68, 0.68, 0.66)), Paint(label, Surface.PLAIN, rgb)
        parts += [
            slab((-3.8, 1.78), (-1.25, 1.25), (1.02, 3.35), cargo),
            slab((-2.9, 0.9), (-1.258, 1.258), (1.6, 2.5), stripe),
        ]
        parts += [slab((-2.6, 0.6), (-1.264, 1.264), (1.95, 2.15), trim.plate)]
        parts += [slab((-3.83, 1.8), (-1.27, 1.27), (z, z + 0.07), trim.rim) for z in (1.0, 3.3)]
        parts += [slab((-3.83, -3.8), (-0.02, 0.02), (1.05, 3.3), trim.dark)]
        parts += [slab((-3.85, -3.8), (y, y + 0.04), (1.1, 3.25), trim.rim) for y in (-0.4, 0.36)]
    elif kind == "curtain":
        cloth = Paint(label, Surface.CLOTH, rgb)
        parts.append(slab((-3.78, 1.75), (-1.22, 1.22), (1.02, 3.2), cloth))
        folds = np.arange(-3.7, 1.7, 0.42)
        low = np.stack([folds, np.full_like(folds, -1.25), np.full_like(folds, 1.05)], 1)
        parts.append(slabs(low, low + np.array((0.18, 2.5, 2.1)), cloth))
        parts += [slab((-3.8, 1.78), (-1.27, 1.27), (z, z + 0.09), trim.rim) for z in (1.0, 3.2)]
        parts.append(slab((-3.82, -3.76), (-1.2, 1.2), (1.1, 3.2), trim.rim))
    else:
        steel = Paint(label, Surface.METAL, (0.3, 0.26, 0.12))
        load = Paint(label, Surface.GRAVEL, (0.25, 0.19, 0.13))
        rings = [
            [(-3.85, -1.15 - s, z), (1.7 + s, -1.15 - s, z), (1.7 + s, 1.15 + s, z), (-3.85, 1.15 + s, z)]
            for s, z in ((0.0, 1.05), (0.12, 2.15))
        ]
        parts.append(loft(np.array(rings), steel, sharp=True))
        parts += [slab((x, x + 0.1), (-1.32, 1.32), (1.1, 2.2), steel) for x in np.arange(-3.6, 1.6, 0.85)]
        heap = [
            [(-3.6, -1.1, 2.1), (1.6, -1.1, 2.1), (1.6, 1.1, 2.1), (-3.6, 1.1, 2.1)],
            [(-2.2, -0.3, 2.75), (0.4, -0.3, 2.75), (0.4, 0.3, 2.75), (-2.2, 0.3, 2.75)],
        ]
        parts.append(loft(np.array(heap), load))
    for side in (-1.0, 1.0):
        parts += [wheel(axle, side * 1.02, 0.45, 0.32, trim, spokes=6) for axle in (-2.75, -1.75, 2.75)]
        parts.append(box((0.05, 0.34, 0.16), (-3.8, side * 0.95, 0.78), trim.red))
        parts.append(slab((-1.1, 2.0), pair(side * 1.1, side * 1.2), (0.45, 0.85), trim.dark))
    return Mesh.merged([*parts, slab((-3.82, -3.78), (-0.26, 0.26), (0.7, 0.8), trim.plate)])
