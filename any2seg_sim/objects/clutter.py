# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What stands about and has no class of its own (Other), and what someone will move on (Dynamic); fronts face -y."""

from __future__ import annotations

import functools

import numpy as np

from any2seg_sim.materials import Label, Paint, Surface
from any2seg_sim.mesh import Mesh
from any2seg_sim.shapes import ball, box, loft, panel, slab, tube


@functools.cache
def rubbish() -> Mesh:
    """Build two wheelie bins and a bag: clutter that someone will move."""
    grey = Paint(Label.DYNAMIC, Surface.PLAIN, (0.07, 0.075, 0.08))
    blue = Paint(Label.DYNAMIC, Surface.PLAIN, (0.02, 0.12, 0.35))
    bag = Paint(Label.DYNAMIC, Surface.PLAIN, (0.03, 0.03, 0.03))
    parts = []
    for x, lid in ((0.0, grey), (0.72, blue)):
        parts.append(tube((x, 0, 0.08), (x, 0, 0.98), 0.32, grey, end_radius=0.41, sides=4))
        parts.append(box((0.62, 0.66, 0.07), (x, 0, 1.02), lid))
    return Mesh.merged([*parts, ball((1.35, 0.05, 0.25), (0.32, 0.28, 0.3), bag)])


@functools.cache
def kiosk() -> Mesh:
    """Build a round advertising column, which counts as Other."""
    stone = Paint(Label.OTHER, Surface.PLAIN, (0.4, 0.38, 0.34))
    poster = [(0.75, 0.7, 0.55), (0.6, 0.1, 0.12), (0.1, 0.25, 0.5), (0.8, 0.55, 0.1)]
    parts = [
        tube((0, 0, 0), (0, 0, 3.0), 0.65, stone, sides=20),
        tube((0, 0, 3.0), (0, 0, 3.15), 0.78, stone, sides=20),
    ]
    parts.append(ball((0, 0, 3.15), (0.7, 0.7, 0.4), Paint(Label.OTHER, Surface.PLAIN, (0.06, 0.2, 0.12))))
    for index in range(8):
        turn = index * np.pi / 4
        where = (0.62 * np.cos(turn), 0.62 * np.sin(turn), 1.6)
        paint = Paint(Label.OTHER, Surface.PLAIN, poster[index % 4])
        parts.append(box((0.46, 0.06, 1.5), (0, 0, 0), paint).moved(*where, yaw=turn + np.pi / 2))
    return Mesh.merged(parts)


@functools.cache
def statue() -> Mesh:
    """Build a figure on a pedestal, which counts as Other."""
    stone = Paint(Label.OTHER, Surface.PLAIN, (0.42, 0.4, 0.36))
    bronze = Paint(Label.OTHER, Surface.METAL, (0.1, 0.16, 0.13))
    parts = [box((1.7, 1.7, 0.4), (0, 0, 0.2), stone), box((1.2, 1.2, 1.5), (0, 0, 1.15), stone)]
    parts += [box((1.35, 1.35, 0.15), (0, 0, 1.95), stone)]
    parts += [tube((side * 0.14, 0, 2.0), (side * 0.1, 0, 2.95), 0.13, bronze, sides=9) for side in (-1, 1)]
    parts += [tube((0, 0, 2.6), (0, 0, 3.75), 0.4, bronze, end_radius=0.24, sides=10)]
    parts += [ball((0, 0, 4.05), (0.17, 0.18, 0.22), bronze), ball((0, -0.02, 4.2), (0.19, 0.2, 0.1), bronze)]
    parts += [tube((-0.28, 0, 3.65), (-0.5, -0.45, 3.2), 0.1, bronze, sides=8)]
    return Mesh.merged([*parts, tube((0.28, 0, 3.65), (0.75, -0.3, 4.25), 0.1, bronze, sides=8)])


@functools.cache
def market_stall(rgb: tuple[float, float, float] = (0.6, 0.08, 0.06)) -> Mesh:
    """Build a stall with a striped roof and crates, which counts as Other."""
    wood = Paint(Label.OTHER, Surface.WOOD, (0.3, 0.2, 0.11))
    parts = [slab((-1.5, 1.5), (-0.6, 0.6), (0.75, 0.85), wood), slab((-1.45, 1.45), (-0.55, -0.5), (0.0, 0.75), wood)]
    parts += [
        tube((x, y, 0), (x, y, 2.3 if y < 0 else 2.7), 0.04, wood, sides=6) for x in (-1.5, 1.5) for y in (-0.9, 0.7)
    ]
    for index, x in enumerate(np.linspace(-1.7, 1.7, 9)[:-1]):
        paint = Paint(Label.OTHER, Surface.CLOTH, rgb if index % 2 else (0.75, 0.74, 0.7))
        end = x + 3.4 / 8
        parts.append(panel([(x, -1.2, 2.2), (end, -1.2, 2.2), (end, 0.9, 2.8), (x, 0.9, 2.8)], paint))
        parts.append(panel([(x, -1.2, 1.98), (end, -1.2, 1.98), (end, -1.2, 2.2), (x, -1.2, 2.2)], paint))
    goods = ((0.6, 0.1, 0.05), (0.1, 0.4, 0.08), (0.75, 0.45, 0.05), (0.6, 0.5, 0.1), (0.35, 0.1, 0.3))
    for index, x in enumerate(np.linspace(-1.2, 1.2, 5)):
        parts.append(box((0.5, 0.8, 0.16), (float(x), -0.1, 0.93), wood))
        paint = Paint(Label.OTHER, Surface.PLAIN, goods[index])
        parts += [
            ball((float(x) + a, -0.1 + b, 1.02), (0.13, 0.13, 0.1), paint, level=0)
            for a in (-0.11, 0.11)
            for b in (-0.22, 0.0, 0.22)
        ]
    return Mesh.merged(parts)


@functools.cache
def playground() -> Mesh:
    """Build a slide with a tower and a swing, about 8 m by 4 m, which count as Other."""
    red, blue, yellow = (
        Paint(Label.OTHER, Surface.PLAIN, rgb) for rgb in ((0.6, 0.06, 0.04), (0.04, 0.2, 0.5), (0.75, 0.5, 0.03))
    )
    parts = [tube((x, y, 0), (x, y, 2.9), 0.07, blue, sides=8) for x in (0.0, 1.3) for y in (0.0, 1.3)]
    parts += [slab((-0.05, 1.35), (-0.05, 1.35), (1.4, 1.5), yellow)]
    parts += [panel([(-0.2, -0.2, 2.7), (1.5, -0.2, 2.7), (0.65, 0.65, 3.6)], red)]
    parts += [panel([(1.5, -0.2, 2.7), (1.5, 1.5, 2.7), (0.65, 0.65, 3.6)], red)]
    parts += [panel([(1.5, 1.5, 2.7), (-0.2, 1.5, 2.7), (0.65, 0.65, 3.6)], red)]
    parts += [panel([(-0.2, 1.5, 2.7), (-0.2, -0.2, 2.7), (0.65, 0.65, 3.6)], red)]
    slide = [(1.35, 0.3, 1.5), (3.8, 0.3, 0.25), (3.8, 1.0, 0.25), (1.35, 1.0, 1.5)]
    parts += [panel(slide, yellow)]
    parts += [tube((1.35, y, 1.65), (3.8, y, 0.4), 0.06, red, sides=7) for y in (0.28, 1.02)]
    parts += [tube((x, y, 0), (x, 0.65, 2.4), 0.06, red, sides=8) for x in (5.0, 8.0) for y in (-0.4, 1.7)]
    parts += [tube((5.0, 0.65, 2.4), (8.0, 0.65, 2.4), 0.06, red, sides=8)]
    for x in (5.7, 7.2):
        parts += [tube((x + s, 0.65, 2.4), (x + s, 0.6, 0.55), 0.015, blue, sides=4) for s in (-0.25, 0.25)]
        parts += [slab((x - 0.27, x + 0.27), (0.5, 0.72), (0.5, 0.55), yellow)]
    return Mesh.merged(parts)


@functools.cache
def road_works() -> Mesh:
    """Build barriers and cones round a hole: clutter that someone will move."""
    red, white = (Paint(Label.DYNAMIC, Surface.RETROREFLECTIVE, rgb) for rgb in ((0.6, 0.03, 0.02), (0.8, 0.8, 0.8)))
    orange = Paint(Label.DYNAMIC, Surface.PLAIN, (0.8, 0.2, 0.02))
    dark = Paint(Label.DYNAMIC, Surface.PLAIN, (0.05, 0.05, 0.05))
    parts = []
    for x in (-1.0, 1.0):
        parts += [slab((x - 0.9, x + 0.9), (-0.02, 0.02), (z, z + 0.22), white) for z in (0.5, 0.9)]
        parts += [
            slab((x + a, x + a + 0.28), (-0.03, 0.03), (z, z + 0.22), red)
            for a in (-0.85, -0.15, 0.55)
            for z in (0.5, 0.9)
        ]
        parts += [slab((x + a, x + a + 0.06), (-0.25, 0.25), (0.0, 0.06), dark) for a in (-0.7, 0.64)]
        parts += [slab((x + a, x + a + 0.06), (-0.03, 0.03), (0.0, 1.12), dark) for a in (-0.7, 0.64)]
    for x, y in ((-2.2, -0.1), (2.3, 0.0), (0.1, 0.5)):
        parts += [slab((x - 0.18, x + 0.18), (y - 0.18, y + 0.18), (0, 0.03), dark)]
        parts += [tube((x, y, 0.02), (x, y, 0.7), 0.14, orange, end_radius=0.03, sides=10)]
        parts += [tube((x, y, 0.3), (x, y, 0.45), 0.105, white, end_radius=0.08, sides=10)]
    return Mesh.merged(parts)


@functools.cache
def street_works() -> Mesh:
    """Build a hole in the road, 5 m by 1.8 m, with earth, barriers all round and cones."""
    earth = Paint(Label.GROUND, Surface.GRAVEL, (0.3, 0.22, 0.14))
    white = Paint(Label.DYNAMIC, Surface.RETROREFLECTIVE, (0.8, 0.8, 0.8))
    orange = Paint(Label.DYNAMIC, Surface.PLAIN, (0.8, 0.2, 0.02))
    side = road_works()
    parts = [
        slab((-2.2, 2.2), (-0.8, 0.8), (-0.02, 0.012), earth),
        ball((-0.9, 0.1, 0.0), (1.0, 0.6, 0.6), earth, level=2),
    ]
    parts += [ball((0.9, 0.0, 0.0), (0.8, 0.55, 0.4), earth, level=2)]
    parts += [side.moved(0, -0.9), side.moved(0, 0.9, yaw=np.pi)]
    for x in (-2.6, 2.6):
        parts += [slab((x - 0.03, x + 0.03), (-0.8, 0.8), (z, z + 0.22), white) for z in (0.5, 0.9)]
        parts += [
            slab((x - 0.04, x + 0.04), (y, y + 0.3), (z, z + 0.22), orange) for y in (-0.6, 0.2) for z in (0.5, 0.9)
        ]
        parts += [slab((x - 0.04, x + 0.04), (y, y + 0.06), (0, 1.12), orange) for y in (-0.75, 0.7)]
    return Mesh.merged(parts)


@functools.cache
def phone_box() -> Mesh:
    """Build a booth with a telephone, which counts as Other."""
    red = Paint(Label.OTHER, Surface.CAR_PAINT, (0.5, 0.03, 0.03))
    glass = Paint(Label.OTHER, Surface.GLASS, (0.08, 0.1, 0.1))
    parts = [slab((-0.45, 0.45), (-0.42, 0.42), (0, 0.35), red), slab((-0.5, 0.5), (-0.47, 0.47), (2.2, 2.45), red)]
    parts += [slab((-0.41, 0.41), (-0.38, 0.38), (0.35, 2.2), glass)]
    parts += [slab((x, x + 0.07), (y, y + 0.07), (0.3, 2.2), red) for x in (-0.45, 0.38) for y in (-0.42, 0.35)]
    parts += [slab((-0.43, 0.43), (-0.4, 0.4), (z, z + 0.04), red) for z in (0.8, 1.25, 1.7)]
    return Mesh.merged(parts)


def boat(rng: np.random.Generator) -> Mesh:
    """Build a boat that lies in the water, which counts as Other."""
    hull = Paint(
        Label.OTHER, Surface.CAR_PAINT, ((0.6, 0.6, 0.58), (0.05, 0.15, 0.3), (0.4, 0.06, 0.05))[rng.integers(3)]
    )
    wood = Paint(Label.OTHER, Surface.WOOD, (0.35, 0.22, 0.1))
    glass = Paint(Label.OTHER, Surface.GLASS, (0.04, 0.05, 0.06))
    plan = np.array([(-3.0, -1.0), (1.5, -1.15), (3.0, -0.6), (3.9, 0.0), (3.0, 0.6), (1.5, 1.15), (-3.0, 1.0)])
    rings = [
        np.concatenate([plan * share, np.full((7, 1), z)], 1) for share, z in ((0.8, -0.3), (0.95, 0.3), (1.0, 0.75))
    ]
    parts = [loft(np.stack(rings), hull, sharp=True), slab((-2.8, 1.4), (-0.85, 0.85), (0.74, 0.8), wood)]
    parts += [slab((-1.0, 1.2), (-0.7, 0.7), (0.8, 1.7), hull), slab((-0.95, 1.23), (-0.73, 0.73), (1.15, 1.55), glass)]
    return Mesh.merged(parts)


@functools.cache
def parcels() -> Mesh:
    """Build a hand cart with parcels: clutter that someone will move."""
    brown = Paint(Label.DYNAMIC, Surface.PLAIN, (0.36, 0.24, 0.13))
    blue = Paint(Label.DYNAMIC, Surface.METAL, (0.05, 0.15, 0.35))
    parts = [
        box((0.9, 0.6, 0.06), (0, 0, 0.22), blue),
        tube((-0.45, -0.25, 0.22), (-0.6, -0.25, 1.05), 0.02, blue, sides=6),
    ]
    parts += [
        tube((-0.45, 0.25, 0.22), (-0.6, 0.25, 1.05), 0.02, blue, sides=6),
        tube((-0.6, -0.25, 1.05), (-0.6, 0.25, 1.05), 0.02, blue),
    ]
    parts += [
        tube((x, y - 0.03, 0.1), (x, y + 0.03, 0.1), 0.1, blue, sides=10) for x in (-0.35, 0.35) for y in (-0.27, 0.27)
    ]
    boxes = (
        ((0.5, 0.5, 0.4), (-0.15, 0, 0.46)),
        ((0.35, 0.45, 0.3), (0.28, 0.02, 0.41)),
        ((0.4, 0.35, 0.28), (-0.1, 0, 0.8)),
    )
    return Mesh.merged([*parts, *(box(size, centre, brown) for size, centre in boxes)])
