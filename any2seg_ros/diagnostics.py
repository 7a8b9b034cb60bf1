# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The node's health in numbers: what was answered, how long it took, what went wrong and why."""

from __future__ import annotations

import threading
import time
import traceback
from collections import Counter, deque
from pathlib import PurePath
from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_core.errors import Any2SegError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

INFERENCE: Final = "inference"
"""Source of problems that belong to no sensor."""
LATENCIES_KEPT: Final = 512
LATENCY: Final = "latency"
"""From the anchor's arrival to the end of publication, the sum of the stages."""


def describe_problem(error: Exception, foreseen: str) -> tuple[str, str]:
    """Give kind and text of a problem: foreseen and its message for our own errors, type and place for all others."""
    if isinstance(error, Any2SegError):
        return foreseen, str(error)
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({PurePath(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    return f"unexpected {type(error).__name__}", f"{error}{place}"


class ThrottledLog:
    """Writes problems to a log, but equal kinds of one source no oftener than once per period.

    Args:
        write: takes a line.
        period_s: shortest time between lines of one source and kind.
        clock_s: steady clock, seconds.
    """

    def __init__(
        self, write: Callable[[str], object], period_s: float, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._write = write
        self._period_s = period_s
        self._clock_s = clock_s
        self._written_s: dict[str, float] = {}

    def __call__(self, source: str, kind: str, message: str) -> None:
        """Write a problem unless its like was written just now."""
        key, now_s = f"{source}: {kind}", self._clock_s()
        if key not in self._written_s or now_s - self._written_s[key] >= self._period_s:
            self._written_s[key] = now_s
            self._write(f"{key}: {message}")


class Health:
    """Counts what happens; safe to use from the executor's threads and the worker's alike.

    Attributes:
        outputs: label maps given.
        displaced: frame sets that a newer one replaced before the model was free (keep-latest).
        problems: how often each kind of problem occurred, by "sensor: kind".
        failing: why the newest frame set got no answer; "" once one got it.
        last_used: what served the newest output, for example "rgb+lidar".
    """

    def __init__(self) -> None:
        self.outputs = 0
        self.displaced = 0
        self.problems: Counter[str] = Counter()
        self.failing = ""
        self.last_used = ""
        self._last_problem: dict[str, str] = {}
        self._times_ms: dict[str, deque[float]] = {LATENCY: deque(maxlen=LATENCIES_KEPT)}
        self._since_ns: int | None = None
        self._lock = threading.Lock()

    def begin(self, now_ns: int) -> None:
        """Measure silence from now on, as when the node is activated."""
        with self._lock:
            self._since_ns, self.failing = now_ns, ""

    def count_problem(self, source: str, kind: str, message: str) -> None:
        """Count a problem of a sensor ("rgb") or of INFERENCE; the newest message is kept for the status."""
        with self._lock:
            self.problems[f"{source}: {kind}"] += 1
            self._last_problem[source] = message
            if source == INFERENCE:
                self.failing = message

    def count_displaced(self) -> None:
        """Count a frame set that was replaced before the model was free."""
        with self._lock:
            self.displaced += 1

    def count_output(self, used: str, latency_ns: int, now_ns: int, stages_ns: Mapping[str, int] | None = None) -> None:
        """Count an output, the time from the anchor's arrival to its publication, and what each stage had of that."""
        with self._lock:
            self.outputs += 1
            self.last_used, self.failing, self._since_ns = used, "", now_ns
            for stage, time_ns in {LATENCY: latency_ns, **(stages_ns or {})}.items():
                self._times_ms.setdefault(stage, deque(maxlen=LATENCIES_KEPT)).append(time_ns / 1e6)

    def silence_ns(self, now_ns: int) -> int | None:
        """Time since the last output or the beginning; None before that."""
        return None if self._since_ns is None else now_ns - self._since_ns

    def latency_ms(self, percentile: float) -> float:
        """Give a percentile of the newest latencies, milliseconds; NaN before the first output."""
        return self.times_ms(percentile)[LATENCY]

    def times_ms(self, percentile: float) -> dict[str, float]:
        """Give a percentile of the newest times of LATENCY and of each stage, milliseconds; NaN where there is none."""
        with self._lock:
            times = {stage: list(newest) for stage, newest in self._times_ms.items()}
        return {
            stage: float(np.percentile(newest, percentile)) if newest else float("nan")
            for stage, newest in times.items()
        }

    def problems_of(self, source: str) -> dict[str, object]:
        """Give a source's problem counts by kind and its newest message, as a status shows them."""
        prefix = f"{source}: "
        with self._lock:
            counted = [(key.removeprefix(prefix), n) for key, n in self.problems.items() if key.startswith(prefix)]
            last = self._last_problem.get(source)
        found: dict[str, object] = {f"problem.{kind}": n for kind, n in sorted(counted)}
        return found if last is None else {**found, "last_problem": last}
