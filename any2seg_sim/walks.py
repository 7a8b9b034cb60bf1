# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""People in the street: some stroll along the pavements, some cross the road when it is clear."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_sim.objects.people import dog, walker
from any2seg_sim.traffic import Dog, Pedestrian
from any2seg_sim.world.measures import KERB_M, MOUTH_M, SIDEWALK_Z, WALK_M, ZEBRA_M
from any2seg_sim.world.path import Path
from any2seg_sim.world.plan import BACK
from any2seg_sim.world.roads import RAILWAY_M, gaps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from any2seg_sim.drive import Drive
    from any2seg_sim.traffic import Mover, Vehicle
    from any2seg_sim.world.plan import Plan, Street

_ROUND_TURNS: Final = 9
_WAIT_M: Final = 0.75
"""How far from the kerb people wait."""
_CLEAR_M: Final = 1.5
_STEP_S: Final = 0.2
_DOGS: Final = 0.12
_SHARES: Final = (0.1, 0.37, 0.63, 0.9)
"""Where people cross on the width of a zebra, by turns in both directions."""
_UNUSED: Final = 0.45
_NOWHERE_M: Final = 1e6
_NEAR_M: Final = 32.0
"""Who never comes this near to the ego vehicle is built more simply."""


def circuit(street: Street, side: int, span: tuple[float, float]) -> Path:
    """Lead along a pavement, round at its end, back, and round again; people keep to the right."""
    near, far = WALK_M
    radius = (far - near) / 2
    along = np.arange(span[0] + radius, span[1] - radius, 0.5)
    # Who walks along +s with the road on the left walks far from it on the right-hand side of the street.
    out, back = (far, near) if side < 0 else (near, far)
    turn = np.linspace(0, math.pi, _ROUND_TURNS)[1:-1]
    middle = side * (near + far) / 2
    swing = side * (out - back) / 2
    end_s, end_o = along[-1] + radius * np.sin(turn), middle + swing * np.cos(turn)
    start_s, start_o = along[0] - radius * np.sin(turn), middle - swing * np.cos(turn)
    s = np.concatenate([along, end_s, along[::-1], start_s, along[:1]])
    offset = np.concatenate(
        [np.full(len(along), side * out), end_o, np.full(len(along), side * back), start_o, [side * out]]
    )
    return Path.through(street.path.beside(s, offset))


def strollers(
    rng: np.random.Generator, street: Street, drive: Drive, duration_s: float, *, apart_m: float
) -> list[Mover]:
    """Let people walk along both pavements of a street, about so far apart; all on one pavement keep one pace."""
    times = np.arange(0.0, duration_s + 1.0, 1.0)
    ego = np.array([drive.pose(t_s)[:2, 3] for t_s in times.tolist()])
    people: list[Mover] = []
    for side in (-1, 1):
        for span in gaps(street, {"rails": RAILWAY_M / 2 + 1.0}, (1.0, street.path.length - 1.0)):
            if span[1] - span[0] < 8.0:
                continue
            path = circuit(street, side, span)
            pace, place = float(rng.uniform(1.1, 1.5)), float(rng.uniform(0.0, apart_m))
            while place < path.length - 3.5:
                spots = path.at((place + pace * times) % path.length)[0]
                near = bool(np.min(np.hypot(*(spots - ego).T)) < _NEAR_M)
                person = walker(rng, height=float(rng.uniform(1.55, 1.9)), fine=near)
                people.append(Pedestrian(person, path, place, pace, loop=True, pavement=SIDEWALK_Z))
                place += person.ahead
                if rng.random() < _DOGS:
                    place += 0.9
                    people.append(Pedestrian(Dog(dog(rng)), path, place, pace, loop=True, pavement=SIDEWALK_Z))
                    place += 0.5
                place += max(0.9, apart_m * float(rng.uniform(0.3, 1.7)))
    return people


def crossers(
    rng: np.random.Generator, plan: Plan, drive: Drive, vehicles: Sequence[Vehicle], duration_s: float
) -> list[Mover]:
    """Let people cross at zebras; where traffic moves they do so only if nobody comes near."""
    times = np.arange(-1.0, duration_s + 1.0, _STEP_S)
    traffic = tracks(drive, vehicles, times)
    people: list[Mover] = []
    for path, busy in _crossings(plan):
        if rng.random() < _UNUSED:
            continue
        pace = float(rng.uniform(1.15, 1.6))
        lasts, road = path.length / pace, (_WAIT_M, path.length - _WAIT_M)
        for start in rng.uniform(-0.5 * lasts, duration_s, 10 if busy else 1).tolist():
            person = walker(rng, height=float(rng.uniform(1.55, 1.9)))
            one = Pedestrian(person, path, 0.0, pace, start, start + lasts, pavement=SIDEWALK_Z, road=road)
            if not busy or _is_clear(one, times, traffic):
                people.append(one)
                break
    return people


def _crossings(plan: Plan) -> list[tuple[Path, bool]]:
    """Give ways across the road, each for one person, and whether vehicles drive there."""
    found = []
    for junction in plan.junctions:
        for arm in junction.arms:
            turn, busy = junction.towards(arm), arm in (BACK, junction.way)
            for index, share in enumerate(_SHARES):
                reach = MOUTH_M + ZEBRA_M[0] + share * (ZEBRA_M[1] - ZEBRA_M[0])
                x, y = junction.x + reach * math.cos(turn), junction.y + reach * math.sin(turn)
                found.append((_across(x, y, turn, 1.0 if index % 2 else -1.0), busy))
    for street in plan.streets:
        for name, s in street.sights:
            if name == "zebra":
                for index, share in enumerate(_SHARES):
                    x, y, heading = street.path.pose(s + 3.0 * (share - 0.5))
                    found.append((_across(x, y, heading, 1.0 if index % 2 else -1.0), street.main))
    return found


def _across(x: float, y: float, heading: float, side: float) -> Path:
    """Lead across a road at a place, from its right-hand side (1) or from its left (-1)."""
    reach, turn = KERB_M + _WAIT_M, heading + side * math.pi / 2
    start = x - reach * math.cos(turn), y - reach * math.sin(turn), turn
    return Path.of_curvature(start, [(0.0, 0.0), (2 * reach, 0.0)])


def tracks(drive: Drive, vehicles: Sequence[Vehicle], times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give x, y, heading and reach (T, V, 5) of all vehicles and the ego vehicle."""
    rows = []
    for t_s in times.tolist():
        pose = drive.pose(t_s)
        row = [(*pose[:2, 3] + 0.3 * pose[:2, 0], math.atan2(pose[1, 0], pose[0, 0]), 2.6, 1.0)]
        for vehicle in vehicles:
            place = vehicle.position(t_s) if vehicle.present(t_s) else (_NOWHERE_M, _NOWHERE_M)
            row.append((*place, vehicle.heading(t_s), *vehicle.reach))
        rows.append(row)
    return np.array(rows)


def _is_clear(person: Pedestrian, times: NDArray[np.float64], traffic: NDArray[np.float64]) -> bool:
    """Tell whether nobody comes near a person at any time."""
    places = np.array([person.position(t_s) for t_s in times.tolist()])
    apart = places[:, None] - traffic[..., :2]
    cos, sin = np.cos(traffic[..., 2]), np.sin(traffic[..., 2])
    ahead = np.abs(apart[..., 0] * cos + apart[..., 1] * sin) - traffic[..., 3]
    beside = np.abs(apart[..., 1] * cos - apart[..., 0] * sin) - traffic[..., 4]
    return not np.any((ahead < _CLEAR_M + 1.0) & (beside < _CLEAR_M - 0.6))
