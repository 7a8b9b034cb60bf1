# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Listens to a segmentation node: its labels, what served them, and how it says that it does."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import Image

from any2seg_ros import qos
from any2seg_ros.conversions import stamp_ns

if TYPE_CHECKING:
    from rclpy.node import Node


@dataclass(frozen=True)
class Output:
    """A label image: its stamp, and when it was heard on the steady clock."""

    stamp_ns: int
    heard_ns: int


@dataclass(frozen=True)
class Served:
    """What served an output.

    Attributes:
        sensors: such as "rgb+lidar".
        values: anchor, ages and the reasons why others are absent, as the node tells them.
        heard_ns: when it was heard, steady clock.
    """

    sensors: str
    values: dict[str, str]
    heard_ns: int


@dataclass(frozen=True)
class Status:
    """One source's entry in the diagnostics."""

    level: int
    message: str
    values: dict[str, str]


@dataclass(frozen=True)
class Report:
    """One diagnostics message: a status for each sensor and for inference, and when it was heard."""

    statuses: dict[str, Status]
    heard_ns: int


class Ear:
    """Keeps what a node says, in order of arrival.

    Args:
        node: listens.
        name: the segmentation node's, with its namespace.
    """

    def __init__(self, node: Node, name: str) -> None:
        self.outputs: list[Output] = []
        self.served: list[Served] = []
        self.reports: list[Report] = []
        self._prefix = f"{name}: "
        profile = qos.stream("reliable", 50)
        self._subscriptions = [
            node.create_subscription(Image, f"{name}/labels", self._labels_came, profile),
            node.create_subscription(DiagnosticArray, f"{name}/used_sensors", self._served_came, profile),
            node.create_subscription(DiagnosticArray, "/diagnostics", self._report_came, profile),
        ]

    def clear(self) -> None:
        """Forget all but the newest diagnostics."""
        for kept, last in ((self.outputs, 0), (self.served, 0), (self.reports, 1)):
            del kept[: len(kept) - last]

    def _labels_came(self, message: Any) -> None:
        self.outputs.append(Output(stamp_ns(message.header), time.monotonic_ns()))

    def _served_came(self, message: Any) -> None:
        status = message.status[0]
        self.served.append(Served(status.message, _values(status), time.monotonic_ns()))

    def _report_came(self, message: Any) -> None:
        statuses = {
            status.name.removeprefix(self._prefix): Status(status.level[0], status.message, _values(status))
            for status in message.status
            if status.name.startswith(self._prefix)
        }
        if statuses:
            self.reports.append(Report(statuses, time.monotonic_ns()))


def _values(status: Any) -> dict[str, str]:
    return {pair.key: pair.value for pair in status.values}
