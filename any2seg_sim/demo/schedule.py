# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""When the demo's sensors fail: its own fault script, and what any script comes to on the clock of the play."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from any2seg_core.faults import Dropout, FaultScript
from any2seg_core.frames import Modality
from any2seg_sim.demo import record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from any2seg_core.faults import Fault
    from any2seg_sim.demo.record import Interval

SENSORS: Final = (Modality.RGB, Modality.DEPTH, Modality.EVENT, Modality.LIDAR)


def demo_script(duration_s: float) -> FaultScript:
    """Kill the camera, then the LiDAR, then everything but the events, with all sensors alive between.

    The play is divided into seven equal parts: faults are the second, the fourth and the sixth.
    """
    deaths = [
        ("rgb", 1, "camera dies"),
        ("lidar", 3, "LiDAR dies"),
        *((name, 5, "all but the events die") for name in ("rgb", "depth", "lidar")),
    ]
    part = duration_s / 7
    return FaultScript(
        faults=[
            Dropout(sensor=sensor, start_s=first * part, end_s=(first + 1) * part, what=what)
            for sensor, first, what in deaths
        ]
    )


@dataclass(frozen=True)
class Happening:
    """A fault at one of its times, within the play.

    Attributes:
        fault: what the script says.
        start_s, end_s: from when to when.
    """

    fault: Fault
    start_s: float
    end_s: float

    @property
    def told(self) -> record.Fault:
        """The happening as a row of the report."""
        words = self.fault.what or self.fault.kind.replace("_", " ")
        return record.Fault(self.fault.modality, self.start_s, self.end_s, words)


def happenings_of(script: FaultScript, duration_s: float) -> list[Happening]:
    """List when each fault of a script acts during a play."""
    turn_s = script.repeat_s or duration_s
    found = []
    for turn in range(math.ceil(duration_s / turn_s)):
        for fault in script.faults:
            start_s = turn * turn_s + fault.start_s
            end_s = min(turn * turn_s + min(fault.until_s, turn_s), duration_s)
            if start_s < end_s:
                found.append(Happening(fault, start_s, end_s))
    return found


def alive_intervals(happenings: Sequence[Happening], modality: Modality, duration_s: float) -> list[Interval]:
    """List when a sensor publishes, whatever it publishes."""
    deaths = [h for h in happenings if h.fault.modality is modality and isinstance(h.fault, Dropout)]
    alive, since_s = [], 0.0
    for death in sorted(deaths, key=lambda death: death.start_s):
        if death.start_s > since_s:
            alive.append((since_s, death.start_s))
        since_s = max(since_s, death.end_s)
    return [*alive, (since_s, duration_s)] if since_s < duration_s else alive
