# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What a node said of a sensor while it failed, in a few words: states, counters that rose, reasons, ages."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final

from any2seg_ros.diagnostics import INFERENCE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from any2seg_sim.trial.ear import Report, Served, Status

_USUAL: Final = ("received", "used", "dropped", "outputs", "deskewed", "not_compensated", "queue_waiting", "queue_open")
"""Counters that rise when nothing is wrong."""
_OLD_MS: Final = 60.0
"""Ages up to here are usual between sensors that keep their own time."""
_FASTER: Final = 1.5
_LONGEST_REASON: Final = 90
STILL: Final = "nothing"


def said_of(sensor: str, before: Report, during: Sequence[Report], served: Sequence[Served]) -> str:
    """Sum up what was said of a sensor.

    Args:
        sensor: its name in the diagnostics.
        before: the last diagnostics before it failed.
        during: those while it failed and just after, in order.
        served: what served the outputs meanwhile.
    """
    if not during:
        return STILL
    told = [
        *_states(report.statuses[sensor] for report in during),
        *_rises(before.statuses[sensor], during[-1].statuses[sensor]),
        *_rate(before.statuses[sensor], [report.statuses[sensor] for report in during]),
        *(f"{INFERENCE} {text}" for text in _rises(before.statuses[INFERENCE], during[-1].statuses[INFERENCE])),
        *_absences(sensor, served),
        *_ages(sensor, served),
        *_reason(before.statuses[sensor], during[-1].statuses[sensor]),
    ]
    return "; ".join(told) or STILL


def _states(statuses: Iterable[Status]) -> list[str]:
    return [text for text in dict.fromkeys(status.message for status in statuses) if text != "live"]


def _rises(before: Status, after: Status) -> list[str]:
    rises = []
    for key, value in after.values.items():
        old = before.values.get(key, "0")
        if key not in _USUAL and value.isdigit() and old.isdigit() and int(value) > int(old):
            rises.append(f"{key.removeprefix('problem.')} +{int(value) - int(old)}")
    return rises


def _rate(before: Status, during: Iterable[Status]) -> list[str]:
    old = float(before.values.get("rate_hz", "0"))
    new = max(float(status.values.get("rate_hz", "0")) for status in during)
    return [f"rate_hz {old:.0f} -> {new:.0f}"] if new > _FASTER * old > 0 else []


def _absences(sensor: str, served: Iterable[Served]) -> list[str]:
    """Why outputs went without a sensor, or where they had it, without others."""
    absences = [
        (key.removeprefix("absent."), value)
        for one in served
        for key, value in one.values.items()
        if key.startswith("absent.")
    ]
    own = [(name, reason) for name, reason in dict.fromkeys(absences) if name == sensor]
    return [f"outputs without {'it' if own else name}: {reason}" for name, reason in own or dict.fromkeys(absences)]


def _ages(sensor: str, served: Iterable[Served]) -> list[str]:
    values = chain.from_iterable(one.values.items() for one in served)
    ages = [float(value) for key, value in values if key == f"age_ms.{sensor}"]
    return [f"age_ms up to {max(ages):.0f}"] if ages and max(ages) > _OLD_MS else []


def _reason(before: Status, after: Status) -> list[str]:
    """Quote the sensor's newest problem where it is a new one."""
    kept = next((key for key in ("last_problem", "last_rejection") if key in after.values), "")
    count = sum(int(v) for k, v in after.values.items() if k.startswith("problem.") or k == "rejected")
    known = sum(int(v) for k, v in before.values.items() if k.startswith("problem.") or k == "rejected")
    if not kept or count <= known:
        return []
    text = after.values[kept]
    return [f'"{text if len(text) <= _LONGEST_REASON else text[: _LONGEST_REASON - 1] + "…"}"']
