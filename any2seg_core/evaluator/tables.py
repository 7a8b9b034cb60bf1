# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Reports as Markdown tables in the shape of the paper's tables 1 to 4."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_core.evaluator.subsets import all_subsets, short_name
from any2seg_core.metrics import AbsentClasses

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from any2seg_core.evaluator.report import EvalReport

_POLICIES: Final = {
    AbsentClasses.ALL_AS_ZERO: "a class that never occurs counts as 0, as in published tables",
    AbsentClasses.PRESENT: "mean over the classes that occur",
}


def markdown(reports: Sequence[EvalReport]) -> str:
    """Write every table that the reports hold, a row per model.

    Returns:
        Markdown, with all scores in percent.
    """
    parts = []
    for policy, meaning in _POLICIES.items():
        parts.append(f"## Mean over classes: {meaning}\n")
        parts += [_whole(reports, policy), _system(reports, policy), _sensor(reports, policy)]
    parts.append(_per_class(reports))
    return "\n".join(part for part in parts if part)


def _whole(reports: Sequence[EvalReport], policy: AbsentClasses) -> str:
    """Table 1 and 2: all modalities."""
    rows = []
    for report in reports:
        matrix = report.matrix()
        scores = (matrix.miou(policy), matrix.mf1(policy), matrix.macc(policy), matrix.pixel_accuracy())
        rows.append([report.name, short_name(report.modalities), *map(_percent, scores), str(report.images)])
    head = ["Model", "Modalities", "mIoU", "F1", "Acc (class mean)", "Pixels right", "Images"]
    return f"### All modalities (MSS)\n\n{_table(head, rows)}"


def _system(reports: Sequence[EvalReport], policy: AbsentClasses) -> str:
    """Table 3: every subset, a table for each protocol."""
    parts = []
    for protocol in sorted({protocol for report in reports for protocol in report.protocols}):
        whole = [
            report
            for report in reports
            if protocol in report.protocols and len(report.subsets) == len(all_subsets(report.modalities))
        ]
        for modalities in sorted({report.modalities for report in whole}):
            subsets = all_subsets(modalities)
            rows = [
                [
                    report.name,
                    *(_percent(report.miou(subset, protocol, policy)) for subset in subsets),
                    _percent(report.system_miss(protocol, policy)),
                ]
                for report in whole
                if report.modalities == modalities
            ]
            head = ["Model", *map(short_name, subsets), "Mean"]
            parts.append(f"### System-level MISS, absent modalities: {protocol}\n\n{_table(head, rows)}")
    return "\n".join(parts)


def _sensor(reports: Sequence[EvalReport], policy: AbsentClasses) -> str:
    """Table 4: weathers and failures."""
    names = sorted({name for report in reports for name in report.conditions})
    names += sorted({name for report in reports for name in report.failures})
    if not names:
        return ""
    rows = []
    for report in reports:
        scores = report.by_condition(policy=policy)
        known = [scores[name] for name in names if name in scores]
        rows.append([report.name, *(_percent(scores.get(name)) for name in names), _percent(_mean(known))])
    return f"### Sensor-level MISS, all modalities\n\n{_table(['Model', *names, 'Mean'], rows)}"


def _per_class(reports: Sequence[EvalReport]) -> str:
    parts = []
    for report in reports:
        matrix = report.matrix()
        rows = [
            [name, _percent(iou), _percent(f1), _percent(accuracy)]
            for name, iou, f1, accuracy in zip(
                report.classes.names, matrix.iou(), matrix.f1(), matrix.accuracy(), strict=True
            )
        ]
        parts.append(f"## {report.name}: classes, all modalities\n\n{_table(['Class', 'IoU', 'F1', 'Acc'], rows)}")
    return "\n".join(parts)


def _mean(values: Iterable[float]) -> float | None:
    found = list(values)
    return float(np.mean(found)) if found else None


def _percent(score: float | None) -> str:
    return "-" if score is None or np.isnan(score) else f"{100 * score:.2f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"
