# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What each kind of fault does to the frames that arrive in its time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from any2seg_core.errors import FrameError
from any2seg_core.faults import kinds
from any2seg_core.faults.arrival import Arrival, moved
from any2seg_core.faults.damage import dirt_mask, noisy, soiled, without_content
from any2seg_core.frames import Points

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_NS: Final = 1e9


class Effect:
    """Acts on the frames of one sensor; by itself it lets all pass.

    Args:
        fault: the settings.
        seed: what chance is drawn from.
    """

    def __init__(self, fault: Any, seed: tuple[int, ...]) -> None:
        self.fault = fault
        self._seed = seed

    def pass_by(self, arrival: Arrival, /) -> None:
        """See a frame outside the fault's time."""

    def act(self, arrival: Arrival, _number: int, /) -> Arrival | None:
        """Give what arrives in place of a frame, the very same object if it is left as it is, None for nothing.

        The number is the frame's among those of its sensor, whatever happened to the others.
        """
        return arrival

    def chance(self, number: int) -> np.random.Generator:
        """Give the source of chance of a frame."""
        return np.random.default_rng([*self._seed, number])


class _Nothing(Effect):
    def act(self, _arrival: Arrival, _number: int, /) -> Arrival | None:
        return None


class _Freeze(Effect):
    _held: Arrival | None = None

    def pass_by(self, arrival: Arrival, /) -> None:
        self._held = arrival

    def act(self, arrival: Arrival, _number: int, /) -> Arrival | None:
        held = self._held
        if held is None:
            self._held = arrival
            return arrival
        frame = held.frame
        if self.fault.stamps == "new":
            frame = moved(frame, arrival.frame.end_ns - frame.end_ns)
        return replace(arrival, frame=frame, columns=held.columns)


class _Later(Effect):
    def act(self, arrival: Arrival, number: int, /) -> Arrival | None:
        later_s = self.fault.delay_s + self.fault.jitter_s * self.chance(number).random()
        later_ns = round(later_s * _NS)
        return replace(arrival, arrival_ns=arrival.arrival_ns + later_ns) if later_ns else arrival


class _WrongStamps(Effect):
    def act(self, arrival: Arrival, _number: int, /) -> Arrival | None:
        by_ns = round(self.fault.offset_s * _NS)
        return replace(arrival, frame=moved(arrival.frame, by_ns)) if by_ns else arrival


class _Lost(Effect):
    def act(self, arrival: Arrival, number: int, /) -> Arrival | None:
        return None if self.chance(number).random() < self.fault.share else arrival


class _OneInMany(Effect):
    _count = 0

    def pass_by(self, _arrival: Arrival, /) -> None:
        self._count = 0

    def act(self, arrival: Arrival, _number: int, /) -> Arrival | None:
        kept = self._count % self.fault.keep_each == 0
        self._count += 1
        return arrival if kept else None


class _Blank(Effect):
    def act(self, arrival: Arrival, _number: int, /) -> Arrival | None:
        columns = {name: column[:0] for name, column in arrival.columns.items()}
        return replace(arrival, frame=without_content(arrival.frame), columns=columns)


class _Dirt(Effect):
    def __init__(self, fault: Any, seed: tuple[int, ...]) -> None:
        super().__init__(fault, seed)
        self._masks: dict[tuple[int, int], NDArray[np.float32]] = {}

    def act(self, arrival: Arrival, _number: int, /) -> Arrival | None:
        size = arrival.frame.size
        if size is None:
            msg = "dirt: found points, expected the frame of a camera"
            raise FrameError(msg)
        if size not in self._masks:
            fault, rng = self.fault, np.random.default_rng(self._seed)
            self._masks = {size: dirt_mask(size, rng, fault.blobs, fault.radius, fault.opacity)}
        return replace(arrival, frame=soiled(arrival.frame, self._masks[size]))


class _Noise(Effect):
    def act(self, arrival: Arrival, number: int, /) -> Arrival | None:
        return replace(arrival, frame=noisy(arrival.frame, self.fault.strength, self.chance(number)))


class _SectorLoss(Effect):
    def act(self, arrival: Arrival, _number: int, /) -> Arrival | None:
        points = cast("Points", arrival.frame.data)
        azimuth = np.degrees(np.arctan2(points.xyz[:, 1].astype(np.float64), points.xyz[:, 0]))
        width = self.fault.to_deg - self.fault.from_deg
        width = 360.0 if width >= 360.0 else width % 360.0
        kept = np.mod(azimuth - self.fault.from_deg, 360.0) >= width
        if kept.all():
            return arrival
        frame = replace(arrival.frame, data=Points(points.xyz[kept], points.intensity[kept]))
        return replace(arrival, frame=frame, columns={name: c[kept] for name, c in arrival.columns.items()})


EFFECTS: Final[dict[type[kinds.Fault], Callable[[Any, tuple[int, ...]], Effect]]] = {
    kinds.Dropout: _Nothing,
    kinds.Freeze: _Freeze,
    kinds.Latency: _Later,
    kinds.StampOffset: _WrongStamps,
    kinds.PacketLoss: _Lost,
    kinds.LowRate: _OneInMany,
    kinds.Blank: _Blank,
    kinds.Dirt: _Dirt,
    kinds.Noise: _Noise,
    kinds.SectorLoss: _SectorLoss,
}
"""What acts for each kind of fault."""
