# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Where streets and junctions lie: a chain of blocks that the ego vehicle drives through, with side streets."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_sim.world.measures import BACK_M, DEPTH_M, FRONTAGE_M, MOUTH_M
from any2seg_sim.world.path import Path

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

AHEAD, LEFT, BACK, RIGHT = range(4)
"""Arms of a junction, as the ego vehicle meets them: quarter turns to the left from its heading."""
START_M: Final = 45.0
"""The first street begins this far behind the ego vehicle's start."""
SIGHT_M: Final = {"rails": 7.0, "river": 17.0, "viaduct": 6.0, "footbridge": 9.5, "zebra": 6.0}
"""Half the length of street that is needed by what lies across it."""
VIEW_M: Final = 45.0
"""The last junction is at least this far beyond the end of the drive."""
_STRAIGHT_M: Final = 17.0
_EASING_M: Final = 13.0
_TRIES: Final = 40
_ROOM_M: Final = BACK_M - 0.2


@dataclass(frozen=True, eq=False)
class Street:
    """A street between two mouths or dead ends.

    Attributes:
        path: its middle.
        joins: whether its start and its end are mouths of junctions.
        main: the ego vehicle drives through it.
        sights: what lies across it, by name, and where along the path.
    """

    path: Path
    joins: tuple[bool, bool]
    main: bool
    sights: tuple[tuple[str, float], ...] = ()

    @property
    def frontage(self) -> tuple[float, float]:
        """Where lots begin and end along the path."""
        start, end = (FRONTAGE_M if joined else 0.0 for joined in self.joins)
        return start, self.path.length - end


@dataclass(frozen=True, eq=False)
class Junction:
    """A crossing or a T-junction with arms at right angles.

    Attributes:
        x, y: its middle.
        heading: direction in which the ego vehicle arrives.
        arms: which of AHEAD, LEFT, BACK and RIGHT there are.
        way: the arm by which the ego vehicle leaves.
    """

    x: float
    y: float
    heading: float
    arms: tuple[int, ...]
    way: int

    def towards(self, arm: int) -> float:
        """Direction of an arm."""
        return self.heading + arm * math.pi / 2

    def mouth(self, arm: int) -> tuple[float, float, float]:
        """Where the street of an arm begins, and its direction there."""
        turn = self.towards(arm)
        return self.x + MOUTH_M * math.cos(turn), self.y + MOUTH_M * math.sin(turn), turn

    def crossed(self) -> NDArray[np.float64]:
        """Points (N, 2) of the middle of the ego vehicle's road from mouth to mouth, without the mouths."""
        if self.way == AHEAD:
            ahead = np.linspace(-MOUTH_M, MOUTH_M, 49)[1:-1]
            local = np.stack([ahead, np.zeros_like(ahead)], 1)
        else:
            side = 1.0 if self.way == LEFT else -1.0
            turn = np.linspace(0.0, math.pi / 2, 40)[1:-1]
            local = MOUTH_M * np.stack([np.sin(turn) - 1.0, side * (1.0 - np.cos(turn))], 1)
        cos, sin = math.cos(self.heading), math.sin(self.heading)
        return np.asarray(np.array((self.x, self.y)) + local @ np.array([(cos, sin), (-sin, cos)]))


@dataclass(frozen=True, eq=False)
class Plan:
    """All streets and junctions.

    Attributes:
        streets: the main ones first, in the order of the drive.
        junctions: in the order of the drive.
        route: middle of the road that the ego vehicle takes, through all junctions.
        start_m: where along the route the drive begins.
    """

    streets: tuple[Street, ...]
    junctions: tuple[Junction, ...]
    route: Path
    start_m: float

    def clearance(self, xy: NDArray[np.floating], *, but: Street | None = None) -> NDArray[np.float64]:
        """Distance (N,) of places (N, 2) from the middle of the nearest street, one of them left out."""
        lines = [_middle(street) for street in self.streets if street is not but]
        return _distance(np.asarray(xy, np.float64), np.concatenate(lines))


@dataclass(eq=False)
class _Draft:
    """What has been laid out so far."""

    streets: list[Street] = field(default_factory=list)
    junctions: list[Junction] = field(default_factory=list)

    def fits(self, street: Street) -> bool:
        """Tell whether a street and its lots keep clear of all others and of the backs of T-junctions."""
        middle, back = _middle(street), _backs(street)
        others = [other for other in self.streets if other.path is not street.path]
        for other in others:
            if np.min(_distance(back, _middle(other))) < _ROOM_M or np.min(_distance(_backs(other), middle)) < _ROOM_M:
                return False
        backs = [_behind(junction) for junction in self.junctions]
        return all(not len(behind) or np.min(_distance(behind, middle)) >= _ROOM_M for behind in backs)


def _middle(street: Street) -> NDArray[np.float64]:
    """Points (N, 2) along a street, with what closes its dead ends."""
    start, end = (0.0 if joined else DEPTH_M for joined in street.joins)
    return street.path.at(np.arange(-start, street.path.length + end + 2.0, 3.0))[0]


def _backs(street: Street) -> NDArray[np.float64]:
    """Points (N, 2) on the outer edges of a street's lots."""
    first, last = street.frontage
    closed = [0.0 if joined else DEPTH_M for joined in street.joins]
    along = np.arange(first - closed[0], last + closed[1] + 1.0, 3.0)
    return np.concatenate([street.path.beside(along, side * BACK_M) for side in (-1.0, 1.0)])


def _behind(junction: Junction) -> NDArray[np.float64]:
    """Points (N, 2) behind the sides of a junction that have no arm."""
    along = np.linspace(-BACK_M, BACK_M, 17)
    rows = [np.zeros((0, 2))]
    for arm in range(4):
        if arm not in junction.arms:
            cos, sin = math.cos(junction.towards(arm)), math.sin(junction.towards(arm))
            local = np.stack([np.full_like(along, BACK_M), along], 1)
            rows.append(np.array((junction.x, junction.y)) + local @ np.array([(cos, sin), (-sin, cos)]))
    return np.concatenate(rows)


def _distance(places: NDArray[np.float64], line: NDArray[np.float64]) -> NDArray[np.float64]:
    apart = places[:, None] - line[None]
    return np.asarray(np.sqrt(np.min(np.einsum("ijk,ijk->ij", apart, apart), axis=1)))


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


def _extend(rng: np.random.Generator, draft: _Draft, length: float, *, last: bool, easy: bool) -> bool:
    """Add a junction at the end of the last main street, its side streets, and the next main street; False: no room.

    With `last` it is a T-junction that closes the view, and the way out of it is a short street.
    """
    odds = np.array([share for _, share in _KINDS])
    arms = (LEFT, BACK, RIGHT) if last else _KINDS[rng.choice(len(_KINDS), p=odds)][0]
    ways = [arm for arm in arms if arm != BACK]
    weights = np.array([0.45 if arm == AHEAD else 0.275 for arm in ways])
    way = int(rng.choice(ways, p=weights / weights.sum()))
    path = next(street for street in reversed(draft.streets) if street.main).path
    junction = _junction(path.pose(path.length), arms, way)
    trial = _Draft(list(draft.streets), [*draft.junctions, junction])
    if any(np.min(_distance(_behind(junction), _middle(street))) < _ROOM_M for street in draft.streets if last):
        return False
    for arm in sorted(ways, key=lambda arm: arm != way):
        block = arm == way and not last
        reach = length if block else float(rng.uniform(38.0, 55.0))
        middle = _curve(rng, junction.mouth(arm), reach, bend=(0.0 if easy else 0.7) if block else 0.3)
        street = Street(middle, (True, block), main=arm == way)
        if not trial.fits(street):
            return False
        trial.streets.append(street)
    draft.streets, draft.junctions = trial.streets, trial.junctions
    return True


def lay_out(rng: np.random.Generator, reach_m: float) -> Plan:
    """Draw streets for a drive of so many metres."""
    while True:
        draft = _Draft()
        ahead = float(rng.uniform(68.0, 84.0))
        first = _through_origin(_curve(rng, (0.0, 0.0, 0.0), START_M + ahead, bend=0.6))
        draft.streets.append(Street(first, (False, True), main=True))
        drawn = _chain(rng, draft, ahead, reach_m + VIEW_M)
        if drawn is not None:
            return drawn


def _through_origin(path: Path) -> Path:
    """Move a path so that it passes the origin along +x where the drive starts."""
    x, y, heading = path.pose(START_M)
    cos, sin = math.cos(heading), math.sin(heading)
    return Path((path.xy - (x, y)) @ np.array([(cos, -sin), (sin, cos)]), path.heading - heading, path.step)


def _chain(rng: np.random.Generator, draft: _Draft, ahead: float, wanted: float) -> Plan | None:
    """Go on with blocks until the drive has room; None if the streets wound themselves into a corner."""
    while True:
        last = ahead >= wanted
        length = float(rng.uniform(88.0, 120.0))
        if not any(_extend(rng, draft, length, last=last, easy=trial > _TRIES // 2) for trial in range(_TRIES)):
            return None
        if last:
            break
        ahead += 2 * MOUTH_M + length
    streets = sorted(draft.streets, key=lambda street: not street.main)
    return Plan(tuple(_with_sights(rng, streets)), tuple(draft.junctions), _route(draft), START_M)


def _route(draft: _Draft) -> Path:
    """Join the middles of the main streets."""
    main = [street.path.xy for street in draft.streets if street.main]
    pieces = [main[0]]
    for junction, xy in zip(draft.junctions, main[1:], strict=True):
        pieces += [junction.crossed(), xy]
    return Path.through(np.concatenate(pieces))


def _with_sights(rng: np.random.Generator, streets: list[Street]) -> list[Street]:
    """Lay railways, bridges and zebra crossings across the blocks of the drive; railway and bridge always come."""
    blocks = sum(street.main and street.joins[1] for street in streets)
    begin = ("rails", "river")[rng.integers(2)]
    out = []
    for index, street in enumerate(streets):
        if index >= blocks:
            out.append(street)
            continue
        start, last = street.frontage
        span = max(start, START_M + 8.0 if index == 0 else 0.0) + 1.0, last - 1.0
        names = [name for name in _names(rng, index, blocks, begin) if name]
        out.append(Street(street.path, street.joins, street.main, tuple(_placed(rng, names, span))))
    return out


def _placed(rng: np.random.Generator, names: list[str], span: tuple[float, float]) -> list[tuple[str, float]]:
    """Spread sights over a span, each with the room that it needs."""
    spare = max(span[1] - span[0] - sum(2 * SIGHT_M[name] for name in names), 0.0)
    shares = np.diff(np.concatenate([[0.0], np.sort(rng.uniform(0.0, 1.0, len(names)))])) * spare
    found, s = [], span[0]
    for name, gap in zip(names, shares.tolist(), strict=True):
        s += gap + SIGHT_M[name]
        found.append((name, s))
        s += SIGHT_M[name]
    return found


def _names(rng: np.random.Generator, index: int, blocks: int, first: str) -> list[str]:
    """Choose two sights for a block, empty names for none; the first and the second block share out what must come."""
    second = "river" if first == "rails" else "rails"
    if blocks == 1:
        names = ["rails", "river"]
    elif index < 2:
        names = [first if index == 0 else second, ("footbridge", "viaduct", "zebra", "")[rng.integers(4)]]
    else:
        names = ["rails", "river", "viaduct", "footbridge", "zebra", ""]
    return [names[position] for position in rng.permutation(len(names))[:2]]
