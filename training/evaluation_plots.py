# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Plots of evaluation reports, for people who would rather look than read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from any2seg_core.evaluator import short_name
from any2seg_core.metrics import AbsentClasses

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from matplotlib.axes import Axes

    from any2seg_core.evaluator import EvalReport

_POLICY: Final = AbsentClasses.PRESENT
_NOTE: Final = "mean IoU over the classes that occur, %"


def draw_plots(folder: Path, reports: Sequence[EvalReport]) -> None:
    """Write subsets.png, conditions.png, classes.png and confusion.png; the last two show the first report alone."""
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "figure.dpi": 150}):
        _save(folder / "subsets.png", _subsets(reports))
        if reports[0].conditions or reports[0].failures:
            _save(folder / "conditions.png", _conditions(reports))
        _save(folder / "classes.png", _classes(reports[0]))
        _save(folder / "confusion.png", _confusion(reports[0]))


def _save(path: Path, figure: Figure) -> None:
    unfinished = path.with_name(f".{path.name}.unfinished")
    figure.savefig(unfinished, format="png", bbox_inches="tight")
    unfinished.replace(path)


def _bars(axes: Axes, names: Sequence[str], values: dict[str, list[float]]) -> None:
    width = 0.8 / len(values)
    for index, (label, heights) in enumerate(values.items()):
        places = np.arange(len(names)) + (index - (len(values) - 1) / 2) * width
        bars = axes.bar(places, heights, width, label=label)
        if len(values) == 1:
            axes.bar_label(bars, fmt="%.0f", fontsize=8)
    axes.set_xticks(range(len(names)), names)
    axes.set_ylabel(_NOTE)
    axes.margins(x=0.02)
    if len(values) > 1:
        axes.legend(frameon=False)


def _subsets(reports: Sequence[EvalReport]) -> Figure:
    figure = Figure(figsize=(9, 3.2))
    axes = figure.subplots()
    subsets = reports[0].subsets
    shown = [report for report in reports if report.subsets == subsets]
    values = {
        report.name: [100 * report.miou(subset, policy=_POLICY) for subset in subsets]
        for report in shown
        if "drop" in report.protocols
    }
    _bars(axes, [short_name(subset) for subset in subsets], values)
    axes.set_title("Every subset of sensors: R camera, D depth, E events, L LiDAR", loc="left")
    return figure


def _conditions(reports: Sequence[EvalReport]) -> Figure:
    figure = Figure(figsize=(9, 3.2))
    axes = figure.subplots()
    names = [*reports[0].conditions, *reports[0].failures]
    values = {}
    for report in reports:
        scores = report.by_condition(policy=_POLICY)
        values[report.name] = [100 * scores.get(name, float("nan")) for name in names]
    _bars(axes, names, values)
    axes.set_title("All sensors, by weather and by failing sensor", loc="left")
    return figure


def _classes(report: EvalReport) -> Figure:
    """IoU of each class with each subset, as a heat map."""
    subsets = report.subsets
    scores = np.stack([100 * report.matrix(subset).iou() for subset in subsets], 1)
    figure = Figure(figsize=(8, 0.27 * len(report.classes) + 1))
    axes = figure.subplots()
    picture = axes.imshow(scores, cmap="viridis", vmin=0, vmax=100, aspect="auto")
    for row, column in np.ndindex(*scores.shape):
        if not np.isnan(scores[row, column]):
            ink = "white" if scores[row, column] < 60 else "black"
            axes.text(column, row, f"{scores[row, column]:.0f}", ha="center", va="center", fontsize=7, color=ink)
    axes.set_xticks(range(len(subsets)), [short_name(subset) for subset in subsets], rotation=45)
    axes.set_yticks(range(len(report.classes)), report.classes.names)
    axes.set_title(f"{report.name}: IoU of each class, %", loc="left")
    figure.colorbar(picture, ax=axes, pad=0.02)
    return figure


def _confusion(report: EvalReport) -> Figure:
    """Share of each true class given to each class, all modalities."""
    counts = report.matrix().counts[:, :-1].astype(np.float64)
    shares = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = 0.3 * len(report.classes) + 1.5
    figure = Figure(figsize=(side, side))
    axes = figure.subplots()
    picture: Any = axes.imshow(shares, cmap="magma", vmin=0, vmax=100)
    axes.set_xticks(range(len(report.classes)), report.classes.names, rotation=90)
    axes.set_yticks(range(len(report.classes)), report.classes.names)
    axes.set_xlabel("answered")
    axes.set_ylabel("true")
    axes.set_title(f"{report.name}: where each true class went, %", loc="left")
    figure.colorbar(picture, ax=axes, shrink=0.7, pad=0.02)
    return figure
