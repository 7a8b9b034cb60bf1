# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The lots beside the road with houses on them, and those that are all paved or green."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_sim.materials import Label, Paint, Surface
from any2seg_sim.objects.barriers import FENCES, fence, guard_rail, wall
from any2seg_sim.objects.buildings import STYLES, building, church, warehouse
from any2seg_sim.objects.clutter import kiosk, market_stall, playground, rubbish, statue
from any2seg_sim.objects.furniture import bench, cabinet, terrace_table
from any2seg_sim.objects.plants import flower_bed, hedge
from any2seg_sim.objects.signals import traffic_sign
from any2seg_sim.open_lots import car_park, fountain, ground, metro, park, quay, site
from any2seg_sim.shapes import ball
from any2seg_sim.world.measures import DEPTH_M, FRONT_M

if TYPE_CHECKING:
    from collections.abc import Callable

    from any2seg_sim.world.frontage import Lot
    from any2seg_sim.world.stock import Stock

    Builder = Callable[[np.random.Generator, Lot, Stock], None]

GRASS: Final = Paint(Label.TERRAIN, Surface.GRASS, (0.1, 0.17, 0.04))
FLAGSTONES: Final = Paint(Label.GROUND, Surface.PAVING, (0.4, 0.35, 0.3))
_SAND: Final = Paint(Label.GROUND, Surface.GRAVEL, (0.42, 0.34, 0.22))
_TOWN_STYLES: Final = tuple(name for name in STYLES if name != "villa")


def _house(rng: np.random.Generator, lot: Lot, x: float, width: float, beyond: float = 0.0, **how: bool) -> None:
    style = _TOWN_STYLES[rng.integers(len(_TOWN_STYLES))]
    floors = int(rng.integers(3, 7)) if style in ("office", "modern") else int(rng.integers(2, 5))
    depth = DEPTH_M - beyond - 2.0
    lot.put(building(rng, style, width, floors, depth=min(depth, 12.0), **how).moved(-width / 2), x + width / 2, beyond)


def terrace(rng: np.random.Generator, lot: Lot, stock: Stock) -> None:
    """Build houses wall to wall."""
    del stock
    count = max(1, round(lot.length / float(rng.uniform(8.0, 13.0))))
    edges = np.linspace(0.0, lot.length, count + 1)
    edges[1:-1] += rng.uniform(-1.2, 1.2, count - 1)
    for left, right in itertools.pairwise(edges):
        edge = lot.start + left < 0.1 or lot.start + right > lot.frontage.length - 0.1
        _house(rng, lot, float(left), float(right - left), open_sides=bool(edge))
    if rng.random() < 0.4:
        lot.put(terrace_table(), float(rng.uniform(1.5, lot.length - 1.5)), -0.62)
    lot.lay(ground(lot.length, GRASS))


def green(rng: np.random.Generator, lot: Lot, stock: Stock) -> None:
    """Fill a gap of any width with a hedge and trees."""
    lot.lay(ground(lot.length, GRASS))
    lot.lay(hedge(rng, lot.length, height=1.6).moved(y=FRONT_M + 0.6), 0.15)
    for x in np.arange(lot.length / 2 % 2.5, lot.length, 2.5):
        lot.put(stock.tree(rng), float(x), float(rng.uniform(3.0, 11.0)))


def garden(rng: np.random.Generator, lot: Lot, stock: Stock) -> None:
    """Build a detached house behind a fence."""
    lot.lay(ground(lot.length, GRASS))
    kind = FENCES[rng.integers(len(FENCES))]
    lot.lay(fence(lot.length, kind=kind, height=1.25).moved(y=FRONT_M + 0.4), 0.15)
    width = float(rng.uniform(8.5, 10.5))
    left = float(rng.uniform(1.5, max(lot.length - width - 4.0, 1.6)))
    lot.put(building(rng, "villa", width, 2, depth=7.5, open_sides=True).moved(-width / 2), left + width / 2, 5.5)
    lot.put(stock.tree(rng), min(left + width + 2.5, lot.length - 1.0), float(rng.uniform(2.5, 5.0)))
    for _ in range(5):
        lot.put(stock.bush(rng), float(rng.uniform(0.8, lot.length - 0.8)), float(rng.uniform(1.2, 4.6)))
    lot.lay(flower_bed(rng, lot.length - 2.0, 0.6).moved(1.0, FRONT_M + 0.7), 0.15)


def walled(rng: np.random.Generator, lot: Lot, stock: Stock) -> None:
    """Build a wall with trees that look over it."""
    kind = ("brick", "stone", "concrete")[rng.integers(3)]
    lot.lay(ground(lot.length, GRASS))
    lot.lay(wall(lot.length, height=float(rng.uniform(1.9, 2.9)), kind=kind).moved(y=FRONT_M + 0.3), 0.15)
    for x in np.arange(2.5, lot.length, 5.5):
        lot.put(stock.tree(rng), float(x + rng.uniform(-1, 1)), float(rng.uniform(2.5, 9.0)))
    if lot.length > 11.0:
        width = lot.length - 5.0
        lot.put(building(rng, "brick", width, 2, depth=5.0).moved(-width / 2), lot.length / 2, 9.5)


def plaza(rng: np.random.Generator, lot: Lot, stock: Stock) -> None:
    """Build a paved square with stalls or a statue and houses behind."""
    lot.lay(ground(lot.length, FLAGSTONES))
    middle = lot.length / 2
    lot.put(fountain(), middle, 4.4)
    if rng.random() < 0.5:
        for x, rgb in ((middle - 5.4, (0.6, 0.08, 0.06)), (middle, (0.06, 0.2, 0.45)), (middle + 5.4, (0.1, 0.4, 0.1))):
            lot.put(market_stall(rgb), x, float(rng.uniform(1.3, 1.7)))
    else:
        lot.put(statue(), middle, 1.6)
        for side in (-1.0, 1.0):
            lot.put(bench(), middle + 3.4 * side, 1.2)
            lot.put(stock.tree(rng, "maple"), middle + 6.5 * side, 4.5)
    lot.put(kiosk(), 2.2, 1.2)
    lot.put(terrace_table(), lot.length - 2.5, 4.6)
    lot.put(terrace_table(), lot.length - 5.2, 5.0)
    count = max(1, round(lot.length / 11.0))
    for index in range(count):
        _house(rng, lot, index * lot.length / count, lot.length / count, 7.0)


def slope(rng: np.random.Generator, lot: Lot, stock: Stock) -> None:
    """Build rough ground with rocks behind a crash barrier."""
    lot.lay(ground(lot.length, GRASS))
    lot.lay(guard_rail(lot.length).moved(y=FRONT_M + 0.15), 0.15)
    for _ in range(round(0.5 * lot.length)):
        lot.put(stock.bush(rng, 1.2), float(rng.uniform(0.8, lot.length - 0.8)), float(rng.uniform(1.5, 13.0)))
    rock = Paint(Label.TERRAIN, Surface.GRAVEL, (0.3, 0.28, 0.25))
    earth = Paint(Label.TERRAIN, Surface.GRASS, (0.12, 0.16, 0.05))
    for _ in range(6):
        size = float(rng.uniform(0.3, 0.8))
        stone = ball((0, 0, 0.2 * size), (size, 0.7 * size, 0.6 * size), rock)
        lot.put(
            stone,
            float(rng.uniform(1.5, lot.length - 1.5)),
            float(rng.uniform(1.5, 11.0)),
            yaw=float(rng.uniform(0, 6)),
        )
    for x in np.arange(4.0, lot.length - 3.5, 6.0):
        lot.put(ball((0, 0, -0.4), (4.5, 3.5, float(rng.uniform(1.4, 2.4))), earth, level=3), float(x), 8.5)
        lot.put(stock.tree(rng), float(x) + 1.0, float(rng.uniform(5.0, 12.0)))


def play_area(rng: np.random.Generator, lot: Lot, stock: Stock) -> None:
    """Build a playground behind an iron fence."""
    lot.lay(ground(lot.length, _SAND))
    lot.lay(fence(lot.length, kind="iron", height=1.1).moved(y=FRONT_M + 0.3), 0.15)
    lot.put(playground(), lot.length / 2 - 4.0, 3.0)
    if lot.length > 19.0:
        lot.put(playground(), lot.length / 2 + 5.0, 8.0, yaw=0.9)
    lot.put(bench(), 2.5, 1.4, yaw=math.pi)
    lot.lay(hedge(rng, lot.length - 1.0).moved(0.5, FRONT_M + 13.5), 0.15)
    for x in np.arange(2.5, lot.length, 6.5):
        lot.put(stock.tree(rng), float(x), float(rng.uniform(10.5, 12.5)))


def churchyard(rng: np.random.Generator, lot: Lot, stock: Stock) -> None:
    """Build a church on a green."""
    lot.lay(ground(lot.length, GRASS))
    lot.lay(wall(lot.length, height=0.9, kind="stone").moved(y=FRONT_M + 0.3), 0.15)
    lot.put(church(rng).moved(-6.0), lot.length / 2, 1.8)
    for x in (2.2, lot.length - 2.2):
        lot.put(stock.tree(rng, "plane"), x, float(rng.uniform(3.0, 6.0)))
        lot.put(stock.bush(rng), x + 0.5, 2.0)


def works(rng: np.random.Generator, lot: Lot, stock: Stock) -> None:
    """Build a hall with a yard before it."""
    del stock
    lot.lay(ground(lot.length, Paint(Label.GROUND, Surface.ASPHALT, (0.24, 0.235, 0.23))))
    lot.put(warehouse(rng, lot.length - 2.0).moved(1.0 - lot.length / 2), lot.length / 2, 3.0)
    lot.put(cabinet(), 1.5, 1.0)
    lot.put(rubbish(), lot.length - 3.0, 2.4)
    lot.put(traffic_sign("no_parking").moved(yaw=math.pi / 2), lot.length - 1.0, 0.5)


LOTS: Final[dict[str, tuple[float, float, Builder]]] = {
    "terrace": (12.0, 24.0, terrace),
    "green": (0.0, 8.0, green),
    "garden": (14.0, 19.0, garden),
    "park": (17.0, 27.0, park),
    "quay": (20.0, 40.0, quay),
    "walled": (8.0, 18.0, walled),
    "plaza": (17.0, 25.0, plaza),
    "slope": (8.0, 18.0, slope),
    "metro": (17.0, 28.0, metro),
    "car_park": (11.0, 21.0, car_park),
    "play_area": (12.0, 20.0, play_area),
    "site": (13.0, 20.0, site),
    "churchyard": (18.0, 20.0, churchyard),
    "works": (14.0, 22.0, works),
}
"""Shortest and greatest length of each kind of lot, metres, and what builds it."""


OPEN_LOTS: Final = ("quay", "park", "slope", "plaza", "garden", "play_area", "metro", "car_park")
"""Lots with something to see near the ground: nobody parks before them."""
_ROUND: Final = (
    *("garden", "walled", "slope", "plaza", "quay", "park", "car_park", "play_area", "site", "metro", "works"),
    *("churchyard", "garden", "walled", "walled", "quay", "garden", "play_area"),
)


def dealt(rng: np.random.Generator, count: int) -> list[str]:
    """Deal the names of so many lots, last one first.

    Lots come in rounds; those whose classes occur hardly anywhere else come more often, and first of all.
    """
    needed, rest = _ROUND[:6], _ROUND[6:]
    names = ["quay", "quay", *(needed[index] for index in rng.permutation(len(needed)))]
    names += [rest[index] for index in rng.permutation(len(rest))]
    while len(names) < count:
        names += [_ROUND[index] for index in rng.permutation(len(_ROUND))]
    return names[count - 1 :: -1]
