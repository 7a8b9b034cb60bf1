# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Street furniture: lamps, benches, bins, shelters, stalls and what stands about; fronts face -y."""

from __future__ import annotations

import functools
from typing import Final

import numpy as np

from any2seg_sim.materials import Label, Paint, Surface
from any2seg_sim.mesh import Mesh
from any2seg_sim.shapes import ball, box, disc, loft, slab, tube

POLE: Final = Paint(Label.POLE, Surface.METAL, (0.32, 0.33, 0.34))
LAMP_AT: Final = (0.0, -1.8, 7.1)
"""Where the light of a street lamp comes from."""


@functools.cache
def street_lamp() -> Mesh:
    """Build a lamp whose arm reaches towards -y, over the road."""
    lamp = Paint(Label.POLE, Surface.LAMP, (0.8, 0.8, 0.75))
    height = LAMP_AT[2] - 0.2
    return Mesh.merged(
        [
            tube((0, 0, 0), (0, 0, 1.0), 0.13, POLE, sides=12),
            tube((0, 0, 0), (0, 0, height), 0.085, POLE, end_radius=0.055, sides=12),
            tube((0, 0, height - 0.02), (0, -1.5, height + 0.27), 0.045, POLE, sides=8),
            loft(
                np.array(
                    [
                        [(-0.06, -1.3, z), (0.06, -1.3, z), (0.17, -2.2, z), (-0.17, -2.2, z)][::-1]
                        for z in (height + 0.23, height + 0.35)
                    ]
                )[:, ::-1],
                POLE,
                sharp=True,
            ),
            box((0.24, 0.7, 0.03), (0, -1.8, height + 0.215), lamp),
        ]
    )


@functools.cache
def bench() -> Mesh:
    """Build a bench that looks to -y."""
    wood = Paint(Label.STATIC, Surface.WOOD, (0.28, 0.15, 0.07))
    iron = Paint(Label.STATIC, Surface.PLAIN, (0.05, 0.05, 0.05))
    slats = [slab((-0.8, 0.8), (y, y + 0.12), (0.44, 0.48), wood) for y in (-0.25, -0.1, 0.05)]
    back = [slab((-0.8, 0.8), (0.2, 0.24), (z, z + 0.11), wood) for z in (0.55, 0.7, 0.85)]
    legs = [slab((x, x + 0.07), (-0.25, 0.24), (0, 0.44), iron) for x in (-0.7, 0.63)]
    return Mesh.merged([*slats, *back, *legs])


@functools.cache
def litter_bin() -> Mesh:
    """Build a round litter bin."""
    green = Paint(Label.STATIC, Surface.PLAIN, (0.03, 0.16, 0.08))
    dark = Paint(Label.STATIC, Surface.PLAIN, (0.02, 0.02, 0.02))
    return Mesh.merged(
        [tube((0, 0, 0), (0, 0, 0.85), 0.26, green, sides=14), tube((0, 0, 0.85), (0, 0, 0.92), 0.29, dark)]
    )


@functools.cache
def hydrant() -> Mesh:
    """Build a fire hydrant."""
    red = Paint(Label.STATIC, Surface.PLAIN, (0.6, 0.04, 0.03))
    return Mesh.merged(
        [
            tube((0, 0, 0), (0, 0, 0.6), 0.12, red),
            ball((0, 0, 0.62), (0.14, 0.14, 0.12), red),
            tube((0, -0.22, 0.42), (0, 0.22, 0.42), 0.07, red),
        ]
    )


@functools.cache
def bus_shelter() -> Mesh:
    """Build a bus shelter that opens to -y, 1.1 m deep, with the sign of its stop."""
    frame = Paint(Label.STATIC, Surface.METAL, (0.12, 0.13, 0.15))
    glass = Paint(Label.STATIC, Surface.GLASS, (0.12, 0.15, 0.16))
    poster = Paint(Label.STATIC, Surface.PLAIN, (0.7, 0.25, 0.1))
    sign = Paint(Label.TRAFFIC_SIGN, Surface.RETROREFLECTIVE, (0.75, 0.6, 0.05))
    parts = [slab((-2.1, 2.1), (-0.6, 0.55), (2.4, 2.52), frame), slab((-2.05, 2.05), (0.46, 0.48), (0.25, 2.3), glass)]
    parts += [tube((x, y, 0), (x, y, 2.4), 0.05, frame, sides=8) for x in (-2.0, 0.0, 2.0) for y in (0.47,)]
    parts += [slab((-1.7, 0.9), (0.05, 0.4), (0.45, 0.52), frame), slab((1.98, 2.04), (-0.5, 0.45), (0.4, 2.1), poster)]
    parts += [slab((-1.5, -1.4), (0.1, 0.4), (0.0, 0.45), frame), slab((0.6, 0.7), (0.1, 0.4), (0.0, 0.45), frame)]
    parts += [tube((-2.9, -0.3, 0), (-2.9, -0.3, 2.9), 0.04, POLE, sides=8)]
    parts += [disc((-2.9, -0.3, 2.75), (side, 0, 0), 0.34, sign, sides=20, thickness=0.06) for side in (-1, 1)]
    return Mesh.merged(parts)


@functools.cache
def cabinet() -> Mesh:
    """Build a grey cabinet of the kind that holds switches."""
    grey = Paint(Label.STATIC, Surface.METAL, (0.32, 0.35, 0.33))
    dark = Paint(Label.STATIC, Surface.PLAIN, (0.1, 0.1, 0.1))
    parts = [slab((-0.6, 0.6), (-0.2, 0.2), (0.08, 1.25), grey), slab((-0.65, 0.65), (-0.24, 0.24), (1.25, 1.32), grey)]
    return Mesh.merged(
        [*parts, slab((-0.01, 0.01), (-0.21, -0.2), (0.15, 1.2), dark), slab((-0.6, 0.6), (-0.2, 0.2), (0, 0.08), dark)]
    )


@functools.cache
def bollards() -> Mesh:
    """Build three bollards in a row along x."""
    iron = Paint(Label.STATIC, Surface.METAL, (0.05, 0.05, 0.055))
    parts = [tube((x, 0, 0), (x, 0, 0.9), 0.08, iron, sides=9) for x in (-1.4, 0.0, 1.4)]
    return Mesh.merged([*parts, *(ball((x, 0, 0.93), (0.1, 0.1, 0.08), iron, level=1) for x in (-1.4, 0.0, 1.4))])


@functools.cache
def planter() -> Mesh:
    """Build a stone trough with plants."""
    stone = Paint(Label.STATIC, Surface.PLAIN, (0.4, 0.38, 0.35))
    green = Paint(Label.VEGETATION, Surface.LEAVES, (0.08, 0.17, 0.04))
    parts = [slab((-0.95, 0.95), (-0.3, 0.3), (0, 0.55), stone), slab((-1.0, 1.0), (-0.35, 0.35), (0.55, 0.63), stone)]
    return Mesh.merged([*parts, *(ball((x, 0, 0.75), (0.36, 0.28, 0.26), green) for x in (-0.6, 0.0, 0.6))])


@functools.cache
def skip() -> Mesh:
    """Build a container for rubble."""
    paint = Paint(Label.STATIC, Surface.METAL, (0.55, 0.32, 0.04))
    rubble = Paint(Label.STATIC, Surface.GRAVEL, (0.3, 0.27, 0.24))
    outline = [
        [(-1.3 - s, -0.8, z), (1.3 + s, -0.8, z), (1.3 + s, 0.8, z), (-1.3 - s, 0.8, z)]
        for s, z in ((0.0, 0.1), (0.6, 1.3))
    ]
    parts = [loft(np.array(outline), paint, sharp=True)]
    parts += [slab((x, x + 0.1), (-0.85, 0.85), (0.1, 1.35), paint) for x in (-0.9, 0.0, 0.8)]
    return Mesh.merged([*parts, ball((0, 0, 1.2), (1.5, 0.7, 0.35), rubble, level=2)])


@functools.cache
def terrace_table() -> Mesh:
    """Build a cafe table with two chairs and a parasol."""
    iron = Paint(Label.STATIC, Surface.METAL, (0.08, 0.08, 0.08))
    wood = Paint(Label.STATIC, Surface.WOOD, (0.35, 0.22, 0.12))
    cloth = Paint(Label.STATIC, Surface.CLOTH, (0.65, 0.6, 0.5))
    parts = [disc((0, 0, 0.74), (0, 0, 1), 0.36, wood, sides=14), tube((0, 0, 0), (0, 0, 2.2), 0.03, iron, sides=6)]
    parts += [tube((0, 0, 2.1), (0, 0, 2.5), 1.15, cloth, end_radius=0.03, sides=8)]
    for side in (-1, 1):
        parts += [
            box((0.4, 0.4, 0.04), (side * 0.65, 0, 0.45), wood),
            box((0.03, 0.4, 0.42), (side * 0.86, 0, 0.72), wood),
        ]
        parts += [
            tube((side * 0.65 + a, b, 0), (side * 0.65 + a, b, 0.45), 0.015, iron, sides=4)
            for a in (-0.17, 0.17)
            for b in (-0.17, 0.17)
        ]
    return Mesh.merged(parts)
