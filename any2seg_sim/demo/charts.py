# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What the charts of the demo's report share, and the chart of latencies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from any2seg_ros.replay.show.charts import nice_ticks
from any2seg_sim.demo.drawing import SENSOR_NAMES, Box, Dots, Drawing, Strokes, Text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from any2seg_sim.demo.record import DemoRecord
    from any2seg_sim.demo.summary import DemoReport

WIDE_PX: Final = 960.0
NARROW_PX: Final = 340.0
ROOMY_PX: Final = 700.0
"""A chart at least so wide has room for long labels."""
RIGHT_PX: Final = 18.0
_LABEL_PX: Final = 14.0


def latency_chart(record: DemoRecord, report: DemoReport, *, width: float = WIDE_PX) -> Drawing:
    """Draw every output's latency over time, coloured by its anchor, with the median and the 95th percentile."""
    left, right, top, bottom = 62.0, width - 72.0, 38.0, 214.0
    p50, p95 = report.latency_ms.p50, report.latency_ms.p95
    told = "No outputs." if p50 is None or p95 is None else f"Half within {p50:.0f} ms, 95 % within {p95:.0f} ms."
    drawing = Drawing(width, bottom + 26, "Latency of each output", told)
    ceiling = 1.15 * max([output.latency_ms for output in record.outputs], default=1.0)
    x_of = scale(0.0, record.duration_s, left, right)
    y_of = scale(0.0, ceiling, bottom, top)
    ticks = nice_ticks(ceiling, 4)
    drawing.add(Strokes(tuple((left, y_of(tick), right, y_of(tick)) for tick in ticks), "line"))
    drawing.add(*(Text(left - 8, y_of(tick) + 4, f"{tick:g} ms", 11, "muted", "end") for tick in ticks))
    time_axis(drawing, x_of, record.duration_s, top, bottom, about=10 if width >= ROOMY_PX else 4)
    x = 4.0
    for anchor in dict.fromkeys(output.anchor for output in record.outputs):
        points = tuple((x_of(o.received_s), y_of(o.latency_ms)) for o in record.outputs if o.anchor is anchor)
        drawing.add(Dots(points, anchor.value, 2.5), Dots(((x + 5, 13),), anchor.value, 4.5))
        drawing.add(Text(x + 15, 17, SENSOR_NAMES[anchor], 11.5, "muted"))
        x += 32 + 6.2 * len(SENSOR_NAMES[anchor])
    label_y = bottom + _LABEL_PX
    for name, value in (("p50", p50), ("p95", p95)):
        if value is not None:
            label_y = min(y_of(value), label_y - _LABEL_PX)
            drawing.add(Strokes(((left, y_of(value), right, y_of(value)),), "ink", 1.25, 0.8))
            drawing.add(Text(right + 5, label_y + 4, f"{name} {value:.0f} ms", 11, "ink", bold=True))
    return drawing


def scale(low: float, high: float, start: float, end: float) -> Callable[[float], float]:
    """Map low..high to start..end, holding what lies outside at the ends."""
    span = high - low or 1.0
    return lambda value: start + (min(max(value, low), high) - low) / span * (end - start)


def time_axis(
    drawing: Drawing, x_of: Callable[[float], float], duration_s: float, top: float, bottom: float, *, about: int
) -> None:
    """Draw upright lines at round seconds, with their labels below."""
    moments = nice_ticks(duration_s, about)
    drawing.add(Strokes(tuple((x_of(moment), top, x_of(moment), bottom) for moment in moments), "line"))
    drawing.add(*(Text(x_of(moment), bottom + 15, f"{moment:g} s", 11, "muted", "middle") for moment in moments))


def ticks(xs: Sequence[float], y: float, height: float, ink: str, width: float) -> Strokes:
    """Draw an upright tick at each x."""
    return Strokes(tuple((x, y, x, y + height) for x in xs), ink, width)


def plate_width(text: str) -> float:
    """Tell how wide a plate is, reckoned for wide fonts."""
    return 7.2 * len(text) + 14


def plate(drawing: Drawing, x: float, y: float, text: str, ink: str) -> None:
    """Write text on a small plate around (x, y)."""
    width = plate_width(text)
    drawing.add(Box(x - width / 2, y - 9, width, 18, "card", ink, 9))
    drawing.add(Text(x, y + 4.2, text, 11.5, ink, "middle", bold=True))
