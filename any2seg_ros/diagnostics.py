# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The node's health in numbers, and how it is told: what arrived, what was refused and why, how late outputs are."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from any2seg_core.frames import LabelMap, Modality
    from any2seg_core.synchronizer import StreamStatus

LATENCIES_KEPT: Final = 512
STREAM_COUNTS: Final = ("received", "used", "dropped", "late", "duplicates", "rejected")
OK, WARN, ERROR, STALE = b"\x00", b"\x01", b"\x02", b"\x03"
"""Levels of diagnostic_msgs/DiagnosticStatus (REP 107)."""


class Health:
    """Counts what happens; not thread-safe for writers of the same counter, which the node keeps apart by its lock.

    Attributes:
        outputs: label maps given.
        displaced: frame sets that a newer one replaced before the model was free (keep-latest).
        problems: how often each kind of problem occurred, by "sensor: kind".
    """

    def __init__(self) -> None:
        self.outputs = 0
        self.displaced = 0
        self.problems: Counter[str] = Counter()
        self.last_problem: dict[str, str] = {}
        self.last_used = ""
        self._latencies_ms: deque[float] = deque(maxlen=LATENCIES_KEPT)

    def count_problem(self, source: str, kind: str, message: str) -> None:
        """Count a problem of a sensor ("rgb") or part ("inference"); the newest message is kept for the status."""
        self.problems[f"{source}: {kind}"] += 1
        self.last_problem[source] = message

    def count_output(self, used: str, latency_ns: int) -> None:
        """Count an output and the time from the anchor's arrival to its publication."""
        self.outputs += 1
        self.last_used = used
        self._latencies_ms.append(latency_ns / 1e6)

    def latency_ms(self, percentile: float) -> float:
        """Give a percentile of the newest latencies, milliseconds; NaN before the first output."""
        return float(np.percentile(list(self._latencies_ms), percentile)) if self._latencies_ms else float("nan")


def fill_diagnostics(
    message: Any,
    status_class: type,
    value_class: type,
    *,
    name: str,
    health: Health,
    states: Mapping[Modality, StreamStatus],
) -> Any:
    """Fill a diagnostic_msgs/DiagnosticArray: one status per modality and one for inference."""

    def status(part: str, level: bytes, text: str, values: Mapping[str, object]) -> Any:
        pairs = [value_class(key=key, value=str(value)) for key, value in values.items()]
        return status_class(name=f"{name}: {part}", hardware_id="any2seg", level=level, message=text, values=pairs)

    statuses = []
    for modality, stream in states.items():
        part = modality.value
        values = {**_stream_values(stream), **_problems_of(part, health)}
        statuses.append(status(part, OK if stream.state.value == "live" else WARN, stream.state.value, values))
    living = [modality for modality, stream in states.items() if stream.state.value == "live"]
    level, text = _inference_level(len(living), len(states), health)
    values = {
        "outputs": health.outputs,
        "displaced": health.displaced,
        "last_used": health.last_used,
        "latency_p50_ms": f"{health.latency_ms(50):.1f}",
        "latency_p95_ms": f"{health.latency_ms(95):.1f}",
        **_problems_of("inference", health),
    }
    message.status = [*statuses, status("inference", level, text, values)]
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


def _inference_level(living: int, configured: int, health: Health) -> tuple[bytes, str]:
    if living == 0:
        return (ERROR, "blind: no sensor lives") if health.outputs else (STALE, "waiting for the first sensor")
    if health.outputs == 0:
        return WARN, "sensors live, no output yet"
    if living < configured:
        return WARN, f"degraded: {living} of {configured} sensors live"
    return OK, "all sensors live"


def _problems_of(source: str, health: Health) -> dict[str, object]:
    prefix = f"{source}: "
    counts: dict[str, object] = {
        f"problem.{key.removeprefix(prefix)}": n for key, n in sorted(health.problems.items()) if key.startswith(prefix)
    }
    if source in health.last_problem:
        counts["last_problem"] = health.last_problem[source]
    return counts


def fill_output_status(
    message: Any, status_class: type, value_class: type, *, name: str, labels: LabelMap, latency_ns: int
) -> Any:
    """Fill the DiagnosticArray that goes with one output: which sensors served it, and why others did not."""
    used = "+".join(modality.value for modality in labels.used)
    values = {
        "anchor": labels.anchor.value,
        **{f"absent.{modality.value}": reason.value for modality, reason in labels.absent.items()},
        "latency_ms": f"{latency_ns / 1e6:.2f}",
    }
    pairs = [value_class(key=key, value=value) for key, value in values.items()]
    level = WARN if labels.absent else OK
    message.status = [
        status_class(name=f"{name}: output", hardware_id="any2seg", level=level, message=used, values=pairs)
    ]
    return message
