# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The edge of the road: parked vehicles, bus stops, road works, and barriers where nobody may park."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

from any2seg_sim.kerbside import facing, kerb_free
from any2seg_sim.mesh import Mesh
from any2seg_sim.objects.barriers import guard_rail, railing
from any2seg_sim.objects.bikes import motorcycle, scooter
from any2seg_sim.objects.cars import CAR_COLOURS
from any2seg_sim.objects.clutter import street_works
from any2seg_sim.objects.furniture import bus_shelter, skip
from any2seg_sim.objects.heavy import BUS_COLOURS, TRUCK_COLOURS, TRUCKS, bus, truck
from any2seg_sim.world.measures import KERB_M, MARKED_M, PARKED_M, SHELTER_M, SIDEWALK_Z
from any2seg_sim.world.roads import along, on_road
from any2seg_sim.world.stock import some_car

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from any2seg_sim.world.plan import Street

_BAYS: Final = (
    "car",
    "bikes",
    "truck",
    "works",
    "car",
    "rail",
    "car",
    "skip",
    "bus",
    "car",
    "bikes",
    "railing",
    "works",
)
"""What follows what along the edge of a road."""
_OPEN: Final = ("rail", "railing", "rail", "railing", "works", "free")
"""What may stand where there is something to see behind the pavement."""
_LENGTH_M: Final = {"bus": 12.6, "truck": 8.6, "works": 6.4, "rail": 11.0, "railing": 9.0, "skip": 4.4, "bikes": 4.6}
_CAR_M: Final = 5.0
_BARRIER_M: Final = KERB_M + 0.25
_CORNER_M: Final = 9.0
_MOTORCYCLES: Final = 0.6
"""Share of motorcycles among them and scooters."""
_RAILED: Final = 0.8
"""Share of mouths with a railing that keeps people on the pavement."""


class Bay(NamedTuple):
    """A piece of a road's edge: what it is used for, and where it begins and how long it is, metres."""

    kind: str
    start: float
    length: float


def bays(rng: np.random.Generator, street: Street, side: int, open_spans: Sequence[tuple[float, float]]) -> list[Bay]:
    """Deal bays along one edge of a street.

    Args:
        rng: draws what they are used for.
        street: the street.
        side: 1 for the left of its path, -1 for the right.
        open_spans: where there is something to see behind the pavement.
    """
    found: list[Bay] = []
    start, end = 3.0, street.path.length - 3.0
    if street.joins[0] and rng.random() < _RAILED:
        found.append(Bay("railing", MARKED_M + 1.0, _CORNER_M))
        start = MARKED_M + 1.5 + _CORNER_M
    if street.joins[1] and rng.random() < _RAILED:
        end = street.path.length - MARKED_M - 1.0 - _CORNER_M
        found.append(Bay("railing", end, _CORNER_M))
    count = int(rng.integers(len(_BAYS))) + (side > 0) * len(_BAYS) // 2
    while start < end:
        kind = _BAYS[count % len(_BAYS)]
        if any(low - 4.0 < start < high for low, high in open_spans):
            kind = _OPEN[rng.integers(len(_OPEN))]
        length = _LENGTH_M.get(kind, _CAR_M)
        if start + length > end or not kerb_free(street, start + length / 2, length / 2):
            start += 1.5
            continue
        found.append(Bay(kind, start, length))
        count += 1
        start += length + float(rng.uniform(0.5, 1.4))
    return found


def _standing(rng: np.random.Generator, kind: str) -> Mesh | None:
    """Pick what stands in a bay."""
    if kind == "bus":
        return bus(BUS_COLOURS[rng.integers(len(BUS_COLOURS))])
    if kind == "truck":
        return truck(TRUCK_COLOURS[rng.integers(len(TRUCK_COLOURS))], kind=TRUCKS[rng.integers(len(TRUCKS))])
    if kind in ("works", "skip"):
        return street_works() if kind == "works" else skip()
    if kind == "bikes":
        return _bikes(rng)
    return some_car(rng) if kind == "car" and rng.random() < 0.8 else None


def _bikes(rng: np.random.Generator) -> Mesh:
    """Build a row of motorcycles and scooters that stand aslant in a bay."""
    row = []
    for place in (-1.65, -0.55, 0.55, 1.65):
        build = motorcycle if rng.random() < _MOTORCYCLES else scooter
        colour = CAR_COLOURS[rng.integers(len(CAR_COLOURS))]
        row.append(build(colour).moved(yaw=1.1 + float(rng.normal(0.0, 0.05))).moved(place))
    return Mesh.merged(row)


def park_along(
    rng: np.random.Generator, street: Street, side: int, open_spans: Sequence[tuple[float, float]]
) -> tuple[list[Mesh], list[tuple[float, float]]]:
    """Use one edge of a street, see bays; give meshes, and where shelters stand on the pavement."""
    parts: list[Mesh] = []
    taken: list[tuple[float, float]] = []
    for kind, start, length in bays(rng, street, side, open_spans):
        middle = start + length / 2
        if kind in ("rail", "railing"):
            barrier = guard_rail(length) if kind == "rail" else railing(length)
            parts.append(along(street.path, barrier, start, length, side, _BARRIER_M, SIDEWALK_Z))
        mesh = _standing(rng, kind)
        if mesh is not None:
            large = kind in ("bus", "truck")
            away = PARKED_M - 0.12 if large else PARKED_M + float(rng.uniform(-0.06, 0.06))
            turn = (0.0 if large else float(rng.normal(0.0, 0.01))) + (0.0 if side < 0 else math.pi)
            parts.append(on_road(street.path, mesh, middle, side * away, yaw=turn))
        if kind == "bus":
            parts.append(facing(street, bus_shelter(), middle, side, SHELTER_M))
            taken.append((middle - 3.0, middle + 3.0))
    return parts, taken
