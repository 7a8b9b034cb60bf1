# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Drop-tolerant grouping of sensor streams by stamp: integer nanoseconds, no clock of its own, no ROS."""

from __future__ import annotations

from any2seg_core.synchronizer.match import Match, frame_set
from any2seg_core.synchronizer.policy import StreamPolicy, StreamState, StreamStatus, SyncPolicy
from any2seg_core.synchronizer.slot import LatestSlot
from any2seg_core.synchronizer.synchronizer import DropTolerantSynchronizer

__all__ = [
    "DropTolerantSynchronizer",
    "LatestSlot",
    "Match",
    "StreamPolicy",
    "StreamState",
    "StreamStatus",
    "SyncPolicy",
    "frame_set",
]
