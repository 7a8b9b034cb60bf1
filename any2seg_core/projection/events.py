# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Windows of events drawn as three-channel images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from any2seg_core.errors import ConfigError, FrameError
from any2seg_core.projection.kernels import compiled

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
def _histogram(events: Columns, window: Window, image: NDArray[np.float32]) -> None:
    """Count events per polarity and note how recent the last one is."""
    for i in range(len(events.x)):
        row, column = events.y[i], events.x[i]
        image[row, column, 0 if events.polarity[i] else 1] += 1.0
        image[row, column, 2] = (events.t_ns[i] - window.start_ns) / (window.end_ns - window.start_ns)
    for row in range(image.shape[0]):
        for column in range(image.shape[1]):
            for channel in range(2):
                image[row, column, channel] = min(image[row, column, channel] / window.max_count, 1.0)


@compiled
def _polarity(events: Columns, _window: Window, image: NDArray[np.float32]) -> None:
    """Paint each pixel in the colour of its last event."""
    for i in range(len(events.x)):
        row, column = events.y[i], events.x[i]
        image[row, column, 0] = 0.0 if events.polarity[i] else 1.0
        image[row, column, 2] = 1.0 if events.polarity[i] else 0.0


@compiled
def _voxel(events: Columns, window: Window, image: NDArray[np.float32]) -> None:
    """Share each signed event among the two bins beside its time."""
    bins = image.shape[2]
    for i in range(len(events.x)):
        row, column = events.y[i], events.x[i]
        place = (events.t_ns[i] - window.start_ns) / (window.end_ns - window.start_ns) * (bins - 1)
        lower = min(int(place), bins - 2)  # an event at the very end belongs to the last bin alone, as upper one
        sign = 1.0 if events.polarity[i] else -1.0
        image[row, column, lower] += sign * (lower + 1 - place)
        image[row, column, lower + 1] += sign * (place - lower)
    for row in range(image.shape[0]):
        for column in range(image.shape[1]):
            for channel in range(bins):
                image[row, column, channel] = max(min(image[row, column, channel] / window.max_count, 1.0), -1.0)


_REPRESENTATIONS: Final = {"histogram": _histogram, "polarity": _polarity, "voxel": _voxel}


def event_stack(
    events: Events, *, representation: str = "histogram", start_ns: int, end_ns: int, max_count: int = 5
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

    Returns:
        (H, W, 3) float32 of the sensor's size, in [0, 1] ("voxel": [-1, 1]); zero where no event is.

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
    image = np.zeros((events.height, events.width, 3), np.float32)
    if not len(part):
        return image
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
    _REPRESENTATIONS[representation](columns, Window(int(start_ns), int(end_ns), float(max_count)), image)
    return image
