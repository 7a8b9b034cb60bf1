# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Cars of several kinds; x is forward from the middle between the axles."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_sim.materials import Label
from any2seg_sim.mesh import Mesh
from any2seg_sim.objects.hulls import Trim, arch_height, pair, seams, skin, wheel, with_arches
from any2seg_sim.shapes import ball, box, panel, sheet, slab

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from any2seg_sim.shapes import Vec

CAR_COLOURS: Final = (
    (0.75, 0.75, 0.75),
    (0.03, 0.03, 0.035),
    (0.25, 0.26, 0.28),
    (0.5, 0.03, 0.03),
    (0.03, 0.09, 0.32),
    (0.85, 0.85, 0.82),
    (0.04, 0.16, 0.09),
    (0.7, 0.3, 0.04),
    (0.32, 0.42, 0.5),
    (0.4, 0.36, 0.28),
)
_TALL_M: Final = 1.6
_NEUTRAL: Final = (0.501, 0.502, 0.503)
"""Colour in which cars are built once, before each gets its own."""


@dataclass(frozen=True)
class CarShape:
    """Measures of a car in metres.

    Attributes:
        tail, nose: ends.
        half: half the width.
        belt, roof: heights of the lower edge of the windows and of the roof.
        hood, deck: heights of the bonnet at its front and of the boot at its rear.
        glass: x of the windows' front and rear at the belt, then at the roof.
        wheel: radius.
        axle: half the wheelbase.
        quarter: whether there are windows behind the rear doors.
    """

    tail: float
    nose: float
    half: float
    belt: float
    roof: float
    hood: float
    deck: float
    glass: tuple[float, float, float, float]
    wheel: float = 0.32
    axle: float = 1.34
    quarter: bool = False


CAR_SHAPES: Final = {
    "sedan": CarShape(-2.3, 2.2, 0.9, 0.93, 1.46, 0.76, 0.97, (1.12, -1.82, 0.25, -1.1)),
    "hatchback": CarShape(-1.95, 2.0, 0.88, 0.95, 1.5, 0.78, 0.97, (1.1, -1.86, 0.25, -1.55)),
    "estate": CarShape(-2.3, 2.25, 0.9, 0.94, 1.5, 0.77, 0.96, (1.15, -2.22, 0.3, -1.95), quarter=True),
    "suv": CarShape(-2.2, 2.2, 0.94, 1.08, 1.72, 0.97, 1.1, (1.1, -2.08, 0.35, -1.8), 0.38, 1.36, quarter=True),
    "van": CarShape(-2.45, 2.25, 0.97, 1.12, 1.98, 0.95, 1.14, (1.65, -2.4, 0.75, -2.3), 0.34, 1.5, quarter=True),
    "city": CarShape(-1.72, 1.72, 0.82, 0.96, 1.52, 0.82, 0.98, (1.15, -1.64, 0.35, -1.4), 0.29, 1.2),
    "coupe": CarShape(-2.15, 2.2, 0.91, 0.9, 1.32, 0.7, 0.98, (0.95, -1.75, 0.0, -0.75), 0.34, 1.3),
}


def _lower(shape: CarShape, trim: Trim) -> Mesh:
    """Build all below the windows, from bumper to bumper."""
    tail, nose, hub, arch = shape.tail, shape.nose, shape.wheel, shape.wheel + 0.075
    axles = (-shape.axle, shape.axle)
    base = np.array([tail, tail + 0.03, tail + 0.1, tail + 0.25, -0.55, 0.0, 0.55])
    front = nose - np.array([0.45, 0.28, 0.15, 0.06, 0.02, 0.0])
    x = with_arches(np.concatenate([base, front]), axles, arch)
    ends = [tail, tail + 0.04, tail + 0.14, tail + 0.5, nose - 0.7, nose - 0.3, nose - 0.1, nose - 0.03, nose]
    wide = shape.half * np.interp(x, ends, [0.86, 0.92, 0.96, 1.0, 1.0, 0.955, 0.87, 0.79, 0.72])
    rear_glass, front_glass = shape.glass[1], shape.glass[0]
    places = [
        tail,
        tail + 0.05,
        tail + 0.16,
        rear_glass + 0.05,
        front_glass - 0.1,
        nose - 0.35,
        nose - 0.12,
        nose - 0.03,
        nose,
    ]
    heights = [shape.deck - 0.1, shape.deck - 0.03, shape.deck, shape.belt + 0.02, shape.belt + 0.02]
    heights += [shape.hood + 0.03, shape.hood - 0.04, shape.hood - 0.11, shape.hood - 0.17]
    top = np.interp(x, places, heights)
    sill = np.interp(
        x, [tail, tail + 0.12, tail + 0.5, nose - 0.5, nose - 0.1, nose], [0.4, 0.27, 0.2, 0.19, 0.23, 0.32]
    )
    low = arch_height(x, sill, axles, arch, hub)
    shoulder = np.maximum(top - 0.05, low + 0.16)
    middle = np.maximum(0.5 * (0.3 + shoulder), low + 0.09)
    half = np.stack(
        [
            np.stack([0.6 * wide, low], 1),
            np.stack([wide - 0.03, low], 1),
            np.stack([wide - 0.005, np.minimum(low + 0.07, middle - 0.02)], 1),
            np.stack([wide, middle], 1),
            np.stack([wide - 0.008, np.maximum(shoulder - 0.17, middle + 0.01)], 1),
            np.stack([wide - 0.02, shoulder - 0.05], 1),
            np.stack([wide - 0.07, shoulder + 0.02], 1),
            np.stack([0.66 * wide, np.maximum(top + 0.015, shoulder + 0.03)], 1),
            np.stack([0.0 * wide, np.maximum(top + 0.03, shoulder + 0.04)], 1),
        ],
        1,
    )
    cells = np.zeros((len(x) - 1, 8), np.int64)
    cells[:, 0] = 1
    cells[x[:-1] > nose - 0.3, 4] = 2
    cells[x[1:] < tail + 0.26, 4 if shape.roof < _TALL_M else slice(3, 5)] = 3
    return skin(half, x, cells, [trim.body, trim.dark, trim.white, trim.red])


def _outline(shape: CarShape, share: float, scale: float = 1.0) -> NDArray[np.float64]:
    """Give points (22, 2) round the cabin anticlockwise from the middle of the windscreen; share 0 is the belt."""
    front, rear = (shape.glass[i] + share * (shape.glass[i + 2] - shape.glass[i]) for i in range(2))
    wide = shape.half - 0.075 - share * (0.14 if shape.roof < 1.9 else 0.09)
    middle, behind = front + 0.47 * (rear - front), front + 0.81 * (rear - front)
    left = [(front, 0.0), (front - 0.03, 0.5), (front - 0.1, 0.87), (front - 0.2, 0.985), (middle + 0.05, 1.0)]
    left += [(middle - 0.05, 1.0), (behind + 0.05, 0.99), (behind - 0.06, 0.985), (rear + 0.13, 0.96)]
    left += [(rear + 0.05, 0.86), (rear, 0.5), (rear, 0.0)]
    points = np.array([(x, y * wide) for x, y in left])
    whole = np.concatenate([points, points[-2:0:-1] * (1.0, -1.0)])
    centre = np.array(((front + rear) / 2, 0.0))
    return np.asarray(centre + (whole - centre) * scale)


def _cabin(shape: CarShape, trim: Trim) -> Mesh:
    """Build windows, pillars and roof as one skin."""
    tall = shape.roof - shape.belt
    levels = [(-0.06, 0.0, 1.0), (0.035, 0.05, 1.0), (0.5 * tall, 0.5, 1.0), (tall - 0.1, 0.86, 1.0)]
    levels += [(tall - 0.04, 0.95, 0.985), (tall - 0.01, 1.0, 0.93), (tall + 0.015, 1.0, 0.7), (tall + 0.03, 1.0, 0.3)]
    rows = []
    for z, share, scale in levels:
        outline = _outline(shape, share, scale)
        rows.append(np.concatenate([outline, np.full((len(outline), 1), shape.belt + z)], 1))
    points = np.stack(rows)
    half = [1, 1, 0, 1, 2, 1, 2, 1 if shape.quarter else 0, 0, 1, 1]
    glazed = np.array([*half, *half[::-1]])
    cells = np.zeros((len(levels) - 1, len(glazed)), np.int64)
    cells[1:3] = glazed
    roof = panel([(p[0], p[1], p[2]) for p in points[-1]], trim.body)
    return Mesh.merged([sheet(points, cells, [trim.body, trim.glass, trim.dark], closed=True), roof])


def _details(shape: CarShape, trim: Trim) -> list[Mesh]:
    """Add lamps, grille, plates, mirrors, handles and gaps of doors."""
    tail, nose, half, hood, deck = shape.tail, shape.nose, shape.half, shape.hood, shape.deck
    parts = [
        slab((tail + 0.2, nose - 0.25), (-0.62 * half, 0.62 * half), (0.17, 0.45), trim.dark),
        slab((nose - 0.08, nose + 0.015), (-0.56 * half, 0.56 * half), (hood - 0.29, hood - 0.185), trim.dark),
        slab((nose - 0.1, nose + 0.012), (-0.62 * half, 0.62 * half), (0.24, 0.36), trim.dark),
        slab((nose - 0.05, nose + 0.025), (-0.26, 0.26), (0.4, 0.5), trim.plate),
        slab((tail - 0.012, tail + 0.05), (-0.26, 0.26), (deck - 0.34, deck - 0.23), trim.plate),
        slab((tail - 0.008, tail + 0.1), (-0.7 * half, 0.7 * half), (0.36, 0.46), trim.dark),
        slab((nose - 0.02, nose + 0.022), (-0.06, 0.06), (hood - 0.26, hood - 0.2), trim.rim),
    ]
    for side in (-1.0, 1.0):
        near, far = 0.42 * half, 0.73 * half
        front = hood - 0.26, hood - 0.18
        parts.append(slab((nose - 0.03, nose + 0.008), pair(side * near, side * far), front, trim.white))
        rear = deck - (0.27 if shape.roof < _TALL_M else 0.45), deck - 0.145
        parts.append(slab((tail - 0.008, tail + 0.03), pair(side * 0.55 * half, side * 0.86 * half), rear, trim.red))
        parts.append(slab((nose - 0.02, nose + 0.012), pair(side * 0.6 * half, side * far), (0.4, 0.44), trim.amber))
        mirror = (shape.glass[0] - 0.32, side * (half + 0.06), shape.belt + 0.07)
        parts.append(ball(mirror, (0.08, 0.12, 0.085), trim.body, level=0))
        parts.append(box((0.03, 0.15, 0.11), (mirror[0] - 0.06, mirror[1], mirror[2]), trim.dark))
        middle = shape.glass[0] + 0.47 * (shape.glass[1] - shape.glass[0])
        places = (middle + 0.16, middle - 0.95 if shape.half > 0.85 else middle - 0.6)
        parts += [box((0.16, 0.02, 0.028), (x, side * (half - 0.008), shape.belt - 0.11), trim.rim) for x in places]
    middle = shape.glass[0] + 0.47 * (shape.glass[1] - shape.glass[0])
    return [*parts, *seams((middle, shape.glass[0] - 0.28, middle - 1.0), half, (0.34, shape.belt - 0.04), trim.dark)]


@functools.cache
def _built(kind: str) -> Mesh:
    shape, trim = CAR_SHAPES[kind], Trim.of(Label.CARS, _NEUTRAL)
    parts = [_lower(shape, trim), _cabin(shape, trim), *_details(shape, trim)]
    for axle in (-shape.axle, shape.axle):
        parts += [wheel(axle, side * (shape.half - 0.11), shape.wheel, 0.2, trim) for side in (-1.0, 1.0)]
        parts.append(slab((axle - 0.3, axle + 0.3), (-shape.half + 0.22, shape.half - 0.22), (0.25, 0.68), trim.dark))
    return Mesh.merged(parts)


def car(kind: str, rgb: Vec) -> Mesh:
    """Build a car of one of CAR_SHAPES."""
    return _built(kind).recoloured(_NEUTRAL, rgb)


def headlight_places(kind: str) -> tuple[Vec, Vec]:
    """Give the places of a car's headlights."""
    shape = CAR_SHAPES[kind]
    x, y, z = shape.nose + 0.03, 0.6 * shape.half, shape.hood - 0.22
    return (x, y, z), (x, -y, z)
