# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Street furniture: lamps, traffic lights, signs, fences, benches, bins and other clutter."""

from __future__ import annotations

from typing import Final

import numpy as np

from any2seg_sim.materials import Label, Paint, Surface
from any2seg_sim.mesh import Mesh
from any2seg_sim.shapes import ball, box, disc, panel, slab, tube

STEEL: Final = (0.32, 0.33, 0.34)
POLE: Final = Paint(Label.POLE, Surface.PLAIN, STEEL)
SIGN_KINDS: Final = ("limit", "stop", "yield", "no_entry", "crossing", "parking")


def street_lamp(*, height: float = 6.5) -> Mesh:
    """Build a lamp whose arm reaches towards -y, over the road."""
    lamp = Paint(Label.POLE, Surface.LAMP, (0.8, 0.8, 0.75))
    return Mesh.merged(
        [
            tube((0, 0, 0), (0, 0, 0.9), 0.12, POLE),
            tube((0, 0, 0), (0, 0, height), 0.075, POLE, end_radius=0.05),
            tube((0, 0, height - 0.02), (0, -1.6, height + 0.25), 0.045, POLE),
            box((0.24, 0.7, 0.12), (0, -1.8, height + 0.26), POLE),
            box((0.2, 0.6, 0.03), (0, -1.8, height + 0.19), lamp),
        ]
    )


def traffic_light(*, lit: str = "green", arm: float = 0.0) -> Mesh:
    """Build a traffic light whose lamps face -x; with an arm, a second head hangs over the road towards -y."""
    parts = [tube((0, 0, 0), (0, 0, 5.6 if arm else 3.4), 0.075, POLE), _signal_head(2.75, -0.0, lit)]
    if arm:
        parts += [tube((0, 0, 5.5), (0, -arm, 5.6), 0.06, POLE), _signal_head(5.0, -arm, lit)]
    return Mesh.merged(parts)


def _signal_head(middle: float, y: float, lit: str) -> Mesh:
    black = Paint(Label.TRAFFIC_LIGHT, Surface.PLAIN, (0.02, 0.02, 0.02))
    colours = {"red": (0.9, 0.03, 0.02), "amber": (0.9, 0.45, 0.02), "green": (0.05, 0.8, 0.25)}
    parts = [box((0.22, 0.36, 1.05), (-0.12, y, middle), black), box((0.02, 0.5, 1.2), (-0.01, y, middle), black)]
    for row, (name, rgb) in enumerate(colours.items()):
        surface, tint = (Surface.LAMP, rgb) if name == lit else (Surface.PLAIN, tuple(0.12 * value for value in rgb))
        lens = Paint(Label.TRAFFIC_LIGHT, surface, (tint[0], tint[1], tint[2]))
        parts.append(disc((-0.24, y, middle + 0.33 * (1 - row)), (-1, 0, 0), 0.125, lens))
        parts.append(box((0.16, 0.28, 0.02), (-0.3, y, middle + 0.33 * (1 - row) + 0.145), black))
    return Mesh.merged(parts)


def _face(rgb: tuple[float, float, float]) -> Paint:
    return Paint(Label.TRAFFIC_SIGN, Surface.RETROREFLECTIVE, rgb)


def _triangle(x: float, z: float, size: float, paint: Paint, *, tip_up: bool) -> Mesh:
    up = size if tip_up else -size
    points = [(x, size, z - up * 0.58), (x, -size, z - up * 0.58), (x, 0.0, z + up * 1.15)]
    return panel(points, paint)


def traffic_sign(kind: str) -> Mesh:
    """Build a sign of one of SIGN_KINDS on a post; its face looks to -x."""
    red, white = _face((0.6, 0.015, 0.02)), _face((0.85, 0.85, 0.85))
    black, blue = _face((0.02, 0.02, 0.02)), _face((0.01, 0.09, 0.5))
    away, z = (-1.0, 0.0, 0.0), 2.35
    faces = {
        "limit": [
            disc((-0.07, 0, z), away, 0.38, red, sides=24),
            disc((-0.085, 0, z), away, 0.28, white, sides=24),
            box((0.01, 0.1, 0.26), (-0.1, 0.1, z), black),
            box((0.01, 0.1, 0.26), (-0.1, -0.1, z), black),
        ],
        "stop": [
            disc((-0.07, 0, z), away, 0.42, white, sides=8),
            disc((-0.085, 0, z), away, 0.38, red, sides=8),
            box((0.01, 0.5, 0.14), (-0.1, 0, z), white),
        ],
        "yield": [
            _triangle(-0.07, z, 0.46, red, tip_up=False),
            _triangle(-0.085, z, 0.28, white, tip_up=False),
        ],
        "crossing": [
            box((0.02, 0.72, 0.72), (-0.07, 0, z), blue),
            _triangle(-0.09, z, 0.27, white, tip_up=True),
            box((0.01, 0.07, 0.28), (-0.1, 0, z - 0.02), black),
        ],
        "no_entry": [
            disc((-0.07, 0, z), away, 0.38, red, sides=24),
            box((0.02, 0.52, 0.14), (-0.085, 0, z), white),
        ],
        "parking": [
            box((0.02, 0.66, 0.66), (-0.07, 0, z), blue),
            box((0.02, 0.09, 0.44), (-0.085, 0.12, z), white),
            disc((-0.085, -0.03, z + 0.1), away, 0.15, white),
        ],
    }
    return Mesh.merged([tube((0, 0, 0), (0, 0, z + 0.3), 0.04, POLE, sides=8), *faces[kind]])


def fence(length: float, *, height: float = 1.4) -> Mesh:
    """Build a picket fence along x, from the origin on."""
    paint = Paint(Label.FENCE, Surface.PLAIN, (0.3, 0.19, 0.1))
    posts = [slab((x, x + 0.11), (-0.02, 0.02), (0, height), paint) for x in np.arange(0, length - 0.1, 0.19)]
    rails = [slab((0, length), (0.02, 0.07), (z - 0.05, z + 0.05), paint) for z in (0.35, height - 0.3)]
    return Mesh.merged([*posts, *rails])


def guard_rail(length: float) -> Mesh:
    """Build a crash barrier along x, from the origin on."""
    paint = Paint(Label.GROUND_RAIL, Surface.PLAIN, (0.5, 0.51, 0.52))
    posts = [slab((x, x + 0.1), (0.04, 0.12), (0, 0.75), paint) for x in np.arange(0.2, length, 2.0)]
    beams = [tube((0, 0, z), (length, 0, z), 0.07, paint, sides=6) for z in (0.52, 0.68)]
    return Mesh.merged([*posts, *beams, slab((0, length), (0.0, 0.04), (0.5, 0.72), paint)])


def wall(length: float, *, height: float = 2.2) -> Mesh:
    """Build a brick wall with a coping along x, from the origin on."""
    brick = Paint(Label.WALL, Surface.BRICK, (0.36, 0.15, 0.1))
    stone = Paint(Label.WALL, Surface.PLAIN, (0.45, 0.43, 0.4))
    return Mesh.merged(
        [
            slab((0, length), (-0.15, 0.15), (0, height), brick),
            slab((0, length), (-0.2, 0.2), (height, height + 0.1), stone),
        ]
    )


def bench() -> Mesh:
    """Build a bench that looks to -y."""
    wood = Paint(Label.STATIC, Surface.PLAIN, (0.28, 0.15, 0.07))
    iron = Paint(Label.STATIC, Surface.PLAIN, (0.05, 0.05, 0.05))
    slats = [slab((-0.8, 0.8), (y, y + 0.12), (0.44, 0.48), wood) for y in (-0.25, -0.1, 0.05)]
    back = [slab((-0.8, 0.8), (0.2, 0.24), (z, z + 0.11), wood) for z in (0.55, 0.7, 0.85)]
    legs = [slab((x, x + 0.07), (-0.25, 0.24), (0, 0.44), iron) for x in (-0.7, 0.63)]
    return Mesh.merged([*slats, *back, *legs])


def litter_bin() -> Mesh:
    """Build a round litter bin."""
    green = Paint(Label.STATIC, Surface.PLAIN, (0.03, 0.16, 0.08))
    dark = Paint(Label.STATIC, Surface.PLAIN, (0.02, 0.02, 0.02))
    return Mesh.merged(
        [tube((0, 0, 0), (0, 0, 0.85), 0.26, green, sides=14), tube((0, 0, 0.85), (0, 0, 0.92), 0.29, dark)]
    )


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


def bus_shelter() -> Mesh:
    """Build a bus shelter that opens to -y."""
    frame = Paint(Label.STATIC, Surface.PLAIN, (0.12, 0.13, 0.15))
    glass = Paint(Label.STATIC, Surface.GLASS, (0.12, 0.15, 0.16))
    poster = Paint(Label.STATIC, Surface.PLAIN, (0.7, 0.25, 0.1))
    parts = [slab((-1.9, 1.9), (-0.75, 0.75), (2.4, 2.52), frame), slab((-1.85, 1.85), (0.68, 0.7), (0.25, 2.3), glass)]
    parts += [tube((x, y, 0), (x, y, 2.4), 0.05, frame, sides=8) for x in (-1.8, 1.8) for y in (-0.65, 0.68)]
    parts += [slab((-1.5, 0.9), (0.2, 0.6), (0.45, 0.52), frame), slab((1.78, 1.84), (-0.5, 0.6), (0.4, 2.1), poster)]
    return Mesh.merged(parts)


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
