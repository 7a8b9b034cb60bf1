# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Plays a drive into real DDS topics at its own pace, and records what comes back."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import Image

from any2seg_core.frames import Modality
from any2seg_ros import compat, qos
from any2seg_ros.conversions import stamp_ns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

START_MARGIN_S: Final = 0.5
"""Time for the node to find the player's topics as well."""

LOSSES: Final = {
    "displaced": "frame sets replaced by newer ones",
    "dropped": "messages that no output needed",
    "late": "messages too late",
    "duplicates": "duplicates",
}
"""Counts in the diagnostics of what led to nothing, and what the report calls them."""


@dataclass(frozen=True)
class Playable:
    """One message of the drive.

    Attributes:
        moment_s: when it is due, from the start of play.
        topic, type_name: where it goes and its ROS type.
        stamp_ns: its header's stamp.
        modality: the sensor whose frame it is, or None for camera infos and the like.
        raw: its CDR bytes.
    """

    moment_s: float
    topic: str
    type_name: str
    stamp_ns: int
    modality: Modality | None
    raw: bytes


@dataclass
class Heard:
    """What came back for one stamp; labels and status arrive as two messages."""

    labels: NDArray[np.uint8] | None = None
    received_s: float = 0.0
    used: tuple[Modality, ...] = ()
    anchor: Modality | None = None


@dataclass
class PlayLog:
    """What was sent and what came back.

    Attributes:
        sent_s: when each frame was published, by modality and stamp.
        heard: what came back, by stamp.
        problems: the node's own counts, from the last diagnostics.
    """

    sent_s: dict[tuple[Modality, int], float] = field(default_factory=dict)
    heard: dict[int, Heard] = field(default_factory=dict)
    problems: dict[str, int] = field(default_factory=dict)


class DemoNode(Node):
    """Publishes the drive and listens to the segmentation node.

    Args:
        messages: the drive, in order of time.
        node_name: fully qualified name of the segmentation node.
    """

    def __init__(self, messages: Sequence[Playable], node_name: str) -> None:
        super().__init__("any2seg_demo")
        self.log = PlayLog()
        self._messages = messages
        self._start_s = 0.0
        types = {message.topic: message.type_name for message in messages}
        self._ports: dict[str, Any] = {
            topic: self.create_publisher(compat.message_class(name), topic, qos.stream("reliable", 100))
            for topic, name in types.items()
        }
        profile = qos.stream("reliable", 10)
        self.create_subscription(Image, f"{node_name}/labels", self._labels_came, profile)
        self.create_subscription(DiagnosticArray, f"{node_name}/used_sensors", self._status_came, profile)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._diagnostics_came, profile)

    def wait_for_subscriptions(self, timeout_s: float) -> bool:
        """Wait until the segmentation node listens to every sensor."""
        sensors = {message.topic for message in self._messages if message.modality is not None}
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if all(self._ports[topic].get_subscription_count() for topic in sensors):
                return True
            time.sleep(0.05)
        return False

    def play(self, progress: Callable[[float], Any]) -> None:
        """Publish everything when it is due; progress is told the seconds played."""
        time.sleep(START_MARGIN_S)
        self._start_s = time.monotonic()
        played_s = 0.0
        for message in self._messages:
            time.sleep(max(0.0, self._start_s + message.moment_s - time.monotonic()))
            self._ports[message.topic].publish(message.raw)
            if message.modality is not None:
                # A frozen sensor may send one stamp again and again; the first time is what an answer goes back to.
                sent_s = time.monotonic() - self._start_s
                self.log.sent_s.setdefault((message.modality, message.stamp_ns), sent_s)
            progress(message.moment_s - played_s)
            played_s = message.moment_s

    def _labels_came(self, message: Image) -> None:
        heard = self.log.heard.setdefault(stamp_ns(message.header), Heard())
        heard.received_s = time.monotonic() - self._start_s
        heard.labels = np.frombuffer(message.data, np.uint8).reshape(message.height, message.width).copy()

    def _status_came(self, message: DiagnosticArray) -> None:
        heard = self.log.heard.setdefault(stamp_ns(message.header), Heard())
        heard.used = tuple(Modality(name) for name in message.status[0].message.split("+"))
        values = {pair.key: pair.value for pair in message.status[0].values}
        heard.anchor = Modality(values["anchor"])

    def _diagnostics_came(self, message: DiagnosticArray) -> None:
        for status in message.status:
            source = status.name.rpartition(": ")[2]
            for pair in status.values:
                reason = LOSSES.get(pair.key, pair.key.removeprefix("problem.") if "problem." in pair.key else "")
                if reason and pair.value.isdigit() and int(pair.value):
                    self.log.problems[f"{source}: {reason}"] = int(pair.value)


def play_and_record(
    messages: Sequence[Playable],
    *,
    node_name: str,
    ready_timeout_s: float,
    settle_s: float,
    progress: Callable[[float], Any],
) -> PlayLog | None:
    """Play a drive and give the log of it, or None if the segmentation node never listened.

    Needs an initialised rclpy. settle_s is how long to go on listening after the last message.
    """
    node = DemoNode(messages, node_name)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    listener = threading.Thread(target=executor.spin, daemon=True)
    listener.start()
    try:
        if not node.wait_for_subscriptions(ready_timeout_s):
            return None
        node.play(progress)
        time.sleep(settle_s)
        return node.log
    finally:
        executor.shutdown()
        listener.join(5)
        node.destroy_node()
