# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Lots without houses: water, rails, parked cars, building sites."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_sim.materials import Label, Paint, Surface
from any2seg_sim.mesh import Mesh
from any2seg_sim.objects.barriers import boundary, fence, guard_rail, quay_wall, railing
from any2seg_sim.objects.clutter import road_works
from any2seg_sim.objects.furniture import bench, bollards, skip
from any2seg_sim.objects.plants import flower_bed, hedge
from any2seg_sim.objects.railway import portal, track
from any2seg_sim.objects.signals import traffic_sign
from any2seg_sim.shapes import bar, disc, slab, slabs, tube
from any2seg_sim.world.measures import BACK_M, BASE_Z, FRONT_M, SIDEWALK_Z, WATER_Z
from any2seg_sim.world.stock import some_car

if TYPE_CHECKING:
    from any2seg_sim.world.frontage import Lot
    from any2seg_sim.world.stock import Stock

_GRASS: Final = Paint(Label.TERRAIN, Surface.GRASS, (0.1, 0.17, 0.04))
_WATER: Final = Paint(Label.WATER, Surface.WATER, (0.03, 0.06, 0.07))
_STONE: Final = Paint(Label.STATIC, Surface.PLAIN, (0.42, 0.41, 0.38))
_LINES: Final = Paint(Label.ROAD_LINE, Surface.RETROREFLECTIVE, (0.65, 0.65, 0.63))


def ground(length: float, paint: Paint) -> Mesh:
    """Fill a lot with ground."""
    return bar((0, length), (FRONT_M, BACK_M), (BASE_Z - 0.1, SIDEWALK_Z), paint)


def _bowl() -> Mesh:
    foot = tube((0, 0, 0.1), (0, 0, 1.1), 0.35, _STONE, end_radius=0.2, sides=12)
    rim = tube((0, 0, 1.1), (0, 0, 1.3), 0.3, _STONE, end_radius=1.1, sides=18)
    return Mesh.merged([foot, rim, disc((0, 0, 1.3), (0, 0, 1), 1.0, _WATER, sides=18)])


def fountain() -> Mesh:
    """Build a basin with a bowl, 4 m wide."""
    parts = [tube((0, 0, 0), (0, 0, 0.45), 2.0, _STONE, sides=28), disc((0, 0, 0.45), (0, 0, 1), 1.8, _WATER, sides=28)]
    return Mesh.merged([*parts, _bowl()])


def park(rng: np.random.Generator, lot: Lot, stock: Stock) -> None:
    """Build a lawn with a pond and a fountain, trees, benches and flowers."""
    lot.lay(ground(lot.length, _GRASS))
    middle, radius = lot.length / 2, min(5.6, lot.length / 2 - 3.6)
    for size, z, paint in ((radius, 0.05, _STONE), (radius - 0.35, 0.12, _WATER)):
        lot.put(disc((0, 0, z), (0, 0, 1), size, paint, sides=36, thickness=0.16), middle, radius + 0.5)
    if rng.random() < 0.5:
        lot.put(_bowl(), middle, radius + 0.5)
    lot.lay(fence(lot.length / 2 - 2.0, kind="iron", height=0.9).moved(y=FRONT_M + 0.2), SIDEWALK_Z)
    lot.lay(fence(lot.length / 2 - 2.0, kind="iron", height=0.9).moved(lot.length / 2 + 2.0, FRONT_M + 0.2), SIDEWALK_Z)
    for side in (-1.0, 1.0):
        lot.put(bench(), middle + side * (radius + 1.4), 1.0, yaw=math.pi)
        lot.put(stock.tree(rng), middle + side * (radius + 2.0), float(rng.uniform(3.0, 6.0)))
        lot.put(stock.bush(rng), middle + side * (radius + 0.8), float(rng.uniform(8.0, 10.0)))
    for x in np.arange(2.0, lot.length - 1.0, 4.5):
        lot.put(stock.tree(rng), float(x), float(rng.uniform(12.6, 14.0)))
    lot.lay(flower_bed(rng, 4.0, 0.9).moved(0.6, FRONT_M + 0.5), SIDEWALK_Z)


def quay(rng: np.random.Generator, lot: Lot, stock: Stock) -> None:
    """Let the street run along water; lot.room tells how far that may reach."""
    wide = min(lot.room, 32.0)
    lot.lay(quay_wall(lot.length, BASE_Z - 0.1).moved(y=FRONT_M + 0.3))
    barrier = (railing(lot.length), guard_rail(lot.length))[int(rng.random() < 0.4)]
    lot.lay(barrier.moved(y=FRONT_M + 0.12), SIDEWALK_Z)
    lot.lay(bar((0, lot.length), (FRONT_M, FRONT_M + 0.3), (0.0, SIDEWALK_Z), _STONE))
    lot.lay(bar((0, lot.length), (FRONT_M + 0.3, FRONT_M + wide), (BASE_Z - 0.1, WATER_Z), _WATER))
    bank = bar((-2.0, lot.length + 2.0), (FRONT_M + wide, FRONT_M + wide + 5.0), (BASE_Z - 0.1, 0.25), _GRASS)
    lot.lay(bank)
    for x in (0.15, lot.length - 0.15):
        lot.put(boundary(wide, BASE_Z - 0.1), x, 0.0, 0.0)
    for x in np.arange(1.0, lot.length, 4.5):
        lot.put(stock.tree(rng), float(x), wide + float(rng.uniform(1.5, 4.0)), 0.2)


def metro(rng: np.random.Generator, lot: Lot, stock: Stock) -> None:
    """Build two tracks along the street that come out of one portal and vanish in another."""
    lot.lay(ground(lot.length, Paint(Label.TERRAIN, Surface.GRAVEL, (0.24, 0.22, 0.19))))
    lot.lay(fence(lot.length, kind="iron", height=1.1).moved(y=FRONT_M + 0.25), SIDEWALK_Z)
    for away in (3.2, 7.2):
        lot.lay(track(lot.length).moved(y=FRONT_M + away), SIDEWALK_Z)
    for x, yaw in ((0.6, math.pi / 2), (lot.length - 0.6, -math.pi / 2)):
        lot.put(portal(9.6), x, 5.2, yaw=yaw)
    lot.lay(hedge(rng, lot.length - 2.0, height=2.0).moved(1.0, FRONT_M + 11.0), SIDEWALK_Z)
    for x in np.arange(3.0, lot.length - 2.0, 4.0):
        lot.put(stock.tree(rng), float(x), 13.0)


def car_park(rng: np.random.Generator, lot: Lot, stock: Stock) -> None:
    """Park cars in rows on open ground."""
    lot.lay(ground(lot.length, Paint(Label.GROUND, Surface.ASPHALT, (0.26, 0.255, 0.25))))
    places = np.arange(1.6, lot.length - 1.4, 2.7)
    for beyond in (3.2, 12.0):
        lines = np.stack([places - 1.35, np.full_like(places, -2.5), np.zeros_like(places)], 1)
        mesh = slabs(lines, lines + np.array((0.1, 5.0, 0.004)), _LINES).moved(y=FRONT_M + beyond)
        lot.lay(mesh, SIDEWALK_Z)
        for x in places:
            if rng.random() < 0.7:
                turn = math.pi / 2 * float(rng.choice([-1.0, 1.0]))
                lot.put(some_car(rng), float(x), beyond + float(rng.uniform(-0.2, 0.2)), yaw=turn)
    lot.put(bollards(), lot.length / 2, 0.25)
    lot.put(traffic_sign("parking").moved(yaw=math.pi / 2), 1.0, 0.35)
    for x in (0.6, lot.length - 0.6):
        lot.put(stock.tree(rng, "maple"), x, 7.5)


def site(rng: np.random.Generator, lot: Lot, stock: Stock) -> None:
    """Build a building site: a shell of concrete in scaffolding, a crane, rubble, a fence of boards."""
    del stock
    lot.lay(ground(lot.length, Paint(Label.GROUND, Surface.GRAVEL, (0.33, 0.27, 0.2))))
    opening = 5.0
    lot.lay(fence(lot.length - opening, kind="boards", height=1.8).moved(opening, FRONT_M + 0.3), SIDEWALK_Z)
    lot.put(road_works(), opening / 2, 1.4)
    lot.put(skip(), lot.length - 3.5, 2.4)
    concrete = Paint(Label.BUILDING, Surface.PLASTER, (0.4, 0.39, 0.37))
    width = lot.length - 7.0
    shell = [slab((0, width), (0, 7.5), (z, z + 0.3), concrete) for z in (0.0, 3.1, 6.2, 9.3)]
    columns = [(x, y) for x in np.linspace(0.1, width - 0.5, 4) for y in (0.1, 3.5, 7.0)]
    low = np.array([(x, y, 0.0) for x, y in columns])
    shell.append(slabs(low, low + np.array((0.4, 0.4, 9.4)), concrete))
    shell.append(slab((width / 2, width / 2 + 2.5), (4.0, 4.2), (0.0, 9.4), concrete))
    lot.put(Mesh.merged([*shell, _scaffold(width)]), 5.5, 5.5)
    lot.put(_crane(), 3.0, 9.0, yaw=float(rng.uniform(0, 2 * math.pi)))


def _scaffold(width: float) -> Mesh:
    """Put poles and planks before a front."""
    steel = Paint(Label.OTHER, Surface.METAL, (0.35, 0.36, 0.38))
    planks = Paint(Label.OTHER, Surface.WOOD, (0.35, 0.26, 0.15))
    x = np.linspace(0.0, width - 0.06, max(3, round(width / 2.2)))
    low = np.stack([np.repeat(x, 2), np.tile((-0.35, -1.2), len(x)), np.zeros(2 * len(x))], 1)
    parts = [slabs(low, low + np.array((0.06, 0.06, 10.0)), steel)]
    parts += [slab((0, width), (-1.2, -0.3), (z, z + 0.06), planks) for z in (2.1, 4.2, 6.3, 8.4)]
    return Mesh.merged(
        [*parts, *(slab((0, width), (-1.2, -1.15), (z + 1.0, z + 1.05), steel) for z in (2.1, 4.2, 6.3, 8.4))]
    )


def _crane() -> Mesh:
    """Build a tower crane."""
    yellow = Paint(Label.OTHER, Surface.METAL, (0.7, 0.45, 0.03))
    dark = Paint(Label.OTHER, Surface.PLAIN, (0.1, 0.1, 0.1))
    parts = [slab((x, x + 0.12), (y, y + 0.12), (0, 24), yellow) for x in (-0.7, 0.58) for y in (-0.7, 0.58)]
    for index, z in enumerate(np.arange(0.5, 23.0, 1.6)):
        side = 1.0 if index % 2 else -1.0
        parts += [tube((-0.64 * side, y, z), (0.64 * side, y, z + 1.5), 0.045, yellow, sides=4) for y in (-0.64, 0.64)]
        parts += [tube((x, -0.64 * side, z), (x, 0.64 * side, z + 1.5), 0.045, yellow, sides=4) for x in (-0.64, 0.64)]
    parts += [
        slab((-7.0, 18.0), (-0.5, -0.4), (24.0, 24.12), yellow),
        slab((-7.0, 18.0), (0.4, 0.5), (24.0, 24.12), yellow),
    ]
    parts += [
        slab((-7.0, 18.0), (-0.06, 0.06), (25.2, 25.32), yellow),
        slab((-6.8, -4.5), (-0.7, 0.7), (22.6, 24.0), dark),
    ]
    parts += [
        tube((x, y, 24.05), (x + 1.0, 0, 25.25), 0.04, yellow, sides=4)
        for x in np.arange(-7, 17, 2.0)
        for y in (-0.45, 0.45)
    ]
    return Mesh.merged(
        [
            *parts,
            tube((13.0, 0, 14.0), (13.0, 0, 24.0), 0.03, dark, sides=4),
            slab((-0.7, 0.7), (0.8, 2.0), (22.2, 24.0), yellow),
        ]
    )
