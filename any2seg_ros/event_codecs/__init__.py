# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Messages of event cameras to events, whatever their type and encoding."""

from __future__ import annotations

from any2seg_ros.event_codecs.packets import (
    DECODERS,
    EVENT_PACKET_DEFINITION,
    EVENT_PACKET_TYPE,
    PacketDecoder,
    event_packet_fields,
)
from any2seg_ros.event_codecs.reader import EventCounts, EventReader
from any2seg_ros.event_codecs.words import Columns

__all__ = [
    "DECODERS",
    "EVENT_PACKET_DEFINITION",
    "EVENT_PACKET_TYPE",
    "Columns",
    "EventCounts",
    "EventReader",
    "PacketDecoder",
    "event_packet_fields",
]
