# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""A short drive without end, published at the pace of a steady clock while sensors fail."""

from __future__ import annotations

import heapq
import itertools
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from any2seg_core.faults import FaultScript
from any2seg_ros import compat, qos
from any2seg_ros.conversions import make
from any2seg_ros.topics import CAMERA_INFO_TOPICS, DATA_TOPICS
from any2seg_sim.delivery import topic_messages
from any2seg_sim.demo.source import ROBOT_CAMERA_INFOS, ROBOT_TOPICS
from any2seg_sim.messages import CAMERA_TOPIC, MessageWriter
from any2seg_sim.rig import Rig
from any2seg_sim.simulation import render_drive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rclpy.node import Node

    from any2seg_core.frames import Modality
    from any2seg_sim.messages import TopicMessage
    from any2seg_sim.readings import Reading
    from any2seg_sim.settings import DriveSettings

NODE_TOPICS: Final = {ROBOT_TOPICS[modality]: topic for modality, topic in DATA_TOPICS.items()} | {
    ROBOT_CAMERA_INFOS[modality]: topic for modality, topic in CAMERA_INFO_TOPICS.items()
}
"""The simulator's topics and the segmentation node's."""
_SENSOR_OF: Final = {topic: modality for modality, topic in (*ROBOT_TOPICS.items(), *ROBOT_CAMERA_INFOS.items())}
_NAP_S: Final = 0.05
LATEST_NS: Final = 300_000_000
"""What is overdue by more, because this machine was busy, is never sent: sensors do not wait for anybody."""


class Drive:
    """A rendered drive: the readings of one turn, without truth, and the rig that took them.

    Args:
        settings: the drive; its sensors' rates should divide its length, so that turns join without a break.
        workers: rendering processes.
        progress: show a progress bar.
    """

    def __init__(self, settings: DriveSettings, *, workers: int = 1, progress: bool = False) -> None:
        self.settings, self.rig = settings, Rig.of(settings)
        readings = render_drive(settings, workers=workers, progress=progress)
        self.readings = [replace(reading, labels=None, exact=None) for reading in readings]

    @property
    def period_ns(self) -> int:
        """Time between camera images."""
        return round(1e9 / self.settings.rate_hz)

    def turns(self, begin_ns: int, sensors: frozenset[Modality] | None = None) -> Iterator[Reading]:
        """Yield the readings over and over with rising stamps, as a drive that began at begin_ns."""
        chosen = [r for r in self.readings if sensors is None or r.frame.modality in sensors]
        turn_ns = self.settings.end_ns - self.settings.start_ns
        for turn in itertools.count():
            for reading in chosen:
                yield reading.shifted(begin_ns - self.settings.start_ns + turn * turn_ns)


Spoil: TypeAlias = "Callable[[TopicMessage, Any], list[tuple[int, Any]]]"
"""What happens to a message on its way: messages that arrive in its place, each so many nanoseconds later."""


class Player:
    """Publishes a drive on the segmentation node's topics. Its time line is that of the stamps, which is present time.

    Args:
        node: publishes.
        drive: what.
        sensors: those that there are; all unless given.

    Attributes:
        sent: messages so far.
        sent_ns: when camera images were sent, steady clock, by the stamps that they should have.
    """

    def __init__(self, node: Node, drive: Drive, sensors: frozenset[Modality] | None = None) -> None:
        self.drive = drive
        self._writer = MessageWriter(drive.rig)
        profile = qos.stream("reliable", 50)
        types = self._writer.topics
        self._ports: dict[str, Any] = {
            topic: node.create_publisher(compat.message_class(types[topic]), own, profile)
            for topic, own in NODE_TOPICS.items()
            if sensors is None or _SENSOR_OF[topic] in sensors
        }
        self._began_ns, self._began_steady_ns = time.time_ns(), time.monotonic_ns()
        self._readings = drive.turns(self._began_ns, sensors)
        self._next: Reading | None = None
        self.sent = 0
        self.sent_ns: dict[int, int] = {}

    def wait_for_listeners(self, count: int, timeout_s: float) -> bool:
        """Wait until so many nodes listen to every topic."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if all(port.get_subscription_count() == count for port in self._ports.values()):
                return True
            time.sleep(_NAP_S)
        return False

    def steady_ns(self, moment_ns: int) -> int:
        """Give the steady clock's time of a moment of the time line."""
        return moment_ns - self._began_ns + self._began_steady_ns

    def now_ns(self) -> int:
        """Give the present moment of the time line."""
        return time.monotonic_ns() - self._began_steady_ns + self._began_ns

    def next_image_ns(self, after_ns: int) -> int:
        """Give the stamp of the first camera image after a moment."""
        period_ns = self.drive.period_ns
        return after_ns + period_ns - (after_ns - self._began_ns) % period_ns

    def play(
        self,
        until_ns: int,
        *,
        faults: FaultScript | None = None,
        spoil: Spoil | None = None,
        over: Callable[[], bool] = lambda: False,
    ) -> None:
        """Publish everything from now on until a moment of the time line.

        What is late because of a fault and has not come by the end does not come at all.

        Args:
            until_ns: the end.
            faults: a script of what fails, counted from now.
            spoil: gives the messages that arrive in place of one, each so many nanoseconds later than it would.
            over: asked after every message whether it is time to stop.
        """
        run = (faults or FaultScript()).run(self.now_ns())
        late: list[tuple[int, int, TopicMessage, Any]] = []
        count = itertools.count()
        for described in topic_messages(self._until(until_ns), self._writer, run):
            message = make(described.fields, compat.message_class)
            for later_ns, spoilt in [(0, message)] if spoil is None else spoil(described, message):
                heapq.heappush(late, (described.arrival_ns + later_ns, next(count), described, spoilt))
            while late and late[0][0] <= described.arrival_ns:
                due_ns, _, due, message = heapq.heappop(late)
                self._publish(due_ns, due, message)
            if over():
                return

    def _until(self, until_ns: int) -> Iterator[Reading]:
        """Yield what is ready by then; what was due while nobody played is passed over."""
        begin_ns = self.now_ns()
        while True:
            reading, self._next = self._next or next(self._readings), None
            if reading.ready_ns >= until_ns:
                self._next = reading
                return
            if reading.ready_ns >= max(begin_ns, self.now_ns() - LATEST_NS):
                yield reading

    def _publish(self, due_ns: int, described: TopicMessage, message: Any) -> None:
        self._wait_until(due_ns)
        if described.topic == CAMERA_TOPIC:
            self.sent_ns[described.arrival_ns] = time.monotonic_ns()
        self._ports[described.topic].publish(message)
        self.sent += 1

    def _wait_until(self, moment_ns: int) -> None:
        while (left_ns := moment_ns - self.now_ns()) > 0:
            time.sleep(min(left_ns * 1e-9, _NAP_S))
