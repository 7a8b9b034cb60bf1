# Copyright 2026 The any2seg authors
# SPDX-License-Identifier: Apache-2.0
"""What is true of a recording: label images of a topic or a folder, or labelled points."""

from __future__ import annotations

from bisect import bisect_left, insort
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import cv2
import numpy as np

from any2seg_core.errors import ConfigError, FrameError
from any2seg_core.frames import UNLABELLED, Modality, Points
from any2seg_core.projection.camera import cells
from any2seg_core.projection.lidar import visible_points
from any2seg_ros.conversions import image_frame, stamp_ns
from any2seg_ros.conversions.clouds import cloud_columns
from any2seg_ros.labelled_cloud import hidden
from any2seg_ros.replay.roles import TRUTH, TRUTH_POINTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from any2seg_core.frames import ClassTable, FrameSet, LabelMap
    from any2seg_ros.replay.bags import Recording

SLOP_NS: Final = 50_000_000
"""Truth belongs to an output no farther away than this, and than half of its own period."""


class Truth(Protocol):
    """Gives what an output is compared with."""

    kind: str
    source: str
    note: str

    def of(self, labels: LabelMap, frames: FrameSet) -> NDArray[np.uint8] | None:
        """True ids (H, W) of an output's pixels, 255 where unknown; None where there is no truth for it.

        Raises:
            FrameError: ids that the class table lacks.
        """


class NoTruth:
    """Nothing to compare with."""

    kind, source, note = "none", "", ""

    def of(self, labels: LabelMap, frames: FrameSet) -> None:
        """None, always."""
        del labels, frames


class LabelImages:
    """Label images by stamp, kept as PNG, since labels shrink to a hundredth.

    Args:
        kind: "topic" or "folder".
        source: which.
        classes: meaning of ids.
    """

    def __init__(self, kind: str, source: str, classes: ClassTable) -> None:
        self.kind, self.source, self.note = kind, source, ""
        self._classes = classes
        self._stamps: list[int] = []
        self._files: dict[int, bytes] = {}

    def add(self, stamp: int, labels: NDArray[np.uint8]) -> None:
        """Take the label image (H, W) of a moment.

        Raises:
            FrameError: it holds ids that the class table lacks.
        """
        _check_ids(labels, self._classes)
        if stamp not in self._files:
            insort(self._stamps, stamp)
        self._files[stamp] = cv2.imencode(".png", labels)[1].tobytes()

    def __len__(self) -> int:
        return len(self._stamps)

    def of(self, labels: LabelMap, frames: FrameSet) -> NDArray[np.uint8] | None:
        """The image nearest in time, at the output's size."""
        del frames
        index = bisect_left(self._stamps, labels.stamp_ns)
        near = self._stamps[max(index - 1, 0) : index + 1]
        best = min(near, key=lambda stamp: abs(stamp - labels.stamp_ns), default=None)
        if best is None or abs(best - labels.stamp_ns) > self._slop_ns():
            return None
        image = np.asarray(cv2.imdecode(np.frombuffer(self._files[best], np.uint8), cv2.IMREAD_UNCHANGED))
        height, width = labels.labels.shape
        if image.shape != (height, width):
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
        return np.asarray(image, np.uint8)

    def _slop_ns(self) -> int:
        periods = np.diff(self._stamps)
        return SLOP_NS if not len(periods) else min(SLOP_NS, int(np.median(periods)) // 2)


def _check_ids(ids: NDArray[np.uint8], classes: ClassTable) -> None:
    found = np.unique(ids)
    unknown = found[(found >= len(classes)) & (found != UNLABELLED)]
    if len(unknown):
        msg = (
            f"truth: found ids {unknown.tolist()[:5]}, expected 0 to {len(classes) - 1} of the model's classes or "
            f"{UNLABELLED}; map the labels to this model's classes"
        )
        raise FrameError(msg)


class LabelledPoints:
    """Labelled scans by stamp: compared where their points fall into the image.

    Args:
        source: the topic.
        classes: meaning of ids.
    """

    kind = "points"

    def __init__(self, source: str, classes: ClassTable) -> None:
        self.source, self.note = (
            source,
            "compared at the pixels that LiDAR points fall on, only while the LiDAR is used",
        )
        self._classes = classes
        self._scans: dict[int, tuple[NDArray[np.float32], NDArray[np.uint8]]] = {}

    def add(self, stamp: int, xyz: NDArray[np.float32], ids: NDArray[np.uint8]) -> None:
        """Take a scan: points (N, 3), metres, and their classes (N,)."""
        _check_ids(ids, self._classes)
        self._scans[stamp] = xyz, ids

    def __len__(self) -> int:
        return len(self._scans)

    def of(self, labels: LabelMap, frames: FrameSet) -> NDArray[np.uint8] | None:
        """The classes of the nearest points at the pixels that they fall on."""
        lidar = frames.frames.get(Modality.LIDAR)
        scan = None if lidar is None else self._scans.get(lidar.stamp_ns)
        if scan is None or lidar is None or lidar.to_view is None or frames.view is None:
            return None
        xyz, ids = scan
        uv, depth, index = visible_points(Points(xyz, np.ones(len(xyz), np.float32)), lidar.to_view, frames.view)
        at = cells(uv)
        if (frames.view.height, frames.view.width) != labels.labels.shape:
            return None
        shown = ~hidden(at, depth, labels.labels.shape)
        truth = np.full(labels.labels.shape, UNLABELLED, np.uint8)
        order = np.argsort(-depth[shown], kind="stable")  # of points on one pixel the nearest is written last
        truth[at[0][shown][order], at[1][shown][order]] = ids[index[shown][order]]
        return truth


def open_truth(asked: str, recording: Recording, topics: Mapping[str, str], classes: ClassTable) -> Truth:
    """Read what is true of a recording.

    Args:
        asked: "auto", "none", "topic:/name", "folder:PATH" or "points:/name".
        recording: where topics are read from.
        topics: role -> topic, for "auto".
        classes: meaning of ids.

    Raises:
        ConfigError: it is none of these, or there is nothing in it.
        FrameError: it holds ids that the class table lacks.
    """
    kind, _, where = asked.partition(":")
    if asked == "auto":
        kind, where = next(
            ((kind, topics[role]) for role, kind in ((TRUTH, "topic"), (TRUTH_POINTS, "points")) if role in topics),
            ("none", ""),
        )
    if kind == "none":
        return NoTruth()
    if kind not in _OPEN or not where:
        msg = f"replay: found --truth {asked!r}, expected auto, none, topic:/name, points:/name or folder:PATH"
        raise ConfigError(msg)
    try:
        truth = _OPEN[kind](recording, where, classes)
    except (AttributeError, KeyError, TypeError, IndexError, ValueError) as error:
        msg = f"truth: found {kind} {where} with other messages than expected ({error}); check the topic's type"
        raise ConfigError(msg) from error
    if not len(truth):
        msg = f"truth: found nothing in {kind} {where}, expected label images or labelled points; check the name"
        raise ConfigError(msg)
    return truth


def _from_topic(recording: Recording, topic: str, classes: ClassTable) -> LabelImages:
    truth = LabelImages("topic", topic, classes)
    for _, _, raw in recording.messages([topic]):
        message = recording.read(topic, raw)
        truth.add(stamp_ns(message.header), np.asarray(image_frame(message, Modality.RGB).data)[..., 0])
    return truth


def _from_folder(recording: Recording, folder: str, classes: ClassTable) -> LabelImages:
    del recording
    truth = LabelImages("folder", Path(folder).name, classes)
    for path in sorted(Path(folder).expanduser().glob("*.png")):
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if image is None or image.ndim != 2 or image.dtype != np.uint8 or not path.stem.isdecimal():
            msg = (
                f"truth: found {path.name}, expected 8-bit grey PNG files of class ids, named by their stamp in "
                "nanoseconds, as 1700000000000000000.png"
            )
            raise ConfigError(msg)
        truth.add(int(path.stem), np.asarray(image, np.uint8))
    return truth


def _from_points(recording: Recording, topic: str, classes: ClassTable) -> LabelledPoints:
    truth = LabelledPoints(topic, classes)
    for _, _, raw in recording.messages([topic]):
        message = recording.read(topic, raw)
        columns = cloud_columns(message, ("x", "y", "z", "label"))
        xyz = np.stack([columns[name] for name in "xyz"], 1).astype(np.float32)
        known = np.isfinite(xyz).all(1)
        truth.add(stamp_ns(message.header), xyz[known], columns["label"][known].astype(np.uint8))
    return truth


_OPEN: Final[dict[str, Callable[[Recording, str, ClassTable], LabelImages | LabelledPoints]]] = {
    "topic": _from_topic,
    "folder": _from_folder,
    "points": _from_points,
}
