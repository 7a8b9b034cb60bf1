# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""How streets are drawn: a chain of blocks that the ego vehicle drives through, with side streets."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_sim.world.measures import BACK_M, MOUTH_M
from any2seg_sim.world.path import Path
from any2seg_sim.world.plan import (
    AHEAD,
    BACK,
    LEFT,
    RIGHT,
    SIGHT_M,
    START_M,
    Junction,
    Plan,
    Street,
    backs,
    behind,
    distance,
    middle,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

VIEW_M: Final = 45.0
"""The last junction is at least this far beyond the end of the drive."""
_STRAIGHT_M: Final = 17.0
_EASING_M: Final = 13.0
_TRIES: Final = 40
_ROOM_M: Final = BACK_M - 0.2
_BENT: Final = 0.85
"""Share of blocks that bend, if nothing in them keeps them straight."""


@dataclass(eq=False)
class _Draft:
    """What has been laid out so far."""

    streets: list[Street] = field(default_factory=list)
    junctions: list[Junction] = field(default_factory=list)

    def fits(self, street: Street) -> bool:
        """Tell whether a street and its lots keep clear of all others and of the backs of T-junctions."""
        line, back = middle(street), backs(street)
        others = [other for other in self.streets if other.path is not street.path]
        for other in others:
            if np.min(distance(back, middle(other))) < _ROOM_M or np.min(distance(backs(other), line)) < _ROOM_M:
                return False
        closed = [behind(junction) for junction in self.junctions]
        return all(not len(points) or np.min(distance(points, line)) >= _ROOM_M for points in closed)


def _curve(rng: np.random.Generator, start: tuple[float, float, float], length: float, *, bend: float) -> Path:
    """Draw a street's middle: straight at both ends, in between a bend with some probability, or none."""
    bent = length - 2 * _STRAIGHT_M - 2 * _EASING_M
    if rng.random() >= bend or bent < 1.0:
        return Path.of_curvature(start, [(0.0, 0.0), (length, 0.0)])
    curvature = float(rng.choice([-1.0, 1.0]) / rng.uniform(62.0, 120.0))
    first = _STRAIGHT_M
    knots = [(0.0, 0.0), (first, 0.0), (first + _EASING_M, curvature), (first + _EASING_M + bent, curvature)]
    return Path.of_curvature(start, [*knots, (length - _STRAIGHT_M, 0.0), (length, 0.0)])


def _junction(end: tuple[float, float, float], arms: Sequence[int], way: int) -> Junction:
    """Put a junction at the end of a street."""
    x, y, heading = end
    return Junction(x + MOUTH_M * math.cos(heading), y + MOUTH_M * math.sin(heading), heading, tuple(arms), way)


_KINDS: Final = (
    ((AHEAD, LEFT, BACK, RIGHT), 0.5),
    ((AHEAD, LEFT, BACK), 0.15),
    ((AHEAD, BACK, RIGHT), 0.15),
    ((LEFT, BACK, RIGHT), 0.2),
)


def _extend(rng: np.random.Generator, draft: _Draft, length: float, names: list[str] | None, *, easy: bool) -> bool:
    """Add a junction at the end of the last main street, its side streets, and the next main street; False: no room.

    Args:
        rng: draws everything.
        draft: what there is.
        length: of the next main street, metres.
        names: sights of the next main street; None for a T-junction that closes the view, with a short way out.
        easy: keep it straight.
    """
    odds = np.array([share for _, share in _KINDS])
    arms = (LEFT, BACK, RIGHT) if names is None else _KINDS[rng.choice(len(_KINDS), p=odds)][0]
    ways = [arm for arm in arms if arm != BACK]
    weights = np.array([0.45 if arm == AHEAD else 0.275 for arm in ways])
    way = int(rng.choice(ways, p=weights / weights.sum()))
    path = next(street for street in reversed(draft.streets) if street.main).path
    junction = _junction(path.pose(path.length), arms, way)
    trial = _Draft(list(draft.streets), [*draft.junctions, junction])
    closed = behind(junction)
    if len(closed) and any(np.min(distance(closed, middle(street))) < _ROOM_M for street in draft.streets):
        return False
    for arm in sorted(ways, key=lambda arm: arm != way):
        if arm == way and names is not None:
            bend = 0.0 if easy or "river" in names else _BENT
            block = _curve(rng, junction.mouth(arm), length, bend=bend)
            street = _with_sights(rng, block, names, (True, True), 0.0)
        else:
            aside = _curve(rng, junction.mouth(arm), float(rng.uniform(38.0, 55.0)), bend=0.3)
            street = Street(aside, (True, False), main=arm == way)
        if not trial.fits(street):
            return False
        trial.streets.append(street)
    draft.streets, draft.junctions = trial.streets, trial.junctions
    return True


def lay_out(rng: np.random.Generator, reach_m: float) -> Plan:
    """Draw streets for a drive of so many metres."""
    while True:
        drawn = _chain(rng, reach_m + VIEW_M)
        if drawn is not None:
            return drawn


def _chain(rng: np.random.Generator, wanted: float) -> Plan | None:
    """Line up blocks until the drive has room; None if the streets wound themselves into a corner."""
    ahead, order = float(rng.uniform(72.0, 88.0)), ["rails", "river"]
    order = [order[index] for index in rng.permutation(2)]
    names = ["rails", "river"] if ahead >= wanted else _names(rng, 0, order)
    first = _curve(rng, (0.0, 0.0, 0.0), START_M + ahead, bend=0.0 if "river" in names else _BENT)
    begun = _with_sights(rng, _through_origin(first), names, (False, True), START_M + 8.0)
    draft, count = _Draft([begun]), 1
    while True:
        last = ahead >= wanted
        length = float(rng.uniform(88.0, 120.0))
        sights = None if last else _names(rng, count, order)
        if not any(_extend(rng, draft, length, sights, easy=trial > _TRIES // 2) for trial in range(_TRIES)):
            return None
        if last:
            break
        ahead, count = ahead + 2 * MOUTH_M + length, count + 1
    streets = sorted(draft.streets, key=lambda street: not street.main)
    return Plan(tuple(streets), tuple(draft.junctions), _route(draft), START_M)


def _through_origin(path: Path) -> Path:
    """Move a path so that it passes the origin along +x where the drive starts."""
    x, y, heading = path.pose(START_M)
    cos, sin = math.cos(heading), math.sin(heading)
    return Path((path.xy - (x, y)) @ np.array([(cos, -sin), (sin, cos)]), path.heading - heading, path.step)


def _route(draft: _Draft) -> Path:
    """Join the middles of the main streets."""
    main = [street.path.xy for street in draft.streets if street.main]
    pieces = [main[0]]
    for junction, xy in zip(draft.junctions, main[1:], strict=True):
        pieces += [junction.crossed(), xy]
    return Path.through(np.concatenate(pieces))


def _names(rng: np.random.Generator, index: int, order: list[str]) -> list[str]:
    """Choose up to two sights for a block; what must come is shared out between the first two."""
    if index < len(order):
        names = [order[index], ("footbridge", "viaduct", "zebra", "")[rng.integers(4)]]
    else:
        names = ["rails", "river", "viaduct", "footbridge", "zebra", ""]
    return [names[place] for place in rng.permutation(len(names))[:2] if names[place]]


def _with_sights(
    rng: np.random.Generator, path: Path, names: list[str], joins: tuple[bool, bool], from_m: float
) -> Street:
    """Make a main street and spread sights over it, from a place on, each with the room that it needs."""
    low, high = Street(path, joins, main=True).frontage
    low, high = max(low, from_m) + 1.0, high - 1.0
    spare = max(high - low - sum(2 * SIGHT_M[name] for name in names), 0.0)
    shares = np.diff(np.concatenate([[0.0], np.sort(rng.uniform(0.0, 1.0, len(names)))])) * spare
    found, s = [], low
    for name, gap in zip(names, shares.tolist(), strict=True):
        s += gap + SIGHT_M[name]
        found.append((name, s))
        s += SIGHT_M[name]
    return Street(path, joins, True, tuple(found))
