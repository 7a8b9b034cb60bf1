# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""Renders scenes into a folder, in as many processes as asked for; a killed run goes on where it stopped.

A file is there whole or not at all, the exact classes of a frame are written last, and what is in a file depends on
the recipe and the scene alone: so a data set has the same bytes however often it was interrupted, and by however many
processes it was made.
"""

from __future__ import annotations

import io
import zipfile
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, cast

import cv2
import numpy as np
from tqdm import tqdm

from any2seg_core.errors import ConfigError
from any2seg_core.frames import Modality
from any2seg_core.preprocess import Preprocessor
from any2seg_sim.dataset.layout import KINDS, RAW
from any2seg_sim.dataset.recipe import claim
from any2seg_sim.processes import rendering_pool
from any2seg_sim.rig import Rig
from any2seg_sim.sensors.depth import to_millimetres
from any2seg_sim.simulation import RenderError, render_moments

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from any2seg_core.frames import Events, Points, SensorFrame
    from any2seg_sim.dataset.layout import ScenePlan
    from any2seg_sim.dataset.recipe import Recipe
    from any2seg_sim.simulation import Moment

_UNFINISHED: Final = ".unfinished"
_PNG: Final = [cv2.IMWRITE_PNG_COMPRESSION, 4]


def write_dataset(
    root: Path, recipe: Recipe, scenes: Sequence[ScenePlan], *, workers: int = 1, progress: bool = False
) -> int:
    """Render scenes into a folder; frames that are there already stay.

    Args:
        root: new or empty folder, or one that holds a data set of the same recipe.
        recipe: how scenes are made.
        scenes: which.
        workers: rendering processes; 1 renders in the calling process. Processes are spawned, so a script that asks
            for more needs the usual `if __name__ == "__main__"` guard.
        progress: show a progress bar on stderr.

    Returns:
        Number of frames rendered by this call.

    Raises:
        ConfigError: the folder holds something else or cannot be written, or workers is not positive.
        RenderError: a rendering process was killed.
    """
    if workers < 1:
        msg = f"data set: found {workers} workers, expected at least 1"
        raise ConfigError(msg)
    claim(root, recipe)
    missing = {scene: frames for scene in scenes if (frames := _missing(root, recipe, scene))}
    total = sum(map(len, missing.values()))
    done = 0
    with tqdm(total=total, desc="data set", unit="frame", disable=not progress) as bar:
        for count in _rendered(root, recipe, missing, workers):
            done += count
            bar.update(count)
    return done


def _missing(root: Path, recipe: Recipe, scene: ScenePlan) -> list[int]:
    """List the frames of a scene that are not complete."""
    return [
        frame
        for frame in range(recipe.frames)
        if not all((root / path).is_file() for path in _files(recipe, scene, frame))
    ]


def _files(recipe: Recipe, scene: ScenePlan, frame: int) -> list[Path]:
    raw = [scene.file(RAW, frame, ".npz")] if recipe.raw else []
    return [*raw, *(scene.file(folder, frame) for folder in KINDS)]


def _rendered(root: Path, recipe: Recipe, missing: dict[ScenePlan, list[int]], workers: int) -> Iterator[int]:
    """Render and yield the number of frames made, now and then."""
    if workers == 1 or len(missing) < 2:
        for scene, frames in missing.items():
            yield from _render_scene(root, recipe, scene, frames)
        return
    with rendering_pool(min(workers, len(missing)), _start_worker) as pool:
        jobs = [pool.submit(_job, root, recipe, scene, frames) for scene, frames in missing.items()]
        try:
            for job in as_completed(jobs):
                yield job.result()
        except BrokenProcessPool as error:
            msg = (
                f"data set: found a rendering process dead ({error}); free memory or ask for fewer workers, and run "
                "again: finished frames stay"
            )
            raise RenderError(msg) from error


def _start_worker() -> None:
    """Keep libraries of a rendering process from starting threads of their own."""
    cv2.setNumThreads(1)


def _job(root: Path, recipe: Recipe, scene: ScenePlan, frames: list[int]) -> int:
    return sum(_render_scene(root, recipe, scene, frames))


def _render_scene(root: Path, recipe: Recipe, scene: ScenePlan, frames: list[int]) -> Iterator[int]:
    settings = recipe.settings(scene)
    times_s = recipe.times_s(scene)
    draw = _Artist(recipe, Rig.of(settings))
    for frame, moment in zip(frames, render_moments(settings, [times_s[frame] for frame in frames]), strict=True):
        for folder, data in draw.files(moment).items():
            suffix = ".npz" if folder == RAW else ".png"
            _write(root / scene.file(folder, frame, suffix), data)
        yield 1


class _Artist:
    """Draws a moment's measurements exactly as the robot's node does before inference."""

    def __init__(self, recipe: Recipe, rig: Rig) -> None:
        self._raw, self._rig = recipe.raw, rig
        hha = recipe.preprocess.model_copy(update={"depth_encoding": "hha"})
        self._preprocessor = Preprocessor(hha, (Modality.DEPTH, Modality.EVENT, Modality.LIDAR))

    def files(self, moment: Moment) -> dict[str, bytes]:
        """Give the contents of a frame's files by folder, the exact classes last."""
        labels = moment.rgb.labels
        if labels is None:
            msg = "data set: found a moment without exact classes, expected the simulator's own"
            raise ConfigError(msg)
        size = labels.shape[0], labels.shape[1]
        points = replace(moment.lidar.frame, to_view=self._rig.lidar_to_camera)
        events = cast("Events", moment.events.frame.data)
        event_size = min(events.height, size[0]), min(events.width, size[1])
        metres = cast("NDArray[np.float32]", moment.depth.frame.data)
        files = {RAW: _npz(moment)} if self._raw else {}
        return {
            **files,
            "img": _png(cast("NDArray[np.uint8]", moment.rgb.frame.data)),
            "depth": _png(to_millimetres(metres)),
            "hha": _png(self._picture(moment.depth.frame, size)),
            "lidar": _png(self._picture(points, size)),
            "event": _png(self._picture(moment.events.frame, event_size)),
            "semantic": _png(np.asarray(labels + np.uint8(1), np.uint8)),
        }

    def _picture(self, frame: SensorFrame, size: tuple[int, int]) -> NDArray[np.uint8]:
        pixels = self._preprocessor.prepare(frame, size, self._rig.camera)
        return np.asarray(np.rint(255.0 * pixels.transpose(1, 2, 0)), np.uint8)


def _png(image: NDArray[Any]) -> bytes:
    """Code a grey or RGB image; channels are stored in the order that they have."""
    channels = np.ascontiguousarray(image[..., ::-1] if image.ndim == 3 else image)
    coded, data = cv2.imencode(".png", channels, _PNG)
    if not coded:
        msg = f"data set: found an image of {image.dtype} {image.shape} that PNG cannot hold"
        raise ConfigError(msg)
    return data.tobytes()


def _npz(moment: Moment) -> bytes:
    """Code points with classes, events and depth as numpy's npz, without the time of writing, so bytes repeat."""
    points = cast("Points", moment.lidar.frame.data)
    events = cast("Events", moment.events.frame.data)
    arrays = {
        "points_xyz": points.xyz,
        "points_intensity": points.intensity,
        "points_label": moment.lidar.labels,
        "points_ring": moment.lidar.rings,
        "events_x": events.x,
        "events_y": events.y,
        "events_polarity": events.polarity,
        "events_t_ns": events.t_ns,
        "events_size": np.array([events.width, events.height]),
        "depth_m": moment.depth.frame.data,
        "stamp_ns": np.array(moment.stamp_ns),
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            if array is not None:
                part = io.BytesIO()
                np.save(part, np.asarray(array))
                archive.writestr(zipfile.ZipInfo(f"{name}.npy"), part.getvalue(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _write(path: Path, data: bytes) -> None:
    unfinished = path.with_name(f".{path.name}{_UNFINISHED}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(data)
        unfinished.replace(path)
    except OSError as error:
        msg = f"data set: found {path} not writable ({error}), expected a folder with room; free some and run again"
        raise ConfigError(msg) from error
