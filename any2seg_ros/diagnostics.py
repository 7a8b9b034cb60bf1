# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The node's health in numbers, and how it is told: what arrived, what was refused and why, how late outputs are."""

from __future__ import annotations

import threading
import time
import traceback
from collections import Counter, deque
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from any2seg_core.errors import Any2SegError
from any2seg_core.synchronizer import StreamState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from any2seg_core.frames import LabelMap, Modality
    from any2seg_core.synchronizer import StreamStatus

INFERENCE: Final = "inference"
"""Source of problems that belong to no sensor."""
LATENCIES_KEPT: Final = 512
LONGEST_SILENCE_S: Final = 3.0
"""Pause of the outputs, while a sensor lives, that is an error; slow sensors get SILENT_PERIODS of theirs."""
SILENT_PERIODS: Final = 5
STREAM_COUNTS: Final = ("received", "used", "dropped", "late", "duplicates", "rejected")
OK, WARN, ERROR, STALE = b"\x00", b"\x01", b"\x02", b"\x03"
"""Levels of diagnostic_msgs/DiagnosticStatus (REP 107)."""


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
        self._latencies_ms: deque[float] = deque(maxlen=LATENCIES_KEPT)
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

    def count_output(self, used: str, latency_ns: int, now_ns: int) -> None:
        """Count an output and the time from the anchor's arrival to its publication."""
        with self._lock:
            self.outputs += 1
            self.last_used, self.failing, self._since_ns = used, "", now_ns
            self._latencies_ms.append(latency_ns / 1e6)

    def silence_ns(self, now_ns: int) -> int | None:
        """Time since the last output or the beginning; None before that."""
        return None if self._since_ns is None else now_ns - self._since_ns

    def latency_ms(self, percentile: float) -> float:
        """Give a percentile of the newest latencies, milliseconds; NaN before the first output."""
        with self._lock:
            latencies = list(self._latencies_ms)
        return float(np.percentile(latencies, percentile)) if latencies else float("nan")

    def problems_of(self, source: str) -> dict[str, object]:
        """Give a source's problem counts by kind and its newest message, as a status shows them."""
        prefix = f"{source}: "
        with self._lock:
            counted = [(key.removeprefix(prefix), n) for key, n in self.problems.items() if key.startswith(prefix)]
            last = self._last_problem.get(source)
        found: dict[str, object] = {f"problem.{kind}": n for kind, n in sorted(counted)}
        return found if last is None else {**found, "last_problem": last}


def fill_diagnostics(
    message: Any,
    status_class: type,
    value_class: type,
    *,
    name: str,
    health: Health,
    states: Mapping[Modality, StreamStatus],
    notes: Mapping[Modality, Mapping[str, object]],
    now_ns: int,
) -> Any:
    """Fill a diagnostic_msgs/DiagnosticArray: one status per modality and one for inference.

    Args:
        message: the rclpy message.
        status_class: diagnostic_msgs/DiagnosticStatus.
        value_class: diagnostic_msgs/KeyValue.
        name: the node's.
        health: what the node counted.
        states: how each sensor does.
        notes: further values per sensor.
        now_ns: steady clock, as given to health.
    """

    def status(part: str, level: bytes, text: str, values: Mapping[str, object]) -> Any:
        pairs = [value_class(key=key, value=str(value)) for key, value in values.items()]
        return status_class(name=f"{name}: {part}", hardware_id="any2seg", level=level, message=text, values=pairs)

    statuses = []
    for modality, stream in states.items():
        level = OK if stream.state is StreamState.LIVE else WARN
        values = {**_stream_values(stream), **notes.get(modality, {}), **health.problems_of(modality.value)}
        statuses.append(status(modality.value, level, stream.state.value, values))
    level, text = _inference_level(list(states.values()), health, now_ns)
    statuses.append(status(INFERENCE, level, text, _inference_values(health, now_ns)))
    message.status = statuses
    return message


def _stream_values(stream: StreamStatus) -> dict[str, object]:
    rate_hz = 1e9 / stream.period_ns if stream.period_ns else 0.0
    values: dict[str, object] = {
        "rate_hz": f"{rate_hz:.1f}",
        "age_s": "" if stream.age_ns is None else f"{stream.age_ns / 1e9:.3f}",
        **{name: getattr(stream, name) for name in STREAM_COUNTS},
    }
    if stream.last_rejection:
        values["last_rejection"] = stream.last_rejection
    return values


def _inference_values(health: Health, now_ns: int) -> dict[str, object]:
    silence_ns = health.silence_ns(now_ns)
    return {
        "outputs": health.outputs,
        "output_age_s": f"{silence_ns / 1e9:.3f}" if silence_ns is not None and health.outputs else "",
        "displaced": health.displaced,
        "last_used": health.last_used,
        "latency_p50_ms": f"{health.latency_ms(50):.1f}",
        "latency_p95_ms": f"{health.latency_ms(95):.1f}",
        **health.problems_of(INFERENCE),
    }


def _inference_level(streams: list[StreamStatus], health: Health, now_ns: int) -> tuple[bytes, str]:
    """Say how bad it is; a sensor with one message overdue still lives, or jitter would look like blindness."""
    alive = [stream for stream in streams if stream.state in (StreamState.LIVE, StreamState.STALE)]
    live = sum(stream.state is StreamState.LIVE for stream in streams)
    if not alive:
        return (ERROR, "blind: no sensor lives") if health.outputs else (STALE, "waiting for the first sensor")
    if health.failing:
        return ERROR, f"no answer: {health.failing}"
    silence_ns = health.silence_ns(now_ns) or 0
    if silence_ns > max(LONGEST_SILENCE_S * 1e9, SILENT_PERIODS * min(stream.period_ns for stream in alive)):
        return ERROR, f"silent: {len(alive)} of {len(streams)} sensors live, no output for {silence_ns / 1e9:.0f} s"
    if not health.outputs:
        return WARN, "sensors live, no output yet"
    if live < len(streams):
        return WARN, f"degraded: {live} of {len(streams)} sensors live"
    return OK, "all sensors live"


def fill_output_status(
    message: Any,
    status_class: type,
    value_class: type,
    *,
    name: str,
    labels: LabelMap,
    ages_ns: Mapping[Modality, int],
    latency_ns: int,
) -> Any:
    """Fill the DiagnosticArray that goes with one output: which sensors served it, how old, and why others did not."""
    used = "+".join(modality.value for modality in labels.used)
    values = {
        "anchor": labels.anchor.value,
        **{f"age_ms.{modality.value}": f"{age_ns / 1e6:.1f}" for modality, age_ns in ages_ns.items()},
        **{f"absent.{modality.value}": reason.value for modality, reason in labels.absent.items()},
        "latency_ms": f"{latency_ns / 1e6:.2f}",
    }
    pairs = [value_class(key=key, value=value) for key, value in values.items()]
    level = WARN if labels.absent else OK
    message.status = [
        status_class(name=f"{name}: output", hardware_id="any2seg", level=level, message=used, values=pairs)
    ]
    return message
