# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Whole drives in order of time, and single moments.

A drive is rendered in slices by as many processes as asked for, which depend on nothing but the settings and their
times. The event camera has a memory, so it runs over the finished film in the calling process. Hence equal settings
give equal bytes, whatever the number of workers. Moments have no memory at all.
"""

from __future__ import annotations

import itertools
from collections import deque
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tqdm import tqdm

from any2seg_core.errors import Any2SegError, ConfigError
from any2seg_core.frames import Events, Modality
from any2seg_sim.processes import rendering_pool
from any2seg_sim.readings import Moment, Reading
from any2seg_sim.rig import Rig
from any2seg_sim.suite import SensorSuite, Stamps, event_camera

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from any2seg_sim.sensors.events import EventCamera
    from any2seg_sim.settings import DriveSettings

__all__ = ["Moment", "Reading", "RenderError", "SliceRenderer", "render_drive", "render_moments"]

_AHEAD: Final = 3
"""Slices in flight per worker: enough to keep all busy, few enough to bound the memory."""
_ORDER: Final = (Modality.LIDAR, Modality.EVENT, Modality.DEPTH, Modality.RGB)


class RenderError(Any2SegError, RuntimeError):
    """A rendering process ended before its work was done."""


def render_moments(settings: DriveSettings, times_s: Sequence[float]) -> Iterator[Moment]:
    """Render single moments of a drive, each as if it were the only one.

    The event camera has been running before each window, so its pixels stand anywhere between their thresholds.

    Args:
        settings: the drive; rates mean nothing here, but for the duration of a rolling sweep.
        times_s: seconds since the start of the drive, in any order.

    Raises:
        ConfigError: a time is outside the drive, or too early for a whole window of events or sweep.
    """
    first_s = max(settings.event_window_s, 1.0 / settings.lidar_rate_hz if settings.lidar_rolling else 0.0)
    last_s = settings.seconds(settings.end_ns)
    wrong = [t_s for t_s in times_s if not first_s - 1e-9 <= t_s <= last_s + 1e-9]
    if wrong:
        msg = (
            f"moments: found times {', '.join(f'{t_s:g}' for t_s in wrong)} s, expected {first_s:g} to {last_s:g} s, "
            "from the first whole window to the end of the drive; choose others or a longer duration_s"
        )
        raise ConfigError(msg)
    return _moments(settings, times_s)


def _moments(settings: DriveSettings, times_s: Sequence[float]) -> Iterator[Moment]:
    suite = SensorSuite(settings)
    for t_s in times_s:
        yield _moment(suite, float(t_s))


def _moment(suite: SensorSuite, t_s: float) -> Moment:
    settings = suite.settings
    stamp_ns = settings.start_ns + round(t_s * 1e9)
    window_ns, parts = round(settings.event_window_s * 1e9), settings.subframes
    stamps = [stamp_ns - window_ns + round(window_ns * part / parts) for part in range(parts + 1)]
    eye = event_camera(settings, stamps[0], running=True)
    seen = Events.concatenate([eye.see(suite.film(stamp), stamp) for stamp in stamps])
    # The depth sensor looks right after the film's last image, whose light it may share.
    depth = suite.depth(stamp_ns)
    return Moment(
        t_s, stamp_ns, suite.image(stamp_ns), depth, suite.stamps.events(seen, stamp_ns), suite.sweep(stamp_ns)
    )


@dataclass(frozen=True, eq=False)
class _Slice:
    """What happens in the time up to one camera image.

    Attributes:
        film: stamps and images of the event camera's sub-frames.
        readings: what the other sensors give.
        until_ns: true time at which the slice ends.
    """

    film: list[tuple[int, NDArray[np.float32]]]
    readings: list[Reading]
    until_ns: int


class SliceRenderer:
    """Render slices of one drive."""

    def __init__(self, settings: DriveSettings) -> None:
        self._settings, self._suite = settings, SensorSuite(settings)

    def slice(self, index: int) -> _Slice:
        """Render the slice that ends with camera image `index`, counted from 1; the first one starts the film."""
        settings, suite = self._settings, self._suite
        ticks = range((index - 1) * settings.subframes + (index > 1), index * settings.subframes + 1)
        film = [(stamp_ns, suite.film(stamp_ns)) for stamp_ns in map(settings.tick_ns, ticks)]
        after_ns, until_ns = settings.image_ns(index - 1), settings.image_ns(index)
        depth_hz = settings.depth_rate_hz
        depths = settings.due_ns(depth_hz, after_ns, until_ns) if depth_hz > 0 else [until_ns]
        # From the latest to the earliest: the last ones may share the light of the film's last image.
        readings = [suite.depth(stamp_ns) for stamp_ns in reversed(depths)]
        readings.append(suite.image(until_ns))
        readings += [suite.sweep(stamp_ns) for stamp_ns in settings.due_ns(settings.lidar_rate_hz, after_ns, until_ns)]
        return _Slice(film, readings, until_ns)


def render_drive(settings: DriveSettings, *, workers: int = 1, progress: bool = False) -> Iterator[Reading]:
    """Render a drive and yield its readings in the order in which they would arrive.

    At equal times LiDAR comes first, then events, depth and colour.

    Args:
        settings: the drive.
        workers: rendering processes; 1 renders in the calling process. Processes are spawned, so a script that
            asks for more needs the usual `if __name__ == "__main__"` guard.
        progress: show a progress bar on stderr.

    Raises:
        ConfigError: workers is not positive.
        RenderError: a rendering process was killed.
    """
    if workers < 1:
        msg = f"render drive: found {workers} workers, expected at least 1"
        raise ConfigError(msg)
    return _readings(settings, workers, progress=progress)


def _readings(settings: DriveSettings, workers: int, *, progress: bool) -> Iterator[Reading]:
    stamps, eye = Stamps(settings, Rig.of(settings)), event_camera(settings, settings.start_ns, running=False)
    slices = _in_process(settings) if workers == 1 else _in_processes(settings, workers)
    waiting: list[Reading] = []
    for part in tqdm(slices, total=settings.images, desc="drive", unit="image", disable=not progress):
        waiting = sorted([*waiting, *part.readings, *_events(part, eye, stamps)], key=_arrival)
        # A long exposure is complete after its stamp only: what the next slice brings may come before it.
        ready = sum(reading.ready_ns <= part.until_ns for reading in waiting)
        yield from waiting[:ready]
        waiting = waiting[ready:]
    yield from waiting


def _arrival(reading: Reading) -> tuple[int, int]:
    return reading.ready_ns, _ORDER.index(reading.frame.modality)


def _events(part: _Slice, eye: EventCamera, stamps: Stamps) -> Iterator[Reading]:
    for stamp_ns, brightness in part.film:
        seen = eye.see(brightness, stamp_ns)
        if stamp_ns != eye.began_ns:
            yield stamps.events(seen, stamp_ns)


def _in_process(settings: DriveSettings) -> Iterator[_Slice]:
    renderer = SliceRenderer(settings)
    yield from map(renderer.slice, range(1, settings.images + 1))


class _Worker:
    """Holds the renderer of a rendering process, which is built once per process."""

    renderer: SliceRenderer

    @classmethod
    def start(cls, settings: DriveSettings) -> None:
        cls.renderer = SliceRenderer(settings)

    @classmethod
    def run(cls, index: int) -> _Slice:
        return cls.renderer.slice(index)


def _in_processes(settings: DriveSettings, workers: int) -> Iterator[_Slice]:
    workers = min(workers, settings.images)
    with rendering_pool(workers, _Worker.start, settings) as pool:
        indices = iter(range(1, settings.images + 1))
        waiting = deque(pool.submit(_Worker.run, index) for index in itertools.islice(indices, _AHEAD * workers))
        try:
            while waiting:
                yield waiting.popleft().result()
                waiting.extend(pool.submit(_Worker.run, index) for index in itertools.islice(indices, 1))
        except BrokenProcessPool as error:
            msg = f"render drive: found a rendering process dead ({error}); free memory or ask for fewer workers"
            raise RenderError(msg) from error
