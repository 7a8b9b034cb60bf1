# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The node's health as diagnostic_msgs/DiagnosticArray: of each sensor, of inference, and with every output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from any2seg_core.synchronizer import StreamState
from any2seg_ros.diagnostics import INFERENCE, LATENCY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from any2seg_core.frames import LabelMap, Modality
    from any2seg_core.synchronizer import StreamStatus
    from any2seg_ros.diagnostics import Health

LONGEST_SILENCE_S: Final = 3.0
"""Pause of the outputs, while a sensor lives, that is an error; slow sensors get SILENT_PERIODS of theirs."""
SILENT_PERIODS: Final = 5
STREAM_COUNTS: Final = ("received", "used", "dropped", "late", "duplicates", "rejected")
OK, WARN, ERROR, STALE = b"\x00", b"\x01", b"\x02", b"\x03"
"""Levels of diagnostic_msgs/DiagnosticStatus (REP 107)."""
DISABLED: Final = "disabled"
"""State of a sensor that a service call switched off, and the reason why outputs go without it."""


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
    clock_ns: int | None = None,
    model: Mapping[str, object] | None = None,
    degraded: str = "",
) -> Any:
    """Fill a diagnostic_msgs/DiagnosticArray: one status per modality and one for inference, the last.

    Args:
        message: the rclpy message.
        status_class: diagnostic_msgs/DiagnosticStatus.
        value_class: diagnostic_msgs/KeyValue.
        name: the node's.
        health: what the node counted.
        states: how each sensor does.
        notes: further values per sensor.
        now_ns: steady clock, as given to health.
        clock_ns: the node's ROS clock, which stamps are compared with; None leaves that out.
        model: further values of inference: which model, where, its queue and memory.
        degraded: what the model had to give up, for want of memory; "" for nothing.
    """
    statuses = []
    for modality, stream in states.items():
        level, text = _sensor_level(stream)
        values = {
            **_stream_values(stream, clock_ns),
            **notes.get(modality, {}),
            **health.problems_of(modality.value),
        }
        statuses.append(_status(status_class, value_class, f"{name}: {modality.value}", level, text, values))
    level, text = _inference_level(states, health, now_ns)
    if degraded:  # levels are in order of their bytes
        level, text = max(level, WARN), f"{text}; {degraded}"
    values = {**_inference_values(health, now_ns), **(model or {})}
    statuses.append(_status(status_class, value_class, f"{name}: {INFERENCE}", level, text, values))
    message.status = statuses
    return message


def fill_output_status(
    message: Any,
    status_class: type,
    value_class: type,
    *,
    name: str,
    labels: LabelMap,
    ages_ns: Mapping[Modality, int],
    latency_ns: int,
    disabled: Iterable[Modality] = (),
) -> Any:
    """Fill the DiagnosticArray that goes with one output: which sensors served it, how old, and why others did not."""
    used = "+".join(modality.value for modality in labels.used)
    reasons = {modality: reason.value for modality, reason in labels.absent.items()}
    reasons |= dict.fromkeys(reasons.keys() & set(disabled), DISABLED)
    values = {
        "anchor": labels.anchor.value,
        **{f"age_ms.{modality.value}": f"{age_ns / 1e6:.1f}" for modality, age_ns in ages_ns.items()},
        **{f"absent.{modality.value}": reason for modality, reason in reasons.items()},
        "latency_ms": f"{latency_ns / 1e6:.2f}",
    }
    level = WARN if labels.absent else OK
    message.status = [_status(status_class, value_class, f"{name}: output", level, used, values)]
    return message


def fill_timing(
    message: Any, status_class: type, value_class: type, *, name: str, latency_ns: int, stages_ns: Mapping[str, int]
) -> Any:
    """Fill the DiagnosticArray that tells how long each stage of one output took, in milliseconds.

    KeyValues of plain numbers, which rqt_runtime_monitor shows and PlotJuggler draws as curves, with no message type of
    our own to build.
    """
    values = {f"{stage}_ms": f"{time_ns / 1e6:.3f}" for stage, time_ns in {**stages_ns, LATENCY: latency_ns}.items()}
    text = f"{latency_ns / 1e6:.1f} ms"
    message.status = [_status(status_class, value_class, f"{name}: timing", OK, text, values)]
    return message


def _status(
    status_class: type, value_class: type, name: str, level: bytes, text: str, values: Mapping[str, object]
) -> Any:
    pairs = [value_class(key=key, value=str(value)) for key, value in values.items()]
    return status_class(name=name, hardware_id="any2seg", level=level, message=text, values=pairs)


def _sensor_level(stream: StreamStatus) -> tuple[bytes, str]:
    if not stream.enabled:
        return WARN, DISABLED
    return (OK if stream.state is StreamState.LIVE else WARN), stream.state.value


def _stream_values(stream: StreamStatus, clock_ns: int | None) -> dict[str, object]:
    rate_hz = 1e9 / stream.period_ns if stream.period_ns else 0.0
    values: dict[str, object] = {
        "rate_hz": f"{rate_hz:.1f}",
        "age_s": "" if stream.age_ns is None else f"{stream.age_ns / 1e9:.3f}",
        **{name: getattr(stream, name) for name in STREAM_COUNTS},
    }
    if clock_ns is not None and stream.last_stamp_ns is not None:
        # Where messages pile up before they get here, the rate looks fine and this grows.
        values["stamp_age_s"] = f"{(clock_ns - stream.last_stamp_ns) / 1e9:.3f}"
    if stream.last_rejection:
        values["last_rejection"] = stream.last_rejection
    return values


def _inference_values(health: Health, now_ns: int) -> dict[str, object]:
    silence_ns = health.silence_ns(now_ns)
    median, high = health.times_ms(50), health.times_ms(95)
    values = {
        "outputs": health.outputs,
        "output_age_s": f"{silence_ns / 1e9:.3f}" if silence_ns is not None and health.outputs else "",
        "displaced": health.displaced,
        "last_used": health.last_used,
    }
    for stage, value_ms in median.items():
        values |= {f"{stage}_p50_ms": f"{value_ms:.1f}", f"{stage}_p95_ms": f"{high[stage]:.1f}"}
    return {**values, **health.problems_of(INFERENCE)}


def _inference_level(states: Mapping[Modality, StreamStatus], health: Health, now_ns: int) -> tuple[bytes, str]:
    """Say how bad it is; a sensor with one message overdue still lives, or jitter would look like blindness."""
    streams = [stream for stream in states.values() if stream.enabled]
    alive = [stream for stream in streams if stream.state in (StreamState.LIVE, StreamState.STALE)]
    live = sum(stream.state is StreamState.LIVE for stream in streams)
    disabled = [modality.value for modality, stream in states.items() if not stream.enabled]
    off = f" ({', '.join(disabled)} {DISABLED})" if disabled else ""
    if not alive:
        return (ERROR, f"blind: no sensor lives{off}") if health.outputs else (STALE, "waiting for the first sensor")
    if health.failing:
        return ERROR, f"no answer: {health.failing}"
    silence_ns = health.silence_ns(now_ns) or 0
    if silence_ns > max(LONGEST_SILENCE_S * 1e9, SILENT_PERIODS * min(stream.period_ns for stream in alive)):
        return ERROR, f"silent: {len(alive)} of {len(states)} sensors live, no output for {silence_ns / 1e9:.0f} s"
    if not health.outputs:
        return WARN, "sensors live, no output yet"
    if live < len(states):
        return WARN, f"degraded: {live} of {len(states)} sensors live{off}"
    return OK, "all sensors live"
