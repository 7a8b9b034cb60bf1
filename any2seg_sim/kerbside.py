# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What stands along a kerb: lamps, trees, signs, clutter, and grass."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_sim.lamps import street_lamp_at
from any2seg_sim.materials import Label, Paint, Surface
from any2seg_sim.mesh import Mesh
from any2seg_sim.objects.bikes import bicycle, motorcycle, scooter
from any2seg_sim.objects.cars import CAR_COLOURS
from any2seg_sim.objects.clutter import kiosk, parcels, phone_box, road_works, rubbish
from any2seg_sim.objects.furniture import (
    LAMP_AT,
    bench,
    bollards,
    cabinet,
    hydrant,
    litter_bin,
    planter,
    street_lamp,
)
from any2seg_sim.objects.signals import SIGN_KINDS, direction_board, traffic_sign
from any2seg_sim.world.measures import KERB_M, MARKED_M, POSTS_M, SIDEWALK_Z
from any2seg_sim.world.roads import cut, on_road
from any2seg_sim.world.sights import FREE_M
from any2seg_sim.world.strips import flat

if TYPE_CHECKING:
    from collections.abc import Callable

    from any2seg_sim.lamps import Lamp
    from any2seg_sim.world.plan import Street
    from any2seg_sim.world.stock import Stock

_STREET_TREES: Final = ("plane", "maple", "birch", "cherry")
"""Those whose crowns leave room to walk below."""
_PITCH_M: Final = 4.4
_LAMPS_M: Final = 26.0
_GRASS: Final = Paint(Label.TERRAIN, Surface.GRASS, (0.1, 0.17, 0.04))
_ROUND: Final = ("clutter", "sign", "tree", "clutter", "clutter", "sign", "tree")
"""What follows what along a kerb."""


def kerb_free(street: Street, s: float, half: float) -> bool:
    """Tell whether a piece of kerb is away from mouths, dead ends and sights."""
    low, high = (MARKED_M + 1.6 if joined else 4.0 for joined in street.joins)
    if s - half < low or s + half > street.path.length - high:
        return False
    return all(abs(s - where) > half + FREE_M[name] for name, where in street.sights)


def facing(street: Street, mesh: Mesh, s: float, side: int, away: float, *, yaw: float = 0.0) -> Mesh:
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
        return Mesh.merged(
            [
                motorcycle(colour()).moved(-1.2, yaw=0.5),
                scooter(colour()).moved(yaw=0.6),
                motorcycle(colour()).moved(1.2, yaw=0.5),
            ]
        )

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
        bins,
        road_works,
        parcels,
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
        bicycles,
        motorcycles,
        motorcycles,
        motorcycles,
    )
    return choices[rng.integers(len(choices))]()


def street_lamps(street: Street, side: int) -> tuple[list[Mesh], list[tuple[float, float]], list[Lamp]]:
    """Set up lamps along one kerb, by turns with the other; give also the spans that they take."""
    parts: list[Mesh] = []
    taken: list[tuple[float, float]] = []
    lamps: list[Lamp] = []
    for s in np.arange(_LAMPS_M / (2 if side < 0 else 1) - 1.0, street.path.length, _LAMPS_M):
        near = [s + shift for shift in (0.0, 3.0, -3.0, 6.0, -6.0) if kerb_free(street, float(s + shift), 0.3)]
        if not near:
            continue
        parts.append(facing(street, street_lamp(), near[0], side, POSTS_M))
        x, y, _ = street.path.pose(float(near[0]), side * (POSTS_M + LAMP_AT[1]))
        lamps.append(street_lamp_at((x, y, SIDEWALK_Z + LAMP_AT[2])))
        taken.append((near[0] - 0.3, near[0] + 0.3))
    return parts, taken, lamps


def furnish(
    rng: np.random.Generator, street: Street, side: int, stock: Stock, taken: list[tuple[float, float]]
) -> list[Mesh]:
    """Deal trees, signs and clutter along one kerb of a street, off the spans that are taken."""
    parts: list[Mesh] = []
    species = _STREET_TREES[rng.integers(len(_STREET_TREES))]
    for index, s in enumerate(np.arange(2.0 + (side > 0) * 2.6, street.path.length, _PITCH_M)):
        what = _ROUND[index % len(_ROUND)]
        if not kerb_free(street, float(s), 0.9) or any(low - 1.2 < s < high + 1.2 for low, high in taken):
            continue
        if what == "tree":
            parts.append(facing(street, stock.tree(rng, species, lean=False), s, side, POSTS_M + 0.15))
        elif what == "sign":
            parts.append(_sign(rng, street, float(s), side))
        else:
            parts.append(facing(street, _clutter(rng), s, side, POSTS_M + 0.1))
    return parts


def _sign(rng: np.random.Generator, street: Street, s: float, side: int) -> Mesh:
    """Set up a sign for those who drive on this side."""
    if rng.random() < 0.3:
        board = direction_board(("blue", "yellow", "green")[rng.integers(3)])
    else:
        board = traffic_sign(SIGN_KINDS[rng.integers(len(SIGN_KINDS))])
    return on_road(street.path, board, s, side * POSTS_M, SIDEWALK_Z, yaw=0.0 if side < 0 else math.pi)


def verge(rng: np.random.Generator, street: Street, side: int, taken: list[tuple[float, float]]) -> list[Mesh]:
    """Grow grass between the kerb and the walk, along some kerbs, except where people cross."""
    if rng.random() < 0.2:
        return []
    low, high = (MARKED_M + 2.5 if joined else 2.0 for joined in street.joins)
    holes = [(s - FREE_M[name], s + FREE_M[name]) for name, s in street.sights]
    across = side * (KERB_M + 0.25), side * (POSTS_M + 0.6)
    spans = cut((low, street.path.length - high), [*holes, *taken])
    return [flat(street.path, span, across, SIDEWALK_Z + 0.015, _GRASS) for span in spans if span[1] - span[0] > 3.0]
