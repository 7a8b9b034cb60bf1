# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""A drive published on live topics, at the pace of a steady clock."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import rclpy
from rclpy.node import Node

from any2seg_ros import compat, qos
from any2seg_ros.conversions import make
from any2seg_sim.messages import TF_STATIC_TOPIC, MessageWriter, TopicMessage
from any2seg_sim.rig import Rig
from any2seg_sim.simulation import render_drive

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rclpy.publisher import Publisher

    from any2seg_sim.settings import DriveSettings
    from any2seg_sim.simulation import Reading

_HEAD_START_NS: Final = 1_000_000_000
"""Time for subscribers to find the topics before the first message."""
_NAP_S: Final = 0.05


class StreetSimulator(Node):
    """Publishes the readings of a drive.

    Args:
        writer: describes readings as messages.

    Raises:
        DependencyError: a message type is not installed. Without tf2_msgs, which plain installs lack, only the
            transforms are left out.
    """

    def __init__(self, writer: MessageWriter) -> None:
        super().__init__("street_simulator")
        self._writer = writer
        self._ports: dict[str, Publisher[Any]] = {}
        for topic, type_name in writer.topics.items():
            if topic == TF_STATIC_TOPIC and compat.optional_type("tf_message") is None:
                self.get_logger().warning(
                    f"found no tf2_msgs, so {topic} is not published; give extrinsics as parameters"
                )
                continue
            profile = qos.latched() if topic == TF_STATIC_TOPIC else qos.stream("reliable", 10)
            self._ports[topic] = self.create_publisher(compat.message_class(type_name), topic, profile)

    def play(self, readings: Iterable[Reading], start_ns: int, *, loop: bool = False) -> int:
        """Publish readings of a drive that began at start_ns as if it began now; give the number published.

        With loop it starts over until ROS shuts down; stamps go on rising.
        """
        drive = list(readings)
        begin_ns, begin = time.time_ns() + _HEAD_START_NS, time.monotonic_ns() + _HEAD_START_NS
        if TF_STATIC_TOPIC in self._ports:
            self._publish(self._writer.static(begin_ns))
        count = turns = 0
        turn_ns = drive[-1].frame.end_ns - start_ns if drive else 0
        while drive and rclpy.ok() and (loop or not turns):
            for reading in drive:
                passed_ns = reading.frame.end_ns - start_ns + turns * turn_ns
                if not _wait_until(begin + passed_ns):
                    return count
                shifted = reading.shifted(begin_ns - start_ns + turns * turn_ns)
                for message in self._writer.messages(shifted):
                    self._publish(message)
                count += 1
            turns += 1
        return count

    def _publish(self, message: TopicMessage) -> None:
        self._ports[message.topic].publish(make(message.fields, compat.message_class))


def _wait_until(moment_ns: int) -> bool:
    """Sleep until a moment of the steady clock; False if ROS shut down meanwhile."""
    while rclpy.ok():
        left_s = (moment_ns - time.monotonic_ns()) * 1e-9
        if left_s <= 0:
            return True
        time.sleep(min(left_s, _NAP_S))
    return False


def publish_drive(
    settings: DriveSettings,
    *,
    event_format: str = "cloud",
    depth_encoding: str = "32FC1",
    workers: int = 1,
    loop: bool = False,
    progress: bool = False,
) -> int:
    """Render a drive, then publish it stamped with the present time; give the number of readings published.

    The drive is rendered before it starts, so that it keeps its pace on any machine.

    Raises:
        ConfigError: a format is unknown.
        DependencyError: a message type is not installed.
    """
    writer = MessageWriter(Rig.of(settings), event_format, depth_encoding)
    rclpy.init()
    try:
        node = StreetSimulator(writer)
        drive = list(render_drive(settings, workers=workers, progress=progress))
        return node.play(drive, settings.start_ns, loop=loop)
    except KeyboardInterrupt:
        return 0
    finally:
        rclpy.try_shutdown()
