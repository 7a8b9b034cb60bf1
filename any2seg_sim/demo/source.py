# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The recorded drive as messages to play, after a fault script has acted on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
from rosbags.highlevel import AnyReader

from any2seg_core.faults import Arrival
from any2seg_core.frames import Modality
from any2seg_ros.conversions import image_frame, stamp_ns
from any2seg_sim.demo.gather import Gallery
from any2seg_sim.demo.play import Playable
from any2seg_sim.messages import (
    CAMERA_INFO_TOPIC,
    CAMERA_TOPIC,
    DEPTH_INFO_TOPIC,
    DEPTH_TOPIC,
    EVENT_INFO_TOPIC,
    EVENT_TOPIC,
    LABELS_TOPIC,
    LIDAR_TOPIC,
    MessageWriter,
)
from any2seg_sim.readings import Reading
from any2seg_sim.recording import Serialiser
from any2seg_sim.rig import Rig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from any2seg_core.faults import FaultScript
    from any2seg_core.frames import SensorFrame
    from any2seg_sim.settings import DriveSettings

ROBOT_TOPICS: Final = {
    Modality.RGB: CAMERA_TOPIC,
    Modality.DEPTH: DEPTH_TOPIC,
    Modality.EVENT: EVENT_TOPIC,
    Modality.LIDAR: LIDAR_TOPIC,
}
ROBOT_CAMERA_INFOS: Final = {
    Modality.RGB: CAMERA_INFO_TOPIC,
    Modality.DEPTH: DEPTH_INFO_TOPIC,
    Modality.EVENT: EVENT_INFO_TOPIC,
}


def failing_drive(drive: DriveSettings, bag: Path, script: FaultScript) -> tuple[list[Playable], Gallery]:
    """Read a drive's messages to play, in order of time, and its pictures and truth for the report."""
    source = _Source(drive)
    with AnyReader([bag]) as reader:
        arrivals = script.apply(source.arrivals(reader), drive.start_ns)
        return [message for arrival in arrivals for message in source.playables(arrival)], source.gallery


@dataclass(frozen=True)
class _Stored:
    """A frame and the messages that it stands in, calibration first: topic, type and CDR bytes of each."""

    frame: SensorFrame
    messages: tuple[tuple[str, str, bytes], ...]


class _Source:
    """Messages of the bag as frames, and frames as messages."""

    def __init__(self, drive: DriveSettings) -> None:
        rig = Rig.of(drive)
        self.gallery = Gallery(rig)
        self._start_ns = drive.start_ns
        self._writer = MessageWriter(rig)
        self._serialiser = Serialiser()

    def arrivals(self, reader: AnyReader) -> Iterator[Arrival]:
        """Yield the sensors' frames, tagged with what is stored; truth goes to the gallery.

        A camera info stands in the bag just before what it belongs to.
        """
        modality_of = {topic: modality for modality, topic in ROBOT_TOPICS.items()}
        camera_of = {topic: modality for modality, topic in ROBOT_CAMERA_INFOS.items()}
        infos: dict[Modality, tuple[str, str, bytes]] = {}
        for connection, log_ns, raw in reader.messages():
            topic = connection.topic
            stored = topic, connection.msgtype, bytes(raw)
            if topic in camera_of:
                infos[camera_of[topic]] = stored
            elif topic in modality_of:
                modality = modality_of[topic]
                frame = self.gallery.read(modality, reader.deserialize(raw, connection.msgtype))
                before = (infos.pop(modality),) if modality in infos else ()
                yield Arrival(log_ns, frame, _Stored(frame, (*before, stored)))
            elif topic == LABELS_TOPIC:
                message: Any = reader.deserialize(raw, connection.msgtype)
                labels = np.asarray(image_frame(message, Modality.RGB).data)[..., 0]
                self.gallery.add_truth(stamp_ns(message.header), labels)

    def playables(self, arrival: Arrival) -> Iterator[Playable]:
        """Yield what to publish when a frame arrives: the bag's own bytes unless the frame has changed."""
        frame, stored = arrival.frame, cast("_Stored", arrival.tag)
        self.gallery.add(frame)
        messages = stored.messages
        if frame is not stored.frame:
            described = self._writer.measurement(Reading(frame), arrival.arrival_ns)
            messages = tuple((m.topic, m.fields.type, self._serialiser.raw(m.fields)) for m in described)
        for topic, type_name, raw in messages:
            modality = frame.modality if topic == ROBOT_TOPICS[frame.modality] else None
            moment_s = (arrival.arrival_ns - self._start_ns) / 1e9
            yield Playable(moment_s, topic, type_name, frame.stamp_ns, modality, raw)
