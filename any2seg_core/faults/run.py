# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Faults at work on one stream of arrivals."""

from __future__ import annotations

import heapq
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from any2seg_core.errors import FrameError
from any2seg_core.faults.effects import EFFECTS, Effect

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from any2seg_core.faults.arrival import Arrival
    from any2seg_core.faults.kinds import Fault
    from any2seg_core.faults.script import FaultScript
    from any2seg_core.frames import Modality


@dataclass(frozen=True)
class FaultCount:
    """What a fault did.

    Attributes:
        fault: the fault.
        seen: frames that came in its time and were not lost to an earlier fault of the script.
        changed: those of them that arrived otherwise: other content, other stamps, another time.
        lost: those of them that never arrived.
    """

    fault: Fault
    seen: int
    changed: int
    lost: int

    def __str__(self) -> str:
        return f"{self.fault.told}: {self.seen} frames seen, {self.changed} changed, {self.lost} lost"


@dataclass
class _Stage:
    """One fault's effect and its counts."""

    fault: Fault
    effect: Effect
    seen: int = 0
    changed: int = 0
    lost: int = 0

    def act(self, arrival: Arrival, moment_ns: int, number: int) -> Arrival | None:
        if arrival.frame.modality is not self.fault.modality:
            return arrival
        if not self.fault.holds_at(moment_ns):
            self.effect.pass_by(arrival)
            return arrival
        out = self.effect.act(arrival, number)
        self.seen += 1
        self.lost += out is None
        self.changed += out is not None and out is not arrival
        return out


class FaultRun:
    """Lets a script act on one stream. Give it arrivals one by one, in order, or all at once.

    Faults act in the order of the script, each on what the earlier ones left; their times are compared with when a
    frame would have arrived without any fault. What comes out does not depend on how the stream is cut, and for one
    sensor not on the others.

    Args:
        script: the faults.
        start_ns: arrival time that the script counts from; the first arrival's unless given.
    """

    def __init__(self, script: FaultScript, start_ns: int | None = None) -> None:
        self.script = script
        self._start_ns = start_ns
        self._last_ns: int | None = None
        self._stages = [
            _Stage(fault, EFFECTS[type(fault)](fault, (script.seed, place)))
            for place, fault in enumerate(script.faults)
        ]
        self._numbers: dict[Modality, int] = defaultdict(int)
        self._waiting: list[tuple[int, int, Arrival]] = []
        self._came = 0

    def push(self, arrival: Arrival) -> list[Arrival]:
        """Take the next arrival; give what has arrived by then, in order of arrival.

        Raises:
            FrameError: it arrives before an earlier one.
        """
        now_ns = arrival.arrival_ns
        if self._last_ns is not None and now_ns < self._last_ns:
            msg = f"faults: found an arrival at {now_ns} ns after one at {self._last_ns} ns, expected them in order"
            raise FrameError(msg)
        self._last_ns = now_ns
        left = self._through_faults(arrival)
        if left is not None:
            # Numbered, so that arrivals at one moment keep their order.
            heapq.heappush(self._waiting, (left.arrival_ns, self._came, left))
            self._came += 1
        return self._until(now_ns)

    def flush(self) -> list[Arrival]:
        """End the stream: give what is still on its way, in order of arrival."""
        return self._until(None)

    def apply(self, arrivals: Iterable[Arrival]) -> Iterator[Arrival]:
        """Yield what is left of a whole stream, in order of arrival.

        Raises:
            FrameError: the arrivals are not in order.
        """
        for arrival in arrivals:
            yield from self.push(arrival)
        yield from self.flush()

    def report(self) -> tuple[FaultCount, ...]:
        """Tell what each fault of the script has done so far, in order."""
        return tuple(FaultCount(stage.fault, stage.seen, stage.changed, stage.lost) for stage in self._stages)

    def _through_faults(self, arrival: Arrival) -> Arrival | None:
        moment_ns = self._moment_ns(arrival.arrival_ns)
        modality = arrival.frame.modality
        number = self._numbers[modality]
        self._numbers[modality] += 1
        left: Arrival | None = arrival
        for stage in self._stages:
            if left is None:
                return None
            left = stage.act(left, moment_ns, number)
        return left

    def _moment_ns(self, arrival_ns: int) -> int:
        if self._start_ns is None:
            self._start_ns = arrival_ns
        since_ns = arrival_ns - self._start_ns
        repeat_ns = round(self.script.repeat_s * 1e9)
        return since_ns % repeat_ns if repeat_ns else since_ns

    def _until(self, moment_ns: int | None) -> list[Arrival]:
        out = []
        while self._waiting and (moment_ns is None or self._waiting[0][0] <= moment_ns):
            out.append(heapq.heappop(self._waiting)[2])
        return out
