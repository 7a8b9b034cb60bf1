# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What f_ma at t-1 does on film: accuracy and flicker of models that start from the mean, or remember the frame before.

study.py asks for it. The films are drives through simulated streets of the split test, a weather each.
"""

from __future__ import annotations

import dataclasses
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tqdm import tqdm

from any2seg_core.frames import Events, FrameSet, Modality, in_canonical_order
from any2seg_core.inference import Segmenter
from any2seg_core.metrics import AbsentClasses, ConfusionMatrix
from any2seg_core.model import load_checkpoint
from any2seg_sim.rig import Rig
from any2seg_sim.settings import DriveSettings
from any2seg_sim.simulation import render_drive
from any2seg_sim.weather import WEATHERS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from any2seg_sim.readings import Reading

DRIVES: Final = tuple(
    DriveSettings(seed=4 + 5 * index, weather=weather, width=256, height=256, duration_s=2.0)
    for index, weather in enumerate(WEATHERS)
)
"""Streets of seeds that the split test has and no training; two seconds of each."""
ALL: Final = in_canonical_order(Modality(name) for name in ("rgb", "depth", "event", "lidar"))
GIVEN: Final[Mapping[str, tuple[Modality, ...]]] = {
    "all sensors": ALL,
    "camera lost": tuple(modality for modality in ALL if modality is not Modality.RGB),
}
MEANINGS: Final = ("mean", "temporal")


@dataclass(frozen=True, eq=False)
class Shot:
    """One moment of a film, and the exact class of each pixel."""

    frames: FrameSet
    truth: NDArray[np.uint8]

    def with_sensors(self, given: Sequence[Modality]) -> FrameSet:
        """Give the moment as it is seen when no other sensor is there."""
        kept = {modality: self.frames.frames[modality] for modality in given}
        return FrameSet(given[0], kept, view=self.frames.view)


@dataclass
class Seen:
    """What one model said of the films."""

    matrix: ConfusionMatrix
    changed: int = 0
    still: int = 0

    def compare(self, before: Shot, was: NDArray[np.uint8], now: Shot, labels: NDArray[np.uint8]) -> None:
        """Count pixels whose class stays, and those of them whose label does not."""
        still = before.truth == now.truth
        self.still += int(still.sum())
        self.changed += int((still & (was != labels)).sum())


def film(settings: DriveSettings) -> list[Shot]:
    """Render a drive; each camera image comes with what the other sensors gave last, events of a whole window."""
    rig, window_ns = Rig.of(settings), round(settings.event_window_s * 1e9)
    newest: dict[Modality, Reading] = {}
    packets: list[Events] = []
    shots = []
    for reading in render_drive(settings):
        frame = reading.frame
        newest[frame.modality] = reading
        if isinstance(frame.data, Events):
            packets.append(frame.data)
        if frame.modality is not Modality.RGB or len(newest) < len(ALL):
            continue
        events = Events.concatenate(packets).between(frame.stamp_ns - window_ns, frame.stamp_ns)
        packets = [events]
        frames = {modality: newest[modality].frame for modality in ALL}
        frames[Modality.EVENT] = dataclasses.replace(frames[Modality.EVENT], data=events)
        frames[Modality.LIDAR] = dataclasses.replace(frames[Modality.LIDAR], to_view=rig.lidar_to_camera)
        if reading.labels is not None:
            shots.append(Shot(FrameSet(Modality.RGB, frames, view=rig.camera), reading.labels))
    return shots


def watch(segmenter: Segmenter, films: Sequence[Sequence[Shot]], given: Sequence[Modality]) -> Seen:
    """Label films with some of the sensors."""
    seen = Seen(ConfusionMatrix(segmenter.classes))
    for shots in films:
        segmenter.reset()
        before: tuple[Shot, NDArray[np.uint8]] | None = None
        for shot in shots:
            labels = segmenter.segment(shot.with_sensors(given)).labels
            seen.matrix.update(labels, shot.truth)
            if before is not None:
                seen.compare(*before, shot, labels)
            before = shot, labels
    return seen


def variants(checkpoint: Path) -> Iterator[tuple[str, Segmenter]]:
    """Give a model once for each meaning of t-1 that a robot can choose."""
    for meaning in MEANINGS:
        model, info = load_checkpoint(checkpoint)
        config = info.model.model_copy(update={"previous": meaning})
        yield meaning, Segmenter(model, dataclasses.replace(info, model=config), device="cpu")


def spread(values: Sequence[float], digits: int) -> str:
    """Write mean and standard deviation."""
    mean = f"{statistics.fmean(values):.{digits}f}"
    return mean if len(values) < 2 else f"{mean} ± {statistics.stdev(values):.{digits}f}"


def sequence_rows(models: Mapping[str, Sequence[Path]], drives: Sequence[DriveSettings]) -> list[tuple[str, ...]]:
    """Score each model on the films, as rows of a table.

    Args:
        models: checkpoints of each model's seeds.
        drives: what the films show.

    Returns:
        Rows of model, meaning of t-1, and for each of GIVEN mIoU over the classes that occur and flicker, in percent.
    """
    films = [film(drive) for drive in tqdm(drives, desc="films", unit="film")]
    found: dict[tuple[str, str], dict[str, list[Seen]]] = {}
    with tqdm(total=sum(map(len, models.values())), desc="t-1 on film", unit="model") as bar:
        for name, checkpoints in models.items():
            for checkpoint in checkpoints:
                for meaning, segmenter in variants(checkpoint):
                    kept = found.setdefault((name, meaning), {})
                    for title, given in GIVEN.items():
                        kept.setdefault(title, []).append(watch(segmenter, films, given))
                bar.update()
    rows = []
    for (name, meaning), by_title in found.items():
        row = [name, meaning]
        for seen in by_title.values():
            row.append(spread([100 * one.matrix.miou(AbsentClasses.PRESENT) for one in seen], 2))
            row.append(spread([100 * one.changed / max(one.still, 1) for one in seen], 2))
        rows.append(tuple(row))
    return rows
