# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""The picture that says it all: which sensors lived, which of them served, and that output went on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from any2seg_sim.demo.charts import RIGHT_PX, ROOMY_PX, WIDE_PX, plate, plate_width, scale, ticks, time_axis
from any2seg_sim.demo.drawing import SENSOR_NAMES, Box, Dots, Drawing, Text, hatch
from any2seg_sim.demo.summary import silences

if TYPE_CHECKING:
    from collections.abc import Callable

    from any2seg_core.frames import Modality
    from any2seg_sim.demo.record import DemoRecord, Interval
    from any2seg_sim.demo.summary import DemoReport

MINI_LANE_PX = 24.0
"""Lanes lower than this carry no legend and no words inside."""


@dataclass(frozen=True)
class _Canvas:
    drawing: Drawing
    record: DemoRecord
    x_of: Callable[[float], float]
    lane: float
    roomy: bool

    @property
    def mini(self) -> bool:
        return self.lane < MINI_LANE_PX

    @property
    def tick_px(self) -> float:
        room = self.x_of(self.record.duration_s) - self.x_of(0.0)
        return min(max(0.5 * room / max(len(self.record.outputs), 1), 1.0), 2.5)


def timeline(record: DemoRecord, report: DemoReport, *, width: float = WIDE_PX, lane: float = 34.0) -> Drawing:
    """Draw a lane per sensor, pale while it lived, ticked where it served, hatched while dead, and one of outputs.

    Args:
        record: the run.
        report: its summary.
        width: of the drawing; a narrow one has shorter labels.
        lane: height of a lane.
    """
    left, _ = time_span(width, lane)
    mini, gap, top = lane < MINI_LANE_PX, 0.3 * lane, 8.0 if lane < MINI_LANE_PX else 44.0
    outputs_y = top + len(record.sensors) * (lane + gap) + (0 if mini else 10)
    bottom = outputs_y + lane + (6 if mini else 30)
    drawing = Drawing(width, bottom + 24, "Sensors and outputs over time", _story(record, report))
    x_of = scale(0.0, record.duration_s, left, width - RIGHT_PX)
    canvas = _Canvas(drawing, record, x_of, lane, width >= ROOMY_PX)
    if not mini:
        _legend(canvas)
    time_axis(drawing, x_of, record.duration_s, top - 5, bottom, about=10 if canvas.roomy else 4)
    for row, modality in enumerate(record.sensors):
        _sensor_lane(canvas, modality, top + row * (lane + gap))
    _output_lane(canvas, outputs_y)
    return drawing


def time_span(width: float, lane: float = 34.0) -> Interval:
    """Tell between which x the timeline's seconds lie, for a playhead laid over it."""
    return (112.0 if width >= ROOMY_PX and lane >= MINI_LANE_PX else 84.0), width - RIGHT_PX


def runs_of_anchors(record: DemoRecord) -> list[tuple[Modality, float, float]]:
    """Tell which sensor stamped the outputs from when to when; silences longer than the limit lie between runs."""
    runs: list[tuple[Modality, float, float]] = []
    for output in record.outputs:
        if runs and output.received_s - runs[-1][2] <= record.silence_limit_s:
            runs[-1] = (*runs[-1][:2], output.received_s)
            if runs[-1][0] is output.anchor:
                continue
        runs.append((output.anchor, output.received_s, output.received_s))
    return runs


def _story(record: DemoRecord, report: DemoReport) -> str:
    deaths = [
        f"{SENSOR_NAMES[modality]} dead from {start:.1f} to {end:.1f} s"
        for modality in record.sensors
        for start, end in record.dead_intervals(modality)
    ]
    told = "; ".join(deaths) or "Every sensor lived throughout"
    served = ", ".join(f"{count} from {key}" for key, count in report.outputs_by_modalities.items()) or "none"
    return f"{told}. Outputs: {served}. Longest silence {report.silent_gaps_s:.2f} s."


def _legend(canvas: _Canvas) -> None:
    words = ("sensor alive", "served an output", "sensor dead") if canvas.roomy else ("alive", "served", "dead")
    x, y, width, height = 4.0, 6.0, 24.0, 13.0
    for word in words:
        canvas.drawing.add(Box(x, y, width, height, "muted", opacity=0.22, radius=3))
        if word == words[1]:
            canvas.drawing.add(ticks([x + step for step in (5, 10, 15, 20)], y + 2, height - 4, "muted", 2))
        if word == words[2]:
            dead = Box(x, y, width, height, "bad-soft", "bad", 3)
            canvas.drawing.add(dead, hatch(x, y, width, height, "bad", step=6))
        canvas.drawing.add(Text(x + width + 7, y + 10.5, word, 11.5, "muted"))
        x += width + 28 + 6.0 * len(word)


def _sensor_lane(canvas: _Canvas, modality: Modality, y: float) -> None:
    drawing, record, x_of, lane = canvas.drawing, canvas.record, canvas.x_of, canvas.lane
    ink, name, middle = modality.value, SENSOR_NAMES[modality], y + lane / 2
    drawing.add(Dots(((9, middle),), ink, min(5.0, 0.25 * lane)))
    drawing.add(Text(20, middle + 4.5, name, min(13.5, 0.72 * lane), bold=True))
    for start, end in record.alive.get(modality, ()):
        told = f"{name} alive {start:.1f} to {end:.1f} s"
        drawing.add(Box(x_of(start), y, x_of(end) - x_of(start), lane, ink, radius=4, opacity=0.2, title=told))
    served = [x_of(output.received_s) for output in record.outputs if modality in output.used]
    drawing.add(ticks(served, y + 0.2 * lane, 0.6 * lane, ink, canvas.tick_px))
    for start, end in record.dead_intervals(modality):
        x, width = x_of(start), x_of(end) - x_of(start)
        what = _what_happened(record, modality, start, end)
        told = f"{name} dead {start:.1f} to {end:.1f} s: {what}"
        drawing.add(Box(x, y, width, lane, "bad-soft", "bad", 4, title=told), hatch(x, y, width, lane, "bad"))
        if not canvas.mini:
            _plate_that_fits(drawing, (x, x + width), middle, (what, "dead"), "bad")
    for fault in record.faults:
        x, width = x_of(fault.start_s), x_of(fault.end_s) - x_of(fault.start_s)
        if fault.modality is modality and record.alive_at(modality, (fault.start_s + fault.end_s) / 2):
            drawing.add(Box(x, y, width, lane, None, "warn", 4, title=f"{name}: {fault.what}"))
            if not canvas.mini:
                _plate_that_fits(drawing, (x, x + width), middle, (fault.what, "fault"), "warn")


def _plate_that_fits(drawing: Drawing, span: Interval, y: float, words: tuple[str, ...], ink: str) -> None:
    fitting = next((text for text in words if plate_width(text) <= span[1] - span[0] - 4), None)
    if fitting:
        plate(drawing, sum(span) / 2, y, fitting, ink)


def _what_happened(record: DemoRecord, modality: Modality, start: float, end: float) -> str:
    faults = [f for f in record.faults if f.modality is modality and f.start_s < end and f.end_s > start]
    return ", ".join(dict.fromkeys(fault.what for fault in faults)) or "dead"


def _output_lane(canvas: _Canvas, y: float) -> None:
    drawing, record, x_of, lane = canvas.drawing, canvas.record, canvas.x_of, canvas.lane
    name = "Labels out" if canvas.roomy or canvas.mini else "Labels"
    drawing.add(Text(4, y + lane / 2 + 4.5, name, min(13.5, 0.72 * lane), bold=True))
    for start, end, silent in _stretches(record):
        x, width = x_of(start), x_of(end) - x_of(start)
        told = f"{'no output' if silent else 'output'} {start:.1f} to {end:.1f} s"
        drawing.add(Box(x, y, width, lane, "bad-soft" if silent else "good-soft", title=told))
        if silent:
            drawing.add(hatch(x, y, width, lane, "bad", step=5))
        if silent and not canvas.mini:
            _plate_that_fits(drawing, (x, x + width), y + lane / 2, ("no output", "none"), "bad")
    for anchor in dict.fromkeys(output.anchor for output in record.outputs):
        stamped = [x_of(output.received_s) for output in record.outputs if output.anchor is anchor]
        drawing.add(ticks(stamped, y, lane, anchor.value, canvas.tick_px))
    for anchor, start, end in () if canvas.mini else runs_of_anchors(record):
        room = x_of(end) - x_of(start)
        drawing.add(Box(x_of(start), y + lane + 3, max(room - 2, 1.5), 4, anchor.value))
        words = (f"stamped by {SENSOR_NAMES[anchor]}", SENSOR_NAMES[anchor])
        fitting = next((text for text in words if 5.8 * len(text) < room), "")
        drawing.add(Text(x_of(start) + room / 2, y + lane + 20, fitting, 11, "muted", "middle"))


def _stretches(record: DemoRecord) -> list[tuple[float, float, bool]]:
    """Join the waits for outputs into stretches (start, end, whether silent for longer than the limit)."""
    stretches: list[tuple[float, float, bool]] = []
    for start, end in silences(record):
        silent = end - start > record.silence_limit_s
        if stretches and stretches[-1][1:] == (start, silent):
            stretches[-1] = (stretches[-1][0], end, silent)
        else:
            stretches.append((start, end, silent))
    return stretches
