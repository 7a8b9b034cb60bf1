# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What lies across a street: level crossings, bridges, and crossings for people between junctions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_sim.materials import Label, Paint, Surface
from any2seg_sim.mesh import Mesh
from any2seg_sim.objects.barriers import guard_rail, railing
from any2seg_sim.objects.clutter import boat
from any2seg_sim.objects.railway import VIADUCT_M, footbridge, portal, street_track, track, viaduct
from any2seg_sim.objects.signals import crossing_light, traffic_light, traffic_sign
from any2seg_sim.shapes import box, slab, tube
from any2seg_sim.world.measures import BACK_M, BASE_Z, FRONT_M, KERB_M, POSTS_M, SIDEWALK_Z, WATER_Z
from any2seg_sim.world.roads import RAILWAY_M, on_road
from any2seg_sim.world.strips import bent

if TYPE_CHECKING:
    from collections.abc import Callable

    from any2seg_sim.world.plan import Plan, Street
    from any2seg_sim.world.stock import Stock

RIVER_M: Final = 30.0
GAPS_M: Final = {"rails": RAILWAY_M / 2 + 0.4, "viaduct": VIADUCT_M / 2, "river": RIVER_M / 2 + 0.4}
"""Half the width that sights take from the lots on both sides."""
FREE_M: Final = {"rails": 8.5, "viaduct": 4.6, "footbridge": 2.6, "zebra": 5.6, "river": RIVER_M / 2 + 0.6}
"""Nothing parks or stands at the kerb this near to the middle of a sight."""
_TRACKS_M: Final = 2.2
_LONGEST_M: Final = 60.0


def _reach(plan: Plan, street: Street, s: float, side: float, half_width: float) -> float:
    """How far from the road's middle something across a street can go without meeting another street."""
    away = np.arange(BACK_M, _LONGEST_M, 2.0)
    x, y, heading = street.path.pose(s)
    turn = heading + side * math.pi / 2
    line = np.array((x, y)) + away[:, None] * (math.cos(turn), math.sin(turn))
    clear = plan.clearance(line, but=street) > BACK_M + half_width
    return float(away[-1] if clear.all() else away[max(int(np.argmin(clear)) - 1, 0)])


def _rails(rng: np.random.Generator, stock: Stock, left: float, right: float) -> Mesh:
    """Build a railway across a road along x: two tracks, let into the road, that end in tunnels."""
    asphalt = Paint(Label.ROAD, Surface.ASPHALT, (0.17, 0.17, 0.175))
    half = RAILWAY_M / 2
    parts = []
    for side in (-1.0, 1.0):
        low, high = sorted((side * KERB_M, side * FRONT_M))
        parts.append(slab((-half, half), (low, high), (-0.4, 0.0), asphalt))
        reach = left if side > 0 else right
        span, turn = reach - FRONT_M, side * math.pi / 2
        grass = Paint(Label.TERRAIN, Surface.GRASS, (0.1, 0.17, 0.04))
        bed = slab((FRONT_M, reach), (-half - 0.4, half + 0.4), (BASE_Z - 0.1, -0.02), grass)
        parts.append(bed.moved(yaw=turn))
        parts += [track(span).moved(FRONT_M, y, -0.19).moved(yaw=turn) for y in (-_TRACKS_M, _TRACKS_M)]
        parts.append(portal(RAILWAY_M + 1.0).moved(yaw=-math.pi / 2).moved(reach).moved(yaw=turn))
        for x in np.arange(4.0, span, 6.0):
            bush = stock.bush(rng).moved(FRONT_M + float(x), float(rng.choice([-1.0, 1.0])) * half)
            parts.append(bush.moved(yaw=turn))
    parts += [street_track(2 * FRONT_M).moved(-FRONT_M, y).moved(yaw=math.pi / 2) for y in (-_TRACKS_M, _TRACKS_M)]
    for yaw in (0.0, math.pi):
        parts.append(crossing_light().moved(-half - 1.2, -POSTS_M, SIDEWALK_Z).moved(yaw=yaw))
        parts.append(_barrier().moved(-half - 0.6, -POSTS_M, SIDEWALK_Z).moved(yaw=yaw))
    return Mesh.merged(parts)


def _barrier() -> Mesh:
    """Build a raised barrier."""
    grey = Paint(Label.STATIC, Surface.METAL, (0.3, 0.31, 0.32))
    parts = [box((0.35, 0.3, 1.1), (0, 0, 0.55), grey)]
    for index in range(6):
        paint = Paint(Label.STATIC, Surface.RETROREFLECTIVE, (0.6, 0.03, 0.02) if index % 2 else (0.8, 0.8, 0.8))
        low, high = 0.9 + 0.7 * index, 1.6 + 0.7 * index
        parts.append(tube((0, 0.12 * low, low), (0, 0.12 * high, high), 0.06, paint, sides=6))
    return Mesh.merged(parts)


def _river(rng: np.random.Generator, stock: Stock, left: float, right: float) -> Mesh:
    """Build a river under a road along x, with parapets and crash barriers on the bridge, walls and trees beside."""
    water = Paint(Label.WATER, Surface.WATER, (0.03, 0.06, 0.07))
    stone = Paint(Label.BRIDGE, Surface.BRICK, (0.4, 0.37, 0.31))
    bank = Paint(Label.WALL, Surface.BRICK, (0.34, 0.32, 0.29))
    grass = Paint(Label.TERRAIN, Surface.GRASS, (0.1, 0.17, 0.04))
    half = RIVER_M / 2
    parts = [slab((-half, half), (-right, left), (BASE_Z - 0.1, WATER_Z), water)]
    for side, reach in ((1.0, left), (-1.0, right)):
        turn = 0.0 if side > 0 else math.pi
        span = reach - FRONT_M
        beside = [slab((-half, half), (FRONT_M, FRONT_M + 0.4), (BASE_Z, SIDEWALK_Z), stone)]
        beside += [railing(RIVER_M, label=Label.BRIDGE).moved(-half, FRONT_M + 0.2, SIDEWALK_Z)]
        beside += [guard_rail(RIVER_M).moved(-half, KERB_M + 0.25, SIDEWALK_Z)]
        for x, outward in ((-half, -1.0), (half, 1.0)):
            low, high = sorted((x, x + outward * 0.4))
            beside.append(slab((low, high), (FRONT_M, reach), (BASE_Z, SIDEWALK_Z + 0.05), bank))
            beside.append(slab((low - 0.25, high + 0.25), (FRONT_M - 0.5, FRONT_M + 0.5), (0.0, 1.5), stone))
            beside.append(railing(span).moved(yaw=math.pi / 2).moved(x + outward * 0.2, FRONT_M, SIDEWALK_Z))
        end = slab((-half - 1.0, half + 1.0), (reach, reach + 5.0), (BASE_Z - 0.1, 0.3), grass)
        beside += [end, boat(rng).moved(float(rng.uniform(-7, 7)), FRONT_M + span * 0.4, WATER_Z, yaw=1.4)]
        for x in np.arange(-half, half + 0.1, 4.0):
            beside.append(stock.tree(rng).moved(float(x), reach + float(rng.uniform(1.0, 3.5)), 0.2))
        parts.append(Mesh.merged(beside).moved(yaw=turn))
    return Mesh.merged(parts)


def watered(street: Street) -> list[tuple[float, float]]:
    """Give places on the rivers that a street crosses."""
    away = [side * distance for side in (-1.0, 1.0) for distance in np.arange(BACK_M, _LONGEST_M, 8.0).tolist()]
    found = []
    for name, s in street.sights:
        if name == "river":
            x, y, heading = street.path.pose(s)
            found += [(x - d * math.sin(heading), y + d * math.cos(heading)) for d in away]
    return found


def _zebra() -> Mesh:
    """Build lights and signs beside a crossing for people, which is painted on the road already."""
    parts = []
    for yaw in (0.0, math.pi):
        parts.append(traffic_light(lit="green", arm=-4.4).moved(-3.8, -POSTS_M, SIDEWALK_Z).moved(yaw=yaw))
        parts.append(traffic_sign("crossing").moved(-5.0, -POSTS_M, SIDEWALK_Z).moved(yaw=yaw))
    return Mesh.merged(parts)


def sight(rng: np.random.Generator, plan: Plan, stock: Stock, street: Street, name: str, s: float) -> Mesh:
    """Build a sight of a street."""
    left, right = (_reach(plan, street, s, side, GAPS_M.get(name, 0.0) - 4.0) for side in (1.0, -1.0))
    built: dict[str, Callable[[], Mesh]] = {
        "rails": lambda: _rails(rng, stock, left, right),
        "river": lambda: _river(rng, stock, left, right),
        "viaduct": lambda: viaduct(FRONT_M, left, right),
        "footbridge": lambda: footbridge(FRONT_M - 0.05),
        "zebra": _zebra,
    }
    mesh = built[name]()
    if name == "footbridge":  # its stairs follow the pavement
        return bent(mesh, lambda x: street.path.at(s + x))
    return on_road(street.path, mesh, s, 0.0)
