# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What stands along a kerb: lamps, trees, signs, clutter, and parked vehicles."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_sim.lamps import street_lamp_at
from any2seg_sim.materials import Label, Paint, Surface
from any2seg_sim.mesh import Mesh
from any2seg_sim.objects.barriers import guard_rail, railing
from any2seg_sim.objects.bikes import bicycle, motorcycle, scooter
from any2seg_sim.objects.cars import CAR_COLOURS
from any2seg_sim.objects.clutter import kiosk, parcels, phone_box, road_works, rubbish, street_works
from any2seg_sim.objects.furniture import (
    LAMP_AT,
    bench,
    bollards,
    bus_shelter,
    cabinet,
    hydrant,
    litter_bin,
    planter,
    skip,
    street_lamp,
)
from any2seg_sim.objects.heavy import BUS_COLOURS, TRUCK_COLOURS, TRUCKS, bus, truck
from any2seg_sim.objects.signals import SIGN_KINDS, direction_board, traffic_sign
from any2seg_sim.world.measures import KERB_M, MARKED_M, PARKED_M, POSTS_M, SHELTER_M, SIDEWALK_Z
from any2seg_sim.world.roads import along, cut, on_road
from any2seg_sim.world.sights import FREE_M
from any2seg_sim.world.stock import TREES, some_car
from any2seg_sim.world.strips import flat

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from any2seg_sim.lamps import Lamp
    from any2seg_sim.world.plan import Street
    from any2seg_sim.world.stock import Stock

_PITCH_M: Final = 4.4
_GRASS: Final = Paint(Label.TERRAIN, Surface.GRASS, (0.1, 0.17, 0.04))
_BAYS: Final = ("car", "car", "truck", "works", "car", "rail", "car", "skip", "bus", "car", "railing", "works")
"""What follows what along the edge of the road."""
_RAILED: Final = 0.8
"""Share of mouths with a railing that keeps people on the pavement."""
_BAY_M: Final = {"bus": 12.6, "truck": 8.6, "works": 6.4, "rail": 11.0, "railing": 9.0, "skip": 4.4}
_ROUND: Final = ("lamp", "clutter", "sign", "tree", "clutter", "clutter", "sign", "tree")
"""What follows what along a kerb."""


def _free(street: Street, s: float, half: float) -> bool:
    """Tell whether a piece of kerb is away from mouths, dead ends and sights."""
    low, high = (MARKED_M + 1.6 if joined else 4.0 for joined in street.joins)
    if s - half < low or s + half > street.path.length - high:
        return False
    return all(abs(s - where) > half + FREE_M[name] for name, where in street.sights)


def _facing(street: Street, mesh: Mesh, s: float, side: int, away: float, *, yaw: float = 0.0) -> Mesh:
    """Place what is built facing -y beside the road, turned to face it."""
    turn = yaw if side > 0 else math.pi + yaw
    return on_road(street.path, mesh, s, side * away, SIDEWALK_Z, yaw=turn)


def _clutter(rng: np.random.Generator) -> Mesh:
    """Pick something to stand at a kerb."""

    def colour() -> tuple[float, float, float]:
        return CAR_COLOURS[rng.integers(len(CAR_COLOURS))]

    def bicycles() -> Mesh:
        return Mesh.merged([bicycle(colour()).moved(0.7 * index, yaw=0.45) for index in range(-2, 3)])

    def motorcycles() -> Mesh:
        return Mesh.merged([motorcycle(colour()).moved(-1.1, yaw=0.3), scooter(colour()).moved(1.1, yaw=-0.2)])

    def bins() -> Mesh:
        return Mesh.merged([rubbish().moved(-1.7), rubbish().moved(1.0, 0.1)])

    choices: tuple[Callable[[], Mesh], ...] = (
        bench,
        litter_bin,
        hydrant,
        planter,
        planter,
        cabinet,
        bollards,
        bins,
        bins,
        bins,
        road_works,
        road_works,
        parcels,
        parcels,
        lambda: kiosk().sized(0.8),
        lambda: kiosk().sized(0.75),
        phone_box,
        phone_box,
        bicycles,
        bicycles,
        motorcycles,
        motorcycles,
    )
    return choices[rng.integers(len(choices))]()


def furnish(
    rng: np.random.Generator, street: Street, side: int, stock: Stock, taken: list[tuple[float, float]]
) -> tuple[list[Mesh], list[Lamp]]:
    """Deal lamps, trees, signs and clutter along one kerb of a street, off the spans that are taken."""
    parts: list[Mesh] = []
    lamps: list[Lamp] = []
    species = TREES[rng.integers(len(TREES) - 1)]
    for index, s in enumerate(np.arange(2.0 + (side > 0) * 2.6, street.path.length, _PITCH_M)):
        what = _ROUND[index % len(_ROUND)]
        if not _free(street, float(s), 0.9) or any(low - 1.2 < s < high + 1.2 for low, high in taken):
            continue
        if what == "lamp":
            parts.append(_facing(street, street_lamp(), s, side, POSTS_M))
            x, y, _ = street.path.pose(float(s), side * (POSTS_M + LAMP_AT[1]))
            lamps.append(street_lamp_at((x, y, SIDEWALK_Z + LAMP_AT[2])))
        elif what == "tree":
            parts.append(_facing(street, stock.tree(rng, species, lean=False), s, side, POSTS_M + 0.15))
        elif what == "sign":
            parts.append(_sign(rng, street, float(s), side))
        else:
            parts.append(_facing(street, _clutter(rng), s, side, POSTS_M + 0.1))
    return parts, lamps


def _sign(rng: np.random.Generator, street: Street, s: float, side: int) -> Mesh:
    """Set up a sign for those who drive on this side."""
    if rng.random() < 0.3:
        board = direction_board(("blue", "yellow", "green")[rng.integers(3)])
    else:
        board = traffic_sign(SIGN_KINDS[rng.integers(len(SIGN_KINDS))])
    return on_road(street.path, board, s, side * POSTS_M, SIDEWALK_Z, yaw=0.0 if side < 0 else math.pi)


def _parked(rng: np.random.Generator, kind: str) -> Mesh | None:
    """Pick what stands in a bay."""
    if kind == "bus":
        return bus(BUS_COLOURS[rng.integers(len(BUS_COLOURS))])
    if kind == "truck":
        return truck(TRUCK_COLOURS[rng.integers(len(TRUCK_COLOURS))], kind=TRUCKS[rng.integers(len(TRUCKS))])
    if kind == "works":
        return street_works()
    if kind == "skip":
        return skip()
    return some_car(rng) if rng.random() < 0.75 else None


def park_along(
    rng: np.random.Generator, street: Street, side: int, open_spans: Sequence[tuple[float, float]]
) -> tuple[list[Mesh], list[tuple[float, float]]]:
    """Use the edge of the road: parked cars and trucks, buses at stops, road works, and barriers between.

    Args:
        rng: draws what stands where.
        street: the street.
        side: 1 for the left of its path, -1 for the right.
        open_spans: where there is something to see behind the pavement; only barriers stand there.

    Returns:
        meshes, and where shelters stand on the pavement.
    """
    parts: list[Mesh] = []
    taken: list[tuple[float, float]] = []
    s, count = 3.0, int(rng.integers(len(_BAYS)))
    end = street.path.length
    if street.joins[1] and rng.random() < _RAILED:
        end -= MARKED_M + 10.0
        parts.append(along(street.path, railing(9.0), end, 9.0, side, KERB_M + 0.25, SIDEWALK_Z))
    if street.joins[0] and rng.random() < _RAILED:
        parts.append(along(street.path, railing(9.0), MARKED_M + 1.0, 9.0, side, KERB_M + 0.25, SIDEWALK_Z))
        s = MARKED_M + 11.0
    while s < end - 3.0:
        kind = _BAYS[count % len(_BAYS)]
        length = _BAY_M.get(kind, 5.0)
        middle = s + length / 2
        if not _free(street, middle, length / 2) or s + length > end:
            s += 1.5
            continue
        count += 1
        mesh = None
        if any(low - 2.0 < middle < high + 2.0 for low, high in open_spans):
            kind, length = ("rail", "railing", "rail", "railing", "")[rng.integers(5)], 8.0
            if not _free(street, s + length / 2, length / 2):
                s += 1.5
                continue
        if kind in ("rail", "railing"):
            barrier = guard_rail(length) if kind == "rail" else railing(length)
            parts.append(along(street.path, barrier, s, length, side, KERB_M + 0.25, SIDEWALK_Z))
        elif not kind:
            s += length
            continue
        else:
            mesh = _parked(rng, kind)
        if kind == "bus":
            parts.append(_facing(street, bus_shelter(), middle, side, SHELTER_M))
            taken.append((middle - 3.0, middle + 3.0))
        if mesh is not None:
            away = PARKED_M + float(rng.uniform(-0.06, 0.06)) - (0.2 if kind in ("bus", "truck") else 0.0)
            turn = float(rng.normal(0.0, 0.01)) + (0.0 if side < 0 else math.pi)
            parts.append(on_road(street.path, mesh, middle, side * away, yaw=turn))
        s += length + float(rng.uniform(0.5, 1.4))
    return parts, taken


def verge(rng: np.random.Generator, street: Street, side: int, taken: list[tuple[float, float]]) -> list[Mesh]:
    """Grow grass between the kerb and the walk, along some kerbs, except where people cross."""
    if rng.random() < 0.2:
        return []
    low, high = (MARKED_M + 2.5 if joined else 2.0 for joined in street.joins)
    holes = [(s - FREE_M[name], s + FREE_M[name]) for name, s in street.sights]
    across = side * (KERB_M + 0.25), side * (POSTS_M + 0.6)
    spans = cut((low, street.path.length - high), [*holes, *taken])
    return [flat(street.path, span, across, SIDEWALK_Z + 0.015, _GRASS) for span in spans if span[1] - span[0] > 3.0]
