# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The verdict as tables for spreadsheets: frames.csv, classes.csv, subsets.csv, sensors.csv."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any, Final

from any2seg_ros.replay.show.files import write_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from any2seg_ros.replay.verdict import Scores, SubsetRow, Verdict

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001  wide ones count too
"""First characters that make a spreadsheet take a text for a formula (OWASP, CSV Injection)."""

_AGES: Final = ("age_p50_ms", "age_p95_ms", "age_max_ms")
FRAMES: Final = ("bag", "t_s", "stamp_ns", "anchor", "used", "condition", "miou", "confidence", "changed")
CLASSES: Final = ("bag", "condition", "id", "name", "iou", "f1", "acc", "pixels")
SUBSETS: Final = ("bag", "modalities", "frames", "miou", "agreement")
SENSORS: Final = ("bag", "modality", "received", "refused", "used", "rate_hz", *_AGES, "absent")


def write_tables(verdict: Verdict, out: Path) -> list[Path]:
    """Write the four tables into a folder and name them; rows without a bag are over all recordings."""
    tables = {
        "frames.csv": (FRAMES, _frames(verdict)),
        "classes.csv": (CLASSES, _classes(verdict)),
        "subsets.csv": (SUBSETS, _subsets(verdict)),
        "sensors.csv": (SENSORS, _sensors(verdict)),
    }
    for name, (header, rows) in tables.items():
        write_text(out / name, _csv(header, rows))
    return [out / name for name in tables]


def disarmed(value: Any) -> Any:
    """Put an apostrophe before a text that a spreadsheet would take for a formula; numbers stay numbers."""
    return f"'{value}" if isinstance(value, str) and value.lstrip(" ").startswith(_FORMULA) else value


def _csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(header)
    writer.writerows([disarmed(value) for value in row] for row in rows)
    return buffer.getvalue()


def _frames(verdict: Verdict) -> Iterator[Sequence[Any]]:
    for bag in verdict.bags:
        for row in bag.frames:
            used = "+".join(row.used)
            yield (
                bag.name, row.t_s, row.stamp_ns, row.anchor, used, row.condition, row.miou, row.confidence, row.changed
            )  # fmt: skip


def _classes(verdict: Verdict) -> Iterator[Sequence[Any]]:
    parts: list[tuple[str, str, Scores | None]] = [("", "", verdict.scores)]
    parts += [("", condition, scores) for condition, scores in verdict.conditions.items()]
    for bag in verdict.bags:
        parts += [(bag.name, "", bag.scores), *((bag.name, name, scores) for name, scores in bag.conditions.items())]
    for name, condition, scores in parts:
        for row in scores.classes if scores else ():
            yield name, condition, row.id, row.name, row.iou, row.f1, row.acc, row.pixels


def _subsets(verdict: Verdict) -> Iterator[Sequence[Any]]:
    parts: list[tuple[str, list[SubsetRow]]] = [
        ("", verdict.subsets),
        *((bag.name, bag.subsets) for bag in verdict.bags),
    ]
    for name, rows in parts:
        for row in rows:
            yield name, "+".join(row.modalities), row.frames, row.miou, row.agreement


def _sensors(verdict: Verdict) -> Iterator[Sequence[Any]]:
    for bag in verdict.bags:
        for row in bag.sensors:
            ages = (row.age_ms.p50, row.age_ms.p95, row.age_ms.max) if row.age_ms else (None, None, None)
            absent = " ".join(f"{reason}:{amount}" for reason, amount in row.absent.items())
            yield bag.name, row.modality, row.received, row.refused, row.used, row.rate_hz, *ages, absent
