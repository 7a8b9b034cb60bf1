# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Bicycles, scooters and motorcycles; x is forward from the middle between the wheels."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_sim.materials import Label, Paint, Surface
from any2seg_sim.mesh import Mesh
from any2seg_sim.objects.hulls import Trim
from any2seg_sim.shapes import ball, box, disc, loft, sheet, slab, tube

if TYPE_CHECKING:
    from any2seg_sim.shapes import Vec

BICYCLE_SEAT: Final = (-0.23, 0.97)
"""Where the rider's hips are."""
BICYCLE_CRANK: Final = (-0.05, 0.3)
MOTORCYCLE_SEAT: Final = (-0.3, 0.92)
MOTORCYCLE_PEGS: Final = (-0.05, 0.33)
SCOOTER_SEAT: Final = (-0.36, 0.9)
SCOOTER_PEGS: Final = (0.12, 0.34)


def _spoked_wheel(x: float, radius: float, trim: Trim) -> Mesh:
    """Build a thin wheel with spokes in the x-z plane."""
    turn = np.linspace(0, 2 * np.pi, 19)[:-1]
    rows = []
    for share in np.linspace(0, 2 * np.pi, 5):
        reach = radius + 0.026 * np.cos(share)
        across = np.full(len(turn), 0.026 * np.sin(share))
        rows.append(np.stack([x + reach * np.cos(turn), across, radius + reach * np.sin(turn)], 1))
    tyre = sheet(np.stack(rows), np.zeros((4, len(turn)), np.int64), [trim.rubber], closed=True)
    rim = rows[0]
    spokes = [tube(tuple(rim[i]), tuple(rim[i + 9]), 0.006, trim.rim, sides=3) for i in range(0, 9, 2)]
    return Mesh.merged([tyre, *spokes])


@functools.cache
def bicycle(rgb: Vec) -> Mesh:
    """Build a bicycle."""
    trim = Trim.of(Label.TWO_WHEELER, rgb)
    hub, front, crank, seat, head = (-0.52, 0, 0.34), (0.55, 0, 0.34), (-0.05, 0, 0.3), (-0.2, 0, 0.85), (0.4, 0, 0.85)
    bars = [(hub, crank), (crank, seat), (seat, head), (crank, head), (hub, seat), (head, front)]
    parts = [tube(a, b, 0.025, trim.body, sides=5) for a, b in bars]
    parts += [_spoked_wheel(-0.52, 0.34, trim), _spoked_wheel(0.55, 0.34, trim)]
    parts.append(box((0.26, 0.14, 0.06), (-0.22, 0, 0.92), trim.dark))
    parts.append(tube((0.38, -0.28, 1.02), (0.38, 0.28, 1.02), 0.02, trim.dark, sides=6))
    parts.append(tube(head, (0.38, 0, 1.02), 0.022, trim.body, sides=6))
    parts.append(disc((-0.05, -0.05, 0.3), (0, -1, 0), 0.09, trim.rim, sides=12))
    parts.append(slab((-0.8, -0.3), (-0.07, 0.07), (0.73, 0.75), trim.dark))
    parts.append(ball((0.47, 0, 0.93), (0.04, 0.04, 0.04), trim.white, level=0))
    parts.append(box((0.03, 0.06, 0.05), (-0.82, 0, 0.7), trim.red))
    return Mesh.merged(parts)


def _fat_wheel(x: float, radius: float, width: float, trim: Trim) -> list[Mesh]:
    return [
        tube((x, -width / 2, radius), (x, width / 2, radius), radius, trim.rubber, sides=18),
        *(disc((x, s * (width / 2 + 0.005), radius), (0, s, 0), 0.62 * radius, trim.rim, sides=14) for s in (-1, 1)),
        *(disc((x, s * (width / 2 + 0.012), radius), (0, s, 0), 0.4 * radius, trim.dark, sides=12) for s in (-1, 1)),
    ]


@functools.cache
def motorcycle(rgb: Vec) -> Mesh:
    """Build a motorcycle."""
    trim = Trim.of(Label.TWO_WHEELER, rgb)
    parts = [*_fat_wheel(-0.7, 0.32, 0.17, trim), *_fat_wheel(0.72, 0.32, 0.14, trim)]
    parts.append(slab((-0.35, 0.35), (-0.17, 0.17), (0.3, 0.66), trim.rim))
    parts += [slab((-0.3 + 0.12 * i, -0.24 + 0.12 * i), (-0.2, 0.2), (0.4, 0.64), trim.dark) for i in range(5)]
    parts.append(ball((0.2, 0, 0.84), (0.33, 0.17, 0.15), trim.body, level=2))
    parts.append(ball((-0.38, 0, 0.84), (0.42, 0.15, 0.08), trim.dark, level=2))
    parts.append(ball((-0.85, 0, 0.8), (0.22, 0.11, 0.1), trim.body, level=1))
    parts.append(box((0.05, 0.16, 0.09), (-1.06, 0, 0.8), trim.red))
    parts.append(box((0.02, 0.2, 0.14), (-1.05, 0, 0.62), trim.plate))
    parts += [tube((0.45, s * 0.1, 0.98), (0.72, s * 0.1, 0.32), 0.03, trim.rim, sides=7) for s in (-1, 1)]
    parts.append(tube((0.4, -0.38, 1.06), (0.4, 0.38, 1.06), 0.02, trim.dark, sides=6))
    parts.append(tube((-0.2, -0.2, 0.35), (-0.95, -0.24, 0.42), 0.055, trim.rim, end_radius=0.07, sides=9))
    parts.append(ball((0.58, 0, 0.93), (0.1, 0.12, 0.11), trim.white, level=1))
    parts += [box((0.03, 0.1, 0.07), (0.38, s * 0.36, 1.2), trim.dark) for s in (-1, 1)]
    return Mesh.merged([*parts, slab((0.48, 1.0), (-0.07, 0.07), (0.66, 0.69), trim.body)])


@functools.cache
def scooter(rgb: Vec) -> Mesh:
    """Build a motor scooter."""
    trim = Trim.of(Label.TWO_WHEELER, rgb)
    parts = [*_fat_wheel(-0.6, 0.25, 0.14, trim), *_fat_wheel(0.62, 0.25, 0.13, trim)]
    parts.append(slab((-0.3, 0.32), (-0.2, 0.2), (0.24, 0.32), trim.dark))
    shield = [[(0.3, -0.24, 0.25), (0.5, -0.1, 0.25), (0.5, 0.1, 0.25), (0.3, 0.24, 0.25)]]
    shield.append([(0.36, -0.2, 0.95), (0.5, -0.09, 0.95), (0.5, 0.09, 0.95), (0.36, 0.2, 0.95)])
    parts.append(loft(np.array(shield), trim.body))
    parts.append(ball((-0.5, 0, 0.55), (0.42, 0.21, 0.27), trim.body, level=2))
    parts.append(ball((-0.4, 0, 0.82), (0.36, 0.15, 0.07), trim.dark, level=2))
    parts.append(tube((0.43, 0, 0.9), (0.62, 0, 0.25), 0.04, trim.rim, sides=7))
    parts.append(ball((0.44, 0, 1.0), (0.12, 0.16, 0.09), trim.body, level=1))
    parts.append(tube((0.36, -0.34, 1.02), (0.36, 0.34, 1.02), 0.02, trim.dark, sides=6))
    parts.append(ball((0.54, 0, 1.0), (0.05, 0.09, 0.06), trim.white, level=1))
    parts.append(box((0.05, 0.16, 0.08), (-0.9, 0, 0.62), trim.red))
    parts += [box((0.03, 0.1, 0.07), (0.34, s * 0.32, 1.16), trim.dark) for s in (-1, 1)]
    top = Paint(Label.TWO_WHEELER, Surface.PLAIN, (0.05, 0.05, 0.05))
    return Mesh.merged([*parts, box((0.34, 0.34, 0.3), (-0.85, 0, 0.98), top)])
