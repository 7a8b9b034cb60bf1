# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""A whole drive: rendered in slices by as many processes as asked for, read out by the sensors in order of time.

Rendering depends on nothing but the settings and the moment, so slices can be made anywhere. The event camera
has a memory, so it runs over the finished film in the calling process. Hence equal settings give equal bytes,
whatever the number of workers.
"""

from __future__ import annotations

import functools
import itertools
import multiprocessing
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np
from tqdm import tqdm

from any2seg_core.errors import Any2SegError, ConfigError
from any2seg_core.frames import Events, Modality, SensorFrame
from any2seg_sim.renderer import Renderer
from any2seg_sim.rig import FRAME_IDS, Rig
from any2seg_sim.scene import Scene, build_scene
from any2seg_sim.sensors import camera, depth, lidar
from any2seg_sim.sensors.events import EVENT_SPREAD, EventCamera

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from any2seg_sim.sensors.lidar import Sweep
    from any2seg_sim.settings import DriveSettings

_SCENE, _CAMERA_NOISE, _DEPTH_NOISE, _LIDAR_NOISE, _EVENT_NOISE = range(5)


class RenderError(Any2SegError, RuntimeError):
    """A rendering process ended before its work was done."""


@dataclass(frozen=True, eq=False)
class Reading:
    """One measurement and what is exactly known about it.

    Attributes:
        frame: the measurement; its end_ns is when it is complete and could arrive.
        labels: exact class of every pixel (H, W) of a colour image or point (N,) of a sweep, else None.
        rings: (N,) uint16 ring of every point of a sweep, else None.
    """

    frame: SensorFrame
    labels: NDArray[np.uint8] | None = None
    rings: NDArray[np.uint16] | None = None

    def shifted(self, by_ns: int) -> Reading:
        """Give the same reading taken by_ns nanoseconds later."""
        frame, data = self.frame, self.frame.data
        if isinstance(data, Events):
            data = replace(data, t_ns=data.t_ns + by_ns)
        frame = replace(frame, data=data, stamp_ns=frame.stamp_ns + by_ns, end_ns=frame.end_ns + by_ns)
        return replace(self, frame=frame)


@dataclass(frozen=True, eq=False)
class _Slice:
    """What happens in the time up to one camera image: sub-frames' brightness, the image, LiDAR sweeps."""

    film: list[tuple[int, NDArray[np.float32]]]
    stamp_ns: int
    image: NDArray[np.uint8]
    depth: NDArray[np.float32]
    labels: NDArray[np.uint8]
    sweeps: list[tuple[int, Sweep]]


def scene_of(settings: DriveSettings) -> Scene:
    """Build the scene that a drive goes through, or take the one that the last such drive went through."""
    return _scene(settings.seed, settings.images / settings.rate_hz, settings.speed_mps)


@functools.lru_cache(maxsize=1)
def _scene(seed: int, duration_s: float, speed_mps: float) -> Scene:
    return build_scene(np.random.default_rng([seed, _SCENE]), duration_s=duration_s, speed_mps=speed_mps)


class SliceRenderer:
    """Render slices of one drive."""

    def __init__(self, settings: DriveSettings) -> None:
        self._settings = settings
        self._rig = Rig.of(settings)
        self._scene = scene_of(settings)
        self._renderer = Renderer(self._scene, samples=settings.samples)

    def _noise(self, stream: int, index: int) -> np.random.Generator | None:
        return np.random.default_rng([self._settings.seed, stream, index]) if self._settings.noise else None

    def _look(self, stamp_ns: int) -> NDArray[np.float64]:
        """Put the movers where they are at a stamp and give the pose of base_link in the street."""
        t_s = self._settings.seconds(stamp_ns)
        self._renderer.set_time(t_s)
        return self._scene.drive.pose(t_s)

    def slice(self, index: int) -> _Slice:
        """Render the slice that ends with camera image `index`, counted from 1; the first one starts the film."""
        settings, view, renderer = self._settings, self._rig.camera, self._renderer
        ticks = range((index - 1) * settings.subframes + (index > 1), index * settings.subframes + 1)
        film = []
        for tick in ticks:
            stamp_ns = settings.tick_ns(tick)
            pose = self._look(stamp_ns) @ self._rig.camera_in_base
            radiance = renderer.radiance(view, pose)
            film.append((stamp_ns, camera.luminance(radiance)))
        exact, labels = renderer.truth(view, pose)
        image = camera.expose(radiance, noise=self._noise(_CAMERA_NOISE, index))
        measured = depth.measure(exact, noise=self._noise(_DEPTH_NOISE, index))
        return _Slice(film, stamp_ns, image, measured, labels, self._sweeps(index))

    def _sweeps(self, index: int) -> list[tuple[int, Sweep]]:
        settings, found = self._settings, []
        after = settings.tick_ns((index - 1) * settings.subframes)
        until = settings.tick_ns(index * settings.subframes)
        for number in range(1, settings.sweeps + 1):
            stamp_ns = settings.sweep_ns(number)
            if after < stamp_ns <= until:
                pose = self._look(stamp_ns) @ self._rig.lidar_in_base
                size = {"rings": settings.lidar_rings, "columns": settings.lidar_columns}
                found.append(
                    (stamp_ns, lidar.sweep(self._renderer, pose, **size, noise=self._noise(_LIDAR_NOISE, number)))
                )
        return found


class _Worker:
    """Holds the renderer of a rendering process, which is built once per process."""

    renderer: SliceRenderer

    @classmethod
    def start(cls, settings: DriveSettings) -> None:
        cls.renderer = SliceRenderer(settings)

    @classmethod
    def run(cls, index: int) -> _Slice:
        return cls.renderer.slice(index)


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
    rng = np.random.default_rng([settings.seed, _EVENT_NOISE])
    events = EventCamera(threshold=settings.event_threshold, rng=rng, spread=EVENT_SPREAD if settings.noise else 0.0)
    slices = _in_process(settings) if workers == 1 else _in_processes(settings, workers)
    for part in tqdm(slices, total=settings.images, desc="drive", unit="image", disable=not progress):
        yield from sorted(_read_out(part, events), key=lambda reading: reading.frame.end_ns)


def _in_process(settings: DriveSettings) -> Iterator[_Slice]:
    renderer = SliceRenderer(settings)
    yield from map(renderer.slice, range(1, settings.images + 1))


_AHEAD: Final = 3
"""Slices in flight per worker: enough to keep all busy, few enough to bound the memory."""


def _in_processes(settings: DriveSettings, workers: int) -> Iterator[_Slice]:
    workers = min(workers, settings.images)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _Worker.start, (settings,)) as pool:
        indices = iter(range(1, settings.images + 1))
        waiting = deque(pool.submit(_Worker.run, index) for index in itertools.islice(indices, _AHEAD * workers))
        try:
            while waiting:
                yield waiting.popleft().result()
                waiting.extend(pool.submit(_Worker.run, index) for index in itertools.islice(indices, 1))
        except BrokenProcessPool as error:
            msg = f"render drive: found a rendering process dead ({error}); free memory or ask for fewer workers"
            raise RenderError(msg) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _read_out(part: _Slice, events: EventCamera) -> Iterator[Reading]:
    for stamp_ns, swept in part.sweeps:
        frame = SensorFrame(Modality.LIDAR, stamp_ns, FRAME_IDS[Modality.LIDAR], swept.points)
        yield Reading(frame, swept.labels, swept.rings)
    for stamp_ns, brightness in part.film:
        seen = events.see(brightness, stamp_ns)
        if stamp_ns != events.began_ns:
            yield Reading(_event_frame(seen, stamp_ns))
    yield Reading(SensorFrame(Modality.DEPTH, part.stamp_ns, FRAME_IDS[Modality.DEPTH], part.depth))
    yield Reading(SensorFrame(Modality.RGB, part.stamp_ns, FRAME_IDS[Modality.RGB], part.image), part.labels)


def _event_frame(seen: Events, stamp_ns: int) -> SensorFrame:
    """Stamp a packet as drivers do: with its first event's time."""
    first_ns = int(seen.t_ns[0]) if len(seen) else stamp_ns
    return SensorFrame(Modality.EVENT, first_ns, FRAME_IDS[Modality.EVENT], seen, end_ns=stamp_ns)
