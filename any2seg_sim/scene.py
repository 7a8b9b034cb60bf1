# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""A scene: the street, what moves in it, its light and the drive through it, all drawn from one generator."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_sim.drive import LANE_Y_M, Drive
from any2seg_sim.lots import SIDEWALK_Z
from any2seg_sim.objects.people import CLOTHES, dog, walker
from any2seg_sim.objects.vehicles import CAR_COLOURS, CAR_SHAPES, bicycle, bus, car, truck
from any2seg_sim.shading import Daylight
from any2seg_sim.street import KERB_M, street
from any2seg_sim.traffic import Mover, Pedestrian, Vehicle

if TYPE_CHECKING:
    from any2seg_sim.mesh import Mesh

VIEW_M: Final = 140.0
"""The street goes on this far beyond the end of the drive."""
FOLLOWING_M: Final = 17.0
_CLEARANCE_M: Final = 4.0


@dataclass(frozen=True, eq=False)
class Scene:
    """All there is to see.

    Attributes:
        still: what never moves.
        movers: vehicles and people.
        light: sun and sky.
        drive: the ego vehicle's path.
    """

    still: Mesh
    movers: tuple[Mover, ...]
    light: Daylight
    drive: Drive


def build_scene(rng: np.random.Generator, *, duration_s: float, speed_mps: float) -> Scene:
    """Draw a street long enough for the drive, with its traffic."""
    drive = Drive(speed_mps, float(rng.uniform(0, 2 * math.pi)))
    light = Daylight.drawn(rng)
    reach = drive.travelled(duration_s)
    end = 3.0 * math.ceil((reach + VIEW_M) / 3.0)
    first = 3.0 * float(rng.integers(8, 11))  # the railway must lie between lots, on the pitch of the windows
    crossings = [float(x) for x in np.arange(first, end - 20, 66.0)]
    rails, bridge = first + 21.0, first + 44.0
    still = street(rng, end, crossings, rails, bridge)
    crossing_people = _crossing(rng, drive, crossings)
    strollers = _strolling(rng, end)
    vehicles = _vehicles(rng, drive, end, duration_s, crossing_people)
    return Scene(still, (*crossing_people, *strollers, *vehicles), light, drive)


def _crossing(rng: np.random.Generator, drive: Drive, crossings: list[float]) -> list[Pedestrian]:
    """Let people cross each zebra and be over before the ego vehicle comes."""
    people = []
    for x in crossings:
        arrival = x / drive.speed_mps if drive.speed_mps > 0 else math.inf
        for _ in range(rng.integers(1, 4)):
            side = float(rng.choice([-1.0, 1.0]))
            pace = float(rng.uniform(1.2, 1.6))
            width = 2 * (KERB_M + 0.5)
            start = min(arrival - width / pace - rng.uniform(1.5, 3.5), 8.0) if math.isfinite(arrival) else 1.0
            place = (x + float(rng.uniform(-1.2, 1.2)), side * (KERB_M + 0.5), 0.0)
            person = walker(rng, height=float(rng.uniform(1.6, 1.85)))
            people.append(Pedestrian(person, *place, -side * math.pi / 2, pace, start, start + width / pace))
    return people


def _strolling(rng: np.random.Generator, end: float) -> list[Mover]:
    """Let people, some with a dog, walk along both pavements."""
    people: list[Mover] = []
    for side in (-1.0, 1.0):
        for x in np.arange(-10.0, end, 9.0):
            place = x + float(rng.uniform(-4, 4)), side * float(rng.uniform(7.2, 8.5))
            heading, pace = float(rng.choice([0.0, math.pi])), float(rng.uniform(1.0, 1.6))
            person = walker(rng, height=float(rng.uniform(1.55, 1.9)))
            people.append(Pedestrian(person, *place, SIDEWALK_Z, heading, pace))
            if rng.random() < 0.15:
                ahead = place[0] + math.cos(heading) * 0.9
                people.append(Vehicle(dog().moved(z=SIDEWALK_Z), ahead, place[1] - 0.35, math.cos(heading) * pace))
    return people


def _vehicles(
    rng: np.random.Generator, drive: Drive, end: float, duration_s: float, people: list[Pedestrian]
) -> list[Vehicle]:
    """Send a car ahead, oncoming traffic and cyclists; drop whoever would run into someone who crosses."""
    kinds = list(CAR_SHAPES)

    def some_car() -> Mesh:
        return car(kinds[rng.integers(len(kinds))], CAR_COLOURS[rng.integers(len(CAR_COLOURS))])

    speed = drive.speed_mps
    found = [Vehicle(some_car(), FOLLOWING_M, LANE_Y_M, speed, (1.5, 0.35))]
    found.append(Vehicle(truck((0.5, 0.3, 0.05)), FOLLOWING_M + 21.0, LANE_Y_M, speed * 1.03 + 0.05))
    x, count = 22.0, 0
    while x < end + 8.0 * duration_s:
        pace = float(rng.uniform(6.5, 7.5))
        mesh = bus((0.06, 0.2, 0.45)) if count % 5 == 1 else some_car()
        found.append(Vehicle(mesh, x, -LANE_Y_M, -7.0 if count % 5 == 1 else -pace))
        x += float(rng.uniform(24.0, 40.0))
        count += 1
    for x in np.arange(12.0, end, 38.0):
        jacket = CLOTHES[rng.integers(len(CLOTHES))]
        bike = bicycle(CAR_COLOURS[rng.integers(len(CAR_COLOURS))], ridden=jacket)
        side = float(rng.choice([-1.0, 1.0]))
        found.append(Vehicle(bike, x + float(rng.uniform(-6, 6)), side * 3.35, -side * float(rng.uniform(3.5, 4.5))))
    return [vehicle for vehicle in found if not _runs_into(vehicle, people, duration_s)]


def _runs_into(vehicle: Vehicle, people: list[Pedestrian], duration_s: float) -> bool:
    for t_s in np.arange(0.0, duration_s, 0.25):
        x, y = vehicle.position(t_s)
        for person in people:
            other_x, other_y = person.position(t_s)
            if abs(other_x - x) < _CLEARANCE_M and abs(other_y - y) < 1.7:
                return True
    return False
