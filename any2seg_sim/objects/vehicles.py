# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Cars, vans, buses, trucks, bicycles and motorcycles."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_sim.materials import Label, Paint, Surface
from any2seg_sim.mesh import Mesh
from any2seg_sim.objects.people import rider
from any2seg_sim.shapes import box, disc, loft, panel, slab, tube

if TYPE_CHECKING:
    from numpy.typing import NDArray

CAR_COLOURS: Final = (
    (0.75, 0.75, 0.75),
    (0.03, 0.03, 0.035),
    (0.25, 0.26, 0.28),
    (0.5, 0.03, 0.03),
    (0.03, 0.09, 0.32),
    (0.85, 0.85, 0.82),
    (0.04, 0.16, 0.09),
    (0.7, 0.3, 0.04),
)


@dataclass(frozen=True)
class CarShape:
    """Measures of a car in metres; x is forward from the middle of the wheelbase.

    Attributes:
        stations: rows of x, half width, underside and upper edge of the lower body, from tail to nose.
        cabin: x of the rear and front edge of the greenhouse at the belt line, then at the roof.
        belt, roof: heights of the belt line and the roof.
        axles: x of the rear and front axle.
    """

    stations: tuple[tuple[float, float, float, float], ...]
    cabin: tuple[float, float, float, float]
    belt: float
    roof: float
    axles: tuple[float, float]
    wheel_radius: float


def _shape(tail: float, nose: float, deck: float, hood: float, cabin: tuple[float, ...], roof: float) -> CarShape:
    """Fill in the lower body's stations between the tail and the nose."""
    belt, width = (0.92 if roof < 1.6 else 1.05), (0.9 if roof < 1.9 else 0.98)
    stations = (
        (tail, width - 0.14, 0.42, deck - 0.14),
        (tail + 0.12, width - 0.03, 0.3, deck),
        (tail + 0.7, width, 0.22, belt),
        (0.5, width, 0.2, belt),
        (1.0, width, 0.2, hood + 0.06),
        (nose - 0.4, width - 0.03, 0.22, hood - 0.04),
        (nose - 0.08, width - 0.1, 0.3, hood - 0.16),
        (nose, width - 0.2, 0.4, hood - 0.3),
    )
    reach = (cabin[0], cabin[1], cabin[2], cabin[3])
    return CarShape(stations, reach, belt, roof, (-1.35, 1.35), 0.33 if roof < 1.6 else 0.37)


CAR_SHAPES: Final = {
    "sedan": _shape(-2.3, 2.25, 0.95, 0.88, (-1.85, 1.15, -1.05, 0.35), 1.45),
    "hatchback": _shape(-2.0, 2.0, 0.95, 0.9, (-1.9, 1.1, -1.5, 0.3), 1.48),
    "estate": _shape(-2.35, 2.25, 0.95, 0.88, (-2.25, 1.15, -1.9, 0.35), 1.5),
    "suv": _shape(-2.2, 2.2, 1.08, 1.05, (-2.1, 1.05, -1.8, 0.4), 1.75),
    "van": _shape(-2.5, 2.35, 1.08, 1.1, (-2.48, 1.55, -2.4, 0.75), 2.05),
}


def _glass(label: Label) -> Paint:
    return Paint(label, Surface.GLASS, (0.03, 0.035, 0.04))


def _inset(corners: NDArray[np.floating], across: tuple[float, float], up: tuple[float, float], paint: Paint) -> Mesh:
    """Lay a pane on part of a quad; corners run bottom left, bottom right, top right, top left from outside."""
    bottom_left, bottom_right, top_right, top_left = corners
    normal = np.cross(bottom_right - bottom_left, top_left - bottom_left)
    lift = 0.012 * normal / np.linalg.norm(normal)

    def at(u: float, v: float) -> tuple[float, float, float]:
        point = (1 - v) * ((1 - u) * bottom_left + u * bottom_right) + v * ((1 - u) * top_left + u * top_right) + lift
        return float(point[0]), float(point[1]), float(point[2])

    (u0, u1), (v0, v1) = across, up
    return panel([at(u0, v0), at(u1, v0), at(u1, v1), at(u0, v1)], paint)


def _greenhouse(shape: CarShape, half_width: float, paint: Paint) -> Mesh:
    """Build the cabin: a tapered block with a windscreen, a rear window and two panes a side."""
    rear, front, roof_rear, roof_front = shape.cabin
    low, high = half_width - 0.06, half_width - 0.22
    bottom = np.array(
        [(front, -low, shape.belt), (front, low, shape.belt), (rear, low, shape.belt), (rear, -low, shape.belt)]
    )
    top = np.array([(roof_front, -high, 0), (roof_front, high, 0), (roof_rear, high, 0), (roof_rear, -high, 0)])
    top[:, 2] = shape.roof
    quads = [np.array([bottom[i], bottom[(i + 1) % 4], top[(i + 1) % 4], top[i]]) for i in range(4)]
    glass = _glass(paint.label)
    panes = [_inset(quads[0], (0.05, 0.95), (0.06, 0.9), glass), _inset(quads[2], (0.08, 0.92), (0.2, 0.88), glass)]
    for side in (quads[1], quads[3]):
        panes += [_inset(side, span, (0.08, 0.86), glass) for span in ((0.07, 0.48), (0.53, 0.93))]
    return Mesh.merged([loft(np.stack([bottom, top]), paint, sharp=True), *panes])


def wheel(x: float, y: float, radius: float, width: float, label: Label) -> Mesh:
    """Build a tyre with a light rim and a dark arch behind it, at the ground below (x, y)."""
    outward = 1.0 if y > 0 else -1.0
    outer = y + outward * width / 2
    parts = [
        tube((x, y - width / 2, radius), (x, y + width / 2, radius), radius, _rubber(label), sides=16),
        disc((x, outer, radius), (0, outward, 0), radius * 0.62, _rim(label), sides=12, thickness=0.03),
        disc((x, outer, radius), (0, outward, 0), radius * 0.18, _rubber(label), sides=8, thickness=0.05),
    ]
    return Mesh.merged(parts)


def _rubber(label: Label) -> Paint:
    return Paint(label, Surface.RUBBER, (0.02, 0.02, 0.02))


def _rim(label: Label) -> Paint:
    return Paint(label, Surface.CAR_PAINT, (0.45, 0.45, 0.47))


def _body_section(half: float, low: float, high: float) -> list[tuple[float, float]]:
    right = [(half, low + 0.1), (half, high - 0.16), (0.95 * half, high - 0.03), (0.82 * half, high)]
    left = [(-y, z) for y, z in reversed(right)]
    return [*right, *left, (-0.88 * half, low), (0.88 * half, low)]


def _lamps(shape: CarShape, label: Label) -> list[Mesh]:
    tail, half, _, top = shape.stations[0]
    nose, nose_half, _, hood = shape.stations[-1]
    red = Paint(label, Surface.RETROREFLECTIVE, (0.55, 0.02, 0.02))
    white = Paint(label, Surface.LAMP, (0.9, 0.9, 0.85))
    plate = Paint(label, Surface.RETROREFLECTIVE, (0.8, 0.8, 0.75))
    dark = Paint(label, Surface.PLAIN, (0.02, 0.02, 0.02))
    parts = [
        box((0.04, 0.52, 0.12), (tail - 0.01, 0, 0.62), plate),
        box((0.04, 0.5, 0.11), (nose + 0.01, 0, 0.5), plate),
        box((0.06, 2 * nose_half - 0.5, 0.12), (nose + 0.0, 0, 0.64), dark),
        box((0.1, 2 * half - 0.2, 0.14), (tail + 0.02, 0, 0.42), dark),
    ]
    for side in (-1, 1):
        parts.append(box((0.1, 0.26, 0.16), (tail + 0.02, side * (half - 0.12), top - 0.12), red))
        parts.append(box((0.24, 0.34, 0.13), (nose - 0.06, side * (nose_half - 0.02), hood + 0.07), white))
    return parts


def car(kind: str, rgb: tuple[float, float, float], *, label: Label = Label.CARS) -> Mesh:
    """Build a car of one of CAR_SHAPES."""
    shape = CAR_SHAPES[kind]
    paint = Paint(label, Surface.CAR_PAINT, rgb)
    rings = np.array([[(x, y, z) for y, z in _body_section(half, lo, hi)] for x, half, lo, hi in shape.stations])
    half = shape.stations[3][1]
    parts = [loft(rings, paint, sharp=True), _greenhouse(shape, half, paint), *_lamps(shape, label)]
    dark = Paint(label, Surface.PLAIN, (0.015, 0.015, 0.015))
    for axle in shape.axles:
        for side in (-1, 1):
            arch = (axle, side * (half + 0.002), shape.wheel_radius + 0.07)
            parts.append(disc(arch, (0, side, 0), shape.wheel_radius + 0.06, dark, thickness=0.01))
            parts.append(wheel(axle, side * (half - 0.07), shape.wheel_radius, 0.2, label))
    mirror = shape.cabin[1] - 0.35, half + 0.06, shape.belt + 0.06
    parts += [box((0.12, 0.2, 0.13), (mirror[0], side * mirror[1], mirror[2]), paint) for side in (-1, 1)]
    return Mesh.merged(parts)


def bus(rgb: tuple[float, float, float]) -> Mesh:
    """Build a city bus, 11 m long."""
    label = Label.BUS
    paint, glass = Paint(label, Surface.CAR_PAINT, rgb), _glass(label)
    white = Paint(label, Surface.CAR_PAINT, (0.75, 0.75, 0.72))
    sign = Paint(label, Surface.LAMP, (0.9, 0.45, 0.05))
    red = Paint(label, Surface.RETROREFLECTIVE, (0.55, 0.02, 0.02))
    parts = [
        slab((-5.5, 5.5), (-1.25, 1.25), (0.35, 1.25), paint),
        slab((-5.5, 5.45), (-1.24, 1.24), (1.25, 2.95), white),
        slab((-4.8, 2.5), (-0.8, 0.8), (2.95, 3.2), white),
        slab((5.44, 5.47), (-1.1, 1.1), (1.15, 2.45), glass),
        slab((5.44, 5.48), (-0.8, 0.8), (2.53, 2.83), sign),
        slab((-5.52, -5.48), (-0.95, 0.95), (1.6, 2.5), glass),
    ]
    for side in (-1.25, 1.25):
        parts += [slab((x, x + 1.3), (side - 0.012, side + 0.012), (1.4, 2.5), glass) for x in np.arange(-5.2, 5, 1.5)]
        parts += [wheel(x, side - np.sign(side) * 0.12, 0.5, 0.3, label) for x in (-3.2, 3.3)]
        parts.append(slab((-5.53, -5.47), (side - 0.12, side + 0.12), (0.8, 1.2), red))
        lamp = Paint(label, Surface.LAMP, (0.9, 0.9, 0.85))
        parts.append(box((0.08, 0.35, 0.2), (5.5, np.sign(side) * 0.9, 0.7), lamp))
    for x in (1.2, 4.2):
        parts.append(slab((x, x + 1.1), (-1.275, -1.245), (0.45, 2.5), glass))
    return Mesh.merged(parts)


def truck(rgb: tuple[float, float, float]) -> Mesh:
    """Build a delivery truck with a cab and a box, 7.5 m long."""
    label = Label.TRUCK
    paint, glass = Paint(label, Surface.CAR_PAINT, rgb), _glass(label)
    cargo = Paint(label, Surface.PLAIN, (0.7, 0.7, 0.68))
    dark = Paint(label, Surface.PLAIN, (0.04, 0.04, 0.045))
    stripe = Paint(label, Surface.PLAIN, rgb)
    red = Paint(label, Surface.RETROREFLECTIVE, (0.55, 0.02, 0.02))
    outline = [(1.9, 0.5), (3.75, 0.5), (3.75, 1.45), (3.4, 2.5), (1.9, 2.6)]
    rings = np.array([[(x, y, z) for x, z in outline] for y in (1.1, -1.1)])
    parts = [
        loft(rings, paint, sharp=True),
        slab((-3.75, 1.8), (-1.25, 1.25), (0.95, 3.3), cargo),
        slab((-3.75, 1.8), (-1.26, 1.26), (1.5, 1.9), stripe),
        slab((-3.7, 3.5), (-0.5, 0.5), (0.5, 0.95), dark),
        _inset(np.array([(3.75, -1.1, 1.45), (3.75, 1.1, 1.45), (3.4, 1.1, 2.5), (3.4, -1.1, 2.5)]), *_FULL, glass),
        slab((3.74, 3.78), (-0.8, 0.8), (0.6, 0.95), dark),
        slab((-3.78, -3.74), (-0.02, 0.02), (1.0, 3.25), dark),
    ]
    for side in (-1, 1):
        parts.append(slab((2.3, 3.2), (side * 1.105 - 0.01, side * 1.105 + 0.01), (1.5, 2.3), glass))
        parts += [wheel(x, side * 0.98, 0.45, 0.3, label) for x in (-2.6, -1.6, 2.7)]
        parts.append(box((0.06, 0.3, 0.15), (-3.78, side * 0.95, 0.85), red))
        parts.append(box((0.08, 0.3, 0.2), (3.76, side * 0.85, 0.8), Paint(label, Surface.LAMP, (0.9, 0.9, 0.85))))
    return Mesh.merged(parts)


_FULL: Final = ((0.06, 0.94), (0.04, 0.9))


def _spoked_wheel(x: float, radius: float) -> Mesh:
    """Build a thin wheel with spokes in the x-z plane."""
    turn = np.linspace(0, 2 * np.pi, 17)
    rim = np.stack([x + radius * np.cos(turn), np.zeros(17), radius + radius * np.sin(turn)], 1)
    tyre, steel = _rubber(Label.TWO_WHEELER), _rim(Label.TWO_WHEELER)
    parts = [tube(tuple(a), tuple(b), 0.03, tyre, sides=5) for a, b in itertools.pairwise(rim)]
    parts += [tube(tuple(rim[i]), tuple(rim[i + 8]), 0.008, steel, sides=4) for i in range(0, 8, 2)]
    return Mesh.merged(parts)


def bicycle(rgb: tuple[float, float, float], *, ridden: tuple[float, float, float] | None = None) -> Mesh:
    """Build a bicycle, with a rider in a jacket of the colour `ridden` if given."""
    frame = Paint(Label.TWO_WHEELER, Surface.CAR_PAINT, rgb)
    dark = _rubber(Label.TWO_WHEELER)
    hub, front, crank, seat, head = (-0.52, 0, 0.34), (0.55, 0, 0.34), (-0.05, 0, 0.3), (-0.2, 0, 0.85), (0.4, 0, 0.85)
    bars = [(hub, crank), (crank, seat), (seat, head), (crank, head), (hub, seat), (head, front)]
    parts = [tube(a, b, 0.025, frame, sides=6) for a, b in bars]
    parts += [_spoked_wheel(-0.52, 0.34), _spoked_wheel(0.55, 0.34)]
    parts.append(box((0.26, 0.14, 0.06), (-0.22, 0, 0.92), dark))
    parts.append(tube((0.38, -0.28, 1.02), (0.38, 0.28, 1.02), 0.02, dark, sides=6))
    parts.append(tube(head, (0.38, 0, 1.02), 0.022, frame, sides=6))
    if ridden is not None:
        parts.append(rider(ridden))
    return Mesh.merged(parts)


def motorcycle(rgb: tuple[float, float, float]) -> Mesh:
    """Build a parked motorcycle."""
    label = Label.TWO_WHEELER
    paint, dark = Paint(label, Surface.CAR_PAINT, rgb), _rubber(label)
    steel = _rim(label)
    parts = [tube((x, -0.08, 0.32), (x, 0.08, 0.32), 0.32, dark, sides=16) for x in (-0.7, 0.72)]
    parts += [disc((x, s * 0.085, 0.32), (0, s, 0), 0.19, steel, sides=12) for x in (-0.7, 0.72) for s in (-1, 1)]
    parts.append(slab((-0.3, 0.35), (-0.16, 0.16), (0.3, 0.68), steel))
    parts.append(slab((0.0, 0.45), (-0.17, 0.17), (0.68, 0.95), paint))
    parts.append(slab((-0.75, 0.0), (-0.14, 0.14), (0.72, 0.84), dark))
    parts.append(slab((-0.95, -0.6), (-0.1, 0.1), (0.62, 0.74), paint))
    parts += [tube((0.45, s * 0.1, 0.95), (0.72, s * 0.1, 0.32), 0.03, steel, sides=6) for s in (-1, 1)]
    parts.append(tube((0.4, -0.36, 1.05), (0.4, 0.36, 1.05), 0.02, dark, sides=6))
    parts.append(box((0.12, 0.2, 0.18), (0.55, 0, 0.92), Paint(label, Surface.LAMP, (0.9, 0.9, 0.85))))
    return Mesh.merged(parts)
