# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""A drive as a rosbag2 recording (MCAP), with no ROS installed."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any, Final

from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from any2seg_core.errors import ConfigError
from any2seg_ros.conversions import make
from any2seg_ros.event_codecs import EVENT_PACKET_DEFINITION, EVENT_PACKET_TYPE
from any2seg_sim.messages import TF_STATIC_TOPIC, MessageWriter
from any2seg_sim.rig import Rig
from any2seg_sim.simulation import render_drive

if TYPE_CHECKING:
    from pathlib import Path

    from any2seg_sim.messages import TopicMessage
    from any2seg_sim.settings import DriveSettings

_FOREVER: Final = QosTime(9223372036, 854775807)
_LATCHED: Final = Qos(
    QosHistory.KEEP_LAST,
    1,
    QosReliability.RELIABLE,
    QosDurability.TRANSIENT_LOCAL,
    _FOREVER,
    _FOREVER,
    QosLiveliness.AUTOMATIC,
    _FOREVER,
    avoid_ros_namespace_conventions=False,
)
"""Quality of service of what a late subscriber must still get; players offer it again."""


def write_bag(
    path: Path,
    settings: DriveSettings,
    *,
    event_format: str = "cloud",
    depth_encoding: str = "32FC1",
    workers: int = 1,
    progress: bool = False,
) -> dict[str, int]:
    """Render a drive into a new recording; a drive that breaks off leaves nothing behind.

    Args:
        path: folder of the recording, which must not exist yet.
        settings: the drive.
        event_format: see messages.MessageWriter.
        depth_encoding: see messages.MessageWriter.
        workers: rendering processes, see simulation.render_drive.
        progress: show a progress bar on stderr.

    Returns:
        Number of messages written per topic.

    Raises:
        ConfigError: the path is taken or cannot be written, or a format is unknown.
    """
    writer = MessageWriter(Rig.of(settings), event_format, depth_encoding)
    if path.exists():
        msg = f"recording: found {path} there already, expected a new path; remove it or choose another"
        raise ConfigError(msg)
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        # The file inside is named after its folder, so the folder bears its final name from the start.
        counts = _render(unfinished / path.name, writer, settings, workers=workers, progress=progress)
        (unfinished / path.name).rename(path)
    except OSError as error:
        msg = f"recording: found {path} not writable ({error}), expected a folder with room; choose another"
        raise ConfigError(msg) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return counts


def _render(
    path: Path, writer: MessageWriter, settings: DriveSettings, *, workers: int, progress: bool
) -> dict[str, int]:
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as file:
        bag = _Bag(file)
        bag.write(writer.static(settings.start_ns))
        for reading in render_drive(settings, workers=workers, progress=progress):
            for message in writer.messages(reading):
                bag.write(message)
        return bag.counts


class _Bag:
    """An open recording that learns its topics as they come."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._typestore = get_typestore(Stores.ROS2_JAZZY)
        self._typestore.register(get_types_from_msg(EVENT_PACKET_DEFINITION, EVENT_PACKET_TYPE))
        self._connections: dict[str, Any] = {}
        self.counts: dict[str, int] = {}

    def write(self, message: TopicMessage) -> None:
        """Append a message."""
        topic, fields = message.topic, message.fields
        if topic not in self._connections:
            qos = [_LATCHED] if topic == TF_STATIC_TOPIC else []
            self._connections[topic] = self._writer.add_connection(
                topic, fields.type, typestore=self._typestore, offered_qos_profiles=qos
            )
        raw = self._typestore.serialize_cdr(make(fields, self._typestore.types.__getitem__), fields.type)
        self._writer.write(self._connections[topic], message.arrival_ns, raw)
        self.counts[topic] = self.counts.get(topic, 0) + 1
