# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What the charts over time show, as numbers from 0 to 1000 across and 0 to 100 down; templates draw them.

Charts are stretched to the width there is and their words stand beside them as HTML, so one chart serves a phone and
a desk. Outputs of long recordings are gathered, so a chart's size is bounded.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Final

import numpy as np

from any2seg_ros.replay.show.theme import SENSOR_NAMES
from any2seg_ros.replay.show.words import clock, count, percent, sensor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from any2seg_ros.replay.verdict import BagVerdict, FrameRow

WIDTH: Final = 1000.0
HEIGHT: Final = 100.0
MOST_CELLS: Final = 240
MOST_CONDITIONS: Final = 8
MOST_FAULTS: Final = 8
_SILENT_PERIODS: Final = 2.5
"""A pause so many times as long as usual is a silence."""


@dataclass(frozen=True)
class Block:
    """A stretch of a lane: where it begins, how wide it is, which share of its outputs counts, what it says."""

    x: float
    width: float
    share: float
    title: str


@dataclass(frozen=True)
class Lane:
    """A lane of the timeline."""

    name: str
    ink: str
    blocks: list[Block]


@dataclass(frozen=True)
class Curve:
    """A value over time: SVG path of the means, and of the band between their extremes."""

    name: str
    ink: str
    line: str
    band: str
    told: str


@dataclass(frozen=True)
class OverTime:
    """All that is drawn of a recording over time.

    Attributes:
        ticks: (x in percent, label).
        lanes: one of outputs, one per sensor, one per fault put in on purpose, one per condition where there are any.
        curves: values in [0, 1].
        told: the same in words.
        outside: outputs whose stamps lie outside of the recording's time; they are not drawn.
    """

    ticks: list[tuple[float, str]]
    lanes: list[Lane]
    curves: list[Curve]
    told: str
    outside: int


def ink(modality: str) -> str:
    """Name the colour of a sensor; unknown ones are grey."""
    return modality if modality in SENSOR_NAMES else "muted"


def over_time(bag: BagVerdict) -> OverTime:
    """Gather a recording's outputs into cells of time and lay them out."""
    drawn = sorted((row for row in bag.frames if 0 <= row.t_s <= bag.duration_s), key=lambda row: row.t_s)
    cells = _cells(drawn, bag.duration_s)
    x_of = _scale(bag.duration_s)
    modalities = list(dict.fromkeys([row.modality for row in bag.sensors] + [m for row in drawn for m in row.used]))
    conditions = list(dict.fromkeys(row.condition for row in drawn if row.condition))
    lanes = [Lane("Outputs", "good", _blocks(cells, x_of, lambda _: True, "outputs"))]
    for modality in modalities:
        told = f"{sensor(modality)} in"
        lanes.append(Lane(sensor(modality), ink(modality), _blocks(cells, x_of, partial(_used, modality), told)))
    faults: dict[str, list[tuple[float, float]]] = {}
    for fault in bag.faults:
        faults.setdefault(fault.name, []).extend(fault.spans_s)
    for name, spans in list(faults.items())[:MOST_FAULTS]:
        if spans:
            lanes.append(Lane(name.replace("_", " "), "bad", _spans(spans, x_of, name, bag.duration_s)))
    for name in conditions[:MOST_CONDITIONS]:
        blocks = _blocks(cells, x_of, partial(_under, name), name)
        lanes.append(Lane(name, "muted", [block for block in blocks if block.share]))
    return OverTime(
        ticks=[(100 * tick / (bag.duration_s or 1.0), clock(tick)) for tick in nice_ticks(bag.duration_s, 5)],
        lanes=lanes,
        curves=[curve for curve in (_curve(*one, cells, x_of) for one in _CURVES) if curve is not None],
        told=_told(drawn, modalities),
        outside=len(bag.frames) - len(drawn),
    )


def nice_ticks(ceiling: float, about: int) -> list[float]:
    """Choose round numbers from 0 up to the ceiling, about so many."""
    rough = max(ceiling, 1e-9) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= 0.999 * rough)
    return [round(index * step, 9) for index in range(int(ceiling / step + 1e-9) + 1)]


_CURVES: Final[tuple[tuple[str, str, Callable[[FrameRow], float | None]], ...]] = (
    ("mIoU per output", "link", lambda row: row.miou),
    ("Mean confidence (not accuracy)", "warn", lambda row: row.confidence),
    ("Labels changed since the last output (not accuracy)", "muted", lambda row: row.changed),
)


@dataclass(frozen=True)
class _Cell:
    """A stretch of time and the outputs that stand for it."""

    start_s: float
    end_s: float
    rows: list[FrameRow]


def _cells(rows: Sequence[FrameRow], duration_s: float) -> list[_Cell]:
    """Give a cell to each output, or where there are too many to each of MOST_CELLS equal parts that has any."""
    if len(rows) > MOST_CELLS:
        edges = np.linspace(0.0, duration_s, MOST_CELLS + 1)
        places = np.minimum(np.searchsorted(edges, [row.t_s for row in rows], "right") - 1, MOST_CELLS - 1)
        parts = groupby(zip(places, rows, strict=True), key=lambda pair: pair[0])
        return [_Cell(float(edges[k]), float(edges[k + 1]), [row for _, row in part]) for k, part in parts]
    moments = [row.t_s for row in rows]
    period = float(np.median(np.diff(moments))) if len(rows) > 1 else duration_s / 20
    longest = _SILENT_PERIODS * period
    ends = [*moments[1:], duration_s] if rows else []
    lengths = [end - start if end - start <= longest else period for start, end in zip(moments, ends, strict=True)]
    return [_Cell(row.t_s, min(row.t_s + length, duration_s), [row]) for row, length in zip(rows, lengths, strict=True)]


def _scale(duration_s: float) -> Callable[[float], float]:
    return lambda moment_s: WIDTH * moment_s / (duration_s or 1.0)


def _used(modality: str, row: FrameRow) -> bool:
    return modality in row.used


def _under(condition: str, row: FrameRow) -> bool:
    return row.condition == condition


def _runs(cells: Sequence[_Cell]) -> list[list[_Cell]]:
    """Part cells where a silence lies between them."""
    runs: list[list[_Cell]] = []
    for cell in cells:
        if runs and cell.start_s - runs[-1][-1].end_s < 1e-6:
            runs[-1].append(cell)
        else:
            runs.append([cell])
    return runs


def _blocks(
    cells: Sequence[_Cell], x_of: Callable[[float], float], counts: Callable[[FrameRow], bool], told: str
) -> list[Block]:
    """Join neighbouring cells of equal share, in quarters; where there is no output, there is no block."""
    blocks = []
    for run in _runs(cells):
        for share, group in groupby(run, key=lambda cell: _share(cell, counts)):
            part = list(group)
            start, end = part[0].start_s, part[-1].end_s
            rows = [row for cell in part for row in cell.rows]
            title = f"{told}: {sum(map(counts, rows))} of {count(len(rows), 'output')}, {clock(start)} to {clock(end)}"
            blocks.append(Block(x_of(start), x_of(end) - x_of(start), share, title))
    return blocks


def _spans(
    spans: Sequence[tuple[float, float]], x_of: Callable[[float], float], told: str, duration_s: float
) -> list[Block]:
    """Draw stretches of time; those that are next to each other, or too many to be told apart, are joined."""
    gap_s = duration_s / MOST_CELLS if len(spans) > MOST_CELLS else 0.0
    joined: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if joined and start - joined[-1][1] <= gap_s:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return [
        Block(x_of(start), x_of(end) - x_of(start), 1.0, f"{told}, {clock(start)} to {clock(end)}")
        for start, end in joined
    ]


def _share(cell: _Cell, counts: Callable[[FrameRow], bool]) -> float:
    return math.ceil(4 * sum(map(counts, cell.rows)) / len(cell.rows)) / 4


def _curve(
    name: str,
    colour: str,
    value: Callable[[FrameRow], float | None],
    cells: Sequence[_Cell],
    x_of: Callable[[float], float],
) -> Curve | None:
    """Draw a value's mean over each cell, and the band from its lowest to its highest; silences interrupt both."""
    lines, bands, everything = [], [], []
    for run in _runs(cells):
        found = [(cell, [y for y in map(value, cell.rows) if y is not None]) for cell in run]
        known = [(x_of((cell.start_s + cell.end_s) / 2), ys) for cell, ys in found if ys]
        if not known:
            continue
        if len(known) == 1:  # a line needs two ends
            (x, ys), half = known[0], x_of(run[0].end_s - run[0].start_s) / 3
            known = [(x - half, ys), (x + half, ys)]
        everything += [y for _, ys in known for y in ys]
        xs = [x for x, _ in known]
        lines.append(_path(xs, [float(np.mean(ys)) for _, ys in known]))
        high, low = ([pick(ys) for _, ys in known] for pick in (max, min))
        bands.append(_path(xs + xs[::-1], high + low[::-1]) + "Z")
    if not everything:
        return None
    told = f"{name}: mean {percent(float(np.mean(everything)))}, lowest {percent(min(everything))}"
    return Curve(name, colour, "".join(lines), "".join(bands), told)


def _path(xs: Sequence[float], values: Sequence[float]) -> str:
    dots = (f"{x:.1f} {HEIGHT * (1 - min(max(value, 0.0), 1.0)):.1f}" for x, value in zip(xs, values, strict=True))
    return "M" + "L".join(dots)


def _told(rows: Sequence[FrameRow], modalities: Sequence[str]) -> str:
    served = ", ".join(f"{sensor(m)} in {sum(m in row.used for row in rows)}" for m in modalities)
    return f"{count(len(rows), 'output')}; {served}." if rows else "No outputs."
