# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""A drive published on live topics, at the pace of a steady clock, in present or in simulated time."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import rclpy
from rclpy.node import Node

from any2seg_core.errors import ConfigError
from any2seg_core.faults import FaultScript
from any2seg_ros import compat, qos
from any2seg_ros.conversions import make, stamp_fields
from any2seg_sim.delivery import Delivery, topic_messages
from any2seg_sim.messages import TF_STATIC_TOPIC, MessageWriter, TopicMessage
from any2seg_sim.rig import Rig
from any2seg_sim.simulation import render_drive

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rclpy.publisher import Publisher

    from any2seg_sim.readings import Reading
    from any2seg_sim.settings import DriveSettings

CLOCK_TOPIC: Final = "/clock"
_CLOCK_TYPE: Final = "rosgraph_msgs/msg/Clock"
_HEAD_START_NS: Final = 1_000_000_000
"""Time for subscribers to find the topics before the first message."""
_BREAK_NS: Final = 1_000_000
"""Time between two turns of a loop, so that the last frame of one does not fall into the next."""
_NAP_S: Final = 0.05
_CLOCK_NAP_S: Final = 0.005
"""Longest wait between two messages on the clock's topic: timers of whoever follows it are no finer."""
SPEED_UPS: Final = (0.01, 100.0)


class StreetSimulator(Node):
    """Publishes the readings of a drive.

    Args:
        writer: describes readings as messages.
        clock: publish simulated time on CLOCK_TOPIC and keep the stamps of the drive, for nodes with use_sim_time;
            otherwise the drive is stamped with the present time.
        speed_up: seconds of simulated time that pass in one second.

    Raises:
        ConfigError: the speed-up is out of bounds, or there is no clock that could tell others of it.
        DependencyError: a message type is not installed. Without tf2_msgs, which plain installs lack, only the
            transforms are left out.
    """

    def __init__(self, writer: MessageWriter, *, clock: bool = False, speed_up: float = 1.0) -> None:
        _check_speed(speed_up, clock=clock)
        super().__init__("street_simulator")
        self._writer = writer
        self._speed_up = speed_up
        self._ports: dict[str, Publisher[Any]] = {}
        for topic, type_name in writer.topics.items():
            if topic == TF_STATIC_TOPIC and compat.optional_type("tf_message") is None:
                self.get_logger().warning(
                    f"found no tf2_msgs, so {topic} is not published; give extrinsics as parameters"
                )
                continue
            profile = qos.latched() if topic == TF_STATIC_TOPIC else qos.stream("reliable", 10)
            self._ports[topic] = self.create_publisher(compat.message_class(type_name), topic, profile)
        self._clock_port: Publisher[Any] | None = None
        if clock:
            profile = qos.stream("reliable", 10)
            self._clock_port = self.create_publisher(compat.message_class(_CLOCK_TYPE), CLOCK_TOPIC, profile)

    def play(
        self, readings: Sequence[Reading], start_ns: int, *, faults: FaultScript | None = None, loop: bool = False
    ) -> Delivery:
        """Publish readings of a drive that began at start_ns.

        Args:
            readings: the drive, in order of arrival.
            start_ns: stamp of its start.
            faults: a script of what fails, from the start of the drive. In a loop it starts over with the drive
                unless it says itself when to repeat.
            loop: start over until ROS shuts down; stamps go on rising.

        Returns:
            What was published until the end, or until somebody pressed Ctrl+C.
        """
        begin_ns = time.time_ns() + _HEAD_START_NS if self._clock_port is None else start_ns
        begin = time.monotonic_ns() + _HEAD_START_NS
        turn_ns = readings[-1].ready_ns - start_ns + _BREAK_NS if readings else 0
        run = _each_turn(faults or FaultScript(), turn_ns if loop else 0).run(begin_ns)
        counts: Counter[str] = Counter()
        if TF_STATIC_TOPIC in self._ports:
            self._publish(self._writer.static(begin_ns))
            counts[TF_STATIC_TOPIC] += 1
        turns: Iterable[int] = itertools.count() if loop and readings else range(1)
        drive = _shifted(readings, (begin_ns - start_ns + turn * turn_ns for turn in turns))
        with contextlib.suppress(KeyboardInterrupt):
            for message in topic_messages(drive, self._writer, run):
                if not self._wait_until(message.arrival_ns, begin_ns, begin):
                    break
                self._publish(message)
                counts[message.topic] += 1
        return Delivery(dict(counts), run.report())

    def _publish(self, message: TopicMessage) -> None:
        self._ports[message.topic].publish(make(message.fields, compat.message_class))

    def _wait_until(self, moment_ns: int, begin_ns: int, begin: int) -> bool:
        """Sleep until a moment of the drive, which has its moment begin_ns at begin on the steady clock.

        Meanwhile the simulated clock runs on. False if ROS shut down.
        """
        nap_s = _NAP_S if self._clock_port is None else _CLOCK_NAP_S
        while rclpy.ok():
            now_ns = begin_ns + round((time.monotonic_ns() - begin) * self._speed_up)
            self._tell_time(min(now_ns, moment_ns))
            if now_ns >= moment_ns:
                return True
            time.sleep(min((moment_ns - now_ns) * 1e-9 / self._speed_up, nap_s))
        return False

    def _tell_time(self, now_ns: int) -> None:
        if self._clock_port is not None:
            message = compat.message_class(_CLOCK_TYPE)()
            message.clock.sec, message.clock.nanosec = stamp_fields(max(now_ns, 0))
            self._clock_port.publish(message)


def _check_speed(speed_up: float, *, clock: bool) -> None:
    low, high = SPEED_UPS
    if not low <= speed_up <= high:
        msg = f"street simulator: found speed-up {speed_up:g}, expected {low:g} to {high:g}"
        raise ConfigError(msg)
    if speed_up != 1 and not clock:
        msg = f"street simulator: found speed-up {speed_up:g} in present time, expected 1; ask for a clock too"
        raise ConfigError(msg)


def _each_turn(script: FaultScript, turn_ns: int) -> FaultScript:
    return script if script.repeat_s or not turn_ns else script.model_copy(update={"repeat_s": turn_ns * 1e-9})


def _shifted(readings: Sequence[Reading], offsets_ns: Iterable[int]) -> Iterator[Reading]:
    for offset_ns in offsets_ns:
        for reading in readings:
            yield reading.shifted(offset_ns)


def publish_drive(
    settings: DriveSettings,
    *,
    event_format: str = "cloud",
    depth_encoding: str = "32FC1",
    faults: FaultScript | None = None,
    clock: bool = False,
    speed_up: float = 1.0,
    workers: int = 1,
    loop: bool = False,
    progress: bool = False,
) -> Delivery:
    """Render a drive, then publish it; see StreetSimulator.

    The drive is rendered before it starts, so that it keeps its pace on any machine.

    Raises:
        ConfigError: a format is unknown, or the speed-up is impossible.
        DependencyError: a message type is not installed.
    """
    writer = MessageWriter(Rig.of(settings), event_format, depth_encoding)
    _check_speed(speed_up, clock=clock)
    rclpy.init()
    try:
        node = StreetSimulator(writer, clock=clock, speed_up=speed_up)
        drive = list(render_drive(settings, workers=workers, progress=progress))
        return node.play(drive, settings.start_ns, faults=faults, loop=loop)
    except KeyboardInterrupt:
        return Delivery({})
    finally:
        rclpy.try_shutdown()
