# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Stamped transforms of a recording, put together and interpolated as tf2 does, with no ROS installed.

Source: REP 105 (frames form a tree) and tf2's buffer: linear interpolation of places, spherical of turns, no
extrapolation; static transforms hold at any time and win.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from any2seg_ros.conversions import matrix_from_xyz_quaternion, stamp_ns

if TYPE_CHECKING:
    from numpy.typing import NDArray

_DEEPEST: Final = 64
_NEARLY_PARALLEL: Final = 0.9995
KEPT_NS: Final = 30_000_000_000
"""How long transforms are remembered behind the newest of their link; tf2 keeps 10 s."""


@dataclass
class _Link:
    """A frame's place in its parent over time: stamps in order, and x y z qx qy qz qw at each."""

    parent: str
    static: bool
    stamps: list[int] = field(default_factory=list)
    places: dict[int, NDArray[np.float64]] = field(default_factory=dict)

    def add(self, stamp: int, place: NDArray[np.float64]) -> None:
        if stamp not in self.places:
            insort(self.stamps, stamp)
        self.places[stamp] = place
        while self.stamps[-1] - self.stamps[0] > KEPT_NS:
            del self.places[self.stamps.pop(0)]

    def at(self, stamp: int) -> NDArray[np.float64] | None:
        """Give the place at a stamp, or None outside of what is known."""
        if self.static:
            return self.places[self.stamps[-1]]
        index = bisect_left(self.stamps, stamp)
        if index < len(self.stamps) and self.stamps[index] == stamp:
            return self.places[stamp]
        if index in (0, len(self.stamps)):
            return None
        before, after = self.stamps[index - 1], self.stamps[index]
        share = (stamp - before) / (after - before)
        return _between(self.places[before], self.places[after], share)


class TransformBuffer:
    """What /tf and /tf_static have said so far.

    Calling it asks for a transform as the node asks TF: at the stamp, or else the newest one within a tolerance.

    Args:
        tolerance_s: how far the newest transform may lie from the stamp.

    Attributes:
        refused: transforms that were none.
    """

    def __init__(self, tolerance_s: float) -> None:
        self._tolerance_ns = round(tolerance_s * 1e9)
        self._links: dict[str, _Link] = {}
        self.refused = 0

    def add_message(self, message: Any, *, static: bool) -> None:
        """Take a tf2_msgs/TFMessage; what is no transform in it is counted."""
        for stamped in message.transforms:
            move, turn = stamped.transform.translation, stamped.transform.rotation
            values = [move.x, move.y, move.z, turn.x, turn.y, turn.z, turn.w]
            place = np.array(values, np.float64)
            norm = float(np.linalg.norm(place[3:]))
            child, parent = _plain(stamped.child_frame_id), _plain(stamped.header.frame_id)
            if (
                not np.isfinite(place).all()
                or abs(norm - 1.0) > _NOT_UNIT
                or not child
                or not parent
                or child == parent
            ):
                self.refused += 1
                continue
            place[3:] /= norm
            self.add(parent, child, stamp_ns(stamped.header), place, static=static)

    def add(self, parent: str, child: str, stamp: int, place: NDArray[np.float64], *, static: bool = False) -> None:
        """Take a transform: the child's place x y z qx qy qz qw in its parent."""
        link = self._links.get(child)
        if link is None or link.parent != parent or (static and not link.static):
            link = self._links[child] = _Link(parent, static)
        if link.static and not static:
            return
        link.add(stamp, place)

    def __call__(self, target: str, source: str, stamp: int) -> NDArray[np.float64] | None:
        """Give the (4, 4) transform of source into target at a stamp, or the newest one if near enough, or None."""
        found = self.exact(target, source, stamp)
        if found is not None:
            return found
        newest = self._newest(target, source)
        if newest is None or abs(stamp - newest) > self._tolerance_ns:
            return None
        return self.exact(target, source, newest)

    def exact(self, target: str, source: str, stamp: int) -> NDArray[np.float64] | None:
        """Give the (4, 4) transform of source into target at a stamp, or None where it is not known there."""
        chains = self._chains(target, source)
        if chains is None:
            return None
        up, down = (self._along(chain, stamp) for chain in chains)
        return None if up is None or down is None else np.linalg.inv(up) @ down

    def _newest(self, target: str, source: str) -> int | None:
        """Newest stamp at which all moving links between two frames are known."""
        chains = self._chains(target, source)
        if chains is None:
            return None
        moving = [self._links[child] for chain in chains for child in chain if not self._links[child].static]
        return min((link.stamps[-1] for link in moving), default=None)

    def _chains(self, target: str, source: str) -> tuple[list[str], list[str]] | None:
        """Frames from target and from source up to, not including, their nearest common ancestor."""
        above = [self._ancestors(_plain(name)) for name in (target, source)]
        common = next((name for name in above[1] if name in above[0]), None)
        if common is None:
            return None
        first, second = (chain[: chain.index(common)] for chain in above)
        return first, second

    def _ancestors(self, name: str) -> list[str]:
        chain = [name]
        while chain[-1] in self._links and len(chain) < _DEEPEST:
            chain.append(self._links[chain[-1]].parent)
        return chain

    def _along(self, chain: list[str], stamp: int) -> NDArray[np.float64] | None:
        """Transform (4, 4) of a chain's first frame into the one above its last."""
        matrix = np.eye(4)
        for child in chain:
            place = self._links[child].at(stamp)
            if place is None:
                return None
            matrix = matrix_from_xyz_quaternion(place.tolist()) @ matrix
        return matrix


_NOT_UNIT: Final = 0.1


def _plain(name: str) -> str:
    """Frame names of ROS 1 may begin with a slash, which means nothing."""
    return name.lstrip("/")


def _between(one: NDArray[np.float64], other: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """Interpolate two places: linearly in space, on the great arc between the turns (slerp)."""
    move = (1 - share) * one[:3] + share * other[:3]
    first, second = one[3:], other[3:]
    cosine = float(first @ second)
    if cosine < 0:  # the same turn, written the other way round: take the short way
        second, cosine = -second, -cosine
    if cosine > _NEARLY_PARALLEL:
        turn = (1 - share) * first + share * second
    else:
        angle = np.arccos(cosine)
        turn = (np.sin((1 - share) * angle) * first + np.sin(share * angle) * second) / np.sin(angle)
    return np.concatenate([move, turn / np.linalg.norm(turn)])
