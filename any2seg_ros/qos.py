# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""QoS profiles by name (REP 2003: consumers of sensors take best effort, map-like data is latched)."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

RELIABILITY = {
    "best_effort": ReliabilityPolicy.BEST_EFFORT,
    "reliable": ReliabilityPolicy.RELIABLE,
}


def stream(reliability: str, depth: int) -> QoSProfile:
    """Profile of a sensor or output stream: volatile, keep the last depth messages."""
    return QoSProfile(
        reliability=RELIABILITY[reliability],
        durability=DurabilityPolicy.VOLATILE,
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
    )


def latched() -> QoSProfile:
    """Profile of what a late subscriber must still get: reliable, transient local, depth 1."""
    return QoSProfile(
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL,
        history=HistoryPolicy.KEEP_LAST,
        depth=1,
    )
