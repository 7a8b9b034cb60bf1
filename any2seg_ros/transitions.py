# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What changed for the better or the worse, logged once each, from the statuses that the diagnostics tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from any2seg_core.synchronizer import StreamState
from any2seg_ros.statuses import ERROR, OK

if TYPE_CHECKING:
    from collections.abc import Iterable

_PASSING: Final = StreamState.STALE.value
"""One message overdue is jitter: diagnostics show it, the log would fill with it."""


class Transitions:
    """Compares each status with the one before it of the same name.

    A sensor's line says its old and new state; inference has one when it becomes unable to answer, and when it answers
    again, for what it merely goes without its sensors' own lines tell.

    Args:
        log: an rclpy logger.
    """

    def __init__(self, log: Any) -> None:
        self._log = log
        self._sensors: dict[str, str] = {}
        self._failed: str | None = None

    def see(self, sensors: Iterable[Any], inference: Any) -> None:
        """Log what changed since the statuses seen before."""
        for status in sensors:
            self._see_sensor(status)
        self._see_inference(inference)

    def _see_sensor(self, status: Any) -> None:
        new, name = status.message, _part(status)
        if new == _PASSING:
            return
        old = self._sensors.get(name, new)
        self._sensors[name] = new
        if old != new:
            self._tell(status.level, f"{name}: {old} -> {new}")

    def _see_inference(self, status: Any) -> None:
        kind = status.message.partition(":")[0]
        failed = kind if status.level == ERROR else None
        if failed != self._failed:
            self._tell(status.level if failed else OK, f"{_part(status)}: {status.message}")
        self._failed = failed

    def _tell(self, level: bytes, line: str) -> None:
        # Each from a line of its own: rclpy ties a severity to the line that logs it.
        if level == OK:
            self._log.info(line)
        elif level == ERROR:
            self._log.error(line)
        else:
            self._log.warning(line)


def _part(status: Any) -> str:
    """What a status is of; the log names the node already."""
    return str(status.name.rpartition(": ")[2])
