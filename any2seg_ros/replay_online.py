# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Score what a running segmentation_node publishes while a bag is played; replay.show.online has the sums."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import rclpy
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy
from rclpy.serialization import deserialize_message

from any2seg_core.errors import Any2SegError, ConfigError
from any2seg_ros import compat, qos
from any2seg_ros.conversions import stamp_ns
from any2seg_ros.replay.show.files import write_text
from any2seg_ros.replay.show.online import OnlineScores, latencies_ms, performance
from any2seg_ros.topics import IMAGE

if TYPE_CHECKING:
    from collections.abc import Callable

PARAMETERS: Final = {
    "input_topic": ("rgb/image", "sensor whose every message is a frame sent; labels carry its stamps"),
    "node": ("segmentation_node", "name of the node whose labels and used_sensors are heard"),
    "truth_topic": ("", "label images with the input's stamps; empty: nothing is compared"),
    "out": ("online.json", "where the figures are written, every second and at the end"),
}
_SECOND: Final = 1.0
_LOOK_S: Final = 0.05
_QUEUE: Final = 200
_HEADER: Final = "std_msgs/msg/Header"


class ReplayScorer(Node):
    """Hears the input, the labels, the used sensors and the truth, and writes what it found.

    Subscribes to each topic as soon as somebody publishes it, with the type and the reliability found there.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("replay_scorer", **options)
        given: dict[str, str] = {
            name: self.declare_parameter(name, default).value for name, (default, _) in PARAMETERS.items()
        }
        self.out = Path(given["out"])
        self.sent_ns: dict[int, int] = {}
        self.received_ns: dict[int, int] = {}
        self.scores = OnlineScores() if given["truth_topic"] else None
        self._given = given
        self._used: Counter[str] = Counter()
        self._anchors: Counter[str] = Counter()
        self._node_latency_ms: list[float] = []
        node = given["node"].rstrip("/")
        self._wanted: dict[str, tuple[Callable[[Any], None], str]] = {
            given["input_topic"]: (self._on_input, ""),
            f"{node}/labels": (self._on_labels, IMAGE),
            f"{node}/used_sensors": (self._on_used_sensors, "diagnostic_msgs/msg/DiagnosticArray"),
        }
        if given["truth_topic"]:
            self._wanted[given["truth_topic"]] = (self._on_truth, IMAGE)
        # The steady clock: simulated time may stand still.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(_LOOK_S, self._look, clock=steady)
        self.create_timer(_SECOND, self.write, clock=steady)

    @property
    def waiting_for(self) -> list[str]:
        """Topics that nobody has published yet."""
        return list(self._wanted)

    def report(self) -> dict[str, Any]:
        """Give the figures so far."""
        matched = latencies_ms(self.sent_ns, self.received_ns)
        own = np.array(self._node_latency_ms)
        quantiles = {
            f"{name}_p{share}_ms": float(np.percentile(values, share))
            for name, values in (("latency", matched), ("node_latency", own))
            if values.size
            for share in (50, 95)
        }
        return {
            "format": 1,
            **performance(self.sent_ns, self.received_ns),
            **quantiles,
            "labels_with_other_stamps": sum(stamp not in self.sent_ns for stamp in self.received_ns),
            "outputs_by_sensors": dict(self._used.most_common()),
            "outputs_by_anchor": dict(self._anchors.most_common()),
            "topics_never_published": self.waiting_for,
            "scores": self.scores.to_json() if self.scores else None,
            "settings": self._given,
        }

    def write(self) -> None:
        """Write the figures, whole or not at all.

        Raises:
            ConfigError: the file cannot be written.
        """
        try:
            self.out.parent.mkdir(parents=True, exist_ok=True)
            write_text(self.out, json.dumps(self.report(), indent=2, allow_nan=False) + "\n")
        except OSError as error:
            msg = (
                f"out: cannot write {str(self.out)!r} ({error.strerror}); give the path of a file in a writable folder"
            )
            raise ConfigError(msg) from None

    def _look(self) -> None:
        """Subscribe to what has begun to be published."""
        for topic in list(self._wanted):
            publishers = self.get_publishers_info_by_topic(self.resolve_topic_name(topic))
            if not publishers:
                continue
            on_message, expected = self._wanted.pop(topic)
            message_class = _checked(topic, publishers[0].topic_type, expected)
            reliable = all(one.qos_profile.reliability is ReliabilityPolicy.RELIABLE for one in publishers)
            profile = qos.stream("reliable" if reliable else "best_effort", _QUEUE)
            self.create_subscription(message_class, topic, on_message, profile, raw=not expected)

    def _on_input(self, message: bytes) -> None:
        """Take the stamp alone: every sensor's message begins with a header, and images are costly to unpack."""
        at = time.monotonic_ns()
        header: Any = deserialize_message(message, compat.message_class(_HEADER))
        self.sent_ns.setdefault(stamp_ns(header), at)

    def _on_labels(self, message: Any) -> None:
        self.received_ns.setdefault(stamp_ns(message.header), time.monotonic_ns())
        if self.scores is not None:
            self.scores.add("labels", message)

    def _on_truth(self, message: Any) -> None:
        if self.scores is not None:
            self.scores.add("truth", message)

    def _on_used_sensors(self, message: Any) -> None:
        for status in message.status:
            values = {pair.key: pair.value for pair in status.values}
            self._used[status.message] += 1
            self._anchors[values.get("anchor", "")] += 1
            with contextlib.suppress(KeyError, ValueError):
                self._node_latency_ms.append(float(values["latency_ms"]))


def _checked(topic: str, found: str, expected: str) -> type:
    """Give the message class of a topic.

    Args:
        topic: its name.
        found: type that is published.
        expected: type that is needed; empty: any whose messages begin with a header.

    Raises:
        ConfigError: another type is published.
        DependencyError: its package is not installed.
    """
    message_class: Any = compat.message_class(found)
    first = next(iter(message_class.get_fields_and_field_types().items()), ("", ""))
    if found != expected and (expected or first != ("header", _HEADER.replace("/msg", ""))):
        wanted = expected or "a sensor's messages, which begin with a header"
        msg = f"{topic}: found {found}, expected {wanted}; correct the topic's name"
        raise ConfigError(msg)
    kind: type = message_class
    return kind


def main(arguments: list[str] | None = None) -> int:
    """Score until told to stop, then write the figures once more.

    Returns:
        0 after an orderly end, 1 if the figures cannot be written or a message type is missing; stderr says why.
    """
    rclpy.init(args=arguments)
    scorer = ReplayScorer()
    try:
        with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
            rclpy.spin(scorer)
        scorer.write()
    except Any2SegError as error:
        sys.stderr.write(f"replay_scorer: {error}\n")
        return 1
    finally:
        scorer.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
