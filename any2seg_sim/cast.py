# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Vehicles on the ego vehicle's road and at the mouths of side streets."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_sim.drive import Drive
from any2seg_sim.objects.bikes import (
    BICYCLE_CRANK,
    BICYCLE_SEAT,
    MOTORCYCLE_PEGS,
    MOTORCYCLE_SEAT,
    SCOOTER_PEGS,
    SCOOTER_SEAT,
    bicycle,
    motorcycle,
    scooter,
)
from any2seg_sim.objects.cars import CAR_COLOURS, CAR_SHAPES, car, headlight_places
from any2seg_sim.objects.heavy import BUS_COLOURS, BUS_LENGTH_M, TRUCK_COLOURS, TRUCK_LENGTH_M, TRUCKS, bus, truck
from any2seg_sim.objects.people import rider
from any2seg_sim.traffic import Vehicle
from any2seg_sim.world.measures import CYCLES_M, LANE_M, STOP_M
from any2seg_sim.world.plan import AHEAD, BACK
from any2seg_sim.world.timetable import Timetable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from any2seg_sim.lamps import Lamp
    from any2seg_sim.mesh import Mesh
    from any2seg_sim.shapes import Vec
    from any2seg_sim.world.path import Path
    from any2seg_sim.world.plan import Plan

EASE_M: Final = 2.0
"""Over such a length drivers turn the wheel."""
FOLLOWING_S: Final = 1.7
"""A vehicle does what the one before it did this much earlier ..."""
FOLLOWING_M: Final = 6.8
"""... so far behind it (G. F. Newell, Transportation Research B 36, 2002), both measured for cars."""
_LONGER_M: Final = {"bus": 3.6, "truck": 2.0}
"""What longer vehicles need more, to the front and to the rear each."""
_STEP_S: Final = 0.25
_BIKE_REACH: Final = (0.95, 0.36)


class _Fleet:
    """Draws vehicles of all kinds for a lane."""

    def __init__(self, rng: np.random.Generator, path: Path, timetable: Timetable) -> None:
        self.rng, self.path, self.timetable = rng, path, timetable

    def vehicle(self, kind: str, ahead_s: float, ahead_m: float = 0.0) -> Vehicle:
        """Send a vehicle: a car, bus, truck, motorcycle, scooter or bicycle."""
        rng = self.rng
        colour = CAR_COLOURS[rng.integers(len(CAR_COLOURS))]
        where = (self.path, self.timetable, ahead_s, ahead_m)
        if kind == "bus":
            places: tuple[Vec, ...] = ((5.55, 0.86, 0.72), (5.55, -0.86, 0.72))
            mesh = bus(BUS_COLOURS[rng.integers(len(BUS_COLOURS))])
            return Vehicle(mesh, *where, 2.75, (BUS_LENGTH_M / 2 + 0.1, 1.27), places)
        if kind == "truck":
            places = ((3.9, 0.88, 0.84), (3.9, -0.88, 0.84))
            mesh = truck(TRUCK_COLOURS[rng.integers(len(TRUCK_COLOURS))], kind=TRUCKS[rng.integers(len(TRUCKS))])
            return Vehicle(mesh, *where, 2.3, (TRUCK_LENGTH_M / 2 + 0.1, 1.27), places)
        if kind == "bicycle":
            who = rider(rng, seat=BICYCLE_SEAT, crank=BICYCLE_CRANK, lean=0.4, pedals=0.17)
            return Vehicle(bicycle(colour), *where, 0.55, _BIKE_REACH, rider=who)
        if kind == "motorcycle":
            who = rider(rng, seat=MOTORCYCLE_SEAT, crank=MOTORCYCLE_PEGS, lean=0.3, pedals=0.0)
            return Vehicle(motorcycle(colour), *where, 0.7, (1.1, 0.4), ((0.7, 0.0, 0.93),), who)
        if kind == "scooter":
            who = rider(rng, seat=SCOOTER_SEAT, crank=SCOOTER_PEGS, lean=0.1, pedals=0.0)
            return Vehicle(scooter(colour), *where, 0.6, (0.95, 0.36), ((0.6, 0.0, 1.0),), who)
        shape = tuple(CAR_SHAPES)[rng.integers(len(CAR_SHAPES))]
        size = CAR_SHAPES[shape]
        reach = (size.nose - size.tail) / 2 + 0.1, size.half + 0.1
        return Vehicle(car(shape, colour), *where, size.axle, reach, headlight_places(shape))

    def kinds(self, count: int, odds: dict[str, float]) -> list[str]:
        """Draw names of vehicles."""
        shares = np.array(list(odds.values()))
        return [str(name) for name in self.rng.choice(list(odds), count, p=shares / shares.sum())]


_AHEAD: Final = {"car": 0.48, "bus": 0.11, "truck": 0.11, "motorcycle": 0.17, "scooter": 0.13}
_ONCOMING: Final = {"car": 0.54, "bus": 0.1, "truck": 0.12, "motorcycle": 0.13, "scooter": 0.11}


def ego_drive(rng: np.random.Generator, plan: Plan, speed_mps: float) -> Drive:
    """Plan the ego vehicle's drive along the right-hand lane."""
    path = plan.route.shifted(-LANE_M, smooth_m=EASE_M)
    start = path.nearest(*plan.route.pose(plan.start_m, -LANE_M)[:2])
    phase = float(rng.uniform(0, 2 * math.pi))
    slow = _slow(plan, path, speed_mps)
    return Drive(path, Timetable.along(path, start, 1.06 * speed_mps, slow=slow, sway=phase), phase)


def _slow(plan: Plan, path: Path, speed_mps: float) -> list[tuple[float, float]]:
    """Where one slows down: before junctions that one goes straight across, and railways."""
    places = [(junction.x, junction.y, 0.78) for junction in plan.junctions if junction.way == AHEAD]
    for street in plan.streets:
        for name, s in street.sights:
            if name == "rails" and street.main:
                places.append((*street.path.pose(s)[:2], 0.85))
    return [(path.nearest(x, y), max(share * speed_mps, 1.0)) for x, y, share in places]


def vehicles(rng: np.random.Generator, plan: Plan, drive: Drive, duration_s: float) -> list[Vehicle]:
    """Put vehicles before and behind the ego vehicle, oncoming ones, and cyclists on both sides."""
    fleet = _Fleet(rng, drive.path, drive.timetable)
    found, before_s, before_m = [], 0.0, 0.0
    for kind in fleet.kinds(int(rng.choice([1, 2, 3], p=[0.2, 0.5, 0.3])), _AHEAD):
        longer = _LONGER_M.get(kind, 0.0)
        before_s += FOLLOWING_S * float(rng.uniform(1.0, 1.6))
        before_m += FOLLOWING_M + longer
        found.append(fleet.vehicle(kind, before_s, before_m))
        before_m += longer
    behind_s, behind_m = 0.0, 0.0
    for kind in fleet.kinds(2, _AHEAD):
        behind_s += FOLLOWING_S * float(rng.uniform(1.0, 1.5))
        behind_m += FOLLOWING_M + _LONGER_M.get(kind, 0.0)
        found.append(fleet.vehicle(kind, -behind_s, -behind_m))
        behind_m += _LONGER_M.get(kind, 0.0)
    found += _oncoming(rng, plan, duration_s)
    times = np.arange(0.0, duration_s + 1.0, _STEP_S)
    return [*found, *(one for one in _cyclists(rng, plan, duration_s) if not _meets(one, found, times))]


def _meets(cyclist: Vehicle, others: list[Vehicle], times: NDArray[np.float64]) -> bool:
    """Tell whether a vehicle ever touches another one, both taken for rows of discs."""
    spots = np.array([cyclist.position(t_s) for t_s in times.tolist()])
    for other in others:
        length, width = other.reach
        rows = np.linspace(-length + width, length - width, 7)
        for t_s, (x, y) in zip(times.tolist(), spots.tolist(), strict=True):
            east, north = other.position(t_s)
            if math.hypot(east - x, north - y) > length + 2.0 or not (cyclist.present(t_s) and other.present(t_s)):
                continue
            turn = other.heading(t_s)
            apart = np.hypot(east + rows * math.cos(turn) - x, north + rows * math.sin(turn) - y)
            if np.min(apart) < width + _BIKE_REACH[0]:
                return True
    return False


def _oncoming(rng: np.random.Generator, plan: Plan, duration_s: float) -> list[Vehicle]:
    path = plan.route.shifted(LANE_M, smooth_m=EASE_M).reversed()
    timetable = Timetable.along(path, 0.0, float(rng.uniform(6.5, 8.5)), sway=float(rng.uniform(0, 6)))
    fleet = _Fleet(rng, path, timetable)
    ahead, found = -duration_s + float(rng.uniform(0.0, 3.0)), []
    while ahead < timetable.end_s:
        (kind,) = fleet.kinds(1, _ONCOMING)
        longer = _LONGER_M.get(kind, 0.0) / 3.5
        found.append(fleet.vehicle(kind, ahead + longer))
        ahead += 2 * longer + float(rng.uniform(2.6, 6.0))
    return found


def _cyclists(rng: np.random.Generator, plan: Plan, duration_s: float) -> list[Vehicle]:
    found = []
    for side in (-1.0, 1.0):
        path = plan.route.shifted(side * CYCLES_M, smooth_m=1.2)
        path = path if side < 0 else path.reversed()
        timetable = Timetable.along(path, 0.0, float(rng.uniform(3.8, 4.8)))
        fleet = _Fleet(rng, path, timetable)
        ahead = -duration_s + float(rng.uniform(0.0, 4.0))
        while ahead < timetable.end_s:
            found.append(fleet.vehicle("bicycle", ahead))
            ahead += float(rng.uniform(1.8, 4.2))
    return found


def waiting(rng: np.random.Generator, plan: Plan) -> tuple[list[Mesh], list[Lamp]]:
    """Let vehicles wait at the lights of the side streets; they stand as long as the drive lasts."""
    meshes: list[Mesh] = []
    lamps: list[Lamp] = []
    still = Timetable(np.zeros(2), np.zeros(2), np.zeros(2))
    for junction in plan.junctions:
        for arm in junction.arms:
            if arm in (BACK, junction.way):
                continue
            x, y, _ = junction.mouth(arm)
            street = min(plan.streets, key=lambda street: math.dist(street.path.xy[0], (x, y)))
            inbound = street.path.shifted(LANE_M).reversed()
            place = inbound.length - STOP_M - 0.5
            for kind in _Fleet(rng, inbound, still).kinds(int(rng.integers(1, 4)), _ONCOMING):
                one = _Fleet(rng, inbound, still).vehicle(kind, 0.0)
                place -= one.reach[0]
                here = Vehicle(one.mesh, inbound, still, 0.0, place, one.axles, one.reach, one.lights, one.rider)
                meshes.append(here.posed(0.0))
                lamps += here.lamps_at(0.0)
                place -= one.reach[0] + float(rng.uniform(1.2, 2.5))
    return meshes, lamps
