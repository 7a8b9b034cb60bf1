# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Windows of events drawn as three-channel images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from any2seg_core.errors import ConfigError, FrameError
from any2seg_core.projection.kernels import blank, compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from any2seg_core.frames import Events


class Columns(NamedTuple):
    """Events of one window, none off the sensor: x, y (N,) uint16, polarity (N,) uint8, t_ns (N,) int64."""

    x: NDArray[np.uint16]
    y: NDArray[np.uint16]
    polarity: NDArray[np.uint8]
    t_ns: NDArray[np.int64]


class Window(NamedTuple):
    """Start (exclusive) and end (inclusive) in nanoseconds, and the events per pixel whose code is 1."""

    start_ns: int
    end_ns: int
    max_count: float


@compiled
def _histogram(events: Columns, window: Window, planes: NDArray[np.float32]) -> None:
    """Count events per polarity and note how recent the last one is."""
    x, y, polarity, t_ns = events
    for i in range(len(x)):
        row, column = y[i], x[i]
        planes[0 if polarity[i] else 1, row, column] += 1.0
        planes[2, row, column] = (t_ns[i] - window.start_ns) / (window.end_ns - window.start_ns)
    for channel in range(2):
        for row in range(planes.shape[1]):
            for column in range(planes.shape[2]):
                planes[channel, row, column] = min(planes[channel, row, column] / window.max_count, 1.0)


@compiled
def _polarity(events: Columns, _window: Window, planes: NDArray[np.float32]) -> None:
    """Paint each pixel in the colour of its last event."""
    x, y, polarity, _ = events
    for i in range(len(x)):
        row, column = y[i], x[i]
        planes[0, row, column] = 0.0 if polarity[i] else 1.0
        planes[2, row, column] = 1.0 if polarity[i] else 0.0


@compiled
def _voxel(events: Columns, window: Window, planes: NDArray[np.float32]) -> None:
    """Share each signed event among the two bins beside its time."""
    bins = planes.shape[0]
    x, y, polarity, t_ns = events
    for i in range(len(x)):
        row, column = y[i], x[i]
        place = (t_ns[i] - window.start_ns) / (window.end_ns - window.start_ns) * (bins - 1)
        lower = min(int(place), bins - 2)  # an event at the very end belongs to the last bin alone, as upper one
        sign = 1.0 if polarity[i] else -1.0
        planes[lower, row, column] += sign * (lower + 1 - place)
        planes[lower + 1, row, column] += sign * (place - lower)
    for channel in range(bins):
        for row in range(planes.shape[1]):
            for column in range(planes.shape[2]):
                planes[channel, row, column] = max(min(planes[channel, row, column] / window.max_count, 1.0), -1.0)


_REPRESENTATIONS: Final = {"histogram": _histogram, "polarity": _polarity, "voxel": _voxel}


def event_stack(
    events: Events,
    *,
    representation: str = "histogram",
    start_ns: int,
    end_ns: int,
    max_count: int = 5,
    out: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Draw the events of the window (start_ns, end_ns]; others are left out.

    "histogram": number of positive and of negative events, each divided by max_count and clipped to 1, and
    recency of the pixel's last event, (t - start_ns) / (end_ns - start_ns). "polarity": in the manner of
    CARLA's DVS pictures, blue (channel 2) is 1 where the last event was positive, red (channel 0) where it was
    negative. "voxel": three bins centred on the start, middle and end of the window; an event adds +1 or -1,
    shared linearly in time among the two nearest; divided by max_count and clipped to [-1, 1].

    Args:
        events: packet in order of time.
        representation: "histogram", "polarity" or "voxel".
        start_ns: start of the window, exclusive, nanoseconds.
        end_ns: end of the window, inclusive, nanoseconds.
        max_count: events per pixel whose code is 1; "polarity" ignores it.
        out: (H, W, 3) float32 zeros of any layout to draw into, instead of an array of its own.

    Returns:
        (H, W, 3) float32 of the sensor's size, in [0, 1] ("voxel": [-1, 1]); zero where no event is. In memory, unless
        out has it otherwise, one channel follows the other.

    Raises:
        ConfigError: unknown representation, or max_count below 1.
        FrameError: the window ends before it starts, or events lie outside the sensor.
    """
    if representation not in _REPRESENTATIONS or max_count < 1:
        msg = (
            f"event stack: found representation {representation!r} and max_count {max_count}, expected one of "
            f"{', '.join(_REPRESENTATIONS)} and at least 1; fix the settings"
        )
        raise ConfigError(msg)
    if end_ns < start_ns:
        msg = f"event stack: found a window from {start_ns} to {end_ns} ns, expected start before end; swap them"
        raise FrameError(msg)
    part = events.between(start_ns, end_ns)
    planes = _planes(out, events.height, events.width)
    if not len(part):
        return planes.transpose(1, 2, 0)
    columns = Columns(
        np.require(part.x, np.uint16, ["C", "W"]),
        np.require(part.y, np.uint16, ["C", "W"]),
        np.require(part.polarity, np.uint8, ["C", "W"]),
        np.require(part.t_ns, np.int64, ["C", "W"]),
    )
    # The compiled loops write without looking at bounds.
    off = np.count_nonzero((columns.x >= events.width) | (columns.y >= events.height))
    if off:
        msg = (
            f"event stack: found {off} of {len(part)} events outside the {events.width}x{events.height} sensor, "
            "expected none; check the sensor size in the message or the settings"
        )
        raise FrameError(msg)
    _REPRESENTATIONS[representation](columns, Window(int(start_ns), int(end_ns), float(max_count)), planes)
    return planes.transpose(1, 2, 0)


def _planes(out: NDArray[np.float32] | None, height: int, width: int) -> NDArray[np.float32]:
    """Give zeros (3, H, W) to draw into: each channel by itself in memory, as models take it."""
    if out is None:
        return np.zeros((3, height, width), np.float32)
    return blank(out, (height, width)).transpose(2, 0, 1)
