# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Readings as ROS messages: the topics of the simulator, described once for bags and for live publishing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from any2seg_core.errors import ConfigError
from any2seg_core.frames import Modality, Points
from any2seg_ros.conversions import (
    Fields,
    camera_info_fields,
    cloud_fields,
    columns_fields,
    image_fields,
    tf_message_fields,
)
from any2seg_ros.event_codecs import EVENT_PACKET_TYPE, event_packet_fields
from any2seg_sim.sensors.depth import to_millimetres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from any2seg_core.frames import Events, SensorFrame
    from any2seg_sim.readings import Reading
    from any2seg_sim.rig import Rig

CAMERA_TOPIC: Final = "/camera/image_raw"
CAMERA_INFO_TOPIC: Final = "/camera/camera_info"
DEPTH_TOPIC: Final = "/depth/image_raw"
DEPTH_INFO_TOPIC: Final = "/depth/camera_info"
EVENT_TOPIC: Final = "/events"
EVENT_CLOUD_TOPIC: Final = "/events/points"
EVENT_INFO_TOPIC: Final = "/events/camera_info"
LIDAR_TOPIC: Final = "/lidar/points"
LABELS_TOPIC: Final = "/truth/labels"
POINT_LABELS_TOPIC: Final = "/truth/points"
TF_STATIC_TOPIC: Final = "/tf_static"

_IMAGE, _INFO, _CLOUD = "sensor_msgs/msg/Image", "sensor_msgs/msg/CameraInfo", "sensor_msgs/msg/PointCloud2"
_TOPICS: Final = {
    CAMERA_TOPIC: _IMAGE,
    CAMERA_INFO_TOPIC: _INFO,
    DEPTH_TOPIC: _IMAGE,
    DEPTH_INFO_TOPIC: _INFO,
    EVENT_INFO_TOPIC: _INFO,
    LIDAR_TOPIC: _CLOUD,
    LABELS_TOPIC: _IMAGE,
    POINT_LABELS_TOPIC: _CLOUD,
    TF_STATIC_TOPIC: "tf2_msgs/msg/TFMessage",
}
EVENT_FORMATS: Final = ("cloud", "packet", "both")
DEPTH_ENCODINGS: Final = ("32FC1", "16UC1")


@dataclass(frozen=True)
class TopicMessage:
    """A message on its way.

    Attributes:
        topic: where it goes.
        arrival_ns: when it can be there, nanoseconds on the clock of the stamps.
        fields: what it says.
    """

    topic: str
    arrival_ns: int
    fields: Fields


@dataclass
class MessageWriter:
    """Describes readings as messages.

    Attributes:
        rig: calibration.
        event_format: "cloud" (PointCloud2 with x, y, t, p), which every ROS installation can read, "packet"
            (event_camera_msgs/EventPacket, mono), or "both", where the cloud goes to EVENT_CLOUD_TOPIC.
        depth_encoding: "32FC1", metres, NaN where there is none; or "16UC1", millimetres, 0 where there is none.

    Raises:
        ConfigError: a format is unknown.
    """

    rig: Rig
    event_format: str = "cloud"
    depth_encoding: str = "32FC1"
    _packets: int = 0

    def __post_init__(self) -> None:
        for what, found, known in (
            ("event format", self.event_format, EVENT_FORMATS),
            ("depth encoding", self.depth_encoding, DEPTH_ENCODINGS),
        ):
            if found not in known:
                msg = f"{what}: found {found!r}, expected one of {', '.join(known)}"
                raise ConfigError(msg)

    @property
    def topics(self) -> dict[str, str]:
        """Topics that messages go to and their types."""
        packets = {EVENT_TOPIC: EVENT_PACKET_TYPE} if self.event_format != "cloud" else {EVENT_TOPIC: _CLOUD}
        clouds = {EVENT_CLOUD_TOPIC: _CLOUD} if self.event_format == "both" else {}
        return {**_TOPICS, **packets, **clouds}

    def static(self, stamp_ns: int) -> TopicMessage:
        """Describe the transforms between the sensors, one message on TF_STATIC_TOPIC."""
        single = [
            tf_message_fields(pose, stamp_ns=stamp_ns, parent_frame_id=parent, child_frame_id=child)
            for parent, child, pose in self.rig.transforms
        ]
        transforms = [transform for fields in single for transform in fields.values["transforms"]]
        return TopicMessage(TF_STATIC_TOPIC, stamp_ns, Fields(single[0].type, {"transforms": transforms}))

    def messages(self, reading: Reading) -> Iterator[TopicMessage]:
        """Describe one reading: calibration first, then the measurement, then the truth about it."""
        yield from self.measurement(reading, reading.ready_ns)
        yield from self.truth(reading)

    def measurement(self, reading: Reading, arrival_ns: int) -> Iterator[TopicMessage]:
        """Describe what the sensor's driver sends, calibration first."""
        for topic, fields in _DESCRIBE[reading.frame.modality](self, reading):
            yield TopicMessage(topic, arrival_ns, fields)

    def truth(self, reading: Reading) -> Iterator[TopicMessage]:
        """Describe what is exactly known about a reading, if anything."""
        frame, labels = reading.frame, reading.labels
        if labels is None:
            return
        stamp_ns, frame_id = frame.stamp_ns, frame.frame_id
        if isinstance(frame.data, Points):
            columns: dict[str, NDArray[Any]] = dict(zip("xyz", frame.data.xyz.T, strict=True))
            topic = POINT_LABELS_TOPIC
            fields = columns_fields({**columns, "label": labels}, stamp_ns=stamp_ns, frame_id=frame_id)
        else:
            topic = LABELS_TOPIC
            fields = image_fields(labels, "mono8", stamp_ns=stamp_ns, frame_id=frame_id)
        yield TopicMessage(topic, reading.ready_ns, fields)

    def _info(self, frame: SensorFrame) -> Fields:
        return camera_info_fields(self.rig.cameras[frame.modality], stamp_ns=frame.stamp_ns)

    def _camera(self, reading: Reading) -> Iterator[tuple[str, Fields]]:
        frame = reading.frame
        yield CAMERA_INFO_TOPIC, self._info(frame)
        yield CAMERA_TOPIC, image_fields(_array(frame), "rgb8", stamp_ns=frame.stamp_ns, frame_id=frame.frame_id)

    def _depth(self, reading: Reading) -> Iterator[tuple[str, Fields]]:
        frame = reading.frame
        metres = _array(frame)
        pixels = metres if self.depth_encoding == "32FC1" else to_millimetres(metres)
        yield DEPTH_INFO_TOPIC, self._info(frame)
        yield DEPTH_TOPIC, image_fields(pixels, self.depth_encoding, stamp_ns=frame.stamp_ns, frame_id=frame.frame_id)

    def _lidar(self, reading: Reading) -> Iterator[tuple[str, Fields]]:
        frame = reading.frame
        points = cast("Points", frame.data)
        extra: dict[str, NDArray[Any]] = {} if reading.rings is None else {"ring": reading.rings}
        if reading.times_ns is not None:
            # As drivers of spinning LiDARs have it: nanoseconds since the stamp.
            extra["t"] = reading.times_ns.astype(np.uint32)
        yield LIDAR_TOPIC, cloud_fields(points, extra=extra, stamp_ns=frame.stamp_ns, frame_id=frame.frame_id)

    def _events(self, reading: Reading) -> Iterator[tuple[str, Fields]]:
        frame = reading.frame
        events = cast("Events", frame.data)
        yield EVENT_INFO_TOPIC, self._info(frame)
        if self.event_format != "cloud":
            seq, self._packets = self._packets, self._packets + 1
            yield EVENT_TOPIC, event_packet_fields(events, frame_id=frame.frame_id, seq=seq, stamp_ns=frame.stamp_ns)
        if self.event_format != "packet":
            topic = EVENT_TOPIC if self.event_format == "cloud" else EVENT_CLOUD_TOPIC
            # Seconds since the stamp: in float32 still exact to nanoseconds within a packet's few milliseconds.
            after_s = ((events.t_ns - frame.stamp_ns) * 1e-9).astype(np.float32)
            columns: dict[str, NDArray[Any]] = {"x": events.x, "y": events.y, "t": after_s, "p": events.polarity}
            yield topic, columns_fields(columns, stamp_ns=frame.stamp_ns, frame_id=frame.frame_id)


def _array(frame: SensorFrame) -> NDArray[Any]:
    return cast("NDArray[Any]", frame.data)


_DESCRIBE: Final[Mapping[Modality, Callable[[MessageWriter, Reading], Iterator[tuple[str, Fields]]]]] = {
    Modality.RGB: MessageWriter._camera,  # noqa: SLF001  a table of the class's own methods
    Modality.DEPTH: MessageWriter._depth,  # noqa: SLF001
    Modality.LIDAR: MessageWriter._lidar,  # noqa: SLF001
    Modality.EVENT: MessageWriter._events,  # noqa: SLF001
}
