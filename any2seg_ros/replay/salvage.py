# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Messages of MCAP files that have lost their end, read from the front.

Format: https://mcap.dev/spec. The package mcap is its reference implementation; rosbags needs the index at the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mcap.records import Channel, Message, Schema
from mcap.stream_reader import StreamReader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MAGIC: Final = b"\x89MCAP0\r\n"


@dataclass(frozen=True)
class Part:
    """A message as the file holds it, with the definition of its type, if it is one in ROS 2's own language."""

    topic: str
    type: str
    definition: str
    log_ns: int
    raw: bytes


def is_mcap(path: Path) -> bool:
    """Tell whether a file begins as MCAP files do."""
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def salvaged(path: Path) -> Iterator[Part]:
    """Yield the messages of a file in the order in which they stand there, up to where it breaks off."""
    schemas: dict[int, Schema] = {}
    channels: dict[int, Channel] = {}
    with path.open("rb") as file:
        try:
            for record in StreamReader(file).records:
                if isinstance(record, Schema):
                    schemas[record.id] = record
                elif isinstance(record, Channel):
                    channels[record.id] = record
                elif isinstance(record, Message) and record.channel_id in channels:
                    channel = channels[record.channel_id]
                    schema = schemas.get(channel.schema_id)
                    definition = schema.data.decode() if schema and schema.encoding == "ros2msg" else ""
                    name = schema.name if schema else ""
                    yield Part(channel.topic, name, definition, record.log_time, record.data)
        except Exception:  # noqa: BLE001  # readers and decompressors raise whatever a cut leads them to
            return
