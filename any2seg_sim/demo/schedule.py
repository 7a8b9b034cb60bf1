# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Which sensor is silent when: the demo's faults as intervals on the clock of the play."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from any2seg_core.frames import Modality
from any2seg_sim.demo.record import Fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from any2seg_sim.demo.record import Interval

SENSORS: Final = (Modality.RGB, Modality.DEPTH, Modality.EVENT, Modality.LIDAR)


def demo_faults(duration_s: float) -> list[Fault]:
    """Kill the camera, then the LiDAR, then everything but the events, with all sensors alive between.

    The play is divided into seven equal parts: faults are the second, the fourth and the sixth.
    """
    part = duration_s / 7
    events_only = [modality for modality in SENSORS if modality is not Modality.EVENT]
    return [
        Fault(Modality.RGB, part, 2 * part, "camera dies"),
        Fault(Modality.LIDAR, 3 * part, 4 * part, "LiDAR dies"),
        *(Fault(modality, 5 * part, 6 * part, "all but the events die") for modality in events_only),
    ]


def is_silent(faults: Sequence[Fault], modality: Modality, moment_s: float) -> bool:
    """Tell whether a fault keeps a sensor from publishing at a moment."""
    return any(fault.modality is modality and fault.start_s <= moment_s < fault.end_s for fault in faults)


def alive_intervals(faults: Sequence[Fault], modality: Modality, duration_s: float) -> list[Interval]:
    """List when a sensor publishes."""
    silent = sorted((fault.start_s, fault.end_s) for fault in faults if fault.modality is modality)
    edges = [0.0, *(edge for interval in silent for edge in interval), duration_s]
    return [(start, end) for start, end in zip(edges[::2], edges[1::2], strict=True) if end > start]
