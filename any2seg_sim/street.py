# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""A town: streets and junctions with everything that stands still in them."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_sim.kerbside import furnish, street_lamps, verge
from any2seg_sim.lamps import street_lamp_at
from any2seg_sim.lots import FLAGSTONES, GRASS, LOTS, OPEN_LOTS, dealt
from any2seg_sim.mesh import Mesh
from any2seg_sim.objects.buildings import building
from any2seg_sim.objects.clutter import kiosk
from any2seg_sim.objects.furniture import LAMP_AT, bench, planter, street_lamp
from any2seg_sim.open_lots import fountain
from any2seg_sim.parking import park_along
from any2seg_sim.shapes import slab
from any2seg_sim.world.backdrop import backdrop
from any2seg_sim.world.frontage import Frontage, Lot
from any2seg_sim.world.junctions import across, corner_lamps, junction_mesh
from any2seg_sim.world.measures import BACK_M, BASE_Z, DEPTH_M, FRONT_M, MOUTH_M, SIDEWALK_Z
from any2seg_sim.world.plan import START_M
from any2seg_sim.world.roads import carriageway, gaps, on_road
from any2seg_sim.world.sights import GAPS_M, sight, watered
from any2seg_sim.world.stock import Stock

if TYPE_CHECKING:
    from any2seg_sim.lamps import Lamp
    from any2seg_sim.world.path import Path
    from any2seg_sim.world.plan import Junction, Plan, Street

_SHORTEST_M: Final = 7.0
_RARE, _RARE_ASIDE = 0.88, 0.35
"""Share of lots that are no terraces, along the drive and elsewhere."""
_BEHIND_M: Final = START_M - 8.0
"""Nothing rare is dealt to what lies behind the start of the drive."""


@dataclass(frozen=True, eq=False)
class Town:
    """What stands still, and the street lamps."""

    mesh: Mesh
    lamps: tuple[Lamp, ...]


class _Builder:
    """Gathers the parts of a town."""

    def __init__(self, rng: np.random.Generator, plan: Plan) -> None:
        self.rng, self.plan = rng, plan
        self.stock = Stock.drawn(rng)
        self.deck = dealt(rng, 60)
        self.parts: list[Mesh] = []
        self.lamps: list[Lamp] = []
        self.water: list[tuple[float, float]] = []
        self.seen: list[tuple[float, float]] = []

    def lot(self, frontage: Frontage, name: str, start: float, length: float, room: float = DEPTH_M) -> None:
        """Build one lot."""
        lot = Lot(frontage, start, length, room)
        LOTS[name][2](self.rng, lot, self.stock)
        self.parts += lot.parts
        if name in OPEN_LOTS:
            low, high = sorted(frontage.station(np.array([start, start + length])).tolist())
            self.seen.append((low, high))
        if name == "quay":
            self.water += [lot.spot(x, d) for x in np.arange(0, length, 8.0) for d in np.arange(8.0, room + 8, 8.0)]

    def room(self, frontage: Frontage, start: float, length: float) -> float:
        """How far behind the building line nothing else lies."""
        lot = Lot(frontage, start, length)
        for away in np.arange(DEPTH_M + 2.0, 34.0, 3.0):
            spots = np.array([lot.spot(x, float(away)) for x in np.linspace(-3.0, length + 3.0, 6)])
            if np.min(self.plan.clearance(spots)) < min(BACK_M + 8.0, FRONT_M + away - 1.0):
                return float(away) - 4.0
        return 32.0

    def fill(self, frontage: Frontage, *, rare: float) -> None:
        """Line a frontage with lots: what the deck holds, and terraces between."""
        x = 0.0
        while frontage.length - x > 0.05:
            left = frontage.length - x
            name = self.next_lot(left) if self.rng.random() < rare else "terrace"
            shortest, longest, _ = LOTS[name]
            if left < shortest:
                name, shortest, longest = "terrace" if left > _SHORTEST_M else "green", left, left
            length = float(self.rng.uniform(shortest, min(longest, left)))
            if left - length < _SHORTEST_M:
                length = left if left <= 1.25 * longest else left - _SHORTEST_M
            room = self.room(frontage, x, length) if name == "quay" else DEPTH_M
            self.lot(frontage, name, x, length, room)
            x += length

    def next_lot(self, left: float) -> str:
        """Take the next lot from the deck that needs no more than so many metres."""
        for index in range(len(self.deck) - 1, -1, -1):
            if LOTS[self.deck[index]][0] <= left:
                return self.deck.pop(index)
        return "terrace"

    def street(self, street: Street) -> None:
        """Build a street with its lots, its kerbs' furniture and parked vehicles."""
        self.parts.append(carriageway(self.rng, street))
        self.parts += [sight(self.rng, self.plan, self.stock, street, name, s) for name, s in street.sights]
        self.water += watered(street)
        start, end = street.frontage
        begins = street.main and not street.joins[0]
        for side in (-1, 1):
            self.seen = []
            cuts = [start, _BEHIND_M, end] if begins else [start, end]
            for index, span in enumerate(itertools.pairwise(cuts)):
                rare = 0.0 if begins and index == 0 else _RARE if street.main else _RARE_ASIDE
                for piece in gaps(street, GAPS_M, span):
                    self.fill(Frontage(street.path, side, piece), rare=rare)
            parked, taken = park_along(self.rng, street, side, self.seen)
            lit, posts, lamps = street_lamps(street, side)
            parts = [*lit, *furnish(self.rng, street, side, self.stock, [*taken, *posts])]
            self.parts += [*parked, *verge(self.rng, street, side, taken)]
            self.parts += parts
            self.lamps += lamps
        for at_end, joined in enumerate(street.joins):
            if not joined:
                self.close(street.path, at_end=bool(at_end))

    def close(self, path: Path, *, at_end: bool) -> None:
        """Put houses across a dead end."""
        edges = np.linspace(-BACK_M, BACK_M, 5)
        for low, high in itertools.pairwise(edges):
            width = float(high - low)
            house = building(
                self.rng, "plaster" if low < 0 else "brick", width, int(self.rng.integers(3, 5)), depth=9.0
            )
            placed = house.moved(-width / 2).moved(float(low + high) / 2, DEPTH_M / 3 + 0.1)
            turned = placed.moved(yaw=-math.pi / 2 if at_end else math.pi / 2)
            self.parts.append(on_road(path, turned, path.length if at_end else 0.0, 0.0, SIDEWALK_Z))
        bed = slab((DEPTH_M / 3, DEPTH_M), (-BACK_M, BACK_M), (BASE_Z, SIDEWALK_Z), GRASS)
        self.parts.append(on_road(path, bed.moved(yaw=0.0 if at_end else math.pi), path.length if at_end else 0.0, 0.0))

    def junction(self, junction: Junction) -> None:
        """Build a junction and what stands at its corners."""
        self.parts.append(junction_mesh(junction))
        for x, y, yaw in corner_lamps(junction):
            self.parts.append(street_lamp().moved(x, y, SIDEWALK_Z, yaw=yaw))
            away = LAMP_AT[1]
            spot = x - away * math.sin(yaw), y + away * math.cos(yaw), SIDEWALK_Z + LAMP_AT[2]
            self.lamps.append(street_lamp_at(spot))
        for quarter in range(4):
            if quarter in junction.arms and (quarter + 1) % 4 in junction.arms:
                mesh = self.corner().moved(yaw=quarter * math.pi / 2)
                self.parts.append(mesh.moved(junction.x, junction.y, yaw=junction.heading))
        for arm in range(4):
            if arm not in junction.arms:
                local = across(arm)
                x, y, heading = _placed(local.pose(0.0), junction)
                path = type(local).of_curvature((x, y, heading), [(0.0, 0.0), (local.length, 0.0)])
                self.fill(Frontage(path, -1, (MOUTH_M - BACK_M, MOUTH_M + BACK_M)), rare=_RARE_ASIDE)

    def corner(self) -> Mesh:
        """Build what stands between arm 0 and arm 1 of a junction about the origin."""
        bed = slab((FRONT_M, BACK_M), (FRONT_M, BACK_M), (BASE_Z, SIDEWALK_Z), GRASS)
        style = ("plaster", "brick", "office", "modern")[self.rng.integers(4)]
        if self.rng.random() < 0.65:
            size = DEPTH_M - 1.0
            floors = int(self.rng.integers(3, 7))
            house = building(self.rng, style, size, floors, depth=size, open_sides=True)
            return Mesh.merged([bed, house.moved(FRONT_M, FRONT_M, SIDEWALK_Z)])
        return self.square()

    def square(self) -> Mesh:
        """Build a paved corner with a fountain, trees and what belongs to squares."""
        bed = slab((FRONT_M, BACK_M), (FRONT_M, BACK_M), (BASE_Z, SIDEWALK_Z), FLAGSTONES)
        parts = [bed, fountain().moved(17.0, 17.0, SIDEWALK_Z), kiosk().moved(13.0, 13.0, SIDEWALK_Z)]
        for x, y in ((13.0, 20.5), (20.5, 13.0), (22.5, 22.0)):
            parts.append(self.stock.tree(self.rng, lean=False).moved(x, y, SIDEWALK_Z))
            parts.append(planter().moved(x + 1.6, y, SIDEWALK_Z))
        parts += [
            bench().moved(x, y, SIDEWALK_Z, yaw=yaw) for x, y, yaw in ((16.5, 13.2, 0.0), (13.2, 17.0, -math.pi / 2))
        ]
        back = building(self.rng, "plaster", DEPTH_M, 3, depth=1.6)
        return Mesh.merged([*parts, back.moved(FRONT_M, BACK_M - 1.7, SIDEWALK_Z)])


def _placed(pose: tuple[float, float, float], junction: Junction) -> tuple[float, float, float]:
    cos, sin = math.cos(junction.heading), math.sin(junction.heading)
    x, y, heading = pose
    return junction.x + x * cos - y * sin, junction.y + x * sin + y * cos, heading + junction.heading


def town(rng: np.random.Generator, plan: Plan) -> Town:
    """Build everything that stands still along the streets of a plan."""
    builder = _Builder(rng, plan)
    for street in plan.streets:
        builder.street(street)
    for junction in plan.junctions:
        builder.junction(junction)
    builder.parts.append(backdrop(rng, plan, builder.stock, np.array(builder.water).reshape(-1, 2)))
    return Town(Mesh.merged(builder.parts), tuple(builder.lamps))
