# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What a run of the demo leaves behind: every answer that came out, and what was done to the sensors.

Times called ``_s`` are seconds since the start of play on a steady clock. A picture is either an array in
memory or the path of a PNG with the same content, so that a long run need not be held in memory.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from PIL import Image

from any2seg_core.config import UNTRAINED
from any2seg_core.errors import FrameError
from any2seg_core.frames import ClassTable, Modality, in_canonical_order

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

Picture: TypeAlias = "NDArray[np.uint8] | Path"
Interval: TypeAlias = tuple[float, float]


def read_picture(picture: Picture) -> NDArray[np.uint8]:
    """Give the picture as an array, (H, W) or (H, W, 3) uint8.

    Raises:
        FrameError: the file is missing or is no picture, or the array has another shape or type.
    """
    if isinstance(picture, Path):
        try:
            with Image.open(picture) as opened:
                pixels = np.asarray(opened)
        except OSError as error:
            msg = f"demo record: found no readable picture at {picture} ({error}), expected a PNG; keep the files"
            raise FrameError(msg) from None
    else:
        pixels = picture
    if pixels.dtype != np.uint8 or not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)):
        msg = f"demo record: found a picture {pixels.dtype} {pixels.shape}, expected (H, W) or (H, W, 3) uint8"
        raise FrameError(msg)
    return pixels


@dataclass(frozen=True, eq=False)
class OutputRecord:
    """One label image that came out.

    Attributes:
        stamp_ns: header stamp of the labels, which is the anchor's.
        received_s: when the labels arrived.
        latency_ms: from the publishing of the anchor's message to the arrival of the labels.
        anchor: modality that gave the labels their stamp and size.
        used: modalities that the labels were made from.
        labels: (H, W) uint8 class ids, 255 unlabelled.
        truth: (H, W) uint8 true ids for the same view and moment, 255 not scored; None where there is no truth.
        views: for each sensor that sent something lately, a picture (h, w, 3) uint8 of what it saw; pictures
            are only shown, never scored, and may have any size.
    """

    stamp_ns: int
    received_s: float
    latency_ms: float
    anchor: Modality
    used: tuple[Modality, ...]
    labels: Picture
    truth: Picture | None = None
    views: Mapping[Modality, Picture] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.received_s) and math.isfinite(self.latency_ms)):
            msg = (
                f"demo record: found an output received at {self.received_s} s after {self.latency_ms} ms, "
                "expected finite numbers; leave an output out whose anchor was never published"
            )
            raise FrameError(msg)


@dataclass(frozen=True)
class Fault:
    """Something done to a sensor on purpose.

    Attributes:
        modality: the sensor.
        start_s, end_s: from when to when.
        what: in a few words for the reader, such as "unplugged" or "lens covered".
    """

    modality: Modality
    start_s: float
    end_s: float
    what: str


@dataclass(frozen=True, eq=False)
class DemoRecord:
    """A whole run of the demo.

    Attributes:
        outputs: all label images, in the order in which they arrived.
        frames_in: number of messages published, for each sensor.
        alive: for each sensor of the robot, when it was publishing: ordered intervals [start, end] that do not
            overlap. A sensor that never lived has an empty sequence.
        duration_s: length of the play.
        classes: meaning of the label ids.
        faults: what was done to the sensors; a fault need not silence its sensor.
        weights: name of the trained weights, or "untrained".
        dropped: number of messages that led to nothing, by reason, as counted by the player and the node.
        command: command line that repeats the run.
        seed: seed of the simulated drive.
        started_utc: when the run began, ISO 8601.
        settings: whatever else the run was made with, in plain JSON types.
        machine, versions: where it ran and with which software, by name.
        silence_limit_s: the longest silence that still counts as "output never stopped".
    """

    outputs: Sequence[OutputRecord]
    frames_in: Mapping[Modality, int]
    alive: Mapping[Modality, Sequence[Interval]]
    duration_s: float
    classes: ClassTable
    faults: Sequence[Fault] = ()
    weights: str = UNTRAINED
    dropped: Mapping[str, int] = field(default_factory=dict)
    command: str = ""
    seed: int = 0
    started_utc: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    machine: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    silence_limit_s: float = 1.0

    def __post_init__(self) -> None:
        received = [output.received_s for output in self.outputs]
        if received != sorted(received):
            raise FrameError("demo record: found outputs out of order, expected them as received; sort by received_s")
        for modality, intervals in self.alive.items():
            bounds = [bound for interval in intervals for bound in interval]
            if bounds != sorted(bounds) or any(not 0 <= bound <= self.duration_s for bound in bounds):
                msg = (
                    f"demo record: found {modality.value} alive during {list(intervals)}, expected ordered intervals "
                    f"within 0 to {self.duration_s} s that do not overlap; clip and merge them"
                )
                raise FrameError(msg)

    @property
    def sensors(self) -> tuple[Modality, ...]:
        """The robot's sensors, in canonical order."""
        return in_canonical_order({*self.alive, *self.frames_in})

    def alive_at(self, modality: Modality, moment_s: float) -> bool:
        """Say whether a sensor was publishing at a moment."""
        return any(start <= moment_s <= end for start, end in self.alive.get(modality, ()))

    def dead_intervals(self, modality: Modality) -> list[Interval]:
        """Tell when a sensor was not publishing."""
        edges = [0.0, *(bound for interval in self.alive.get(modality, ()) for bound in interval), self.duration_s]
        return [(start, end) for start, end in zip(edges[::2], edges[1::2], strict=True) if end > start]

    def lively_intervals(self) -> list[Interval]:
        """Tell when at least one sensor was publishing, as ordered intervals that do not touch."""
        merged: list[Interval] = []
        for start, end in sorted(interval for intervals in self.alive.values() for interval in intervals):
            if merged and start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(merged[-1][1], end))
            elif end > start:
                merged.append((start, end))
        return merged
