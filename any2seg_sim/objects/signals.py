# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Traffic lights and signs; all look to -x, towards traffic that comes along +x."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_sim.materials import Label, Paint, Surface
from any2seg_sim.mesh import Mesh
from any2seg_sim.shapes import box, disc, panel, tube

if TYPE_CHECKING:
    from collections.abc import Callable

    from any2seg_sim.shapes import Vec

POLE: Final = Paint(Label.POLE, Surface.PLAIN, (0.32, 0.33, 0.34))
_LIT: Final = {"red": (0.9, 0.03, 0.02), "amber": (0.9, 0.45, 0.02), "green": (0.05, 0.8, 0.3)}
_AWAY: Final = (-1.0, 0.0, 0.0)
_FACE_Z: Final = 2.45


def _plain(label: Label, rgb: Vec) -> Paint:
    return Paint(label, Surface.PLAIN, rgb)


def _signal_head(middle: float, y: float, lit: str) -> Mesh:
    black = _plain(Label.TRAFFIC_LIGHT, (0.02, 0.02, 0.02))
    white = _plain(Label.TRAFFIC_LIGHT, (0.6, 0.6, 0.6))
    parts = [
        box((0.26, 0.4, 1.15), (-0.16, y, middle), black),
        box((0.02, 0.74, 1.5), (-0.01, y, middle), black),
        box((0.01, 0.74, 1.5), (-0.022, y, middle), white),
        box((0.01, 0.66, 1.42), (-0.028, y, middle), black),
    ]
    for row, (name, rgb) in enumerate(_LIT.items()):
        surface, tint = (Surface.LAMP, rgb) if name == lit else (Surface.PLAIN, tuple(0.12 * value for value in rgb))
        lens = Paint(Label.TRAFFIC_LIGHT, surface, (tint[0], tint[1], tint[2]))
        z = middle + 0.36 * (1 - row)
        parts.append(disc((-0.295, y, z), _AWAY, 0.14, lens, sides=14))
        parts.append(box((0.2, 0.3, 0.02), (-0.38, y, z + 0.165), black))
        parts += [box((0.16, 0.02, 0.14), (-0.36, y + side, z + 0.1), black) for side in (-0.15, 0.15)]
    return Mesh.merged(parts)


def _walking_light(y: float, lit: str) -> Mesh:
    """Build the small light for people on foot, which shows the other colour."""
    black = _plain(Label.TRAFFIC_LIGHT, (0.02, 0.02, 0.02))
    parts = [box((0.2, 0.3, 0.62), (-0.1, y, 2.5), black)]
    for z, name in ((2.65, "red"), (2.35, "green")):
        on = name == ("red" if lit == "green" else "green")
        rgb = _LIT[name] if on else (0.05, 0.05, 0.05)
        lens = Paint(Label.TRAFFIC_LIGHT, Surface.LAMP if on else Surface.PLAIN, rgb)
        parts.append(box((0.02, 0.2, 0.2), (-0.21, y, z), lens))
    return Mesh.merged(parts)


@functools.cache
def traffic_light(*, lit: str = "green", arm: float = 0.0) -> Mesh:
    """Build a traffic light; with an arm, two more heads hang over the road towards -arm along y."""
    parts = [tube((0, 0, 0), (0, 0, 6.0 if arm else 3.9), 0.085, POLE), _signal_head(2.95, 0.0, lit)]
    parts += [tube((0, 0, 0), (0, 0, 0.5), 0.13, POLE), _walking_light(0.0, lit).moved(yaw=np.pi / 2, y=-0.1)]
    if arm:
        parts += [tube((0, 0, 5.75), (0, -arm - np.sign(-arm) * -0.5, 5.95), 0.065, POLE)]
        parts += [_signal_head(5.5, -arm * share, lit) for share in (1.0, 0.42)]
    return Mesh.merged(parts)


@functools.cache
def crossing_light() -> Mesh:
    """Build the warning at a railway: a diagonal cross and two red lights."""
    white = Paint(Label.TRAFFIC_SIGN, Surface.RETROREFLECTIVE, (0.85, 0.85, 0.85))
    red = Paint(Label.TRAFFIC_SIGN, Surface.RETROREFLECTIVE, (0.6, 0.015, 0.02))
    black = _plain(Label.TRAFFIC_LIGHT, (0.02, 0.02, 0.02))
    parts = [tube((0, 0, 0), (0, 0, 3.7), 0.07, POLE), box((0.06, 1.05, 0.5), (-0.1, 0, 2.25), black)]
    for side in (-1.0, 1.0):
        lens = Paint(Label.TRAFFIC_LIGHT, Surface.LAMP, _LIT["red"] if side > 0 else (0.1, 0.01, 0.01))
        parts.append(disc((-0.15, side * 0.3, 2.25), _AWAY, 0.16, lens))
        for reach, paint in ((0.85, white), (0.32, red)):
            x = -0.09 if paint is white else -0.1
            ends = [(x, side * reach * 0.87, 3.25 + reach * 0.5), (x, -side * reach * 0.87, 3.25 - reach * 0.5)]
            parts.append(_blade(ends[0], ends[1], paint))
    return Mesh.merged(parts)


def _blade(start: Vec, end: Vec, paint: Paint) -> Mesh:
    """Build a flat bar between two points of a plane that faces -x."""
    along = np.subtract(end, start)
    across = np.array((0.0, -along[2], along[1])) / np.hypot(along[1], along[2]) * 0.11
    corners = [np.subtract(start, across), np.add(start, across), np.add(end, across), np.subtract(end, across)]
    points = [(float(c[0]), float(c[1]), float(c[2])) for c in corners]
    return Mesh.merged([panel(points, paint), panel(points[::-1], paint)])


def _face(rgb: Vec) -> Paint:
    return Paint(Label.TRAFFIC_SIGN, Surface.RETROREFLECTIVE, rgb)


_RED, _WHITE, _BLACK, _BLUE, _YELLOW, _GREY = (
    _face(rgb)
    for rgb in (
        (0.6, 0.015, 0.02),
        (0.85, 0.85, 0.85),
        (0.02, 0.02, 0.02),
        (0.01, 0.09, 0.5),
        (0.8, 0.55, 0.03),
        (0.3, 0.31, 0.32),
    )
)


def _triangle(x: float, z: float, size: float, paint: Paint, *, tip_up: bool) -> Mesh:
    up = size if tip_up else -size
    points = [(x, size, z - up * 0.58), (x, -size, z - up * 0.58), (x, 0.0, z + up * 1.15)]
    return panel(points if tip_up else points[::-1], paint)


def _stacked(*layers: Mesh) -> list[Mesh]:
    return list(layers)


def _round(radius: float, paint: Paint, layer: int) -> Mesh:
    return disc((-0.06 - 0.012 * layer, 0, _FACE_Z), _AWAY, radius, paint, sides=24)


def _plate(width: float, height: float, paint: Paint, layer: int, *, y: float = 0.0, z: float = 0.0) -> Mesh:
    return box((0.02, width, height), (-0.06 - 0.012 * layer, y, _FACE_Z + z), paint)


def _limit() -> list[Mesh]:
    """Show "30", drawn with bars."""
    rows = [(0.13, 0.17), (0.13, 0.0), (0.13, -0.17), (-0.13, 0.17), (-0.13, -0.17)]
    bars = [_plate(0.17, 0.05, _BLACK, 2, y=y, z=z) for y, z in rows]
    uprights = [_plate(0.05, 0.38, _BLACK, 2, y=y) for y in (0.07, -0.07, -0.2)]
    return [_round(0.45, _RED, 0), _round(0.35, _WHITE, 1), *bars, *uprights]


def _person(z: float, paint: Paint, layer: int) -> list[Mesh]:
    """Draw a walking figure."""
    x = -0.06 - 0.012 * layer
    limbs = [((0.0, 0.06), (0.02, -0.08)), ((0.02, -0.06), (0.13, -0.24)), ((0.0, -0.06), (-0.11, -0.24))]
    limbs += [((0.0, 0.04), (0.13, -0.04)), ((0.0, 0.04), (-0.12, -0.02))]
    parts = [_blade((x, a[0], z + a[1]), (x, b[0], z + b[1]), paint) for a, b in limbs]
    narrow = [Mesh.merged([part]) for part in parts]
    return [*narrow, disc((x, 0, z + 0.17), _AWAY, 0.07, paint, sides=10)]


_FACES: Final[dict[str, Callable[[], list[Mesh]]]] = {
    "limit": _limit,
    "stop": lambda: _stacked(
        disc((-0.06, 0, _FACE_Z), _AWAY, 0.5, _WHITE, sides=8),
        disc((-0.072, 0, _FACE_Z), _AWAY, 0.46, _RED, sides=8),
        *(_plate(0.11, 0.26, _WHITE, 2, y=y) for y in (-0.28, -0.1, 0.09, 0.27)),
    ),
    "yield": lambda: _stacked(
        _triangle(-0.07, _FACE_Z, 0.52, _RED, tip_up=False), _triangle(-0.085, _FACE_Z, 0.33, _WHITE, tip_up=False)
    ),
    "crossing": lambda: _stacked(
        _plate(0.84, 0.84, _BLUE, 0),
        _triangle(-0.09, _FACE_Z - 0.04, 0.34, _WHITE, tip_up=True),
        *_person(_FACE_Z - 0.03, _BLACK, 3),
    ),
    "no_entry": lambda: _stacked(_round(0.45, _RED, 0), _plate(0.62, 0.16, _WHITE, 1)),
    "parking": lambda: _stacked(
        _plate(0.8, 0.8, _BLUE, 0),
        _plate(0.1, 0.52, _WHITE, 1, y=0.13),
        disc((-0.08, -0.02, _FACE_Z + 0.11), _AWAY, 0.19, _WHITE),
        disc((-0.092, 0.0, _FACE_Z + 0.11), _AWAY, 0.1, _BLUE),
    ),
    "no_parking": lambda: _stacked(
        _round(0.45, _RED, 0),
        _round(0.36, _BLUE, 1),
        _blade((-0.09, 0.27, _FACE_Z + 0.27), (-0.09, -0.27, _FACE_Z - 0.27), _RED),
    ),
    "warning": lambda: _stacked(
        _triangle(-0.07, _FACE_Z - 0.08, 0.52, _RED, tip_up=True),
        _triangle(-0.085, _FACE_Z - 0.08, 0.36, _WHITE, tip_up=True),
        _plate(0.08, 0.24, _BLACK, 3, z=0.06),
        _plate(0.08, 0.08, _BLACK, 3, z=-0.16),
    ),
    "keep_right": lambda: _stacked(
        _round(0.45, _BLUE, 0),
        _blade((-0.08, 0.2, _FACE_Z + 0.2), (-0.08, -0.2, _FACE_Z - 0.2), _WHITE),
    ),
}
SIGN_KINDS: Final = tuple(_FACES)


@functools.cache
def traffic_sign(kind: str) -> Mesh:
    """Build a sign of one of SIGN_KINDS on a post."""
    back = disc((-0.035, 0, _FACE_Z), _AWAY, 0.4, _GREY, sides=12)
    return Mesh.merged([tube((0, 0, 0), (0, 0, _FACE_Z + 0.45), 0.045, POLE, sides=8), back, *_FACES[kind]()])


@functools.cache
def direction_board(colour: str = "blue") -> Mesh:
    """Build a large board that shows the way, on two posts."""
    ground = {"blue": _BLUE, "yellow": _YELLOW, "green": _face((0.01, 0.2, 0.08))}[colour]
    ink = _BLACK if colour == "yellow" else _WHITE
    parts = [tube((0, y, 0), (0, y, 3.3), 0.055, POLE, sides=8) for y in (-0.75, 0.75)]
    parts += [_plate(2.3, 1.5, ink, 0, z=0.15), _plate(2.2, 1.4, ground, 1, z=0.15)]
    for row, width in ((0.55, 1.1), (0.15, 1.35), (-0.25, 0.9)):
        parts.append(_plate(width, 0.14, ink, 2, y=-0.25, z=row))
        parts.append(_blade((-0.1, 0.9, _FACE_Z + row), (-0.1, 0.62, _FACE_Z + row + 0.05), ink))
    return Mesh.merged(parts)
