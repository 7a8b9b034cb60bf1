# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The street itself: road, markings, kerbs, lots on both sides, furniture and parked vehicles."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_sim.lots import FRONT_M, GRASS, LOTS, RAILWAY_M, SIDEWALK_Z, dealt, lawn, railway
from any2seg_sim.materials import Label, Paint, Surface
from any2seg_sim.mesh import Mesh
from any2seg_sim.objects.buildings import building, footbridge
from any2seg_sim.objects.furniture import (
    SIGN_KINDS,
    bench,
    bus_shelter,
    hydrant,
    litter_bin,
    rubbish,
    street_lamp,
    traffic_light,
    traffic_sign,
)
from any2seg_sim.objects.plants import tree
from any2seg_sim.objects.vehicles import CAR_COLOURS, CAR_SHAPES, bicycle, bus, car, motorcycle, truck
from any2seg_sim.shapes import panel, slab

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

KERB_M: Final = 5.9
LANE_M: Final = 3.5
PARKED_M: Final = 4.75
FURNITURE_M: Final = 6.45
START_M: Final = -36.0
"""The street begins this far behind the ego vehicle's start, a multiple of the window pitch."""
ASPHALT: Final = Paint(Label.ROAD, Surface.ASPHALT, (0.17, 0.17, 0.175))
PAVEMENT: Final = Paint(Label.SIDE_WALK, Surface.PAVING, (0.36, 0.35, 0.33))
MARKING: Final = Paint(Label.ROAD_LINE, Surface.RETROREFLECTIVE, (0.7, 0.7, 0.68))
_MARKING_Z: Final = 0.004


def beside(mesh: Mesh, x: float, side: int, away: float, z: float = 0.0) -> Mesh:
    """Place what is built facing -y beside the road, turned to face it: side +1 is left, -1 right."""
    return mesh.moved(x, side * away, z, yaw=0.0 if side > 0 else math.pi)


def _stripe(x: tuple[float, float], y: tuple[float, float]) -> Mesh:
    z = _MARKING_Z
    return panel([(x[0], y[0], z), (x[1], y[0], z), (x[1], y[1], z), (x[0], y[1], z)], MARKING)


def _zebra(x: float) -> list[Mesh]:
    bars = [_stripe((x - 1.6, x + 1.6), (y, y + 0.5)) for y in np.arange(-KERB_M + 0.3, KERB_M - 0.4, 1.0)]
    return [*bars, _stripe((x - 3.0, x - 2.6), (-LANE_M, -0.1)), _stripe((x + 2.6, x + 3.0), (0.1, LANE_M))]


def road(start: float, end: float, crossings: Sequence[float], rails: float) -> Mesh:
    """Build the carriageway with its markings, zebra crossings and the rails of a level crossing."""
    parts = [slab((start, end), (-KERB_M, KERB_M), (-0.4, 0.0), ASPHALT)]
    free = [x for x in np.arange(start, end, 6.0) if min(abs(x + 1.5 - other) for other in (*crossings, rails)) > 5.0]
    parts += [_stripe((x, x + 3.0), (-0.07, 0.07)) for x in free]
    edges = [start, *sorted((*crossings, rails)), end]
    for before, after in itertools.pairwise(edges):
        if after - before > 8:
            parts += [_stripe((before + 4, after - 4), (y - 0.06, y + 0.06)) for y in (-LANE_M, LANE_M)]
    for x in crossings:
        parts += _zebra(x)
    steel = Paint(Label.RAIL_TRACK, Surface.PLAIN, (0.28, 0.25, 0.23))
    bed = Paint(Label.RAIL_TRACK, Surface.ASPHALT, (0.09, 0.09, 0.09))
    low = rails - RAILWAY_M / 2
    parts.append(slab((low + 1.8, low + 4.2), (-FRONT_M, FRONT_M), (-0.1, 0.006), bed))
    parts += [slab((low + x, low + x + 0.1), (-FRONT_M, FRONT_M), (0, 0.012), steel) for x in (2.25, 3.65)]
    return Mesh.merged([*parts, _stripe((rails - 4.4, rails - 4.0), (-LANE_M, -0.1))])


def _sidewalks(start: float, end: float, rails: float) -> Mesh:
    kerb = Paint(Label.SIDE_WALK, Surface.PLAIN, (0.42, 0.41, 0.4))
    parts = []
    for side in (-1, 1):
        near, far = sorted((side * (KERB_M + 0.2), side * FRONT_M))
        edge = sorted((side * KERB_M, side * (KERB_M + 0.2)))
        for span in ((start, rails - RAILWAY_M / 2), (rails + RAILWAY_M / 2, end)):
            parts.append(slab(span, (near, far), (-0.4, SIDEWALK_Z), PAVEMENT))
            parts.append(slab(span, (edge[0], edge[1]), (-0.4, SIDEWALK_Z + 0.01), kerb))
        parts.append(slab((rails - RAILWAY_M / 2, rails + RAILWAY_M / 2), (near, far), (-0.4, 0.0), ASPHALT))
    return Mesh.merged(parts)


def lots(rng: np.random.Generator, deck: list[str], end: float, rails: float, side: int) -> Mesh:
    """Fill one side of the street with the lots of the deck, then any, leaving the railway its place."""
    gap, names = rails - RAILWAY_M / 2, list(LOTS)
    parts, x = [], START_M
    while x < end:
        name = deck.pop() if deck else names[rng.integers(len(names))]
        length, lot = LOTS[name](rng)
        if x < gap < x + length:
            deck.append(name)
            length, lot = lawn(rng, gap - x)
        parts.append(beside(lot, x if side > 0 else x + length, side, 0.0))
        x += length
        x += RAILWAY_M if x == gap else 0.0
    parts.append(beside(railway(rng), gap if side > 0 else gap + RAILWAY_M, side, 0.0))
    return Mesh.merged(parts)


def _furniture(rng: np.random.Generator, start: float, end: float, keep_free: Sequence[float], side: int) -> list[Mesh]:
    """Deal lamps, trees and clutter along a kerb, away from crossings and rails."""
    clutter: dict[str, Callable[[], Mesh]] = {
        "bench": bench,
        "bin": litter_bin,
        "hydrant": hydrant,
        "rubbish": rubbish,
        "bicycle": lambda: bicycle(CAR_COLOURS[rng.integers(len(CAR_COLOURS))]),
        "motorcycle": lambda: motorcycle(CAR_COLOURS[rng.integers(len(CAR_COLOURS))]),
    }
    names = list(clutter)
    parts = []
    for index, x in enumerate(np.arange(start + 3 + 2 * side, end, 6.0)):
        if min(abs(x - other) for other in keep_free) < 5.0:
            continue
        if index % 4 == 0:
            parts.append(beside(street_lamp(), x, side, FURNITURE_M, SIDEWALK_Z))
        elif index % 4 == 2:
            parts.append(beside(tree(rng, height=rng.uniform(5.5, 8)), x, side, FURNITURE_M + 0.2, SIDEWALK_Z))
        else:
            name = names[rng.integers(len(names))]
            parts.append(beside(clutter[name](), x, side, FURNITURE_M + 0.15, SIDEWALK_Z))
    return parts


def _signals(rng: np.random.Generator, crossings: Sequence[float], end: float) -> list[Mesh]:
    """Set traffic lights at the crossings and signs between them, for both directions of travel."""
    parts = []
    for index, x in enumerate(crossings):
        lit = "green" if index % 2 == 0 else "amber"
        parts.append(traffic_light(lit=lit, arm=-4.2).moved(x - 3.2, -FURNITURE_M + 0.2, SIDEWALK_Z))
        parts.append(traffic_light(lit=lit).moved(x + 3.2, FURNITURE_M - 0.2, SIDEWALK_Z, yaw=math.pi))
        parts.append(traffic_sign("crossing").moved(x - 5.0, -FURNITURE_M, SIDEWALK_Z))
        parts.append(traffic_sign("crossing").moved(x + 5.0, FURNITURE_M, SIDEWALK_Z, yaw=math.pi))
    for x in np.arange(8.0, end, 21.0):
        kind = SIGN_KINDS[rng.integers(len(SIGN_KINDS))]
        parts.append(traffic_sign(kind).moved(x, -FURNITURE_M + 0.1, SIDEWALK_Z))
        other = SIGN_KINDS[rng.integers(len(SIGN_KINDS))]
        parts.append(
            traffic_sign(other).moved(x + 9.0, FURNITURE_M - 0.1, SIDEWALK_Z, yaw=float(rng.choice([0.0, math.pi])))
        )
    return parts


def parked(rng: np.random.Generator, start: float, end: float, keep_free: Sequence[float], side: int) -> list[Mesh]:
    """Park vehicles along a kerb: cars, a bus at its shelter and a truck, away from crossings and rails."""
    parts, x, count = [], start, 0
    kinds = list(CAR_SHAPES)
    while x < end:
        length, vehicle = 5.0, None
        if count % 12 == 9:
            length, vehicle = (12.0, bus((0.55, 0.08, 0.06))) if side < 0 else (8.5, truck((0.08, 0.25, 0.5)))
        elif rng.random() < 0.72:
            vehicle = car(kinds[rng.integers(len(kinds))], CAR_COLOURS[rng.integers(len(CAR_COLOURS))])
        free = min(abs(x + length / 2 - other) for other in keep_free) > length / 2 + 5.0
        if free:
            count += 1
            if vehicle is not None:
                where = side * (PARKED_M + rng.uniform(-0.08, 0.08)) * (0.985 if length > 5.0 else 1.0)
                parts.append(vehicle.moved(x + length / 2, where, yaw=(0.0 if side < 0 else math.pi)))
            if length > 10.0:
                parts.append(beside(bus_shelter(), x + length / 2 + 1.0, side, 7.9, SIDEWALK_Z))
        x += length + rng.uniform(0.4, 1.4)
    return parts


def street(rng: np.random.Generator, end: float, crossings: Sequence[float], rails: float, bridge: float) -> Mesh:
    """Build everything that stands still, from START_M to end metres along x."""
    free = (*crossings, rails, bridge)
    parts = [road(START_M, end, crossings, rails), _sidewalks(START_M, end, rails)]
    for side, deck in zip((-1, 1), dealt(rng), strict=True):
        parts.append(lots(rng, deck, end, rails, side))
        parts += _furniture(rng, START_M, end, free, side)
        parts += parked(rng, START_M + 4, end - 10, free, side)
    parts += _signals(rng, crossings, end)
    parts.append(footbridge(FRONT_M + 2).moved(x=bridge))
    far = 260.0
    plain = [(START_M - far, -far, -0.1), (end + far, -far, -0.1), (end + far, far, -0.1), (START_M - far, far, -0.1)]
    parts.append(panel(plain, GRASS))
    for x, yaw in ((end + 12.0, -math.pi / 2), (START_M - 12.0, math.pi / 2)):
        parts += [building(rng, 9, 5).moved(x, 27.0 * turn * np.sign(-yaw), yaw=yaw) for turn in (1.5, 0.5, -0.5)]
    return Mesh.merged(parts)
