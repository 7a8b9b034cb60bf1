# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""A drive as a rosbag2 recording (MCAP or sqlite3), with no ROS installed."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from rosbags.interfaces import Qos, QosDurability, QosHistory, QosLiveliness, QosReliability, QosTime
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from any2seg_core.errors import ConfigError
from any2seg_core.faults import FaultScript
from any2seg_ros.conversions import make
from any2seg_ros.event_codecs import EVENT_PACKET_DEFINITION, EVENT_PACKET_TYPE
from any2seg_sim.delivery import Delivery, topic_messages
from any2seg_sim.messages import TF_STATIC_TOPIC, MessageWriter
from any2seg_sim.rig import Rig
from any2seg_sim.simulation import render_drive

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from any2seg_ros.conversions import Fields
    from any2seg_sim.messages import TopicMessage
    from any2seg_sim.readings import Reading
    from any2seg_sim.settings import DriveSettings

STORAGES: Final[Mapping[str, StoragePlugin]] = {"mcap": StoragePlugin.MCAP, "sqlite3": StoragePlugin.SQLITE3}
"""Kinds of file inside a recording, by the name that ros2 bag gives them."""
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
    storage: str = "mcap",
    faults: FaultScript | None = None,
    workers: int = 1,
    progress: bool = False,
) -> Delivery:
    """Render a drive into a new recording; a drive that breaks off leaves nothing behind.

    The recording's metadata keeps the settings of the drive and the fault script, as JSON.

    Args:
        path: folder of the recording, which must not exist yet.
        settings: the drive.
        event_format: see messages.MessageWriter.
        depth_encoding: see messages.MessageWriter.
        storage: one of STORAGES.
        faults: a script of what fails, from the start of the drive; truth is recorded as if nothing had.
        workers: rendering processes, see simulation.render_drive.
        progress: show a progress bar on stderr.

    Returns:
        What was written, and what the faults did.

    Raises:
        ConfigError: the path is taken or cannot be written, or a format or storage is unknown.
    """
    if storage not in STORAGES:
        msg = f"recording: found storage {storage!r}, expected one of {', '.join(STORAGES)}"
        raise ConfigError(msg)
    writer = MessageWriter(Rig.of(settings), event_format, depth_encoding)
    if path.exists():
        msg = f"recording: found {path} there already, expected a new path; remove it or choose another"
        raise ConfigError(msg)
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        # The file inside is named after its folder, so the folder bears its final name from the start.
        with Writer(unfinished / path.name, version=9, storage_plugin=STORAGES[storage]) as file:
            file.set_custom_data("any2seg.drive", json.dumps(asdict(settings)))
            if faults is not None:
                file.set_custom_data("any2seg.faults", faults.model_dump_json(exclude_none=True))
            readings = render_drive(settings, workers=workers, progress=progress)
            done = _write(_Bag(file), writer, readings, faults or FaultScript(), settings.start_ns)
        (unfinished / path.name).rename(path)
    except OSError as error:
        msg = f"recording: found {path} not writable ({error}), expected a folder with room; choose another"
        raise ConfigError(msg) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return done


def _write(
    bag: _Bag, writer: MessageWriter, readings: Iterable[Reading], faults: FaultScript, start_ns: int
) -> Delivery:
    run = faults.run(start_ns)
    bag.write(writer.static(start_ns))
    for message in topic_messages(readings, writer, run):
        bag.write(message)
    return Delivery(bag.counts, run.report())


class Serialiser:
    """Turns described messages into the bytes that recordings and DDS hold, with no ROS installed."""

    def __init__(self) -> None:
        self.typestore = get_typestore(Stores.ROS2_JAZZY)
        self.typestore.register(get_types_from_msg(EVENT_PACKET_DEFINITION, EVENT_PACKET_TYPE))

    def raw(self, fields: Fields) -> bytes:
        """Give a message as CDR."""
        message = make(fields, self.typestore.types.__getitem__)
        return bytes(self.typestore.serialize_cdr(message, fields.type))


class _Bag:
    """An open recording that learns its topics as they come."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._serialiser = Serialiser()
        self._connections: dict[str, Any] = {}
        self.counts: dict[str, int] = {}

    def write(self, message: TopicMessage) -> None:
        """Append a message."""
        topic, fields = message.topic, message.fields
        if topic not in self._connections:
            qos = [_LATCHED] if topic == TF_STATIC_TOPIC else []
            self._connections[topic] = self._writer.add_connection(
                topic, fields.type, typestore=self._serialiser.typestore, offered_qos_profiles=qos
            )
        self._writer.write(self._connections[topic], message.arrival_ns, self._serialiser.raw(fields))
        self.counts[topic] = self.counts.get(topic, 0) + 1
