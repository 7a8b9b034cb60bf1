# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Sensors that fail at run time, scripted: the same YAML for the simulator, the demo and the replay of recordings."""

from __future__ import annotations

from any2seg_core.faults.arrival import Arrival
from any2seg_core.faults.kinds import (
    KINDS,
    Blank,
    Dirt,
    Dropout,
    Fault,
    Freeze,
    Latency,
    LowRate,
    Noise,
    PacketLoss,
    SectorLoss,
    StampOffset,
)
from any2seg_core.faults.run import FaultCount, FaultRun
from any2seg_core.faults.script import FaultScript

__all__ = [
    "KINDS",
    "Arrival",
    "Blank",
    "Dirt",
    "Dropout",
    "Fault",
    "FaultCount",
    "FaultRun",
    "FaultScript",
    "Freeze",
    "Latency",
    "LowRate",
    "Noise",
    "PacketLoss",
    "SectorLoss",
    "StampOffset",
]
